//! What this node lends.

use axum::extract::State;

use super::{Answer, Node};
use crate::backend::Backend;
use crate::error::ErrorBody;
use crate::json::{Done, ProviderStatus};

/// What this node lends, and how that goes.
#[utoipa::path(get, path = "/v1/provider", tag = "provider",
    responses((status = 200, body = ProviderStatus), (status = "default", body = ErrorBody)))]
pub(crate) async fn provider<B: Backend>(State(node): Node<B>) -> Answer<ProviderStatus> {
    node.provider().await.map(axum::Json)
}

/// Rest: take nothing new, freeze what runs for others.
#[utoipa::path(post, path = "/v1/provider/pause", tag = "provider",
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn pause<B: Backend>(State(node): Node<B>) -> Answer<Done> {
    node.pause().await?;
    Ok(axum::Json(Done::default()))
}

/// Go on.
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
