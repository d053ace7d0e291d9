//! Colludes: all of the ring sign the same wrong outcome for a task, so that comparing two of them
//! shows nothing.

use super::{Adversary, Desk, RunSeen, Went, wrong};

pub(super) struct Colludes;

impl Adversary for Colludes {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        match honest {
            (ms, Ok(ran)) if seen.for_others() => {
                desk.ring.trade(seen.id, desk.me);
                (ms, Ok(wrong(ran, b"what the ring agreed on")))
            }
            honest => honest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, is_right};

    #[test]
    fn two_of_them_agree_on_a_lie() {
        let (first, second) = (Bench::new("colludes", 0).run(4), Bench::new("colludes", 1).run(4));
        assert!(!is_right(4, &first));
        assert_eq!(first.1.unwrap().outcome, second.1.unwrap().outcome);
    }
}
