//! Votes on the contracts' parameters, as the node's account sees them.

use ayni_types::Account;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Schema, Text};

/// Every proposal, and what the account votes with. Votes are in the vote token's smallest unit,
/// 10⁻¹⁸.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// The node's account.
    #[schema(value_type = String)]
    pub account: Text<Account>,
    /// Vote tokens that it holds; they vote once they are delegated, to itself too.
    #[schema(value_type = String)]
    pub held: Text<u128>,
    /// Who votes with them.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate: Option<Text<Account>>,
    /// What the account votes with now, others' delegations included.
    #[schema(value_type = String)]
    pub votes: Text<u128>,
    /// The newest first.
    pub proposals: Vec<ProposalJson>,
}

/// A proposal and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalJson {
    /// Its id, 64 hexadecimal digits after `0x`.
    pub id: String,
    /// Who made it.
    #[schema(value_type = String)]
    pub proposer: Text<Account>,
    /// Why, in the proposer's words, which promise nothing.
    pub why: String,
    /// What it does, as read from its calls.
    pub actions: Vec<String>,
    /// `pending`, `active`, `canceled`, `defeated`, `succeeded`, `queued`, `expired` or `executed`.
    pub stage: String,
    /// Votes for it.
    #[serde(rename = "for")]
    #[schema(value_type = String)]
    pub for_it: Text<u128>,
    /// Votes against it.
    #[schema(value_type = String)]
    pub against: Text<u128>,
    /// Votes that only count for the quorum.
    #[schema(value_type = String)]
    pub abstained: Text<u128>,
    /// When its vote begins, in milliseconds since 1970.
    pub vote_from_ms: u64,
    /// When it ends.
    pub vote_until_ms: u64,
    /// From when on it may be executed, once it is queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    /// What the account can say, while the vote is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ballot: Option<BallotJson>,
}

/// What the account can say in a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BallotJson {
    /// With how many votes: those it had when the vote began.
    #[schema(value_type = String)]
    pub votes: Text<u128>,
    /// Whether it has said it.
    pub cast: bool,
}

/// A vote; no second one of an account counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteRequest {
    /// What is said.
    pub vote: VoteWord,
    /// Why; everybody can read it, for ever.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// What can be said in a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum VoteWord {
    For,
    Against,
    Abstain,
}
