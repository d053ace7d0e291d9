//! How records change jobs: the half of [`Core::apply`] that decides what is accepted, failed,
//! suspect or banned. Runs live and at recovery; asks nothing of the world.

use ayni_types::{JobId, NodeId, Outcome, TaskSpec, Time};
use ayni_wire::{ReceiptFile, leaf_hash, merkle_proof, task_id};

use crate::core::Core;
use crate::job::{Accepted, Attempt, Audit, Contested, Evidence, Job, Phase, Task};
use crate::journal::{AcceptRecord, ReceiptAt, digest_of};
use crate::market::Ban;

impl Core {
    pub(crate) fn apply_tasks(&mut self, id: JobId, specs: Vec<TaskSpec>) {
        let reuse = self.jobs.get(&id).is_some_and(|j| !j.record.nondeterministic);
        for spec in specs {
            let mut task = Task::new(task_id(&spec), spec);
            let held = self.outcomes.get(&task.id).filter(|(from, _)| reuse && *from != id);
            let held = held.and_then(|(from, at)| self.jobs.get(from)?.task(*at)?.accepted.clone());
            let Some(job) = self.jobs.get_mut(&id) else { return };
            let index = u32::try_from(job.tasks.len()).expect("a job has at most a million tasks");
            if let Some(first) = job.by_id.get(&task.id).copied() {
                let leader = job.leader(first);
                task.durable = job.task(leader).is_some_and(|t| t.durable);
                task.phase = Phase::Twin(leader);
                job.twins.entry(leader).or_default().push(index);
                job.tasks.push(task);
                continue;
            }
            job.by_id.insert(task.id, index);
            if let Some(mut accepted) = held {
                accepted.held = true;
                task.accepted = Some(accepted);
                task.phase = Phase::Done;
                task.durable = true;
                job.tasks.push(task);
            } else {
                job.tasks.push(task);
                job.unfinished += 1;
                job.queue.insert(index);
            }
        }
        self.touched.insert(id);
    }

    pub(crate) fn apply_accepted(&mut self, record: AcceptRecord) {
        let durable = self.recovering;
        if let (Some(provider), Some(receipt)) = (record.provider, record.receipt) {
            let (job, index, price) = (record.job, record.index, record.price);
            self.apply_drawn(job, index, provider, receipt.lease, price, record.audit);
        }
        let Some(job) = self.jobs.get_mut(&record.job) else { return };
        let audit = record.audit.is_some_and(|a| a.drawn);
        let is_open = record.audit.is_none() && record.provider.is_some();
        let Some(task) = job.task_mut(record.index) else { return };
        let was_open = !matches!(task.phase, Phase::Done | Phase::Failed(_));
        task.phase = Phase::Done;
        task.durable = durable;
        let id = task.id;
        let digest = digest_of(&record.outcome);
        let agreed = task.votes.iter().filter(|v| v.digest == digest).count();
        // The others' opinions stay, as claims that somebody has to judge.
        let contested: Vec<_> =
            std::mem::take(&mut task.votes).into_iter().filter(|v| v.digest != digest).collect();
        task.accepted = Some(Box::new(Accepted {
            digest,
            outcome: record.outcome,
            provider: record.provider,
            price: record.price,
            receipt: record.receipt,
            audit: if audit { Audit::Pending } else { Audit::No },
            held: false,
            suspect: false,
            contested,
            audit_faults: 0,
            agreed_by: u32::try_from(agreed).unwrap_or(0) + 1,
            audited_by: None,
            seconded_by: Vec::new(),
            disputed: false,
        }));
        job.dequeue(record.index);
        if was_open {
            job.unfinished -= 1;
        }
        if audit {
            job.audits.insert(record.index);
            job.pending.insert(record.index);
        }
        self.touched.insert(record.job);
        if !audit && !is_open {
            self.hold(record.job, record.index, id);
        }
        if !audit {
            self.distrust_contested(record.job, record.index);
        }
    }

    /// Nobody is going to judge those who said something else than those who agreed.
    fn distrust_contested(&mut self, id: JobId, index: u32) {
        let task = self.jobs.get_mut(&id).and_then(|j| j.task_mut(index));
        let Some(accepted) = task.and_then(|t| t.accepted.as_mut()) else { return };
        for other in std::mem::take(&mut accepted.contested) {
            self.apply_distrust(id, other.provider);
        }
    }

