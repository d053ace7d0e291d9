//! What a core is told once, at its start: roles, machine, and every duration and limit it obeys.
//!
//! Deliberately not here: parsing (the node crate does that) and anything that changes later.

use ayni_types::{
    Account, Amount, Energy, EngineBuild, Ledger, NodeAddr, Payment, Price, Roles, Walls,
};

/// Everything that is fixed while a core lives.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this node does for others.
    pub roles: Roles,
    /// Where it believes it can be reached.
    pub addr: NodeAddr,
    /// What it lends; `None` if nothing.
    pub provider: Option<ProviderConfig>,
    /// What it keeps for its own jobs and audits.
    pub home: HomeConfig,
    /// What it pays with; `None` if it can't.
    pub wallet: Option<Wallet>,
    /// Directories to publish to and to ask.
    pub directories: Vec<NodeAddr>,
    /// Durations and limits.
    pub tuning: Tuning,
}

/// What a provider lends.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Tasks at once.
    pub slots: u32,
    /// Linear memory of one task at most, in bytes.
    pub memory_bytes: u64,
    /// Blob storage lent, in bytes.
    pub disk_bytes: u64,
    /// What it asks while nothing is leased.
    pub price: Price,
    /// So many hundredths more while all of its slots are; in between by a straight line.
    pub busy_percent: u32,
    /// Fuel a slot does per second, as measured here.
    pub fuel_per_second: u64,
    /// Walls that stand around its runners.
    pub walls: Walls,
    /// The runner binary.
    pub build: EngineBuild,
    /// Where it says it is.
    pub region: Option<String>,
    /// Stake it reserves for a requester.
    pub stake: Amount,
    /// The contract that may take it; `None`: the stake is a number, which nobody believes.
    pub disputes: Option<Account>,
    /// Pay that it lets a requester hold back until the audits of a lease are done.
    pub hold_back: Amount,
    /// How it is paid; `None`: its prices are counted and never paid.
    pub payment: Option<Payment>,
    /// What it says that its work takes.
    pub energy: Option<Energy>,
}

/// What a requester pays with. The keys are elsewhere.
#[derive(Debug, Clone)]
pub struct Wallet {
    /// Where its money is.
    pub ledger: Ledger,
    /// Which money: an ERC-20 contract there.
    pub token: Account,
    /// The contract there that judges disputes.
    pub disputes: Account,
    /// Whose: it pays the deposits, and gets back what is left.
    pub account: Account,
    /// What a channel is opened with, and topped up by.
    pub deposit: Amount,
    /// How far ahead of its bills a provider that has not been paid before is promised.
    pub step_first: Amount,
    /// The same for any.
    pub step_max: Amount,
    /// Providers that want deposits to stay longer after notice are not used, in seconds.
    pub withdraw_delay_s_max: u64,
}

/// What a node keeps for itself.
#[derive(Debug, Clone)]
pub struct HomeConfig {
    /// Tasks at once; audits come first.
    pub slots: u32,
    /// Linear memory of one task at most, in bytes.
    pub memory_bytes: u64,
    /// The runner binary.
    pub build: EngineBuild,
}

