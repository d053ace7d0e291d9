//! M6: nothing a node signed is sent, and nothing is stated to a user, before it is durable.
//!
//! Keeps its own index of what is durable, made from the records of the disk model alone.

use std::collections::{BTreeMap, BTreeSet};

use ayni_core::{Notice, NoticeKind, Record, Reply, decode_record};
use ayni_types::{Amount, BatchHeader, ChannelId, Digest, JobId, LeaseId};
use ayni_wire::{Message, channel_id, outcome_digest};

use super::Violation;

/// Its name.
pub const PROMISE: &str = "M6 write-ahead gate";

/// What one node has made durable.
#[derive(Debug, Default)]
pub struct Durable {
    asks: BTreeSet<LeaseId>,
    grants: BTreeSet<LeaseId>,
    signed: BTreeMap<(LeaseId, u64), BatchHeader>,
    taken: BTreeSet<(LeaseId, u64)>,
    written: BTreeSet<(LeaseId, u64)>,
    vouchers: BTreeMap<ChannelId, Amount>,
    deposits: BTreeMap<ChannelId, u32>,
    offer: u64,
    jobs: BTreeSet<JobId>,
    accepted: BTreeSet<(JobId, Digest)>,
    failed: BTreeSet<JobId>,
    ended: BTreeMap<JobId, u32>,
}

impl Durable {
    /// Records were handed to the disk; they are not durable yet.
    pub fn wrote(&mut self, records: &[Vec<u8>]) {
        for record in records {
            if let Ok(Record::BatchTaken(batch)) = decode_record(0, record) {
                self.written.insert((batch.header.lease, batch.header.batch));
            }
        }
    }

    /// What was written and not durable is gone.
    pub fn crashed(&mut self) {
        self.written.clear();
    }

    /// Records became durable.
    ///
    /// # Errors
    /// When they contradict earlier ones.
    pub fn add(&mut self, records: &[Vec<u8>]) -> Result<(), Violation> {
        for record in records {
            let record = decode_record(0, record)
                .map_err(|e| Violation::new("M6 journal", format!("unreadable record: {e}")))?;
            match record {
                Record::LeaseAsked(lease) => {
                    self.asks.insert(lease.id);
                }
                Record::LeaseGranted(full) => {
                    self.grants.insert(full.lease.id);
                }
                Record::BatchSigned(batch) => {
                    let key = (batch.header.lease, batch.header.batch);
                    if self.signed.insert(key, batch.header).is_some_and(|h| h != batch.header) {
                        let text = format!("two roots journaled for {key:?}");
                        return Err(Violation::new("M6 no equivocation", text));
                    }
                }
                Record::BatchTaken(batch) => {
                    self.taken.insert((batch.header.lease, batch.header.batch));
                }
                Record::VoucherSigned { channel, ceiling } => {
                    let before = self.vouchers.insert(channel, ceiling);
                    if before.is_some_and(|before| before >= ceiling) {
                        let text = format!("a voucher of {channel} that is no higher");
                        return Err(Violation::new(PROMISE, text));
                    }
                }
                Record::ChannelOpened { paid_by, .. } => {
                    self.deposits.insert(channel_id(&paid_by.ledger, &paid_by.terms), 1);
                }
                Record::ChannelToppedUp { channel, .. } => {
                    *self.deposits.entry(channel).or_default() += 1;
                }
                Record::OfferIssued { sequence } => self.offer = self.offer.max(sequence),
                Record::JobSubmitted(job) => {
                    self.jobs.insert(job.id);
                }
                Record::TaskAccepted(accept) => {
                    self.accepted.insert((accept.job, outcome_digest(&accept.outcome)));
                }
                Record::Outvoted { job, digest, .. } => {
                    self.accepted.insert((job, digest));
                }
                Record::Mismatch { job, found, .. } => {
                    self.accepted.insert((job, outcome_digest(&found)));
                }
                Record::TaskFailed { job, .. } => {
                    self.failed.insert(job);
                }
                Record::JobEnded { job, .. } => {
                    let times = self.ended.entry(job).or_default();
                    *times += 1;
                    if *times > 1 {
                        return Err(Violation::new(
                            super::j1::PROMISE,
                            format!("{job} ended twice"),
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A node is about to pay into a channel for the `number`th time, from 0.
    #[must_use]
    pub fn check_deposit(&self, channel: ChannelId, number: u32) -> Option<Violation> {
        let known = self.deposits.get(&channel).copied().unwrap_or_default();
        (number >= known).then(|| {
            Violation::new(PROMISE, format!("deposit {number} of {channel} before it was durable"))
        })
    }

    /// A node is about to say `message`.
    #[must_use]
    pub fn check_send(&self, message: &Message) -> Option<Violation> {
        let wrong = |what: String| Some(Violation::new(PROMISE, what));
        match message {
            Message::LeaseAsk(ask) if !self.asks.contains(&ask.body.id) => {
                wrong(format!("lease {} asked before it was durable", ask.body.id))
            }
            Message::LeaseGrant(full) if !self.grants.contains(&full.lease.id) => {
                wrong(format!("lease {} granted before it was durable", full.lease.id))
            }
            Message::Batch(batch) => {
                let key = (batch.header.lease, batch.header.batch);
                match self.signed.get(&key) {
                    Some(header) if *header == batch.header => None,
                    _ => wrong(format!("batch {key:?} sent before it was durable")),
                }
            }
            Message::BatchAck { lease, batch, .. } => {
                let key = (*lease, *batch);
                (self.written.contains(&key) && !self.taken.contains(&key)).then(|| {
                    Violation::new(PROMISE, format!("batch {key:?} acknowledged, not durable"))
                })
            }
            Message::Voucher(voucher)
                if self.vouchers.get(&voucher.channel).is_none_or(|c| *c < voucher.ceiling) =>
            {
                wrong(format!("a voucher of {} sent before it was durable", voucher.channel))
            }
            Message::Publish(offer) if offer.body.sequence > self.offer => {
                wrong(format!("offer {} published before durable", offer.body.sequence))
            }
            _ => None,
        }
    }

    /// A node is about to tell its user.
    #[must_use]
    pub fn check_notice(&self, notice: &Notice) -> Option<Violation> {
        let job = notice.job?;
        let fine = match &notice.kind {
            NoticeKind::Accepted { .. } => self.jobs.contains(&job),
            NoticeKind::TaskAccepted { outcome, .. } => {
                self.accepted.contains(&(job, outcome_digest(outcome)))
            }
            NoticeKind::TaskFailed { .. } => self.failed.contains(&job),
            NoticeKind::Ended { .. } => self.ended.contains_key(&job),
            _ => true,
        };
        (!fine).then(|| Violation::new(PROMISE, format!("told before durable: {:?}", notice.kind)))
    }

    /// A node is about to answer a command.
    #[must_use]
    pub fn check_reply(&self, reply: &Reply) -> Option<Violation> {
        let Reply::Accepted { job, .. } = reply else { return None };
        (!self.jobs.contains(job))
            .then(|| Violation::new(PROMISE, format!("job {job} acknowledged before durable")))
    }
}
