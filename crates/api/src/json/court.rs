//! Stake and disputes: what the node's account has at risk, and what is judged about it.

use ayni_types::{Account, Digest, LeaseId, NodeId, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Schema, Text};

/// What the node's account has at stake. Amounts are in the token's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StakeJson {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Whose.
    #[schema(value_type = String)]
    pub account: Text<Account>,
    /// All of it, with what follows.
    #[schema(value_type = String)]
    pub staked: Text<u128>,
    /// Behind leases, for requesters.
    #[schema(value_type = String)]
    pub reserved: Text<u128>,
    /// Behind a seat in the jury.
    #[schema(value_type = String)]
    pub jury: Text<u128>,
    /// Asked back.
    #[schema(value_type = String)]
    pub leaving: Text<u128>,
    /// When that may be taken, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving_from_ms: Option<u64>,
    /// What can still be reserved, put behind a seat, or asked back.
    #[schema(value_type = String)]
    pub free: Text<u128>,
    /// The node that the account says it is, in the registry.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Text<NodeId>>,
    /// Until when the node's batch key signs for the account, in milliseconds since 1970.
    pub key_until_ms: u64,
    /// What disputes owe the account; it is paid by itself.
    #[schema(value_type = String)]
    pub owed: Text<u128>,
}

/// What to do with stake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "step")]
pub enum StakeRequest {
    /// Add to it.
    Add {
        /// How much.
        #[schema(value_type = String)]
        amount: Text<u128>,
    },
    /// Ask so much back: it may be taken after the registry's delay.
    Leave {
        /// How much.
        #[schema(value_type = String)]
        amount: Text<u128>,
    },
    /// Take what was asked back.
    Take,
    /// Take a seat in the jury with so much behind it; nothing leaves it.
    Jury {
        /// How much in all.
        #[schema(value_type = String)]
        weight: Text<u128>,
    },
}

/// Disputes that the node is a party or a juror of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisputeList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// By number.
    pub disputes: Vec<DisputeState>,
}

/// Where a dispute stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisputeState {
    /// Its number in the contract.
    pub id: u64,
    /// What this node is in it: `provider`, `requester` or `juror`.
    pub part: String,
    /// `drawing`, `committing`, `revealing`, `counting`, `appealable` or `ended`.
    pub phase: String,
    /// Whose receipt it is about.
    #[schema(value_type = String)]
    pub provider: Text<Account>,
    /// Who says that it is wrong.
    #[schema(value_type = String)]
    pub requester: Text<Account>,
    /// The receipt's lease.
    #[schema(value_type = String)]
    pub lease: Text<LeaseId>,
    /// The receipt's task.
    #[schema(value_type = String)]
    pub task: Text<TaskId>,
    /// What the provider signed.
    #[schema(value_type = String)]
    pub outcome: Text<Digest>,
    /// What the requester found.
    #[schema(value_type = String)]
    pub counter_outcome: Text<Digest>,
    /// What the receipt bills.
    #[schema(value_type = String)]
    pub price: Text<u128>,
    /// Juries so far, the one at work at the end.
    pub juries: Vec<JuryJson>,
    /// Until when the ruling may be appealed, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appeal_until_ms: Option<u64>,
    /// Who asked for the larger jury.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appellant: Option<Text<Account>>,
    /// `none`, `upheld`, `overturned`, `engine_incident` or `withheld`, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Taken from what was reserved.
    #[schema(value_type = String)]
    pub slashed: Text<u128>,
    /// Of it, the price that the requester got back.
    #[schema(value_type = String)]
    pub restitution: Text<u128>,
    /// What nobody has any more.
    #[schema(value_type = String)]
    pub burned: Text<u128>,
    /// Why this node's last step was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A jury.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JuryJson {
    /// How many were wanted.
    pub size: u8,
    /// Who sits in it; nobody until it is drawn.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<Text<Account>>,
    /// How many have committed.
    pub committed: u32,
    /// How many have revealed.
    pub revealed: u32,
    /// What it found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
}
