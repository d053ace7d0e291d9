//! Options of `run` and `exec`.

use std::path::PathBuf;

use ayni_api::json::{DisputeJson, PriceMaxJson};
use ayni_types::JobId;
use clap::Args;

use crate::quantity;

/// What every task is given.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TaskArgs {
    /// Make a file or folder visible to the guest, read-only.
    #[arg(long = "mount", value_name = "HOST:GUEST")]
    pub(crate) mounts: Vec<String>,
    /// File given as standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,
    /// Environment variable.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Linear memory a task may use [default: 1GiB].
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) memory: Option<u64>,
    /// Fuel a task may use, such as 50G [default: 100G].
    #[arg(long, value_name = "N", value_parser = quantity::count)]
    pub(crate) fuel: Option<u64>,
    /// Bytes a task may write to stdout, stderr and files together [default: 256MiB].
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) output_limit: Option<u64>,
    /// Wall clock a task may take, fetching and compiling not counted [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = quantity::duration_ms)]
    pub(crate) timeout: Option<u64>,
}

/// Options of `run`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_long_help = "\
Tasks are made in one of four ways; placeholders in arguments and environment are replaced:
  --map GLOB          a task a file     {} its path in the guest   {name} its name without extension
  --range A..B        a task a piece    {start} {end}              (--step says how long a piece is)
  --params FILE.csv   a task a row      {column} for each column
  --watch DIR         a task a new file, as --map, until Ctrl-C
{index} always is the task's number. Write {{ and }} for braces. With none of these there is one task,
whose arguments are taken as they are.

