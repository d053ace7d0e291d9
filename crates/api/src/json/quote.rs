//! What a job would cost: asked by sizes, so that nothing has to be uploaded.

use ayni_types::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{JobRequest, LimitsJson, PriceJson, PriceMaxJson, Schema, Text, VerifyJson};

/// A job that may be submitted one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// How many tasks.
    pub tasks: u32,
    /// Limits of each.
    #[serde(default)]
    pub limits: LimitsJson,
    /// Wall clock allowed per task in milliseconds.
    #[serde(default = "timeout_default")]
    pub timeout_ms: u64,
    /// Length of the program.
    pub code_bytes: u64,
    /// Inputs of all tasks together, each counted for every task that reads it.
    #[serde(default)]
    pub input_bytes: u64,
    /// Inputs of the task with most; `input_bytes` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes_max: Option<u64>,
    /// Fuel that a task is expected to take; its limit if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub fuel: Option<Text<u64>>,
    /// What a task is expected to write; its limit if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// How results are verified.
    #[serde(default)]
    pub verify: VerifyJson,
    /// Providers at once.
    #[serde(default = "providers_default")]
    pub providers_max: u32,
    /// Never audited.
    #[serde(default)]
    pub nondeterministic: bool,
    /// Providers that ask more in any part that is named here are not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_max: Option<PriceMaxJson>,
}

fn timeout_default() -> u64 {
    JobRequest::TIMEOUT_MS
}

fn providers_default() -> u32 {
    JobRequest::PROVIDERS
}

/// What it would cost now. Amounts are in the token's smallest unit. Offers change and bind nobody:
/// only a budget is a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteJson {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Who would be used, cheapest first.
    pub providers: Vec<QuoteProviderJson>,
    /// Who would not, and why.
    pub unusable: Vec<QuoteUnusable>,
    /// If each task takes what was expected (its limits, if nothing was).
    pub expected: CostJson,
    /// If each task used all of its limits at the dearest of them. Work that is run again because
    /// somebody lied or was slow is not in it.
    pub worst: CostJson,
    /// Audits expected.
    pub audits: u64,
    /// They are made by own cores, and cost time instead of money.
    pub audits_at_home: bool,
    /// With a smaller budget no task could begin under a new lease.
    #[schema(value_type = String)]
    pub budget_least: Text<u128>,
    /// With this budget the job ends if it costs what is expected.
    #[schema(value_type = String)]
    pub budget_expected: Text<u128>,
    /// To be paid into channels before it begins or while it runs; what is left can be taken back.
    #[schema(value_type = String)]
    pub deposits: Text<u128>,
    /// What the tasks of those would take who declare it, in millijoules; not verified.
    #[schema(value_type = String)]
    pub energy_millijoules: Text<u128>,
    /// And put into the air, in micrograms of CO2 equivalent; not verified.
    #[schema(value_type = String)]
    pub co2_micrograms: Text<u128>,
    /// Tasks of providers that declare it.
    pub declared_tasks: u64,
    /// So many providers are missing for the quorum.
    pub quorum_lacks: u32,
}

/// A cost by what is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostJson {
    /// Execution.
    #[schema(value_type = String)]
    pub fuel: Text<u128>,
    /// Compiling.
    #[schema(value_type = String)]
    pub code: Text<u128>,
    /// Inputs and outputs.
    #[schema(value_type = String)]
    pub data: Text<u128>,
    /// Audits by other providers.
    #[schema(value_type = String)]
    pub audits: Text<u128>,
    /// All of it.
    #[schema(value_type = String)]
    pub total: Text<u128>,
}

/// One provider's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteProviderJson {
    /// Who.
    #[schema(value_type = String)]
    pub node: Text<NodeId>,
    /// Slots it would give.
    pub slots: u32,
    /// What it asks.
    pub price: PriceJson,
    /// Tasks it would run, by its slots and the speed it says it has.
    pub tasks: u64,
    /// What they are expected to cost.
    #[schema(value_type = String)]
    pub expected: Text<u128>,
    /// Share of its results that would be audited, in millionths.
    pub audit_ppm: u32,
    /// Audits of this node's that it passed and that are not forgotten.
    pub trusted: u32,
    /// There is a channel to it that can be used.
    pub channel: bool,
    /// To be paid into its channel.
    #[schema(value_type = String)]
    pub deposit: Text<u128>,
}

/// A provider that would not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteUnusable {
    /// Who.
    #[schema(value_type = String)]
    pub node: Text<NodeId>,
    /// Why not; may come from a stranger.
    pub reason: String,
    /// What would change it.
    pub hint: Option<String>,
}
