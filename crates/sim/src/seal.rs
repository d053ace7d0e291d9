//! Signatures of the simulated world: a hash keyed with the signer's public id. They cost a
//! microsecond and protect nothing; anyone could forge one, and the only ones who try are the
//! adversaries that are told to. The real signatures are tested where they are made.

use ayni_core::Seal;
use ayni_types::{Account, BatchKey, NodeId, NodeSignature};
use ayni_wire::EvmSignature;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct SimSeal {
    node: NodeId,
}

impl SimSeal {
    /// The seal of a node.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self { node }
    }
}

fn mark<const N: usize>(key: &[u8], message: &[u8]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key);
    hasher.update(message);
    let mut bytes = [0; N];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn key_of(node: NodeId) -> BatchKey {
    BatchKey(mark(&node.0, b"batch key"))
}

impl Seal for SimSeal {
    fn node(&self) -> NodeId {
        self.node
    }

    fn sign_node(&self, message: &[u8]) -> NodeSignature {
        NodeSignature(mark(&self.node.0, message))
    }

    fn verify_node(&self, node: NodeId, message: &[u8], signature: &NodeSignature) -> bool {
        mark::<64>(&node.0, message) == signature.0
    }

    fn batch_key(&self) -> BatchKey {
        key_of(self.node)
    }

    fn sign_batch(&self, hash: &[u8; 32]) -> EvmSignature {
        EvmSignature(mark(&self.batch_key().0, hash))
    }

    fn payer_key(&self, salt: &[u8; 32]) -> Account {
        Account(mark(&self.node.0, salt))
    }

    fn sign_voucher(&self, salt: &[u8; 32], hash: &[u8; 32]) -> EvmSignature {
        EvmSignature(mark(&self.payer_key(salt).0, hash))
    }

    fn verify_batch(&self, key: BatchKey, hash: &[u8; 32], signature: &EvmSignature) -> bool {
        mark::<65>(&key.0, hash) == signature.0
    }
}
