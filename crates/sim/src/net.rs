//! Connections between nodes: up or down, in order while up, everything in flight lost when one
//! goes down. Partitions cut pairs of nodes.

use std::collections::{BTreeMap, BTreeSet};

/// A pair of nodes, lower number first.
pub type Pair = (usize, usize);

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
    /// Pairs that at least one side wants connected.
    wanted: BTreeSet<Pair>,
    cut: BTreeSet<Pair>,
    last: BTreeMap<(usize, usize), u64>,
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
        let pair = pair(a, b);
        self.wanted.insert(pair);
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
        let other = |&(a, b): &Pair| match (a == node, b == node) {
            (true, _) => Some(b),
            (_, true) => Some(a),
            _ => None,
        };
        self.up.keys().filter_map(other).collect()
    }

    /// Connections that somebody wants and that are not up.
    #[must_use]
    pub fn missing(&self) -> Vec<Pair> {
        self.wanted
            .iter()
            .filter(|p| !self.up.contains_key(p) && !self.dialling.contains(p))
            .copied()
            .collect()
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
}
