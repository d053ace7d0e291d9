//! Batches of receipts: a keccak Merkle tree whose root is signed by EIP-712, so that a contract
//! can check one receipt with OpenZeppelin's `MerkleProof` and `ECDSA`.
//!
//! A leaf is `keccak(keccak(abi.encode(fields)))`; inner nodes hash their two children in
//! ascending order; an odd node moves up unchanged. The leaf carries its index, so order within a
//! batch is committed although pairs are sorted.

use ayni_types::{BatchHeader, BatchKey, Digest, Receipt};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use minicbor::{Decode, Encode};
use sha3::{Digest as _, Keccak256};

/// `r ‖ s ‖ v` over secp256k1.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct EvmSignature(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 65]);

impl std::fmt::Debug for EvmSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EvmSignature({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Sibling hashes from a leaf up to the root.
pub type BatchProof = Vec<Digest>;

pub(crate) fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

pub(crate) fn word(value: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}

pub(crate) fn word_left(bytes: &[u8; 16]) -> [u8; 32] {
    let mut word = [0; 32];
    word[..16].copy_from_slice(bytes);
    word
}

/// The leaf of a receipt. What was merely observed is not part of it.
#[must_use]
pub fn leaf_hash(receipt: &Receipt) -> Digest {
    let inner = keccak(&[
        &word_left(&receipt.lease.0),
        &word(receipt.batch.into()),
        &word(receipt.index.into()),
        &word(receipt.assignment.into()),
        &receipt.task.0,
        &receipt.outcome.0,
        &word(receipt.fuel.0.into()),
        &word(receipt.code_bytes.into()),
        &word(receipt.data_bytes.into()),
        &word(receipt.price.0),
    ]);
    Digest(keccak(&[&inner]))
}

fn parent(a: &Digest, b: &Digest) -> Digest {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    Digest(keccak(&[&low.0, &high.0]))
}

fn level_up(level: &[Digest]) -> Vec<Digest> {
    level.chunks(2).map(|pair| if let [a, b] = pair { parent(a, b) } else { pair[0] }).collect()
}

/// The root over leaves; all zero for none.
#[must_use]
pub fn merkle_root(leaves: &[Digest]) -> Digest {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level_up(&level);
    }
    level.first().copied().unwrap_or(Digest([0; 32]))
}

/// The proof that the leaf at `index` is under the root; `None` if there is no such leaf.
#[must_use]
pub fn merkle_proof(leaves: &[Digest], index: usize) -> Option<BatchProof> {
    leaves.get(index)?;
    let (mut level, mut at, mut proof) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 {
        if let Some(sibling) = level.get(at ^ 1) {
            proof.push(*sibling);
        }
        level = level_up(&level);
        at /= 2;
    }
    Some(proof)
}

/// Whether `proof` leads from `leaf` to `root`.
#[must_use]
pub fn verify_proof(leaf: Digest, proof: &[Digest], root: Digest) -> bool {
    proof.iter().fold(leaf, |node, sibling| parent(&node, sibling)) == root
}

/// The EIP-712 hash that is signed for a batch.
///
/// Domain `EIP712Domain(string name,string version)` with `Ayni`, `1`; type
/// `Batch(bytes16 lease,uint64 batch,uint32 count,bytes32 root)`.
#[must_use]
pub fn batch_hash(header: &BatchHeader) -> [u8; 32] {
    let domain = keccak(&[
        &keccak(&[b"EIP712Domain(string name,string version)"]),
        &keccak(&[b"Ayni"]),
        &keccak(&[b"1"]),
    ]);
    let body = keccak(&[
        &keccak(&[b"Batch(bytes16 lease,uint64 batch,uint32 count,bytes32 root)"]),
        &word_left(&header.lease.0),
        &word(header.batch.into()),
        &word(header.count.into()),
        &header.root.0,
    ]);
    keccak(&[b"\x19\x01", &domain, &body])
}

/// Who signed `hash`; `None` if nobody can have, or if the form is malleable (high `s`).
#[must_use]
pub fn recover_batch_key(hash: &[u8; 32], signature: &EvmSignature) -> Option<BatchKey> {
    let recovery = RecoveryId::from_byte(signature.0[64].checked_sub(27)?)?;
    if recovery.is_x_reduced() {
        return None;
    }
    let parsed = Signature::from_slice(&signature.0[..64]).ok()?;
    if parsed.normalize_s().is_some() {
        return None;
    }
    let key = VerifyingKey::recover_from_prehash(hash, &parsed, recovery).ok()?;
    Some(crate::sign::address(&key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::EvmSigner;
    use ayni_types::{Amount, Fuel, LeaseId, Observed, TaskId};

    fn receipt(index: u32) -> Receipt {
        Receipt {
            lease: LeaseId([1; 16]),
            batch: 3,
            index,
            assignment: u64::from(index) + 10,
            task: TaskId([2; 32]),
            outcome: Digest([3; 32]),
            fuel: Fuel(5),
            code_bytes: 6,
            data_bytes: 7,
            price: Amount(8),
            observed: Observed::default(),
        }
    }

    #[test]
    fn every_leaf_of_every_size_has_a_proof_and_no_other_root() {
        for count in 1..40_u32 {
            let leaves: Vec<_> = (0..count).map(|i| leaf_hash(&receipt(i))).collect();
            let root = merkle_root(&leaves);
            for (at, leaf) in leaves.iter().enumerate() {
                let proof = merkle_proof(&leaves, at).unwrap();
                assert!(verify_proof(*leaf, &proof, root));
                assert!(!verify_proof(leaf_hash(&receipt(99)), &proof, root));
            }
            assert!(merkle_proof(&leaves, count as usize).is_none());
        }
    }

    #[test]
    fn a_batch_signature_names_its_key_and_nothing_else_passes() {
        let signer = EvmSigner::from_secret(&[9; 32]).unwrap();
        let header =
            BatchHeader { lease: LeaseId([1; 16]), batch: 3, count: 1, root: Digest([4; 32]) };
        let hash = batch_hash(&header);
        let signature = signer.sign(&hash);
        assert_eq!(recover_batch_key(&hash, &signature), Some(signer.key()));
        for at in 0..65 {
            let mut broken = signature;
            broken.0[at] ^= 1;
            assert_ne!(recover_batch_key(&hash, &broken), Some(signer.key()), "byte {at}");
        }
        let other = batch_hash(&BatchHeader { batch: 4, ..header });
        assert_ne!(recover_batch_key(&other, &signature), Some(signer.key()));
    }

    #[test]
    fn the_address_of_a_known_key_is_right() {
        // The address of the secret key 1 is known to everyone who has looked at an EVM chain.
        let mut secret = [0; 32];
        secret[31] = 1;
        assert_eq!(
            EvmSigner::from_secret(&secret).unwrap().key().to_string(),
            "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
        );
    }
}
