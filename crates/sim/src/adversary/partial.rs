//! Partial: it stops half way and signs what there is: half the fuel, half the output. The dose is
//! how often, in percent.

use super::{Adversary, Desk, RunSeen, Went, wrong};

pub(super) struct Partial {
    pub(super) percent: u64,
}

impl Adversary for Partial {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        match honest {
            (ms, Ok(ran)) if seen.for_others() && desk.chance.percent(self.percent) => {
                let mut ran = wrong(ran, b"the first half of ");
                ran.outcome.stdout.size /= 2;
                ran.outcome.fuel.0 /= 2;
                (ms / 2, Ok(ran))
            }
            honest => honest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ran};

    #[test]
    fn half_the_work_is_signed() {
        let outcome = Bench::new("partial", 100).run(3).1.unwrap().outcome;
        assert_eq!(outcome.fuel.0, ran(3).outcome.fuel.0 / 2);
        assert_ne!(outcome.stdout, ran(3).outcome.stdout);
    }
}
