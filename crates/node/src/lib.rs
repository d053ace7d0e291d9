//! The node: the core pumped against the network, the store, the sandbox and the API.
//!
//! - [`Config`], [`Layer`]: settings
//! - [`Node`]: a running node; `start` puts everything together, `stop` takes it apart
//! - `pump`: the one task that owns the core
//! - `work`, `programs`, `cheat`: executing tasks · `fetch`, `inputs`: getting their blobs
//! - `persist`, `news`: the journal's thread, notices for watchers
//! - `backend`, `convert`, `receipts`, `doctor`: what the API asks
//! - `bank`: its money and stake on a chain · `court`: its machine as a juror's · `ledger`: a chain of its own, for a network without one
//! - `owner`: the machine belongs to its owner · `memory`: peers between two lives
//!
//! Deliberately not here: decisions (the core's), the command line, formats of the wire and disk.

mod backend;
mod bank;
mod cheat;
mod config;
mod convert;
mod court;
mod doctor;
mod fetch;
pub mod gov;
mod inputs;
mod keep;
mod ledger;
mod memory;
mod news;
mod owner;
mod persist;
mod programs;
mod pump;
mod receipts;
mod self_test;
mod start;
mod work;

pub use ayni_chain::keystore::ScryptCost as KeystoreCost;
pub use ayni_store::HomeError;
pub use bank::BankError;
pub use config::{
    Config, ConfigError, Layer, LimitsLayer, Machine, Pay, PayLayer, Provide, parse_size,
};
pub use ledger::{
    GRANT, LedgerError, RunningLedger, make_account, start as start_ledger, use_chain,
};
pub use owner::OwnerError;
pub use owner::limits::{BadLimit, Hours, Limits};
pub use start::{Node, StartError};
