//! The arithmetic of one payment channel, for either end: how far a payer may promise, how far a
//! payee may work, when to claim and when to stop. Pure, so that a table can test it.
//!
//! All amounts count from the channel's beginning. Deliberately not here: which channel pays for
//! what (`purse` for a requester, `till` for a provider), signatures, and the chain.

use std::collections::BTreeMap;

use ayni_types::{Amount, ChannelFunds, ChannelId, LeaseId, NodeId, PaidBy, Time};
use ayni_wire::{Voucher, channel_id};

/// What a chain says of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Deep enough not to be undone: what deposits are judged by.
    pub safe: ChannelFunds,
    /// Newest: what withdrawals and claims are judged by.
    pub latest: ChannelFunds,
    /// The chain's clock at the newest block.
    pub time: Time,
}

impl Seen {
    /// What is surely in the channel, from its beginning, and not on its way out.
    fn secured(&self) -> u128 {
        self.safe.deposit.0.min(self.latest.deposit.0)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.latest.withdrawal.is_some() || self.safe.withdrawal.is_some()
    }
}

/// A channel at its payer.
#[derive(Debug, Clone)]
pub(crate) struct Purse {
    pub(crate) id: ChannelId,
    pub(crate) paid_by: PaidBy,
    pub(crate) provider: NodeId,
    /// Bills in our journal.
    pub(crate) owed: u128,
    /// Of these, bills that nothing is held back of any more: no job that runs has work by their author.
    pub(crate) cleared: u128,
    /// Highest voucher signed.
    pub(crate) ceiling: u128,
    /// Deposits decided on, in order; each is submitted until the chain has it.
    pub(crate) deposits: Vec<u128>,
    /// What its last lease lets us hold back.
    pub(crate) hold_back: Amount,
    /// We want the rest back.
    pub(crate) closing: bool,
    pub(crate) seen: Option<Seen>,
    /// Why the chain refused us last.
    pub(crate) trouble: Option<String>,
    /// Not before then is anything submitted again.
    pub(crate) submit_at: Time,
    /// How often its promise was said again while it is being emptied, and when it is next.
    pub(crate) said: u32,
    pub(crate) say_at: Time,
}

impl Purse {
    pub(crate) fn new(paid_by: PaidBy, provider: NodeId, deposit: Amount) -> Self {
        Self {
            id: channel_id(&paid_by.ledger, &paid_by.terms),
            paid_by,
            provider,
            owed: 0,
            cleared: 0,
            ceiling: 0,
            deposits: vec![deposit.0],
            hold_back: Amount(0),
            closing: false,
            seen: None,
            trouble: None,
            submit_at: Time(0),
            said: 0,
            say_at: Time(0),
        }
    }

    /// Paid in or decided to be, from the beginning.
    pub(crate) fn intended(&self) -> u128 {
        self.deposits.iter().fold(0, |sum, deposit| sum.saturating_add(*deposit))
    }

    /// The first deposit that the chain does not have yet: its number and amount.
    pub(crate) fn missing_deposit(&self) -> Option<(u32, Amount)> {
        let have = self.seen?.latest.deposit.0;
        let mut sum = 0_u128;
        for (number, deposit) in (0..).zip(&self.deposits) {
            sum = sum.saturating_add(*deposit);
            if sum > have {
                return Some((number, Amount(*deposit)));
            }
        }
        None
    }

    /// Whether work can be paid from it.
    pub(crate) fn is_open(&self) -> bool {
        !self.closing && self.seen.is_some_and(|s| !s.is_closing() && s.secured() > self.owed)
    }

    /// How far ahead of the bill we promise: a quarter of what has been billed so far, at least
    /// `first`, at most `most`. So trust grows with what was paid and received.
    pub(crate) fn step(&self, first: Amount, most: Amount) -> u128 {
        (self.owed / 4).max(first.0).min(most.0)
    }

    /// The next voucher's amount, if there is reason to sign one: the bill less what is held back,
    /// and a step ahead while work goes on, never more than the channel holds. The payee can claim up
    /// to it, so it is never more than that. Who takes back the rest pays the bill first, all of it.
    pub(crate) fn next_ceiling(&self, held: u128, step: u128) -> Option<u128> {
        let seen = self.seen?;
        let secured = seen.secured();
        let ends = self.closing || seen.is_closing();
        let (held, step) = if ends { (0, 0) } else { (held, step) };
        let target = self.owed.saturating_sub(held).saturating_add(step).min(secured);
        (target > self.ceiling).then_some(target)
    }

