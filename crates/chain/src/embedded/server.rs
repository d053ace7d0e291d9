//! The local ledger over HTTP on loopback, for wallets and for other nodes of this machine.
//!
//! Everything that arrives is hostile, also here: a page in a browser can send to loopback. So the
//! `Host` must be a loopback name (against rebinding), a request with an `Origin` must be from one
//! that is configured, the body must be declared as JSON, and its length is bounded.
//! Deliberately not here: TLS, accounts, tokens. Whoever reaches the port may send transactions,
//! each of which its sender has signed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::LocalLedger;
use super::rpc::answer_body;
use crate::limits::RPC_BODY_BYTES_MAX;

/// Why the ledger can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not on loopback.
    #[error(
        "the local ledger is served on loopback alone, not on {0}\nhint: use 127.0.0.1, and a \
         tunnel for other machines"
    )]
    NotLoopback(SocketAddr),
    /// The port can't be had.
    #[error(
        "can't listen on {address}: {source}\nhint: another process may have the port; port 0 takes a free one"
    )]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct RpcServer {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl RpcServer {
    /// Serves `ledger` on a loopback address. `origins` are those that a browser may send from,
    /// such as a wallet's; none by default.
    ///
    /// # Errors
    /// If the address is not on loopback or can't be had.
    pub async fn start(
        ledger: LocalLedger,
        address: SocketAddr,
        origins: Vec<String>,
    ) -> Result<Self, ServeError> {
        if !address.ip().is_loopback() {
            return Err(ServeError::NotLoopback(address));
        }
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new()
            .route("/", post(serve))
            .layer(DefaultBodyLimit::max(RPC_BODY_BYTES_MAX))
            .with_state(Arc::new(Served { ledger, origins }));
        tokio::spawn(async move {
            let serving = axum::serve(listener, router)
                // Also when the sender is dropped.
                .with_graceful_shutdown(async move { drop(stopped.await) });
            if let Err(why) = serving.await {
                tracing::error!(%why, "the local ledger's server ended");
            }
        });
        Ok(Self { address: bound, _stop: stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as clients want it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

struct Served {
    ledger: LocalLedger,
    origins: Vec<String>,
}

/// Whether a `Host` header names loopback.
fn is_loopback_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Served {
    fn refusal(&self, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if !text(header::HOST).is_some_and(is_loopback_host) {
            return Some((StatusCode::FORBIDDEN, "the Host is not a loopback name\n"));
        }
        if headers.contains_key(header::ORIGIN)
            && !text(header::ORIGIN).is_some_and(|from| self.origins.iter().any(|o| o == from))
        {
            return Some((StatusCode::FORBIDDEN, "this Origin is not among the configured ones\n"));
        }
        let kind = text(header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json\n"));
        }
        None
    }
}

async fn serve(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = served.refusal(&headers) {
        return refusal.into_response();
    }
    match answer_body(&served.ledger, &body).await {
        Some(answer) => axum::Json(answer).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_loopback_host;

    #[test]
    fn only_loopback_names_are_hosts() {
        for good in
            ["127.0.0.1", "127.0.0.1:8545", "localhost:1", "LOCALHOST", "[::1]:8545", "[::1]"]
        {
            assert!(is_loopback_host(good), "{good}");
        }
        for bad in ["", "example.org", "127.0.0.1.example.org:80", "10.0.0.1:8545", "localhost.x"] {
            assert!(!is_loopback_host(bad), "{bad}");
        }
    }
}
