//! How the nouns of Ayni travel: canonical encoding, hashes, signatures, frames and messages.
//!
//! The fuzz boundary: whatever a peer, a runner or a file hands us becomes a value here or is
//! refused here. Deliberately not here: what a message means (`ayni-core`), sockets, keys at rest.

mod backing;
mod batch;
mod canonical;
mod check;
pub mod frame;
mod fraud;
mod message;
pub mod runner;
mod sign;
mod ticket;
mod verify;
mod voucher;

pub use backing::{Backing, backing_hash};
pub use batch::{
    BatchProof, EvmSignature, batch_hash, leaf_hash, merkle_proof, merkle_root, recover_batch_key,
    verify_proof,
};
pub use canonical::{DecodeError, decode, encode};
pub use check::{TaskError, check_task, check_tree, digest, outcome_digest, task_id};
pub use fraud::{NoProof, SignedHeader, TwoRoots};
pub use message::{
    Assign, Case, Delivered, FullLease, Hello, Message, PROTOCOL_VERSION, Query, ReceiptFile, Refusal,
    RefusalCode, SignedBatch,
};
pub use sign::{Domain, EvmSigner, NodeKey, SignatureError, Signed, verify_node};
pub use ticket::{Ticket, TicketError};
pub use verify::{ReceiptCheck, task_blobs, verify_receipt};
pub use voucher::{Voucher, channel_id, voucher_hash};
