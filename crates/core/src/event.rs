//! What the world tells the core.

use ayni_types::{
    Amount, BlobRef, ChannelId, Fault, JobId, NodeAddr, NodeId, Observed, Outcome, Price, TaskSpec,
    Time, Verify,
};
use ayni_wire::Message;

use crate::backing::StakeOf;
use crate::channel::Seen;
use crate::effect::{FetchId, RunId};

/// Something happened.
// As for effects: moved once, never kept in numbers.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Event {
    /// Time passed; sent when `poll_timeout` is due.
    Tick,
    /// A connection to a peer is up (its key is proven).
    PeerUp(NodeId),
    /// The connection is gone.
    PeerDown(NodeId),
    /// Somebody was seen on the local network, or named by a ticket or the configuration.
    Discovered(NodeAddr),
    /// A peer said something.
    Message {
        /// Proven by the transport.
        from: NodeId,
        /// Decoded, but not believed.
        message: Message,
    },
    /// All records up to and including this sequence number are durable.
    Persisted {
        /// As in [`crate::Effect::Persist`].
        sequence: u64,
    },
    /// The journal could not be written (disk full, say). Nothing after the last `Persisted` counts.
    PersistFailed {
        /// First batch that is not durable. The shell tries it again when asked by a new `Persist`
        /// with the same number.
        sequence: u64,
        /// For people.
        reason: String,
    },
    /// The owner or a program of theirs asks for something.
    Command {
        /// Echoed in the reply.
        id: CommandId,
        /// What.
        command: Command,
    },
    /// A fetch ended.
    Fetched {
        /// Which.
        fetch: FetchId,
        /// The bytes are held and verified, or why not.
        result: Result<(), FetchFailure>,
    },
    /// What the chain holds of a watched channel.
    ChannelSeen {
        /// Which.
        channel: ChannelId,
        /// What.
        seen: Seen,
    },
    /// The last step asked for in a channel can't be taken.
    ChainFailed {
        /// Which.
        channel: ChannelId,
        /// For people.
        reason: String,
    },
    /// What stands behind leases of a pair.
    StakeSeen {
        /// Whose.
        stake: StakeOf,
        /// What a jury would take of it.
        at_risk: Amount,
        /// Leases issued before are backed.
        until: Time,
    },
    /// A run started to compile or to execute (progress only).
    RunStarted {
        /// Which.
        run: RunId,
        /// True while the program is being compiled.
        compiling: bool,
    },
    /// A run ended; its output blobs are held here.
    Ran {
        /// Which.
        run: RunId,
        /// How.
        result: Result<Ran, Fault>,
    },
}

/// A finished execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What came out.
    pub outcome: Outcome,
    /// What was seen.
    pub observed: Observed,
    /// Size of the program in bytes of code.
    pub code_bytes: u64,
    /// Declared input and output bytes.
    pub data_bytes: u64,
    /// Bytes of the outcome's blobs that are small enough to go along with it.
    pub inline: Vec<Vec<u8>>,
}

/// Names a command so that its reply finds its asker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What an owner may ask.
// As for events: moved once, never kept in numbers.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Command {
    /// Run a job. Submitting the same job id again is answered as the first time, and applied once.
    SubmitJob(JobSpec),
    /// More tasks for a job that was submitted open. `first_index` makes it idempotent: tasks at
    /// indices the job already has are ignored.
    AddTasks {
        /// Which.
        job: JobId,
        /// Index of the first of `tasks`.
        first_index: u32,
        /// More tasks.
        tasks: Vec<TaskSpec>,
        /// As in [`JobSpec::sizes`].
        sizes: Vec<BlobRef>,
    },
    /// No more tasks will come.
    CloseJob {
        /// Which.
        job: JobId,
    },
    /// Stop a job; accepted outcomes are kept.
    CancelJob {
        /// Which.
        job: JobId,
    },
    /// Take no new work; what others gave is handed back at once, what runs for them is killed.
    Pause {
        /// Why; several reasons may hold at once.
        reason: PauseReason,
    },
    /// This reason no longer holds.
    Resume {
        /// Which.
        reason: PauseReason,
    },
    /// Finish what runs, take nothing new, end leases; [`Reply::Drained`] comes when done.
    Drain,
    /// Lend more or less from now on; leases that no longer fit end.
    Lend(Lent),
    /// Ask directories for offers now.
    RefreshOffers,
    /// Claim on the chain whatever is earned and promised, however little.
    Claim,
    /// Take back what a channel that we pay from still holds.
    CloseChannel {
        /// Which.
        channel: ChannelId,
    },
}

