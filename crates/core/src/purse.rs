//! The requester's money: one channel per provider that asks for one, vouchers as bills come in,
//! and the way out. Nothing is signed for whoever is known to have lied.
//!
//! A channel outlives its leases: it is opened once and topped up, so that no task and no lease
//! costs a step on the chain. Deliberately not here: the arithmetic (`channel`), and the chain.

use ayni_types::{Amount, ChannelId, ChannelTerms, LeaseId, NodeId, Offer, PaidBy, Time};
use ayni_wire::{Message, SignedBatch, Voucher, voucher_hash};

use crate::channel::{Purse, Seen};
use crate::core::Core;
use crate::effect::{ChainStep, NoticeKind};
use crate::event::{CommandError, Reply};
use crate::journal::Record;
use crate::market::{HireState, Obstacle};

/// A step that the chain refused is tried again after so long, in milliseconds.
pub(crate) const SUBMIT_REST_MS: u64 = 30_000;
/// The last promise of a channel that is being emptied is said again after as long, then twice as
/// long each time, this often doubled at most: after an hour, in the end.
const SAY_DOUBLED_MAX: u32 = 7;

impl Core {
    /// Why an offer can't be paid, if it can't.
    pub(crate) fn payment_obstacle(&self, offer: &Offer) -> Option<Obstacle> {
        let asked = offer.payment?;
        let because = |text: String, hint: &str| Some((text, hint.to_owned()));
        let Some(wallet) = &self.config.wallet else {
            return because(
                "it wants to be paid, and this node has no wallet".to_owned(),
                "make one with `ayni wallet new`",
            );
        };
        if (asked.ledger, asked.token) != (wallet.ledger, wallet.token) {
            return because(
                format!(
                    "it is paid on chain {} in {}; this node's wallet is on chain {}, in {}",
                    asked.ledger.chain, asked.token, wallet.ledger.chain, wallet.token
                ),
                "use a wallet on that chain",
            );
        }
        if asked.withdraw_delay_s > wallet.withdraw_delay_s_max {
            return because(
                format!("it wants deposits to stay for {} s after notice", asked.withdraw_delay_s),
                "raise `withdraw_delay_max` in the wallet's settings",
            );
        }
        None
    }

    /// The channel through which an offer can be paid now.
    pub(crate) fn open_purse(&self, offer: &Offer) -> Option<PaidBy> {
        self.purse_for(offer).filter(|p| p.is_open()).map(|p| p.paid_by)
    }

    fn purse_for(&self, offer: &Offer) -> Option<&Purse> {
        let asked = offer.payment?;
        self.purses.values().find(|p| {
            let terms = &p.paid_by.terms;
            p.provider == offer.node
                && !p.closing
                && p.paid_by.ledger == asked.ledger
                && (terms.token, terms.payee, terms.payee_key)
                    == (asked.token, asked.payee, asked.payee_key)
                && terms.withdraw_delay_s >= asked.withdraw_delay_s
        })
    }

    /// What stands between us and a lease that is paid: opens a channel if there is none.
    pub(crate) fn prepare_payment(&mut self, node: NodeId) -> Result<Option<PaidBy>, Obstacle> {
        let Some(offer) = self.offers.get(&node).map(|k| k.signed.body.clone()) else {
            return Ok(None);
        };
        let Some(asked) = offer.payment else { return Ok(None) };
        if let Some(obstacle) = self.payment_obstacle(&offer) {
            return Err(obstacle);
        }
        if let Some(paid_by) = self.open_purse(&offer) {
            return Ok(Some(paid_by));
        }
        if let Some(purse) = self.purse_for(&offer) {
            let channel = purse.id;
            if purse.is_used_up()
                && let Some(wallet) = &self.config.wallet
            {
                let amount = wallet.deposit;
                self.commit(Record::ChannelToppedUp { channel, amount });
                self.look_after_purse(channel);
            }
        }
        if let Some(purse) = self.purse_for(&offer) {
            let text = match (&purse.trouble, purse.seen) {
                (Some(trouble), _) => format!("its channel can't be paid into: {trouble}"),
                (None, None) => "the chain has not yet been heard of its channel".to_owned(),
                (None, Some(_)) => "the deposit for its channel is on its way".to_owned(),
            };
            return Err((text, "`ayni channel list` shows it".to_owned()));
        }
        let Some(wallet) = self.config.wallet.clone() else { return Ok(None) };
        let salt = fresh_salt(self.me, self.chance.id());
        let terms = ChannelTerms {
            payer: wallet.account,
            payer_key: self.seal.payer_key(&salt),
            payee: asked.payee,
            payee_key: asked.payee_key,
            token: asked.token,
            withdraw_delay_s: asked.withdraw_delay_s,
            salt,
        };
        let paid_by = PaidBy { ledger: asked.ledger, terms };
        let deposit = wallet.deposit;
        self.commit(Record::ChannelOpened { paid_by, provider: node, deposit });
        self.gated(crate::gate::Then::Watch(paid_by));
        Err(("a channel to it is being opened".to_owned(), String::new()))
    }