    /// Whether its payee may have missed what it can claim, while it still can.
    pub(crate) fn may_be_unheard(&self) -> bool {
        self.seen.is_some_and(|seen| {
            (self.closing || seen.is_closing()) && self.ceiling > seen.latest.claimed.0
        })
    }

    /// Whether everything that was decided to be paid in is there, and owed.
    pub(crate) fn is_used_up(&self) -> bool {
        self.seen.is_some() && self.missing_deposit().is_none() && self.intended() <= self.owed
    }

    /// Whether the deposit should grow before it stops the work.
    pub(crate) fn is_low(&self, step: u128) -> bool {
        !self.closing
            && self.missing_deposit().is_none()
            && self.intended() < self.owed.saturating_add(step.saturating_mul(2))
    }
}

/// A channel at its payee.
#[derive(Debug, Clone)]
pub(crate) struct Till {
    pub(crate) id: ChannelId,
    pub(crate) paid_by: PaidBy,
    pub(crate) requester: NodeId,
    /// Bills that we signed.
    pub(crate) owed: u128,
    pub(crate) bills: u64,
    /// Batches of which the payer has not yet said whether it pays for them, and their sums.
    pub(crate) unseen: BTreeMap<(LeaseId, u64), u128>,
    /// Work that is not going to be paid; not in `owed`.
    pub(crate) lost: u128,
    /// The best promise we hold.
    pub(crate) voucher: Option<Voucher>,
    pub(crate) seen: Option<Seen>,
    pub(crate) trouble: Option<String>,
    pub(crate) submit_at: Time,
}

impl Till {
    pub(crate) fn new(paid_by: PaidBy, requester: NodeId) -> Self {
        Self {
            id: channel_id(&paid_by.ledger, &paid_by.terms),
            paid_by,
            requester,
            owed: 0,
            bills: 0,
            unseen: BTreeMap::new(),
            lost: 0,
            voucher: None,
            seen: None,
            trouble: None,
            submit_at: Time(0),
        }
    }

    fn ceiling(&self) -> u128 {
        self.voucher.map_or(0, |v| v.ceiling.0)
    }

    /// Promised, and there.
    pub(crate) fn secured(&self) -> u128 {
        self.seen.map_or(0, |s| s.secured().min(self.ceiling()))
    }

    /// What a bill usually is.
    pub(crate) fn usual(&self) -> u128 {
        self.owed / u128::from(self.bills.max(1))
    }

    /// How much more may be billed before work stops; nothing once the payer wants money back.
    pub(crate) fn room(&self, hold_back: Amount) -> u128 {
        if self.seen.is_none_or(|s| s.is_closing()) {
            return 0;
        }
        self.secured().saturating_add(hold_back.0).saturating_sub(self.owed)
    }

    /// Earned and neither promised nor held back by agreement.
    pub(crate) fn at_risk(&self) -> u128 {
        self.owed.saturating_sub(self.secured())
    }

    /// What to claim now, if anything: everything promised for what was done, once that is worth
    /// `least`, or at once when the payer withdraws or `now_or_never`.
    pub(crate) fn claim(&self, least: Amount, now_or_never: bool) -> Option<Amount> {
        let seen = self.seen?;
        let due = self.owed.min(self.ceiling()).min(seen.latest.deposit.0);
        let gain = due.saturating_sub(seen.latest.claimed.0);
        let urgent = now_or_never || seen.is_closing();
        (gain > 0 && (urgent || gain >= least.0)).then_some(Amount(due))
    }
}

#[cfg(test)]
mod tests {
    use ayni_types::{Account, ChannelTerms, Ledger, Withdrawal};
    use ayni_wire::EvmSignature;

    use super::*;

    fn paid_by() -> PaidBy {
        let account = |n| Account([n; 20]);
        let terms = ChannelTerms {
            payer: account(1),
            payer_key: account(2),
            payee: account(3),
            payee_key: account(4),
            token: account(5),
            withdraw_delay_s: 86_400,
            salt: [6; 32],
        };
        PaidBy { ledger: Ledger { chain: 1, channels: account(7) }, terms }
    }

    fn funds(deposit: u128, claimed: u128) -> ChannelFunds {
        ChannelFunds { deposit: Amount(deposit), claimed: Amount(claimed), withdrawal: None }
    }

    fn seen(deposit: u128, claimed: u128) -> Seen {
        let funds = funds(deposit, claimed);
        Seen { safe: funds, latest: funds, time: Time(0) }
    }

    fn closing(mut seen: Seen) -> Seen {
        seen.latest.withdrawal = Some(Withdrawal { amount: Amount(1), from: Time(9) });
        seen
    }

