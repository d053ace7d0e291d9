//! The routes, and the order of things: look at the payment, take the order, run it, settle, answer.
//!
//! Whoever hangs up before the end is not charged, and has no outcome. Whoever lets payments fail is
//! sent away for an hour. Deliberately not here: what a payment must be (`payment`, `cashier`).

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use ayni_chain::embedded::Clock;
use ayni_types::{Account, Amount};
use data_encoding::BASE64;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::backend::{Backend, Finished, Order, RunError};
use crate::book::{Book, Sale, SaleState};
use crate::cashier::{Cashier, Settlement};
use crate::payment::Payment;
use crate::refusal::Refusal;
use crate::terms::{Offer, Terms, TermsError};
use crate::wire;

/// A program must have come after this long.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// What came without a payment is listened to so long at most.
const UNPAID_TIMEOUT: Duration = Duration::from_secs(10);
/// Payments of one payer that may fail before it is sent away, and for how long.
const STRIKES_MAX: u32 = 3;
const BARRED_S: u64 = 3_600;
/// Payers that are remembered for failing: about 60 bytes each.
const BARRED_MAX: usize = 10_000;
/// Most arguments of a run, and bytes of all of them.
const ARGS_MAX: usize = 256;
const ARGS_BYTES_MAX: usize = 8 << 10;

/// See the module. Clones are the same shop.
pub struct Shop<B>(Arc<Inner<B>>);

impl<B> Clone for Shop<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<B> {
    terms: Terms,
    cashier: Cashier,
    backend: B,
    clock: Clock,
    places: Semaphore,
    book: Mutex<Book>,
    hands: Mutex<Hands>,
}

/// Payments that are in hand, and payers that let some fail.
#[derive(Default)]
struct Hands {
    payments: HashMap<String, (Account, Amount)>,
    /// How many failed, and until when that is remembered.
    strikes: HashMap<Account, (u32, u64)>,
}

impl<B: Backend> Shop<B> {
    /// Sells on these terms.
    ///
    /// # Errors
    /// If nothing can be sold on them.
    pub fn new(
        terms: Terms,
        cashier: Cashier,
        book: Book,
        backend: B,
        clock: Clock,
    ) -> Result<Self, TermsError> {
        terms.check()?;
        let places = Semaphore::new(terms.runs_max);
        let (book, hands) = (Mutex::new(book), Mutex::default());
        Ok(Self(Arc::new(Inner { terms, cashier, backend, clock, places, book, hands })))
    }

    /// Takes note of how settlements ended that were under way when the process ended.
    pub async fn catch_up(&self) {
        let open = lock(&self.0.book).unsettled().to_vec();
        for sale in open {
            let ended = self.0.cashier.outcome(&sale.payment).await;
            let (state, note) = match ended {
                Some(Settlement::Settled(tx)) => (SaleState::Settled, hex(&tx)),
                Some(Settlement::Refused(why)) => (SaleState::Refused, why),
                // The chain has yet to say; the next start asks again.
                Some(Settlement::Pending(_)) => continue,
                None => (SaleState::Refused, "it never reached the chain".to_owned()),
            };
            if let Err(error) = lock(&self.0.book).write(&Sale { state, note, ..sale }) {
                tracing::error!(%error, "a sale is not in the book");
            }
        }
    }
}

/// What is known behind a lock stays usable when somebody who held it panicked.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", data_encoding::HEXLOWER.encode(bytes))
}

/// The routes.
pub fn router<B: Backend>(shop: Shop<B>) -> Router {
    Router::new().route("/", get(list::<B>)).route("/run/{offer}", post(run::<B>)).with_state(shop)
}

/// Serves until `stop` is over, and then what is under way.
///
/// # Errors
/// If the listener fails.
pub async fn serve<B: Backend>(
    shop: Shop<B>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(shop)).with_graceful_shutdown(stop).await
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, kind, format!("{body}\n")).into_response()
}

