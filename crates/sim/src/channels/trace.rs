//! What became of every step of an episode on its chain, as text: so that a real contract can be
//! given the same steps and asked for the same amounts (`crates/chain/tests/it/replay.rs`).
//!
//! ```text
//! account 0 1000000000                     what an account has at first
//! channel 0 payer 0 payee 1 delay 3600 salt 01…
//! at 1700000001                            seconds; of what follows
//! done deposit 0 5000 = 5000 0 0           channel and amount = deposit, claimed, being withdrawn
//! done claim 0 300 500 = 5000 300 0        amount, and what was promised
//! again claim 0 300 500 = 5000 300 0       taken before: changes nothing
//! refused finish 0 = 5000 300 4700         the contract refuses it
//! left 1 300                               what an account has at the end
//! ```
//!
//! Only blocks that were not replaced are in it. Deliberately not here: signatures (the model's are
//! worth nothing; who replays signs anew).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ayni_core::ChainStep;
use ayni_types::{Account, ChannelId};
use ayni_wire::channel_id;

use crate::chain::{Chain, Fate, Logged};

/// The text of a chain that began with these accounts.
pub(super) fn text(chain: &Chain, accounts: &[Account], first: &[u128]) -> String {
    let mut out = String::new();
    let mut channels: BTreeMap<ChannelId, usize> = BTreeMap::new();
    let mut at = None;
    let number = |account: Account| accounts.iter().position(|a| *a == account).unwrap_or(99);
    for (number, has) in first.iter().enumerate() {
        let _ = writeln!(out, "account {number} {has}");
    }
    for entry in chain.log() {
        let terms = entry.tx.paid_by.terms;
        let id = channel_id(&entry.tx.paid_by.ledger, &terms);
        let next = channels.len();
        let channel = *channels.entry(id).or_insert(next);
        if channel == next {
            let salt = terms.salt.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            let (payer, payee) = (number(terms.payer), number(terms.payee));
            let delay = terms.withdraw_delay_s;
            let _ = writeln!(
                out,
                "channel {channel} payer {payer} payee {payee} delay {delay} salt {salt}"
            );
        }
        let seconds = entry.time.0 / 1_000;
        if at != Some(seconds) {
            let _ = writeln!(out, "at {seconds}");
            at = Some(seconds);
        }
        line(&mut out, channel, &entry);
    }
    for (number, account) in accounts.iter().enumerate() {
        let has = chain.head().balances.get(account).copied().unwrap_or_default();
        let _ = writeln!(out, "left {number} {has}");
    }
    out
}

fn line(out: &mut String, channel: usize, entry: &Logged) {
    let fate = match entry.fate {
        Fate::Done => "done",
        Fate::Again => "again",
        Fate::Refused => "refused",
    };
    let step = match entry.tx.step {
        ChainStep::Deposit { amount, .. } => format!("deposit {channel} {amount}"),
        ChainStep::Claim { amount, voucher } => {
            format!("claim {channel} {amount} {}", voucher.ceiling)
        }
        ChainStep::Withdraw => {
            let amount = entry.funds.withdrawal.map_or(0, |w| w.amount.0);
            format!("withdraw {channel} {amount}")
        }
        ChainStep::FinishWithdrawal => format!("finish {channel}"),
    };
    let funds = entry.funds;
    let waits = funds.withdrawal.map_or(0, |w| w.amount.0);
    let _ = writeln!(out, "{fate} {step} = {} {} {waits}", funds.deposit, funds.claimed);
}
