//! The core on a stage: scenarios named by what happens, with what is said as their expectation.

mod bank;
mod budget;
mod hostile;
mod journal;
mod load;
mod money;
mod patience;
mod quote;
mod requester;
mod rule;
mod stage;
mod verification;
