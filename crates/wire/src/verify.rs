//! Checks a receipt that stands alone, one named check after the other, so that a reader sees what
//! holds and what does not. Needs nothing but the receipt itself.

use ayni_types::{Digest, TaskSpec};

use crate::batch::{batch_hash, leaf_hash, recover_batch_key, verify_proof};
use crate::check::{check_task, outcome_digest, task_id};
use crate::message::ReceiptFile;
use crate::sign::{message_for, verify_node};

/// One check and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptCheck {
    /// What is checked, as a short statement that should be true.
    pub statement: &'static str,
    /// Why it is not true; `None` if it is.
    pub failure: Option<String>,
}

/// All checks in order; each is made whatever the others say.
#[must_use]
pub fn verify_receipt(file: &ReceiptFile) -> Vec<ReceiptCheck> {
    let ReceiptFile { version, task, outcome, receipt, proof, header, signature, lease } = file;
    let terms = &lease.lease;
    let mut checks = Vec::with_capacity(13);
    let mut check = |statement, failure: Option<String>| {
        checks.push(ReceiptCheck { statement, failure });
    };
    let differ = |what: &str, found: &dyn std::fmt::Display, expected: &dyn std::fmt::Display| {
        Some(format!("{what} is {found}, the receipt says {expected}"))
    };

    check("the format is known", (*version != 1).then(|| format!("version {version}, not 1")));
    check("the task is well-formed", check_task(task).err().map(|error| error.to_string()));
    let id = task_id(task);
    let wrong = if id == receipt.task { None } else { differ("the task's id", &id, &receipt.task) };
    check("the receipt is for this task", wrong);
    let digest = outcome_digest(outcome);
    let same = digest == receipt.outcome;
    let wrong = if same { None } else { differ("the outcome's digest", &digest, &receipt.outcome) };
    check("the receipt commits to this outcome", wrong);
    let same = outcome.fuel == receipt.fuel;
    let wrong =
        if same { None } else { differ("the outcome's fuel", &outcome.fuel, &receipt.fuel) };
    check("the receipt bills the outcome's fuel", wrong);
    let over = outcome.fuel > task.limits.fuel;
    let wrong = over.then(|| format!("{} of {}", outcome.fuel, task.limits.fuel));
    check("the fuel is within the task's limit", wrong);
    let price = terms.price.of(receipt.fuel, receipt.code_bytes, receipt.data_bytes);
    let same = price == receipt.price;
    let wrong = if same { None } else { differ("the price by the lease", &price, &receipt.price) };
    check("the price follows from the lease", wrong);

    let placed = receipt.lease == header.lease
        && receipt.batch == header.batch
        && receipt.lease == terms.id
        && receipt.index < header.count;
    let wrong = (!placed).then(|| {
        format!(
            "receipt {}/{}/{}, batch {}/{} of {}, lease {}",
            receipt.lease,
            receipt.batch,
            receipt.index,
            header.lease,
            header.batch,
            header.count,
            terms.id
        )
    });
    check("receipt, batch and lease belong together", wrong);
    let depth_max = (header.count.max(1)).next_power_of_two().trailing_zeros() as usize;
    let proven = proof.len() <= depth_max && verify_proof(leaf_hash(receipt), proof, header.root);
    check(
        "the receipt is in the batch",
        (!proven).then(|| format!("its {} hashes do not lead to {}", proof.len(), header.root)),
    );
    let signer = recover_batch_key(&batch_hash(header), signature);
    let wrong = match signer {
        Some(key) if key == terms.batch_key => None,
        Some(key) => Some(format!("signed by 0x{key}, not by 0x{}", terms.batch_key)),
        None => Some("the signature is not valid".to_owned()),
    };
    check("the batch is signed with the lease's key", wrong);
    let message = message_for(terms);
    let signed = |node, signature| {
        verify_node(node, &message, signature).err().map(|error| error.to_string())
    };
    check("the provider signed the lease", signed(terms.provider, &lease.provider));
    check("the requester signed the lease", signed(terms.requester, &lease.requester));
    let wrong = match &lease.backing {
        None => None,
        Some(_) if terms.paid_by.is_none() => Some("the lease names no account".to_owned()),
        Some(backing) if backing.signer(terms) == Some(terms.batch_key) => None,
        Some(_) => Some(format!("it is not signed by 0x{}", terms.batch_key)),
    };
    check("what backs the lease is signed with its key", wrong);
    checks
}

