//! What makes a result count: outcomes checked, receipts checked, both journaled; some executed
//! again; contradictions kept as evidence.
//!
//! Deliberately not here: who runs what, and how records change the state (`apply`).

use std::collections::BTreeSet;

use ayni_types::{
    AssignmentId, BlobRef, End, Fault, FaultKind, JobId, LeaseId, NodeId, Outcome, Receipt,
    TaskSpec, TreeEntry, limits,
};
use ayni_wire::{Delivered, Message, SignedBatch, TwoRoots, batch_hash, leaf_hash, merkle_root};

use minicbor::bytes::ByteVec;

use crate::core::{Core, FetchOwner};
use crate::effect::{Effect, FetchId, FetchWhat, NoticeKind};
use crate::event::FetchFailure;
use crate::gate::Then;
use crate::job::{Attempt, Phase, Place};
use crate::journal::{AcceptRecord, AuditDraw, ReceiptAt, Record, digest_of};
use crate::market::HireState;

/// What a job's explanations call this machine.
pub(crate) const NO_ROOM: &str = "this node";
/// Attempts at fetching an output before its task is given to somebody else.
const FETCH_TRIES_MAX: u32 = 3;
/// Between two of them, in milliseconds.
const FETCH_REST_MS: u64 = 1_000;
/// Peers that a proof of fraud is passed on to.
const PROOF_PEERS_MAX: usize = 64;

impl Core {
    // --- outcomes from providers ---

    pub(crate) fn delivered(&mut self, from: NodeId, delivered: Delivered) {
        let now = self.now;
        let AssignmentId { lease, number } = delivered.assignment;
        let Some(hire) = self.hires.get_mut(&lease).filter(|h| h.provider() == from) else {
            return;
        };
        let Some(work) = hire.work.get_mut(&number) else { return };
        if work.delivered.is_some() {
            return;
        }
        let (id, index, since) = (work.job, work.index, work.since);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(task) = job.task(index) else { return };
        if let Some(wrong) = outcome_fault(&task.spec, &delivered.outcome) {
            self.misbehaved(lease, &format!("delivered an impossible outcome: {wrong}"));
            return;
        }
        let digest = digest_of(&delivered.outcome);
        let blobs = blobs_of(&delivered.outcome);
        hire.undelivered -= 1;
        // Processor time, not the clock: a starved machine works off many in one go.
        let fuel_per_ms = hire.full.lease.fuel_per_second / 1_000;
        let by_fuel = delivered.outcome.fuel.0 / fuel_per_ms.max(1);
        hire.pace.took(delivered.observed.cpu_ms.max(by_fuel));
        work.delivered = Some(Box::new((delivered.outcome, digest)));
        work.delivered_at = now;
        hire.faults_in_row = 0;
        hire.busy = now;
        if work.abandoned {
            work.fetched = true;
        } else {
            let took = now.since_ms(since);
            job.took(took);
            let stats = job.stats.entry(Some(from)).or_default();
            stats.delivered += 1;
            stats.stalled = (0, now);
            stats.busy_ms = stats.busy_ms.saturating_add(took);
            let place = Place::Lease { lease, number, provider: from };
            if let Some(task) = job.task_mut(index) {
                if let Some(live) = task.live.iter_mut().find(|l| l.place == place) {
                    live.delivered = true;
                }
                task.remember(Attempt {
                    provider: Some(from),
                    assigned: since,
                    ended: Some(now),
                    outcome: Some(digest),
                    fault: None,
                });
            }
            self.notice(Some(id), NoticeKind::Delivered { index, provider: Some(from) });
            self.fetch_output(lease, number, blobs, delivered.inline);
        }
        self.dirty = true;
    }

    fn fetch_output(
        &mut self,
        lease: LeaseId,
        number: u64,
        blobs: Vec<BlobRef>,
        inline: Vec<ByteVec>,
    ) {
        let fetch = FetchId(self.fresh_id());
        let Some(hire) = self.hires.get_mut(&lease) else { return };
        let provider = hire.provider();
        let Some(work) = hire.work.get_mut(&number) else { return };
        work.fetch = Some(fetch);
        work.fetch_at = None;
        work.fetch_tries += 1;
        self.fetches.insert(fetch, FetchOwner::Output(lease, number));
        self.effects.push_back(Effect::Fetch {
            id: fetch,
            what: wanted(blobs, inline),
            from: vec![provider],
        });
    }

