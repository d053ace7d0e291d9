//! J2: no job is lost by a crash, a restart or a partition, and what a user was told before is
//! still so afterwards.

use ayni_core::{Core, JobState, TaskState};

use super::Violation;
use super::told::Told;

/// Its name.
pub const PROMISE: &str = "J2 no job is lost";

/// The node restarted: what was told must still be so.
#[must_use]
pub fn after_restart(told: &mut Told, core: &Core, all_honest: bool) -> Option<Violation> {
    let wrong = |text: String| Some(Violation::new(PROMISE, text));
    for job in told.jobs.keys() {
        if core.job(*job).is_none() {
            return wrong(format!("{job} is gone"));
        }
    }
    for ((job, index), digest) in &mut told.accepted {
        let task = core.task(*job, *index);
        let kept = task.as_ref().is_some_and(|t| t.outcome_digest == Some(*digest));
        // A result whose provider was caught lying may be on its way to be replaced.
        if !kept && all_honest {
            return wrong(format!("{job}/{index} was accepted and is {task:?} after a restart"));
        }
        // News that a crash swallowed is read again.
        if let Some(now) = task.and_then(|t| t.outcome_digest) {
            *digest = now;
        }
    }
    for (job, index) in told.failed.keys() {
        if core.task(*job, *index).is_none_or(|t| t.state != TaskState::Failed) {
            return wrong(format!("{job}/{index} had failed and has not after a restart"));
        }
    }
    for job in told.ended.keys() {
        if core.job(*job).is_none_or(|j| j.state == JobState::Running) {
            return wrong(format!("{job} runs again after its end"));
        }
    }
    None
}
