//! Money: the node's account and its channels.

use ayni_types::{Account, ChannelId, NodeId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Schema, Text};

/// The node's account. Amounts are in the token's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WalletJson {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Whose money.
    #[schema(value_type = String)]
    pub account: Text<Account>,
    /// EIP-155 number of the chain.
    pub chain: u64,
    /// The chain is a local ledger: its money is worth nothing outside.
    pub local_ledger: bool,
    /// Where the chain is asked.
    pub rpc: String,
    /// The chain's newest block.
    pub block: u64,
    /// What is paid with: an ERC-20 contract.
    #[schema(value_type = String)]
    pub token: Text<Account>,
    /// What the account holds, deposits in channels not counted.
    #[schema(value_type = String)]
    pub balance: Text<u128>,
    /// What it holds for gas, in wei.
    #[schema(value_type = String)]
    pub gas_wei: Text<u128>,
    /// Left in channels that this node pays from, less what it owes.
    #[schema(value_type = String)]
    pub in_channels: Text<u128>,
    /// Earned and not yet claimed.
    #[schema(value_type = String)]
    pub to_claim: Text<u128>,
    /// Of that, what nobody has promised and deposited.
    #[schema(value_type = String)]
    pub at_risk: Text<u128>,
}

/// A node's channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Every channel that the node pays from or is paid from.
    pub channels: Vec<ChannelJson>,
}

/// Which side of a channel this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Side {
    Payer,
    Payee,
}

/// A channel. Amounts count from its beginning, in the token's smallest unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelJson {
    /// Its id.
    #[schema(value_type = String)]
    pub id: Text<ChannelId>,
    /// What this node is in it.
    pub side: Side,
    /// The node on the other side.
    #[schema(value_type = String)]
    pub peer: Text<NodeId>,
    /// `unknown`, `opening`, `open`, `closing` or `empty`.
    pub state: String,
    /// Who pays.
    #[schema(value_type = String)]
    pub payer: Text<Account>,
    /// Who is paid.
    #[schema(value_type = String)]
    pub payee: Text<Account>,
    /// Decided to be paid in.
    #[schema(value_type = String)]
    pub intended: Text<u128>,
    /// Paid in, deep enough in the chain.
    #[schema(value_type = String)]
    pub deposit: Text<u128>,
    /// Bills signed and taken.
    #[schema(value_type = String)]
    pub owed: Text<u128>,
    /// Promised by vouchers.
    #[schema(value_type = String)]
    pub promised: Text<u128>,
    /// Claimed in the chain.
    #[schema(value_type = String)]
    pub claimed: Text<u128>,
    /// Work beside that which is not going to be paid.
    #[schema(value_type = String)]
    pub lost: Text<u128>,
    /// A withdrawal that was announced may be finished from then on.
    pub withdrawal_from_ms: Option<u64>,
    /// Why the chain refused the last step.
    pub trouble: Option<String>,
}
