//! The provider's money: which channels pay for its leases, how far each lets it work, when it
//! claims. It never works further than is promised, deposited for good, and not being withdrawn.
//!
//! Deliberately not here: the arithmetic (`channel`), and the chain.

use std::collections::BTreeMap;

use ayni_types::{BatchKey, ChannelId, Lease, LeaseId, NodeId, PaidBy, Time};
use ayni_wire::{Message, SignedBatch, Voucher, voucher_hash};

use crate::channel::{Seen, Till};
use crate::core::Core;
use crate::effect::{ChainStep, Effect};
use crate::journal::Record;
use crate::provider::TenantState;
use crate::purse::{SUBMIT_REST_MS, channel_of, names_requester};

impl Core {
    /// What is wrong with how a lease is to be paid.
    pub(crate) fn payment_fault(&self, lease: &Lease) -> Option<&'static str> {
        let asked = self.provider.as_ref()?.config.payment;
        let (asked, paid_by) = match (asked, &lease.paid_by) {
            (None, None) => return None,
            (None, Some(_)) => return Some("this node takes no payment"),
            (Some(_), None) => return Some("it names no channel to pay from"),
            (Some(asked), Some(paid_by)) => (asked, paid_by),
        };
        let terms = &paid_by.terms;
        if self.lost_to(lease.requester) > asked.step.0 {
            return Some("more work was done for it in vain than one voucher step");
        }
        if paid_by.ledger != asked.ledger || terms.token != asked.token {
            Some("its channel is on another ledger or of another token")
        } else if terms.payee != asked.payee || terms.payee_key != asked.payee_key {
            Some("its channel pays somebody else")
        } else if terms.withdraw_delay_s < asked.withdraw_delay_s {
            Some("money can be withdrawn too soon from its channel")
        } else if !names_requester(terms, lease.requester) {
            Some("its channel is another requester's")
        } else {
            None
        }
    }

    /// Work for a requester that it never paid for and never will.
    fn lost_to(&self, requester: NodeId) -> u128 {
        let its = self.tills.values().filter(|t| t.requester == requester);
        its.fold(0, |sum: u128, t| sum.saturating_add(t.lost))
    }

    /// How much more of a lease's work may be billed now.
    fn room(&self, lease: &Lease, till: &Till) -> u128 {
        let step = self.provider.as_ref().and_then(|p| p.config.payment).map_or(0, |p| p.step.0);
        if self.lost_to(lease.requester) > step { 0 } else { till.room(lease.hold_back) }
    }

    pub(crate) fn apply_till(&mut self, lease: &Lease) {
        let Some(paid_by) = lease.paid_by else { return };
        let till = self
            .tills
            .entry(channel_of(&paid_by))
            .or_insert_with(|| Till::new(paid_by, lease.requester));
        self.lease_tills.insert(lease.id, till.id);
    }

    pub(crate) fn apply_earned(&mut self, batch: &SignedBatch) {
        let till = self.lease_tills.get(&batch.header.lease);
        let Some(till) = till.and_then(|id| self.tills.get_mut(id)) else { return };
        let sum = batch.receipts.iter().fold(0_u128, |s, r| s.saturating_add(r.price.0));
        till.owed = till.owed.saturating_add(sum);
        till.bills += batch.receipts.len() as u64;
        till.unseen.insert((batch.header.lease, batch.header.batch), sum);
    }

    /// Whether its requester pays for a batch. If it does not (it was restarted, say, and has given the
    /// work to others), the loss is ours; how much of that is borne is decided at admission.
    pub(crate) fn apply_written_off(&mut self, lease: LeaseId, batch: u64, taken: bool) {
        let till = self.lease_tills.get(&lease).and_then(|id| self.tills.get_mut(id));
        let Some(till) = till else { return };
        let Some(sum) = till.unseen.remove(&(lease, batch)) else { return };
        if !taken {
            till.owed = till.owed.saturating_sub(sum);
            till.lost = till.lost.saturating_add(sum);
        }
    }

    /// Bills that nobody will be asked to acknowledge any more are not going to be paid.
    pub(crate) fn write_off_unheard(&mut self) {
        let unseen = self.tills.values().flat_map(|till| till.unseen.keys().copied());
        let over: Vec<(LeaseId, u64)> =
            unseen.filter(|(lease, batch)| !self.awaits_ack(*lease, *batch)).collect();
        for (lease, batch) in over {
            self.commit(Record::BatchAcked { lease, batch, taken: false });
        }
    }

    /// A promise came. It counts if it is the channel's payer's, and higher than what we have.
    pub(crate) fn voucher_came(&mut self, from: NodeId, voucher: Voucher) {
        let Some(till) = self.tills.get(&voucher.channel).filter(|t| t.requester == from) else {
            return;
        };
        if till.voucher.is_some_and(|known| known.ceiling >= voucher.ceiling) {
            return;
        }
        let hash = voucher_hash(&till.paid_by.ledger, voucher.channel, voucher.ceiling);
        let key = BatchKey(till.paid_by.terms.payer_key.0);
        if self.seal.verify_batch(key, &hash, &voucher.signature) {
            self.commit(Record::VoucherTaken(voucher));
            self.dirty = true;
            self.look_after_till(voucher.channel, false);
        }
    }

    pub(crate) fn till_seen(&mut self, channel: ChannelId, seen: Seen) {
        let Some(till) = self.tills.get_mut(&channel) else { return };
        if till.seen.is_none_or(|before| before.latest != seen.latest) {
            till.trouble = None;
            till.submit_at = Time(0);
        }
        till.seen = Some(seen);
        self.look_after_till(channel, false);
        self.dirty = true;
    }

    /// How many more runs each paid lease may start now; leases that are not paid are not in it.
    pub(crate) fn paid_starts(&self) -> BTreeMap<LeaseId, usize> {
        let Some(provider) = &self.provider else { return BTreeMap::new() };
        // Work of all leases of one channel, begun or not yet billed.
        let mut begun: BTreeMap<ChannelId, u128> = BTreeMap::new();
        for (lease, tenancy) in &provider.tenancies {
            let Some(till) = self.lease_tills.get(lease).and_then(|id| self.tills.get(id)) else {
                continue;
            };
            let running = tenancy
                .work
                .values()
                .filter(|w| matches!(w.state, TenantState::Running { .. }))
                .count() as u128;
            let due = tenancy.unbilled();
            let sum = begun.entry(till.id).or_default();
            *sum =
                sum.saturating_add(till.usual().max(1).saturating_mul(running)).saturating_add(due);
        }
        let mut starts = BTreeMap::new();
        for (lease, tenancy) in &provider.tenancies {
            let Some(till) = self.lease_tills.get(lease).and_then(|id| self.tills.get(id)) else {
                continue;
            };
            let room = self.room(&tenancy.full.lease, till);
            let left = room.saturating_sub(begun.get(&till.id).copied().unwrap_or(0));
            let more = left.div_ceil(till.usual().max(1));
            starts.insert(*lease, usize::try_from(more).unwrap_or(usize::MAX));
        }
        starts
    }

    /// Leases that are not paid for: their work waits, and after a while they end.
    pub(crate) fn unpaid_leases(&mut self) {
        let (now, grace) = (self.now, self.config.tuning.unpaid_ms);
        let Some(provider) = &self.provider else { return };
        let mut paid: BTreeMap<LeaseId, bool> = BTreeMap::new();
        for (lease, tenancy) in &provider.tenancies {
            if let Some(till) = self.lease_tills.get(lease).and_then(|id| self.tills.get(id)) {
                paid.insert(*lease, self.room(&tenancy.full.lease, till) > 0);
            }
        }
        let Some(provider) = &mut self.provider else { return };
        let mut over: Vec<(NodeId, LeaseId)> = Vec::new();
        for (lease, is_paid) in paid {
            let Some(tenancy) = provider.tenancies.get_mut(&lease) else { continue };
            if is_paid {
                tenancy.unpaid_since = None;
            } else {
                let since = *tenancy.unpaid_since.get_or_insert(now);
                if now.since_ms(since) >= grace && !tenancy.is_ending() {
                    over.push((tenancy.full.lease.requester, lease));
                }
            }
        }
        for (requester, lease) in over {
            self.send(requester, Message::LeaseEnd { lease });
            self.tenancy_ended_by(requester, lease);
        }
    }

    pub(crate) fn look_after_tills(&mut self, now_or_never: bool) {
        for channel in self.tills.keys().copied().collect::<Vec<_>>() {
            self.look_after_till(channel, now_or_never);
        }
    }

    /// Claims what is worth claiming, or what must be claimed now.
    fn look_after_till(&mut self, channel: ChannelId, now_or_never: bool) {
        let now = self.now;
        let least = self.config.tuning.claim_least;
        let Some(till) = self.tills.get_mut(&channel) else { return };
        if till.submit_at > now {
            return;
        }
        let (Some(amount), Some(voucher)) = (till.claim(least, now_or_never), till.voucher) else {
            return;
        };
        till.submit_at = now.after_ms(SUBMIT_REST_MS);
        let paid_by = till.paid_by;
        self.gated(crate::gate::Then::Chain(paid_by, ChainStep::Claim { amount, voucher }));
    }

    /// The chain is asked about every channel that we pay from or are paid from.
    pub(crate) fn watch_channels(&mut self) {
        let purses = self.purses.values().map(|p| p.paid_by);
        let all: Vec<PaidBy> = purses.chain(self.tills.values().map(|t| t.paid_by)).collect();
        for paid_by in all {
            self.effects.push_back(Effect::WatchChannel(paid_by));
        }
    }

    /// A step on a chain was refused; it is tried again after a rest if it is still wanted.
    pub(crate) fn chain_failed(&mut self, channel: ChannelId, reason: String) {
        if let Some(purse) = self.purses.get_mut(&channel) {
            purse.trouble = Some(reason);
        } else if let Some(till) = self.tills.get_mut(&channel) {
            till.trouble = Some(reason);
        }
        self.market_dirty = true;
        self.dirty = true;
    }

    /// Whether something that we earned has yet to be claimed or promised.
    pub(crate) fn tills_busy(&self) -> bool {
        let least = self.config.tuning.claim_least;
        self.tills.values().any(|t| t.claim(least, false).is_some())
    }
}
