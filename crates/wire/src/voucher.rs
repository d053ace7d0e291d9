//! Channels and vouchers as a contract sees them: EIP-712 with the domain and types of x402's
//! `batch-settlement` scheme, version 1 (pinned to `@x402/evm` 2.27; vectors in `spec/vectors`).

use ayni_types::{Account, Amount, ChannelId, ChannelTerms, Ledger};
use minicbor::{Decode, Encode};

use crate::batch::{EvmSignature, keccak, recover_batch_key, word};
use crate::sign::EvmSigner;

/// A payer's promise: of this channel up to this much, from its beginning, may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Voucher {
    /// Which channel.
    #[n(0)]
    pub channel: ChannelId,
    /// What may be claimed in all (`maxClaimableAmount`).
    #[n(1)]
    pub ceiling: Amount,
    /// By the channel's `payer_key`.
    #[n(2)]
    pub signature: EvmSignature,
}

impl Voucher {
    /// A voucher signed now.
    #[must_use]
    pub fn sign(ledger: &Ledger, channel: ChannelId, ceiling: Amount, key: &EvmSigner) -> Self {
        let signature = key.sign(&voucher_hash(ledger, channel, ceiling));
        Self { channel, ceiling, signature }
    }

    /// Who signed it; nobody if the signature can't be one.
    #[must_use]
    pub fn signer(&self, ledger: &Ledger) -> Option<Account> {
        let hash = voucher_hash(ledger, self.channel, self.ceiling);
        recover_batch_key(&hash, &self.signature).map(|key| Account(key.0))
    }
}

pub(crate) fn address_word(account: &Account) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&account.0);
    word
}

fn typed(ledger: &Ledger, body: &[u8; 32]) -> [u8; 32] {
    typed_for("x402 Batch Settlement", ledger.chain, &ledger.channels, body)
}

/// The EIP-712 hash of `body` for a contract of version 1.
pub(crate) fn typed_for(name: &str, chain: u64, contract: &Account, body: &[u8; 32]) -> [u8; 32] {
    let domain = keccak(&[
        &keccak(&[b"EIP712Domain(string name,string version,uint256 chainId,address \
                    verifyingContract)"]),
        &keccak(&[name.as_bytes()]),
        &keccak(&[b"1"]),
        &word(chain.into()),
        &address_word(contract),
    ]);
    keccak(&[b"\x19\x01", &domain, body])
}

/// The id of a channel: the EIP-712 hash of `ChannelConfig(address payer,address
/// payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40
/// withdrawDelay,bytes32 salt)`.
#[must_use]
pub fn channel_id(ledger: &Ledger, terms: &ChannelTerms) -> ChannelId {
    let body = keccak(&[
        &keccak(&[
            b"ChannelConfig(address payer,address payerAuthorizer,address receiver,address \
                    receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)",
        ]),
        &address_word(&terms.payer),
        &address_word(&terms.payer_key),
        &address_word(&terms.payee),
        &address_word(&terms.payee_key),
        &address_word(&terms.token),
        &word(terms.withdraw_delay_s.into()),
        &terms.salt,
    ]);
    ChannelId(typed(ledger, &body))
}

/// The EIP-712 hash that is signed for a voucher: `Voucher(bytes32 channelId,uint128
/// maxClaimableAmount)`.
#[must_use]
pub fn voucher_hash(ledger: &Ledger, channel: ChannelId, ceiling: Amount) -> [u8; 32] {
    let body = keccak(&[
        &keccak(&[b"Voucher(bytes32 channelId,uint128 maxClaimableAmount)"]),
        &channel.0,
        &word(ceiling.0),
    ]);
    typed(ledger, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let channels = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003".parse().unwrap();
        Ledger { chain: 31_337, channels }
    }

    fn terms(key: &EvmSigner) -> ChannelTerms {
        ChannelTerms {
            payer: Account([1; 20]),
            payer_key: Account(key.key().0),
            payee: Account([3; 20]),
            payee_key: Account([4; 20]),
            token: Account([5; 20]),
            withdraw_delay_s: 86_400,
            salt: [6; 32],
        }
    }

    // Expected values by `hashTypedData` and `signTypedData` of the npm package viem 2.48.11.
    #[test]
    fn ids_hashes_and_signatures_are_those_of_another_implementation() {
        let key = EvmSigner::from_secret(&[7; 32]).unwrap();
        let id = channel_id(&ledger(), &terms(&key));
        assert_eq!(
            id.to_string(),
            "2554a5080dd8ec37c7ab1e8630ec0c15048053ba123d2306068ab2257d688036"
        );
        let ceiling = Amount(123_456_789_012_345_678_901_234_567_890);
        let hash = voucher_hash(&ledger(), id, ceiling);
        assert_eq!(
            ayni_types::Digest(hash).to_string(),
            "637ad23cfd466d4b59c85b38bdde61518963c4cfc5de5aab0a21b9016222f7e0"
        );
        let voucher = Voucher::sign(&ledger(), id, ceiling, &key);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&voucher.signature.0),
            "34691be549d63f8997811f556514fc32bd4b18d59615bdd67e42f2c1c85257213a7aa11ef2d1ed57259a\
             5002b83b59c883495a6ac73760891f2d7908319994801b"
        );
    }

    #[test]
    fn a_voucher_holds_for_its_channel_its_amount_and_its_ledger_alone() {
        let key = EvmSigner::from_secret(&[7; 32]).unwrap();
        let (ledger, signer) = (ledger(), Some(Account(key.key().0)));
        let id = channel_id(&ledger, &terms(&key));
        let good = Voucher::sign(&ledger, id, Amount(5), &key);
        assert_eq!(good.signer(&ledger), signer);
        assert_ne!(Voucher { ceiling: Amount(6), ..good }.signer(&ledger), signer);
        assert_ne!(Voucher { channel: ChannelId([9; 32]), ..good }.signer(&ledger), signer);
        assert_ne!(good.signer(&Ledger { chain: 1, ..ledger }), signer);
        assert_ne!(good.signer(&Ledger { channels: Account([1; 20]), ..ledger }), signer);
        let other = ChannelTerms { salt: [7; 32], ..terms(&key) };
        assert_ne!(channel_id(&ledger, &other), id);
    }
}
