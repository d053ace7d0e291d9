//! Bytes in and out, streamed.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt as _;

use super::{Answer, Json, Node, id};
use crate::backend::{Backend, BlobBody};
use crate::codes;
use crate::error::{ApiError, ErrorBody};
use crate::json::{BlobStored, MissingReply, MissingRequest, Raw, Schema, Text};
use crate::limits;

/// Keep these bytes. Putting bytes that are held is harmless.
#[utoipa::path(post, path = "/v1/blobs", tag = "blobs",
    request_body(content = Raw, content_type = "application/octet-stream"),
    responses((status = 200, body = BlobStored), (status = "default", body = ErrorBody)))]
pub(crate) async fn put_blob<B: Backend>(
    State(node): Node<B>,
    headers: HeaderMap,
    body: Body,
) -> Answer<BlobStored> {
    let too_large = || {
        let max = limits::BLOB_BYTES_MAX;
        ApiError::new(codes::API_SIZE, format!("the blob is larger than {max} bytes"))
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limits::BLOB_BYTES_MAX) {
        return Err(too_large());
    }
    let mut left = limits::BLOB_BYTES_MAX;
    let pieces = body.into_data_stream().map_err(std::io::Error::other);
    let counted = pieces.and_then(move |piece| {
        let over = left < piece.len() as u64;
        left = left.saturating_sub(piece.len() as u64);
        std::future::ready(if over {
            Err(std::io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(piece)
        })
    });
    let body: BlobBody = Box::pin(counted);
    node.put_blob(body).await.map(axum::Json)
}

/// Which of these blobs are not held?
#[utoipa::path(post, path = "/v1/blobs/missing", tag = "blobs", request_body = MissingRequest,
    responses((status = 200, body = MissingReply), (status = "default", body = ErrorBody)))]
pub(crate) async fn missing_blobs<B: Backend>(
    State(node): Node<B>,
    body: Json<MissingRequest>,
) -> Answer<MissingReply> {
    let digests = body?.0.digests;
    if digests.len() > limits::DIGESTS_PER_REQUEST_MAX {
        return Err(ApiError::new(
            codes::API_SIZE,
            format!("{} digests; at most {}", digests.len(), limits::DIGESTS_PER_REQUEST_MAX),
        ));
    }
    let mut missing = Vec::new();
    for Text(digest) in digests {
        if node.blob_size(digest).await?.is_none() {
            missing.push(Text(digest));
        }
    }
    Ok(axum::Json(MissingReply { schema: Schema, missing }))
}

/// Whether a blob is held, and its length.
#[utoipa::path(head, path = "/v1/blobs/{digest}", tag = "blobs",
    params(("digest" = String, Path, pattern = "^[0-9a-f]{64}$", description = "64 hex digits")),
    responses((status = 200, description = "Held; Content-Length is its size"),
        (status = 404, description = "Not held"),
        (status = "default", description = "Refused; the answer to `GET` says why")))]
pub(crate) async fn head_blob<B: Backend>(
    State(node): Node<B>,
    Path(digest): Path<String>,
) -> Result<Response, ApiError> {
    let digest = id(&digest)?;
    match node.blob_size(digest).await? {
        Some(size) => Ok(blob_response(size, Body::empty())),
        None => Ok(StatusCode::NOT_FOUND.into_response()),
    }
}

/// The bytes of a blob.
#[utoipa::path(get, path = "/v1/blobs/{digest}", tag = "blobs",
    params(("digest" = String, Path, pattern = "^[0-9a-f]{64}$", description = "64 hex digits")),
    responses((status = 200, body = Raw, content_type = "application/octet-stream"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn get_blob<B: Backend>(
    State(node): Node<B>,
    Path(digest): Path<String>,
) -> Result<Response, ApiError> {
    let digest = id(&digest)?;
    let Some(blob) = node.blob(digest).await? else {
        return Err(ApiError::new(codes::BLOB_UNKNOWN, format!("no blob {digest} here")));
    };
    Ok(blob_response(blob.size, Body::from_stream(blob.body)))
}

fn blob_response(size: u64, body: Body) -> Response {
    // A stranger's bytes: never to be shown as a page of this origin.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    (headers, body).into_response()
}
