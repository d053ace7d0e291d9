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

/// What to do with stake.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum StakeCommand {
    /// Show what the account has at stake.
    Show,
    /// Add to it, in the token's smallest unit.
    Add {
        /// How much.
        #[arg(value_name = "AMOUNT")]
        amount: u128,
    },
    /// Take a seat in the jury with so much of it behind it; 0 leaves. A juror executes what others
    /// dispute, and is paid for being right.
    Jury {
        /// How much in all.
        #[arg(value_name = "AMOUNT")]
        weight: u128,
    },
    /// Ask some of it back; it may be taken after the registry's delay.
    Leave {
        /// How much.
        #[arg(value_name = "AMOUNT")]
        amount: u128,
    },
    /// Take what was asked back, when its time has come.
    Take,
}

/// What to do with disputes. Jobs with `--dispute public` bring them by themselves.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DisputeCommand {
    /// Disputes that this node is a party or a juror of.
    List,
    /// One of them.
    Show {
        /// Its number.
        id: u64,
    },
    /// Ask for a larger jury, at the price of a bond.
    Appeal {
        /// The dispute's number.
        id: u64,
    },
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
    /// Run no ledger, but put the contracts on the test chain of this node, such as anvil's, and give
    /// test money there. Gas comes from an account of that node's own, or is waited for.
    #[arg(long, value_name = "URL", conflicts_with = "listen")]
    pub(crate) rpc: Option<String>,
    /// EIP-155 number of that chain.
    #[arg(long, value_name = "NUMBER", default_value_t = 31_337, requires = "rpc")]
    pub(crate) chain: u64,
    /// A file with seconds that the ledger's clock is ahead, for tests of what takes days.
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) clock_ahead: Option<PathBuf>,
    /// End when the process that started this one is gone.
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
}
