//! The local ledger as an alloy transport: the client that speaks to any chain speaks to it
//! without a socket.

use std::task::{Context, Poll};

use alloy_json_rpc::{
    ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::{TransportError, TransportFut};
use serde_json::value::to_raw_value;
use tower::Service;

use super::LocalLedger;
use super::rpc::{Fault, answer};

/// Speaks to a ledger in this process.
#[derive(Clone)]
pub(crate) struct LocalTransport(pub(crate) LocalLedger);

impl LocalTransport {
    async fn one(&self, request: SerializedRequest) -> Response {
        let params = request.params().map(|raw| serde_json::from_str(raw.get()));
        let outcome = match params.transpose() {
            Ok(params) => answer(&self.0, request.method(), params).await,
            Err(e) => Err(Fault::params(e.to_string())),
        };
        let id = request.id().clone();
        let payload = match outcome
            .and_then(|value| to_raw_value(&value).map_err(|e| Fault::server(e.to_string())))
        {
            Ok(raw) => ResponsePayload::Success(raw),
            Err(fault) => ResponsePayload::Failure(ErrorPayload {
                code: fault.code,
                message: fault.message.into(),
                data: fault.data.and_then(|data| to_raw_value(&data).ok()),
            }),
        };
        Response { id, payload }
    }
}

impl Service<RequestPacket> for LocalTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let me = self.clone();
        Box::pin(async move {
            Ok(match packet {
                RequestPacket::Single(request) => ResponsePacket::Single(me.one(request).await),
                RequestPacket::Batch(requests) => {
                    let mut answers = Vec::with_capacity(requests.len());
                    for request in requests {
                        answers.push(me.one(request).await);
                    }
                    ResponsePacket::Batch(answers)
                }
            })
        })
    }
}
