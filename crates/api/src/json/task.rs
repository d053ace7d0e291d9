//! Tasks and what they yield.

use std::collections::BTreeMap;

use ayni_types::{
    Amount, BlobRef, Digest, End, EngineId, EnvVar, Fault, FaultKind, Fuel, GuestPath, Limits,
    Mount, MountKind, Observed, OutFile, Outcome, Price, TaskSpec,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Text;
use crate::codes;
use crate::error::ApiError;

/// One deterministic execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskJson {
    /// Determinism contract, `wasi1` if left out.
    #[serde(default = "wasi1")]
    pub engine: String,
    /// Digest of the WebAssembly module or component; put it with `POST /v1/blobs`.
    #[schema(value_type = String)]
    pub program: Text<Digest>,
    /// `argv`, the program's name first.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Digest of the standard input; empty if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub stdin: Option<Text<Digest>>,
    /// Read-only inputs.
    #[serde(default)]
    pub mounts: Vec<MountJson>,
    /// What it may use.
    #[serde(default)]
    pub limits: LimitsJson,
    /// 64 hex digits drawn at random for a private task, so that its id reveals nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub blind: Option<Text<Digest>>,
}

fn wasi1() -> String {
    EngineId::WASI1.to_owned()
}

/// A blob made visible to the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MountJson {
    /// Absolute path inside the guest.
    pub path: String,
    /// A file, or a folder described by a tree blob.
    pub kind: MountKindJson,
    /// Which bytes.
    #[schema(value_type = String)]
    pub blob: Text<Digest>,
}

/// How a mounted blob is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum MountKindJson {
    File,
    Tree,
}

/// What a task may use. Going past any of them is an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsJson {
    /// Linear memory in bytes.
    pub memory_bytes: u64,
    /// Fuel, as decimal text.
    #[schema(value_type = String)]
    pub fuel: Text<u64>,
    /// Metered stack in bytes.
    pub stack_bytes: u32,
    /// stdout, stderr and files together in bytes.
    pub output_bytes: u64,
}

impl Default for LimitsJson {
    fn default() -> Self {
        Limits::default().into()
    }
}

impl From<Limits> for LimitsJson {
    fn from(limits: Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            fuel: Text(limits.fuel.0),
            stack_bytes: limits.stack_bytes,
            output_bytes: limits.output_bytes,
        }
    }
}

impl From<LimitsJson> for Limits {
    fn from(limits: LimitsJson) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            fuel: Fuel(limits.fuel.0),
            stack_bytes: limits.stack_bytes,
            output_bytes: limits.output_bytes,
        }
    }
}

impl TryFrom<TaskJson> for TaskSpec {
    type Error = ApiError;

    /// Puts the task into canonical form and checks it.
    fn try_from(task: TaskJson) -> Result<Self, ApiError> {
        let bad = |error: &dyn std::fmt::Display| ApiError::new(codes::TASK_BAD, error.to_string());
        let mut mounts = task
            .mounts
            .into_iter()
            .map(|mount| {
                let kind = match mount.kind {
                    MountKindJson::File => MountKind::File,
                    MountKindJson::Tree => MountKind::Tree,
                };
                let path = GuestPath::new(mount.path).map_err(|error| bad(&error))?;
                Ok(Mount { path, kind, blob: mount.blob.0 })
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        mounts.sort_by(|a, b| a.path.cmp(&b.path));
        let env = task.env.into_iter().map(|(name, value)| EnvVar { name, value }).collect();
        let spec = Self {
            engine: EngineId(task.engine),
            program: task.program.0,
            args: task.args,
            env,
            stdin: task.stdin.map(|digest| digest.0),
            mounts,
            limits: task.limits.into(),
            blind: task.blind.map(|blind| blind.0.0),
        };
        ayni_wire::check_task(&spec).map_err(|error| bad(&error))?;
        Ok(spec)
    }
}

impl From<&TaskSpec> for TaskJson {
    fn from(spec: &TaskSpec) -> Self {
        Self {
            engine: spec.engine.0.clone(),
            program: Text(spec.program),
            args: spec.args.clone(),
            env: spec.env.iter().map(|e| (e.name.clone(), e.value.clone())).collect(),
            stdin: spec.stdin.map(Text),
            mounts: spec
                .mounts
                .iter()
                .map(|mount| MountJson {
                    path: mount.path.to_string(),
                    kind: match mount.kind {
                        MountKind::File => MountKindJson::File,
                        MountKind::Tree => MountKindJson::Tree,
                    },
                    blob: Text(mount.blob),
                })
                .collect(),
            limits: spec.limits.into(),
            blind: spec.blind.map(|blind| Text(Digest(blind))),
        }
    }
}

/// What a task yielded: the same bits on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeJson {
    /// Digest of the whole outcome: what receipts sign and audits compare.
    #[schema(value_type = String)]
    pub digest: Text<Digest>,
    /// How it ended.
    pub end: EndJson,
    /// Fuel used, as decimal text.
    #[schema(value_type = String)]
    pub fuel: Text<u64>,
    /// Standard output.
    pub stdout: BlobJson,
    /// Standard error.
    pub stderr: BlobJson,
    /// Files under `/out`, sorted by path.
    pub files: Vec<OutFileJson>,
}

impl From<&Outcome> for OutcomeJson {
    fn from(outcome: &Outcome) -> Self {
        Self {
            digest: Text(ayni_wire::outcome_digest(outcome)),
            end: outcome.end.into(),
            fuel: Text(outcome.fuel.0),
            stdout: outcome.stdout.into(),
            stderr: outcome.stderr.into(),
            files: outcome.files.iter().map(Into::into).collect(),
        }
    }
}

/// A blob and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobJson {
    /// Which bytes.
    #[schema(value_type = String)]
    pub digest: Text<Digest>,
    /// How many.
    pub size: u64,
}

