//! What makes a result count: outcomes checked, receipts checked, both journaled; some executed
//! again at home; contradictions kept as evidence.
//!
//! Deliberately not here: who runs what, and how records change the state (`apply`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use ayni_types::{
    AssignmentId, BlobRef, End, Fault, FaultKind, JobId, LeaseId, NodeId, Outcome, Receipt,
    TaskSpec, Time, TreeEntry, limits,
};
use ayni_wire::{
    Delivered, Message, SignedBatch, SignedHeader, TwoRoots, batch_hash, leaf_hash, merkle_root,
};

use crate::core::{Core, FetchOwner};
use crate::effect::{Effect, FetchId, FetchWhat, NoticeKind, Purpose, RunId, SlotId};
use crate::event::{FetchFailure, Ran};
use crate::gate::Then;
use crate::job::{Attempt, Audit, Job, Live, Phase, Place};
use crate::journal::{AcceptRecord, AuditDraw, ReceiptAt, Record, digest_of};
use crate::market::HireState;

/// Something that runs in a home slot.
#[derive(Debug, Clone)]
pub(crate) struct HomeRun {
    pub(crate) slot: SlotId,
    pub(crate) job: JobId,
    pub(crate) index: u32,
    pub(crate) audit: bool,
    pub(crate) since: Time,
    pub(crate) abandoned: bool,
}