    /// Whether there is a channel to a provider that work may be paid from, now or soon.
    pub(crate) fn has_purse(&self, provider: NodeId) -> bool {
        self.purses.values().any(|p| p.provider == provider && !p.closing)
    }

    /// Whether a deposit for a provider is on its way, and nothing is known to be in its way.
    pub(crate) fn is_opening(&self, provider: NodeId) -> bool {
        let mut its = self.purses.values().filter(|p| p.provider == provider && !p.closing);
        its.any(|p| p.trouble.is_none() && !p.is_open())
    }

    /// A lease begins: its provider gets the promise that we have made, or a first one.
    pub(crate) fn pay_lease(&mut self, lease: LeaseId) {
        let channel = self.leases.get(&lease).and_then(|l| l.lease.paid_by).map(|p| channel_of(&p));
        if let Some(channel) = channel {
            self.pay(channel);
            self.say_voucher(channel);
        }
    }

    /// A bill of a lease is in the journal.
    pub(crate) fn pay_lease_bill(&mut self, lease: LeaseId) {
        if let Some(paid_by) = self.leases.get(&lease).and_then(|l| l.lease.paid_by) {
            self.pay(channel_of(&paid_by));
        }
    }

    /// Books the bills of a batch that is in the journal.
    pub(crate) fn apply_bills(&mut self, batch: &SignedBatch) {
        let lease = batch.header.lease;
        let paid_by = self.leases.get(&lease).and_then(|l| l.lease.paid_by);
        let Some(purse) = paid_by.and_then(|p| self.purses.get_mut(&channel_of(&p))) else {
            return;
        };
        for receipt in &batch.receipts {
            purse.owed = purse.owed.saturating_add(receipt.price.0);
        }
    }

    /// Signs the next voucher of a channel, if there is reason to.
    pub(crate) fn pay(&mut self, channel: ChannelId) {
        let Some(purse) = self.purses.get(&channel) else { return };
        let provider = purse.provider;
        if self.banned.contains_key(&provider) {
            return;
        }
        let at_work = self.hires.values().any(|h| h.provider() == provider && !h.work.is_empty())
            || self
                .running
                .iter()
                .any(|id| self.jobs.get(id).is_some_and(|job| job.ledgers.contains_key(&provider)));
        if let Some(purse) = self.purses.get_mut(&channel).filter(|_| !at_work) {
            purse.cleared = purse.owed;
        }
        let Some(purse) = self.purses.get(&channel) else { return };
        let (held, ahead) = self.terms_now(purse);
        let Some(ceiling) = purse.next_ceiling(held, ahead) else { return };
        self.commit(Record::VoucherSigned { channel, ceiling: Amount(ceiling) });
        self.say_voucher(channel);
    }

    /// What of a provider's pay is held back, and how far ahead of the bill we go. Only while it
    /// works for us are we ahead at all.
    fn terms_now(&self, purse: &Purse) -> (u128, u128) {
        let first = self.config.wallet.as_ref().map_or(Amount(0), |w| w.step_first);
        // Who has not agreed to a lease yet is promised nothing for it.
        let made = self.hires.values().filter(|h| h.state != HireState::Asked);
        let leases = made.map(|h| h.lease()).filter(|l| {
            l.provider == purse.provider && l.paid_by.is_some_and(|p| p == purse.paid_by)
        });
        let most = leases.map(|l| l.voucher_step.0).max().unwrap_or(0);
        let held = purse.owed.saturating_sub(purse.cleared).min(purse.hold_back.0);
        (held, purse.step(first, Amount(most)))
    }

    /// Says the highest promise of a channel, again perhaps.
    pub(crate) fn say_voucher(&mut self, channel: ChannelId) {
        let Some(purse) = self.purses.get(&channel).filter(|p| p.ceiling > 0) else { return };
        let (ledger, ceiling) = (purse.paid_by.ledger, Amount(purse.ceiling));
        let hash = voucher_hash(&ledger, channel, ceiling);
        let signature = self.seal.sign_voucher(&purse.paid_by.terms.salt, &hash);
        let provider = purse.provider;
        let voucher = Voucher { channel, ceiling, signature };
        self.send_gated(provider, Message::Voucher(voucher));
    }

    /// Who does not hear a channel's last promise has worked for nothing once the money is taken back,
    /// and hears nothing of a message that was lost.
    fn say_last_voucher(&mut self, channel: ChannelId) {
        let now = self.now;
        let Some(purse) = self.purses.get_mut(&channel) else { return };
        if purse.say_at <= now && purse.may_be_unheard() {
            purse.say_at = now.after_ms(SUBMIT_REST_MS << purse.said.min(SAY_DOUBLED_MAX));
            purse.said += 1;
            self.say_voucher(channel);
        }
    }

