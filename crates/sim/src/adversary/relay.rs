//! Relay: whoever forwards this node's packets can't read them, and picks by what it sees: long
//! messages (batches, outcomes, tasks) break the connection, others come late. The dose is how
//! often, in percent.

use super::{Adversary, Desk, Fate};

/// Longer than what keeps a connection alive.
const LONG_BYTES: usize = 200;

pub(super) struct Relay {
    pub(super) percent: u64,
}

impl Adversary for Relay {
    fn wire(&mut self, bytes: usize, desk: &mut Desk<'_>) -> Fate {
        // Even a relay that wants to be paid lets most of it through.
        if bytes < LONG_BYTES || !desk.chance.percent(self.percent / 4) {
            Fate::Pass
        } else if desk.chance.percent(25) {
            Fate::Break
        } else {
            Fate::Late(desk.chance.between(100, 3_000))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fate;
    use super::super::bench::Bench;

    #[test]
    fn long_messages_suffer_and_short_ones_pass() {
        let mut bench = Bench::new("relay", 100);
        let mut fates = |bytes| -> Vec<Fate> {
            (0..200).map(|_| bench.act(|adversary, desk| adversary.wire(bytes, desk))).collect()
        };
        assert!(fates(100).iter().all(|f| *f == Fate::Pass));
        let long = fates(1_000);
        assert!(long.contains(&Fate::Break));
        assert!(long.iter().any(|f| matches!(f, Fate::Late(_))));
    }
}
