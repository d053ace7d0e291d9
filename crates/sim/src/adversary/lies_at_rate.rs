//! Lies at a rate: it works, and now and then signs another output. The dose is how often, in
//! percent.

use super::{Adversary, Desk, RunSeen, Went, wrong};

pub(super) struct LiesAtRate {
    pub(super) percent: u64,
}

impl Adversary for LiesAtRate {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        match honest {
            (ms, Ok(ran)) if seen.for_others() && desk.chance.percent(self.percent) => {
                (ms, Ok(wrong(ran, b"wrong")))
            }
            honest => honest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn a_fifth_is_a_fifth() {
        let lies = Bench::new("lies_at_rate", 20).truths(1_000).iter().filter(|t| !**t).count();
        assert!((150..250).contains(&lies), "{lies}");
    }
}
