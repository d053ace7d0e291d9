//! What a third party makes of evidence that somebody shows it: it trusts neither side. The receipt
//! must be the provider's, for this task, and the task executed again must yield something else.

use ayni_core::{Evidence, Seal as _};
use ayni_types::NodeId;
use ayni_wire::{Signed, batch_hash, check_task, leaf_hash, outcome_digest, task_id, verify_proof};

use crate::runner::truth;
use crate::seal::SimSeal;

/// Whether it convicts the provider that it names.
///
/// # Errors
/// Why it does not.
pub fn convicts(shown: &Evidence) -> Result<(), &'static str> {
    let file = &shown.claimed;
    let lease = &file.lease.lease;
    let seal = SimSeal::new(NodeId([0; 32]));
    let terms = Signed::message(lease);
    if lease.provider != shown.provider
        || !seal.verify_node(lease.provider, &terms, &file.lease.provider)
        || !seal.verify_node(lease.requester, &terms, &file.lease.requester)
    {
        return Err("the lease is not signed by both");
    }
    if file.header.lease != lease.id
        || file.receipt.lease != lease.id
        || file.receipt.batch != file.header.batch
    {
        return Err("receipt, batch and lease do not belong together");
    }
    if !seal.verify_batch(lease.batch_key, &batch_hash(&file.header), &file.signature) {
        return Err("the provider did not sign the batch");
    }
    if !verify_proof(leaf_hash(&file.receipt), &file.proof, file.header.root) {
        return Err("the receipt is not in the batch");
    }
    if check_task(&file.task).is_err() || task_id(&file.task) != file.receipt.task {
        return Err("the receipt is for another task");
    }
    let right = truth(&file.task).ok_or("nobody can execute the task")?;
    if outcome_digest(&right) == file.receipt.outcome {
        return Err("the provider's outcome is right");
    }
    Ok(())
}
