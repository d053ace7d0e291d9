//! How a job wants its results verified.

use minicbor::{Decode, Encode};

use crate::quantity::Amount;

/// The verification rule of a job. Shares and rates are in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Verify {
    /// Audit exactly this share of results, whatever the rule would say; 0 audits none.
    #[n(0)]
    pub rate: Option<u32>,
    /// Let no more than this share of results be wrong on average, whatever liars do.
    #[n(1)]
    pub error: Option<u32>,
    /// Accept an outcome only when so many unrelated providers agree on it; 1 asks for no second.
    #[n(2)]
    pub quorum: u32,
    /// What somebody else would pay for one wrong result, in the token's smallest unit.
    #[n(3)]
    pub gain: Amount,
    /// Share of providers that is supposed hostile: for printed confidence, and for audits that
    /// other providers do.
    #[n(4)]
    pub hostile: u32,
    /// Who may judge a wrong result.
    #[n(5)]
    pub dispute: Dispute,
}

/// Who may judge a wrong result: a jury must be shown the task and its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum Dispute {
    /// Nobody: inputs stay between the two, and stake deters nothing.
    #[default]
    #[n(0)]
    None,
    /// Any jury that the contract draws.
    #[n(1)]
    Public,
}

impl Verify {
    /// Share of providers supposed hostile unless a job says otherwise.
    pub const HOSTILE: u32 = 200_000;
    /// Largest quorum.
    pub const QUORUM_MAX: u32 = 9;
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            rate: None,
            error: None,
            quorum: 1,
            gain: Amount(0),
            hostile: Self::HOSTILE,
            dispute: Dispute::None,
        }
    }
}
