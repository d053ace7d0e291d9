//! Who runs what next: fair shares between jobs, windows per lease, retries elsewhere, stragglers
//! twice, home last; and the heartbeat that notices silence.
//!
//! Each step costs the number of leases plus the number of running jobs, never the number of tasks.

use std::collections::{BTreeMap, BTreeSet};

use ayni_types::{AssignmentId, Fault, FaultKind, JobId, LeaseId, NodeId, Time, limits};
use ayni_wire::Message;

use crate::core::Core;
use crate::effect::NoticeKind;
use crate::gate::Then;
use crate::job::{Attempt, Audit, Job, Live, Phase, Place};
use crate::journal::Record;
use crate::market::{HireState, WORK_PER_LEASE_MAX, Work};

/// Tasks looked at for one that fits, per job and lease.
const LOOK_MAX: usize = 64;

impl Core {
    pub(crate) fn dispatch(&mut self) {
        if self.gate.failed().is_some() {
            return;
        }
        self.run_at_home();
        self.fill_leases();
        if self.market_dirty {
            self.market_dirty = false;
            self.hire_more();
        }
        if self.wants_offers() && self.query_at.is_none() {
            let earliest =
                self.queried_at.map_or(self.now, |at| at.after_ms(self.config.tuning.query_ms));
            self.query_at = Some(earliest.max(self.now.after_ms(1)));
        }
        self.start_tenants();
    }

    // --- leases ---

    fn fill_leases(&mut self) {
        let mut open: BTreeMap<LeaseId, (NodeId, usize, usize, usize)> = BTreeMap::new();
        for (id, hire) in &self.hires {
            if hire.state == HireState::Active
                && hire.down_since.is_none()
                && hire.rest_until <= self.now
                && hire.work.len() < WORK_PER_LEASE_MAX
            {
                let slots = (hire.lease().slots as usize).max(1);
                let least = self.config.tuning.window_per_slot.max(1) as usize;
                let depth = hire.pace.depth(least, slots);
                open.insert(*id, (hire.provider(), slots, hire.undelivered, depth));
            }
        }
        if open.is_empty() {
            return;
        }
        let waiting: usize =
            self.running.iter().filter_map(|j| self.jobs.get(j)).map(Job::waiting).sum();
        let slots: usize = open.values().map(|o| o.1).sum();
        // A second assignment per slot hides the network, and many do where tasks are tiny; near the
        // end they would only hoard.
        let share = waiting / (slots * 2).max(1);
        let least = self.config.tuning.window_per_slot.max(1) as usize;
        let most = if waiting > slots * 2 { share.max(least) } else { 1 };
        loop {
            let next = open
                .iter()
                .filter(|(_, (_, slots, busy, depth))| {
                    *busy < (slots * depth.min(&most)).min(limits::LEASE_WINDOW_MAX)
                })
                .min_by_key(|(id, (_, slots, busy, _))| (busy * 1_000 / slots, **id))
                .map(|(id, (provider, ..))| (*id, *provider));
            let Some((lease, provider)) = next else { return };
            match self.pick(lease, provider) {
                Some((job, index)) => {
                    self.assign(lease, job, index, false);
                    if let Some(entry) = open.get_mut(&lease) {
                        entry.2 += 1;
                    }
                }
                None => {
                    open.remove(&lease);
                }
            }
        }
    }

    /// The next task for a lease: the job with the least in flight first.
    fn pick(&self, lease: LeaseId, provider: NodeId) -> Option<(JobId, u32)> {
        let mut jobs: Vec<&Job> = self
            .running
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .filter(|job| job.waiting() > 0 && self.job_may_use(job, provider))
            .collect();
        jobs.sort_by_key(|job| (job.in_flight, job.id()));
        jobs.into_iter().find_map(|job| {
            let fits = |index: &u32| self.fits(job, *index, lease, provider);
            let second = job.second.keys().take(LOOK_MAX).copied().find(|i| fits(i));
            if let Some(index) = second {
                return Some((job.id(), index));
            }
            let retry = job.retry.iter().take(LOOK_MAX * 4).copied().find(|i| fits(i));
            let fresh = || job.queue.iter().take(LOOK_MAX).copied().find(|i| fits(i));
            Some((job.id(), retry.or_else(fresh)?))
        })
    }

