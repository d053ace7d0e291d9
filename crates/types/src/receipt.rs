//! A provider's commitment to an outcome: one leaf of a signed batch.

use minicbor::{Decode, Encode};

use crate::id::{Digest, LeaseId, TaskId};
use crate::outcome::Observed;
use crate::quantity::{Amount, Fuel};

/// In this lease's batch, this assignment of this task had this outcome at this price.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// Lease.
    #[n(0)]
    pub lease: LeaseId,
    /// Batch number within the lease.
    #[n(1)]
    pub batch: u64,
    /// Place within the batch.
    #[n(2)]
    pub index: u32,
    /// Assignment number within the lease.
    #[n(3)]
    pub assignment: u64,
    /// What was run.
    #[n(4)]
    pub task: TaskId,
    /// Digest of the outcome's canonical encoding.
    #[n(5)]
    pub outcome: Digest,
    /// Fuel of the outcome.
    #[n(6)]
    pub fuel: Fuel,
    /// Code bytes billed with this task (the first use of a program in the lease), else 0.
    #[n(7)]
    pub code_bytes: u64,
    /// Declared input and output bytes billed.
    #[n(8)]
    pub data_bytes: u64,
    /// Price by the lease.
    #[n(9)]
    pub price: Amount,
    /// What was seen beside it; not verified and not part of the leaf.
    #[n(10)]
    pub observed: Observed,
}

/// What is signed for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct BatchHeader {
    /// Lease.
    #[n(0)]
    pub lease: LeaseId,
    /// Counts up from 0; two roots for one number prove fraud.
    #[n(1)]
    pub batch: u64,
    /// Number of receipts.
    #[n(2)]
    pub count: u32,
    /// Keccak-256 Merkle root over the receipts.
    #[n(3)]
    pub root: Digest,
}
