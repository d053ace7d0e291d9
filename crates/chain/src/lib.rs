//! The node's way to money: an EVM chain, local or not, its contracts, keys and transactions.
//!
//! The only crate that knows alloy and revm; what it gives and takes are the project's own types.
//!
//! | module | what |
//! |---|---|
//! | `embedded` | the local ledger: an EVM chain in this process |
//! | `client` | one client for the local ledger and for any node's JSON-RPC |
//! | `contracts` | bindings, addresses, deployment, calls |
//! | `keystore` | the account's key, encrypted; session keys |
//! | `sender` | sends transactions, each intent once |
//! | `watcher` | follows the contracts' logs through reorganisations and lies |
//!
//! Deliberately not here: when to pay, claim or stake (`ayni-core`).

mod client;
mod http;
mod limits;
mod lock_file;
mod record_log;

pub mod contracts;
pub mod embedded;
pub mod keystore;
pub mod sender;
pub mod watcher;

pub use client::{Client, ClientError, Fees};
