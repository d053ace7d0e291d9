//! Disputes on a real chain (the local ledger, with the contracts as they are committed): a court for
//! each account, engines that do what a test says, and a clock that the test moves.

mod cases;
mod stage;
