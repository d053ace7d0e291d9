//! The requester's own cores: audits first, then tasks of jobs that want them. Home is the one machine
//! that a requester trusts, so its word settles every claim.
//!
//! Deliberately not here: which results are audited (`draws`).

use ayni_types::{Fault, FaultKind, JobId, NodeId, Outcome, TaskSpec, Time};

use crate::core::Core;
use crate::effect::{Effect, NoticeKind, Purpose, RunId, SlotId};
use crate::event::Ran;
use crate::job::{Attempt, Audit, Job, Live, Phase, Place};
use crate::journal::{AcceptRecord, AuditDraw, Record, digest_of};

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

impl Core {
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
    pub(crate) fn compare_with_home(&mut self, id: JobId, index: u32, found: Outcome) {
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
