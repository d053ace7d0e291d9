//! x402 version 2 as it is said over HTTP: JSON, as base64 in three headers.
//!
//! The server's words are typed; of the client's, only what is read. Deliberately not here: version
//! 1, and what any of it means.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::terms::{Offer, Terms};
use ayni_chain::contracts::TokenDomain;

/// The version that is spoken.
pub const VERSION: u32 = 2;
/// Header of a 402: what must be paid.
pub const REQUIRED: &str = "payment-required";
/// Header of a request: the payment.
pub const SIGNATURE: &str = "payment-signature";
/// Header of the answer: the settlement.
pub const RESPONSE: &str = "payment-response";
/// Longest payment header.
pub const HEADER_BYTES_MAX: usize = 16 << 10;

/// What must be paid, how, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Requirements {
    pub scheme: String,
    pub network: String,
    pub asset: String,
    pub amount: String,
    pub pay_to: String,
    #[serde(default)]
    pub max_timeout_seconds: u64,
    #[serde(default)]
    pub extra: Value,
}

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    /// Which protocol version.
    pub x402_version: u32,
    /// Which of the ways to pay it took.
    pub accepted: Requirements,
    /// By scheme.
    pub payload: Value,
}

/// The payload of scheme `exact` with EIP-3009.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub struct ExactPayload {
    pub signature: String,
    pub authorization: AuthorizationJson,
}

/// What the payer signed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(missing_docs)]
pub struct AuthorizationJson {
    pub from: String,
    pub to: String,
    pub value: String,
    pub valid_after: String,
    pub valid_before: String,
    pub nonce: String,
}

/// The name of an EVM chain (CAIP-2).
#[must_use]
pub fn network(chain: u64) -> String {
    format!("eip155:{chain}")
}

/// How an offer is paid.
#[must_use]
pub fn requirements(terms: &Terms, offer: &Offer, domain: &TokenDomain) -> Requirements {
    Requirements {
        scheme: "exact".to_owned(),
        network: network(domain.chain),
        asset: terms.token.to_string(),
        amount: offer.price.to_string(),
        pay_to: terms.pay_to.to_string(),
        max_timeout_seconds: offer.good_for_s(),
        extra: json!({
            "name": domain.name,
            "version": domain.version,
            "assetTransferMethod": "eip3009",
        }),
    }
}

/// The body of a 402, and what its header holds.
#[must_use]
pub fn required(
    terms: &Terms,
    name: &str,
    offer: &Offer,
    domain: &TokenDomain,
    error: &str,
) -> Value {
    json!({
        "x402Version": VERSION,
        "error": error,
        "resource": {
            "url": format!("{}/run/{name}", terms.public_url),
            "description": offer.description,
            "mimeType": "application/json",
        },
        "accepts": [requirements(terms, offer, domain)],
    })
}

/// What came of settling.
#[must_use]
pub fn settled(chain: u64, payer: &str, tx: &str, amount: &str) -> Value {
    json!({
        "success": true,
        "payer": payer,
        "transaction": tx,
        "network": network(chain),
        "amount": amount,
    })
}

/// The same when it failed.
#[must_use]
pub fn not_settled(chain: u64, payer: &str, reason: &str, message: &str) -> Value {
    json!({
        "success": false,
        "errorReason": reason,
        "errorMessage": message,
        "payer": payer,
        "transaction": "",
        "network": network(chain),
    })
}

/// As a header holds it.
#[must_use]
pub fn to_header(value: &Value) -> String {
    data_encoding::BASE64.encode(value.to_string().as_bytes())
}

/// From a header; with or without padding, as clients have it.
///
/// # Errors
/// What is wrong with it.
pub fn from_header(text: &[u8]) -> Result<PaymentPayload, String> {
    if text.len() > HEADER_BYTES_MAX {
        return Err(format!("it has {} bytes; the most is {HEADER_BYTES_MAX}", text.len()));
    }
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1);
    let bytes = data_encoding::BASE64_NOPAD.decode(&text[..end]);
    let bytes = bytes.map_err(|error| format!("it is no base64: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("it is no payment: {error}"))
}
