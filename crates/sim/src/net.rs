//! Connections between nodes: up or down, in order while up, everything in flight lost when one
//! goes down. Partitions cut pairs of nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ayni_wire::Message;

/// A pair of nodes, lower number first.
pub type Pair = (usize, usize);

/// Messages remembered per direction, to be said again over the next connection.
const RECENT_MAX: usize = 4;

/// The pair of two nodes.
#[must_use]
pub fn pair(a: usize, b: usize) -> Pair {
    (a.min(b), a.max(b))
}

/// See the module.
#[derive(Debug, Default)]
pub struct Net {
    /// Connections that are up, with a number that changes each time.
    up: BTreeMap<Pair, u64>,
    dialling: BTreeSet<Pair>,
    /// Peers that at least one side wants connected, from both sides.
    wanted: BTreeMap<usize, BTreeSet<usize>>,
    cut: BTreeSet<Pair>,
    last: BTreeMap<(usize, usize), u64>,
    recent: BTreeMap<(usize, usize), VecDeque<Message>>,
    epochs: u64,
}

impl Net {
    /// The number of the connection, if it is up.
    #[must_use]
    pub fn epoch(&self, a: usize, b: usize) -> Option<u64> {
        self.up.get(&pair(a, b)).copied()
    }

    /// Somebody wants this connection; true if a dial has to be made.
    pub fn want(&mut self, a: usize, b: usize) -> bool {
        self.wanted.entry(a).or_default().insert(b);
        self.wanted.entry(b).or_default().insert(a);
        let pair = pair(a, b);
        !self.up.contains_key(&pair) && self.dialling.insert(pair)
    }

    /// A dial ended; the number of the new connection if `alive` and not cut.
    pub fn dialled(&mut self, a: usize, b: usize, alive: bool) -> Option<u64> {
        let pair = pair(a, b);
        self.dialling.remove(&pair);
        if !alive || self.cut.contains(&pair) || self.up.contains_key(&pair) {
            return None;
        }
        self.epochs += 1;
        self.up.insert(pair, self.epochs);
        Some(self.epochs)
    }

    /// Takes a connection down; true if it was up.
    pub fn drop_pair(&mut self, pair: Pair) -> bool {
        self.last.remove(&pair);
        self.last.remove(&(pair.1, pair.0));
        self.up.remove(&pair).is_some()
    }

    /// The peers a node is connected to.
    #[must_use]
    pub fn peers_of(&self, node: usize) -> Vec<usize> {
        let wanted = self.wanted.get(&node).into_iter().flatten().copied();
        wanted.filter(|peer| self.up.contains_key(&pair(node, *peer))).collect()
    }

    /// Peers of a node that somebody wants connected and that are not.
    #[must_use]
    pub fn missing_of(&self, node: usize) -> Vec<usize> {
        let wanted = self.wanted.get(&node).into_iter().flatten().copied();
        wanted.filter(|peer| self.is_missing(pair(node, *peer))).collect()
    }

    /// All connections that somebody wants and that are not up.
    #[must_use]
    pub fn missing(&self) -> Vec<Pair> {
        let pairs = self.wanted.iter().flat_map(|(a, peers)| peers.iter().map(|b| (*a, *b)));
        pairs.filter(|(a, b)| a < b && self.is_missing((*a, *b))).collect()
    }

    fn is_missing(&self, pair: Pair) -> bool {
        !self.up.contains_key(&pair) && !self.dialling.contains(&pair)
    }

    /// Cuts or mends a pair.
    pub fn set_cut(&mut self, pair: Pair, cut: bool) {
        if cut {
            self.cut.insert(pair);
        } else {
            self.cut.remove(&pair);
        }
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// When a message sent now with this delay arrives: never before an earlier one.
    pub fn arrival(&mut self, from: usize, to: usize, at: u64) -> u64 {
        let last = self.last.entry((from, to)).or_default();
        *last = at.max(*last);
        *last
    }

    /// Nothing arrives in this direction before `at`.
    pub fn stall(&mut self, from: usize, to: usize, at: u64) {
        self.arrival(from, to, at);
    }

    /// Keeps a message, to be said again over the next connection.
    pub fn remember(&mut self, from: usize, to: usize, message: &Message) {
        let recent = self.recent.entry((from, to)).or_default();
        if recent.len() == RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back(message.clone());
    }

    /// What was said last in this direction.
    #[must_use]
    pub fn recent(&self, from: usize, to: usize) -> Vec<Message> {
        self.recent.get(&(from, to)).into_iter().flatten().cloned().collect()
    }

    /// The process of a node is gone, and what it would have said again with it.
    pub fn forget_recent(&mut self, node: usize) {
        self.recent.retain(|(from, _), _| *from != node);
    }
}
