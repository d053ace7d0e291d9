//! J1: every task of every accepted job ends exactly once, accepted or failed, and the books add up.
//! Only where somebody lies may an accepted result be replaced.

use std::collections::BTreeSet;

use ayni_core::{Core, JobState, Notice, NoticeKind, TaskState};
use ayni_types::{JobId, NodeId, TaskSpec};
use ayni_wire::outcome_digest;

use super::told::Told;
use super::{Violation, v1};
use crate::knobs::Knobs;

/// Its name.
pub const PROMISE: &str = "J1 every task ends once";

/// A notice reached the user.
pub fn told(
    told: &mut Told,
    notice: &Notice,
    all_honest: bool,
    liars: &BTreeSet<NodeId>,
) -> Option<Violation> {
    let job = notice.job?;
    let wrong = |text: String| Some(Violation::new(PROMISE, text));
    match &notice.kind {
        NoticeKind::TaskAccepted { index, outcome, .. } => {
            let key = (job, *index);
            let digest = outcome_digest(outcome);
            if told.failed.contains_key(&key) {
                return wrong(format!("{key:?} failed, then accepted"));
            }
            let before = told.accepted.insert(key, digest);
            if all_honest && before.is_some_and(|b| b != digest) {
                return wrong(format!("{key:?} accepted twice, differently, and nobody lied"));
            }
        }
        NoticeKind::TaskFailed { index, reason } => {
            let key = (job, *index);
            if all_honest && told.accepted.contains_key(&key) {
                return wrong(format!("{key:?} accepted, then failed"));
            }
            told.accepted.remove(&key);
            if told.failed.insert(key, reason.clone()).is_some() {
                return wrong(format!("{key:?} failed twice"));
            }
        }
        NoticeKind::Ended { accepted, failed, cancelled } => {
            let end = (*accepted, *failed, *cancelled);
            if told.ended.insert(job, end).is_some() {
                return wrong(format!("{job} ended twice"));
            }
        }
        NoticeKind::Mismatch { provider, .. } => {
            if !liars.contains(provider) {
                let text = format!("{:?}, and it did not lie", notice.kind);
                return Some(Violation::new(v1::BLAME, text));
            }
            told.mismatches += 1;
        }
        _ => {}
    }
    None
}

/// Everything has settled: each task of each job ended once, and the counts add up.
#[must_use]
pub fn at_end(
    told: &Told,
    core: &Core,
    job: JobId,
    specs: &[TaskSpec],
    knobs: &Knobs,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut wrong = |text: String| found.push(Violation::new(PROMISE, text));
    let Some(view) = core.job(job) else {
        return vec![Violation::new(super::j2::PROMISE, format!("{job} is gone"))];
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
        let said = told.accepted.get(&(job, index));
        match task.state {
            TaskState::Accepted | TaskState::Auditing => {
                if let Some(said) = said
                    && task.outcome_digest != Some(*said)
                {
                    wrong(format!("{job}/{index}: told {said}, has {:?}", task.outcome_digest));
                }
            }
            TaskState::Failed => {
                let good = !matches!(spec.args[0].as_str(), "never" | "picky" | "slow");
                // A quorum that needs everybody may fail when somebody is away for long.
                let enough = knobs.quorum < 2 || knobs.quorum < knobs.providers;
                let paid = knobs.budget == 0;
                if good && enough && paid && knobs.machines_are_sound() && knobs.is_honest() {
                    let why = &task.failure;
                    wrong(format!("{job}/{index} is a good task and failed: {why:?}"));
                }
            }
            TaskState::Dropped if cancelled => {}
            state => wrong(format!("{job}/{index} is {state:?} at the end")),
        }
    }
    found
}
