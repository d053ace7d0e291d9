//! The chain crate against a ledger in this process and against a real node, anvil.
//!
//! anvil is taken from `contracts/node_modules/.bin` (`npm ci` in `contracts/` puts it there), or
//! from where the environment variable `AYNI_ANVIL` points.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail a test by panicking")]

mod crash;
mod gov;
mod lies;
mod reorg;
mod replay;
mod rpc;
mod script;
mod send;
mod support;
