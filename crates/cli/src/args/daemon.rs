//! Options of `daemon`, `provide` and `dev`.

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
    /// Address to listen on for other nodes; may be given several times [default: all, a free port].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Keep and answer offers of providers.
    #[arg(long)]
    pub(crate) directory: bool,
    /// Forward packets for nodes behind NAT, on this address.
    #[arg(long, value_name = "ADDR")]
    pub(crate) relay: Option<SocketAddr>,
    /// Contact these nodes: a join ticket, or `did:key:…@HOST:PORT`.
    #[arg(long, value_name = "TICKET")]
    pub(crate) join: Vec<String>,
    /// Do not look for nodes on the local network.
    #[arg(long)]
    pub(crate) no_mdns: bool,
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
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) providers: u32,
    /// Folder for the homes of all nodes [default: a new one, removed at the end].
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Cores that each provider lends.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) cpus: u32,
}
