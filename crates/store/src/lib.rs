//! What a node keeps on disk: its lock, its keys, its journal and its blobs.
//!
//! The journal is a redb table of records that only the core understands; blobs are files named by
//! their digest. Deliberately not here: what records mean (`ayni-core`), fetching (`ayni-net`),
//! encryption at rest.

mod blobs;
mod home;
mod journal;
mod small;

pub use blobs::{Area, BlobWriter, Blobs, Partial, StoreError};
pub use home::{Home, HomeError, Keys};
pub use journal::{Journal, JournalError};
pub use small::SMALL_BLOB_BYTES_MAX;
