//! How a sender behaves, and why it may refuse.

use std::time::Duration;

use super::outbox::OutboxError;
use crate::limits::INTENT_ID_BYTES_MAX;

/// How a sender behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendTerms {
    /// Blocks on top of a transaction's before it is over. 0 on the local ledger.
    pub confirmations: u64,
    /// Most wei per gas.
    pub fee_wei_max: u128,
    /// Not in a block after this long: replaced with higher fees.
    pub stuck_after: Duration,
    /// Not in a block after this long: the same bytes are sent again.
    pub resend_after: Duration,
    /// Between two rounds of `wait`.
    pub poll: Duration,
}

impl SendTerms {
    /// For the local ledger: final at once.
    pub const LOCAL: Self = Self {
        confirmations: 0,
        fee_wei_max: u128::MAX,
        stuck_after: Duration::from_secs(60),
        resend_after: Duration::from_secs(10),
        poll: Duration::from_millis(20),
    };

    /// For a chain with blocks every few seconds; at most 500 gwei.
    pub const REMOTE: Self = Self {
        confirmations: 3,
        fee_wei_max: 500_000_000_000,
        stuck_after: Duration::from_secs(60),
        resend_after: Duration::from_secs(20),
        poll: Duration::from_secs(2),
    };
}

/// Why an intent is not taken, or a round failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The outbox failed; nothing was sent that it does not know of.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The id is empty or too long.
    #[error("an intent's id has 1 to {INTENT_ID_BYTES_MAX} bytes, not {0}")]
    BadId(usize),
    /// Another intent has this id.
    #[error("intent {0:?} was submitted before with another content\nhint: use a new id")]
    Conflict(String),
    /// The data is longer than a transaction may be.
    #[error("intent {id:?} has {bytes} bytes of data; a transaction takes {max}")]
    TooLong {
        /// Which intent.
        id: String,
        /// Its data.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// There is no such intent.
    #[error("there is no intent {0:?}")]
    Unknown(String),
    /// It is not over yet.
    #[error("intent {0:?} is not over\nhint: wait for it first")]
    NotOver(String),
    /// The contract would refuse it.
    #[error("intent {id:?} was not sent: {why}")]
    Refused {
        /// Which intent.
        id: String,
        /// What the contract says.
        why: String,
    },
    /// It was not over in time; it may still be.
    #[error("intent {id:?} is not over after {seconds} s: {trouble}")]
    TimedOut {
        /// Which intent.
        id: String,
        /// How long was waited.
        seconds: u64,
        /// What stood in the way last.
        trouble: String,
    },
}
