//! A payment as it came in: parsed, and judged by itself against the terms and the clock. What only
//! the chain knows is `cashier`'s.
//!
//! Everything in it is hostile until it has passed here. Deliberately not here: any IO.

use ayni_chain::contracts::{Authorization, TokenDomain};
use ayni_types::{Account, Amount};
use ayni_wire::EvmSignature;

use crate::refusal::Refusal;
use crate::terms::{Offer, SETTLE_S, Terms};
use crate::wire::{self, ExactPayload, PaymentPayload, Requirements};

/// A payment whose payer signed what the terms ask, and that is good for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// What was signed.
    pub authorization: Authorization,
    /// By its payer.
    pub signature: EvmSignature,
}

impl Payment {
    /// Reads the header of a request for an offer.
    ///
    /// # Errors
    /// Why it is not a payment for it.
    pub fn read(
        header: &[u8],
        terms: &Terms,
        offer: &Offer,
        domain: &TokenDomain,
        now_s: u64,
    ) -> Result<Self, Refusal> {
        let sent = wire::from_header(header)
            .map_err(|why| Refusal::malformed(format!("the payment can't be read: {why}")))?;
        if sent.x402_version != wire::VERSION {
            let found = sent.x402_version;
            return Err(Refusal::malformed(format!("it is of x402 version {found}, not 2")));
        }
        is_asked(&sent.accepted, &wire::requirements(terms, offer, domain))?;
        let payment = parse(&sent)?;
        payment.is_good(terms, offer, now_s)?;
        if !payment.authorization.is_signed(domain, &payment.signature) {
            let from = payment.authorization.from;
            let text = format!("it is not signed by {from} for {} on {}", domain.name, terms.token);
            return Err(Refusal::signature(text));
        }
        Ok(payment)
    }

    /// Names it for ever: nobody can make another of the same name.
    #[must_use]
    pub fn id(&self) -> String {
        let nonce = data_encoding::HEXLOWER.encode(&self.authorization.nonce);
        format!("{}/0x{nonce}", self.authorization.from)
    }

    fn is_good(&self, terms: &Terms, offer: &Offer, now_s: u64) -> Result<(), Refusal> {
        let signed = &self.authorization;
        if signed.to != terms.pay_to {
            let text = format!("it pays {}, not {}", signed.to, terms.pay_to);
            return Err(Refusal::recipient(text));
        }
        if signed.value != offer.price {
            return Err(Refusal::amount(format!("it pays {}, not {}", signed.value, offer.price)));
        }
        if signed.valid_after_s >= now_s {
            let text = format!("it is good after {}, and it is {now_s}", signed.valid_after_s);
            return Err(Refusal::time(text));
        }
        let least = now_s + offer.timeout_s + SETTLE_S;
        let most = now_s + 2 * offer.good_for_s();
        if !(least..=most).contains(&signed.valid_before_s) {
            return Err(Refusal::time(format!(
                "it is good before {}; it must be from {least} to {most}, for it is settled after \
                 the run",
                signed.valid_before_s
            )));
        }
        Ok(())
    }
}

/// Whether the client took what is asked now.
fn is_asked(accepted: &Requirements, asked: &Requirements) -> Result<(), Refusal> {
    let differs = |what: &str, found: &str, wanted: &str| {
        (!found.eq_ignore_ascii_case(wanted)).then(|| {
            let found: String = found.chars().take(80).collect();
            format!("the {what} is {found:?}, not {wanted:?}")
        })
    };
    if let Some(text) = differs("scheme", &accepted.scheme, &asked.scheme) {
        return Err(Refusal::scheme(text));
    }
    if let Some(text) = differs("network", &accepted.network, &asked.network) {
        return Err(Refusal::network(text));
    }
    if let Some(text) = differs("asset", &accepted.asset, &asked.asset) {
        return Err(Refusal::asset(text));
    }
    if let Some(text) = differs("recipient", &accepted.pay_to, &asked.pay_to) {
        return Err(Refusal::recipient(text));
    }
    match differs("amount", &accepted.amount, &asked.amount) {
        Some(text) => Err(Refusal::amount(text)),
        None => Ok(()),
    }
}

fn parse(sent: &PaymentPayload) -> Result<Payment, Refusal> {
    let bad = |what: &str, found: &str| {
        let found: String = found.chars().take(80).collect();
        Refusal::malformed(format!("{what} is {found:?}"))
    };
    let ExactPayload { signature, authorization } = serde_json::from_value(sent.payload.clone())
        .map_err(|error| Refusal::malformed(format!("it is no EIP-3009 authorization: {error}")))?;
    let account = |what: &str, text: &str| text.parse::<Account>().map_err(|_| bad(what, text));
    let number = |what: &str, text: &str| -> Result<u128, Refusal> {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let parsed = text.parse().ok().filter(|_| is_number);
        parsed.ok_or_else(|| bad(what, text))
    };
    let bytes = |what: &str, text: &str| {
        let hex = text.strip_prefix("0x").ok_or_else(|| bad(what, text))?;
        data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| bad(what, text))
    };
    // A moment beyond 64 bits is as good as never.
    let moment =
        |what: &str, text: &str| number(what, text).map(|n| u64::try_from(n).unwrap_or(u64::MAX));
    let nonce = bytes("the nonce", &authorization.nonce)?;
    let mut raw: [u8; 65] = bytes("the signature", &signature)?
        .try_into()
        .map_err(|_| bad("the signature, which has 65 bytes,", &signature))?;
    if raw[64] < 2 {
        raw[64] += 27;
    }
    Ok(Payment {
        authorization: Authorization {
            from: account("the payer", &authorization.from)?,
            to: account("the recipient", &authorization.to)?,
            value: Amount(number("the amount", &authorization.value)?),
            valid_after_s: moment("validAfter", &authorization.valid_after)?,
            valid_before_s: moment("validBefore", &authorization.valid_before)?,
            nonce: nonce.try_into().map_err(|_| bad("the nonce", &authorization.nonce))?,
        },
        signature: EvmSignature(raw),
    })
}
