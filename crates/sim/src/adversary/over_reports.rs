//! Over-reports: the output is right, the fuel is twice what it was, and so is the bill. The dose is
//! how often, in percent.

use super::{Adversary, Desk, RunSeen, Went};

pub(super) struct OverReports {
    pub(super) percent: u64,
}

impl Adversary for OverReports {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        match honest {
            (ms, Ok(mut ran)) if seen.for_others() && desk.chance.percent(self.percent) => {
                let limit = seen.task.limits.fuel.0;
                ran.outcome.fuel.0 = ran.outcome.fuel.0.saturating_mul(2).min(limit);
                (ms, Ok(ran))
            }
            honest => honest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ran};

    #[test]
    fn only_the_fuel_is_wrong() {
        let outcome = Bench::new("over_reports", 100).run(3).1.unwrap().outcome;
        assert_eq!(outcome.fuel.0, ran(3).outcome.fuel.0 * 2);
        assert_eq!(outcome.stdout, ran(3).outcome.stdout);
    }
}