/// The digests of everything that a task reads directly (trees' files not included).
#[must_use]
pub fn task_blobs(task: &TaskSpec) -> Vec<Digest> {
    let mut blobs = vec![task.program];
    blobs.extend(task.stdin);
    blobs.extend(task.mounts.iter().map(|mount| mount.blob));
    blobs.sort_unstable();
    blobs.dedup();
    blobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{merkle_proof, merkle_root};
    use crate::check::digest;
    use crate::message::FullLease;
    use crate::sign::{EvmSigner, NodeKey};
    use ayni_types::{
        Amount, BatchHeader, BlobRef, End, EngineBuild, EngineId, Fuel, Lease, LeaseId, Limits,
        Observed, Outcome, Price, Receipt, Time,
    };

    fn sealed() -> ReceiptFile {
        let (requester, provider) =
            (NodeKey::from_secret(&[1; 32]), NodeKey::from_secret(&[2; 32]));
        let batch_signer = EvmSigner::from_secret(&[3; 32]).unwrap();
        let lease = Lease {
            id: LeaseId([4; 16]),
            requester: requester.id(),
            provider: provider.id(),
            engine: EngineId::wasi1(),
            build: EngineBuild { digest: digest(b"runner"), version: "v".into() },
            slots: 1,
            memory_bytes: 1 << 30,
            price: Price { per_gigafuel: Amount(1_000), ..Price::default() },
            fuel_per_second: 1,
            voucher_step: Amount(0),
            stake_reserved: Amount(0),
            batch_key: batch_signer.key(),
            issued: Time(1),
            expires: Time(2),
            hold_back: Amount(0),
            paid_by: None,
            audit_commitment: digest(b"seed"),
        };
        let message = message_for(&lease);
        let task = TaskSpec {
            engine: EngineId::wasi1(),
            program: digest(b"program"),
            args: vec!["p".into()],
            env: vec![],
            stdin: None,
            mounts: vec![],
            limits: Limits::default(),
            blind: None,
        };
        let empty = BlobRef { digest: digest(b""), size: 0 };
        let outcome = Outcome {
            end: End::Exit(0),
            fuel: Fuel(77),
            stdout: BlobRef { digest: digest(b"hello"), size: 5 },
            stderr: empty,
            files: vec![],
        };
        let receipts: Vec<_> = (0..5)
            .map(|index| Receipt {
                lease: lease.id,
                batch: 9,
                index,
                assignment: u64::from(index),
                task: task_id(&task),
                outcome: outcome_digest(&outcome),
                fuel: Fuel(77),
                code_bytes: 0,
                data_bytes: 0,
                price: Amount(1),
                observed: Observed::default(),
            })
            .collect();
        let leaves: Vec<_> = receipts.iter().map(leaf_hash).collect();
        let header =
            BatchHeader { lease: lease.id, batch: 9, count: 5, root: merkle_root(&leaves) };
        ReceiptFile {
            version: 1,
            task,
            outcome,
            receipt: receipts[3].clone(),
            proof: merkle_proof(&leaves, 3).unwrap(),
            header,
            signature: batch_signer.sign(&batch_hash(&header)),
            lease: FullLease {
                requester: requester.sign(&message),
                provider: provider.sign(&message),
                lease,
                backing: None,
            },
        }
    }

    #[test]
    fn an_honest_receipt_passes_every_check() {
        let failed: Vec<_> =
            verify_receipt(&sealed()).into_iter().filter(|c| c.failure.is_some()).collect();
        assert_eq!(failed, vec![]);
    }
}
