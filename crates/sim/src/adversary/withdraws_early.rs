//! A requester that takes its deposit back as soon as it has a first outcome, and goes on asking.

use std::collections::BTreeMap;

use ayni_core::ChainStep;
use ayni_types::{NodeId, PaidBy};
use ayni_wire::Message;

use super::{Adversary, Deed, Desk};

/// See the module.
#[derive(Default)]
pub(super) struct WithdrawsEarly {
    paid_in: BTreeMap<PaidBy, bool>,
}

impl Adversary for WithdrawsEarly {
    fn chain(&mut self, paid_by: &PaidBy, step: ChainStep, _: &mut Desk<'_>) -> Vec<ChainStep> {
        if matches!(step, ChainStep::Deposit { .. }) {
            self.paid_in.entry(*paid_by).or_default();
        }
        vec![step]
    }

    fn hear(&mut self, _from: NodeId, message: &Message, _desk: &mut Desk<'_>) -> Vec<Deed> {
        if !matches!(message, Message::Delivered(_)) {
            return Vec::new();
        }
        let open = self.paid_in.iter_mut().filter(|(_, withdrawn)| !**withdrawn);
        let mut deeds = Vec::new();
        for (paid_by, withdrawn) in open {
            *withdrawn = true;
            deeds.push(Deed::Chain(Box::new(*paid_by), ChainStep::Withdraw));
        }
        deeds
    }
}

#[cfg(test)]
mod tests {
    use ayni_core::ChainStep;
    use ayni_types::Amount;

    use super::super::Deed;
    use super::super::bench::{Bench, delivered, paid_by};

    #[test]
    fn the_first_outcome_is_answered_by_a_withdrawal() {
        let mut bench = Bench::new("withdraws_early", 1);
        assert!(bench.hear(&delivered(1)).is_empty(), "it has paid nothing in");
        let deposit = ChainStep::Deposit { number: 0, amount: Amount(5) };
        assert_eq!(bench.chain(deposit), [deposit]);
        let deeds = bench.hear(&delivered(1));
        let [Deed::Chain(from, ChainStep::Withdraw)] = deeds.as_slice() else {
            panic!("{deeds:?}")
        };
        assert_eq!(**from, paid_by());
        assert!(bench.hear(&delivered(2)).is_empty(), "once is enough");
    }
}