impl From<BlobRef> for BlobJson {
    fn from(blob: BlobRef) -> Self {
        Self { digest: Text(blob.digest), size: blob.size }
    }
}

/// One output file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutFileJson {
    /// Relative to `/out`. Written by a stranger's program: check it before using it as a path.
    pub path: String,
    /// Which bytes.
    #[schema(value_type = String)]
    pub digest: Text<Digest>,
    /// How many.
    pub size: u64,
}

impl From<&OutFile> for OutFileJson {
    fn from(file: &OutFile) -> Self {
        Self { path: file.path.clone(), digest: Text(file.blob.digest), size: file.blob.size }
    }
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EndJson {
    /// It returned or called exit; the code is data.
    Exit {
        /// Exit code.
        code: u32,
    },
    /// It trapped; its outputs up to there are kept.
    Trap {
        /// Why, in words.
        reason: String,
    },
    /// It went past a limit; its outputs are discarded.
    Exhausted {
        /// `fuel`, `memory`, `stack` or `output`.
        limit: String,
    },
}

impl From<End> for EndJson {
    fn from(end: End) -> Self {
        match end {
            End::Exit(code) => Self::Exit { code },
            End::Trap(trap) => Self::Trap { reason: trap.text().to_owned() },
            End::Exhausted(what) => Self::Exhausted { limit: what.text().to_owned() },
        }
    }
}

impl EndJson {
    /// Whether it is exit code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Exit { code: 0 })
    }
}

impl std::fmt::Display for EndJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit { code } => write!(f, "exit {code}"),
            Self::Trap { reason } => write!(f, "trap: {reason}"),
            Self::Exhausted { limit } => write!(f, "exhausted: {limit}"),
        }
    }
}

/// An end that depends on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaultJson {
    /// Which, as one word: `timeout`, `invalid_program`, …
    pub kind: String,
    /// For people. May come from a stranger: escape it before showing it.
    pub detail: String,
}

impl From<&Fault> for FaultJson {
    fn from(fault: &Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::Timeout => "timeout",
            FaultKind::OutOfMemory => "out_of_memory",
            FaultKind::RunnerCrashed => "runner_crashed",
            FaultKind::InvalidProgram => "invalid_program",
            FaultKind::InputUnavailable => "input_unavailable",
            FaultKind::DiskFull => "disk_full",
            FaultKind::Draining => "draining",
            FaultKind::Cancelled => "cancelled",
            FaultKind::Lost => "lost",
            FaultKind::Internal => "internal",
        };
        Self { kind: kind.to_owned(), detail: fault.detail.clone() }
    }
}

/// What the machine that ran it saw; not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ObservedJson {
    /// Milliseconds of execution.
    pub wall_ms: u64,
    /// Milliseconds of compilation, 0 if it was cached.
    pub compile_ms: u64,
    /// CPU milliseconds of the execution.
    pub cpu_ms: u64,
    /// Highest resident memory in bytes.
    pub memory_bytes_peak: u64,
}

