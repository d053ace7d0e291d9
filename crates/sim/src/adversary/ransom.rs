//! Ransom: it executes, signs, and keeps the outputs to itself.

use std::collections::BTreeSet;

use ayni_types::{Digest, NodeId};

use super::{Adversary, Desk, RunSeen, Went};

#[derive(Default)]
pub(super) struct Ransom {
    kept: BTreeSet<Digest>,
}

impl Adversary for Ransom {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, _desk: &mut Desk<'_>) -> Went {
        if let (true, Ok(ran)) = (seen.for_others(), &honest.1) {
            self.kept.insert(ran.outcome.stdout.digest);
        }
        honest
    }

    fn gives(&mut self, blob: Digest, _to: NodeId, _desk: &mut Desk<'_>) -> bool {
        !self.kept.contains(&blob)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, OTHER, is_right, ran};

    #[test]
    fn the_work_is_done_and_its_output_withheld() {
        let mut bench = Bench::new("ransom", 0);
        assert!(is_right(1, &bench.run(1)));
        let output = ran(1).outcome.stdout.digest;
        assert!(!bench.act(|adversary, desk| adversary.gives(output, OTHER, desk)));
        let other = ran(2).outcome.stdout.digest;
        assert!(bench.act(|adversary, desk| adversary.gives(other, OTHER, desk)));
    }
}