    fn job_may_use(&self, job: &Job, provider: NodeId) -> bool {
        job.in_flight_by.contains_key(&provider)
            || job.in_flight_by.len() < job.record.providers_max as usize
    }

    fn fits(&self, job: &Job, index: u32, lease: LeaseId, provider: NodeId) -> bool {
        let Some(hire) = self.hires.get(&lease) else { return false };
        let terms = hire.lease();
        job.task(index).is_some_and(|task| task.may_run_at(Some(provider)))
            && self.worth_asking(job, index, provider)
            && self
                .job_obstacle(job, index, &terms.price, terms.memory_bytes, terms.fuel_per_second)
                .is_none()
            && self.affords_now(job, index, lease)
    }

    fn assign(&mut self, lease: LeaseId, id: JobId, index: u32, duplicate: bool) {
        let now = self.now;
        let program_ms = self.config.tuning.compile_ms_max;
        if let Some(number) = self.hires.get(&lease).map(|h| h.next_number) {
            self.reserve(AssignmentId { lease, number }, id, index);
        }
        let Some(hire) = self.hires.get_mut(&lease) else { return };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (number, provider) = (hire.next_number, hire.provider());
        hire.next_number += 1;
        hire.busy = now;
        let ahead = hire.undelivered / (hire.lease().slots as usize).max(1);
        hire.undelivered += 1;
        hire.work.insert(
            number,
            Work {
                job: id,
                index,
                since: now,
                uncounted_ms: hire.patience.uncounted_ms(now, program_ms),
                delivered: None,
                delivered_at: now,
                fetch: None,
                fetch_tries: 0,
                fetch_at: None,
                fetched: false,
                leaf: None,
                abandoned: false,
                ahead: ahead as u64,
            },
        );
        let place = Place::Lease { lease, number, provider };
        job.attempt_began(index, Live { place, since: now, delivered: false });
        if let Some(message) = self.assign_message(AssignmentId { lease, number }, id, index) {
            self.send(provider, message);
        }
        self.notice(Some(id), NoticeKind::Assigned { index, provider: Some(provider), duplicate });
    }

    /// A provider says that it has no outcome.
    pub(crate) fn faulted(&mut self, from: NodeId, id: AssignmentId, fault: Fault) {
        let now = self.now;
        let Some(hire) = self.hires.get_mut(&id.lease).filter(|h| h.provider() == from) else {
            return;
        };
        let delivered = hire.work.get(&id.number).is_none_or(|w| w.delivered.is_some());
        if delivered {
            return;
        }
        let Some(work) = hire.work.remove(&id.number) else { return };
        hire.undelivered -= 1;
        if work.abandoned
            && let Some(task) = self.jobs.get(&work.job).and_then(|j| j.task(work.index))
        {
            // Our cancelling may have overtaken the assignment, which is then executed all the same.
            hire.given_up.insert(id.number, (task.id, task.spec.limits.fuel));
        } else {
            self.release(id);
        }
        let Some(hire) = self.hires.get_mut(&id.lease) else { return };
        hire.heard = now;
        if !matches!(fault.kind, FaultKind::InvalidProgram | FaultKind::Cancelled) {
            // Whoever faults again and again gets less and less to fault.
            hire.faults_in_row += 1;
            if hire.faults_in_row >= 4 {
                let rest = 250_u64 << hire.faults_in_row.min(10);
                hire.rest_until = now.after_ms(rest);
            }
        }
        let drained = fault.kind == FaultKind::Draining;
        if drained {
            hire.state = HireState::Ending;
        }
        if !work.abandoned {
            let detail = fault.detail.chars().take(limits::TEXT_BYTES_MAX / 4).collect();
            let place = Place::Lease { lease: id.lease, number: id.number, provider: from };
            self.attempt_faulted(work.job, work.index, place, Fault { kind: fault.kind, detail });
        }
        self.close_if_done(id.lease);
        self.dirty = true;
    }

