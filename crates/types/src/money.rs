//! Money: accounts, channels and vouchers, as contracts on an EVM chain know them.
//!
//! Channels and vouchers have the fields of x402's `batch-settlement` scheme (as in `@x402/evm`
//! 2.27), so that whoever pays by that standard can pay here. Deliberately not here: hashes and
//! signatures (`ayni-wire`), when to sign or claim (`ayni-core`), chains (`ayni-chain`).

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

use crate::id::{IdError, malformed};
use crate::quantity::{Amount, Time};

/// An EVM address: it holds money and stake, or is a key that may sign for one that does. Shown as
/// `0x` and 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Account(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 20]);

impl Account {
    /// Whether it is the address that nobody has.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == [0; 20]
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", data_encoding::HEXLOWER.encode(&self.0[..5]))
    }
}

impl FromStr for Account {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || malformed(text, "an account (0x and 40 hex digits)");
        let body = text.strip_prefix("0x").ok_or_else(wrong)?;
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(body.as_bytes());
        Ok(Self(bytes.ok().and_then(|b| b.try_into().ok()).ok_or_else(wrong)?))
    }
}

/// Where money lives: a chain, and the contract on it that holds channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Ledger {
    /// EIP-155 number of the chain.
    #[n(0)]
    pub chain: u64,
    /// The channels' contract; with `chain` it is the domain of every signature about money.
    #[n(1)]
    pub channels: Account,
}

/// What a channel is, for ever: its hash is its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ChannelTerms {
    /// Whose deposit it is.
    #[n(0)]
    pub payer: Account,
    /// Session key that signs vouchers; it can spend the deposit and nothing else.
    #[n(1)]
    pub payer_key: Account,
    /// Who is paid.
    #[n(2)]
    pub payee: Account,
    /// Who may say for the payee that a claim is good.
    #[n(3)]
    pub payee_key: Account,
    /// ERC-20 contract.
    #[n(4)]
    pub token: Account,
    /// Seconds between a payer's wish to withdraw and the withdrawal; at most 2^40 - 1.
    #[n(5)]
    pub withdraw_delay_s: u64,
    /// Tells channels of one pair apart. Never used again.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub salt: [u8; 32],
}

/// What a chain holds of a channel. All amounts count from the channel's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct ChannelFunds {
    /// Paid in, less what was taken out again.
    #[n(0)]
    pub deposit: Amount,
    /// Claimed by the payee.
    #[n(1)]
    pub claimed: Amount,
    /// A withdrawal that waits: how much, and when it may be finished.
    #[n(2)]
    pub withdrawal: Option<Withdrawal>,
}

/// A payer's announced withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Withdrawal {
    /// How much.
    #[n(0)]
    pub amount: Amount,
    /// From when on, by the chain's clock.
    #[n(1)]
    pub from: Time,
}

/// How a provider wants to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Payment {
    /// Where.
    #[n(0)]
    pub ledger: Ledger,
    /// In what: an ERC-20 contract there.
    #[n(1)]
    pub token: Account,
    /// To whom.
    #[n(2)]
    pub payee: Account,
    /// Becomes [`ChannelTerms::payee_key`].
    #[n(3)]
    pub payee_key: Account,
    /// Channels from which money can be withdrawn sooner are refused, in seconds.
    #[n(4)]
    pub withdraw_delay_s: u64,
    /// How far it wants vouchers to be ahead of its bills, at most.
    #[n(5)]
    pub step: Amount,
}

/// The channel through which a lease is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct PaidBy {
    /// Where it is.
    #[n(0)]
    pub ledger: Ledger,
    /// What it is.
    #[n(1)]
    pub terms: ChannelTerms,
}
