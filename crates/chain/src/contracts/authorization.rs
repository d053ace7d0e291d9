//! EIP-3009: a payment that its payer only signs, and that anybody may bring to the token. What x402
//! calls `exact` is one of these.
//!
//! Deliberately not here: which payments are taken (`ayni-x402`), and payers that are contracts (the
//! token asks for a plain key's signature).

use alloy_primitives::{B256, Signature, U256};
use alloy_sol_types::{Eip712Domain, SolCall as _, SolInterface as _, SolStruct as _};
use ayni_types::{Account, Amount};
use ayni_wire::EvmSignature;

use super::bindings::{AyniToken, TokenErrors};
use super::channels::address;
use crate::client::{Client, ClientError};

mod signed {
    #![allow(missing_docs, unreachable_pub)]
    alloy_sol_types::sol! {
        #[allow(missing_docs)]
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }
}

/// What a payer signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorization {
    /// Whose money.
    pub from: Account,
    /// Whose it becomes.
    pub to: Account,
    /// How much.
    pub value: Amount,
    /// Seconds since 1970; good after that moment.
    pub valid_after_s: u64,
    /// Seconds since 1970; good before that moment.
    pub valid_before_s: u64,
    /// Drawn by the payer; each is good once.
    pub nonce: [u8; 32],
}

/// A token's name and version in what is signed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDomain {
    /// EIP-155 number.
    pub chain: u64,
    /// The token.
    pub token: Account,
    /// Its name there.
    pub name: String,
    /// Its version there.
    pub version: String,
}

impl TokenDomain {
    /// Asks the token (ERC-5267).
    ///
    /// # Errors
    /// If the node does not answer, or the token does not say.
    pub async fn of(client: &Client, token: Account) -> Result<Self, ClientError> {
        let said = client.view(token, &AyniToken::eip712DomainCall {}).await?;
        let (name, version) = (said.name, said.version);
        Ok(Self { chain: client.chain(), token, name, version })
    }

    fn eip712(&self) -> Eip712Domain {
        Eip712Domain::new(
            Some(self.name.clone().into()),
            Some(self.version.clone().into()),
            Some(U256::from(self.chain)),
            Some(address(self.token)),
            None,
        )
    }
}

impl Authorization {
    /// What is signed.
    #[must_use]
    pub fn hash(&self, domain: &TokenDomain) -> [u8; 32] {
        let message = signed::TransferWithAuthorization {
            from: address(self.from),
            to: address(self.to),
            value: U256::from(self.value.0),
            validAfter: U256::from(self.valid_after_s),
            validBefore: U256::from(self.valid_before_s),
            nonce: B256::from(self.nonce),
        };
        message.eip712_signing_hash(&domain.eip712()).into()
    }

    /// Whether its payer signed it.
    #[must_use]
    pub fn is_signed(&self, domain: &TokenDomain, signature: &EvmSignature) -> bool {
        let hash = B256::from(self.hash(domain));
        let (rs, v) = signature.0.split_at(64);
        if !matches!(v, [27 | 28]) {
            return false;
        }
        let signature = Signature::from_bytes_and_parity(rs, v == [28]);
        let signer = signature.recover_address_from_prehash(&hash);
        signer.is_ok_and(|signer| signer == address(self.from))
    }
}

/// Moves the money that an authorization speaks of. To be sent to the token, by anybody.
#[must_use]
pub fn transfer_with_authorization(of: &Authorization, signature: &EvmSignature) -> Vec<u8> {
    let (rs, v) = signature.0.split_at(64);
    AyniToken::transferWithAuthorizationCall {
        from: address(of.from),
        to: address(of.to),
        value: U256::from(of.value.0),
        validAfter: U256::from(of.valid_after_s),
        validBefore: U256::from(of.valid_before_s),
        nonce: of.nonce.into(),
        v: v[0],
        r: B256::from_slice(&rs[..32]),
        s: B256::from_slice(&rs[32..]),
    }
    .abi_encode()
}

/// Whether an authorization was used, or taken back by its payer.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn authorization_used(
    client: &Client,
    token: Account,
    from: Account,
    nonce: [u8; 32],
) -> Result<bool, ClientError> {
    let call = AyniToken::authorizationStateCall { authorizer: address(from), nonce: nonce.into() };
    client.view(token, &call).await
}

/// What a token's refusal means, if it is one that is known.
#[must_use]
pub fn token_refusal(error: &ClientError) -> Option<String> {
    let ClientError::Refused { data: Some(data), .. } = error else { return None };
    Some(match TokenErrors::abi_decode(data).ok()? {
        TokenErrors::ERC20InsufficientBalance(e) => {
            format!("{} has {} and {} are wanted", e.sender, e.balance, e.needed)
        }
        TokenErrors::ERC3009InvalidAuthorizationTime(e) => {
            format!("it is good after {} and before {}", e.validAfter, e.validBefore)
        }
        TokenErrors::ERC3009InvalidSignature(_) => "its signature is another's".to_owned(),
        TokenErrors::ERC3009UsedAuthorization(e) => {
            format!("nonce {} of {} was used", e.nonce, e.authorizer)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ayni_wire::EvmSigner;

    use super::*;

    #[test]
    fn only_what_its_payer_signed_is_signed() {
        let key = EvmSigner::from_secret(&[7; 32]).expect("a key");
        let good = Authorization {
            from: Account(key.key().0),
            to: Account([2; 20]),
            value: Amount(5),
            valid_after_s: 0,
            valid_before_s: 100,
            nonce: [3; 32],
        };
        let domain = TokenDomain {
            chain: 1,
            token: Account([4; 20]),
            name: "Ayni test money".to_owned(),
            version: "1".to_owned(),
        };
        let signature = key.sign(&good.hash(&domain));
        assert!(good.is_signed(&domain, &signature));
        let others = [
            Authorization { from: Account([1; 20]), ..good },
            Authorization { to: Account([1; 20]), ..good },
            Authorization { value: Amount(4), ..good },
            Authorization { valid_after_s: 1, ..good },
            Authorization { valid_before_s: 101, ..good },
            Authorization { nonce: [4; 32], ..good },
        ];
        for other in others {
            assert!(!other.is_signed(&domain, &signature), "{other:?}");
        }
        for other in [
            TokenDomain { chain: 2, ..domain.clone() },
            TokenDomain { token: Account([5; 20]), ..domain.clone() },
            TokenDomain { version: "2".to_owned(), ..domain.clone() },
        ] {
            assert!(!good.is_signed(&other, &signature), "{other:?}");
        }
        let mut broken = signature;
        broken.0[64] = 0;
        assert!(!good.is_signed(&domain, &broken));
    }
}
