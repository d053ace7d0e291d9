//! Programs and receipts looked at, and tasks run, on this machine.

use ayni_types::{Digest, TaskId};
use ayni_wire::runner::CheckReport;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FaultJson, ObservedJson, OutcomeJson, Schema, TaskJson, Text};

/// Will this program run?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// Which; put it with `POST /v1/blobs` first.
    #[schema(value_type = String)]
    pub program: Text<Digest>,
}

/// What a program is, and whether it can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckJson {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// It will run.
    pub runs: bool,
    /// `module`, `component`, `component (function)` or `unknown`.
    pub kind: String,
    /// What it imports, sorted.
    pub imports: Vec<String>,
    /// Why it can't run, most important first; empty if it can.
    pub problems: Vec<String>,
    /// Remarks that do not stop it.
    pub remarks: Vec<String>,
    /// Bytes of code: what compilation is billed by.
    pub code_bytes: u64,
    /// Linear memory it starts with, in bytes.
    pub memory_bytes_min: u64,
}

impl From<CheckReport> for CheckJson {
    fn from(report: CheckReport) -> Self {
        Self {
            schema: Schema,
            runs: report.problems.is_empty(),
            kind: report.kind,
            imports: report.imports,
            problems: report.problems,
            remarks: report.remarks,
            code_bytes: report.code_bytes,
            memory_bytes_min: report.memory_bytes_min,
        }
    }
}

/// Run one task here, in a jail, without the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// What.
    pub task: TaskJson,
    /// Wall clock allowed in milliseconds.
    pub timeout_ms: u64,
}

/// How it went: an outcome, or a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecReport {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Id of the task.
    #[schema(value_type = String)]
    pub task: Text<TaskId>,
    /// What came out.
    pub outcome: Option<OutcomeJson>,
    /// Why nothing came out.
    pub fault: Option<FaultJson>,
    /// What was seen.
    pub observed: Option<ObservedJson>,
}

/// What was found when a receipt was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Every step holds.
    pub ok: bool,
    /// What was checked, in order; it ends at the first that does not hold.
    pub steps: Vec<VerifyStep>,
    /// What the receipt says came out.
    pub outcome: Option<OutcomeJson>,
    /// What came out when it was executed again here.
    pub re_executed: Option<OutcomeJson>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyStep {
    /// What should hold.
    pub name: String,
    /// It does.
    pub ok: bool,
    /// What was seen: values, or why it does not hold.
    pub detail: String,
}
