//! JSON-RPC 2.0: from bytes that anybody may have sent to a request, and back.
//!
//! Deliberately not here: what a method does (`query`), where bytes come from (`server`,
//! `transport`).

use alloy_primitives::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{LocalLedger, TxError, query};
use crate::limits::RPC_BATCH_MAX;

/// An error as JSON-RPC says it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl Fault {
    pub(super) fn params(message: impl Into<String>) -> Self {
        Self { code: -32602, message: message.into(), data: None }
    }

    pub(super) fn server(message: impl Into<String>) -> Self {
        Self { code: -32000, message: message.into(), data: None }
    }

    pub(super) fn request(message: impl Into<String>) -> Self {
        Self { code: -32600, message: message.into(), data: None }
    }

    pub(super) fn method(name: &str) -> Self {
        let name: String = name.chars().take(64).collect();
        let message = format!("the local ledger has no method {name}");
        Self { code: -32601, message, data: None }
    }
}

impl From<TxError> for Fault {
    fn from(e: TxError) -> Self {
        Self::server(e.to_string())
    }
}

/// A request's parameters, by place.
pub(super) struct Params(Vec<Value>);

impl Params {
    /// From the text of `params`: an array, or nothing.
    ///
    /// # Errors
    /// If it is anything else.
    pub(super) fn parse(params: Option<Value>) -> Result<Self, Fault> {
        match params {
            None | Some(Value::Null) => Ok(Self(Vec::new())),
            Some(Value::Array(values)) => Ok(Self(values)),
            Some(_) => Err(Fault::params("params must be an array")),
        }
    }

    pub(super) fn need<T: DeserializeOwned>(&mut self, at: usize, what: &str) -> Result<T, Fault> {
        let missing = || Fault::params(format!("parameter {at} is missing: {what}"));
        self.take(at, what)?.ok_or_else(missing)
    }

    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        at: usize,
        what: &str,
    ) -> Result<Option<T>, Fault> {
        match self.0.get_mut(at).map(Value::take) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|e| Fault::params(format!("parameter {at} is not {what}: {e}"))),
        }
    }
}

/// Answers one method.
///
/// # Errors
/// As JSON-RPC says it.
pub(super) async fn answer(
    ledger: &LocalLedger,
    method: &str,
    params: Option<Value>,
) -> Result<Value, Fault> {
    let mut params = Params::parse(params)?;
    if method == "eth_sendRawTransaction" {
        let raw: Bytes = params.need(0, "a raw transaction (0x and hex digits)")?;
        return Ok(json!(ledger.submit(raw).await?));
    }
    let (ledger, method) = (ledger.clone(), method.to_owned());
    // Calls burn processor time, and reads may wait for the writer.
    let done =
        tokio::task::spawn_blocking(move || query::answer(&ledger.0.shared, &method, params));
    done.await.map_err(|e| Fault { code: -32603, message: e.to_string(), data: None })?
}

#[derive(Deserialize)]
struct Request {
    method: String,
    #[serde(default)]
    params: Option<Value>,
}

fn response(id: Value, outcome: Result<Value, Fault>) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => {
            let mut error = Map::new();
            error.insert("code".into(), fault.code.into());
            error.insert("message".into(), fault.message.into());
            if let Some(data) = fault.data {
                error.insert("data".into(), data);
            }
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
    }
}

/// One request; nothing if it asks for no answer.
async fn one(ledger: &LocalLedger, value: Value) -> Option<Value> {
    let given = value.get("id").cloned();
    // An id is a number, a string or null; anything else is not repeated.
    let id = given.clone().filter(|id| id.is_number() || id.is_string()).unwrap_or(Value::Null);
    match serde_json::from_value::<Request>(value) {
        Err(e) => Some(response(id, Err(Fault::request(format!("not a request: {e}"))))),
        Ok(request) => {
            let outcome = answer(ledger, &request.method, request.params).await;
            given.is_some().then(|| response(id, outcome))
        }
    }
}

/// Answers the body of a request; nothing if it asks for no answer.
pub(super) async fn answer_body(ledger: &LocalLedger, body: &[u8]) -> Option<Value> {
    match serde_json::from_slice(body) {
        Err(e) => {
            let message = format!("the body is no JSON: {e}");
            Some(response(Value::Null, Err(Fault { code: -32700, message, data: None })))
        }
        Ok(Value::Array(requests)) if requests.is_empty() => {
            Some(response(Value::Null, Err(Fault::request("an empty batch"))))
        }
        Ok(Value::Array(requests)) if requests.len() > RPC_BATCH_MAX => {
            let message =
                format!("{} requests in a batch; {RPC_BATCH_MAX} are the most", requests.len());
            Some(response(Value::Null, Err(Fault::request(message))))
        }
        Ok(Value::Array(requests)) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                answers.extend(one(ledger, request).await);
            }
            (!answers.is_empty()).then_some(Value::Array(answers))
        }
        Ok(request) => one(ledger, request).await,
    }
}
