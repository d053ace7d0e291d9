//! One big lie: honest for as many tasks as the dose says, to be trusted; then it waits for a task
//! as valuable as the best it has seen, lies once, and is honest ever after.

use super::{Adversary, Desk, RunSeen, Went, wrong};

pub(super) struct OneBigLie {
    honest_left: u64,
    best: u64,
    done: bool,
}

impl OneBigLie {
    pub(super) fn new(honest: u64) -> Self {
        Self { honest_left: honest, best: 0, done: false }
    }
}

impl Adversary for OneBigLie {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, _desk: &mut Desk<'_>) -> Went {
        let (ms, Ok(ran)) = honest.clone() else { return honest };
        if !seen.for_others() || self.done {
            return honest;
        }
        let worth = ran.outcome.fuel.0;
        if self.honest_left > 0 {
            self.honest_left -= 1;
            self.best = self.best.max(worth);
            return honest;
        }
        if worth < self.best / 10 * 9 {
            return honest;
        }
        self.done = true;
        (ms, Ok(wrong(ran, b"the big one")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ran};

    #[test]
    fn a_hundred_honest_tasks_and_then_one_lie_that_pays() {
        let truths = Bench::new("one_big_lie", 100).truths(400);
        let lies: Vec<_> = (0..400).filter(|n| !truths[*n as usize]).collect();
        assert_eq!(lies.len(), 1);
        let best = (0..100).map(|n| ran(n).outcome.fuel.0).max().unwrap();
        assert!(lies[0] >= 100 && ran(lies[0]).outcome.fuel.0 >= best / 10 * 9);
    }
}
