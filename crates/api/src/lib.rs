//! The local HTTP API of a node: its JSON shapes, its error codes, its routes over a trait that the
//! node implements, its OpenAPI description and a typed client.
//!
//! The JSON types are types of their own, converted from and to `ayni-types` at this border, so
//! that the wire and the journal may change without breaking a script, and the reverse.
//! Deliberately not here: what any request does (the node implements [`Backend`]), and every port
//! but the loopback one.
//!
//! - [`json`]: what is said
//! - [`codes`], [`ApiError`]: what is said when it fails
//! - [`Backend`]: what a node has to be able to do
//! - [`router`], [`serve`], [`Security`]: how it is reached, and by whom
//! - [`metrics`]: what a scraper counts
//! - the dashboard's files, and how a browser is logged in (`routes/page`, `session`)
//! - [`Endpoint`], [`Token`]: how a program on this machine finds a running node
//! - [`Client`]: the other side

mod backend;
pub mod client;
pub mod codes;
mod endpoint;
mod error;
pub mod json;
pub mod limits;
pub mod metrics;
mod openapi;
mod routes;
mod security;
mod session;

pub use backend::{Backend, BlobBody, BlobRead, EventStream};
pub use client::Client;
pub use endpoint::{Endpoint, EndpointError, Token};
pub use error::ApiError;
pub use openapi::openapi;
pub use routes::page::{explorer_file, harden};
pub use routes::{router, serve};
pub use security::Security;
