//! The nouns of Ayni: identifiers, quantities, tasks, outcomes, offers, leases, receipts, accounts and
//! channels.
//!
//! Everything here is plain data with a canonical CBOR form (field order is the encoding), so that
//! every other crate speaks of the same things by the same names. Deliberately not here: IO, async,
//! hashing, signatures (all in `ayni-wire`), and the JSON shapes of the local API (in `ayni-api`).

mod id;
pub mod limits;
mod market;
mod money;
mod outcome;
mod quantity;
mod receipt;
mod task;
mod verify;

pub use id::{
    AssignmentId, BatchKey, ChannelId, Digest, IdError, JobId, LeaseId, NodeAddr, NodeId,
    NodeSignature, TaskId,
};
pub use market::{Energy, EngineBuild, Lease, Offer, Price, Roles, Wall, Walls};
pub use money::{Account, ChannelFunds, ChannelTerms, Ledger, PaidBy, Payment, Withdrawal};
pub use outcome::{
    BlobRef, End, Exhausted, Fault, FaultKind, Observed, OutFile, Outcome, TrapCode,
};
pub use quantity::{Amount, Fuel, Time};
pub use receipt::{BatchHeader, Receipt};
pub use task::{
    EngineId, EnvVar, GuestPath, GuestPathError, Limits, Mount, MountKind, TaskSpec, Tree,
    TreeEntry,
};
pub use verify::{Dispute, Verify};
