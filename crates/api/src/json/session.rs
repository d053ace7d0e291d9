//! Logging a browser in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Schema;

/// A link that logs a browser in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginLink {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// The code, a secret: `POST /v1/session` takes it once.
    pub code: String,
    /// The dashboard's page that does so, to be put behind the node's address. What comes after
    /// the `#` is not sent to any server.
    pub path: String,
    /// How long it is good, in milliseconds.
    pub valid_ms: u64,
}

/// A code to exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The code of a login link.
    pub code: String,
}

/// The browser is logged in. Its cookie came in a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionJson {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// What requests carry in the header `X-Ayni-Key`; said once, when the session begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long it goes on, in milliseconds.
    pub left_ms: u64,
}
