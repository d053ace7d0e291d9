//! The contracts: bindings from their artefacts, where they are, and how they are deployed.
//!
//! | file | what |
//! |---|---|
//! | `bindings` | types made by `sol!` from `artifacts/*.json` |
//! | `addresses` | where a deployment is, as a file keeps it |
//! | `deploy` | puts all of them on a chain |
//! | `channels` | what the node says to the channels' contract, in the project's own types |
//! | `authorization` | payments that their payer only signs (EIP-3009) |
//! | `stake` | the same for the registry |
//! | `disputes` | the same for disputes |
//!
//! Deliberately not here: Solidity (`contracts/` of the repository).

mod addresses;
mod authorization;
mod bindings;
mod channels;
mod deploy;
pub mod disputes;
pub mod stake;

pub use addresses::{Addresses, AddressesError};
pub use authorization::{
    Authorization, TokenDomain, authorization_used, token_refusal, transfer_with_authorization,
};
pub use bindings::{AyniGovernor, AyniToken, Channels, Disputes, Registry, Timelock, VoteToken};
pub use channels::{
    ChannelOpening, Claim, approve, claim, claim_rows, deposit, finalize_withdraw, funds,
    initiate_withdraw, mint, open_many, settle, token_balance,
};
pub use deploy::{DeployError, DeployTerms, DisputeTerms, deploy};
