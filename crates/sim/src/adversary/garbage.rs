//! Garbage: it does no work at all and signs random bytes, at once.

use ayni_types::Digest;

use super::{Adversary, Desk, RunSeen, Went};

pub(super) struct Garbage;

impl Adversary for Garbage {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        let (_, Ok(mut ran)) = honest.clone() else { return honest };
        if !seen.for_others() {
            return honest;
        }
        ran.outcome.stdout.digest = Digest(desk.chance.seed());
        ran.outcome.fuel.0 = 1 + desk.chance.below(seen.task.limits.fuel.0);
        (1, Ok(ran))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, is_right};

    #[test]
    fn all_of_it_is_wrong_and_takes_no_time() {
        let mut bench = Bench::new("garbage", 0);
        for number in 0..20 {
            let went = bench.run(number);
            assert_eq!(went.0, 1);
            assert!(went.1.is_ok() && !is_right(number, &went));
        }
    }
}
