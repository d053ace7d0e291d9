//! Jobs: what is asked, how it goes, what came out.

use ayni_types::{Amount, Digest, Dispute, JobId, LeaseId, NodeId, TaskId, Verify};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{FaultJson, ObservedJson, OutcomeJson, PriceMaxJson, Schema, TaskJson, Text};

/// A job as its owner states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Drawn at random by whoever submits (32 hex digits): submitting it again is harmless.
    #[schema(value_type = String)]
    pub id: Text<JobId>,
    /// For people; at most 200 bytes.
    #[serde(default)]
    pub name: String,
    /// Tasks, by index; at most 5,000 in one request.
    #[serde(default)]
    pub tasks: Vec<TaskJson>,
    /// More tasks follow by `POST /v1/jobs/{id}/tasks`, until `POST /v1/jobs/{id}/close`.
    #[serde(default)]
    pub open: bool,
    /// Wall clock allowed per task in milliseconds.
    #[serde(default = "timeout_default")]
    pub timeout_ms: u64,
    /// Tasks that have not ended so many milliseconds after the job was accepted fail.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// How its results are verified.
    #[serde(default)]
    pub verify: VerifyJson,
    /// Lease at most so many providers at once.
    #[serde(default = "providers_default")]
    pub providers_max: u32,
    /// Own cores take part as if they were a provider.
    #[serde(default)]
    pub home: bool,
    /// Never audited, never called verified.
    #[serde(default)]
    pub nondeterministic: bool,
    /// Providers that ask more in any part that is named here are not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_max: Option<PriceMaxJson>,
    /// The job is never billed more than this, in the token's smallest unit: work is handed out
    /// only while what it may cost at worst is covered. All its inputs must be uploaded before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub budget: Option<Text<u128>>,
}

fn timeout_default() -> u64 {
    JobRequest::TIMEOUT_MS
}

fn providers_default() -> u32 {
    JobRequest::PROVIDERS
}

impl JobRequest {
    /// Wall clock per task if nothing is said.
    pub const TIMEOUT_MS: u64 = 10 * 60 * 1_000;
    /// Providers at once if nothing is said.
    pub const PROVIDERS: u32 = 16;
}

/// How results are verified; what is left out is left to the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyJson {
    /// Audit exactly this share of results, in millionths, whatever the rule would say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_ppm: Option<u32>,
    /// Let no more than this share of results be wrong on average, in millionths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_ppm: Option<u32>,
    /// Accept an outcome only when so many unrelated providers agree on it.
    pub quorum: u32,
    /// What somebody else would pay for one wrong result, in the token's smallest unit.
    #[schema(value_type = String)]
    pub outside_gain: Text<u128>,
    /// Share of providers that is supposed hostile, in millionths.
    pub hostile_ppm: u32,
    /// Who may judge a wrong result.
    pub dispute: DisputeJson,
}

/// Who may judge a wrong result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DisputeJson {
    /// Nobody: inputs stay between requester and provider, and stake deters nothing.
    #[default]
    None,
    /// A jury that a contract draws: it is shown the task and its inputs.
    Public,
}

impl std::str::FromStr for DisputeJson {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "public" => Ok(Self::Public),
            _ => Err(format!("`{text}` is neither `public` nor `none`")),
        }
    }
}

impl Default for VerifyJson {
    fn default() -> Self {
        Self::from(&Verify::default())
    }
}

impl From<&VerifyJson> for Verify {
    fn from(json: &VerifyJson) -> Self {
        Self {
            rate: json.audit_ppm,
            error: json.error_ppm,
            quorum: json.quorum,
            gain: Amount(json.outside_gain.0),
            hostile: json.hostile_ppm,
            dispute: match json.dispute {
                DisputeJson::None => Dispute::None,
                DisputeJson::Public => Dispute::Public,
            },
        }
    }
}

impl From<&Verify> for VerifyJson {
    fn from(rule: &Verify) -> Self {
        Self {
            audit_ppm: rule.rate,
            error_ppm: rule.error,
            quorum: rule.quorum,
            outside_gain: Text(rule.gain.0),
            hostile_ppm: rule.hostile,
            dispute: match rule.dispute {
                Dispute::None => DisputeJson::None,
                Dispute::Public => DisputeJson::Public,
            },
        }
    }
}

/// How sure a job's results are, by what was checked and what the job supposes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfidenceJson {
    /// Results that home executed, or that an audit agreed with.
    pub checked: u32,
    /// Results that a quorum agreed on.
    pub agreed: u32,
    /// Results backed by audits of their provider's other results.
    pub backed: u32,
    /// Results that nothing backs.
    pub unverified: u32,
    /// Of the backed ones, wrong at most on average whatever their providers did, in millionths of
    /// a result.
    pub wrong_at_most_micro: u64,
    /// Of all but those that home executed, wrong on average if as many providers are hostile as the job
    /// supposes, in millionths of a result.
    pub wrong_expected_micro: u64,
}