    /// An attempt ended without an outcome: books, notice, and what becomes of the task.
    pub(crate) fn attempt_faulted(&mut self, id: JobId, index: u32, place: Place, fault: Fault) {
        let now = self.now;
        let provider = place.provider();
        let tuning = (self.config.tuning.attempts_max, self.config.tuning.same_fault_max);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(live) = job.attempt_ended(index, place) else { return };
        job.faults += 1;
        let stats = job.stats.entry(provider).or_default();
        match fault.kind {
            FaultKind::Lost => stats.lost += 1,
            _ => stats.faulted += 1,
        }
        let Some(task) = job.task_mut(index) else { return };
        task.remember(Attempt {
            provider,
            assigned: live.since,
            ended: Some(now),
            outcome: None,
            fault: Some(fault.clone()),
        });
        let history = task.history();
        history.last_fault = Some((now, fault.clone()));
        let own_disk = provider.is_none() && fault.kind == FaultKind::DiskFull;
        if own_disk || fault.kind == FaultKind::Draining {
            // Our own disk says nothing about the task, nor does an owner who wants a machine back;
            // whoever hands back is left alone for a while, so that this makes no haste.
            history.attempts = history.attempts.saturating_sub(1);
        }
        if counts_against_task(fault.kind) && !history.faulted.iter().any(|f| f.0 == provider) {
            history.faulted.push((provider, fault.kind));
        }
        let alike = history.faulted.iter().filter(|f| f.1 == fault.kind).count();
        let attempts = history.attempts;
        let over = if alike >= tuning.1 as usize {
            Some(format!("{alike} machines gave the same fault: {fault}"))
        } else if attempts >= tuning.0 {
            Some(format!("{attempts} attempts without an outcome; the last: {fault}"))
        } else {
            None
        };
        let idle = task.phase == Phase::Running && task.live.is_empty();
        let audit = task.accepted.as_ref().is_some_and(|a| a.audit == Audit::Pending)
            && provider.is_some()
            && !job.audits.contains(&index);
        if idle && over.is_none() {
            job.enqueue(index);
        }
        job.want_more(index);
        if audit && over.is_none() {
            job.second.insert(index, now);
        } else if audit && let Some(reason) = &over {
            let reason = format!("no other provider could execute it: {reason}");
            self.commit(Record::AuditGivenUp { job: id, index, reason });
        }
        let kind = fault.kind;
        self.notice(Some(id), NoticeKind::TaskFaulted { index, provider, fault });
        if let Some(reason) = over.filter(|_| idle) {
            self.fail_task(id, index, reason, Some(kind));
        }
        self.dirty = true;
        self.market_dirty = true;
    }

    pub(crate) fn fail_task(
        &mut self,
        id: JobId,
        index: u32,
        reason: String,
        fault: Option<FaultKind>,
    ) {
        let time = self.now;
        self.commit(Record::TaskFailed { job: id, index, reason: reason.clone(), fault, time });
        for index in self.with_twins(id, index) {
            self.gated(Then::TaskDurable(id, index));
            self.notice_gated(id, NoticeKind::TaskFailed { index, reason: reason.clone() });
        }
    }

    /// A task and those that end as it ends.
    pub(crate) fn with_twins(&self, id: JobId, index: u32) -> Vec<u32> {
        let twins = self.jobs.get(&id).and_then(|j| j.twins.get(&index));
        std::iter::once(index).chain(twins.into_iter().flatten().copied()).collect()
    }

    // --- the heartbeat ---

    pub(crate) fn requester_heartbeat(&mut self) {
        self.dirty = true;
        self.market_dirty = true;
        self.look_after_leases();
        self.retry_fetches();
        self.pass_deadlines();
        self.fail_short();
        self.fail_exhausted();
        self.give_up_seconds();
        self.duplicate_stragglers();
        self.explain_stalls();
    }