    /// An opinion on a task that needs several to agree.
    pub(crate) fn apply_voted(&mut self, record: AcceptRecord) {
        let (recovering, now) = (self.recovering, self.now);
        let Some(job) = self.jobs.get_mut(&record.job) else { return };
        let (Some(provider), Some(receipt)) = (record.provider, record.receipt) else { return };
        job.opinions = job.opinions.saturating_add(record.price.0);
        let Some(task) = job.task_mut(record.index) else { return };
        let digest = digest_of(&record.outcome);
        if recovering {
            // Attempts are not journaled; that somebody answered must not be forgotten. Those who may
            // answer too have from now on to be found again.
            task.remember(Attempt {
                provider: Some(provider),
                assigned: record.time,
                ended: Some(now),
                outcome: Some(digest),
                fault: None,
            });
        }
        task.votes.push(Contested { outcome: record.outcome, digest, provider, receipt });
        if task.live.is_empty() && matches!(task.phase, Phase::Queued | Phase::Running) {
            task.phase = Phase::Queued;
        }
        job.want_more(record.index);
    }

    /// Makes a settled outcome available to later jobs.
    pub(crate) fn hold(&mut self, job: JobId, index: u32, id: ayni_types::TaskId) {
        if self.jobs.get(&job).is_some_and(|j| !j.record.nondeterministic) {
            self.outcomes.insert(id, (job, index));
        }
    }

    pub(crate) fn apply_failed(&mut self, id: JobId, index: u32, reason: &str) {
        let durable = self.recovering;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.dequeue(index);
        job.audits.remove(&index);
        job.pending.remove(&index);
        job.second.remove(&index);
        let Some(task) = job.task_mut(index) else { return };
        if !matches!(task.phase, Phase::Done | Phase::Failed(_)) {
            task.phase = Phase::Failed(reason.into());
            task.durable = durable;
            task.accepted = None;
            job.unfinished -= 1;
        }
        self.touched.insert(id);
    }

    pub(crate) fn apply_audit_settled(
        &mut self,
        id: JobId,
        index: u32,
        end: Audit,
        by: Option<NodeId>,
        time: Time,
    ) {
        self.apply_agreement(id, index, end, by, time);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.audits.remove(&index);
        job.pending.remove(&index);
        job.second.remove(&index);
        match end {
            Audit::Agreed => job.audits_agreed += 1,
            _ => job.audits_given_up += 1,
        }
        let Some(task) = job.task_mut(index) else { return };
        let task_id = task.id;
        let Some(accepted) = task.accepted.as_mut() else { return };
        accepted.audit = end;
        accepted.audited_by = by;
        let contested = std::mem::take(&mut accepted.contested);
        if end == Audit::Agreed {
            accepted.suspect = false;
            let found = accepted.outcome.clone();
            if !matches!(task.phase, Phase::Done) {
                task.phase = Phase::Done;
                job.unfinished -= 1;
                job.dequeue(index);
            }
            self.touched.insert(id);
            self.hold(id, index, task_id);
            // Whoever signed something else for it has lied.
            for other in contested {
                match by {
                    None => self.add_evidence(id, index, &other, &found, time),
                    Some(_) => self.apply_distrust(id, other.provider),
                }
            }
            return;
        }
        self.touched.insert(id);
        // Unaudited after all, by somebody who has lied since: run it again.
        if !contested.is_empty() {
            accepted.disputed = true;
        }
        let disputed = accepted.disputed;
        let unsure = end == Audit::GivenUp
            && task.phase == Phase::Done
            && task
                .accepted
                .as_ref()
                .and_then(|a| a.provider)
                .is_some_and(|p| self.banned.contains_key(&p));
        if unsure {
            if let Some(accepted) = task.accepted.as_mut() {
                accepted.suspect = true;
            }
            job.unfinished += 1;
            job.reruns += 1;
            job.enqueue(index);
        } else if !disputed {
            self.hold(id, index, task_id);
        }
    }

    /// Another provider found the accepted outcome too. It is paid, and its word counts once.
    pub(crate) fn apply_seconded(
        &mut self,
        id: JobId,
        index: u32,
        by: NodeId,
        price: ayni_types::Amount,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.opinions = job.opinions.saturating_add(price.0);
        let Some(accepted) = job.task_mut(index).and_then(|t| t.accepted.as_mut()) else { return };
        if !accepted.seconded_by.contains(&by) {
            accepted.seconded_by.push(by);
        }
    }