fn with_header(mut response: Response, name: &'static str, value: &Value) -> Response {
    // Base64 is always a header.
    if let Ok(value) = HeaderValue::try_from(wire::to_header(value)) {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn list<B: Backend>(State(shop): State<Shop<B>>) -> Response {
    let terms = &shop.0.terms;
    let offers: Vec<Value> = terms
        .offers
        .iter()
        .map(|(name, offer)| {
            json!({
                "name": name,
                "url": format!("{}/run/{name}", terms.public_url),
                "description": offer.description,
                "limits": ayni_api::json::LimitsJson::from(offer.limits),
                "timeout_s": offer.timeout_s,
                "program_bytes_max": offer.program_bytes_max,
                "accepts": [wire::requirements(terms, offer, shop.0.cashier.domain())],
            })
        })
        .collect();
    answer(StatusCode::OK, &json!({ "x402Version": wire::VERSION, "offers": offers }))
}

async fn run<B: Backend>(
    State(shop): State<Shop<B>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(offer) = shop.0.terms.offers.get(&name).cloned() else {
        let refusal = Refusal::no_offer("nothing of that name is sold here");
        return answer(refusal.status, &error_body(&refusal));
    };
    match sell(&shop, &name, &offer, query.as_deref(), &headers, body).await {
        Ok(response) => response,
        Err(refusal) => refuse(&shop, &name, &offer, &refusal),
    }
}

fn error_body(refusal: &Refusal) -> Value {
    let Refusal { code, message, hint, .. } = refusal;
    json!({ "error": { "code": code, "message": message, "hint": hint } })
}

/// What is refused for the payment's sake says once more how it is paid.
fn refuse<B: Backend>(shop: &Shop<B>, name: &str, offer: &Offer, refusal: &Refusal) -> Response {
    if refusal.status != StatusCode::PAYMENT_REQUIRED {
        let mut response = answer(refusal.status, &error_body(refusal));
        if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        return response;
    }
    let said = format!("{}: {}", refusal.code, refusal.message);
    let required = wire::required(&shop.0.terms, name, offer, shop.0.cashier.domain(), &said);
    let mut body = required.clone();
    body["code"] = refusal.code.into();
    body["hint"] = refusal.hint.into();
    with_header(answer(refusal.status, &body), wire::REQUIRED, &required)
}

async fn sell<B: Backend>(
    shop: &Shop<B>,
    name: &str,
    offer: &Offer,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let inner = &shop.0;
    let Some(header) = headers.get(wire::SIGNATURE) else {
        // Heard to its end, as far as it may be long: some clients listen only then.
        drop(tokio::time::timeout(UNPAID_TIMEOUT, drain(body, offer.program_bytes_max)).await);
        return Err(Refusal::unpaid(format!("a run of {name:?} costs {}", offer.price)));
    };
    let args = arguments(query)?;
    let now_s = (inner.clock)();
    let domain = inner.cashier.domain();
    let payment = Payment::read(header.as_bytes(), &inner.terms, offer, domain, now_s)?;
    let Ok(_place) = inner.places.try_acquire() else {
        let runs = inner.terms.runs_max;
        return Err(Refusal::busy(format!("{runs} runs are under way, and no more are taken")));
    };
    let (mut in_hand, beside) = InHand::take(inner, &payment, now_s)?;
    inner.cashier.check(&payment, beside).await?;
    let program = read(body, offer.program_bytes_max).await?;
    let timeout = Duration::from_secs(offer.timeout_s);
    let order = Order { program: program.to_vec(), args, limits: offer.limits, timeout };
    in_hand.is_free = false;
    let ran = tokio::time::timeout(timeout, inner.backend.run(order)).await;
    let ran = ran.unwrap_or(Err(RunError::TimedOut(offer.timeout_s)));
    let finished = in_hand.free_on(ran.map_err(|error| match error {
        RunError::Refused(_) => Refusal::run(error.to_string()),
        RunError::Failed(_) => Refusal::failed(error.to_string()),
        RunError::TimedOut(_) => Refusal::timed_out(error.to_string()),
    }))?;
    // From here on it is over for good, whoever listens.
    let settling = settle(shop.clone(), in_hand, payment, name.to_owned(), finished);
    match tokio::spawn(settling).await {
        Ok(sold) => sold,
        Err(error) => Err(Refusal::unavailable(error.to_string())),
    }
}

async fn settle<B: Backend>(
    shop: Shop<B>,
    mut in_hand: InHand<B>,
    payment: Payment,
    name: String,
    finished: Finished,
) -> Result<Response, Refusal> {
    let inner = &shop.0;
    let chain = inner.cashier.domain().chain;
    let (payer, amount) = (payment.authorization.from, payment.authorization.value.to_string());
    let sale = Sale {
        payment: payment.id(),
        time_s: (inner.clock)(),
        offer: name,
        amount: amount.clone(),
        valid_before_s: payment.authorization.valid_before_s,
        outcome: finished.outcome.digest.0.to_string(),
        state: SaleState::Settling,
        note: String::new(),
    };
    in_hand.free_on(write(&shop, sale.clone()).await)?;
    let settlement = match inner.cashier.settle(&payment).await {
        Ok(settlement) => settlement,
        Err(error) => {
            in_hand.free();
            tracing::error!(%error, "a payment can't be settled");
            return Err(Refusal::unavailable("the payment can't be settled now"));
        }
    };
    let settled = match settlement {
        Settlement::Settled(tx) => {
            in_hand.free();
            let note = hex(&tx);
            let said = wire::settled(chain, &payer.to_string(), &note, &amount);
            // It is paid, whatever the book says.
            drop(write(&shop, Sale { state: SaleState::Settled, note, ..sale }).await);
            said
        }
        Settlement::Pending(why) => {
            in_hand.free();
            wire::not_settled(chain, &payer.to_string(), "settlement_pending", &why)
        }
        Settlement::Refused(why) => {
            // A strike: the work was done.
            drop(in_hand);
            let (state, note) = (SaleState::Refused, why.clone());
            drop(write(&shop, Sale { state, note, ..sale }).await);
            return Err(Refusal::settlement(format!("the payment is not good any more: {why}")));
        }
    };
    let body = sold(&finished, &settled);
    Ok(with_header(answer(StatusCode::OK, &body), wire::RESPONSE, &settled))
}

async fn write<B: Backend>(shop: &Shop<B>, sale: Sale) -> Result<(), Refusal> {
    let shop = shop.clone();
    let written = tokio::task::spawn_blocking(move || lock(&shop.0.book).write(&sale)).await;
    let why = match written {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::error!(%why, "a sale is not in the book");
    Err(Refusal::unavailable("the sale can't be written down"))
}

fn sold(finished: &Finished, settled: &Value) -> Value {
    let files: Vec<Value> = finished
        .files
        .iter()
        .map(|(path, bytes)| json!({ "path": path, "base64": BASE64.encode(bytes) }))
        .collect();
    json!({
        "schema": 1,
        "outcome": finished.outcome,
        "stdout_base64": BASE64.encode(&finished.stdout),
        "stderr_base64": BASE64.encode(&finished.stderr),
        "files": files,
        "provider": finished.provider,
        "verification": finished.verification,
        "receipt_base64": finished.receipt.as_ref().map(|bytes| BASE64.encode(bytes)),
        "settlement": settled,
    })
}

/// Listens, and keeps nothing.
async fn drain(body: Body, bytes_max: usize) {
    let (mut pieces, mut bytes) = (body.into_data_stream(), 0);
    while let Some(Ok(piece)) = pieces.next().await {
        bytes += piece.len();
        if bytes > bytes_max {
            return;
        }
    }
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let reading = axum::body::to_bytes(body, bytes_max);
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            Err(Refusal::body(format!("the program, of at most {bytes_max} bytes: {error}")))
        }
        Err(_) => {
            let seconds = BODY_TIMEOUT.as_secs();
            Err(Refusal::body(format!("the program did not come in {seconds} s")))
        }
    }
}

/// `arg=…&arg=…`, in order.
fn arguments(query: Option<&str>) -> Result<Vec<String>, Refusal> {
    let mut args = Vec::new();
    let query = query.unwrap_or_default();
    if query.len() > 3 * ARGS_BYTES_MAX {
        return Err(Refusal::request(format!("the query has {} bytes", query.len())));
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let Some(value) = part.strip_prefix("arg=") else {
            let part: String = part.chars().take(80).collect();
            return Err(Refusal::request(format!("{part:?} is no argument")));
        };
        let text = unescape(value)
            .ok_or_else(|| Refusal::request(format!("argument {} is no text", args.len() + 1)))?;
        args.push(text);
    }
    let bytes: usize = args.iter().map(String::len).sum();
    if args.len() > ARGS_MAX || bytes > ARGS_BYTES_MAX {
        let text = format!("{} arguments of {bytes} bytes are too many", args.len());
        return Err(Refusal::request(text));
    }
    Ok(args)
}

fn unescape(value: &str) -> Option<String> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                *data_encoding::HEXLOWER_PERMISSIVE.decode(&digits).ok()?.first()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok().filter(|text| !text.contains('\0'))
}

