//! What can go wrong, one enum for each operation.

use std::io;
use std::net::SocketAddr;

use ayni_types::{Digest, NodeId};

/// A boxed cause whose type is nobody's business outside this crate.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the network could not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A listed address can't be listened on.
    #[error("can't listen on {addr} (is it in use, or not an address of this machine?)")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The sockets could not be opened.
    #[error("can't open the network endpoint on {addrs:?}")]
    Endpoint {
        /// Asked for.
        addrs: Vec<SocketAddr>,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Not a URL.
    #[error("`{url}` is not the URL of a relay (like http://192.0.2.7:3340)")]
    RelayUrl {
        /// What was given.
        url: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The relay role could not start.
    #[error("can't serve a relay on {addr}")]
    Relay {
        /// Where.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: Cause,
    },
}

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undeliverable {
    /// The peer could not be reached.
    #[error("can't reach the peer: {0}")]
    Unreachable(String),
    /// The peer does not read what is sent to it.
    #[error("{messages} messages ({bytes} bytes) are already waiting for the peer")]
    QueueFull {
        /// In the queue.
        messages: usize,
        /// In the queue.
        bytes: usize,
    },
    /// Over the limit of a message.
    #[error("the message has {size} bytes; at most {max} are allowed")]
    TooLong {
        /// Given.
        size: usize,
        /// Allowed.
        max: usize,
    },
    /// The peer misbehaved and is refused for a while.
    #[error("the peer is refused for misbehaviour")]
    Refused,
    /// Too many peers at once.
    #[error("{0} peers are connected already")]
    TooManyPeers(usize),
    /// The message is for this node.
    #[error("a node doesn't send to itself")]
    Myself,
}

/// Why a blob was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Every holder failed.
    #[error("no holder gave blob {digest}: {}", list(failures))]
    NoHolder {
        /// Which.
        digest: Digest,
        /// Each holder and its failure; empty when nobody was named.
        failures: Vec<(NodeId, HolderError)>,
    },
    /// The blob could not be kept.
    #[error("can't keep blob {digest}")]
    Store {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn list(failures: &[(NodeId, HolderError)]) -> String {
    if failures.is_empty() {
        return "nobody is known to hold it".to_owned();
    }
    let lines: Vec<_> = failures.iter().map(|(node, e)| format!("{}: {e}", node.short())).collect();
    lines.join("; ")
}

/// Why one holder did not give a blob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// No connection.
    #[error("can't reach it: {0}")]
    Unreachable(String),
    /// It says that it has no such blob.
    #[error("it does not hold it")]
    NotHeld,
    /// It does not let us.
    #[error("it refuses to give it to us")]
    Refused,
    /// It is at its limits.
    #[error("it is busy")]
    Busy,
    /// Its own copy does not match the digest.
    #[error("its copy is damaged")]
    Damaged,
    /// It sent bytes that do not match the digest.
    #[error("it sent wrong bytes at offset {offset}")]
    Lied {
        /// Where the first wrong bytes would have gone.
        offset: u64,
    },
    /// It gave another size than the blob has.
    #[error("it says that the blob has {said} bytes, it has {expected}")]
    WrongSize {
        /// What it said.
        said: u64,
        /// What is right.
        expected: u64,
    },
    /// It says that the blob is larger than any may be.
    #[error("the blob would have {said} bytes; at most {max} are allowed")]
    TooLarge {
        /// What it said.
        said: u64,
        /// The limit.
        max: u64,
    },
    /// It broke the protocol.
    #[error("it broke the protocol: {0}")]
    Protocol(&'static str),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing came.
    #[error("it sent nothing for {0} s")]
    Silent(u64),
}

impl HolderError {
    /// Whether asking the same holder again at once may help.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Silent(_) | Self::Busy)
    }

    /// Whether an honest holder could not have done this.
    pub(crate) fn is_dishonest(&self) -> bool {
        matches!(self, Self::Lied { .. } | Self::Protocol(_))
    }
}
