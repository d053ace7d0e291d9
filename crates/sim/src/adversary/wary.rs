//! Wary: it lies, except where it suspects an audit: a task that another of the ring was asked for
//! too (one of the two is a comparison), or one that comes alone, as audits do.

use super::{Adversary, Desk, RunSeen, Went, wrong};

pub(super) struct Wary;

impl Adversary for Wary {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        if !seen.for_others() {
            return honest;
        }
        let compared = desk.ring.trade(seen.id, desk.me);
        match honest {
            (ms, Ok(ran)) if !compared && !seen.lone => (ms, Ok(wrong(ran, b"wrong"))),
            honest => honest,
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_core::Purpose;
    use ayni_types::NodeId;
    use ayni_wire::task_id;

    use super::super::bench::{Bench, LEASE, is_right, task};

    #[test]
    fn it_is_honest_where_somebody_may_look() {
        let mut bench = Bench::new("wary", 0);
        assert!(!is_right(1, &bench.run(1)), "nobody looks");
        assert!(is_right(2, &bench.run_as(&task(2), Purpose::Lease(LEASE), true)), "alone");
        bench.ring.trade(task_id(&task(3)), NodeId([2; 32]));
        assert!(is_right(3, &bench.run(3)), "the ring was asked twice");
    }
}
