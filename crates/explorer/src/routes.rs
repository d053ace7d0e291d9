//! What may be asked: four things to be read, one to be checked, and the files of the page.
//!
//! Any `Host` will do, for all of it is public; pages of other origins are told nothing, because no
//! answer allows it. An answer never repeats what was asked, but ids that were read as such.

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ayni_api::json::{Schema, Side, Text};
use ayni_api::{ApiError, codes};
use ayni_types::{ChannelId, NodeId};
use tokio::net::TcpListener;

use crate::door::Door;
use crate::shapes::{Channel, Dispute, Market, Offer, Proof, Provider, Report};
use crate::source::Source;

/// Largest receipt that is checked, in bytes; nearly all are far smaller. A limit of the door.
const RECEIPT_BYTES_MAX: usize = 256 << 10;
/// It must have come after this long.
const BODY_MAX: Duration = Duration::from_secs(10);
/// What an answer may be kept for by a proxy: less than this process keeps its own.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=1");

type Answer<T> = Result<Json<T>, ApiError>;
/// What stands for an id in a path, if it is text.
type Id = Result<Path<String>, PathRejection>;

/// All routes.
pub fn router(source: Source) -> Router {
    Router::new()
        .route("/v1/market", get(market))
        .route("/v1/providers/{id}", get(provider))
        .route("/v1/channels/{id}", get(channel))
        .route("/v1/disputes/{id}", get(dispute))
        .route("/v1/verify", post(verify))
        .fallback(file)
        .method_not_allowed_fallback(no_method)
        .layer(axum::middleware::from_fn(rules))
        .with_state(source)
}

/// Serves until `stop` is done.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    source: Source,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    ayni_api::serve::<Door>(Door::new(listener), router(source), stop).await
}

async fn rules(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = next.run(request).await;
    let (is_ok, headers) = (response.status().is_success(), response.headers_mut());
    if is_read && is_ok {
        headers.entry(header::CACHE_CONTROL).or_insert(KEEP);
    }
    // The door counts connections, and each is for one request.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    ayni_api::harden(headers);
    response
}

async fn market(State(source): State<Source>) -> Answer<Market> {
    let offers = source.offers().await?.offers.iter().map(Offer::from).collect();
    Ok(Json(Market { schema: Schema, offers }))
}

async fn provider(State(source): State<Source>, node: Id) -> Answer<Provider> {
    let node: Text<NodeId> = Text(read(&node, "a provider's id is `did:key:` and what follows")?);
    let offers = source.offers().await?;
    let offer = offers.offers.iter().find(|offer| offer.node == node).map(Offer::from);
    let proofs = source.proofs().await?;
    let proofs: Vec<_> =
        proofs.proofs.iter().filter(|proof| proof.provider == node).map(Proof::from).collect();
    // Its offer names the account that is paid, and so does each channel to it.
    let channels = source.channels().await?;
    let accounts: Vec<_> = channels
        .channels
        .iter()
        .filter(|channel| channel.peer == node && channel.side == Side::Payer)
        .map(|channel| channel.payee)
        .collect();
    let disputes = source.disputes().await?;
    let disputes: Vec<_> = disputes
        .disputes
        .iter()
        .filter(|dispute| accounts.contains(&dispute.provider))
        .map(Dispute::from)
        .collect();
    if offer.is_none() && proofs.is_empty() && disputes.is_empty() {
        return Err(unknown(format!("no provider {node}")));
    }
    Ok(Json(Provider { schema: Schema, node, offer, proofs, disputes }))
}

async fn channel(State(source): State<Source>, id: Id) -> Answer<Channel> {
    let id: Text<ChannelId> = Text(read(&id, "a channel's id is 64 hex digits")?);
    let channels = source.channels().await?;
    let found = channels.channels.iter().find(|channel| channel.id == id);
    found.and_then(Channel::seen).map(Json).ok_or_else(|| unknown(format!("no channel {id}")))
}

async fn dispute(State(source): State<Source>, id: Id) -> Answer<Dispute> {
    let id: u64 = read(&id, "a dispute's id is its number")?;
    let disputes = source.disputes().await?;
    let found = disputes.disputes.iter().find(|dispute| dispute.id == id);
    found.map(|found| Json(found.into())).ok_or_else(|| unknown(format!("no dispute {id}")))
}

async fn verify(
    State(source): State<Source>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Report>, ApiError> {
    // A kind that a page of another origin can't send unasked: nobody's visitors check receipts here.
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/cbor") {
        let text = "a receipt comes with `Content-Type: application/cbor`";
        return Err(ApiError::new(codes::API_BODY, text).hint("send the file `receipt` as it is"));
    }
    let large = || {
        let text = format!("at most {RECEIPT_BYTES_MAX} bytes are checked here");
        ApiError::new(codes::API_SIZE, text).hint("`ayni verify` checks larger receipts")
    };
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if said
        .and_then(|length| length.parse().ok())
        .is_some_and(|n: u64| n > RECEIPT_BYTES_MAX as u64)
    {
        return Err(large());
    }
    let reading = axum::body::to_bytes(body, RECEIPT_BYTES_MAX);
    let Ok(bytes) = tokio::time::timeout(BODY_MAX, reading).await else {
        let text = format!("the receipt did not come in {} s", BODY_MAX.as_secs());
        return Err(ApiError::new(codes::API_BODY, text).hint("send it at once"));
    };
    let bytes = bytes.map_err(|_| large())?;
    Ok(Json(source.verify(bytes.to_vec()).await?.into()))
}

async fn file(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return no_method().await;
    }
    ayni_api::explorer_file(request.uri().path()).unwrap_or_else(|| {
        let error = ApiError::new(codes::API_ROUTE, "nothing is here");
        error.hint("the page is at `/`, the offers at `/v1/market`").into_response()
    })
}

async fn no_method() -> Response {
    let error = ApiError::new(codes::API_ROUTE, "all here can be read only")
        .hint("use GET; receipts are checked by POST to `/v1/verify`");
    let mut response = (StatusCode::METHOD_NOT_ALLOWED, Json(error.body())).into_response();
    let allowed = HeaderValue::from_static("GET, HEAD, POST");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

fn read<T: FromStr>(id: &Id, form: &'static str) -> Result<T, ApiError> {
    let text = id.as_ref().map_or("", |Path(text)| text.as_str());
    text.parse().map_err(|_| {
        let known = |c: char| c.is_ascii_alphanumeric() || ":._-".contains(c);
        let shown: String = text.chars().take(80).map(|c| if known(c) { c } else { '?' }).collect();
        ApiError::new(codes::API_ID, format!("`{shown}` is not such an id")).hint(form)
    })
}

fn unknown(what: String) -> ApiError {
    ApiError::new(codes::EXPLORER_UNKNOWN, format!("{what} is known here"))
}