    pub(crate) fn apply_contested(&mut self, record: AcceptRecord) {
        let Some(job) = self.jobs.get_mut(&record.job) else { return };
        let index = record.index;
        job.opinions = job.opinions.saturating_add(record.price.0);
        let Some(accepted) = job.task_mut(index).and_then(|t| t.accepted.as_mut()) else { return };
        let (Some(provider), Some(receipt)) = (record.provider, record.receipt) else { return };
        accepted.contested.push(Contested {
            digest: digest_of(&record.outcome),
            outcome: record.outcome,
            provider,
            receipt,
        });
        accepted.audit = Audit::Pending;
        job.audits.insert(index);
        job.pending.insert(index);
        let id = job.tasks[index as usize].id;
        self.outcomes.remove(&id);
        self.touched.insert(record.job);
    }

    pub(crate) fn apply_mismatch(&mut self, id: JobId, index: u32, found: Outcome, time: Time) {
        let durable = self.recovering;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.audits.remove(&index);
        job.pending.remove(&index);
        job.second.remove(&index);
        let Some(task) = job.task_mut(index) else { return };
        let task_id = task.id;
        let was_open = !matches!(task.phase, Phase::Done | Phase::Failed(_));
        task.phase = Phase::Done;
        task.durable = durable;
        let digest = digest_of(&found);
        let fresh = Box::new(Accepted {
            outcome: found.clone(),
            digest,
            provider: None,
            price: ayni_types::Amount(0),
            receipt: None,
            audit: Audit::No,
            held: false,
            suspect: false,
            contested: Vec::new(),
            audit_faults: 0,
            agreed_by: 0,
            audited_by: None,
            seconded_by: Vec::new(),
            disputed: false,
        });
        let old = task.accepted.replace(fresh);
        job.dequeue(index);
        if was_open {
            job.unfinished -= 1;
        }
        if let Some(mut old) = old {
            // They found it too; their receipts are in the journal, the evidence is its author's.
            for other in std::mem::take(&mut old.seconded_by) {
                if old.digest != digest {
                    self.apply_distrust(id, other);
                }
            }
            let mut claims = old.contested;
            if let (Some(provider), Some(receipt)) = (old.provider, old.receipt) {
                claims.push(Contested {
                    outcome: old.outcome,
                    digest: old.digest,
                    provider,
                    receipt,
                });
            }
            for claim in claims.into_iter().filter(|c| c.digest != digest) {
                self.add_evidence(id, index, &claim, &found, time);
            }
        }
        self.touched.insert(id);
        self.hold(id, index, task_id);
    }

    fn add_evidence(
        &mut self,
        id: JobId,
        index: u32,
        claim: &Contested,
        found: &Outcome,
        time: Time,
    ) {
        let spec = self.jobs.get(&id).and_then(|j| j.task(index)).map(|t| (*t.spec).clone());
        let claimed = spec.and_then(|s| self.receipt_file(s, claim.outcome.clone(), claim.receipt));
        if let Some(claimed) = claimed
            && let Some(job) = self.jobs.get_mut(&id)
        {
            job.evidence.push(Evidence {
                index,
                provider: claim.provider,
                time,
                claimed,
                found: found.clone(),
            });
        }
        let reason = format!("signed another outcome than home found for task {index} of job {id}");
        self.apply_ban(claim.provider, reason, time);
    }

