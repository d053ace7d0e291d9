//! Signatures with domain separation: a signature over one kind of statement is never valid for
//! another. Node statements use Ed25519; batch roots use secp256k1, so that a contract can check
//! them (see `batch`).

use ayni_types::{BatchKey, Lease, NodeId, NodeSignature, Offer};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use k256::ecdsa::SigningKey as BatchSigningKey;
use minicbor::{Decode, Encode};
use sha3::{Digest as _, Keccak256};

use crate::batch::EvmSignature;
use crate::canonical::encode;

/// A kind of statement that nodes sign.
pub trait Domain: Encode<()> {
    /// Never reused, never changed.
    const DOMAIN: &'static str;
}

impl Domain for Offer {
    const DOMAIN: &'static str = "ayni offer 1";
}

impl Domain for Lease {
    const DOMAIN: &'static str = "ayni lease 1";
}

/// A statement and its author's signature over its canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Signed<T> {
    /// What is said.
    #[n(0)]
    pub body: T,
    /// By whom: a signature under the domain of `T`.
    #[n(1)]
    pub signature: NodeSignature,
}

/// A signature that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The bytes of the key are no key.
    #[error("the signer's key is not a valid key")]
    BadKey,
    /// The signature is not by that key over these bytes.
    #[error("the signature does not match")]
    Mismatch,
}

/// What is signed for `body`.
pub(crate) fn message_for<T: Domain>(body: &T) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    message.extend_from_slice(T::DOMAIN.as_bytes());
    message.push(0);
    message.extend_from_slice(&encode(body));
    message
}

impl<T: Domain> Signed<T> {
    /// The bytes that the signature covers.
    #[must_use]
    pub fn message(body: &T) -> Vec<u8> {
        message_for(body)
    }
}

/// Checks an Ed25519 signature strictly (no malleable or small-order forms).
///
/// # Errors
/// When the key is no key or the signature is not its.
pub fn verify_node(
    node: NodeId,
    message: &[u8],
    signature: &NodeSignature,
) -> Result<(), SignatureError> {
    let key = VerifyingKey::from_bytes(&node.0).map_err(|_| SignatureError::BadKey)?;
    key.verify_strict(message, &Signature::from_bytes(&signature.0))
        .map_err(|_| SignatureError::Mismatch)
}

/// A node's identity key.
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// From its 32 secret bytes.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The public half.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }

    /// Signs a message that already carries its domain.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> NodeSignature {
        NodeSignature(self.0.sign(message).to_bytes())
    }

    /// Signs a statement.
    pub fn seal<T: Domain>(&self, body: T) -> Signed<T> {
        let signature = self.sign(&message_for(&body));
        Signed { body, signature }
    }
}

/// The key that signs batches.
pub struct EvmSigner(BatchSigningKey);

impl EvmSigner {
    /// From 32 secret bytes; `None` if they are no scalar (one in 2^128).
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Option<Self> {
        BatchSigningKey::from_slice(secret).ok().map(Self)
    }

    /// Its EVM address.
    #[must_use]
    pub fn key(&self) -> BatchKey {
        address(self.0.verifying_key())
    }

    /// Signs a 32-byte hash; `r ‖ s ‖ v` with low `s` and `v` of 27 or 28.
    #[must_use]
    pub fn sign(&self, hash: &[u8; 32]) -> EvmSignature {
        let (signature, recovery) =
            self.0.sign_prehash_recoverable(hash).expect("a 32-byte hash can be signed");
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + recovery.to_byte();
        EvmSignature(bytes)
    }
}

impl EvmSigner {
    /// Another key that only the holder of this one can make, and from which this one can't be found.
    #[must_use]
    pub fn child(&self, salt: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("ayni 2026 payer key of a channel");
        hasher.update(&self.0.to_bytes()).update(salt);
        let mut reader = hasher.finalize_xof();
        loop {
            let mut secret = [0; 32];
            reader.fill(&mut secret);
            if let Some(key) = Self::from_secret(&secret) {
                return key;
            }
        }
    }
}

/// The EVM address of a public key.
pub(crate) fn address(key: &k256::ecdsa::VerifyingKey) -> BatchKey {
    let point = key.to_encoded_point(false);
    let hash = Keccak256::digest(&point.as_bytes()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    BatchKey(address)
}
