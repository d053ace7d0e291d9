//! Types of the contracts, made by `sol!` from the artefacts, which hold interface and code.
//!
//! One module each, since several bring structures of the same name.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::too_many_arguments,
    clippy::large_stack_arrays,
    clippy::cast_possible_truncation
)]

mod channels {
    alloy_sol_types::sol!(Channels, "artifacts/Channels.json");
}
mod registry {
    alloy_sol_types::sol!(Registry, "artifacts/Registry.json");
}
mod disputes {
    alloy_sol_types::sol!(Disputes, "artifacts/Disputes.json");
}
mod token {
    alloy_sol_types::sol!(AyniToken, "artifacts/AyniToken.json");
}
mod votes {
    alloy_sol_types::sol!(VoteToken, "artifacts/VoteToken.json");
}
mod governor {
    alloy_sol_types::sol!(AyniGovernor, "artifacts/Governor.json");
}
mod timelock {
    alloy_sol_types::sol!(Timelock, "artifacts/Timelock.json");
}

pub use channels::{Channels, IBatchSettlement};
pub use disputes::{DisputeTerms, Disputes, Receipts};
pub use governor::AyniGovernor;
pub use registry::Registry;
pub use timelock::Timelock;
pub use token::AyniToken;
pub(super) use token::AyniToken::AyniTokenErrors as TokenErrors;
pub use votes::VoteToken;
