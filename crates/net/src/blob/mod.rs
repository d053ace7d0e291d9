//! Blobs: bytes addressed by their BLAKE3 digest, fetched with a proof for every 16 KiB.
//!
//! * `protocol`: what travels. `segment`: the geometry of groups and segments, and what they prove.
//! * `serve`: the holder's side. `proof`: what it needs beside the bytes, computed once.
//! * `fetch`: the other side. `holders`: its connections. `partial`: what of a large blob is there
//!   already, provably, also after a restart.
//!
//! Deliberately not here: where blobs live. A node's store implements [`BlobHost`] and
//! [`BlobSink`]; their methods are called where blocking is allowed.

mod fetch;
mod holders;
mod partial;
mod proof;
mod protocol;
mod segment;
mod serve;

use std::fs::File;
use std::io;

use ayni_types::{Digest, NodeId};

pub(crate) use fetch::fetch;
pub(crate) use holders::Holders;
pub(crate) use serve::{Serving, serve};

pub use fetch::FetchOutcome;
pub use protocol::BLOB_ALPN;

/// A blob as its holder opens it.
#[derive(Debug)]
pub struct HostedBlob {
    /// Its bytes, from offset 0.
    pub file: File,
    /// How many.
    pub size: u64,
}

/// What this node holds for others.
pub trait BlobHost: Send + Sync + 'static {
    /// Opens a blob; `None` if it isn't held.
    ///
    /// # Errors
    /// When it is held and can't be read.
    fn open(&self, digest: &Digest) -> io::Result<Option<HostedBlob>>;

    /// Whether a peer may have a blob. Asked before anything is opened or said.
    fn may_fetch(&self, peer: NodeId, digest: &Digest) -> bool;

    /// The bytes on disk no longer match the digest: nobody was given them.
    fn damaged(&self, digest: &Digest) {
        tracing::error!("blob {digest} is damaged on disk");
    }
}

/// The files of a blob that is being fetched.
#[derive(Debug)]
pub struct PartialBlob {
    /// The bytes, each at its place. Readable and writable.
    pub data: File,
    /// The proofs of those that are there. Readable and writable.
    pub proof: File,
}

/// Where fetched blobs go.
pub trait BlobSink: Send + Sync + 'static {
    /// The size of a blob that is there already, whole; it is not fetched then.
    fn held(&self, digest: &Digest) -> Option<u64>;

    /// Keeps a whole, verified blob of at most [`crate::limits::SEGMENT_BYTES`].
    ///
    /// # Errors
    /// When it can't.
    fn put(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()>;

    /// Opens, or creates empty, the two files of a large blob: the same ones whenever asked, also
    /// after a restart, until [`finish`](Self::finish). `size` is
    /// what the blob will need; refuse here what does not fit.
    ///
    /// # Errors
    /// When they can't be opened, or the blob is not wanted.
    fn partial(&self, digest: &Digest, size: u64) -> io::Result<PartialBlob>;

    /// The partial data file is whole and verified: sync it, rename it, drop the proof.
    ///
    /// # Errors
    /// When it can't be kept.
    fn finish(&self, digest: &Digest, size: u64) -> io::Result<()>;
}
