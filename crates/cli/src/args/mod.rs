//! The command line: every command, option and default. What they do is elsewhere.

mod daemon;
mod job;
mod limits;
mod money;
mod run;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use daemon::{DaemonArgs, DevArgs, LendArgs, ProvideArgs, TryArgs};
pub(crate) use job::{FetchArgs, JobCommand, OutputArgs, ShowArgs};
pub(crate) use limits::{LimitsCommand, SetLimits, YesNo};
pub(crate) use money::{
    ChannelCommand, DisputeCommand, GovCommand, LedgerArgs, StakeCommand, StatementArgs, VoteWord,
    WalletCommand,
};
pub(crate) use run::{ExecArgs, QuoteArgs, RunArgs, TaskArgs};

/// Run programs on other people's idle machines, and check the answers and the bill yourself.
#[derive(Debug, Parser)]
#[command(name = "ayni", version, max_term_width = 100, disable_help_subcommand = false)]
#[command(
    after_help = "Start here: `ayni try` makes a network on this machine and runs a job on it."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder of the node's key, journal and blobs [default: $XDG_DATA_HOME/ayni].
    #[arg(long, global = true, env = "AYNI_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Print data as JSON, errors included.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say less; twice: only errors.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) quiet: u8,
    /// Say more; twice: even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Use colour.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Filter of the log on stderr, such as `info,ayni_net=debug`.
    #[arg(long, global = true, env = "AYNI_LOG", value_name = "FILTER", hide_env_values = true)]
    pub(crate) log: Option<String>,
    /// Form of the log on stderr.
    #[arg(long, global = true, env = "AYNI_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto, value_name = "FORM", hide_env_values = true)]
    pub(crate) log_format: LogFormat,
}

/// Options of `doctor`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DoctorArgs {
    /// Mend what can be mended, asking before each step.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Do not ask.
    #[arg(long, requires = "fix")]
    pub(crate) yes: bool,
    /// Write logs, settings, versions and figures into a tar file, without secrets.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Leave addresses and ids of nodes in the bundle.
    #[arg(long, requires = "bundle")]
    pub(crate) with_addresses: bool,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A node's is for people on a terminal and JSON elsewhere; a command's is for people.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program over many inputs on the network.
    Run(Box<RunArgs>),
    /// What `run` with the same options would cost now; nothing is submitted.
    Quote(Box<QuoteArgs>),
    /// Run one task on this machine: same sandbox, same outcome, no network.
    Exec(Box<ExecArgs>),
    /// Look at a program: will it run, with what, and why not.
    Check {
        /// WebAssembly module or component, or a Python script (`.py`).
        program: PathBuf,
    },
    /// Make a small program to start from.
    New {
        /// Folder to make; its last part is the program's name.
        name: PathBuf,
        /// Language.
        #[arg(long, value_enum, default_value_t = Lang::Rust)]
        lang: Lang,
    },
    /// Look at jobs and steer them.
    #[command(subcommand)]
    Job(JobCommand),
    /// Providers this node knows, and what they ask.
    Offers {
        /// Ask the directories first.
        #[arg(long)]
        refresh: bool,
    },
    /// How the node is: one line a thing.
    Status,
    /// Log a browser in to the dashboard, and open it there.
    Open {
        /// What to show: a job, a task's or a channel's id, a node; the first page if left out.
        id: Option<String>,
        /// Only print the link.
        #[arg(long)]
        no_browser: bool,
    },
    /// Why a job (or matching in general) goes as it goes.
    Why {
        /// Job id, or its first digits.
        job: Option<String>,
    },
    /// This node's account: make one, or see what it holds.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Payment channels to providers and from requesters.
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// What this node's account has at stake.
    #[command(subcommand)]
    Stake(StakeCommand),
    /// Wrong outcomes before a jury.
    #[command(subcommand)]
    Dispute(DisputeCommand),
    /// Votes on the contracts' parameters.
    #[command(subcommand)]
    Gov(GovCommand),
    /// Sell runs over HTTP to any x402 client, for what this node runs: a public door, opt-in.
    X402 {
        /// What is sold, for how much and where (docs/x402.md).
        #[arg(value_name = "SETTINGS")]
        settings: PathBuf,
    },
    /// Show anybody what is public of what this node knows, to be read only: a public door, opt-in.
    Explorer {
        /// Where to listen; only this machine reaches a loopback address.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8403")]
        listen: std::net::SocketAddr,
    },
    /// What was billed, paid and is left, to the unit.
    Statement(StatementArgs),
    /// Check a receipt, step by step; or a proof of fraud.
    Verify {
        /// The file `receipt` of a task's folder, or a proof as an explorer gives it.
        receipt: PathBuf,
        /// Execute the task again here and compare.
        #[arg(long)]
        re_execute: bool,
    },
    /// Look at the machine and the node; say what to mend.
    Doctor(DoctorArgs),
    /// Who this node is, and where it can be reached.
    Id,
    /// Nodes this one knows.
    Peers,
    /// Make a join ticket: one line that lets another machine find this network.
    Invite {
        /// How long it is good.
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = crate::quantity::duration_ms)]
        valid: u64,
    },
    /// Contact the nodes that a ticket names, or one address.
    Join {
        /// `ayni1…`, or `did:key:…@HOST:PORT`.
        ticket: String,
    },
    /// Lend this machine: run the node as a provider, in the foreground.
    Provide(Box<ProvideArgs>),
    /// Provider: rest, and hand back what runs for others: `pause`, `pause 1h`, `pause until 18:00`,
    /// `pause until tomorrow`.
    Pause {
        /// How long [default: until told to go on].
        #[arg(value_name = "HOW LONG", num_args = 0..=2)]
        how_long: Vec<String>,
    },
    /// Provider: go on.
    Resume,
    /// Provider: what this machine lends, when, and why it rests now.
    Limits {
        /// What to do [default: show them].
        #[command(subcommand)]
        command: Option<LimitsCommand>,
    },
    /// Run the node in the foreground.
    Daemon(Box<DaemonArgs>),
    /// Stop the running daemon. Jobs go on when it starts again.
    Stop,
    /// A network of several real nodes on this machine.
    Dev(DevArgs),
    /// A first verified result: a network here, a job on it, a receipt checked; then all of it goes.
    Try(TryArgs),
    /// A chain on this machine, with all contracts and test money on it.
    Ledger(LedgerArgs),
    /// What an error code means.
    Explain {
        /// Such as E-JOB-001; all are listed if left out.
        code: Option<String>,
    },
    /// Print a completion script for a shell.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages, or this whole reference as Markdown.
    Man {
        /// Folder to write the pages into.
        #[arg(short, long, value_name = "DIR", required_unless_present_any = ["markdown", "openapi"])]
        out: Option<PathBuf>,
        /// Print the reference as Markdown instead.
        #[arg(long)]
        markdown: bool,
        /// Print the OpenAPI document of the local API instead.
        #[arg(long, conflicts_with = "markdown")]
        openapi: bool,
    },
}

impl Command {
    /// Whether this process is itself a node, whose log is its talk.
    pub(crate) fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon(_) | Self::Provide(_))
    }
}

/// Languages that `ayni new` has a template for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    Rust,
    C,
    Python,
}