    fn look_after_leases(&mut self) {
        let now = self.now;
        let tuning = &self.config.tuning;
        let mut lost: Vec<(LeaseId, String)> = Vec::new();
        let mut given_up: Vec<LeaseId> = Vec::new();
        let mut ended: Vec<(LeaseId, NodeId)> = Vec::new();
        let mut pings: BTreeMap<NodeId, Vec<LeaseId>> = BTreeMap::new();
        let useful: BTreeSet<LeaseId> = self
            .hires
            .iter()
            .filter(|(id, hire)| self.pick(**id, hire.provider()).is_some())
            .map(|(id, _)| *id)
            .collect();
        for (id, hire) in &mut self.hires {
            let peer = self.peers.get(&hire.provider());
            let (up, heard) = peer.map_or((false, Time(0)), |p| (p.up, p.heard));
            hire.heard = hire.heard.max(heard);
            if hire.state == HireState::Asked {
                if now.since_ms(hire.busy) >= tuning.ask_ms {
                    given_up.push(*id);
                }
                continue;
            }
            hire.down_since = if up { None } else { hire.down_since.or(Some(now)) };
            if !hire.work.is_empty() || useful.contains(id) {
                hire.busy = now;
            }
            let down_ms = hire.down_since.map_or(0, |at| now.since_ms(at));
            if down_ms >= tuning.down_grace_ms {
                lost.push((*id, format!("no connection for {} s", down_ms / 1_000)));
            } else if now.since_ms(hire.heard) >= tuning.silence_ms {
                let silent = now.since_ms(hire.heard) / 1_000;
                lost.push((*id, format!("silent for {silent} s")));
            } else {
                // Nothing new from then on; what is in flight is awaited however long it takes, as its
                // job allows.
                let almost = hire.full.lease.expires.0.saturating_sub(tuning.lease_ms / 20);
                let idle = now.since_ms(hire.busy) >= tuning.lease_idle_ms;
                if hire.state == HireState::Active && (idle || now.0 >= almost) {
                    ended.push((*id, hire.provider()));
                }
                if now.since_ms(hire.pinged) >= tuning.ping_ms {
                    hire.pinged = now;
                    pings.entry(hire.provider()).or_default().push(*id);
                }
            }
        }
        for (lease, reason) in lost {
            self.lose_hire(lease, &reason);
        }
        for lease in given_up {
            if let Some(provider) = self.hires.get(&lease).map(crate::market::Hire::provider) {
                let rest = self.config.tuning.refusal_rest_ms;
                self.shun(provider, "does not answer", "is it reachable? try `doctor`", rest);
                self.send(provider, Message::LeaseEnd { lease });
            }
            self.drop_hire(lease, "no answer");
        }
        for (lease, provider) in ended {
            if let Some(hire) = self.hires.get_mut(&lease) {
                hire.state = HireState::Ending;
            }
            self.send(provider, Message::LeaseEnd { lease });
            self.close_if_done(lease);
        }
        for (provider, leases) in pings {
            self.send(provider, Message::Ping { leases });
        }
        self.expire_assignments();
    }