/// A payment in hand. If it is let go of once its program runs, and nothing says otherwise, its payer
/// is to blame: it hung up, or its money had gone.
struct InHand<B> {
    shop: Arc<Inner<B>>,
    id: String,
    payer: Account,
    /// Nobody is to blame.
    is_free: bool,
}

impl<B> InHand<B> {
    /// Takes it, and says how much else of its payer's is in hand.
    fn take(
        shop: &Arc<Inner<B>>,
        payment: &Payment,
        now_s: u64,
    ) -> Result<(Self, Amount), Refusal> {
        let (id, payer) = (payment.id(), payment.authorization.from);
        if lock(&shop.book).knows(&id) {
            return Err(Refusal::replayed(format!("payment {id} was used")));
        }
        let mut hands = lock(&shop.hands);
        if let Some((strikes, until_s)) = hands.strikes.get(&payer)
            && *strikes >= STRIKES_MAX
            && now_s < *until_s
        {
            let text = format!("{strikes} payments of {payer} failed when its runs were over");
            return Err(Refusal::barred(text));
        }
        if hands.payments.contains_key(&id) {
            return Err(Refusal::replayed(format!("payment {id} is being used")));
        }
        let its = hands.payments.values().filter(|(of, _)| *of == payer);
        let beside = its.fold(0_u128, |sum, (_, amount)| sum.saturating_add(amount.0));
        hands.payments.insert(id.clone(), (payer, payment.authorization.value));
        drop(hands);
        Ok((Self { shop: shop.clone(), id, payer, is_free: true }, Amount(beside)))
    }

