//! A provider that claims all that was promised, not what it earned.

use ayni_core::ChainStep;
use ayni_types::PaidBy;

use super::{Adversary, Desk};

/// See the module.
pub(super) struct ClaimsCeiling;

impl Adversary for ClaimsCeiling {
    fn chain(&mut self, _: &PaidBy, step: ChainStep, _: &mut Desk<'_>) -> Vec<ChainStep> {
        match step {
            ChainStep::Claim { voucher, .. } => {
                vec![ChainStep::Claim { amount: voucher.ceiling, voucher }]
            }
            other => vec![other],
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_core::ChainStep;
    use ayni_types::Amount;
    use ayni_wire::Message;

    use super::super::bench::{Bench, voucher};

    #[test]
    fn it_claims_what_it_did_not_earn() {
        let Message::Voucher(voucher) = voucher(90) else { unreachable!() };
        let claim = |amount| ChainStep::Claim { amount: Amount(amount), voucher };
        assert_eq!(Bench::new("claims_ceiling", 1).chain(claim(5)), [claim(90)]);
    }
}
