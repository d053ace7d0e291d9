//! A node's part in disputes: what the contract says of each, which step is due from whom, what a
//! juror finds by executing a task, and the steps taken, each once.
//!
//! | file | what |
//! |---|---|
//! | `docket` | disputes as the chain's events tell them; taken back when the chain goes another way |
//! | `due` | the step that is due from a node, a function of docket and clock |
//! | `judge` | from executions to an answer: two back ends, and the state at drawn fuel points |
//! | `court` | follows the chain and takes the steps through a sender |
//!
//! Nothing here runs by itself: `Court::tick` does one round. Deliberately not here: executing
//! (`ayni-node` has the sandbox), deciding whom to accuse (`ayni-core`), the rules (`contracts/`).

mod court;
mod docket;
mod due;
mod judge;

pub use court::{Call, Court, CourtError, CourtTerms, Duty};
pub use docket::{Dispute, Docket, Ended, Jury};
pub use due::{Clock, Step, Stance, due};
pub use judge::{Engine, Execution, JudgeError, judge, points};

pub use ayni_chain::contracts::disputes::Answer;
pub use ayni_chain::watcher::Verdict;
