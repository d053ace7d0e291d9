//! Stalls: it accepts work and never ends it, and answers every ping. The dose is how often, in
//! percent.

use super::{Adversary, Desk, RunSeen, Went};

/// A month.
const FOR_EVER_MS: u64 = 30 * 86_400_000;

pub(super) struct Stalls {
    pub(super) percent: u64,
}

impl Adversary for Stalls {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        if seen.for_others() && desk.chance.percent(self.percent) {
            (FOR_EVER_MS, honest.1)
        } else {
            honest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn it_takes_a_month() {
        assert!(Bench::new("stalls", 100).run(1).0 > 7 * 86_400_000);
        assert!(Bench::new("stalls", 0).run(1).0 < 60_000);
    }
}