    /// It is over, and nobody is to blame.
    fn free(&mut self) {
        self.is_free = true;
    }

    fn free_on<T>(&mut self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        if result.is_err() {
            self.free();
        }
        result
    }
}

impl<B> Drop for InHand<B> {
    fn drop(&mut self) {
        let mut hands = lock(&self.shop.hands);
        hands.payments.remove(&self.id);
        if self.is_free {
            return;
        }
        let now_s = (self.shop.clock)();
        if hands.strikes.len() >= BARRED_MAX {
            hands.strikes.retain(|_, (_, until_s)| *until_s > now_s);
        }
        if hands.strikes.len() < BARRED_MAX {
            let (strikes, until_s) = hands.strikes.entry(self.payer).or_default();
            if *until_s <= now_s {
                *strikes = 0;
            }
            *strikes += 1;
            *until_s = now_s + BARRED_S;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_in_order_and_nothing_else_does() {
        let good = arguments(Some("arg=a+b&arg=%2Fetc&arg=")).expect("good");
        assert_eq!(good, ["a b", "/etc", ""]);
        assert_eq!(arguments(None), Ok(Vec::new()));
        for bad in ["env=1", "arg=%0", "arg=%ff", "arg=%00", "arg=%zz"] {
            assert_eq!(arguments(Some(bad)).expect_err(bad).code, "request_bad");
        }
        let many = "arg=1&".repeat(ARGS_MAX + 1);
        assert_eq!(arguments(Some(&many)).expect_err("many").code, "request_bad");
    }
}
