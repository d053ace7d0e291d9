//! The routes: parse, ask the backend, answer. No behaviour of a node lives here.

pub(crate) mod blobs;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod money;
pub(crate) mod node;
pub(crate) mod page;
pub(crate) mod programs;
pub(crate) mod provider;
pub(crate) mod session;

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, head, post};
use axum::serve::Listener;

use crate::backend::Backend;
use crate::codes;
use crate::error::ApiError;
use crate::limits;
use crate::security::Security;
use crate::session::Sessions;
use session::Guard;

/// The JSON body of a request, or why it is none.
type Json<T> = Result<axum::Json<T>, JsonRejection>;
/// The query of a request, or why it is none.
type Params<T> = Result<Query<T>, QueryRejection>;
/// The backend.
type Node<B> = State<Arc<B>>;
/// What a handler answers.
type Answer<T> = Result<axum::Json<T>, ApiError>;

/// All routes over `backend`.
pub fn router<B: Backend>(backend: Arc<B>, security: Security) -> Router {
    let guard = Arc::new(Guard { security, sessions: Sessions::default() });
    let login = Router::new()
        .route("/v1/session", post(session::begin))
        .layer(DefaultBodyLimit::max(limits::LOGIN_BYTES_MAX))
        .with_state(guard.clone());
    let sessions = Router::new()
        .route("/v1/session", get(session::show).delete(session::end))
        .route("/v1/login-links", post(session::login_link))
        .with_state(guard.clone());
    let guarded = Router::new()
        .merge(sessions)
        .route("/openapi.json", get(node::openapi_json))
        .route("/v1/status", get(node::status::<B>))
        .route("/v1/id", get(node::identity::<B>))
        .route("/v1/peers", get(node::peers::<B>).post(node::join::<B>))
        .route("/v1/invites", post(node::invite::<B>))
        .route("/v1/offers", get(node::offers::<B>))
        .route("/v1/proofs", get(node::proofs::<B>))
        .route("/v1/why", get(node::why::<B>))
        .route("/v1/doctor", get(node::doctor::<B>))
        .route("/v1/shutdown", post(node::shutdown::<B>))
        .route("/v1/blobs", post(blobs::put_blob::<B>).layer(DefaultBodyLimit::disable()))
        .route("/v1/blobs/missing", post(blobs::missing_blobs::<B>))
        .route("/v1/blobs/{digest}", head(blobs::head_blob::<B>).get(blobs::get_blob::<B>))
        .route("/v1/jobs", get(jobs::list_jobs::<B>).post(jobs::submit_job::<B>))
        .route("/v1/jobs/{id}", get(jobs::get_job::<B>))
        .route("/v1/jobs/{id}/tasks", get(jobs::list_tasks::<B>).post(jobs::add_tasks::<B>))
        .route("/v1/jobs/{id}/tasks/{index}", get(jobs::get_task::<B>))
        .route("/v1/jobs/{id}/tasks/{index}/receipt", get(jobs::get_receipt::<B>))
        .route("/v1/jobs/{id}/close", post(jobs::close_job::<B>))
        .route("/v1/jobs/{id}/cancel", post(jobs::cancel_job::<B>))
        .route("/v1/jobs/{id}/evidence", get(jobs::get_evidence::<B>))
        .route("/v1/jobs/{id}/events", get(events::job_events::<B>))
        .route("/v1/events", get(events::all_events::<B>))
        .route("/v1/exec", post(programs::exec::<B>))
        .route("/v1/check", post(programs::check::<B>))
        .route(
            "/v1/verify",
            post(programs::verify::<B>).layer(DefaultBodyLimit::max(limits::RECEIPT_BYTES_MAX)),
        )
        .route("/v1/provider", get(provider::provider::<B>))
        .route(
            "/v1/provider/limits",
            get(provider::limits::<B>)
                .put(provider::set_limits::<B>)
                .delete(provider::reset_limits::<B>),
        )
        .route("/v1/provider/pause", post(provider::pause::<B>))
        .route("/v1/provider/resume", post(provider::resume::<B>))
        .route("/v1/provider/drain", post(provider::drain::<B>))
        .route("/v1/quote", post(money::quote::<B>))
        .route("/v1/wallet", get(money::wallet::<B>))
        .route("/v1/channels", get(money::list_channels::<B>))
        .route("/v1/channels/{id}/close", post(money::close_channel::<B>))
        .route("/v1/claims", post(money::claim::<B>))
        .route("/v1/stake", get(money::stake::<B>).post(money::change_stake::<B>))
        .route("/v1/disputes", get(money::disputes::<B>))
        .route("/v1/disputes/{id}/appeal", post(money::appeal::<B>))
        .route("/v1/proposals", get(money::proposals::<B>))
        .route("/v1/proposals/{id}/vote", post(money::vote::<B>))
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .layer(axum::middleware::from_fn_with_state(guard.clone(), session::require_login));
    Router::new()
        .route("/healthz", get(node::healthz))
        .route("/readyz", get(node::readyz::<B>))
        .route("/metrics", get(node::metrics::<B>))
        .merge(login)
        .merge(guarded)
        .layer(DefaultBodyLimit::max(limits::JSON_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(guard, require_place))
        .with_state(backend)
}

/// Serves `router` until `stop` is done, then lets requests in flight end for two seconds at most
/// (event streams never end by themselves).
///
/// # Errors
/// When the listener fails.
pub async fn serve<L: Listener<Addr: std::fmt::Debug>>(
    listener: L,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let stopping = Arc::new(tokio::sync::Notify::new());
    let seen = Arc::clone(&stopping);
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        seen.notify_one();
    });
    tokio::select! {
        done = async { server.await } => done,
        () = async {
            stopping.notified().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        } => Ok(()),
    }
}

async fn require_place(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if let Err(error) = guard.security.check_place(request.uri(), request.headers()) {
        return error.into_response();
    }
    let mut response = match page::file(&request) {
        Some(file) => file,
        None => next.run(request).await,
    };
    page::harden(response.headers_mut());
    response
}

async fn no_route(request: Request) -> ApiError {
    let path: String = request.uri().path().chars().take(200).collect();
    ApiError::new(codes::API_ROUTE, format!("no route {} {path}", request.method()))
}

/// Parses an id that came in a path or a query.
fn id<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error: T::Err| ApiError::new(codes::API_ID, error.to_string()))
}
