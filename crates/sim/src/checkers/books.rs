//! One node's money as an accountant who reads its journal and its post would keep it: what it
//! billed, what it acknowledged, what was promised, what the chain showed. The money checkers
//! compare this with what the node does, and it shares no code with how the node decides.

use std::collections::{BTreeMap, BTreeSet};

use ayni_core::{Record, Seal as _, Seen, decode_record};
use ayni_types::{BatchKey, ChannelId, Lease, LeaseId, NodeId, Outcome, PaidBy, Receipt};
use ayni_wire::{Message, Voucher, channel_id, voucher_hash};

use super::{Violation, m2};
use crate::seal::SimSeal;

/// See the module.
#[derive(Debug, Default)]
pub struct Books {
    /// Journal batches read; one that was refused and is offered again counts once.
    read_up_to: u64,
    /// Leases that are paid.
    leases: BTreeMap<LeaseId, Lease>,
    /// As a provider: batches signed and their sums; those answered, and those its requester will not pay for; work done
    /// and not in a batch yet; the highest promise heard.
    signed: BTreeMap<(LeaseId, u64), u128>,
    answered: BTreeSet<(LeaseId, u64)>,
    given_up: BTreeSet<(LeaseId, u64)>,
    unbilled: BTreeMap<LeaseId, u128>,
    heard: BTreeMap<ChannelId, u128>,
    /// As a requester: batches taken and their sums, the receipts in them, and the highest promise
    /// made.
    taken: BTreeMap<(LeaseId, u64), u128>,
    receipts: BTreeSet<(LeaseId, u64)>,
    /// As a requester: channels opened, and whom they pay.
    pub opened: BTreeMap<ChannelId, (PaidBy, NodeId)>,
    pub(super) promised: BTreeMap<ChannelId, u128>,
    /// What the chain showed it last.
    pub(super) seen: BTreeMap<ChannelId, Seen>,
    /// As a provider: what it could claim when it was shown that a channel is being closed.
    pub(super) due_at_notice: BTreeMap<ChannelId, u128>,
}

fn channel_of(paid_by: &PaidBy) -> ChannelId {
    channel_id(&paid_by.ledger, &paid_by.terms)
}

impl Books {
    /// A restarted node: all it knows is its journal.
    ///
    /// # Errors
    /// When a receipt is paid twice.
    pub fn reopened(records: impl Iterator<Item = Vec<u8>>) -> Result<Self, Violation> {
        let mut books = Self::default();
        for record in records {
            books.add(&record)?;
        }
        Ok(books)
    }

    /// The node hands a batch of records to its journal.
    ///
    /// # Errors
    /// When a receipt is paid twice.
    pub fn wrote(&mut self, sequence: u64, records: &[Vec<u8>]) -> Result<(), Violation> {
        if sequence <= self.read_up_to {
            return Ok(());
        }
        records.iter().try_for_each(|record| self.add(record))
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        // What can't be read is `gate`'s to report.
        let Ok(record) = decode_record(0, bytes) else { return Ok(()) };
        match record {
            Record::Batch { sequence } => self.read_up_to = sequence,
            Record::LeaseGranted(full) | Record::LeaseMade(full)
                if full.lease.paid_by.is_some() =>
            {
                self.leases.insert(full.lease.id, full.lease);
            }
            Record::BatchSigned(batch) => {
                let key = (batch.header.lease, batch.header.batch);
                self.signed.insert(key, sum(&batch.receipts));
                if let (Some(lease), Some(unbilled)) =
                    (self.leases.get(&key.0), self.unbilled.get_mut(&key.0))
                {
                    let done = batch.receipts.iter().map(|r| least(lease, r.fuel, r.data_bytes));
                    *unbilled = unbilled.saturating_sub(done.sum());
                }
            }
            Record::BatchAcked { lease, batch, taken } => self.acked((lease, batch), taken),
            Record::BatchTaken(batch) => {
                let key = (batch.header.lease, batch.header.batch);
                m2::taken(&mut self.receipts, &batch)?;
                self.taken.insert(key, sum(&batch.receipts));
            }
            Record::ChannelOpened { paid_by, provider, .. } => {
                self.opened.insert(channel_of(&paid_by), (paid_by, provider));
            }
            Record::VoucherSigned { channel, ceiling } => {
                self.promised.insert(channel, ceiling.0);
            }
            Record::VoucherTaken(voucher) => self.hear(voucher.channel, voucher.ceiling.0),
            _ => {}
        }
        Ok(())
    }

    /// The node, as a provider, hears something of one of its channels.
    pub fn heard(&mut self, from: NodeId, message: &Message) {
        match message {
            Message::Voucher(voucher) if self.holds(voucher) => {
                self.hear(voucher.channel, voucher.ceiling.0);
            }
            Message::BatchAck { lease, batch, taken } => {
                let key = (*lease, *batch);
                let is_its = self.leases.get(lease).is_some_and(|l| l.requester == from);
                if is_its && self.signed.contains_key(&key) {
                    self.acked(key, *taken);
                }
            }
            _ => {}
        }
    }

    /// A bill is answered; the first answer counts.
    fn acked(&mut self, key: (LeaseId, u64), taken: bool) {
        if self.answered.insert(key) && !taken {
            self.given_up.insert(key);
        }
    }

