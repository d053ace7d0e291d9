//! A chain for the stage: every step is final at once, unless the bank is closed.

use std::collections::{BTreeMap, BTreeSet};

use ayni_core::{ChainStep, Event, Seen, Wallet};
use ayni_types::{
    Account, Amount, ChannelFunds, ChannelId, Ledger, PaidBy, Payment, Time, Withdrawal,
};
use ayni_wire::{channel_id, voucher_hash};

const TOKEN: Account = Account([0x70; 20]);

/// See the module.
#[derive(Default)]
pub(crate) struct Bank {
    pub(crate) closed: bool,
    pub(crate) channels: BTreeMap<ChannelId, ChannelFunds>,
    /// More or less than at the beginning.
    pub(crate) balances: BTreeMap<Account, i128>,
    pub(crate) steps: Vec<String>,
    /// For requesters, by the only provider with stake.
    pub(crate) reserved: BTreeMap<Account, Amount>,
    deposits: BTreeSet<(ChannelId, u32)>,
    watchers: BTreeMap<ChannelId, BTreeSet<usize>>,
    now: Time,
}

pub(crate) fn ledger() -> Ledger {
    Ledger { chain: 7, channels: Account([0xcc; 20]) }
}

pub(crate) fn wallet() -> Wallet {
    Wallet {
        disputes: Account([0xdd; 20]),
        ledger: ledger(),
        token: TOKEN,
        account: Account([0xaa; 20]),
        deposit: Amount(10_000),
        step_first: Amount(2_000),
        step_max: Amount(8_000),
        withdraw_delay_s_max: 7 * 86_400,
    }
}

pub(crate) fn payment(number: u8) -> Payment {
    Payment {
        ledger: ledger(),
        token: TOKEN,
        payee: Account([number; 20]),
        payee_key: Account([number; 20]),
        withdraw_delay_s: 86_400,
        step: Amount(5_000),
    }
}

impl Bank {
    pub(crate) fn watch(&mut self, at: usize, paid_by: PaidBy) -> Option<Event> {
        let channel = channel_id(&paid_by.ledger, &paid_by.terms);
        self.watchers.entry(channel).or_default().insert(at);
        (!self.closed).then(|| self.seen(channel))
    }

    fn seen(&self, channel: ChannelId) -> Event {
        let funds = self.channels.get(&channel).copied().unwrap_or_default();
        Event::ChannelSeen { channel, seen: Seen { safe: funds, latest: funds, time: self.now } }
    }

    pub(crate) fn step(
        &mut self,
        at: usize,
        paid_by: PaidBy,
        step: ChainStep,
        now: Time,
    ) -> Vec<(usize, Event)> {
        self.now = now;
        let channel = channel_id(&paid_by.ledger, &paid_by.terms);
        if self.closed {
            let reason = "nobody answers".to_owned();
            return vec![(at, Event::ChainFailed { channel, reason })];
        }
        let funds = self.channels.entry(channel).or_default();
        let terms = paid_by.terms;
        let mut pay = |account: Account, amount: i128| {
            *self.balances.entry(account).or_default() += amount;
        };
        match step {
            ChainStep::Deposit { number, amount } => {
                if self.deposits.insert((channel, number)) {
                    funds.deposit.0 += amount.0;
                    pay(terms.payer, -i128::try_from(amount.0).expect("small sums"));
                    self.steps.push(format!("deposit {amount}"));
                }
            }
            ChainStep::Claim { amount, voucher } => {
                let hash = voucher_hash(&paid_by.ledger, channel, voucher.ceiling);
                let signer = voucher.signer(&paid_by.ledger);
                assert_eq!(signer, Some(terms.payer_key), "{hash:?}");
                assert!(amount <= voucher.ceiling && amount <= funds.deposit);
                let gain = amount.0.saturating_sub(funds.claimed.0);
                funds.claimed.0 += gain;
                pay(terms.payee, i128::try_from(gain).expect("small sums"));
                self.steps.push(format!("claim {amount}"));
            }
            ChainStep::Withdraw => {
                if funds.withdrawal.is_none() {
                    let amount = Amount(funds.deposit.0 - funds.claimed.0);
                    let from = now.after_ms(terms.withdraw_delay_s * 1_000);
                    funds.withdrawal = Some(Withdrawal { amount, from });
                    self.steps.push(format!("withdraw {amount}"));
                }
            }
            ChainStep::FinishWithdrawal => {
                let Some(withdrawal) = funds.withdrawal.filter(|w| w.from <= now) else {
                    return Vec::new();
                };
                let amount = withdrawal.amount.0.min(funds.deposit.0 - funds.claimed.0);
                funds.withdrawal = None;
                funds.deposit.0 -= amount;
                pay(terms.payer, i128::try_from(amount).expect("small sums"));
                self.steps.push(format!("withdrawn {amount}"));
            }
        }
        self.tell(channel)
    }

    /// What everybody who watches a channel sees now.
    pub(crate) fn tell(&self, channel: ChannelId) -> Vec<(usize, Event)> {
        let watchers = self.watchers.get(&channel).into_iter().flatten();
        watchers.map(|at| (*at, self.seen(channel))).collect()
    }

    /// The chain's clock goes on, and everybody looks.
    pub(crate) fn block(&mut self, now: Time) -> Vec<(usize, Event)> {
        self.now = now;
        self.channels.keys().flat_map(|channel| self.tell(*channel)).collect()
    }

    /// What everybody sees who watches anything.
    pub(crate) fn everything(&self) -> Vec<(usize, Event)> {
        self.watchers.keys().flat_map(|channel| self.tell(*channel)).collect()
    }

    pub(crate) fn balance(&self, account: Account) -> i128 {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// Nothing is made and nothing vanishes.
    pub(crate) fn balances(&self) -> bool {
        let held: u128 = self.channels.values().map(|f| f.deposit.0 - f.claimed.0).sum();
        self.balances.values().sum::<i128>() + i128::try_from(held).expect("small sums") == 0
    }
}
