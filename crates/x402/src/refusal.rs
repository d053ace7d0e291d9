//! Why nothing is sold: a code that programs read, a sentence for people, and what to do.
//!
//! What has to do with the payment is answered with 402 and the terms once more, so that a client
//! may pay again. Deliberately not here: failures of a run (`backend`).

use axum::http::StatusCode;

/// See the module. Nothing was charged, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// Which kind.
    pub code: &'static str,
    /// What is wrong, with which value.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

macro_rules! refusals {
    ($($(#[doc = $doc:literal])* $name:ident $status:ident $code:literal $hint:literal;)*) => {
        impl Refusal {
            $($(#[doc = $doc])*
            #[must_use]
            pub fn $name(message: impl Into<String>) -> Self {
                Self {
                    status: StatusCode::$status,
                    code: $code,
                    message: message.into(),
                    hint: $hint,
                }
            })*
        }
    };
}

refusals! {
    /// There is no such offer.
    no_offer NOT_FOUND "offer_unknown" "GET / lists what is sold";
    /// No payment came.
    unpaid PAYMENT_REQUIRED "payment_required" "send it again with a payment, as any x402 client does";
    /// The header is no payment.
    malformed BAD_REQUEST "payment_malformed" "send x402 version 2 in the header PAYMENT-SIGNATURE";
    /// It pays in another way than was asked.
    scheme PAYMENT_REQUIRED "payment_scheme" "pay by scheme exact with EIP-3009";
    /// It pays on another chain.
    network PAYMENT_REQUIRED "payment_network" "pay on the network that the terms name";
    /// It pays in another token.
    asset PAYMENT_REQUIRED "payment_asset" "pay in the token that the terms name";
    /// It pays somebody else.
    recipient PAYMENT_REQUIRED "payment_recipient" "pay whom the terms name";
    /// It pays another amount.
    amount PAYMENT_REQUIRED "payment_amount" "pay exactly what the terms ask";
    /// It is not good yet, not any more, or too soon not any more.
    time PAYMENT_REQUIRED "payment_time" "sign a payment that is good from now for as long as the terms ask; check the clock";
    /// Its signature is another's.
    signature PAYMENT_REQUIRED "payment_signature" "sign with the payer's key, for the token's name, version and chain";
    /// It was used before.
    replayed PAYMENT_REQUIRED "payment_used" "sign a new payment";
    /// Its payer does not have it.
    funds PAYMENT_REQUIRED "payment_funds" "fund the account";
    /// The token would refuse it.
    token PAYMENT_REQUIRED "payment_refused" "the token says why";
    /// Its payer let payments fail.
    barred FORBIDDEN "payer_barred" "come again in an hour";
    /// It was good, and could not be settled when the run was over.
    settlement PAYMENT_REQUIRED "settlement_failed" "the outcome is not given away; pay again";
    /// Too many runs.
    busy SERVICE_UNAVAILABLE "busy" "come again soon; nothing was charged";
    /// The chain does not answer, or our disk refuses.
    unavailable SERVICE_UNAVAILABLE "unavailable" "come again later; nothing was charged";
    /// What is to be run is too long, or did not come.
    body PAYLOAD_TOO_LARGE "body_bad" "send the program as the body, within the offer's limits";
    /// The request is none.
    request BAD_REQUEST "request_bad" "POST the program as the body; arguments as ?arg=…&arg=…";
    /// The node would not run it.
    run UNPROCESSABLE_ENTITY "run_refused" "nothing was charged; mend the program or its arguments";
    /// The network did not run it.
    failed BAD_GATEWAY "run_failed" "nothing was charged; try again";
    /// It took too long.
    timed_out GATEWAY_TIMEOUT "run_timed_out" "nothing was charged; use an offer with more time";
}
