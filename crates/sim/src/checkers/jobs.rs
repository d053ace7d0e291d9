//! Promise: every accepted task ends exactly once, and what a user was told is still true after
//! any crash.

use std::collections::BTreeMap;

use ayni_core::{Core, JobState, Notice, NoticeKind, TaskState};
use ayni_types::{Digest, JobId, TaskSpec};
use ayni_wire::outcome_digest;

use super::Violation;
use crate::swarm::Knobs;

const PROMISE: &str = "every task ends once";

/// What the user of one requester was told.
#[derive(Debug, Default)]
pub struct Told {
    accepted: BTreeMap<(JobId, u32), Digest>,
    failed: BTreeMap<(JobId, u32), String>,
    ended: BTreeMap<JobId, (u32, u32, bool)>,
    /// Jobs whose submission was acknowledged.
    pub jobs: BTreeMap<JobId, usize>,
    /// Lies found.
    pub mismatches: u32,
}

impl Told {
    /// A notice reached the user.
    pub fn notice(&mut self, notice: &Notice, knobs: &Knobs) -> Option<Violation> {
        let job = notice.job?;
        match &notice.kind {
            NoticeKind::TaskAccepted { index, outcome, .. } => {
                let key = (job, *index);
                let digest = outcome_digest(outcome);
                if self.failed.contains_key(&key) {
                    return Some(Violation::new(PROMISE, format!("{key:?} failed, then accepted")));
                }
                let before = self.accepted.insert(key, digest);
                if knobs.is_honest() && before.is_some_and(|b| b != digest) {
                    let text = format!("{key:?} accepted twice, differently, and nobody lied");
                    return Some(Violation::new(PROMISE, text));
                }
            }
            NoticeKind::TaskFailed { index, reason } => {
                let key = (job, *index);
                if knobs.is_honest() && self.accepted.contains_key(&key) {
                    return Some(Violation::new(PROMISE, format!("{key:?} accepted, then failed")));
                }
                self.accepted.remove(&key);
                if self.failed.insert(key, reason.clone()).is_some() {
                    return Some(Violation::new(PROMISE, format!("{key:?} failed twice")));
                }
            }
            NoticeKind::Ended { accepted, failed, cancelled } => {
                let end = (*accepted, *failed, *cancelled);
                if self.ended.insert(job, end).is_some() {
                    return Some(Violation::new(PROMISE, format!("{job} ended twice")));
                }
            }
            NoticeKind::Mismatch { .. } => {
                if knobs.is_honest() {
                    let text = format!("{:?}, and nobody lied", notice.kind);
                    return Some(Violation::new("the innocent are not blamed", text));
                }
                self.mismatches += 1;
            }
            _ => {}
        }
        None
    }

    /// The node restarted: what was told must still be so.
    #[must_use]
    pub fn after_restart(&mut self, core: &Core, knobs: &Knobs) -> Option<Violation> {
        for job in self.jobs.keys() {
            if core.job(*job).is_none() {
                return Some(Violation::new("no job is lost", format!("{job} is gone")));
            }
        }
        for ((job, index), digest) in &mut self.accepted {
            let task = core.task(*job, *index);
            let kept = task.as_ref().is_some_and(|t| t.outcome_digest == Some(*digest));
            // A result whose provider was caught lying may be on its way to be replaced.
            if !kept && knobs.is_honest() {
                let text = format!("{job}/{index} was accepted and is {task:?} after a restart");
                return Some(Violation::new(PROMISE, text));
            }
            // News that a crash swallowed is read again.
            if let Some(now) = task.and_then(|t| t.outcome_digest) {
                *digest = now;
            }
        }
        for (job, index) in self.failed.keys() {
            if core.task(*job, *index).is_none_or(|t| t.state != TaskState::Failed) {
                let text = format!("{job}/{index} had failed and has not after a restart");
                return Some(Violation::new(PROMISE, text));
            }
        }
        for job in self.ended.keys() {
            if core.job(*job).is_none_or(|j| j.state == JobState::Running) {
                return Some(Violation::new(PROMISE, format!("{job} runs again after its end")));
            }
        }
        None
    }

    /// Everything has settled: each task of each job ended once, and the counts add up.
    #[must_use]
    pub fn at_end(
        &self,
        core: &Core,
        job: JobId,
        specs: &[TaskSpec],
        knobs: &Knobs,
    ) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut wrong = |text: String| found.push(Violation::new(PROMISE, text));
        let Some(view) = core.job(job) else {
            return vec![Violation::new("no job is lost", format!("{job} is gone"))];
        };
        let c = view.counts;
        let cancelled = view.state == JobState::Cancelled;
        if c.accepted + c.failed + c.dropped != c.tasks || (c.dropped > 0 && !cancelled) {
            wrong(format!("{job}: {c:?} do not add up"));
        }
        if !cancelled && c.tasks as usize != specs.len() {
            wrong(format!("{job} has {} tasks of {}", c.tasks, specs.len()));
        }
        for index in 0..c.tasks {
            let Some(task) = core.task(job, index) else { continue };
            let spec = &specs[index as usize];
            let told = self.accepted.get(&(job, index));
            match task.state {
                TaskState::Accepted | TaskState::Auditing => {
                    if let Some(told) = told
                        && task.outcome_digest != Some(*told)
                    {
                        wrong(format!("{job}/{index}: told {told}, has {:?}", task.outcome_digest));
                    }
                }
                TaskState::Failed => {
                    let good = !matches!(spec.args[0].as_str(), "never" | "picky" | "slow");
                    if good && knobs.machines_are_sound() && knobs.is_honest() {
                        wrong(format!(
                            "{job}/{index} is a good task and failed: {:?}",
                            task.failure
                        ));
                    }
                }
                TaskState::Dropped if cancelled => {}
                state => wrong(format!("{job}/{index} is {state:?} at the end")),
            }
        }
        found
    }
}
