//! What this node lends.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;

use super::{Answer, Json, Node};
use crate::backend::Backend;
use crate::error::ErrorBody;
use crate::json::{Done, OwnerLimits, PauseRequest, ProviderStatus};

/// What this node lends, and how that goes.
#[utoipa::path(get, path = "/v1/provider", tag = "provider",
    responses((status = 200, body = ProviderStatus), (status = "default", body = ErrorBody)))]
pub(crate) async fn provider<B: Backend>(State(node): Node<B>) -> Answer<ProviderStatus> {
    node.provider().await.map(axum::Json)
}

/// What the machine's owner lends, and when.
#[utoipa::path(get, path = "/v1/provider/limits", tag = "provider",
    responses((status = 200, body = OwnerLimits), (status = "default", body = ErrorBody)))]
pub(crate) async fn limits<B: Backend>(State(node): Node<B>) -> Answer<OwnerLimits> {
    node.limits().await.map(axum::Json)
}

/// Lend more or less from now on. It holds until it is set again, also after a restart; what no
/// longer fits is handed back at once.
#[utoipa::path(put, path = "/v1/provider/limits", tag = "provider", request_body = OwnerLimits,
    responses((status = 200, body = OwnerLimits), (status = "default", body = ErrorBody)))]
pub(crate) async fn set_limits<B: Backend>(
    State(node): Node<B>,
    body: Json<OwnerLimits>,
) -> Answer<OwnerLimits> {
    node.set_limits(Some(body?.0)).await.map(axum::Json)
}

/// Go back to what the settings say.
#[utoipa::path(delete, path = "/v1/provider/limits", tag = "provider",
    responses((status = 200, body = OwnerLimits), (status = "default", body = ErrorBody)))]
pub(crate) async fn reset_limits<B: Backend>(State(node): Node<B>) -> Answer<OwnerLimits> {
    node.set_limits(None).await.map(axum::Json)
}

/// Rest: take nothing new, hand back what others gave. Answered when nothing runs for others.
#[utoipa::path(post, path = "/v1/provider/pause", tag = "provider", request_body = PauseRequest,
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn pause<B: Backend>(
    State(node): Node<B>,
    body: Result<Option<axum::Json<PauseRequest>>, JsonRejection>,
) -> Answer<Done> {
    node.pause(body?.unwrap_or_default().0).await?;
    Ok(axum::Json(Done::default()))
}

/// Go on, as far as the owner's word goes: what a limit forbids stays at rest.
#[utoipa::path(post, path = "/v1/provider/resume", tag = "provider",
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn resume<B: Backend>(State(node): Node<B>) -> Answer<Done> {
    node.resume().await?;
    Ok(axum::Json(Done::default()))
}

/// Finish what runs, take nothing new. Answered when nothing runs for others any more.
#[utoipa::path(post, path = "/v1/provider/drain", tag = "provider",
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn drain<B: Backend>(State(node): Node<B>) -> Answer<Done> {
    node.drain().await?;
    Ok(axum::Json(Done::default()))
}
