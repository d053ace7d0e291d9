//! What the node says to the channels' contract, in the project's own types: terms, vouchers and
//! amounts in, call data out.

use alloy_primitives::aliases::U40;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall as _;
use ayni_types::{Account, Amount, ChannelFunds, ChannelId, ChannelTerms, Time, Withdrawal};
use ayni_wire::Voucher;

use super::bindings::{AyniToken, Channels, IBatchSettlement};
use crate::client::{Client, ClientError};

/// A voucher with the terms of its channel: what is needed to claim it.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Of the voucher's channel.
    pub terms: ChannelTerms,
    /// The payer's promise.
    pub voucher: Voucher,
    /// What is claimed in all, at most the promise.
    pub amount: Amount,
}

/// One of the channels that are opened at once.
#[derive(Debug, Clone, Copy)]
pub struct ChannelOpening {
    /// Key that signs vouchers.
    pub payer_key: Account,
    /// Who is paid.
    pub payee: Account,
    /// Who may say for the payee that a claim is good.
    pub payee_key: Account,
    /// What is paid in.
    pub amount: Amount,
}

pub(crate) fn address(account: Account) -> Address {
    Address::from(account.0)
}

fn config(terms: &ChannelTerms) -> IBatchSettlement::ChannelConfig {
    IBatchSettlement::ChannelConfig {
        payer: address(terms.payer),
        payerAuthorizer: address(terms.payer_key),
        receiver: address(terms.payee),
        receiverAuthorizer: address(terms.payee_key),
        token: address(terms.token),
        withdrawDelay: delay(terms.withdraw_delay_s),
        salt: terms.salt.into(),
    }
}

/// Longer than the field holds is longer than any contract takes.
fn delay(seconds: u64) -> U40 {
    U40::from(seconds.min((1 << 40) - 1))
}

/// Lets the channels' contract draw `amount` of the token. To be sent to the token.
#[must_use]
pub fn approve(channels: Account, amount: Amount) -> Vec<u8> {
    let call = AyniToken::approveCall { spender: address(channels), value: U256::from(amount.0) };
    call.abi_encode()
}

/// Opens a channel with the sender's money, or adds to it.
#[must_use]
pub fn deposit(terms: &ChannelTerms, amount: Amount) -> Vec<u8> {
    let config = config(terms);
    let (collector, data) = (Address::ZERO, Bytes::new());
    Channels::depositCall { config, amount: amount.0, collector, collectorData: data }.abi_encode()
}

/// Opens many channels of the sender with one pull of the token.
#[must_use]
pub fn open_many(
    token: Account,
    withdraw_delay_s: u64,
    salt: [u8; 32],
    openings: &[ChannelOpening],
) -> Vec<u8> {
    let opening = |opening: &ChannelOpening| Channels::Opening {
        payerAuthorizer: address(opening.payer_key),
        receiver: address(opening.payee),
        receiverAuthorizer: address(opening.payee_key),
        amount: opening.amount.0,
    };
    Channels::openManyCall {
        token: address(token),
        withdrawDelay: delay(withdraw_delay_s),
        salt: salt.into(),
        openings: openings.iter().map(opening).collect(),
    }
    .abi_encode()
}

/// Makes test money; sent by the token's faucet.
#[must_use]
pub fn mint(to: Account, amount: Amount) -> Vec<u8> {
    AyniToken::mintCall { to: address(to), amount: U256::from(amount.0) }.abi_encode()
}

/// What an account holds of a token.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn token_balance(
    client: &Client,
    token: Account,
    account: Account,
) -> Result<Amount, ClientError> {
    let call = AyniToken::balanceOfCall { account: address(account) };
    let balance = client.view(token, &call).await?;
    Ok(Amount(u128::try_from(balance).unwrap_or(u128::MAX)))
}

/// Claims of each channel as much as is said; sent by the payee or its key.
#[must_use]
pub fn claim(claims: &[Claim]) -> Vec<u8> {
    let one = |claim: &Claim| IBatchSettlement::VoucherClaim {
        voucher: IBatchSettlement::Voucher {
            channel: config(&claim.terms),
            maxClaimableAmount: claim.voucher.ceiling.0,
        },
        signature: Bytes::copy_from_slice(&claim.voucher.signature.0),
        totalClaimed: claim.amount.0.min(claim.voucher.ceiling.0),
    };
    Channels::claimCall { voucherClaims: claims.iter().map(one).collect() }.abi_encode()
}

const PAYER: u8 = 0x01;
const PAYER_KEY: u8 = 0x02;
const PAYEE: u8 = 0x04;
const PAYEE_KEY: u8 = 0x08;
const TOKEN: u8 = 0x10;
const DELAY: u8 = 0x20;
const SALT: u8 = 0x40;
const PAYEE_IS_ITS_KEY: u8 = 0x80;

