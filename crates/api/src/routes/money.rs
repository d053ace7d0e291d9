//! Money: the node's account and its channels.

use axum::extract::{Path, State};

use ayni_types::Verify;
use ayni_types::limits::JOB_TASKS_MAX;

use super::{Answer, Json, Node, id};
use crate::backend::Backend;
use crate::codes;
use crate::error::{ApiError, ErrorBody};
use crate::json::{
    ChannelList, DisputeList, Done, ProposalList, QuoteJson, QuoteRequest, StakeJson, StakeRequest,
    VoteRequest, WalletJson,
};

/// The node's account.
#[utoipa::path(get, path = "/v1/wallet", tag = "money",
    responses((status = 200, body = WalletJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn wallet<B: Backend>(State(node): Node<B>) -> Answer<WalletJson> {
    node.wallet().await.map(axum::Json)
}

/// What a job would cost if it were submitted now. Nothing is submitted, and nothing is promised.
#[utoipa::path(post, path = "/v1/quote", tag = "money", request_body = QuoteRequest,
    responses((status = 200, body = QuoteJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn quote<B: Backend>(
    State(node): Node<B>,
    body: Json<QuoteRequest>,
) -> Answer<QuoteJson> {
    let request = body?.0;
    let bad = |why: String| Err(ApiError::new(codes::JOB_BAD, why));
    if request.tasks == 0 || request.tasks as usize > JOB_TASKS_MAX {
        return bad(format!("{} tasks; give 1 to {JOB_TASKS_MAX}", request.tasks));
    }
    let shares = [request.verify.audit_ppm, request.verify.error_ppm];
    if shares.into_iter().flatten().any(|share| share > 1_000_000) {
        return bad("a share above 1,000,000 millionths".to_owned());
    }
    if request.verify.error_ppm == Some(0) || request.verify.hostile_ppm >= 1_000_000 {
        return bad("no audit makes sure of that: see `POST /v1/jobs`".to_owned());
    }
    if !(1..=Verify::QUORUM_MAX).contains(&request.verify.quorum) {
        return bad(format!(
            "a quorum of {} is not between 1 and {}",
            request.verify.quorum,
            Verify::QUORUM_MAX
        ));
    }
    node.quote(request).await.map(axum::Json)
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

/// Votes on the contracts' parameters, and what the node's account can say in them.
#[utoipa::path(get, path = "/v1/proposals", tag = "money",
    responses((status = 200, body = ProposalList), (status = "default", body = ErrorBody)))]
pub(crate) async fn proposals<B: Backend>(State(node): Node<B>) -> Answer<ProposalList> {
    node.proposals().await.map(axum::Json)
}

/// Vote; answered when the chain has it.
#[utoipa::path(post, path = "/v1/proposals/{id}/vote", tag = "money", request_body = VoteRequest,
    params(("id" = String, Path, description = "The proposal's id")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn vote<B: Backend>(
    State(node): Node<B>,
    Path(proposal): Path<String>,
    body: Json<VoteRequest>,
) -> Answer<Done> {
    node.vote(proposal, body?.0).await?;
    Ok(axum::Json(Done::default()))
}
