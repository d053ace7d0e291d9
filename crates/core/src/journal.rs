//! What the journal holds: one versioned record per change that must survive a crash.
//!
//! A record is one version byte and the canonical encoding of [`Record`]. Each batch handed to the
//! store begins with [`Record::Batch`], so that a recovering core knows where numbering goes on and
//! notices a gap. Deliberately not here: what a record does (`Core::apply`), and where it is kept.

use ayni_types::{
    Amount, BlobRef, ChannelId, Digest, FaultKind, JobId, Lease, LeaseId, NodeId, Outcome, PaidBy,
    Price, TaskSpec, Time, Verify,
};
use ayni_wire::{DecodeError, FullLease, SignedBatch, TwoRoots, Voucher, encode};
use minicbor::{Decode, Encode};

/// The only version this build writes or reads.
pub const JOURNAL_VERSION: u8 = 4;

/// Tasks per [`Record::TasksAdded`], so that no record grows with its job.
pub(crate) const TASKS_PER_RECORD: usize = 256;

/// A change that must survive a crash.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Record {
    /// The first record of each batch.
    #[n(0)]
    Batch {
        /// Counts up by one.
        #[n(0)]
        sequence: u64,
    },
    /// A job was submitted; its tasks follow in the same batch.
    #[n(1)]
    JobSubmitted(#[n(0)] JobRecord),
    /// Tasks of a job.
    #[n(2)]
    TasksAdded {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// The tasks, in order.
        #[n(1)]
        tasks: Vec<TaskSpec>,
    },
    /// No more tasks will come.
    #[n(3)]
    JobClosed {
        /// Which.
        #[n(0)]
        job: JobId,
    },
    /// Every task has ended, or the job was cancelled.
    #[n(4)]
    JobEnded {
        /// Which.
        #[n(0)]
        job: JobId,
        /// When.
        #[n(1)]
        time: Time,
        /// By its owner.
        #[n(2)]
        cancelled: bool,
    },
    /// We signed a request for a lease.
    #[n(5)]
    LeaseAsked(#[n(0)] Lease),
    /// Both sides signed.
    #[n(6)]
    LeaseMade(#[n(0)] FullLease),
    /// Nothing more comes of it.
    #[n(7)]
    LeaseClosed {
        /// Which.
        #[n(0)]
        lease: LeaseId,
    },
    /// A provider's receipts, checked.
    #[n(8)]
    BatchTaken(#[n(0)] SignedBatch),
    /// A task has its outcome.
    #[n(9)]
    TaskAccepted(#[n(0)] AcceptRecord),
    /// A task ended without one.
    #[n(10)]
    TaskFailed {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which task.
        #[n(1)]
        index: u32,
        /// Why.
        #[n(2)]
        reason: String,
        /// The machine's last word, if it had one.
        #[n(3)]
        fault: Option<FaultKind>,
        /// When.
        #[n(4)]
        time: Time,
    },
    /// An audit found the same outcome.
    #[n(11)]
    AuditAgreed {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which task.
        #[n(1)]
        index: u32,
        /// When.
        #[n(2)]
        time: Time,
        /// Who executed it; `None` is home.
        #[n(3)]
        by: Option<NodeId>,
    },
    /// Home could not execute it; the outcome stays signed and unaudited.
    #[n(12)]
    AuditGivenUp {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which task.
        #[n(1)]
        index: u32,
        /// Why.
        #[n(2)]
        reason: String,
    },
    /// A second provider signed another outcome for an accepted task: home decides.
    #[n(13)]
    Contested(#[n(0)] AcceptRecord),
    /// Home found another outcome than a provider signed.
    #[n(14)]
    Mismatch {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which task.
        #[n(1)]
        index: u32,
        /// What home found.
        #[n(2)]
        found: Outcome,
        /// When.
        #[n(3)]
        time: Time,
    },
    /// A provider signed two roots for one batch number.
    #[n(15)]
    Equivocation {
        /// Who.
        #[n(0)]
        provider: NodeId,
        /// The first, as journaled before; and the second.
        #[n(1)]
        second: SignedBatch,
        /// When.
        #[n(2)]
        time: Time,
    },
    /// Provider side: both sides signed.
    #[n(16)]
    LeaseGranted(#[n(0)] FullLease),
    /// Provider side: we signed a batch.
    #[n(17)]
    BatchSigned(#[n(0)] SignedBatch),
    /// Provider side: the requester has seen it.
    #[n(18)]
    BatchAcked {
        /// Lease.
        #[n(0)]
        lease: LeaseId,
        /// Batch.
        #[n(1)]
        batch: u64,
        /// It is going to pay for it.
        #[n(2)]
        taken: bool,
    },
    /// Provider side: nothing more comes of it.
    #[n(19)]
    GrantClosed {
        /// Which.
        #[n(0)]
        lease: LeaseId,
    },
    /// Provider side: an offer with this number was signed.
    #[n(20)]
    OfferIssued {
        /// Its number.
        #[n(0)]
        sequence: u64,
    },
    /// Results that were accepted undecided, or at a lower rate, were looked at for audits.
    #[n(21)]
    AuditsDrawn {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Whose results.
        #[n(1)]
        provider: NodeId,
        /// At what rate, in millionths.
        #[n(2)]
        rate: u32,
        /// Tasks looked at, in order.
        #[n(3)]
        looked: Vec<u32>,
        /// Those of them that are audited.
        #[n(4)]
        drawn: Vec<u32>,
    },
    /// Another node showed a proof of fraud, and it holds.
    #[n(22)]
    Proven {
        /// The proof.
        #[n(0)]
        proof: Box<TwoRoots>,
        /// When.
        #[n(1)]
        time: Time,
    },
    /// One opinion on a task that needs several to agree.
    #[n(23)]
    Voted(#[n(0)] AcceptRecord),
    /// Another provider found the accepted outcome too.
    #[n(25)]
    Seconded {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which task.
        #[n(1)]
        index: u32,
        /// Who.
        #[n(2)]
        by: NodeId,
        /// What it bills.
        #[n(3)]
        price: Amount,
    },
    /// A channel to a provider is to be opened.
    #[n(26)]
    ChannelOpened {
        /// Which.
        #[n(0)]
        paid_by: PaidBy,
        /// Whom it pays.
        #[n(1)]
        provider: NodeId,
        /// With how much.
        #[n(2)]
        deposit: Amount,
    },
    /// More is to be paid into a channel.
    #[n(27)]
    ChannelToppedUp {
        /// Which.
        #[n(0)]
        channel: ChannelId,
        /// How much more.
        #[n(1)]
        amount: Amount,
    },
    /// We promised more.
    #[n(28)]
    VoucherSigned {
        /// Of which channel.
        #[n(0)]
        channel: ChannelId,
        /// How much in all.
        #[n(1)]
        ceiling: Amount,
    },
    /// What a channel still holds is to be taken back.
    #[n(29)]
    ChannelClosing {
        /// Which.
        #[n(0)]
        channel: ChannelId,
    },
    /// Provider side: a better promise, checked.
    #[n(30)]
    VoucherTaken(#[n(0)] Voucher),
    /// Lengths of a job's programs and inputs, a tree's with all its files.
    #[n(40)]
    Sized {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// The lengths.
        #[n(1)]
        sizes: Vec<BlobRef>,
    },
    /// What a batch of receipts bills to a job.
    #[n(41)]
    Billed {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// How much.
        #[n(1)]
        amount: Amount,
    },
    /// More providers agree on another outcome than the accepted one, and home can't decide.
    #[n(24)]
    Outvoted {
        /// Which job.
        #[n(0)]
        job: JobId,
        /// Which task.
        #[n(1)]
        index: u32,
        /// The outcome that stands; one of the contested ones.
        #[n(2)]
        digest: Digest,
        /// When.
        #[n(3)]
        time: Time,
    },
}

/// A job without its tasks.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct JobRecord {
    /// Its id.
    #[n(0)]
    pub id: JobId,
    /// For people.
    #[n(1)]
    pub name: String,
    /// More tasks may follow.
    #[n(2)]
    pub open: bool,
    /// Wall clock allowed per task in milliseconds.
    #[n(3)]
    pub timeout_ms: u64,
    /// When what has not ended fails.
    #[n(4)]
    pub deadline: Option<Time>,
    /// How its results are verified.
    #[n(5)]
    pub verify: Verify,
    /// Providers at once.
    #[n(6)]
    pub providers_max: u32,
    /// Own cores take part.
    #[n(7)]
    pub home: bool,
    /// Never audited.
    #[n(8)]
    pub nondeterministic: bool,
    /// Highest prices.
    #[n(9)]
    pub price_max: Option<Price>,
    /// When it was submitted.
    #[n(10)]
    pub submitted: Time,
    /// It is never billed more than this.
    #[n(11)]
    pub budget: Option<Amount>,
}

/// An outcome and where it came from.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct AcceptRecord {
    /// Which job.
    #[n(0)]
    pub job: JobId,
    /// Which task.
    #[n(1)]
    pub index: u32,
    /// What came out.
    #[n(2)]
    pub outcome: Outcome,
    /// From whom; `None` is home.
    #[n(3)]
    pub provider: Option<NodeId>,
    /// Its price.
    #[n(4)]
    pub price: Amount,
    /// The receipt: lease, batch, place.
    #[n(5)]
    pub receipt: Option<ReceiptAt>,
    /// Whether it is audited; `None` while that is undecided.
    #[n(6)]
    pub audit: Option<AuditDraw>,
    /// When.
    #[n(7)]
    pub time: Time,
}

/// How a result was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct AuditDraw {
    /// At what rate, in millionths.
    #[n(0)]
    pub rate: u32,
    /// It is audited.
    #[n(1)]
    pub drawn: bool,
}

impl AuditDraw {
    /// Nothing to audit: home ran it, or several agreed on it.
    pub const NONE: Self = Self { rate: 0, drawn: false };
}

/// Where a receipt is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ReceiptAt {
    /// Lease.
    #[n(0)]
    pub lease: LeaseId,
    /// Batch.
    #[n(1)]
    pub batch: u64,
    /// Place in the batch.
    #[n(2)]
    pub leaf: u32,
}

/// Why a journal can't be recovered from. The core that comes of it would be wrong, so there is none.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Written by another build.
    #[error(
        "journal record {at} has version {found}; this build reads version {JOURNAL_VERSION} \
         (hint: use the build that wrote it)"
    )]
    Version {
        /// Which record, from 0.
        at: u64,
        /// Its version.
        found: u8,
    },
    /// Damaged.
    #[error("journal record {at} is damaged")]
    Damaged {
        /// Which record, from 0.
        at: u64,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// Empty bytes.
    #[error("journal record {at} is empty")]
    Empty {
        /// Which record, from 0.
        at: u64,
    },
    /// A batch is missing.
    #[error("journal batch {found} follows batch {after}: some are missing")]
    Gap {
        /// The last before the gap.
        after: u64,
        /// The first after it.
        found: u64,
    },
}

/// The bytes of a record.
#[must_use]
pub fn encode_record(record: &Record) -> Vec<u8> {
    let mut bytes = vec![JOURNAL_VERSION];
    bytes.extend_from_slice(&encode(record));
    bytes
}

/// Reads record number `at`.
///
/// # Errors
/// When it was written by another version or is damaged.
pub fn decode_record(at: u64, bytes: &[u8]) -> Result<Record, RecoverError> {
    match bytes.split_first() {
        None => Err(RecoverError::Empty { at }),
        Some((&JOURNAL_VERSION, body)) => {
            ayni_wire::decode(body).map_err(|source| RecoverError::Damaged { at, source })
        }
        Some((&found, _)) => Err(RecoverError::Version { at, found }),
    }
}

/// The digest by which outcomes are compared, beside the outcome it belongs to.
pub(crate) fn digest_of(outcome: &Outcome) -> Digest {
    ayni_wire::outcome_digest(outcome)
}
