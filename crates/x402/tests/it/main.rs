//! The shop on a local ledger, with the real contracts.
