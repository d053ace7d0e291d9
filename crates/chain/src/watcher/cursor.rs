//! How far a watcher has come: the next block, and hashes of the last ones, so that it notices
//! after a restart, too, that the chain went another way.

use std::collections::VecDeque;

use minicbor::{Decode, Encode};

use crate::limits::RING_BLOCKS;

/// Kept by whoever keeps the events, together with them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Cursor {
    /// The next block to look at.
    #[n(0)]
    pub next: u64,
    /// Blocks that were looked at, oldest first.
    #[n(1)]
    ring: VecDeque<Seen>,
}

/// A block that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(super) struct Seen {
    #[n(0)]
    pub(super) number: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) hash: [u8; 32],
}

impl Cursor {
    /// Begins at a block.
    #[must_use]
    pub fn at(block: u64) -> Self {
        Self { next: block, ring: VecDeque::new() }
    }

    pub(super) fn last(&self) -> Option<Seen> {
        self.ring.back().copied()
    }

    /// Takes note of a block that follows all that were seen.
    pub(super) fn push(&mut self, number: u64, hash: [u8; 32]) {
        assert!(self.last().is_none_or(|last| last.number < number), "blocks are seen in order");
        if self.ring.len() >= RING_BLOCKS {
            self.ring.pop_front();
        }
        self.ring.push_back(Seen { number, hash });
        self.next = number + 1;
    }

    /// Takes the last block back; says which one it was.
    pub(super) fn pop(&mut self) -> Option<Seen> {
        let seen = self.ring.pop_back()?;
        self.next = self.ring.back().map_or(seen.number, |last| last.number + 1);
        Some(seen)
    }
}
