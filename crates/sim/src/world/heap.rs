//! What happens, when, and to whom: a heap ordered by time and then by number, so that what was
//! scheduled first at one moment happens first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ayni_core::{FetchId, Ran, RunId};
use ayni_types::{ChannelId, Digest, Fault};
use ayni_wire::Message;

use crate::net::Pair;

/// Something that happens at a node.
#[derive(Debug)]
pub(super) enum Happening {
    Wake(u64),
    Dial(usize),
    Dialled(usize),
    Down(usize),
    Deliver { from: usize, epoch: u64, message: Box<Message> },
    Synced(u64),
    SyncFailed(u64),
    Fetched { fetch: FetchId, source: Option<(usize, u64)>, blobs: Vec<Digest>, failed: bool },
    RunCompiles { run: RunId, compiling: bool },
    RunEnds { run: RunId, result: Box<Result<Ran, Fault>> },
    Restart,
    Client(usize),
    Idle,
    FaultTick,
    DiskMends,
    Resume,
    Mend(Pair),
    Block,
    Seen(ChannelId),
    ChainFailed(ChannelId, String),
}

impl Happening {
    /// Whether it waits while the node's process stands still.
    pub(super) fn needs_the_process(&self) -> bool {
        matches!(
            self,
            Self::Wake(_)
                | Self::Dialled(_)
                | Self::Down(_)
                | Self::Deliver { .. }
                | Self::Synced(_)
                | Self::SyncFailed(_)
                | Self::Fetched { .. }
                | Self::RunCompiles { .. }
                | Self::RunEnds { .. }
                | Self::Client(_)
                | Self::Idle
                | Self::Resume
                | Self::Seen(..)
                | Self::ChainFailed(..)
        )
    }
}

/// A happening with its time and place. `incarnation` is the life of the node that it belongs to.
pub(super) struct Scheduled {
    pub(super) at: u64,
    number: u64,
    pub(super) node: usize,
    pub(super) incarnation: u64,
    pub(super) what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Heap {
    heap: BinaryHeap<Reverse<Scheduled>>,
    numbers: u64,
}

impl Heap {
    pub(super) fn push(&mut self, at: u64, node: usize, incarnation: u64, what: Happening) {
        self.numbers += 1;
        let number = self.numbers;
        self.heap.push(Reverse(Scheduled { at, number, node, incarnation, what }));
    }

    /// Puts a happening off; it keeps its place among those of one moment.
    pub(super) fn again(&mut self, at: u64, what: Scheduled) {
        self.heap.push(Reverse(Scheduled { at, ..what }));
    }

    pub(super) fn pop(&mut self) -> Option<Reverse<Scheduled>> {
        self.heap.pop()
    }
}
