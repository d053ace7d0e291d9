//! The memory of misbehaviour: a peer that does what no honest peer does is refused for a while.
//! Keys are free, so this stops accidents and lazy attackers, not determined ones.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use ayni_types::NodeId;

use crate::limits::{CONDUCT_MAX, STRIKE_MEMORY, STRIKES_MAX};
use crate::lock;

/// Strikes by node.
#[derive(Default)]
pub(crate) struct Conduct(Mutex<HashMap<NodeId, Record>>);

struct Record {
    strikes: u32,
    latest: Instant,
}

impl Conduct {
    /// Notes a misdeed.
    pub(crate) fn strike(&self, node: NodeId, what: &str) {
        let now = Instant::now();
        let mut records = lock(&self.0);
        if records.len() >= CONDUCT_MAX {
            records.retain(|_, record| now.duration_since(record.latest) < STRIKE_MEMORY);
        }
        if records.len() >= CONDUCT_MAX && !records.contains_key(&node) {
            return;
        }
        let record = records.entry(node).or_insert(Record { strikes: 0, latest: now });
        if now.duration_since(record.latest) >= STRIKE_MEMORY {
            record.strikes = 0;
        }
        record.strikes = record.strikes.saturating_add(1);
        record.latest = now;
        tracing::warn!(peer = %node.short(), strikes = record.strikes, "misbehaviour: {what}");
    }

    /// Whether the node is refused at present.
    pub(crate) fn refuses(&self, node: NodeId) -> bool {
        lock(&self.0).get(&node).is_some_and(|record| {
            record.strikes >= STRIKES_MAX && record.latest.elapsed() < STRIKE_MEMORY
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_refused_after_its_last_strike_and_others_are_not() {
        let conduct = Conduct::default();
        let bad = NodeId([1; 32]);
        for _ in 0..STRIKES_MAX {
            assert!(!conduct.refuses(bad));
            conduct.strike(bad, "test");
        }
        assert!(conduct.refuses(bad));
        assert!(!conduct.refuses(NodeId([2; 32])));
    }
}
