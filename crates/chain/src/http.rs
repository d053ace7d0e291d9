//! JSON-RPC over HTTP to somebody else's node, as an alloy transport.
//!
//! alloy has one; this one bounds what an answer may cost (bytes and time), follows no redirect,
//! and never shows a URL whole, since providers put keys into paths.

use std::task::{Context, Poll};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use reqwest::Url;
use tower::Service;

use crate::limits::{ANSWER_BYTES_MAX, ANSWER_TIMEOUT};

/// Speaks to one address.
#[derive(Clone)]
pub(crate) struct HttpTransport {
    client: reqwest::Client,
    url: Url,
}

/// An address as it may be shown: without user, path and query.
pub(crate) fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl HttpTransport {
    /// # Errors
    /// If no HTTP client can be made.
    pub(crate) fn new(url: Url) -> Result<Self, reqwest::Error> {
        // Fails only if another provider of TLS was installed before; then that one is used.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .connect_timeout(ANSWER_TIMEOUT / 4)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, url })
    }

    async fn send(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let failed = |e: reqwest::Error| TransportErrorKind::custom(e.without_url());
        let body = packet.serialize().map_err(TransportError::ser_err)?;
        let request = self.client.post(self.url.clone());
        let request = request.header("content-type", "application/json");
        let mut answer = request.body(body.get().to_owned()).send().await.map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let said = format!("the answer is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(TransportErrorKind::custom_str(&said));
            }
            bytes.extend_from_slice(&chunk);
        }
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
        if !answer.status().is_success() {
            return Err(TransportErrorKind::http_error(
                answer.status().as_u16(),
                start.into_owned(),
            ));
        }
        serde_json::from_slice(&bytes).map_err(|e| TransportError::deser_err(e, start))
    }
}

impl Service<RequestPacket> for HttpTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().send(packet))
    }
}
