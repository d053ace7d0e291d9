//! Stale: it signs the outcome of an earlier task of its own. The dose is how often, in percent.

use ayni_types::Outcome;

use super::{Adversary, Desk, RunSeen, Went};

pub(super) struct Stale {
    percent: u64,
    earlier: Option<Outcome>,
}

impl Stale {
    pub(super) fn new(percent: u64) -> Self {
        Self { percent, earlier: None }
    }
}

impl Adversary for Stale {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        let (_, Ok(mut ran)) = honest.clone() else { return honest };
        if !seen.for_others() {
            return honest;
        }
        let earlier = self.earlier.replace(ran.outcome.clone());
        match earlier.filter(|_| desk.chance.percent(self.percent)) {
            Some(outcome) => {
                ran.outcome = outcome;
                (1, Ok(ran))
            }
            None => honest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ran};

    #[test]
    fn each_outcome_is_that_of_the_task_before() {
        let mut bench = Bench::new("stale", 100);
        assert!(bench.run(0).1.is_ok());
        for number in 1..10 {
            assert_eq!(bench.run(number).1.unwrap().outcome, ran(number - 1).outcome);
        }
    }
}