    #[test]
    fn a_voucher_is_the_bill_and_one_step_and_never_more_than_the_deposit() {
        // deposit, owed, held, signed, first step, most → next
        let cases = [
            (100, 0, 0, 0, 10, 50, Some(10)),
            (100, 10, 0, 10, 10, 50, Some(20)),
            (100, 10, 0, 20, 10, 50, None),
            (100, 40, 40, 10, 10, 50, None),
            (100, 60, 40, 10, 10, 50, Some(35)),
            (1_000, 400, 0, 400, 10, 50, Some(450)),
            (1_000, 400, 0, 400, 10, 500, Some(500)),
            (100, 95, 0, 90, 10, 50, Some(100)),
            (100, 100, 0, 100, 10, 50, None),
            (0, 0, 0, 0, 10, 50, None),
        ];
        for (deposit, owed, held, ceiling, first, most, next) in cases {
            let mut purse = Purse::new(paid_by(), NodeId([1; 32]), Amount(deposit));
            (purse.owed, purse.ceiling) = (owed, ceiling);
            let step = purse.step(Amount(first), Amount(most));
            assert_eq!(purse.next_ceiling(held, step), None, "nothing is known of the chain");
            purse.seen = Some(seen(deposit, 0));
            assert_eq!(purse.next_ceiling(held, step), next, "{deposit} {owed} {held} {ceiling}");
            purse.seen = Some(closing(seen(deposit, 0)));
            let rest = (owed > ceiling).then_some(owed.min(deposit)).filter(|o| *o > ceiling);
            assert_eq!(purse.next_ceiling(held, step), rest, "all of the bill, and nothing ahead");
        }
    }

    #[test]
    fn deposits_are_submitted_in_order_until_the_chain_has_them() {
        let mut purse = Purse::new(paid_by(), NodeId([1; 32]), Amount(100));
        assert_eq!(purse.missing_deposit(), None);
        purse.deposits.push(50);
        for (have, missing) in
            [(0, Some((0, 100))), (99, Some((0, 100))), (100, Some((1, 50))), (150, None)]
        {
            purse.seen = Some(seen(have, 0));
            let missing = missing.map(|(number, amount)| (number, Amount(amount)));
            assert_eq!(purse.missing_deposit(), missing, "{have}");
        }
        purse.owed = 130;
        assert!(purse.is_low(11) && !purse.is_low(10));
    }

    #[test]
    fn a_payee_works_as_far_as_it_is_sure_to_be_paid() {
        // deposit, ceiling, owed, held back → room, at risk
        let cases = [
            (100, 10, 0, 0, 10, 0),
            (100, 10, 10, 0, 0, 0),
            (100, 10, 12, 0, 0, 2),
            (5, 10, 0, 0, 5, 0),
            (100, 10, 10, 30, 30, 0),
            (100, 10, 25, 30, 15, 15),
        ];
        for (deposit, ceiling, owed, hold_back, room, at_risk) in cases {
            let mut till = Till::new(paid_by(), NodeId([1; 32]));
            till.owed = owed;
            assert_eq!(till.room(Amount(hold_back)), 0, "nothing is known of the chain");
            till.voucher = Some(Voucher {
                channel: till.id,
                ceiling: Amount(ceiling),
                signature: EvmSignature([0; 65]),
            });
            till.seen = Some(seen(deposit, 0));
            assert_eq!((till.room(Amount(hold_back)), till.at_risk()), (room, at_risk));
            till.seen = Some(closing(seen(deposit, 0)));
            assert_eq!(till.room(Amount(hold_back)), 0, "its payer withdraws");
        }
    }

    #[test]
    fn a_claim_is_for_work_done_and_promised_and_comes_in_time() {
        // deposit, claimed, ceiling, owed, least, closing → claim
        let cases = [
            (100, 0, 50, 40, 10, false, Some(40)),
            (100, 0, 30, 40, 10, false, Some(30)),
            (20, 0, 30, 40, 10, false, Some(20)),
            (100, 35, 50, 40, 10, false, None),
            (100, 35, 50, 40, 10, true, Some(40)),
            (100, 40, 50, 40, 0, true, None),
            (100, 0, 0, 40, 0, true, None),
        ];
        for (deposit, claimed, ceiling, owed, least, is_closing, claim) in cases {
            let mut till = Till::new(paid_by(), NodeId([1; 32]));
            till.owed = owed;
            till.voucher = (ceiling > 0).then_some(Voucher {
                channel: till.id,
                ceiling: Amount(ceiling),
                signature: EvmSignature([0; 65]),
            });
            let chain = seen(deposit, claimed);
            till.seen = Some(if is_closing { closing(chain) } else { chain });
            assert_eq!(till.claim(Amount(least), false), claim.map(Amount), "{ceiling} {owed}");
        }
    }
}
