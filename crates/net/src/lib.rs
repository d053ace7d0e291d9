//! How nodes reach each other: authenticated messages and verified blobs over QUIC.
//!
//! A node is dialled by its public key, directly or through a relay, and proves that key before a
//! byte of ours is read. Two protocols run over that: `ayni/msg/1` (messages, in order, with
//! back-pressure) and `ayni/blob/1` (content by its digest, every 16 KiB proven before it is
//! kept). This is the only crate that knows iroh; nothing of iroh is in its public API.
//!
//! The map, from the outside in:
//! * [`Net`] (`net`): the adapter that a node holds; accepts connections and sorts them.
//! * `peer`: one actor for each other node: its queue, its links, its dials. `frame`: bytes of a
//!   link.
//! * `blob`: fetching, serving, partial blobs on disk.
//! * `address`, `conduct`, `mdns`, `relay`: the address book, the memory of misbehaviour, discovery
//!   on a local network, the relay role.
//! * `limits`: a limit on everything, with its cost.
//!
//! Deliberately not here: what a message means, which peers to want, where blobs are stored, any
//! server of somebody else (nothing is dialled that the configuration or a peer did not name).

mod address;
mod blob;
mod conduct;
mod error;
mod frame;
pub mod limits;
mod mdns;
mod net;
mod peer;
mod relay;

pub use blob::{BLOB_ALPN, BlobHost, BlobSink, FetchOutcome, HostedBlob, PartialBlob};
pub use error::{FetchError, HolderError, NetError, Undeliverable};
pub use frame::MESSAGE_ALPN;
pub use net::{Net, NetConfig, NetEvent, Path, PeerStatus};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic elsewhere: every critical section here leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
