//! The one error of the API: a code, what happened, and what to do. On the wire
//! `{"error":{"code","message","hint","retryable"}}` with the code's HTTP status.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::codes::{self, Code};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Which kind.
    pub code: &'static Code,
    /// What happened, with which value.
    pub message: String,
    /// What to do; the code's own if nothing better was said.
    pub hint: String,
    /// Trying again later may help.
    pub retryable: bool,
}

impl ApiError {
    /// An error of this kind.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: code.hint.to_owned(),
            retryable: code.retryable,
        }
    }

    /// The same with a better hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// A bug of ours, with its whole chain of causes.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(codes::NODE_INTERNAL, chain(error))
    }

    /// The body that is sent.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorJson {
                code: self.code.id.to_owned(),
                message: self.message.clone(),
                hint: self.hint.clone(),
                retryable: self.retryable,
            },
        }
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Why.
    pub error: ErrorJson,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorJson {
    /// Stable code; `ayni explain CODE` says more.
    pub code: String,
    /// What happened, with which value.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// Trying again later may help.
    pub retryable: bool,
}

impl From<ErrorJson> for ApiError {
    fn from(error: ErrorJson) -> Self {
        let (code, message) = match codes::find(&error.code) {
            Some(code) => (code, error.message),
            None => (codes::NODE_INTERNAL, format!("{} ({})", error.message, error.code)),
        };
        Self { code, message, hint: error.hint, retryable: error.retryable }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, axum::Json(self.body())).into_response()
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(codes::API_SIZE, "the JSON body is larger than 32 MiB");
        }
        let text = match &rejection {
            JsonRejection::MissingJsonContentType(_) => {
                "the body needs `Content-Type: application/json`".to_owned()
            }
            _ => chain(&rejection),
        };
        Self::new(codes::API_BODY, text)
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(codes::API_BODY, chain(&rejection))
    }
}
