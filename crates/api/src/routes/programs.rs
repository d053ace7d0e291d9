//! Programs and receipts looked at, and tasks run, on this machine.
#![allow(unused_qualifications)] // utoipa writes `IntoParams` names out in full

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use ayni_types::TaskSpec;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Json, Node, Params};
use crate::backend::Backend;
use crate::codes;
use crate::error::{ApiError, ErrorBody};
use crate::json::{CheckJson, CheckRequest, ExecReport, ExecRequest, Raw, VerifyReport};
use crate::limits;

/// Run one task here, in a jail, without the network. The outcome is the one that any provider
/// would have.
#[utoipa::path(post, path = "/v1/exec", tag = "programs", request_body = ExecRequest,
    responses((status = 200, body = ExecReport), (status = "default", body = ErrorBody)))]
pub(crate) async fn exec<B: Backend>(
    State(node): Node<B>,
    body: Json<ExecRequest>,
) -> Answer<ExecReport> {
    let request = body?.0;
    if request.timeout_ms == 0 {
        let why = "a timeout of 0 ms leaves the task no time to start";
        return Err(ApiError::new(codes::TASK_BAD, why));
    }
    node.exec(TaskSpec::try_from(request.task)?, request.timeout_ms).await.map(axum::Json)
}

/// Will this program run, and why not?
#[utoipa::path(post, path = "/v1/check", tag = "programs", request_body = CheckRequest,
    responses((status = 200, body = CheckJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn check<B: Backend>(
    State(node): Node<B>,
    body: Json<CheckRequest>,
) -> Answer<CheckJson> {
    node.check(body?.0.program.0).await.map(axum::Json)
}

/// How far to go.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerifyQuery {
    /// Execute the task again here and compare.
    re_execute: bool,
}

/// Check a receipt: its form, digests, proof, signatures and price, one step after the other. Or
/// a proof that a provider signed two roots for one batch.
#[utoipa::path(post, path = "/v1/verify", tag = "programs", params(VerifyQuery),
    request_body(content = Raw, content_type = "application/cbor"),
    responses((status = 200, body = VerifyReport), (status = "default", body = ErrorBody)))]
pub(crate) async fn verify<B: Backend>(
    State(node): Node<B>,
    query: Params<VerifyQuery>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<VerifyReport> {
    let body = body.map_err(|_| {
        let max = limits::RECEIPT_BYTES_MAX;
        ApiError::new(codes::API_SIZE, format!("the receipt is larger than {max} bytes"))
    })?;
    node.verify(body, query?.0.re_execute).await.map(axum::Json)
}
