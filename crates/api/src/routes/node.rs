//! The node itself and whom it knows.
#![allow(unused_qualifications)] // utoipa writes `IntoParams` names out in full

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Json, Node, Params, id};
use crate::backend::Backend;
use crate::error::{ApiError, ErrorBody};
use crate::json::{
    Doctor, Done, Identity, InviteRequest, JoinRequest, Joined, OfferList, PeerList, ProofList,
    Status, TicketJson, Why,
};
use crate::metrics;

/// The process is alive. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "node", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The node has read its journal and takes requests. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "node", security(()),
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = 503, description = "Not yet")))]
pub(crate) async fn readyz<B: Backend>(State(node): Node<B>) -> (StatusCode, &'static str) {
    if node.ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    }
}

/// What the node counts, as Prometheus scrapes it. Needs no token; no ids, no addresses, no money.
#[utoipa::path(get, path = "/metrics", tag = "node", security(()),
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn metrics<B: Backend>(
    State(node): Node<B>,
) -> Result<impl IntoResponse, ApiError> {
    let (status, list) = (node.status().await?, node.jobs().await?);
    let process = metrics::Process::read();
    let text = metrics::text(&status, &list.jobs, process.as_ref());
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "node",
    responses((status = 200, description = "OpenAPI 3.1"), (status = "default", body = ErrorBody)))]
pub(crate) async fn openapi_json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi())
}

/// How the node is.
#[utoipa::path(get, path = "/v1/status", tag = "node",
    responses((status = 200, body = Status), (status = "default", body = ErrorBody)))]
pub(crate) async fn status<B: Backend>(State(node): Node<B>) -> Answer<Status> {
    node.status().await.map(axum::Json)
}

/// Who the node is.
#[utoipa::path(get, path = "/v1/id", tag = "node",
    responses((status = 200, body = Identity), (status = "default", body = ErrorBody)))]
pub(crate) async fn identity<B: Backend>(State(node): Node<B>) -> Answer<Identity> {
    node.identity().await.map(axum::Json)
}

/// Whom the node knows.
#[utoipa::path(get, path = "/v1/peers", tag = "node",
    responses((status = 200, body = PeerList), (status = "default", body = ErrorBody)))]
pub(crate) async fn peers<B: Backend>(State(node): Node<B>) -> Answer<PeerList> {
    node.peers().await.map(axum::Json)
}

/// Contact the nodes that a ticket names, or one address.
#[utoipa::path(post, path = "/v1/peers", tag = "node", request_body = JoinRequest,
    responses((status = 200, body = Joined), (status = "default", body = ErrorBody)))]
pub(crate) async fn join<B: Backend>(
    State(node): Node<B>,
    body: Json<JoinRequest>,
) -> Answer<Joined> {
    match body?.0 {
        JoinRequest::Ticket { ticket } => node.join_ticket(ticket).await,
        JoinRequest::Addr { addr } => node.join_addr(addr.into()).await,
    }
    .map(axum::Json)
}

/// Make a join ticket.
#[utoipa::path(post, path = "/v1/invites", tag = "node", request_body = InviteRequest,
    responses((status = 200, body = TicketJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn invite<B: Backend>(
    State(node): Node<B>,
    body: Json<InviteRequest>,
) -> Answer<TicketJson> {
    node.invite(body?.0.valid_ms).await.map(axum::Json)
}

/// Whether to ask first.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct OffersQuery {
    /// Ask the directories now.
    refresh: bool,
}

/// Offers that the node knows.
#[utoipa::path(get, path = "/v1/offers", tag = "node", params(OffersQuery),
    responses((status = 200, body = OfferList), (status = "default", body = ErrorBody)))]
pub(crate) async fn offers<B: Backend>(
    State(node): Node<B>,
    query: Params<OffersQuery>,
) -> Answer<OfferList> {
    node.offers(query?.0.refresh).await.map(axum::Json)
}

/// About what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhyQuery {
    /// A job's id; matching in general if left out.
    job: Option<String>,
}

/// Proofs that a provider signed two roots for one batch, found here or shown by others. Each
/// stands alone.
#[utoipa::path(get, path = "/v1/proofs", tag = "node",
    responses((status = 200, body = ProofList), (status = "default", body = ErrorBody)))]
pub(crate) async fn proofs<B: Backend>(State(node): Node<B>) -> Answer<ProofList> {
    node.proofs().await.map(axum::Json)
}

/// Why things go as they go: each provider that was considered, and why not it.
#[utoipa::path(get, path = "/v1/why", tag = "node", params(WhyQuery),
    responses((status = 200, body = Why), (status = "default", body = ErrorBody)))]
pub(crate) async fn why<B: Backend>(State(node): Node<B>, query: Params<WhyQuery>) -> Answer<Why> {
    let job = query?.0.job.as_deref().map(id).transpose()?;
    node.why(job).await.map(axum::Json)
}

/// What the node finds when it looks at itself and its machine.
#[utoipa::path(get, path = "/v1/doctor", tag = "node",
    responses((status = 200, body = Doctor), (status = "default", body = ErrorBody)))]
pub(crate) async fn doctor<B: Backend>(State(node): Node<B>) -> Answer<Doctor> {
    node.doctor().await.map(axum::Json)
}

/// Stop the node. Jobs stay in its journal and go on when it starts again.
#[utoipa::path(post, path = "/v1/shutdown", tag = "node",
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn shutdown<B: Backend>(
    State(node): Node<B>,
) -> Result<axum::Json<Done>, ApiError> {
    node.shutdown().await?;
    Ok(axum::Json(Done::default()))
}
