//! What the core asks of the world.

use ayni_types::{
    Account, Amount, ChannelId, Digest, Fault, JobId, LeaseId, NodeAddr, NodeId, Outcome, PaidBy,
    TaskId, TaskSpec, Time,
};
use ayni_wire::{Case, Message, Refusal, Voucher};

use crate::backing::StakeOf;
use crate::event::{CommandError, CommandId, Reply};

/// Something to do. Effects come in the order in which they must be begun.
// Made, moved once and taken apart; never kept in numbers, so that boxes would buy nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Effect {
    /// Say this; may be lost, never believed to have arrived until answered.
    Send {
        /// To whom; the shell dials.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Remember how to reach somebody, and keep a connection.
    Connect(NodeAddr),
    /// Append to the journal, in order; answer `Persisted`. Several may be committed as one.
    Persist {
        /// Counts up by one.
        sequence: u64,
        /// Encoded by the core, opaque to the store.
        records: Vec<Vec<u8>>,
    },
    /// Get blobs; answer `Fetched`.
    Fetch {
        /// Its id.
        id: FetchId,
        /// Which.
        what: FetchWhat,
        /// Whom to ask, in this order or all at once.
        from: Vec<NodeId>,
    },
    /// The fetch is no longer wanted; answer `Fetched` with `Cancelled` if it had not ended.
    CancelFetch(FetchId),
    /// Execute a task whose inputs are held; answer `Ran`.
    Run {
        /// Its id.
        id: RunId,
        /// In which slot's runner; a new id means a new runner.
        slot: SlotId,
        /// What.
        task: TaskSpec,
        /// Wall clock allowed for the execution.
        timeout_ms: u64,
        /// For whom.
        purpose: Purpose,
    },
    /// Kill a run; answer `Ran` with `Cancelled` if it had not ended.
    Kill(RunId),
    /// The slot's runner is not needed any more.
    CloseSlot(SlotId),
    /// Say what the chain holds of a channel, now and whenever it changes: `ChannelSeen`.
    WatchChannel(PaidBy),
    /// Take a step on the chain. The same step is asked for again until it is seen to be done: it must
    /// be taken once. What comes of it is seen by `ChannelSeen`; `ChainFailed` says why nothing does.
    Chain {
        /// In which channel.
        paid_by: PaidBy,
        /// What.
        step: ChainStep,
    },
    /// Have so much of our stake reserved for a requester, at least until then, unless it is. Asked for
    /// again with each lease.
    Reserve {
        /// Whose account.
        requester: Account,
        /// How much.
        amount: Amount,
        /// What is reserved until then is enough.
        least_until: Time,
        /// Otherwise it is reserved until then.
        until: Time,
    },
    /// Say what stands behind leases of this pair, now and whenever it changes: `StakeSeen`.
    WatchStake(StakeOf),
    /// Somebody says what a jury is to judge. Nothing in it was checked.
    Case {
        /// Who.
        from: NodeId,
        /// What.
        case: Box<Case>,
    },
    /// Freeze (true) or thaw the runners that work for others.
    Freeze(bool),
    /// Answer a command.
    Reply {
        /// Which.
        id: CommandId,
        /// How it went.
        result: Result<Reply, CommandError>,
    },
    /// Tell whoever watches.
    Notice(Notice),
}

/// A step in a channel. With its channel it names itself: two equal ones are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainStep {
    /// Open the channel or pay more into it.
    Deposit {
        /// Counts the channel's deposits, from 0.
        number: u32,
        /// How much.
        amount: Amount,
    },
    /// Take what is earned, up to this much from the channel's beginning.
    Claim {
        /// In all.
        amount: Amount,
        /// The promise that it rests on.
        voucher: Voucher,
    },
    /// Announce that all that is left is to be taken back.
    Withdraw,
    /// Take it back; its time has come.
    FinishWithdrawal,
}

/// Names a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// Names an execution on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// Names one runner process's place. Never shared by two requesters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u64);

