//! Batches of receipts and receipts that stand alone. What holds must be what was signed here: the
//! fuzzer has no keys.

use std::sync::OnceLock;

use ayni_types::Observed;
use ayni_types::limits::BATCH_RECEIPTS_MAX;
use ayni_wire::{
    ReceiptFile, SignedBatch, batch_hash, leaf_hash, merkle_proof, merkle_root, recover_batch_key,
    verify_proof, verify_receipt,
};

use crate::cbor::strict;
use crate::sample;

/// Sizes of the signed batches that the fuzzer is given.
pub(crate) const BATCHES: [u32; 3] = [1, 3, 5];

/// A batch: every leaf has a proof of at most ten hashes, no neighbour's proof serves it, and a
/// signature by the sample's key is the sample's.
pub fn batch(data: &[u8]) {
    let Some(batch) = strict::<SignedBatch>(data) else { return };
    let SignedBatch { header, signature, receipts } = &batch;
    if receipts.len() > BATCH_RECEIPTS_MAX {
        return;
    }
    let leaves: Vec<_> = receipts.iter().map(leaf_hash).collect();
    let root = merkle_root(&leaves);
    for (at, leaf) in leaves.iter().enumerate() {
        let proof = merkle_proof(&leaves, at).expect("the leaf is there");
        assert!(proof.len() <= 10 && verify_proof(*leaf, &proof, root));
        let next = leaves[(at + 1) % leaves.len()];
        assert!(next == *leaf || !verify_proof(next, &proof, root) || proof.contains(leaf));
    }
    let by_us = recover_batch_key(&batch_hash(header), signature)
        .is_some_and(|key| key == sample::batch_signer().key());
    if by_us && root == header.root {
        let mut honest = BATCHES.iter().map(|count| sample::batch(*count));
        assert!(honest.any(|honest| unobserved(&honest) == unobserved(&batch)), "a forged batch");
    }
}

/// What was observed is beside what is signed.
fn unobserved(batch: &SignedBatch) -> SignedBatch {
    let mut batch = batch.clone();
    for receipt in &mut batch.receipts {
        receipt.observed = Observed::default();
    }
    batch
}

/// A stand-alone receipt: all checks are made, none panics, and only an honest one passes them all.
pub fn receipt(data: &[u8]) {
    static HONEST: OnceLock<Vec<ReceiptFile>> = OnceLock::new();
    let Some(mut file) = strict::<ReceiptFile>(data) else { return };
    let checks = verify_receipt(&file);
    assert_eq!(checks.len(), 13);
    let lease = &file.lease.lease;
    let named = lease.provider == sample::provider().id();
    if named && checks.iter().all(|check| check.failure.is_none()) {
        file.receipt.observed = Observed::default();
        let honest = HONEST.get_or_init(|| {
            let all = BATCHES.iter().flat_map(|n| (0..*n).map(|at| sample::receipt_file(*n, at)));
            all.map(|mut file| {
                file.receipt.observed = Observed::default();
                file
            })
            .collect()
        });
        assert!(honest.contains(&file), "a forged receipt");
    }
}
