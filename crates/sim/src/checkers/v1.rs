//! V1: a result that home executed or audited is right, one that others agreed on is unless two of
//! them lie, and every result is if nobody lies; receipts fit their results; nobody is accused but
//! liars, and what is shown as evidence convicts by itself.
//!
//! Deliberately not here: how often a result that is only backed by audits of its provider's others
//! is wrong. That is a matter of counting, and `rule` does it.

use std::collections::BTreeSet;

use ayni_core::{Core, Grounds, JobState, Seal as _};
use ayni_types::{JobId, NodeId, TaskSpec};
use ayni_wire::{batch_hash, leaf_hash, outcome_digest, verify_proof};

use super::{Violation, evidence};
use crate::knobs::Knobs;
use crate::runner::{execute, truth};
use crate::seal::SimSeal;

/// Results.
pub const PROMISE: &str = "V1 results are right";
/// Accusations.
pub const BLAME: &str = "V1 only liars are accused";

/// Looks at the results of a job that has ended.
#[must_use]
pub fn results(
    core: &Core,
    job: JobId,
    specs: &[TaskSpec],
    knobs: &Knobs,
    home: NodeId,
    liars: usize,
) -> Vec<Violation> {
    let mut found = Vec::new();
    // A cancelled job keeps what it has, audited or not.
    let whole = core.job(job).is_some_and(|j| j.state == JobState::Ended);
    let all_audited = knobs.audit_ppm == 1_000_000 && knobs.by_rule == 0 && knobs.quorum < 2;
    let must_be_right = knobs.is_honest() || (all_audited && knobs.home_slots > 0 && whole);
    for (index, spec) in (0..).zip(specs) {
        let Some(task) = core.task(job, index) else { continue };
        let Some(outcome) = &task.outcome else { continue };
        let right = truth(spec).as_ref() == Some(outcome);
        // What home's own machine can't execute can't be audited there, and is labelled so.
        let auditable = execute(spec, home, u64::MAX).1.is_ok();
        let verified = match task.verification {
            Grounds::Home | Grounds::Audited => true,
            Grounds::AuditedElsewhere | Grounds::Quorum => liars < 2,
            _ => false,
        };
        if !right && ((must_be_right && auditable) || verified) {
            let text = format!("{job}/{index} is wrong ({})", task.verification.text());
            found.push(Violation::new(PROMISE, text));
        }
        let Some(file) = core.receipt(job, index) else {
            if task.provider.is_some() {
                let text = format!("{job}/{index} has a provider and no receipt");
                found.push(Violation::new(PROMISE, text));
            }
            continue;
        };
        let seal = SimSeal::new(NodeId([0; 32]));
        let signed = seal.verify_batch(
            file.lease.lease.batch_key,
            &batch_hash(&file.header),
            &file.signature,
        );
        let proven = verify_proof(leaf_hash(&file.receipt), &file.proof, file.header.root);
        if !signed || !proven || file.receipt.outcome != outcome_digest(outcome) {
            let text = format!("{job}/{index}: its receipt does not hold");
            found.push(Violation::new(PROMISE, text));
        }
    }
    found
}

/// Looks at whom an honest requester accuses.
#[must_use]
pub fn accusations(core: &Core, job: JobId, liars: &BTreeSet<NodeId>) -> Vec<Violation> {
    let mut found = Vec::new();
    for shown in core.evidence(job) {
        if let Err(why) = evidence::convicts(&shown) {
            let text = format!("evidence against {} convicts nobody: {why}", shown.provider);
            found.push(Violation::new(BLAME, text));
        }
        if !liars.contains(&shown.provider) {
            let text = format!("evidence against {}, who does not lie", shown.provider);
            found.push(Violation::new(BLAME, text));
        }
    }
    for ban in core.bans() {
        if !liars.contains(&ban.node) {
            let text = format!("{} is banned: {}", ban.node, ban.reason);
            found.push(Violation::new(BLAME, text));
        }
    }
    found
}