    /// Presumes an assignment lost that should have ended long ago, compiling not counted.
    fn expire_assignments(&mut self) {
        let now = self.now;
        let margin = self.config.tuning.assignment_margin_ms;
        let window = u64::from(self.config.tuning.window_per_slot);
        let sign_ms = self.config.tuning.sign_ms;
        let program_ms = self.config.tuning.compile_ms_max;
        let mut unsigned = Vec::new();
        let mut overdue = Vec::new();
        for (id, hire) in &self.hires {
            let uncounted = hire.patience.uncounted_ms(now, program_ms);
            for (number, work) in &hire.work {
                let timeout = self.jobs.get(&work.job).map_or(0, |j| j.record.timeout_ms);
                let depth = work.ahead.max(window) + 1;
                let allowed = timeout.saturating_mul(depth).saturating_add(margin);
                let compiled = uncounted.saturating_sub(work.uncounted_ms);
                if work.delivered.is_some() && work.leaf.is_none() {
                    if now.since_ms(work.delivered_at) > sign_ms {
                        unsigned.push(*id);
                        break;
                    }
                } else if now.since_ms(work.since).saturating_sub(compiled) > allowed {
                    let assignment = AssignmentId { lease: *id, number: *number };
                    overdue.push((assignment, hire.provider(), work.job, work.since));
                }
            }
        }
        for lease in unsigned {
            self.lose_hire(lease, "it delivered outcomes and does not sign them");
        }
        for (assignment, provider, id, since) in overdue {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.stalled_at(provider, since, now);
            }
            self.send(provider, Message::Cancel { assignment });
            let detail = "overdue".to_owned();
            self.drop_work(assignment, Fault { kind: FaultKind::Timeout, detail });
        }
    }

    /// Takes one assignment out of its lease as faulted.
    pub(crate) fn drop_work(&mut self, id: AssignmentId, fault: Fault) {
        let Some(hire) = self.hires.get_mut(&id.lease) else { return };
        let provider = hire.provider();
        let Some(work) = hire.work.remove(&id.number) else { return };
        hire.undelivered -= usize::from(work.delivered.is_none());
        if work.leaf.is_none()
            && let Some(task) = self.jobs.get(&work.job).and_then(|j| j.task(work.index))
        {
            hire.given_up.insert(id.number, (task.id, task.spec.limits.fuel));
        }
        if let Some(fetch) = work.fetch {
            self.fetches.remove(&fetch);
            self.effects.push_back(crate::effect::Effect::CancelFetch(fetch));
        }
        if !work.abandoned {
            let place = Place::Lease { lease: id.lease, number: id.number, provider };
            self.attempt_faulted(work.job, work.index, place, fault);
        }
        self.close_if_done(id.lease);
    }

    fn pass_deadlines(&mut self) {
        let over: Vec<JobId> = self
            .running
            .iter()
            .filter(|id| {
                let deadline = self.jobs.get(id).and_then(|j| j.record.deadline);
                deadline.is_some_and(|d| d <= self.now)
            })
            .copied()
            .collect();
        for id in over {
            let Some(job) = self.jobs.get(&id) else { continue };
            let open: Vec<u32> = (0..)
                .zip(&job.tasks)
                .filter(|(_, t)| matches!(t.phase, Phase::Queued | Phase::Running))
                .map(|(index, _)| index)
                .collect();
            let was_open = job.record.open;
            for index in open {
                self.stop_attempts(id, Some(index));
                self.fail_task(id, index, "the job's deadline passed".to_owned(), None);
            }
            if was_open {
                self.commit(Record::JobClosed { job: id });
            }
        }
    }

    /// Providers that may be asked for something within a minute.
    pub(crate) fn reachable(&self) -> BTreeSet<NodeId> {
        // Whoever broke the protocol is left alone for much longer than this.
        let soon = self.now.after_ms(60_000);
        let offered = self.offers.values().filter(|k| k.until > self.now);
        offered
            .map(|k| k.signed.body.node)
            .filter(|node| !self.banned.contains_key(node))
            .filter(|node| self.shunned.get(node).is_none_or(|s| s.until <= soon))
            .chain(self.hires.values().map(crate::market::Hire::provider))
            .collect()
    }

    /// Fails tasks that every provider in reach has already faulted.
    fn fail_exhausted(&mut self) {
        let now = self.now;
        let grace = self.config.tuning.exhausted_ms;
        let quorum_wait = self.config.tuning.quorum_wait_ms;
        let reachable = self.reachable();
        let home = self.config.home.slots > 0;
        let fits = |job: &Job, index: u32, node: &NodeId| {
            let Some(offer) = self.offers.get(node).map(|known| &known.signed.body) else {
                return true;
            };
            self.job_obstacle(job, index, &offer.price, offer.memory_bytes, offer.fuel_per_second)
                .is_none()
        };
        let mut over = Vec::new();
        for id in &self.running {
            let Some(job) = self.jobs.get(id) else { continue };
            // Without a quorum nobody has voted: a look at all that wait would find nothing.
            let queue = (job.record.verify.quorum > 1).then_some(&job.queue).into_iter().flatten();
            let voted = queue.filter(|i| job.task(**i).is_some_and(|t| !t.votes.is_empty()));
            for index in job.retry.iter().chain(voted).take(LOOK_MAX * 4) {
                let Some(task) = job.task(*index) else { continue };
                if !task.live.is_empty() {
                    continue;
                }
                let last = task.history.as_ref().and_then(|h| h.last_fault.clone());
                let answered = task.history.as_ref().and_then(|h| h.ended.last()?.ended);
                let few = || Fault {
                    kind: FaultKind::Lost,
                    detail: format!(
                        "{} of {} unrelated providers that must agree have answered",
                        task.votes.len(),
                        job.record.verify.quorum
                    ),
                };
                let Some((at, fault)) = last.or_else(|| Some((answered?, few()))) else {
                    continue;
                };
                let elsewhere = reachable.iter().any(|node| {
                    task.may_run_at(Some(*node))
                        && self.worth_asking(job, *index, *node)
                        && fits(job, *index, node)
                });
                let at_home = home && job.record.home && task.may_run_at(None);
                let nobody = reachable.is_empty() && job.record.providers_max > 0;
                // Somebody who is away now may be the one that a quorum lacks.
                let grace = if job.record.verify.quorum > 1 { quorum_wait } else { grace };
                let at = answered.map_or(at, |answered| answered.max(at));
                if !elsewhere && !at_home && !nobody && now.since_ms(at) >= grace {
                    over.push((*id, *index, fault));
                }
            }
        }
        for (id, index, fault) in over {
            let reason = format!("no machine in reach is left to try it on; the last: {fault}");
            self.fail_task(id, index, reason, Some(fault.kind));
        }
    }

    /// Gives the slowest tasks to somebody else too, once nothing else is left to hand out.
    fn duplicate_stragglers(&mut self) {
        let (now, tuning) = (self.now, &self.config.tuning);
        if self.gate.failed().is_some() {
            return;
        }
        let mut slow: Vec<(Time, JobId, u32)> = Vec::new();
        let on_leases = self.hires.values().flat_map(|h| h.work.values());
        let remote = on_leases
            .filter(|w| w.delivered.is_none() && !w.abandoned)
            .map(|w| (w.since, w.job, w.index));
        let at_home = self
            .home_runs
            .values()
            .filter(|h| !h.audit && !h.abandoned)
            .map(|h| (h.since, h.job, h.index));
        for (since, id, index) in remote.chain(at_home) {
            let Some(job) = self.jobs.get(&id).filter(|j| j.waiting() == 0) else { continue };
            let usual = job.median_ms().map_or(job.record.timeout_ms / 2, |median| {
                median.saturating_mul(tuning.straggler_percent) / 100
            });
            let once =
                job.task(index).is_some_and(|t| t.live.len() == 1 && t.phase == Phase::Running);
            if once && now.since_ms(since) > usual.max(tuning.straggler_ms_min) {
                slow.push((since, id, index));
            }
        }
        slow.sort_unstable();
        for (_, id, index) in slow {
            let Some(job) = self.jobs.get(&id) else { continue };
            let spare = self.hires.iter().find(|(lease, hire)| {
                hire.state == HireState::Active
                    && hire.down_since.is_none()
                    && hire.rest_until <= now
                    && hire.undelivered < hire.lease().slots as usize
                    && hire.work.len() < WORK_PER_LEASE_MAX
                    && self.job_may_use(job, hire.provider())
                    && self.fits(job, index, **lease, hire.provider())
            });
            if let Some(lease) = spare.map(|(lease, _)| *lease) {
                self.assign(lease, id, index, true);
            } else if job.record.home && job.task(index).is_some_and(|t| t.may_run_at(None)) {
                self.run_task_at_home(id, index, true);
            }
        }
    }

    /// Says why nothing moves, when nothing moves, once per reason.
    fn explain_stalls(&mut self) {
        for id in self.running.clone() {
            let reason = self.stall_reason(id).unwrap_or_default();
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.stall != reason {
                job.stall.clone_from(&reason);
                self.notice(Some(id), NoticeKind::Stalled { reason });
            }
        }
    }
}

/// Faults that say something about the task on that machine; the others are nobody's, or the
/// network's.
fn counts_against_task(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Timeout
        | FaultKind::OutOfMemory
        | FaultKind::RunnerCrashed
        | FaultKind::InvalidProgram
        | FaultKind::Internal => true,
        FaultKind::InputUnavailable
        | FaultKind::DiskFull
        | FaultKind::Draining
        | FaultKind::Cancelled
        | FaultKind::Lost => false,
    }
}
