//! Never compiled: it takes work, never ends it, and says all the while that it still compiles. The
//! dose is how often, in percent of the assignments.

use std::collections::BTreeMap;

use ayni_types::{AssignmentId, NodeId};
use ayni_wire::Message;

use super::{Adversary, Deed, Desk, RunSeen, Went};

/// A month.
const FOR_EVER_MS: u64 = 30 * 86_400_000;
/// Assignments spoken of at once: the newest.
const HELD_MAX: usize = 64;

pub(super) struct NeverCompiled {
    pub(super) percent: u64,
    held: BTreeMap<AssignmentId, NodeId>,
}

impl NeverCompiled {
    pub(super) fn new(percent: u64) -> Self {
        Self { percent, held: BTreeMap::new() }
    }
}

impl Adversary for NeverCompiled {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        if seen.for_others() && desk.chance.percent(self.percent) {
            (FOR_EVER_MS, honest.1)
        } else {
            honest
        }
    }

    fn hear(&mut self, from: NodeId, message: &Message, _desk: &mut Desk<'_>) -> Vec<Deed> {
        match message {
            Message::Assign(assign) => {
                self.held.insert(assign.id, from);
                while self.held.len() > HELD_MAX {
                    self.held.pop_first();
                }
            }
            Message::Cancel { assignment } => {
                self.held.remove(assignment);
            }
            _ => {}
        }
        Vec::new()
    }

    /// Of whatever it was given, done or not: nothing tells them apart from outside.
    fn idle(&mut self, _desk: &mut Desk<'_>) -> Vec<Deed> {
        let say = |(assignment, to): (&AssignmentId, &NodeId)| {
            Deed::Say(*to, Box::new(Message::Compiling { assignment: *assignment }))
        };
        self.held.iter().map(say).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, OTHER, assign};
    use super::*;

    #[test]
    fn it_takes_a_month_and_says_that_it_compiles() {
        let mut bench = Bench::new("never_compiled", 100);
        assert!(bench.idle().is_empty());
        bench.hear(&assign(1));
        assert!(bench.run(1).0 > 7 * 86_400_000);
        let says = |deed: &Deed| {
            matches!(deed, Deed::Say(to, message)
                if *to == OTHER && matches!(**message, Message::Compiling { .. }))
        };
        for _ in 0..3 {
            let deeds = bench.idle();
            assert!(deeds.len() == 1 && deeds.iter().all(says), "{deeds:?}");
        }
        assert!(Bench::new("never_compiled", 0).run(1).0 < 60_000);
    }
}
