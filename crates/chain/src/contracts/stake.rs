//! What the node says to the registry: stake, reservations, keys, the jury's seats. In the project's
//! own types: amounts and accounts in, call data out, and what the chain holds of an account.

use alloy_primitives::Address;
use alloy_sol_types::SolCall as _;
use ayni_types::{Account, Amount, NodeId, NodeSignature, Time};

use super::bindings::Registry;
use super::channels::address;
use crate::client::{Client, ClientError};

/// What an account has at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stake {
    /// All of it, with what follows.
    pub staked: Amount,
    /// For requesters.
    pub reserved: Amount,
    /// Behind its seat in the jury.
    pub jury: Amount,
    /// Asked back.
    pub leaving: Amount,
    /// When that may go; by the chain's clock.
    pub leaving_from: Time,
}

impl Stake {
    /// What can be reserved, put behind a seat, or asked back.
    #[must_use]
    pub fn free(&self) -> Amount {
        let bound = self.reserved.0.saturating_add(self.jury.0).saturating_add(self.leaving.0);
        Amount(self.staked.0.saturating_sub(bound))
    }
}

/// What a provider has reserved for a requester.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reservation {
    /// How much.
    pub amount: Amount,
    /// Leases issued before are backed.
    pub until: Time,
    /// Disputes may begin before.
    pub disputable_until: Time,
}

/// Adds the sender's tokens, approved before, to an account's stake.
#[must_use]
pub fn stake(account: Account, amount: Amount) -> Vec<u8> {
    Registry::stakeCall { account: address(account), amount: amount.0 }.abi_encode()
}

/// Asks stake back.
#[must_use]
pub fn request_unstake(amount: Amount) -> Vec<u8> {
    Registry::requestUnstakeCall { amount: amount.0 }.abi_encode()
}

/// Takes what was asked back, when its time has come.
#[must_use]
pub fn unstake() -> Vec<u8> {
    Registry::unstakeCall {}.abi_encode()
}

/// Reserves the sender's stake for a requester: `amount` in all, for leases issued before `until`.
#[must_use]
pub fn reserve(requester: Account, amount: Amount, until: Time) -> Vec<u8> {
    let requester = address(requester);
    Registry::reserveCall { requester, amount: amount.0, until: until.0 / 1_000 }.abi_encode()
}

/// Lets a key sign batches for the sender.
#[must_use]
pub fn authorise_key(key: Account, until: Time) -> Vec<u8> {
    Registry::authoriseKeyCall { key: address(key), until: until.0 / 1_000 }.abi_encode()
}

/// Takes a seat in the jury with so much behind it; nothing leaves it.
#[must_use]
pub fn set_jury_weight(weight: Amount) -> Vec<u8> {
    Registry::setJuryWeightCall { weight: weight.0 }.abi_encode()
}

/// Says that the sender's account is a node's; `signature` is the node's, of [`binding_message`].
#[must_use]
pub fn bind_node(node: NodeId, signature: &NodeSignature) -> Vec<u8> {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&signature.0[..32]);
    s.copy_from_slice(&signature.0[32..]);
    Registry::bindNodeCall { node: node.0.into(), r: r.into(), s: s.into() }.abi_encode()
}

/// What a node signs when it says that an account is its own.
#[must_use]
pub fn binding_message(chain: u64, registry: Account, account: Account) -> Vec<u8> {
    [b"ayni account 1\0", &chain.to_be_bytes()[..], &registry.0, &account.0].concat()
}

/// What an account has at stake.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn stake_of(
    client: &Client,
    registry: Account,
    account: Account,
) -> Result<Stake, ClientError> {
    let said = client.view(registry, &Registry::stakesCall { account: address(account) }).await?;
    Ok(Stake {
        staked: Amount(said.staked),
        reserved: Amount(said.reserved),
        jury: Amount(said.juryLocked),
        leaving: Amount(said.leaving),
        leaving_from: Time(said.leavingFrom.saturating_mul(1_000)),
    })
}

/// What a provider has reserved for a requester.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn reservation(
    client: &Client,
    registry: Account,
    provider: Account,
    requester: Account,
) -> Result<Reservation, ClientError> {
    let (provider, requester) = (address(provider), address(requester));
    let said = client.view(registry, &Registry::backingCall { provider, requester }).await?;
    Ok(Reservation {
        amount: Amount(said.amount),
        until: Time(said.until.saturating_mul(1_000)),
        disputable_until: Time(said.disputableUntil.saturating_mul(1_000)),
    })
}

/// Until when a key signs batches for an account; 0: it never did.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn key_until(
    client: &Client,
    registry: Account,
    account: Account,
    key: Account,
) -> Result<Time, ClientError> {
    let call = Registry::keysCall { account: address(account), key: address(key) };
    let said = client.view(registry, &call).await?;
    Ok(Time(said.until.saturating_mul(1_000)))
}

/// Whether what a key signs under a lease issued then binds an account.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn is_bound_by(
    client: &Client,
    registry: Account,
    account: Account,
    key: Account,
    issued: Time,
) -> Result<bool, ClientError> {
    let (account, key) = (address(account), address(key));
    client.view(registry, &Registry::isBoundByCall { account, key, issuedMs: issued.0 }).await
}

/// Which node an account says that it is. A claim: the node's own signature is in the log.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn node_of(
    client: &Client,
    registry: Account,
    account: Account,
) -> Result<Option<NodeId>, ClientError> {
    let call = Registry::nodeOfCall { account: Address::from(account.0) };
    let said = client.view(registry, &call).await?;
    Ok((!said.is_zero()).then_some(NodeId(said.0)))
}