    /// Whether a voucher is what its channel's payer signed for it.
    fn holds(&self, voucher: &Voucher) -> bool {
        let all = self.leases.values().filter_map(|l| l.paid_by.as_ref());
        let its = all.into_iter().find(|paid_by| channel_of(paid_by) == voucher.channel);
        its.is_some_and(|paid_by| {
            let hash = voucher_hash(&paid_by.ledger, voucher.channel, voucher.ceiling);
            let key = BatchKey(paid_by.terms.payer_key.0);
            SimSeal::new(NodeId([0; 32])).verify_batch(key, &hash, &voucher.signature)
        })
    }

    fn hear(&mut self, channel: ChannelId, ceiling: u128) {
        let known = self.heard.entry(channel).or_default();
        *known = ceiling.max(*known);
    }

    /// The chain shows it a channel.
    pub fn shown(&mut self, channel: ChannelId, seen: Seen) {
        self.seen.insert(channel, seen);
        if seen.latest.withdrawal.is_some() && !self.due_at_notice.contains_key(&channel) {
            let due = self.billed(channel).min(self.ceiling(channel));
            self.due_at_notice.insert(channel, due);
        }
    }

    /// A task of a lease was executed here.
    pub fn did(&mut self, lease: LeaseId, outcome: &Outcome, data_bytes: u64) {
        if let Some(terms) = self.leases.get(&lease) {
            *self.unbilled.entry(lease).or_default() += least(terms, outcome.fuel, data_bytes);
        }
    }

    /// A paid lease.
    #[must_use]
    pub fn lease(&self, lease: LeaseId) -> Option<&Lease> {
        self.leases.get(&lease)
    }

    /// Its channel.
    #[must_use]
    pub fn channel(&self, lease: LeaseId) -> Option<ChannelId> {
        self.leases.get(&lease)?.paid_by.as_ref().map(channel_of)
    }

    fn of<'a, T>(
        &'a self,
        all: &'a BTreeMap<(LeaseId, u64), T>,
        channel: ChannelId,
    ) -> impl Iterator<Item = (&'a (LeaseId, u64), &'a T)> {
        all.iter().filter(move |(key, _)| self.channel(key.0) == Some(channel))
    }

    /// As a provider: bills of a channel that somebody may still pay.
    #[must_use]
    pub fn billed(&self, channel: ChannelId) -> u128 {
        let live = self.of(&self.signed, channel).filter(|(key, _)| !self.given_up.contains(key));
        live.map(|(_, sum)| sum).sum()
    }

    /// As a provider: bills of a channel that its requester does not pay.
    #[must_use]
    pub fn lost(&self, channel: ChannelId) -> u128 {
        let lost = self.of(&self.signed, channel).filter(|(key, _)| self.given_up.contains(key));
        lost.map(|(_, sum)| sum).sum()
    }

    /// As a provider: bills of all channels of a requester that it does not pay.
    #[must_use]
    pub fn lost_to(&self, requester: NodeId) -> u128 {
        let its = |key: &(LeaseId, u64)| {
            self.leases.get(&key.0).is_some_and(|l| l.requester == requester)
        };
        self.signed
            .iter()
            .filter(|(k, _)| self.given_up.contains(k) && its(k))
            .map(|(_, s)| s)
            .sum()
    }

    /// As a provider: work of a channel that is done and not billed.
    #[must_use]
    pub fn unbilled(&self, channel: ChannelId) -> u128 {
        let its = self.unbilled.iter().filter(|(lease, _)| self.channel(**lease) == Some(channel));
        its.map(|(_, sum)| sum).sum()
    }

    /// As a provider: the highest promise that it ever heard of a channel.
    #[must_use]
    pub fn ceiling(&self, channel: ChannelId) -> u128 {
        self.heard.get(&channel).copied().unwrap_or_default()
    }

    /// As a requester: bills of a channel that it took.
    #[must_use]
    pub fn owed(&self, channel: ChannelId) -> u128 {
        self.of(&self.taken, channel).map(|(_, sum)| sum).sum()
    }

    /// As a requester: how far ahead of the bills the leases of a channel let it go.
    #[must_use]
    pub fn step(&self, channel: ChannelId) -> u128 {
        let its =
            self.leases.values().filter(|l| l.paid_by.as_ref().map(channel_of) == Some(channel));
        its.map(|l| l.voucher_step.0).max().unwrap_or_default()
    }

    /// As a provider: its channels, and who pays through them.
    #[must_use]
    pub fn tills(&self, me: NodeId) -> BTreeMap<ChannelId, NodeId> {
        let its = self.leases.values().filter(|l| l.provider == me);
        its.filter_map(|l| Some((channel_of(l.paid_by.as_ref()?), l.requester))).collect()
    }
}

fn sum(receipts: &[Receipt]) -> u128 {
    receipts.iter().fold(0, |sum: u128, r| sum.saturating_add(r.price.0))
}

/// What a task costs at least; whether its program is billed too is not seen from outside.
fn least(lease: &Lease, fuel: ayni_types::Fuel, data_bytes: u64) -> u128 {
    lease.price.of(fuel, 0, data_bytes).0
}