/// What a job's explanations call this machine.
pub(crate) const NO_ROOM: &str = "this node";
/// Attempts at fetching an output before its task is given to somebody else.
const FETCH_TRIES_MAX: u32 = 3;
/// Between two of them, in milliseconds.
const FETCH_REST_MS: u64 = 1_000;
/// Peers that a proof of fraud is passed on to.
const PROOF_PEERS_MAX: usize = 64;
/// More declared bytes than this are not billed for one task.
const DATA_BYTES_MAX: u64 = 1 << 44;

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
            self.fetch_output(lease, number, blobs);
        }
        self.dirty = true;
    }

    fn fetch_output(&mut self, lease: LeaseId, number: u64, blobs: Vec<BlobRef>) {
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
            what: FetchWhat::Blobs(blobs.into_iter().map(|b| (b.digest, b.size)).collect()),
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
            self.fetch_output(lease, number, blobs);
        }
    }

    // --- receipts ---

    pub(crate) fn batch_came(&mut self, from: NodeId, batch: SignedBatch) {
        let (lease, number) = (batch.header.lease, batch.header.batch);
        let Some(terms) = self.leases.get(&lease).filter(|l| l.lease.provider == from) else {
            return;
        };
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
                self.send_gated(from, Message::BatchAck { lease, batch: number });
            } else {
                let time = self.now;
                let signed =
                    |b: &SignedBatch| SignedHeader { header: b.header, signature: b.signature };
                let (first, second) = (signed(first), signed(&batch));
                let proof = TwoRoots { lease: terms.clone(), first, second };
                self.commit(Record::Equivocation { provider: from, second: batch, time });
                self.part_with(from, "signed two roots for one batch");
                self.tell_proof(&proof, None);
            }
            return;
        }
        let Some(hire) = self.hires.get(&lease) else {
            // The lease is over on our side and its work was given to others; that we have seen the
            // batch is all its provider wants to know.
            self.send(from, Message::BatchAck { lease, batch: number });
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
        if let Some(hire) = self.hires.get_mut(&lease) {
            hire.next_batch += 1;
            for (leaf, receipt) in (0..).zip(&batch.receipts) {
                if receipt.code_bytes > 0
                    && let Some(work) = hire.work.get(&receipt.assignment)
                    && let Some(task) = self.jobs.get(&work.job).and_then(|j| j.task(work.index))
                {
                    hire.programs.insert(task.spec.program);
                }
                if let Some(work) = hire.work.get_mut(&receipt.assignment) {
                    work.leaf = Some((number, leaf, receipt.price));
                    accepted.push(receipt.assignment);
                }
            }
        }
        self.commit(Record::BatchTaken(batch));
        self.send_gated(from, Message::BatchAck { lease, batch: number });
        for assignment in accepted {
            self.try_accept(lease, assignment);
        }
        self.dirty = true;
    }

    /// Somebody shows a proof of fraud. What it proves is found out here, not believed.
    pub(crate) fn proof_came(&mut self, from: NodeId, proof: TwoRoots) {
        let culprit = proof.culprit_by(
            |key, hash, signature| self.seal.verify_batch(key, hash, signature),
            |node, message, signature| self.seal.verify_node(node, message, signature),
        );
        let Ok(culprit) = culprit else { return };
        // Anyone can make identities and convict them: what is kept and passed on is about nodes
        // that this one has met.
        let met = self.peers.contains_key(&culprit)
            || self.offers.contains_key(&culprit)
            || self.leases.values().any(|l| l.lease.provider == culprit);
        if culprit == self.me || self.banned.contains_key(&culprit) || !met {
            return;
        }
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
        if receipt.code_bytes > limits::PROGRAM_BYTES_MAX || receipt.data_bytes > DATA_BYTES_MAX {
            return Err("it bills more bytes than a task can have".to_owned());
        }
        // Given up by us in the meantime: billed, but of no use.
        let Some(work) = hire.work.get(&receipt.assignment) else { return Ok(()) };
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
        if receipt.code_bytes > 0
            && (hire.programs.contains(&task.spec.program) || !programs.insert(task.spec.program))
        {
            return Err("it bills the same program a second time".to_owned());
        }
        Ok(())
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
            Some((known, _)) if known == digest => self.seconded(id, index, provider),
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

    // --- opinions of others ---

    /// Whether more unrelated providers must agree before `digest` is accepted.
    fn lacks_votes(&self, id: JobId, index: u32, digest: ayni_types::Digest) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        let votes = job.task(index).map_or(&[][..], |t| &t.votes);
        let agree = votes.iter().filter(|v| v.digest == digest).count() + 1;
        agree < job.record.verify.quorum as usize
    }

    /// With a quorum reached: home judges those who said something else, if it can.
    fn judge_votes(&self, id: JobId, index: u32, digest: ayni_types::Digest) -> Option<AuditDraw> {
        let votes = &self.jobs.get(&id)?.task(index)?.votes;
        let dissent = votes.iter().any(|v| v.digest != digest);
        (dissent && self.config.home.slots > 0).then_some(AuditDraw { rate: 0, drawn: true })
    }

    /// A quorum needs nobody else any more.
    fn end_other_attempts(&mut self, id: JobId, index: u32) {
        let quorum = self.jobs.get(&id).is_some_and(|j| j.record.verify.quorum > 1);
        if quorum {
            self.stop_attempts(id, Some(index));
        }
    }

    /// Another provider found the accepted outcome too.
    fn seconded(&mut self, id: JobId, index: u32, by: Option<NodeId>) {
        let home = self.config.home.slots > 0;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        let (audit, provider) = (accepted.audit, accepted.provider);
        // Where home can judge it does; and each who said something else asks for one more.
        if audit != Audit::Pending || home || job.audits.contains(&index) {
            return;
        }
        let dissent = accepted.contested.len();
        let seconds = job.seconds.entry(index).or_default();
        *seconds += 1;
        if *seconds <= dissent {
            let now = self.now;
            job.second.insert(index, now);
            return;
        }
        let time = self.now;
        self.commit(Record::AuditAgreed { job: id, index, time, by });
        if let Some(provider) = provider {
            self.notice_gated(id, NoticeKind::AuditAgreed { index, provider });
        }
        self.dirty = true;
    }

    /// Another provider found something else. Home decides; without home, ever more others do.
    fn contest(&mut self, record: AcceptRecord) {
        let (id, index) = (record.job, record.index);
        let Some(job) = self.jobs.get(&id).filter(|j| !j.record.nondeterministic) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        if accepted.provider.is_none() && self.config.home.slots == 0 {
            return;
        }
        let digest = digest_of(&record.outcome);
        let price = record.price.0;
        self.commit(Record::Contested(record));
        if self.config.home.slots > 0 {
            return;
        }
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.opinions = job.opinions.saturating_add(price);
        job.audits.remove(&index);
        let seconds = job.seconds.get(&index).copied().unwrap_or(0);
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        let against = accepted.contested.iter().filter(|c| c.digest == digest).count();
        let others = accepted.contested.len() - against;
        // The accepted one counts as one voice beside those that seconded it.
        if against > others + seconds + 1 {
            self.commit(Record::Outvoted { job: id, index, digest, time: now });
            if let Some(task) = self.jobs.get(&id).and_then(|j| j.task(index))
                && let Some(accepted) = task.accepted.as_ref()
            {
                let (outcome, provider, price) =
                    (accepted.outcome.clone(), accepted.provider, accepted.price);
                self.announce(id, index, true, &outcome, provider, price);
            }
        } else {
            job.second.insert(index, now);
        }
        self.dirty = true;
        self.market_dirty = true;
    }

    /// Without own cores (or enough memory) audits are made by other providers.
    fn hand_audits_out(&mut self) {
        if self.config.home.slots > 0 {
            return;
        }
        let now = self.now;
        for id in &self.running {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            for index in std::mem::take(&mut job.audits) {
                job.second.insert(index, now);
                self.market_dirty = true;
            }
        }
    }

    /// Gives up audits that nobody unrelated is there to make.
    pub(crate) fn give_up_seconds(&mut self) {
        let (now, grace) = (self.now, self.config.tuning.exhausted_ms);
        let mut over = Vec::new();
        for job in self.running.iter().filter_map(|id| self.jobs.get(id)) {
            for (index, since) in job.second.iter().take(256) {
                let can = |node: NodeId| {
                    job.task(*index).is_some_and(|t| t.may_run_at(Some(node)))
                        && self.may_judge(job, *index, node)
                };
                let offered = self
                    .offers
                    .values()
                    .map(|k| &k.signed.body)
                    .filter(|o| self.offer_obstacle(o).is_none());
                let hired = self.hires.values().map(crate::market::Hire::provider);
                let somebody = offered.map(|o| o.node).chain(hired).any(can);
                if !somebody && now.since_ms(*since) >= grace {
                    over.push((job.id(), *index));
                }
            }
        }
        for (job, index) in over {
            let reason = "no unrelated provider is in reach to execute it again (hint: give this \
                          node home slots)"
                .to_owned();
            self.commit(Record::AuditGivenUp { job, index, reason });
        }
    }

    /// Whether a provider's opinion on a task is worth something: nothing ties it to those who have
    /// signed already, and it was not outvoted in this job.
    pub(crate) fn may_judge(&self, job: &Job, index: u32, provider: NodeId) -> bool {
        !job.distrusted.contains(&provider)
            && job
                .task(index)
                .is_some_and(|task| task.signers().all(|other| !self.related(provider, other)))
    }

    /// Whether two providers are reached under one network prefix of the public internet.
    fn related(&self, one: NodeId, other: NodeId) -> bool {
        let prefixes = |node: &NodeId| {
            let offer = self.offers.get(node).map(|k| &k.signed.body.addr);
            let peer = self.peers.get(node).and_then(|p| p.addr.as_ref());
            let direct = offer.into_iter().chain(peer).flat_map(|a| a.direct.iter());
            direct.filter_map(|a| public_prefix(a.ip())).collect::<BTreeSet<_>>()
        };
        one == other || !prefixes(&one).is_disjoint(&prefixes(&other))
    }

    fn accept(&mut self, record: AcceptRecord) {
        let (id, index) = (record.job, record.index);
        let Some(before) = self.jobs.get(&id).and_then(|j| j.task(index)) else { return };
        let known = before.accepted.as_ref().map(|a| a.digest);
        let news = known != Some(digest_of(&record.outcome));
        let (outcome, provider, price) = (record.outcome.clone(), record.provider, record.price);
        self.commit(Record::TaskAccepted(record));
        self.announce(id, index, news, &outcome, provider, price);
    }

    fn announce(
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
    fn part_with(&mut self, provider: NodeId, reason: &str) {
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

    // --- home ---

    pub(crate) fn run_at_home(&mut self) {
        self.hand_audits_out();
        while !self.home_free.is_empty() && self.home_rests_until.is_none() {
            if let Some((id, index)) = self.next_audit() {
                self.audit_at_home(id, index);
            } else if let Some((id, index)) = self.next_home_task() {
                self.run_task_at_home(id, index, false);
            } else {
                return;
            }
        }
    }

    fn next_audit(&self) -> Option<(JobId, u32)> {
        let jobs = self.running.iter().filter_map(|id| self.jobs.get(id));
        jobs.filter_map(|job| Some((job.audits_running, job.id(), *job.audits.first()?)))
            .min()
            .map(|(_, id, index)| (id, index))
    }

    fn next_home_task(&self) -> Option<(JobId, u32)> {
        let mut jobs: Vec<&Job> = self
            .running
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .filter(|job| job.record.home && job.waiting() > 0)
            .collect();
        jobs.sort_by_key(|job| (job.in_flight, job.id()));
        jobs.into_iter().find_map(|job| {
            let fits = |index: &u32| {
                job.task(*index).is_some_and(|t| {
                    t.may_run_at(None)
                        && t.spec.limits.memory_bytes <= self.config.home.memory_bytes
                })
            };
            let retry = job.retry.iter().take(64).copied().find(|i| fits(i));
            Some((
                job.id(),
                retry.or_else(|| job.queue.iter().take(64).copied().find(|i| fits(i)))?,
            ))
        })
    }

    fn audit_at_home(&mut self, id: JobId, index: u32) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.audits.remove(&index);
        let Some(task) = job.task(index) else { return };
        let memory = task.spec.limits.memory_bytes;
        let spec = (*task.spec).clone();
        let timeout_ms = job.record.timeout_ms.saturating_mul(4);
        if memory > self.config.home.memory_bytes {
            let reason = format!(
                "it asks {memory} bytes of memory and home has {}",
                self.config.home.memory_bytes
            );
            self.commit(Record::AuditGivenUp { job: id, index, reason });
            return;
        }
        job.audits_running += 1;
        self.start_home(id, index, spec, timeout_ms, true);
    }

    pub(crate) fn run_task_at_home(&mut self, id: JobId, index: u32, duplicate: bool) {
        if self.home_free.is_empty() || self.home_rests_until.is_some() {
            return;
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(task) = job.task(index) else { return };
        let (spec, timeout_ms) = ((*task.spec).clone(), job.record.timeout_ms);
        let Some(run) = self.start_home(id, index, spec, timeout_ms, false) else { return };
        let live = Live { place: Place::Home(run), since: self.now, delivered: false };
        if let Some(job) = self.jobs.get_mut(&id) {
            job.attempt_began(index, live);
        }
        self.notice(Some(id), NoticeKind::Assigned { index, provider: None, duplicate });
    }

    fn start_home(
        &mut self,
        job: JobId,
        index: u32,
        task: TaskSpec,
        timeout_ms: u64,
        audit: bool,
    ) -> Option<RunId> {
        let slot = self.home_free.pop()?;
        let run = RunId(self.fresh_id());
        let since = self.now;
        self.home_runs.insert(run, HomeRun { slot, job, index, audit, since, abandoned: false });
        let purpose = if audit { Purpose::Audit } else { Purpose::Home };
        self.effects.push_back(Effect::Run { id: run, slot, task, timeout_ms, purpose });
        Some(run)
    }

    pub(crate) fn home_ran(&mut self, run: RunId, result: Result<Ran, Fault>) {
        let Some(home) = self.home_runs.remove(&run) else { return };
        self.home_free.push(home.slot);
        self.dirty = true;
        if matches!(&result, Err(fault) if fault.kind == FaultKind::DiskFull) {
            // Our own lack: trying at once would only use up the attempts.
            self.home_rests_until = Some(self.now.after_ms(self.config.tuning.journal_retry_ms));
        }
        if home.audit {
            if let Some(job) = self.jobs.get_mut(&home.job) {
                job.audits_running = job.audits_running.saturating_sub(1);
            }
            self.touched.insert(home.job);
            if !home.abandoned {
                self.audited(home.job, home.index, result);
            }
        } else if !home.abandoned {
            self.ran_at_home(&home, run, result);
        }
    }

    fn ran_at_home(&mut self, home: &HomeRun, run: RunId, result: Result<Ran, Fault>) {
        let (id, index, time) = (home.job, home.index, self.now);
        let ran = match result {
            Ok(ran) => ran,
            Err(fault) => return self.attempt_faulted(id, index, Place::Home(run), fault),
        };
        let digest = digest_of(&ran.outcome);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.attempt_ended(index, Place::Home(run));
        let took = time.since_ms(home.since);
        job.took(took);
        let stats = job.stats.entry(None).or_default();
        stats.delivered += 1;
        stats.fuel = stats.fuel.saturating_add(ran.outcome.fuel.0);
        stats.busy_ms = stats.busy_ms.saturating_add(took);
        let Some(task) = job.task_mut(index) else { return };
        task.remember(Attempt {
            provider: None,
            assigned: home.since,
            ended: Some(time),
            outcome: Some(digest),
            fault: None,
        });
        let phase = task.phase.clone();
        let nondeterministic = job.record.nondeterministic;
        let known = job.task(index).and_then(|t| t.accepted.as_ref());
        let known = known.map(|a| (a.digest, a.provider, a.audit));
        self.notice(Some(id), NoticeKind::Delivered { index, provider: None });
        match (phase, known) {
            (Phase::Failed(_), _) => {}
            // A straggler's second copy, run at home, is an audit of the first.
            (Phase::Done, Some((_, Some(_), Audit::No | Audit::Pending))) if !nondeterministic => {
                self.compare_with_home(id, index, ran.outcome);
            }
            (Phase::Done, _) => {}
            // A suspect result that home has run again is settled by home.
            (_, Some((_, Some(_), _))) if !nondeterministic => {
                self.compare_with_home(id, index, ran.outcome);
            }
            _ => self.accept(AcceptRecord {
                job: id,
                index,
                outcome: ran.outcome,
                provider: None,
                price: ayni_types::Amount(0),
                receipt: None,
                audit: Some(AuditDraw::NONE),
                time,
            }),
        }
    }

    fn audited(&mut self, id: JobId, index: u32, result: Result<Ran, Fault>) {
        let tries = self.config.tuning.audit_attempts_max;
        let fault = match result {
            Ok(ran) => return self.compare_with_home(id, index, ran.outcome),
            Err(fault) => fault,
        };
        let Some(job) = self.jobs.get_mut(&id).filter(|j| j.ended.is_none()) else { return };
        let accepted = job.task_mut(index).and_then(|t| t.accepted.as_mut());
        let Some(accepted) = accepted.filter(|a| a.audit == Audit::Pending) else { return };
        accepted.audit_faults += u32::from(fault.kind != FaultKind::DiskFull);
        if accepted.audit_faults < tries {
            job.audits.insert(index);
        } else {
            let reason = format!("home could not execute it {tries} times; the last: {fault}");
            self.commit(Record::AuditGivenUp { job: id, index, reason });
        }
    }

    /// Home has executed a task: its word against every signed one.
    fn compare_with_home(&mut self, id: JobId, index: u32, found: Outcome) {
        let Some(job) = self.jobs.get(&id).filter(|j| j.ended.is_none()) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        let digest = digest_of(&found);
        let time = self.now;
        let signer = accepted.provider;
        let claimed = accepted.digest;
        let mut liars: Vec<(NodeId, ayni_types::Digest)> = accepted
            .contested
            .iter()
            .filter(|c| c.digest != digest)
            .map(|c| (c.provider, c.digest))
            .collect();
        let before = job.reruns;
        if claimed == digest {
            self.commit(Record::AuditAgreed { job: id, index, time, by: None });
            if let Some(provider) = signer {
                self.notice_gated(id, NoticeKind::AuditAgreed { index, provider });
            }
        } else {
            liars.extend(signer.map(|s| (s, claimed)));
            let outcome = found.clone();
            self.commit(Record::Mismatch { job: id, index, found, time });
            self.announce(id, index, true, &outcome, None, ayni_types::Amount(0));
        }
        let rerun = self.jobs.get(&id).map_or(0, |j| j.reruns - before);
        for (provider, claimed) in liars {
            let kind = NoticeKind::Mismatch { index, provider, claimed, found: digest, rerun };
            self.notice_gated(id, kind);
            self.part_with(provider, "an audit found another outcome than it signed");
        }
        self.dirty = true;
        self.market_dirty = true;
    }
}

/// The network that an address of the public internet belongs to; nothing for those of a LAN, where
/// everybody is a neighbour.
fn public_prefix(ip: IpAddr) -> Option<[u8; 6]> {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local();
            (!local && !v4.is_unspecified()).then_some([4, a, b, c, 0, 0])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            let local = v6.is_loopback() || v6.is_unspecified() || a & 0xfe00 == 0xfc00;
            let [b0, b1] = b.to_be_bytes();
            let [c0, c1] = c.to_be_bytes();
            let [a0, a1] = a.to_be_bytes();
            (!local && a & 0xffc0 != 0xfe80).then_some([a0, a1, b0, b1, c0, c1])
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

/// Every blob of an outcome, once.
fn blobs_of(outcome: &Outcome) -> Vec<BlobRef> {
    let files = outcome.files.iter().map(|f| f.blob);
    let mut blobs: Vec<_> = files.chain([outcome.stdout, outcome.stderr]).collect();
    blobs.sort_unstable();
    blobs.dedup();
    blobs
}
