//! Copies: it never executes. If another of the ring has executed the same task, it signs that
//! outcome; if not, it signs the last one seen for the same program and hopes.

use std::collections::BTreeMap;

use ayni_types::{Digest, Outcome};

use super::{Adversary, Desk, RunSeen, Went};

#[derive(Default)]
pub(super) struct Copies {
    last: BTreeMap<Digest, Outcome>,
}

impl Adversary for Copies {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        let (_, Ok(mut ran)) = honest.clone() else { return honest };
        if !seen.for_others() {
            return honest;
        }
        let known = desk.ring.found.get(&seen.id).or_else(|| self.last.get(&seen.task.program));
        if let Some(outcome) = known.cloned() {
            ran.outcome = outcome;
            return (1, Ok(ran));
        }
        // Nothing to copy yet: this once it works, and tells the others.
        self.last.insert(seen.task.program, ran.outcome.clone());
        desk.ring.found.insert(seen.id, ran.outcome);
        honest
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::task_id;

    use super::super::bench::{Bench, is_right, ran, task};

    #[test]
    fn it_copies_what_the_ring_knows_and_guesses_the_rest() {
        let mut bench = Bench::new("copies", 0);
        bench.ring.found.insert(task_id(&task(5)), ran(5).outcome);
        assert!(is_right(1, &bench.run(1)), "the first it executes");
        let known = bench.run(5);
        assert!(is_right(5, &known) && known.0 == 1, "known, and without work");
        assert!(!is_right(6, &bench.run(6)), "a guess");
    }
}
