//! What may be seen of a node's money: its channels from either side, in amounts that add up.
//!
//! Deliberately not here: balances of accounts (the chain knows those), and units for people.

use ayni_types::{Amount, ChannelId, NodeId, PaidBy, Time};

use crate::core::Core;

/// A channel, from either side. All amounts count from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelView {
    /// Its id.
    pub id: ChannelId,
    /// What and where it is.
    pub paid_by: PaidBy,
    /// The other side.
    pub peer: NodeId,
    /// We are paid from it.
    pub we_are_paid: bool,
    /// Where it stands.
    pub state: ChannelState,
    /// Decided to be paid in; as far as the chain shows, at its payee.
    pub intended: Amount,
    /// In the chain, deep enough.
    pub deposit: Amount,
    /// Bills that were signed and taken.
    pub owed: Amount,
    /// Work beside that which is not going to be paid: its payer had given it up.
    pub lost: Amount,
    /// Promised by vouchers.
    pub promised: Amount,
    /// Claimed in the chain.
    pub claimed: Amount,
    /// A withdrawal that waits may be finished from then on.
    pub withdrawal_from: Option<Time>,
    /// Why the chain refused the last step.
    pub trouble: Option<String>,
}

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelState {
    /// The chain has not been heard.
    Unknown,
    /// There is nothing in it yet.
    Opening,
    /// It can be used.
    Open,
    /// Its payer takes back what is left.
    Closing,
    /// There is nothing in it any more.
    Empty,
}

impl ChannelState {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Empty => "empty",
        }
    }
}

impl Core {
    /// Every channel that we pay from or are paid from.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelView> {
        let state = |seen: Option<crate::channel::Seen>, closing: bool| {
            let Some(seen) = seen else { return ChannelState::Unknown };
            let (safe, latest) = (seen.safe, seen.latest);
            if closing && latest.deposit <= latest.claimed {
                ChannelState::Empty
            } else if closing || latest.withdrawal.is_some() {
                ChannelState::Closing
            } else if safe.deposit.0 == 0 {
                ChannelState::Opening
            } else {
                ChannelState::Open
            }
        };
        let purses = self.purses.values().map(|purse| {
            let seen = purse.seen.unwrap_or_default();
            ChannelView {
                id: purse.id,
                paid_by: purse.paid_by,
                peer: purse.provider,
                we_are_paid: false,
                state: state(purse.seen, purse.closing),
                intended: Amount(purse.intended()),
                deposit: seen.safe.deposit,
                owed: Amount(purse.owed),
                lost: Amount(0),
                promised: Amount(purse.ceiling),
                claimed: seen.latest.claimed,
                withdrawal_from: seen.latest.withdrawal.map(|w| w.from),
                trouble: purse.trouble.clone(),
            }
        });
        let tills = self.tills.values().map(|till| {
            let seen = till.seen.unwrap_or_default();
            ChannelView {
                id: till.id,
                paid_by: till.paid_by,
                peer: till.requester,
                we_are_paid: true,
                state: state(till.seen, false),
                intended: seen.latest.deposit,
                deposit: seen.safe.deposit,
                owed: Amount(till.owed),
                lost: Amount(till.lost),
                promised: till.voucher.map_or(Amount(0), |v| v.ceiling),
                claimed: seen.latest.claimed,
                withdrawal_from: seen.latest.withdrawal.map(|w| w.from),
                trouble: till.trouble.clone(),
            }
        });
        purses.chain(tills).collect()
    }

    /// Earned, and neither promised nor deposited: what is lost if nobody pays any more.
    #[must_use]
    pub fn at_risk(&self) -> Amount {
        Amount(self.tills.values().fold(0, |sum, till| sum.saturating_add(till.at_risk())))
    }
}
