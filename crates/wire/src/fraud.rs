//! Proofs of fraud that anyone can check without trusting who brings them.
//!
//! Deliberately not here: contradictions that only re-execution shows (a receipt and its task are
//! enough for those, see `verify`).

use ayni_types::{BatchHeader, BatchKey, NodeId, NodeSignature};
use minicbor::{Decode, Encode};

use crate::batch::{EvmSignature, batch_hash, recover_batch_key};
use crate::message::FullLease;
use crate::sign::{message_for, verify_node};

/// A provider signed two roots for one batch number of one lease.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TwoRoots {
    /// Says whose the batch key is.
    #[n(0)]
    pub lease: FullLease,
    /// One of them, and its signature.
    #[n(1)]
    pub first: SignedHeader,
    /// The other.
    #[n(2)]
    pub second: SignedHeader,
}

/// A batch without its receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SignedHeader {
    /// What is signed.
    #[n(0)]
    pub header: BatchHeader,
    /// By the lease's batch key.
    #[n(1)]
    pub signature: EvmSignature,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoProof {
    /// The lease does not bind the provider.
    #[error("the provider did not sign the lease")]
    LeaseNotSigned,
    /// The headers are of another lease, or of two batches.
    #[error("the two headers are not for one batch of this lease")]
    OtherBatch,
    /// They say the same.
    #[error("the two headers are the same")]
    Same,
    /// One of them is not by the lease's key.
    #[error("a header is not signed with the lease's key")]
    NotSigned,
}

impl TwoRoots {
    /// Who committed the fraud.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn culprit(&self) -> Result<NodeId, NoProof> {
        self.culprit_by(
            |key, hash, signature| recover_batch_key(hash, signature) == Some(key),
            |node, message, signature| verify_node(node, message, signature).is_ok(),
        )
    }

    /// The same, with signatures checked by the caller.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn culprit_by(
        &self,
        is_batch_signed: impl Fn(BatchKey, &[u8; 32], &EvmSignature) -> bool,
        is_node_signed: impl Fn(NodeId, &[u8], &NodeSignature) -> bool,
    ) -> Result<NodeId, NoProof> {
        let terms = &self.lease.lease;
        let (first, second) = (&self.first.header, &self.second.header);
        if first.lease != terms.id || second.lease != terms.id || first.batch != second.batch {
            return Err(NoProof::OtherBatch);
        }
        if first == second {
            return Err(NoProof::Same);
        }
        for signed in [&self.first, &self.second] {
            if !is_batch_signed(terms.batch_key, &batch_hash(&signed.header), &signed.signature) {
                return Err(NoProof::NotSigned);
            }
        }
        if !is_node_signed(terms.provider, &message_for(terms), &self.lease.provider) {
            return Err(NoProof::LeaseNotSigned);
        }
        Ok(terms.provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::digest;
    use crate::sign::{EvmSigner, NodeKey};
    use ayni_types::{Amount, EngineBuild, EngineId, Lease, LeaseId, Price, Time};

    fn proof() -> TwoRoots {
        let provider = NodeKey::from_secret(&[2; 32]);
        let signer = EvmSigner::from_secret(&[3; 32]).unwrap();
        let lease = Lease {
            id: LeaseId([4; 16]),
            requester: NodeKey::from_secret(&[1; 32]).id(),
            provider: provider.id(),
            engine: EngineId::wasi1(),
            build: EngineBuild { digest: digest(b"runner"), version: "v".into() },
            slots: 1,
            memory_bytes: 1,
            price: Price::default(),
            fuel_per_second: 1,
            voucher_step: Amount(0),
            stake_reserved: Amount(0),
            batch_key: signer.key(),
            issued: Time(1),
            expires: Time(2),
            hold_back: Amount(0),
            paid_by: None,
            audit_commitment: digest(b"seed"),
        };
        let signed = |root: &[u8]| {
            let header = BatchHeader { lease: lease.id, batch: 7, count: 1, root: digest(root) };
            SignedHeader { header, signature: signer.sign(&batch_hash(&header)) }
        };
        let (first, second) = (signed(b"one"), signed(b"two"));
        let provider = provider.sign(&message_for(&lease));
        let lease =
            FullLease { lease, requester: NodeSignature([0; 64]), provider, backing: None };
        TwoRoots { lease, first, second }
    }

    #[test]
    fn two_roots_for_one_number_are_proof_and_anything_else_is_none() {
        let good = proof();
        assert_eq!(good.culprit(), Ok(good.lease.lease.provider));
        type Spoil = fn(&mut TwoRoots);
        let cases: [(Spoil, NoProof); 6] = [
            (|p| p.second = p.first, NoProof::Same),
            (|p| p.second.header.batch += 1, NoProof::OtherBatch),
            (|p| p.first.header.lease.0[0] ^= 1, NoProof::OtherBatch),
            (|p| p.second.header.root.0[5] ^= 1, NoProof::NotSigned),
            (|p| p.lease.provider.0[0] ^= 1, NoProof::LeaseNotSigned),
            // Another key in the lease would blame whoever signed that lease.
            (|p| p.lease.lease.batch_key.0[3] ^= 1, NoProof::NotSigned),
        ];
        for (at, (spoil, expected)) in cases.into_iter().enumerate() {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(bad.culprit(), Err(expected), "case {at}");
        }
    }
}
