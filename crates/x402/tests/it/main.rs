//! The shop on a local ledger with the real contracts: payments by hand, and by the public client.
//!
//! The public client is taken from `web/x402/node_modules` (`npm ci` in `web/x402` puts it there).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail a test by panicking")]

mod client;
mod pay;
mod runs;
mod support;
