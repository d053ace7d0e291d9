//! Options of `job`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Every id may be cut to its first digits, and `last` is the newest job.
#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Jobs of this node, newest first.
    List,
    /// Where a job stands, who works, and what went wrong.
    Show(ShowArgs),
    /// What the tasks wrote to stdout and stderr.
    Logs {
        /// Job id.
        job: String,
        /// Only this task.
        #[arg(long, value_name = "INDEX")]
        task: Option<u32>,
        /// Only stderr.
        #[arg(long)]
        stderr: bool,
    },
    /// Watch a job until it ends.
    Attach {
        /// Job id.
        job: String,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Stop a job; accepted outcomes are kept.
    Cancel {
        /// Job id.
        job: String,
    },
    /// Write the results that a job has so far.
    Fetch(FetchArgs),
}

/// Options of `job show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Job id.
    pub(crate) job: String,
    /// Every signed outcome that an audit contradicted, with the bytes that differ.
    #[arg(long)]
    pub(crate) evidence: bool,
    /// Everything about one task.
    #[arg(long, value_name = "INDEX", conflicts_with = "evidence")]
    pub(crate) task: Option<u32>,
    /// A line for each task.
    #[arg(long, conflicts_with_all = ["evidence", "task"])]
    pub(crate) tasks: bool,
}

/// Where results go.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OutputArgs {
    /// Folder for the results: one folder a task.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// File for the results: one JSON line a task, in order.
    #[arg(long, value_name = "FILE")]
    pub(crate) collect: Option<PathBuf>,
}

/// Options of `job fetch`.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Job id.
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Only this task.
    #[arg(long, value_name = "INDEX")]
    pub(crate) task: Option<u32>,
}