The same from a file, `-f job.toml` (options given beside it win):
  program = \"grid.wasm\"             # paths are relative to the file
  args = [\"--from\", \"{start}\", \"--to\", \"{end}\"]
  mounts = [{ host = \"grid.json\", guest = \"/in/grid.json\" }]
  range = { from = 0, to = 99, step = 3 }   # or map = \"in/*.csv\", or params = \"rows.csv\"
  memory = \"256MiB\"   fuel = 50_000_000_000   timeout = \"60s\"   providers = 5")]
pub(crate) struct RunArgs {
    /// WebAssembly module or component, or a Python script (`.py`).
    #[arg(required_unless_present = "file")]
    pub(crate) program: Option<PathBuf>,
    /// Arguments of the program.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
    #[command(flatten)]
    pub(crate) task: TaskArgs,

    /// A task for each file that the pattern matches (quote it).
    #[arg(long, value_name = "GLOB", group = "split", help_heading = "Tasks")]
    pub(crate) map: Option<String>,
    /// A task for each piece of a range; B is not included.
    #[arg(long, value_name = "A..B", group = "split", help_heading = "Tasks")]
    pub(crate) range: Option<String>,
    /// How long a piece of the range is.
    #[arg(long, value_name = "K", help_heading = "Tasks")]
    pub(crate) step: Option<u64>,
    /// A task for each row of a CSV file with a header.
    #[arg(long, value_name = "FILE", group = "split", help_heading = "Tasks")]
    pub(crate) params: Option<PathBuf>,
    /// A task for each file that is in the folder or comes into it, until Ctrl-C.
    #[arg(long, value_name = "DIR", group = "split", help_heading = "Tasks")]
    pub(crate) watch: Option<PathBuf>,
    /// Read the job from a TOML file.
    #[arg(short, long, value_name = "FILE", help_heading = "Tasks")]
    pub(crate) file: Option<PathBuf>,

    /// Time for the whole job; tasks that have not ended by then fail.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration_ms, help_heading = "Job")]
    pub(crate) deadline: Option<u64>,
    /// Providers to lease at once, at most [default: 16].
    #[arg(long, value_name = "N", help_heading = "Job")]
    pub(crate) providers: Option<u32>,
    /// Never be billed more than this for the job, in the token's smallest unit: retries, audits by
    /// others and duplicates included. What does not fit fails, and is not run again when the job is.
    #[arg(long, value_name = "AMOUNT", value_parser = quantity::amount, help_heading = "Money")]
    pub(crate) budget: Option<u128>,
    /// Use no provider that asks more than this per 10^9 fuel; `1000,code=5,data=20` also bounds what
    /// it asks per MiB of code and of data.
    #[arg(long, value_name = "PRICE", value_parser = quantity::price_max, help_heading = "Money")]
    pub(crate) max_price: Option<PriceMaxJson>,
    /// Audit exactly this share of outcomes, such as 0.1 or 10% [default: by the rule, from 2% up].
    #[arg(long, value_name = "RATE", value_parser = quantity::rate_ppm, help_heading = "Verification")]
    pub(crate) audit: Option<u32>,
    /// Let no more than this share of outcomes be wrong on average, whatever liars do.
    #[arg(long, value_name = "SHARE", value_parser = quantity::rate_ppm, help_heading = "Verification")]
    pub(crate) error_rate: Option<u32>,
    /// Accept an outcome only when N unrelated providers agree on it [default: 1].
    #[arg(long, value_name = "N", help_heading = "Verification")]
    pub(crate) quorum: Option<u32>,
    /// What somebody else would pay for one wrong outcome, in the token's smallest unit: the more,
    /// the more audits.
    #[arg(long, value_name = "AMOUNT", help_heading = "Verification")]
    pub(crate) outside_gain: Option<u128>,
    /// Share of providers to suppose hostile [default: 20%].
    #[arg(long, value_name = "SHARE", value_parser = quantity::rate_ppm, help_heading = "Verification")]
    pub(crate) hostile: Option<u32>,
    /// Who may judge a wrong outcome: `public` lets a jury see task and inputs, so that stake of
    /// providers saves audits and pays for lies [default: none].
    #[arg(long, value_name = "WHO", help_heading = "Verification")]
    pub(crate) dispute: Option<DisputeJson>,
    /// Own cores take part as if they were a provider.
    #[arg(long, help_heading = "Job")]
    pub(crate) home_cores: bool,
    /// Results may differ from run to run: never audited, never called verified.
    #[arg(long, help_heading = "Job")]
    pub(crate) nondeterministic: bool,
    /// Id of the job (32 hex digits); submitting one id twice is harmless [default: drawn].
    #[arg(long, value_name = "ID", help_heading = "Job")]
    pub(crate) id: Option<JobId>,
    /// Name of the job, for people.
    #[arg(long, help_heading = "Job")]
    pub(crate) name: Option<String>,
    /// Run the first N tasks first, and say what the rest will take.
    #[arg(long, value_name = "N", help_heading = "Job")]
    pub(crate) pilot: Option<u32>,
    /// Say what would be run, and run nothing.
    #[arg(long, help_heading = "Job")]
    pub(crate) dry_run: bool,
    /// Submit and return; `ayni job attach ID` watches.
    #[arg(long, conflicts_with_all = ["out", "collect", "pilot", "watch"], help_heading = "Job")]
    pub(crate) detach: bool,

    /// Folder for the results: one folder a task.
    #[arg(short, long, value_name = "DIR", help_heading = "Results")]
    pub(crate) out: Option<PathBuf>,
    /// File for the results: one JSON line a task, in order.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) collect: Option<PathBuf>,
}

/// Options of `quote`.
#[derive(Debug, Clone, Args)]
pub(crate) struct QuoteArgs {
    /// Run the first task on this machine, and expect the others to take as much.
    #[arg(long, help_heading = "Quote")]
    pub(crate) measure: bool,
    /// Fuel that a task is expected to take [default: measured, or its limit].
    #[arg(long, value_name = "N", value_parser = quantity::count, help_heading = "Quote")]
    pub(crate) expect_fuel: Option<u64>,
    /// What a task is expected to write [default: measured; nothing beside --expect-fuel; its limit].
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes, help_heading = "Quote")]
    pub(crate) expect_output: Option<u64>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Options of `exec`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExecArgs {
    /// WebAssembly module or component, or a Python script (`.py`).
    pub(crate) program: PathBuf,
    /// Arguments of the program.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Folder for stdout, stderr, files and outcome.json; else stdout and stderr are passed on.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