/// Durations and limits, each with a default that suits the internet and a LAN alike.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tuning {
    /// Peers remembered, about 500 bytes each.
    pub peers_max: usize,
    /// Offers remembered by a requester, about 1 KiB each.
    pub offers_max: usize,
    /// Messages a stranger may send at once before some are dropped.
    pub peer_burst: u32,
    /// Messages a stranger may send per second.
    pub peer_messages_per_second: u32,
    /// Journal batches begun and not yet durable; later records wait and join one batch.
    pub journal_in_flight_max: usize,
    /// Between attempts to write a journal that failed, in milliseconds.
    pub journal_retry_ms: u64,
    /// How often leases are looked after, in milliseconds.
    pub heartbeat_ms: u64,
    /// How often a peer with a lease is pinged, in milliseconds.
    pub ping_ms: u64,
    /// Without an answer for so long a provider is lost, in milliseconds.
    pub silence_ms: u64,
    /// Without a connection for so long a provider is lost, in milliseconds.
    pub down_grace_ms: u64,
    /// Without a requester for so long its work is dropped, in milliseconds.
    pub requester_grace_ms: u64,
    /// How long a lease lasts, in milliseconds.
    pub lease_ms: u64,
    /// A lease without work is ended after so long, in milliseconds.
    pub lease_idle_ms: u64,
    /// An unanswered request for a lease is given up after so long, in milliseconds.
    pub ask_ms: u64,
    /// After a refusal or a loss a provider is asked again after so long, in milliseconds.
    pub refusal_rest_ms: u64,
    /// Offers are asked for so often while a job wants them, in milliseconds.
    pub query_ms: u64,
    /// Own offers are renewed so often, in milliseconds.
    pub offer_renew_ms: u64,
    /// Own offers end after so long, in milliseconds.
    pub offer_ms: u64,
    /// Between two changed offers at least so long, in milliseconds.
    pub offer_change_ms: u64,
    /// Offers that last longer than this are refused, in milliseconds.
    pub offer_horizon_ms: u64,
    /// Clocks of others may differ from ours by so much, in milliseconds: two machines that are an
    /// hour wrong each (as who mistakes summer time is), one ahead and one behind, and a little.
    pub clock_error_ms: u64,
    /// Assignments in flight per slot of a lease: one runs, the next is already there.
    pub window_per_slot: u32,
    /// Added to what a task may take before it is presumed lost, in milliseconds.
    pub assignment_margin_ms: u64,
    /// A provider that says it compiles is waited for so much longer for each program of a lease, in
    /// milliseconds: twice the processor time that a compilation may take (`docs/sandbox.md`),
    /// because providers compile behind everything else on their machine.
    pub compile_ms_max: u64,
    /// A delivered outcome is signed within so long, or its provider is lost, in milliseconds.
    pub sign_ms: u64,
    /// Receipts are signed when so many are due …
    pub batch_receipts: usize,
    /// … or after so long, in milliseconds, or when the lease has nothing else to do.
    pub batch_ms: u64,
    /// A batch is sent again after so long without acknowledgement, in milliseconds.
    pub batch_resend_ms: u64,
    /// Attempts at one task, faults and losses together.
    pub attempts_max: u32,
    /// Providers with the same fault that end a task.
    pub same_fault_max: u32,
    /// After so long without an untried provider a faulted task fails, in milliseconds.
    pub exhausted_ms: u64,
    /// A task that some providers have answered waits so long for another that a quorum lacks, in
    /// milliseconds.
    pub quorum_wait_ms: u64,
    /// A straggler has run at least so long, in milliseconds, …
    pub straggler_ms_min: u64,
    /// … and this many hundredths of the job's median.
    pub straggler_percent: u64,
    /// Attempts at one audit before it is given up (and the result stays unaudited).
    pub audit_attempts_max: u32,
    /// What honest execution is supposed to cost its provider, in millionths of its pay.
    pub cost_ppm: u32,
    /// What an audit that agreed is worth halves in so long, in milliseconds.
    pub trust_half_life_ms: u64,
    /// Refuse tasks whose fuel limit can't be done in their time even at so many times the lease's
    /// fuel rate (a rate is measured on one program, and others differ from it); 0 refuses none.
    pub fuel_rate_slack: u64,
    /// A lease whose work has not been paid for so long is ended, in milliseconds.
    pub unpaid_ms: u64,
    /// What is earned is claimed on the chain when it is worth this much (a claim costs gas).
    pub claim_least: Amount,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            peers_max: 4_096,
            offers_max: 4_096,
            peer_burst: 200,
            peer_messages_per_second: 50,
            journal_in_flight_max: 4,
            journal_retry_ms: 2_000,
            heartbeat_ms: 500,
            ping_ms: 2_000,
            silence_ms: 8_000,
            down_grace_ms: 5_000,
            requester_grace_ms: 30_000,
            lease_ms: 3_600_000,
            lease_idle_ms: 3_000,
            ask_ms: 5_000,
            refusal_rest_ms: 2_000,
            query_ms: 5_000,
            offer_renew_ms: 60_000,
            offer_ms: 300_000,
            offer_change_ms: 500,
            offer_horizon_ms: 3_600_000,
            clock_error_ms: 7_500_000,
            window_per_slot: 2,
            assignment_margin_ms: 60_000,
            compile_ms_max: 1_800_000,
            sign_ms: 30_000,
            batch_receipts: 64,
            batch_ms: 200,
            batch_resend_ms: 5_000,
            attempts_max: 20,
            same_fault_max: 3,
            exhausted_ms: 10_000,
            quorum_wait_ms: 120_000,
            straggler_ms_min: 1_000,
            straggler_percent: 150,
            audit_attempts_max: 5,
            cost_ppm: 700_000,
            trust_half_life_ms: 30 * 86_400_000,
            fuel_rate_slack: 16,
            unpaid_ms: 120_000,
            claim_least: Amount(1_000_000),
        }
    }
}