    pub(crate) fn output_fetched(
        &mut self,
        lease: LeaseId,
        number: u64,
        result: Result<(), FetchFailure>,
    ) {
        let rest_at = self.now.after_ms(FETCH_REST_MS);
        let Some(work) = self.hires.get_mut(&lease).and_then(|h| h.work.get_mut(&number)) else {
            return;
        };
        work.fetch = None;
        let assignment = AssignmentId { lease, number };
        let failure = match result {
            Err(failure) if !work.abandoned => failure,
            // Nobody wants the bytes of an abandoned attempt; its receipt still ends it.
            _ => {
                work.fetched = true;
                if let Some(job) = self.jobs.get_mut(&work.job) {
                    job.why.remove(NO_ROOM);
                }
                self.try_accept(lease, number);
                self.dirty = true;
                return;
            }
        };
        match failure {
            FetchFailure::Lied(who) => {
                self.misbehaved(
                    lease,
                    &format!("{} sent bytes that are not the output", who.short()),
                );
            }
            FetchFailure::DiskFull(text) => {
                // Our own lack: the outcome waits at its provider until there is room.
                work.fetch_at = Some(rest_at);
                let job = work.job;
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.why.insert(NO_ROOM.to_owned(), format!("no room for outputs: {text}"));
                }
            }
            FetchFailure::Unavailable(_) | FetchFailure::Cancelled
                if work.fetch_tries < FETCH_TRIES_MAX =>
            {
                work.fetch_at = Some(rest_at);
            }
            FetchFailure::Unavailable(text) => {
                // Withheld or out of reach, for us it is the same: it is left alone for a while,
                // longer each time.
                self.lose_hire(lease, &format!("its outputs can't be fetched: {text}"));
            }
            FetchFailure::Cancelled => {
                let detail = "fetching its outputs was cancelled".to_owned();
                self.drop_work(assignment, Fault { kind: FaultKind::Lost, detail });
            }
        }
        self.dirty = true;
    }

    pub(crate) fn retry_fetches(&mut self) {
        let mut due = Vec::new();
        for (lease, hire) in &self.hires {
            for (number, work) in &hire.work {
                if work.fetch_at.is_some_and(|at| at <= self.now)
                    && let Some(delivered) = &work.delivered
                {
                    due.push((*lease, *number, blobs_of(&delivered.0)));
                }
            }
        }
        for (lease, number, blobs) in due {
            self.fetch_output(lease, number, blobs, Vec::new());
        }
    }

    // --- receipts ---

    pub(crate) fn batch_came(&mut self, from: NodeId, batch: SignedBatch) {
        let (lease, number) = (batch.header.lease, batch.header.batch);
        let Some(terms) = self.leases.get(&lease) else {
            // Granted before a restart, and never in our journal: no work of it is wanted, and its
            // provider must not wait for ever for a word about it.
            if !self.hires.contains_key(&lease) {
                self.send(from, Message::BatchAck { lease, batch: number, taken: false });
            }
            return;
        };
        if terms.lease.provider != from {
            return;
        }
        let signed = self.seal.verify_batch(
            terms.lease.batch_key,
            &batch_hash(&batch.header),
            &batch.signature,
        );
        if !signed {
            self.misbehaved(lease, "sent a batch with a wrong signature");
            return;
        }
        if let Some(first) = self.batches.get(&(lease, number)) {
            if first.header == batch.header {
                self.send_gated(from, Message::BatchAck { lease, batch: number, taken: true });
            } else {
                let (time, proof) = (self.now, self.two_roots(&batch));
                self.commit(Record::Equivocation { provider: from, second: batch, time });
                self.part_with(from, "signed two roots for one batch");
                if let Some(proof) = proof {
                    self.tell_proof(&proof, None);
                }
            }
            return;
        }
        let Some(hire) = self.hires.get(&lease) else {
            // The lease is over on our side and its work was given to others; that we have seen the
            // batch is all its provider wants to know.
            self.send(from, Message::BatchAck { lease, batch: number, taken: false });
            return;
        };
        if number > hire.next_batch {
            return;
        }
        // Outcomes that got lost on the way are delivered again, and the batch with them.
        let early = batch
            .receipts
            .iter()
            .any(|r| hire.work.get(&r.assignment).is_some_and(|w| w.delivered.is_none()));
        if early {
            return;
        }
        if let Err(wrong) = self.check_batch(&batch) {
            self.misbehaved(lease, &format!("sent a batch that is wrong: {wrong}"));
            return;
        }
        let mut accepted = Vec::new();
        let receipts = batch.receipts.clone();
        if let Some(hire) = self.hires.get_mut(&lease) {
            hire.next_batch += 1;
            for (leaf, receipt) in (0..).zip(&receipts) {
                hire.given_up.remove(&receipt.assignment);
                if let Some(work) = hire.work.get_mut(&receipt.assignment) {
                    work.leaf = Some((number, leaf, receipt.price));
                    accepted.push(receipt.assignment);
                }
            }
        }
        self.commit(Record::BatchTaken(batch));
        self.book_bills(lease, &receipts);
        self.send_gated(from, Message::BatchAck { lease, batch: number, taken: true });
        self.pay_lease_bill(lease);
        for assignment in accepted {
            self.try_accept(lease, assignment);
        }
        self.dirty = true;
    }

    /// Somebody shows a proof of fraud. What it proves is found out here, not believed.
    pub(crate) fn proof_came(&mut self, from: NodeId, proof: TwoRoots) {
        // Anyone can make identities and convict them: what is kept and passed on is about nodes
        // that this one has met.
        let accused = proof.lease.lease.provider;
        let met = self.peers.contains_key(&accused)
            || self.offers.contains_key(&accused)
            || self.leases.values().any(|l| l.lease.provider == accused);
        if accused == self.me || self.banned.contains_key(&accused) || !met {
            return;
        }
        let culprit = proof.culprit_by(
            |key, hash, signature| self.seal.verify_batch(key, hash, signature),
            |node, message, signature| self.seal.verify_node(node, message, signature),
        );
        let Ok(culprit) = culprit else { return };
        let time = self.now;
        self.commit(Record::Proven { proof: Box::new(proof.clone()), time });
        self.part_with(culprit, "another node showed that it signed two roots for one batch");
        self.tell_proof(&proof, Some(from));
    }

    /// Passes a proof on; each node does so once, because it then knows the culprit.
    fn tell_proof(&mut self, proof: &TwoRoots, except: Option<NodeId>) {
        let up = self.peers.iter().filter(|(n, p)| p.up && Some(**n) != except);
        for node in up.map(|(n, _)| *n).take(PROOF_PEERS_MAX).collect::<Vec<_>>() {
            self.send_gated(node, Message::TwoRoots(Box::new(proof.clone())));
        }
    }

    fn check_batch(&self, batch: &SignedBatch) -> Result<(), String> {
        let header = &batch.header;
        let count = batch.receipts.len();
        if count == 0 || count > limits::BATCH_RECEIPTS_MAX || count != header.count as usize {
            return Err(format!("it counts {} receipts and has {count}", header.count));
        }
        let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
        if merkle_root(&leaves) != header.root {
            return Err("its root is not that of its receipts".to_owned());
        }
        let mut programs = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for (at, receipt) in (0..).zip(&batch.receipts) {
            if !seen.insert(receipt.assignment) {
                return Err(format!("assignment {} is in it twice", receipt.assignment));
            }
            self.check_receipt(header.lease, header.batch, at, receipt, &mut programs)
                .map_err(|wrong| format!("receipt {at}: {wrong}"))?;
        }
        Ok(())
    }

    fn check_receipt(
        &self,
        lease: LeaseId,
        batch: u64,
        at: u32,
        receipt: &Receipt,
        programs: &mut BTreeSet<ayni_types::Digest>,
    ) -> Result<(), String> {
        let hire = self.hires.get(&lease).ok_or("no such lease")?;
        if receipt.lease != lease || receipt.batch != batch || receipt.index != at {
            return Err("it belongs elsewhere".to_owned());
        }
        if receipt.assignment >= hire.next_number {
            return Err(format!("assignment {} was never made", receipt.assignment));
        }
        let price = hire.lease().price.of(receipt.fuel, receipt.code_bytes, receipt.data_bytes);
        if receipt.price != price {
            return Err(format!("it bills {}; by the lease it is {price}", receipt.price));
        }
        let Some(work) = hire.work.get(&receipt.assignment) else {
            // Given up by us in the meantime: billed once and within its limits, but of no use.
            return match hire.given_up.get(&receipt.assignment) {
                Some((task, fuel)) if receipt.task == *task && receipt.fuel <= *fuel => {
                    self.bill_fault(receipt, &hire.programs, programs).map_or(Ok(()), Err)
                }
                Some(_) => Err("it bills more than its task can cost".to_owned()),
                None => Err(format!("assignment {} owes nothing more", receipt.assignment)),
            };
        };
        if work.leaf.is_some() {
            return Err(format!("assignment {} was billed before", receipt.assignment));
        }
        let task = self.jobs.get(&work.job).and_then(|j| j.task(work.index));
        let task = task.ok_or("its task is unknown")?;
        if receipt.task != task.id {
            return Err("it names another task".to_owned());
        }
        let Some(delivered) = &work.delivered else {
            return Err("it was signed before its outcome was delivered".to_owned());
        };
        if receipt.outcome != delivered.1 || receipt.fuel != delivered.0.fuel {
            return Err("it commits to another outcome than was delivered".to_owned());
        }
        self.bill_fault(receipt, &hire.programs, programs).map_or(Ok(()), Err)
    }

    /// A signed and fetched outcome becomes the task's, once.
    fn try_accept(&mut self, lease: LeaseId, number: u64) {
        let Some(hire) = self.hires.get_mut(&lease) else { return };
        let provider = hire.provider();
        let ready = hire
            .work
            .get(&number)
            .is_some_and(|w| w.delivered.is_some() && w.fetched && w.leaf.is_some());
        if !ready {
            return;
        }
        let Some(work) = hire.work.remove(&number) else { return };
        let (Some(delivered), Some((batch, leaf, price))) = (work.delivered, work.leaf) else {
            return;
        };
        let (outcome, digest) = *delivered;
        if !work.abandoned {
            let place = Place::Lease { lease, number, provider };
            let receipt = ReceiptAt { lease, batch, leaf };
            self.attempt_accepted(work.job, work.index, place, outcome, digest, price, receipt);
        }
        self.close_if_done(lease);
        self.dirty = true;
    }

    #[allow(clippy::too_many_arguments)]
    fn attempt_accepted(
        &mut self,
        id: JobId,
        index: u32,
        place: Place,
        outcome: Outcome,
        digest: ayni_types::Digest,
        price: ayni_types::Amount,
        receipt: ReceiptAt,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.attempt_ended(index, place);
        let provider = place.provider();
        if job.ended.is_some() {
            return;
        }
        let Some(task) = job.task(index) else { return };
        let first = match task.phase {
            Phase::Failed(_) => return,
            Phase::Done => task.accepted.as_ref().map(|a| (a.digest, a.provider)),
            _ => None,
        };
        let fuel = outcome.fuel.0;
        if let Some(stats) = job.stats.get_mut(&provider) {
            stats.fuel = stats.fuel.saturating_add(fuel);
        }
        let time = self.now;
        let mut record = AcceptRecord {
            job: id,
            index,
            outcome,
            provider,
            price,
            receipt: Some(receipt),
            audit: Some(AuditDraw::NONE),
            time,
        };
        match first {
            Some((known, _)) if known == digest => {
                if let Some(provider) = provider {
                    self.seconded(id, index, provider, price);
                }
            }
            Some(_) => self.contest(record),
            None if self.lacks_votes(id, index, digest) => {
                self.commit(Record::Voted(record));
                self.dirty = true;
            }
            None => {
                if let Some(draw) = self.judge_votes(id, index, digest) {
                    record.audit = Some(draw);
                } else if let Some(provider) = provider {
                    record.audit = self.draw_now(id, provider, receipt.lease, price);
                }
                self.accept(record);
                self.end_other_attempts(id, index);
                if let Some(provider) = provider {
                    self.decide(id, provider, false);
                }
            }
        }
    }

    pub(crate) fn accept(&mut self, record: AcceptRecord) {
        let (id, index) = (record.job, record.index);
        let Some(before) = self.jobs.get(&id).and_then(|j| j.task(index)) else { return };
        let known = before.accepted.as_ref().map(|a| a.digest);
        let news = known != Some(digest_of(&record.outcome));
        let (outcome, provider, price) = (record.outcome.clone(), record.provider, record.price);
        self.commit(Record::TaskAccepted(record));
        self.announce(id, index, news, &outcome, provider, price);
    }

    pub(crate) fn announce(
        &mut self,
        id: JobId,
        index: u32,
        news: bool,
        outcome: &Outcome,
        provider: Option<NodeId>,
        price: ayni_types::Amount,
    ) {
        let Some(task) = self.jobs.get(&id).and_then(|j| j.task(index)).map(|t| t.id) else {
            return;
        };
        for twin in self.with_twins(id, index) {
            self.gated(Then::TaskDurable(id, twin));
            if news {
                let price = if twin == index { price } else { ayni_types::Amount(0) };
                let outcome = outcome.clone();
                let kind = NoticeKind::TaskAccepted { index: twin, task, outcome, provider, price };
                self.notice_gated(id, kind);
            }
        }
    }

    /// A provider broke the protocol: its lease ends and it is left alone for ten minutes.
    pub(crate) fn misbehaved(&mut self, lease: LeaseId, what: &str) {
        let Some(provider) = self.leases.get(&lease).map(|l| l.lease.provider) else { return };
        self.part_with(provider, what);
        let hint = "its work is done elsewhere; tell its owner";
        self.shun(provider, what, hint, 600_000);
    }

    /// Ends every lease with a provider at once.
    pub(crate) fn part_with(&mut self, provider: NodeId, reason: &str) {
        let leases: Vec<LeaseId> = self
            .hires
            .iter()
            .filter(|(_, h)| h.provider() == provider && h.state != HireState::Asked)
            .map(|(id, _)| *id)
            .collect();
        for lease in leases {
            self.lose_hire(lease, reason);
        }
    }
}