/// The job is in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobAccepted {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Its id.
    #[schema(value_type = String)]
    pub id: Text<JobId>,
    /// Tasks whose outcome was already held: they are not run again.
    pub held: u32,
}

/// More tasks for an open job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddTasks {
    /// Index of the first: tasks at indices that the job already has are ignored.
    pub first_index: u32,
    /// The tasks; at most 5,000 in one request.
    pub tasks: Vec<TaskJson>,
}

/// The tasks are in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TasksAdded {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Of those added, how many had an outcome already held.
    pub held: u32,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// More tasks may be added.
    Open,
    /// All tasks are known; some have not ended.
    Running,
    /// Every task ended.
    Ended,
    /// Cancelled; accepted outcomes are kept.
    Cancelled,
}

impl JobState {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Ended | Self::Cancelled)
    }

    /// The word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Tasks by state; they add up to `tasks`, except `held`, which is part of `accepted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct JobCounts {
    /// In all.
    pub tasks: u32,
    /// Waiting for a slot.
    pub queued: u32,
    /// Handed out.
    pub running: u32,
    /// Delivered, not yet under a signed receipt.
    pub delivered: u32,
    /// With an accepted outcome.
    pub accepted: u32,
    /// Ended without an outcome.
    pub failed: u32,
    /// Of the accepted: outcome was held before.
    pub held: u32,
}

/// One line about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobSummary {
    /// Its id.
    #[schema(value_type = String)]
    pub id: Text<JobId>,
    /// For people.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// Tasks by state.
    pub counts: JobCounts,
    /// When it was accepted.
    pub created_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// Everything billed for it, in the token's smallest unit: outcomes, second opinions, and work
    /// that came too late.
    #[schema(value_type = String)]
    pub billed: Text<u128>,
}

/// All jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// The jobs.
    pub jobs: Vec<JobSummary>,
}

/// Everything about a job but its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// One line about it.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// Fuel of the accepted outcomes that were run for this job (held ones cost nothing).
    #[schema(value_type = String)]
    pub fuel: Text<u64>,
    /// Price of those, in the token's smallest unit.
    #[schema(value_type = String)]
    pub price: Text<u128>,
    /// The job is never billed more than this, if it has a budget.
    #[schema(value_type = Option<String>)]
    pub budget: Option<Text<u128>>,
    /// What else may be billed at worst for what is handed out.
    #[schema(value_type = String)]
    pub reserved: Text<u128>,
    /// Tasks failed because the budget did not allow them.
    pub budget_used_up: bool,
    /// Outcomes audited at home.
    pub audited: u32,
    /// Outcomes that an audit contradicted.
    pub mismatches: u32,
    /// Assignments that ended in a fault and were tried again.
    pub retried: u32,
    /// Who worked.
    pub providers: Vec<JobProvider>,
    /// Why nothing moves, when nothing moves.
    pub stalled: Option<String>,
    /// Wall clock allowed per task in milliseconds.
    pub timeout_ms: u64,
    /// When tasks that have not ended fail.
    pub deadline_ms: Option<u64>,
    /// How its results are verified.
    pub verify: VerifyJson,
    /// How sure they are.
    pub confidence: ConfidenceJson,
    /// Never audited, never called verified.
    pub nondeterministic: bool,
    /// What happened when, in the order of a job's way; only what happened since the node started.
    #[serde(default)]
    pub phases: Vec<PhaseJson>,
}

/// A part of a job's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The job came into the journal.
    Submitted,
    /// Leases were signed.
    Leased,
    /// Tasks were handed out.
    Assigned,
    /// Outcomes arrived.
    Delivered,
    /// Outcomes came into the journal, with their receipts.
    Accepted,
    /// Audits ended.
    Audited,
    /// Tasks were taken from a provider that was lost or lied.
    Moved,
    /// The job ended.
    Ended,
}

/// When a part of a job's way began and was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhaseJson {
    /// Which.
    pub phase: Phase,
    /// When it happened first.
    pub first_ms: u64,
    /// When it happened last.
    pub last_ms: u64,
    /// How often.
    pub count: u32,
}

/// What one provider did for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobProvider {
    /// Who; `null` is home.
    #[schema(value_type = Option<String>)]
    pub node: Option<Text<NodeId>>,
    /// Leased slots, 0 when the lease has ended.
    pub slots: u32,
    /// Tasks handed out now.
    pub running: u32,
    /// Accepted outcomes.
    pub accepted: u32,
    /// Faults.
    pub faulted: u32,
    /// Of its outcomes, audited.
    pub audited: u32,
    /// Of its outcomes, contradicted.
    pub mismatches: u32,
    /// How likely another of its outcomes is wrong, in millionths.
    pub doubt_ppm: u32,
    /// Fuel of its accepted outcomes.
    #[schema(value_type = String)]
    pub fuel: Text<u64>,
    /// Price of them.
    #[schema(value_type = String)]
    pub price: Text<u128>,
    /// Why it is no longer used, if so.
    pub lost: Option<String>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum TaskState {
    Queued,
    Running,
    Delivered,
    Accepted,
    Failed,
}