    /// The chain was heard of a channel that we pay from.
    pub(crate) fn purse_seen(&mut self, channel: ChannelId, seen: Seen) {
        let Some(purse) = self.purses.get_mut(&channel) else { return };
        let was_open = purse.is_open();
        if purse.seen.is_none_or(|before| before.latest != seen.latest) {
            purse.trouble = None;
            purse.submit_at = Time(0);
        }
        purse.seen = Some(seen);
        let open = purse.is_open();
        if open != was_open {
            let (provider, deposit) = (purse.provider, seen.safe.deposit);
            self.notice(None, NoticeKind::Channel { channel, provider, deposit, open });
        }
        self.pay(channel);
        self.look_after_purse(channel);
        self.dirty = true;
        self.market_dirty = true;
    }

    pub(crate) fn look_after_purses(&mut self) {
        for channel in self.purses.keys().copied().collect::<Vec<_>>() {
            self.pay(channel);
            self.look_after_purse(channel);
            self.say_last_voucher(channel);
        }
    }

    /// Asks the chain for what a channel lacks.
    fn look_after_purse(&mut self, channel: ChannelId) {
        let now = self.now;
        let Some(purse) = self.purses.get(&channel) else { return };
        let Some(seen) = purse.seen.filter(|_| purse.submit_at <= now) else { return };
        let lied = self.banned.contains_key(&purse.provider);
        if lied && !purse.closing {
            self.commit(Record::ChannelClosing { channel });
            return self.look_after_purse(channel);
        }
        let (_, ahead) = self.terms_now(purse);
        // What was worked over the deposit is owed all the same.
        let short = purse.owed.saturating_sub(purse.intended());
        let top_up = match &self.config.wallet {
            Some(wallet) if self.is_hired(purse.provider) => wallet.deposit.0.max(short),
            _ => short,
        };
        if purse.is_low(ahead) && top_up > 0 && !lied {
            self.commit(Record::ChannelToppedUp { channel, amount: Amount(top_up) });
        }
        let Some(purse) = self.purses.get(&channel) else { return };
        let paid_by = purse.paid_by;
        let step = if let Some(withdrawal) = seen.latest.withdrawal {
            (seen.time >= withdrawal.from).then_some(ChainStep::FinishWithdrawal)
        } else if purse.closing {
            let left = seen.latest.deposit.0.saturating_sub(seen.latest.claimed.0);
            (left > 0).then_some(ChainStep::Withdraw)
        } else {
            let missing = purse.missing_deposit();
            missing.map(|(number, amount)| ChainStep::Deposit { number, amount })
        };
        if let Some(step) = step {
            if let Some(purse) = self.purses.get_mut(&channel) {
                purse.submit_at = now.after_ms(SUBMIT_REST_MS);
            }
            self.gated(crate::gate::Then::Chain(paid_by, step));
        }
    }

    fn is_hired(&self, provider: NodeId) -> bool {
        self.hires.values().any(|h| h.provider() == provider)
    }

    /// The owner wants back what a channel still holds.
    pub(crate) fn close_channel(&mut self, channel: ChannelId) -> Result<Reply, CommandError> {
        let purse = self.purses.get(&channel).ok_or(CommandError::UnknownChannel(channel))?;
        if !purse.closing {
            let provider = purse.provider;
            self.commit(Record::ChannelClosing { channel });
            self.part_with(provider, "its channel is being closed");
            self.look_after_purse(channel);
        }
        Ok(Reply::Done)
    }

    pub(crate) fn purse_peer_up(&mut self, node: NodeId) {
        let with: Vec<ChannelId> =
            self.purses.values().filter(|p| p.provider == node).map(|p| p.id).collect();
        for channel in with {
            self.say_voucher(channel);
        }
    }

    /// Whether a channel of ours waits for something.
    pub(crate) fn purses_busy(&self) -> bool {
        self.purses.values().any(|p| {
            let gone = p.seen.is_some_and(|s| s.latest.deposit.0 <= s.latest.claimed.0);
            let lied = self.banned.contains_key(&p.provider);
            match p.closing {
                true => !gone,
                false => lied || p.missing_deposit().is_some() || p.owed > p.ceiling,
            }
        })
    }
}

/// A salt that names the requester, so that nobody else can show the channel as theirs.
fn fresh_salt(me: NodeId, drawn: [u8; 16]) -> [u8; 32] {
    let mut salt = [0; 32];
    salt[..16].copy_from_slice(&me.0[..16]);
    salt[16..].copy_from_slice(&drawn);
    salt
}

/// Whether a channel is its requester's: its salt says so.
pub(crate) fn names_requester(terms: &ChannelTerms, requester: NodeId) -> bool {
    terms.salt[..16] == requester.0[..16]
}

pub(crate) fn channel_of(paid_by: &PaidBy) -> ChannelId {
    ayni_wire::channel_id(&paid_by.ledger, &paid_by.terms)
}