/// Which blobs to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchWhat {
    /// Everything a task reads: program, stdin, mounts, and the files of mounted trees.
    Inputs(Box<TaskSpec>),
    /// These, with their lengths if known.
    Blobs(Vec<(Digest, u64)>),
    /// Outputs of which some came along: those are only to be kept.
    Outputs {
        /// Their bytes, checked against the outcome.
        here: Vec<Vec<u8>>,
        /// The others, with their lengths.
        rest: Vec<(Digest, u64)>,
    },
}

/// For whom a task is executed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For a requester.
    Lease(LeaseId),
    /// To audit somebody.
    Audit,
    /// For a job of our own.
    Home,
}

/// News of a job, for people who watch it. Not needed for correctness.
#[derive(Debug, Clone)]
pub struct Notice {
    /// When.
    pub time: Time,
    /// Which job; `None` for news of the node.
    pub job: Option<JobId>,
    /// What.
    pub kind: NoticeKind,
}

/// Kinds of news.
#[derive(Debug, Clone)]
pub enum NoticeKind {
    /// The job is in the journal.
    Accepted {
        /// Tasks in all.
        tasks: u32,
        /// Outcomes already held.
        held: u32,
    },
    /// A lease is signed by both.
    Leased {
        /// With whom.
        provider: NodeId,
        /// Slots.
        slots: u32,
    },
    /// A channel that we pay from can be used from now on, or not any more.
    Channel {
        /// Which.
        channel: ChannelId,
        /// Whom it pays.
        provider: NodeId,
        /// What is in it.
        deposit: Amount,
        /// Whether it can be used.
        open: bool,
    },
    /// A provider said no.
    LeaseRefused {
        /// Who.
        provider: NodeId,
        /// Why.
        refusal: Refusal,
    },
    /// A task was handed out.
    Assigned {
        /// Its index.
        index: u32,
        /// To whom; `None` is home.
        provider: Option<NodeId>,
        /// A second copy of a straggler.
        duplicate: bool,
    },
    /// A provisional outcome arrived.
    Delivered {
        /// Task index.
        index: u32,
        /// From whom; `None` is home.
        provider: Option<NodeId>,
    },
    /// An outcome with its receipt is in the journal. Said again if a later audit replaces it.
    TaskAccepted {
        /// Task index.
        index: u32,
        /// Its id.
        task: TaskId,
        /// What came out.
        outcome: Outcome,
        /// From whom; `None` is home.
        provider: Option<NodeId>,
        /// Its price.
        price: Amount,
    },
    /// No outcome; it is tried elsewhere.
    TaskFaulted {
        /// Task index.
        index: u32,
        /// Where; `None` is home.
        provider: Option<NodeId>,
        /// Why.
        fault: Fault,
    },
    /// A task ended without an outcome.
    TaskFailed {
        /// Task index.
        index: u32,
        /// Why.
        reason: String,
    },
    /// An audit agreed.
    AuditAgreed {
        /// Task index.
        index: u32,
        /// With whom.
        provider: NodeId,
    },
    /// An audit found another outcome: evidence is in the journal.
    Mismatch {
        /// Task index.
        index: u32,
        /// Whose receipt it contradicts.
        provider: NodeId,
        /// Digest the provider signed.
        claimed: Digest,
        /// Digest found at home.
        found: Digest,
        /// Accepted outcomes of that provider that are run again.
        rerun: u32,
    },
    /// A provider can't be reached, or ended its lease; its unfinished tasks move.
    ProviderLost {
        /// Who.
        provider: NodeId,
        /// Tasks that are queued again.
        requeued: u32,
        /// Why.
        reason: String,
    },
    /// Nothing can move, and why; said when the reason changes, with an empty text when it is gone.
    Stalled {
        /// For people.
        reason: String,
    },
    /// The job ended.
    Ended {
        /// Tasks with an outcome.
        accepted: u32,
        /// Tasks without.
        failed: u32,
        /// It was cancelled.
        cancelled: bool,
    },
}
