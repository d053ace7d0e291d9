//! Options of `daemon`, `provide`, `dev` and `try`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::quantity;

/// Options of `daemon`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DaemonArgs {
    /// Loopback address of the local API; port 0 takes a free one [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDR")]
    pub(crate) api: Option<SocketAddr>,
    /// Address to listen on for other nodes; may be given several times [default: loopback, or all
    /// interfaces when a ticket names a node of another machine].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Listen on all interfaces, and find and be found by nodes on the local network.
    #[arg(long)]
    pub(crate) lan: bool,
    /// Keep no offers of others.
    #[arg(long)]
    pub(crate) no_directory: bool,
    /// Forward packets for nodes that can't reach each other, on this address.
    #[arg(long, value_name = "ADDR")]
    pub(crate) serve_relay: Option<SocketAddr>,
    /// Be reachable through this relay; may be given several times.
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Vec<String>,
    /// Contact these nodes: a join ticket, or `did:key:…@HOST:PORT`.
    #[arg(long, value_name = "TICKET")]
    pub(crate) join: Vec<String>,
    /// End when the process that started this one is gone.
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
    /// Lie to requesters in this way; development builds only.
    #[arg(long, hide = true, value_name = "STRATEGY")]
    pub(crate) cheat: Option<String>,
    /// End when nothing has been asked for a while and no job runs (commands start such a daemon).
    #[arg(long, hide = true)]
    pub(crate) ephemeral: bool,
    /// Configuration file [default: config.toml in the home folder].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// What a provider lends.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Lending")]
pub(crate) struct LendArgs {
    /// Cores to lend [default: half of them].
    #[arg(long, value_name = "N")]
    pub(crate) cpus: Option<u32>,
    /// Memory to lend [default: a quarter].
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) memory: Option<u64>,
    /// Disk to lend [default: 10GiB].
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    pub(crate) disk: Option<u64>,
    /// Price per 1,000,000,000 fuel, in the token's smallest unit.
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) price: Option<u128>,
    /// Stake to reserve for each requester, in the token's smallest unit; `ayni stake add` puts it
    /// into the registry, and nobody believes what is not there [default: 0].
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) stake: Option<u128>,
    /// Pay that may be held back until a lease's audits are done [default: all of it].
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) hold_back: Option<u128>,
    /// Where this machine is (ISO 3166 code), for those who ask.
    #[arg(long, value_name = "CODE")]
    pub(crate) region: Option<String>,
    /// Work on battery, too.
    #[arg(long)]
    pub(crate) on_battery: bool,
}

/// Options of `provide`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ProvideArgs {
    #[command(flatten)]
    pub(crate) lend: LendArgs,
    #[command(flatten)]
    pub(crate) daemon: DaemonArgs,
}

/// Options of `dev`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DevArgs {
    /// Providers to start, beside one requester.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) providers: u32,
    /// Folder for the homes of all nodes [default: a new one, removed at the end].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Cores that each provider lends.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) cpus: u32,
    /// Pay for real, on a local ledger that is started too (its money is worth nothing outside).
    #[arg(long)]
    pub(crate) paid: bool,
    /// Stake that each provider has: it reserves a quarter for a requester, and puts a quarter behind a
    /// seat in the jury. Needs --paid.
    #[arg(long, value_name = "AMOUNT", requires = "paid")]
    pub(crate) stake: Option<u128>,
    /// Instead of a local ledger, use the test chain of this node, such as anvil's. Needs --paid.
    #[arg(long, value_name = "URL", requires = "paid")]
    pub(crate) rpc: Option<String>,
    /// As `ledger` has it.
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) clock_ahead: Option<PathBuf>,
    /// Let provider N lie in this way, to see how that ends: `2:digit`. Development builds only.
    #[arg(long, value_name = "N:STRATEGY", value_parser = cheat)]
    pub(crate) cheat: Vec<(u32, String)>,
}

/// Options of `try`.
#[derive(Debug, Clone, Args)]
pub(crate) struct TryArgs {
    /// Providers to start, beside one requester.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) providers: u32,
    /// Folder for everything, kept at the end [default: a new one, removed at the end].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

fn cheat(text: &str) -> Result<(u32, String), String> {
    let (number, strategy) = text.split_once(':').ok_or("write it like `2:digit`")?;
    let number = number.parse().map_err(|_| format!("`{number}` is no provider's number"))?;
    Ok((number, strategy.to_owned()))
}
