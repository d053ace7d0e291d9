//! Identifiers. Each is its own type, so that a lease can't be passed where a job is meant.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use minicbor::{Decode, Encode};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Wrong alphabet or length.
    #[error("`{text}` is not {expected}")]
    Malformed {
        /// What was given, cut to 100 characters.
        text: String,
        /// What would have been right.
        expected: &'static str,
    },
}

pub(crate) fn malformed(text: &str, expected: &'static str) -> IdError {
    IdError::Malformed { text: text.chars().take(100).collect(), expected }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; $len]);

        impl $name {
            /// The first ten hex digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                data_encoding::HEXLOWER.encode(&self.0[..5])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .map_err(|_| malformed(text, $expected))?;
                Ok(Self(bytes.try_into().map_err(|_| malformed(text, $expected))?))
            }
        }
    };
}

hex_id!(
    /// BLAKE3 digest of some bytes; names a blob.
    Digest, 32, "a digest (64 hex digits)"
);
hex_id!(
    /// Digest of a task's canonical encoding. Equal ids mean equal outcomes.
    TaskId, 32, "a task id (64 hex digits)"
);
hex_id!(
    /// A job, drawn at random by its requester.
    JobId, 16, "a job id (32 hex digits)"
);
hex_id!(
    /// A lease, drawn at random by its requester.
    LeaseId, 16, "a lease id (32 hex digits)"
);
hex_id!(
    /// EVM address (last 20 bytes of keccak-256 of the public key) of the session key that signs a
    /// lease's batches.
    BatchKey, 20, "an address (40 hex digits)"
);
hex_id!(
    /// A payment channel: the EIP-712 hash of its terms.
    ChannelId, 32, "a channel id (64 hex digits)"
);
hex_id!(
    /// An Ed25519 signature made by a node's identity.
    NodeSignature, 64, "a signature (128 hex digits)"
);

/// A node: its Ed25519 public key. Shown as `did:key:z6Mk…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct NodeId(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

const DID_PREFIX: &str = "did:key:z";
const ED25519_MULTICODEC: [u8; 2] = [0xed, 0x01];

impl NodeId {
    /// The last ten characters of the `did:key`, for people.
    #[must_use]
    pub fn short(&self) -> String {
        let did = self.to_string();
        did[did.len() - 10..].to_owned()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = [0; 34];
        key[..2].copy_from_slice(&ED25519_MULTICODEC);
        key[2..].copy_from_slice(&self.0);
        write!(f, "{DID_PREFIX}{}", bs58::encode(key).into_string())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.short())
    }
}

impl FromStr for NodeId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || malformed(text, "a node id (did:key:z6Mk…)");
        let body = text.strip_prefix(DID_PREFIX).filter(|b| b.len() <= 64).ok_or_else(wrong)?;
        let key = bs58::decode(body).into_vec().map_err(|_| wrong())?;
        let key: [u8; 34] = key.try_into().map_err(|_| wrong())?;
        let (codec, key) = key.split_at(2);
        if codec != ED25519_MULTICODEC {
            return Err(wrong());
        }
        Ok(Self(key.try_into().map_err(|_| wrong())?))
    }
}

/// One handing-out of one task under one lease. Its author counts `number` up, so an assignment is
/// applied at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct AssignmentId {
    /// The lease it belongs to.
    #[n(0)]
    pub lease: LeaseId,
    /// Counts up from 0 within the lease.
    #[n(1)]
    pub number: u64,
}

impl fmt::Display for AssignmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.lease, self.number)
    }
}

/// Where a node may be reached: hints, never trusted (the key is what is checked).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NodeAddr {
    /// Who.
    #[n(0)]
    pub node: NodeId,
    /// Socket addresses to try.
    #[n(1)]
    pub direct: Vec<SocketAddr>,
    /// A relay that knows the node, as a URL.
    #[n(2)]
    pub relay: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_text() {
        let node = NodeId([7; 32]);
        assert_eq!(node.to_string().parse(), Ok(node));
        let digest = Digest([0xab; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn malformed_ids_name_the_text() {
        for text in ["", "did:key:z", "did:web:example", "did:key:z6Mk0OIl", "ab"] {
            let error = text.parse::<NodeId>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        assert!("zz".parse::<Digest>().is_err());
        assert!("ab".repeat(31).parse::<Digest>().is_err());
    }
}
