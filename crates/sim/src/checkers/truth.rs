//! Promise: accepted results are right, always if nobody lies, and with every result audited even
//! if somebody does; receipts fit them, and evidence names liars only.

use ayni_core::{Core, JobState, Seal as _};
use ayni_types::{JobId, NodeId, TaskSpec};
use ayni_wire::{batch_hash, leaf_hash, outcome_digest, verify_proof};

use super::Violation;
use crate::runner::{execute, truth};
use crate::seal::SimSeal;
use crate::swarm::Knobs;

const PROMISE: &str = "results are right";

/// Looks at a job that has ended.
#[must_use]
pub fn at_end(
    core: &Core,
    job: JobId,
    specs: &[TaskSpec],
    knobs: &Knobs,
    liars: &[NodeId],
    home: NodeId,
) -> Vec<Violation> {
    let mut found = Vec::new();
    // A cancelled job keeps what it has, audited or not.
    let whole = core.job(job).is_some_and(|j| j.state == JobState::Ended);
    let must_be_right = knobs.is_honest() || (knobs.audit_ppm == 1_000_000 && whole);
    for (index, spec) in (0..).zip(specs) {
        let Some(task) = core.task(job, index) else { continue };
        let Some(outcome) = &task.outcome else { continue };
        let right = truth(spec).as_ref() == Some(outcome);
        // What home's own machine can't execute can't be audited there, and is labelled so.
        let auditable = execute(spec, home, u64::MAX).1.is_ok();
        if !right && ((must_be_right && auditable) || task.audited) {
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
            found.push(Violation::new("receipts hold", text));
        }
    }
    for evidence in core.evidence(job) {
        if !liars.contains(&evidence.provider)
            || evidence.claimed.receipt.outcome == outcome_digest(&evidence.found)
        {
            let text = format!("evidence against {} is no evidence", evidence.provider);
            found.push(Violation::new("the innocent are not blamed", text));
        }
    }
    for ban in core.bans() {
        if !liars.contains(&ban.node) {
            let text = format!("{} is banned: {}", ban.node, ban.reason);
            found.push(Violation::new("the innocent are not blamed", text));
        }
    }
    found
}
