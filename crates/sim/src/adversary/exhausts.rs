//! Exhausts: it claims that the task ran out of stack, memory, output or fuel. Such an end is an
//! outcome, costs the whole fuel limit, and needs no work. The dose is how often, in percent.

use ayni_types::{BlobRef, End, Exhausted};
use ayni_wire::digest;

use super::{Adversary, Desk, RunSeen, Went};

pub(super) struct Exhausts {
    pub(super) percent: u64,
}

impl Adversary for Exhausts {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        match honest {
            (_, Ok(mut ran)) if seen.for_others() && desk.chance.percent(self.percent) => {
                ran.outcome.end = End::Exhausted(match desk.chance.below(4) {
                    0 => Exhausted::Stack,
                    1 => Exhausted::Memory,
                    2 => Exhausted::Output,
                    _ => Exhausted::Fuel,
                });
                ran.outcome.fuel = seen.task.limits.fuel;
                ran.outcome.stdout = BlobRef { digest: digest(b""), size: 0 };
                (1, Ok(ran))
            }
            honest => honest,
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_types::End;

    use super::super::bench::{Bench, task};

    #[test]
    fn it_bills_the_limit_for_nothing() {
        let (ms, ran) = Bench::new("exhausts", 100).run(3);
        let outcome = ran.unwrap().outcome;
        assert!(matches!(outcome.end, End::Exhausted(_)));
        assert_eq!((ms, outcome.fuel), (1, task(3).limits.fuel));
    }
}
