//! Money: the node's account and its channels.

use axum::extract::{Path, State};

use super::{Answer, Json, Node, id};
use crate::backend::Backend;
use crate::error::ErrorBody;
use crate::json::{ChannelList, DisputeList, Done, StakeJson, StakeRequest, WalletJson};

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

/// What the node's account has at stake.
#[utoipa::path(get, path = "/v1/stake", tag = "money",
    responses((status = 200, body = StakeJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn stake<B: Backend>(State(node): Node<B>) -> Answer<StakeJson> {
    node.stake().await.map(axum::Json)
}

/// Take a step with stake; answered when the chain has it.
#[utoipa::path(post, path = "/v1/stake", tag = "money", request_body = StakeRequest,
    responses((status = 200, body = StakeJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn change_stake<B: Backend>(
    State(node): Node<B>,
    body: Json<StakeRequest>,
) -> Answer<StakeJson> {
    node.change_stake(body?.0).await.map(axum::Json)
}

/// Disputes that the node is a party or a juror of.
#[utoipa::path(get, path = "/v1/disputes", tag = "money",
    responses((status = 200, body = DisputeList), (status = "default", body = ErrorBody)))]
pub(crate) async fn disputes<B: Backend>(State(node): Node<B>) -> Answer<DisputeList> {
    node.disputes().await.map(axum::Json)
}

/// Ask for a larger jury: it costs a bond, which comes back if the ruling changes.
#[utoipa::path(post, path = "/v1/disputes/{id}/appeal", tag = "money",
    params(("id" = u64, Path, description = "The dispute's number")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn appeal<B: Backend>(
    State(node): Node<B>,
    Path(dispute): Path<String>,
) -> Answer<Done> {
    node.appeal(id(&dispute)?).await?;
    Ok(axum::Json(Done::default()))
}
