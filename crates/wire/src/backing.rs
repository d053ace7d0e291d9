//! What makes stake stand behind a lease: a receipt does not say whom it was for, so the provider's
//! batch key says, once for each lease, for whose reservation it works.
//!
//! Deliberately not here: what is reserved (a contract knows), and what follows from it.

use ayni_types::{Account, BatchKey, Lease, LeaseId};
use minicbor::{Decode, Encode};

use crate::batch::{EvmSignature, keccak, recover_batch_key, word_left};
use crate::voucher::{address_word, typed_for};

/// What the provider's account reserved for the requester's stands behind a lease. Accounts and chain
/// are those that the lease is paid by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Backing {
    /// The contract that judges disputes.
    #[n(0)]
    pub disputes: Account,
    /// By the lease's batch key, of [`backing_hash`].
    #[n(1)]
    pub signature: EvmSignature,
}

impl Backing {
    /// What must be signed for a lease; `None` if it is not paid, so that nobody's stake can be meant.
    #[must_use]
    pub fn hash(lease: &Lease, disputes: &Account) -> Option<[u8; 32]> {
        let paid_by = lease.paid_by.as_ref()?;
        Some(backing_hash(paid_by.ledger.chain, disputes, &lease.id, &paid_by.terms.payer))
    }

    /// Who signed it; nobody if the signature can't be one.
    #[must_use]
    pub fn signer(&self, lease: &Lease) -> Option<BatchKey> {
        recover_batch_key(&Self::hash(lease, &self.disputes)?, &self.signature)
    }
}

/// The EIP-712 hash of `Backing(bytes16 lease,address requester)` for a contract that judges disputes.
#[must_use]
pub fn backing_hash(
    chain: u64,
    disputes: &Account,
    lease: &LeaseId,
    requester: &Account,
) -> [u8; 32] {
    let body = keccak(&[
        &keccak(&[b"Backing(bytes16 lease,address requester)"]),
        &word_left(&lease.0),
        &address_word(requester),
    ]);
    typed_for("Ayni Disputes", chain, disputes, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected value by `hashTypedData` of the npm package viem 2.48.11.
    #[test]
    fn the_hash_is_that_of_another_implementation() {
        let hash = backing_hash(31_337, &Account([2; 20]), &LeaseId([1; 16]), &Account([3; 20]));
        assert_eq!(
            ayni_types::Digest(hash).to_string(),
            "bddb4d25f43375075851a9d1df36edc539f083b146a21344200cf1b4c562221a"
        );
    }
}
