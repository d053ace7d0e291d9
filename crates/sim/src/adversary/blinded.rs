//! Blinded: a requester whose machine is broken runs private tasks, whose ids nobody else can
//! connect to a task, blames its providers for what its own machine got wrong, and shows the
//! receipts without the blind, so that nobody can execute the task again.

use ayni_core::{Evidence, Purpose};
use ayni_wire::ReceiptFile;

use super::{Adversary, Desk, RunSeen, Went, wrong};

pub(super) struct Blinded;

impl Adversary for Blinded {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, _desk: &mut Desk<'_>) -> Went {
        match honest {
            (ms, Ok(ran)) if seen.task.blind.is_some() && seen.purpose == Purpose::Audit => {
                (ms, Ok(wrong(ran, b"a broken machine")))
            }
            honest => honest,
        }
    }

    fn exhibits(
        &mut self,
        evidence: Vec<Evidence>,
        _receipts: Vec<ReceiptFile>,
        _desk: &mut Desk<'_>,
    ) -> Vec<Evidence> {
        let hidden = evidence.iter().cloned().map(|mut shown| {
            shown.claimed.task.blind = None;
            shown
        });
        hidden.chain(evidence.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use ayni_core::Purpose;

    use super::super::bench::{Bench, task};

    #[test]
    fn it_errs_where_nobody_can_look() {
        let mut bench = Bench::new("blinded", 0);
        let mut private = task(1);
        private.blind = Some([5; 32]);
        let wrong = bench.run_as(&private, Purpose::Audit, true).1.unwrap().outcome;
        assert_ne!(Some(wrong), crate::runner::truth(&private));
        let right = bench.run_as(&task(1), Purpose::Audit, true).1.unwrap().outcome;
        assert_eq!(Some(right), crate::runner::truth(&task(1)));
    }
}
