//! What a round of the watcher brings: events, what they void, and what is held against nodes.

use super::event::ChainEvent;
use crate::limits::RING_BLOCKS;

/// Where a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Number of its block.
    pub block: u64,
    /// Hash of its block.
    pub block_hash: [u8; 32],
    /// Its transaction.
    pub tx: [u8; 32],
    /// Its number in the block.
    pub index: u64,
}

/// What a round brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something happened.
    Event {
        /// Where.
        at: Position,
        /// What.
        event: Box<ChainEvent>,
    },
    /// The chain went another way: all events of blocks above `after` are void. Those that still
    /// hold come again.
    Reverted {
        /// The last block that still holds.
        after: u64,
    },
    /// A node is not to be relied on.
    Alarm(Alarm),
}

/// What is held against a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// It does not answer.
    #[error("{node} does not answer: {why}")]
    Silent {
        /// Which node.
        node: String,
        /// What happened.
        why: String,
    },
    /// Its head stands still.
    #[error("{node} stands still at block {head}")]
    Stalled {
        /// Which node.
        node: String,
        /// Where.
        head: u64,
    },
    /// It has another block than the others.
    #[error("{node} has another block {block} than most others")]
    BlockDiffers {
        /// Which node.
        node: String,
        /// Which block.
        block: u64,
    },
    /// Its block does not continue the one before.
    #[error("{node} says that block {block} follows another block than it said before")]
    Unlinked {
        /// Which node.
        node: String,
        /// Which block.
        block: u64,
    },
    /// It keeps back logs, or makes them up.
    #[error(
        "{node}, blocks {from} to {to}: {missing} logs missing and {extra} too many against most others"
    )]
    LogsDiffer {
        /// Which node.
        node: String,
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
        /// Logs that the others have.
        missing: usize,
        /// Logs that the others don't have.
        extra: usize,
    },
    /// Its answer is not what was asked for.
    #[error("{node}, blocks {from} to {to}: {why}")]
    Malformed {
        /// Which node.
        node: String,
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
        /// What is wrong.
        why: String,
    },
    /// No answer is given by more than half of the nodes: nothing is believed.
    #[error("the nodes do not agree on blocks {from} to {to}; waiting")]
    NoAgreement {
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
    },
}

/// Why a watcher can't go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is nobody to ask.
    #[error(
        "a watcher needs at least one node\nhint: configure an address of the chain's JSON-RPC"
    )]
    NoNodes,
    /// A node is of another chain than the contracts.
    #[error("{node} is of chain {found}, but the contracts are on chain {wanted}")]
    OtherChain {
        /// Which node.
        node: String,
        /// Its chain.
        found: u64,
        /// The contracts'.
        wanted: u64,
    },
    /// The chain went another way before the oldest block that is remembered.
    #[error(
        "the chain was reorganised below block {oldest}, deeper than {RING_BLOCKS} looks remember\n\
         hint: forget what was learned from it and watch again from block {since}"
    )]
    TooDeep {
        /// Oldest block that was remembered.
        oldest: u64,
        /// Where to begin again.
        since: u64,
    },
    /// A log that most nodes agree on is not what the contract writes.
    #[error(
        "log {index} of block {block} does not decode: {why}\nhint: are these the contracts of this version?"
    )]
    Undecodable {
        /// Its block.
        block: u64,
        /// Its number in the block.
        index: u64,
        /// What is wrong.
        why: String,
    },
}