/// What no honest provider delivers.
fn outcome_fault(task: &TaskSpec, outcome: &Outcome) -> Option<String> {
    if outcome.fuel > task.limits.fuel {
        return Some(format!("{} fuel, more than its limit {}", outcome.fuel, task.limits.fuel));
    }
    if matches!(outcome.end, End::Exhausted(_)) && outcome.fuel != task.limits.fuel {
        return Some("exhausted, but not all fuel used".to_owned());
    }
    if outcome.files.len() > limits::OUTPUT_FILES_MAX {
        return Some(format!("{} files", outcome.files.len()));
    }
    let sizes = outcome.files.iter().map(|f| f.blob.size);
    let total =
        sizes.chain([outcome.stdout.size, outcome.stderr.size]).fold(0_u64, u64::saturating_add);
    if total > task.limits.output_bytes {
        return Some(format!("{total} output bytes, more than {}", task.limits.output_bytes));
    }
    if let Some(bad) = outcome.files.iter().find_map(|f| TreeEntry::path_fault(&f.path)) {
        return Some(format!("a file whose path {bad}"));
    }
    let unsorted = outcome.files.windows(2).any(|p| p[0].path >= p[1].path);
    unsorted.then(|| "files out of order".to_owned())
}

/// What is to be fetched of an outcome's blobs when some came with it.
fn wanted(mut blobs: Vec<BlobRef>, inline: Vec<ByteVec>) -> FetchWhat {
    let mut here = Vec::new();
    for bytes in inline.into_iter().map(Vec::from).take(limits::INLINE_BLOBS_MAX) {
        let blob = BlobRef { digest: ayni_wire::digest(&bytes), size: bytes.len() as u64 };
        if bytes.len() <= limits::INLINE_BLOB_BYTES_MAX
            && let Some(at) = blobs.iter().position(|b| *b == blob)
        {
            blobs.remove(at);
            here.push(bytes);
        }
    }
    let rest = blobs.into_iter().map(|b| (b.digest, b.size)).collect();
    if here.is_empty() { FetchWhat::Blobs(rest) } else { FetchWhat::Outputs { here, rest } }
}

/// Every blob of an outcome, once.
fn blobs_of(outcome: &Outcome) -> Vec<BlobRef> {
    let files = outcome.files.iter().map(|f| f.blob);
    let mut blobs: Vec<_> = files.chain([outcome.stdout, outcome.stderr]).collect();
    blobs.sort_unstable();
    blobs.dedup();
    blobs
}