impl TaskState {
    /// The word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::Failed => "failed",
        }
    }
}

/// What an accepted outcome rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Signed by its provider and nothing else: the job wants no audits.
    Signed,
    /// Signed, and others of its provider's outcomes in this job were drawn and audited.
    Backed,
    /// Signed, executed again at home, equal.
    Audited,
    /// Signed, executed again by an unrelated provider, equal.
    AuditedElsewhere,
    /// Signed alike by as many unrelated providers as the job asks.
    Quorum,
    /// Signed by a provider that was caught lying since.
    Suspect,
    /// Another provider signed something else, and nobody could judge.
    Disputed,
    /// Executed at home.
    Home,
    /// Replaced by an audit that contradicted the provider.
    Replaced,
    /// The job opted out.
    Unverified,
}

impl Verification {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Backed => "backed",
            Self::Audited => "audited",
            Self::AuditedElsewhere => "audited elsewhere",
            Self::Quorum => "agreed by a quorum",
            Self::Suspect => "suspect",
            Self::Disputed => "disputed",
            Self::Home => "run at home",
            Self::Replaced => "replaced after an audit",
            Self::Unverified => "unverified",
        }
    }
}

/// One line about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskRow {
    /// Its index in the job.
    pub index: u32,
    /// Its id.
    #[schema(value_type = String)]
    pub task: Text<TaskId>,
    /// Where it stands.
    pub state: TaskState,
    /// Who ran it or runs it; `null` is home or nobody.
    #[schema(value_type = Option<String>)]
    pub provider: Option<Text<NodeId>>,
    /// How often it was handed out.
    pub attempts: u32,
    /// What came out, once accepted.
    pub outcome: Option<OutcomeJson>,
    /// What the outcome rests on, once accepted.
    pub verification: Option<Verification>,
    /// How likely it is right, in millionths; `null` where nothing is known.
    pub confidence_ppm: Option<u32>,
    /// Its price, once accepted.
    #[schema(value_type = Option<String>)]
    pub price: Option<Text<u128>>,
    /// What was seen while it ran; not verified.
    pub observed: Option<ObservedJson>,
    /// The outcome was held before this job; nothing was run for it.
    pub held: bool,
    /// There is a receipt to fetch.
    pub receipt: bool,
    /// Why there is no outcome, once failed.
    pub error: Option<String>,
    /// What is executed, in a list that was asked with `spec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<TaskJson>,
}

/// Some tasks of a job, by index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// The rows.
    pub tasks: Vec<TaskRow>,
    /// Index to ask from for the next rows; `null` at the end.
    pub next: Option<u32>,
}

/// Which tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct TaskFilter {
    /// First index.
    pub from: u32,
    /// At most so many rows; 1,000 at most, 100 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Only those in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<TaskState>,
    /// With what is executed: enough to submit the same tasks again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spec: bool,
}

/// Everything about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskDetail {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// One line about it.
    #[serde(flatten)]
    pub row: TaskRow,
    /// What is executed.
    pub spec: TaskJson,
    /// Faults so far, oldest first.
    pub faults: Vec<FaultJson>,
}

/// Everything that contradicts a provider in a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// The job.
    #[schema(value_type = String)]
    pub job: Text<JobId>,
    /// One for each mismatch.
    pub evidence: Vec<Evidence>,
}

/// A signed outcome and the one that was found instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Task index.
    pub index: u32,
    /// Task id.
    #[schema(value_type = String)]
    pub task: Text<TaskId>,
    /// Who signed.
    #[schema(value_type = String)]
    pub provider: Text<NodeId>,
    /// When the audit ended.
    pub time_ms: u64,
    /// What the provider signed.
    pub claimed: OutcomeJson,
    /// What was found at home.
    pub found: OutcomeJson,
    /// The lease and batch under which it was signed.
    #[schema(value_type = Option<String>)]
    pub lease: Option<Text<LeaseId>>,
    /// Batch number in that lease.
    pub batch: Option<u64>,
    /// Other outcomes of that provider that are run again.
    pub rerun: u32,
}

/// The digests of a mismatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mismatch {
    /// Digest the provider signed.
    #[schema(value_type = String)]
    pub claimed: Text<Digest>,
    /// Digest found at home.
    #[schema(value_type = String)]
    pub found: Text<Digest>,
}
