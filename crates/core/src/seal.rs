//! Signatures behind a trait, so that the simulator can replace them by something cheap (and say
//! so), and so that the core never holds a secret key itself.

use ayni_types::{Account, BatchKey, NodeId, NodeSignature};
use ayni_wire::{EvmSignature, EvmSigner, NodeKey, recover_batch_key, verify_node};

/// Signs for this node and checks what others signed.
pub trait Seal {
    /// Who we are.
    fn node(&self) -> NodeId;
    /// Our signature over a message that carries its domain (`Signed::message`).
    fn sign_node(&self, message: &[u8]) -> NodeSignature;
    /// Whether `node` signed `message`.
    fn verify_node(&self, node: NodeId, message: &[u8], signature: &NodeSignature) -> bool;
    /// The address under which our batches are signed.
    fn batch_key(&self) -> BatchKey;
    /// Our signature over a batch hash.
    fn sign_batch(&self, hash: &[u8; 32]) -> EvmSignature;
    /// The key under which vouchers of our channel with this salt are signed.
    fn payer_key(&self, salt: &[u8; 32]) -> Account;
    /// That key's signature over a voucher's hash.
    fn sign_voucher(&self, salt: &[u8; 32], hash: &[u8; 32]) -> EvmSignature;
    /// Whether the holder of `key` signed `hash`.
    fn verify_batch(&self, key: BatchKey, hash: &[u8; 32], signature: &EvmSignature) -> bool;
}

/// The real thing: Ed25519 and secp256k1.
pub struct WireSeal {
    node: NodeKey,
    batch: EvmSigner,
}

impl WireSeal {
    /// From the node's two keys.
    #[must_use]
    pub fn new(node: NodeKey, batch: EvmSigner) -> Self {
        Self { node, batch }
    }
}

impl Seal for WireSeal {
    fn node(&self) -> NodeId {
        self.node.id()
    }

    fn sign_node(&self, message: &[u8]) -> NodeSignature {
        self.node.sign(message)
    }

    fn verify_node(&self, node: NodeId, message: &[u8], signature: &NodeSignature) -> bool {
        verify_node(node, message, signature).is_ok()
    }

    fn batch_key(&self) -> BatchKey {
        self.batch.key()
    }

    fn sign_batch(&self, hash: &[u8; 32]) -> EvmSignature {
        self.batch.sign(hash)
    }

    fn payer_key(&self, salt: &[u8; 32]) -> Account {
        Account(self.batch.child(salt).key().0)
    }

    fn sign_voucher(&self, salt: &[u8; 32], hash: &[u8; 32]) -> EvmSignature {
        self.batch.child(salt).sign(hash)
    }

    fn verify_batch(&self, key: BatchKey, hash: &[u8; 32], signature: &EvmSignature) -> bool {
        recover_batch_key(hash, signature) == Some(key)
    }
}