/// What a provider lends and asks, as far as its owner can change it while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lent {
    /// Tasks at once.
    pub slots: u32,
    /// Memory of a slot, in bytes.
    pub memory_bytes: u64,
    /// Blob cache, in bytes.
    pub disk_bytes: u64,
    /// What is asked while nothing is leased.
    pub price: Price,
    /// So many hundredths more while all slots are leased.
    pub busy_percent: u32,
}

/// Why a provider rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PauseReason {
    /// Its owner said so.
    Owner,
    /// It runs on battery.
    Battery,
    /// Its disk is full.
    DiskFull,
    /// It is not lent at this hour.
    Hours,
    /// Its owner is at the keyboard.
    InUse,
    /// Other programs need the processor.
    Busy,
    /// Other programs need the memory.
    Memory,
    /// It is too hot.
    Hot,
    /// Its network is billed by volume.
    Metered,
    /// What it may transfer in a day is spent.
    Transfer,
}

/// A job as its owner states it. Tasks are checked (`ayni_wire::check_task`) by the core.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// Drawn by whoever submits, so that submitting twice is harmless.
    pub id: JobId,
    /// For people; at most 200 bytes.
    pub name: String,
    /// Tasks, by index.
    pub tasks: Vec<TaskSpec>,
    /// More may follow by `AddTasks` until `CloseJob`.
    pub open: bool,
    /// Wall clock allowed per task in milliseconds.
    pub timeout_ms: u64,
    /// When tasks that have not ended fail.
    pub deadline: Option<Time>,
    /// How its results are verified.
    pub verify: Verify,
    /// Lease at most so many providers at once.
    pub providers_max: u32,
    /// Own cores take part as if they were a provider (their outcomes need no audit).
    pub home: bool,
    /// Never audited, never called verified.
    pub nondeterministic: bool,
    /// Refuse offers above any of these prices.
    pub price_max: Option<Price>,
    /// It is never billed more than this.
    pub budget: Option<Amount>,
    /// Lengths of the programs and inputs of its tasks, a tree's with all its files: no more is
    /// billed for them. With a budget every one must be known.
    pub sizes: Vec<BlobRef>,
}

/// Answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is in the journal.
    Done,
    /// The job is in the journal.
    Accepted {
        /// Its id.
        job: JobId,
        /// Tasks whose outcome was already held.
        held: u32,
    },
    /// Nothing runs for others any more.
    Drained,
}

/// Why a command was refused. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such job.
    #[error("no job {0} here")]
    UnknownJob(JobId),
    /// No such channel.
    #[error("no channel {0} of which this node is the payer")]
    UnknownChannel(ChannelId),
    /// A task breaks a rule.
    #[error("task {index}: {reason}")]
    BadTask {
        /// Its index.
        index: usize,
        /// Which rule.
        reason: String,
    },
    /// The job itself breaks a rule.
    #[error("{0}")]
    BadJob(String),
    /// The job has ended or is closed.
    #[error("job {job} {state}")]
    Ended {
        /// Which.
        job: JobId,
        /// `is closed`, `was cancelled`, `has ended`.
        state: &'static str,
    },
    /// The journal can't be written.
    #[error("the journal can't be written: {0}")]
    Journal(String),
    /// This node is no provider.
    #[error("this node does not provide")]
    NotAProvider,
}

/// Why blobs could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchFailure {
    /// Nobody asked could be reached or held them.
    Unavailable(String),
    /// A peer sent bytes that are not what the digest says.
    Lied(NodeId),
    /// No room here.
    DiskFull(String),
    /// Cancelled.
    Cancelled,
}