    /// What an agreement tells about the author of the accepted outcome.
    fn apply_agreement(
        &mut self,
        id: JobId,
        index: u32,
        end: Audit,
        by: Option<NodeId>,
        time: Time,
    ) {
        if end != Audit::Agreed {
            return;
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        let Some(author) = accepted.provider else { return };
        let honest = 1_000_000_u32.saturating_sub(job.record.verify.hostile);
        let milli = if by.is_none() { 1_000 } else { u64::from(honest / 1_000) };
        job.ledgers.entry(author).or_default().agreed_milli += milli;
        self.apply_trust(author, milli, time);
    }

    /// More providers agreed on another outcome. Who is wrong is not proven: nobody is banned.
    pub(crate) fn apply_outvoted(
        &mut self,
        id: JobId,
        index: u32,
        digest: ayni_types::Digest,
        time: Time,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(accepted) = job.task_mut(index).and_then(|t| t.accepted.as_mut()) else { return };
        let Some(at) = accepted.contested.iter().position(|c| c.digest == digest) else { return };
        let winner = accepted.contested.remove(at);
        let agree = accepted.contested.iter().filter(|c| c.digest == digest);
        let backers: Vec<NodeId> = agree.map(|c| c.provider).collect();
        let backer = backers.last().copied();
        let losers = std::mem::replace(&mut accepted.seconded_by, backers);
        let loser = accepted.provider.zip(accepted.receipt);
        if let Some((provider, receipt)) = loser {
            accepted.contested.push(Contested {
                outcome: accepted.outcome.clone(),
                digest: accepted.digest,
                provider,
                receipt,
            });
        }
        accepted.contested.retain(|c| c.digest != digest);
        accepted.outcome = winner.outcome;
        accepted.digest = digest;
        accepted.provider = Some(winner.provider);
        accepted.receipt = Some(winner.receipt);
        self.apply_audit_settled(id, index, Audit::Agreed, backer, time);
        for other in losers {
            self.apply_distrust(id, other);
        }
    }

    /// Nothing more of this provider in this job, and what nobody checked is run again.
    fn apply_distrust(&mut self, id: JobId, provider: NodeId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if !job.distrusted.insert(provider) || job.ended.is_some() {
            return;
        }
        job.ledgers.entry(provider).or_default().undecided.clear();
        for index in doubtful_results(job, provider) {
            let Some(task) = job.tasks.get_mut(index as usize) else { continue };
            self.outcomes.remove(&task.id);
            if let Some(accepted) = task.accepted.as_mut() {
                accepted.suspect = true;
            }
            job.unfinished += 1;
            job.reruns += 1;
            job.enqueue(index);
        }
        self.touched.insert(id);
    }

    /// Nobody works with this provider any more, and what it did unaudited is run again.
    pub(crate) fn apply_ban(&mut self, provider: NodeId, reason: String, time: Time) {
        self.banned.entry(provider).or_insert(Ban { reason, time });
        self.trust.remove(&provider);
        for (id, job) in &mut self.jobs {
            let ended = job.ended.is_some();
            if let Some(ledger) = job.ledgers.get_mut(&provider) {
                ledger.undecided.clear();
            }
            for index in 0..job.tasks.len() {
                if job.tasks[index].votes.iter().any(|v| v.provider == provider) {
                    job.tasks[index].votes.retain(|v| v.provider != provider);
                    job.want_more(u32::try_from(index).unwrap_or(u32::MAX));
                }
            }
            let doubtful = doubtful_results(job, provider);
            for index in doubtful {
                let Some(task) = job.tasks.get_mut(index as usize) else { continue };
                self.outcomes.remove(&task.id);
                if let Some(accepted) = task.accepted.as_mut() {
                    accepted.suspect = true;
                }
                if !ended {
                    job.unfinished += 1;
                    job.reruns += 1;
                    job.enqueue(index);
                    self.touched.insert(*id);
                }
            }
        }
    }

    /// A receipt that stands alone, from what the journal holds.
    pub(crate) fn receipt_file(
        &self,
        task: TaskSpec,
        outcome: Outcome,
        at: ReceiptAt,
    ) -> Option<ReceiptFile> {
        let batch = self.batches.get(&(at.lease, at.batch))?;
        let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
        Some(ReceiptFile {
            version: 1,
            task,
            outcome,
            receipt: batch.receipts.get(at.leaf as usize)?.clone(),
            proof: merkle_proof(&leaves, at.leaf as usize)?,
            header: batch.header,
            signature: batch.signature,
            lease: self.leases.get(&at.lease)?.clone(),
        })
    }
}

/// Accepted results of `provider` that nobody has checked and no audit is going to.
fn doubtful_results(job: &Job, provider: NodeId) -> Vec<u32> {
    let doubtful = |task: &Task| {
        task.phase == Phase::Done
            && task.accepted.as_ref().is_some_and(|a| {
                a.provider == Some(provider) && matches!(a.audit, Audit::No | Audit::GivenUp)
            })
    };
    if job.record.nondeterministic {
        return Vec::new();
    }
    (0..).zip(&job.tasks).filter(|(_, t)| doubtful(t)).map(|(i, _)| i).collect()
}
