//! Money: the node's account and its channels.

use axum::extract::{Path, State};

use super::{Answer, Node, id};
use crate::backend::Backend;
use crate::error::ErrorBody;
use crate::json::{ChannelList, Done, WalletJson};

/// The node's account.
#[utoipa::path(get, path = "/v1/wallet", tag = "money",
    responses((status = 200, body = WalletJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn wallet<B: Backend>(State(node): Node<B>) -> Answer<WalletJson> {
    node.wallet().await.map(axum::Json)
}

/// The node's channels.
#[utoipa::path(get, path = "/v1/channels", tag = "money",
    responses((status = 200, body = ChannelList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list_channels<B: Backend>(State(node): Node<B>) -> Answer<ChannelList> {
    node.channels().await.map(axum::Json)
}

/// Take back what a channel that this node pays from still holds.
#[utoipa::path(post, path = "/v1/channels/{id}/close", tag = "money",
    params(("id" = String, Path, description = "Channel id")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn close_channel<B: Backend>(
    State(node): Node<B>,
    Path(channel): Path<String>,
) -> Answer<Done> {
    node.close_channel(id(&channel)?).await?;
    Ok(axum::Json(Done::default()))
}

/// Claim in the chain everything that is earned and promised, however little.
#[utoipa::path(post, path = "/v1/claims", tag = "money",
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn claim<B: Backend>(State(node): Node<B>) -> Answer<Done> {
    node.claim().await?;
    Ok(axum::Json(Done::default()))
}
