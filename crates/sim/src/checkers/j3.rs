//! J3: when faults stop, every job settles within a bounded virtual time, and when all is done no
//! lease, assignment or run is left behind.

use ayni_core::{Core, JobState, TaskState};
use ayni_types::JobId;

use super::Violation;

/// Its name.
pub const PROMISE: &str = "J3 jobs settle after healing";

/// The time is over: what is known of a job that still runs.
#[must_use]
pub fn still_runs(core: &Core, job: JobId, since_ms: u64) -> Option<Violation> {
    let view = core.job(job).filter(|view| view.state == JobState::Running)?;
    let open: Vec<_> = (0..view.counts.tasks)
        .filter_map(|i| core.task(job, i))
        .filter(|t| !matches!(t.state, TaskState::Accepted | TaskState::Failed))
        .take(3)
        .collect();
    let text = format!(
        "job {job} still runs {} s after healing: {:?} stall {:?} why {:?} leases {:?} sizes {:?} \
         tasks {open:?}",
        since_ms / 1_000,
        view.counts,
        view.stall,
        core.why(Some(job)),
        core.leases(),
        core.sizes(),
    );
    Some(Violation::new(PROMISE, text))
}

/// All is done: what a node still holds.
#[must_use]
pub fn nothing_left(core: &Core, at: usize) -> Option<Violation> {
    let sizes = core.sizes();
    let left = sizes.hires + sizes.grants + sizes.tenant_work + sizes.home_runs;
    (left > 0).then(|| {
        Violation::new(PROMISE, format!("node {at} still holds {sizes:?} when all is done"))
    })
}