/// Vouchers in the compact rows that anyone may bring: of each row only what differs from the one
/// before it.
fn rows(claims: &[Claim]) -> Vec<u8> {
    let zero = Account::default();
    let mut last = ChannelTerms {
        payer: zero,
        payer_key: zero,
        payee: zero,
        payee_key: zero,
        token: zero,
        withdraw_delay_s: 0,
        salt: [0; 32],
    };
    let mut out = Vec::with_capacity(claims.len() * 128);
    for Claim { terms, voucher, .. } in claims {
        let at = out.len();
        out.push(0);
        let mut flags = 0;
        let mut field = |flag: u8, differs: bool, bytes: &[u8]| {
            if differs {
                flags |= flag;
                out.extend_from_slice(bytes);
            }
        };
        field(PAYER, terms.payer != last.payer, &terms.payer.0);
        field(PAYER_KEY, terms.payer_key != last.payer_key, &terms.payer_key.0);
        field(PAYEE, terms.payee != last.payee, &terms.payee.0);
        let own = terms.payee_key == terms.payee;
        let key_differs = terms.payee_key != last.payee_key;
        field(PAYEE_IS_ITS_KEY, key_differs && own, &[]);
        field(PAYEE_KEY, key_differs && !own, &terms.payee_key.0);
        field(TOKEN, terms.token != last.token, &terms.token.0);
        let delay = delay(terms.withdraw_delay_s).to_be_bytes::<5>();
        field(DELAY, terms.withdraw_delay_s != last.withdraw_delay_s, &delay);
        field(SALT, terms.salt != last.salt, &terms.salt);
        out[at] = flags;
        out.extend_from_slice(&voucher.ceiling.0.to_be_bytes());
        out.extend_from_slice(&voucher.signature.0);
        last = *terms;
    }
    out
}

/// Claims each voucher up to its ceiling, or what its deposit holds; sent by anyone. A voucher that
/// can't be claimed is skipped. With `pay` the payees are paid at once.
#[must_use]
pub fn claim_rows(claims: &[Claim], pay: bool) -> Vec<u8> {
    let rows = Bytes::from(rows(claims));
    if pay {
        Channels::claimAndSettleCall { rows }.abi_encode()
    } else {
        Channels::claimForCall { rows }.abi_encode()
    }
}

/// Pays a payee what was claimed for it; sent by anyone.
#[must_use]
pub fn settle(payee: Account, token: Account) -> Vec<u8> {
    Channels::settleCall { receiver: address(payee), token: address(token) }.abi_encode()
}

/// Announces that the payer takes `amount` out.
#[must_use]
pub fn initiate_withdraw(terms: &ChannelTerms, amount: Amount) -> Vec<u8> {
    Channels::initiateWithdrawCall { config: config(terms), amount: amount.0 }.abi_encode()
}

/// Pays the payer what it announced, after the delay; sent by anyone.
#[must_use]
pub fn finalize_withdraw(terms: &ChannelTerms) -> Vec<u8> {
    Channels::finalizeWithdrawCall { config: config(terms) }.abi_encode()
}

/// What the contract holds of a channel now.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn funds(
    client: &Client,
    channels: Account,
    id: ChannelId,
    withdraw_delay_s: u64,
) -> Result<ChannelFunds, ClientError> {
    let channel = B256::from(id.0);
    let held = client.view(channels, &Channels::channelsCall { channelId: channel }).await?;
    let waits = Channels::pendingWithdrawalsCall { channelId: channel };
    let waits = client.view(channels, &waits).await?;
    let since_s = waits.initiatedAt.to::<u64>();
    let withdrawal = (since_s != 0).then(|| Withdrawal {
        amount: Amount(waits.amount),
        from: Time(since_s.saturating_add(withdraw_delay_s).saturating_mul(1000)),
    });
    Ok(ChannelFunds {
        deposit: Amount(held.balance),
        claimed: Amount(held.totalClaimed),
        withdrawal,
    })
}

#[cfg(test)]
mod tests {
    use ayni_types::Ledger;
    use ayni_wire::{EvmSigner, channel_id};

    use super::*;

    fn sample(salt: u8, payee: u8, payee_key: u8) -> Claim {
        let key = EvmSigner::from_secret(&[7; 32]).unwrap();
        let ledger = Ledger { chain: 1, channels: Account([9; 20]) };
        let terms = ChannelTerms {
            payer: Account([1; 20]),
            payer_key: Account(key.key().0),
            payee: Account([payee; 20]),
            payee_key: Account([payee_key; 20]),
            token: Account([5; 20]),
            withdraw_delay_s: 86_400,
            salt: [salt; 32],
        };
        let id = channel_id(&ledger, &terms);
        let amount = Amount(5);
        Claim { terms, voucher: Voucher::sign(&ledger, id, amount, &key), amount }
    }

    #[test]
    fn a_row_holds_only_what_differs_from_the_one_before() {
        let lengths = |claims: &[Claim]| {
            (1..=claims.len()).map(|n| rows(&claims[..n]).len()).collect::<Vec<_>>()
        };
        let first = 1 + 20 + 20 + 20 + 20 + 5 + 32 + 16 + 65;
        let claims = [sample(1, 3, 3), sample(1, 4, 4), sample(1, 4, 6), sample(2, 4, 6)];
        let next = [first, first + 102, first + 2 * 102, first + 2 * 102 + 114];
        assert_eq!(lengths(&claims), next);
    }
}
