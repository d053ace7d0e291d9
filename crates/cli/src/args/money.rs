//! Options of `wallet`, `channel`, `statement` and `ledger`.

use std::net::SocketAddr;
use std::path::PathBuf;

use ayni_types::{Account, ChannelId};
use clap::{Args, Subcommand};

/// What to do with the account.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum WalletCommand {
    /// Show the account and what it holds.
    Show,
    /// Make an account, with an encrypted keystore in the home folder.
    New {
        /// Pay on the ledger in this folder (made by `ayni ledger`), and write so into config.toml.
        #[arg(long, value_name = "DIR")]
        ledger: Option<PathBuf>,
    },
}

/// What to do with channels.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ChannelCommand {
    /// Channels that this node pays from, or is paid from.
    List,
    /// Take back what a channel still holds; it takes the channel's delay.
    Close {
        /// Its id.
        id: ChannelId,
    },
    /// Claim what is earned and promised, however little. It costs gas.
    Claim,
}

/// Options of `statement`.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatementArgs {
    /// As comma-separated values.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// Options of `ledger`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LedgerArgs {
    /// Folder of its blocks, and of `contracts.toml` and `rpc` for those who use it.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Loopback address of its JSON-RPC; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8545")]
    pub(crate) listen: SocketAddr,
    /// Give this account a million of test money, once; may be given several times.
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) grant: Vec<Account>,
    /// End when the process that started this one is gone.
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
}