impl From<Observed> for ObservedJson {
    fn from(seen: Observed) -> Self {
        Self {
            wall_ms: seen.wall_ms,
            compile_ms: seen.compile_ms,
            cpu_ms: seen.cpu_ms,
            memory_bytes_peak: seen.memory_bytes_peak,
        }
    }
}

/// Prices in the token's smallest unit, as decimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceJson {
    /// Per 1,000,000,000 fuel.
    #[schema(value_type = String)]
    pub per_gigafuel: Text<u128>,
    /// Per mebibyte of code compiled.
    #[schema(value_type = String)]
    pub per_code_mebibyte: Text<u128>,
    /// Per mebibyte of declared inputs and outputs.
    #[schema(value_type = String)]
    pub per_data_mebibyte: Text<u128>,
}

impl From<Price> for PriceJson {
    fn from(price: Price) -> Self {
        Self {
            per_gigafuel: Text(price.per_gigafuel.0),
            per_code_mebibyte: Text(price.per_code_mebibyte.0),
            per_data_mebibyte: Text(price.per_data_mebibyte.0),
        }
    }
}

impl From<PriceJson> for Price {
    fn from(price: PriceJson) -> Self {
        Self {
            per_gigafuel: Amount(price.per_gigafuel.0),
            per_code_mebibyte: Amount(price.per_code_mebibyte.0),
            per_data_mebibyte: Amount(price.per_data_mebibyte.0),
        }
    }
}

/// Highest prices, in the token's smallest unit, as decimal text. What is left out has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceMaxJson {
    /// Per 1,000,000,000 fuel.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub per_gigafuel: Option<Text<u128>>,
    /// Per mebibyte of code compiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub per_code_mebibyte: Option<Text<u128>>,
    /// Per mebibyte of declared inputs and outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub per_data_mebibyte: Option<Text<u128>>,
}

impl From<PriceMaxJson> for Price {
    fn from(max: PriceMaxJson) -> Self {
        let part = |part: Option<Text<u128>>| Amount(part.map_or(u128::MAX, |part| part.0));
        Self {
            per_gigafuel: part(max.per_gigafuel),
            per_code_mebibyte: part(max.per_code_mebibyte),
            per_data_mebibyte: part(max.per_data_mebibyte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_types::{Exhausted, TrapCode};

    #[test]
    fn a_task_is_put_in_order_and_survives() {
        let digest = "ab".repeat(32);
        let text = format!(
            r#"{{"program":"{digest}","args":["p"],"env":{{"B":"2","A":"1"}},
                "mounts":[{{"path":"/z","kind":"file","blob":"{digest}"}},
                          {{"path":"/a","kind":"tree","blob":"{digest}"}}]}}"#
        );
        let task: TaskJson = serde_json::from_str(&text).unwrap();
        let spec = TaskSpec::try_from(task).unwrap();
        assert_eq!(spec.mounts[0].path.as_str(), "/a");
        assert_eq!(spec.limits, Limits::default());
        assert_eq!(TaskSpec::try_from(TaskJson::from(&spec)).unwrap(), spec);
    }

    #[test]
    fn a_bad_task_is_refused_with_the_rule() {
        let digest = "ab".repeat(32);
        let check = |body: &str, expected: &str| {
            let text = format!(r#"{{"program":"{digest}",{body}}}"#);
            let found = match serde_json::from_str::<TaskJson>(&text) {
                Err(error) => error.to_string(),
                Ok(task) => TaskSpec::try_from(task).unwrap_err().to_string(),
            };
            assert!(found.contains(expected), "{found}");
        };
        check(&format!(r#""mounts":[{{"path":"/a/../b","kind":"file","blob":"{digest}"}}]"#), "..");
        check(
            &format!(r#""mounts":[{{"path":"/tmp/x","kind":"file","blob":"{digest}"}}]"#),
            "/tmp",
        );
        check(r#""engine":"wasi9""#, "wasi9");
        check(r#""limits":{"fuel":5}"#, "string");
        check(r#""limit":{}"#, "unknown field");
    }

    #[test]
    fn ends_have_one_shape_each() {
        let ends =
            [End::Exit(3), End::Trap(TrapCode::Unreachable), End::Exhausted(Exhausted::Fuel)]
                .map(|end| serde_json::to_string(&EndJson::from(end)).unwrap());
        insta::assert_snapshot!(ends.join("\n"), @r#"
        {"kind":"exit","code":3}
        {"kind":"trap","reason":"unreachable executed"}
        {"kind":"exhausted","limit":"fuel"}
        "#);
    }
}
