//! News as Server-Sent Events. Each has an id; a client that lost its connection sends the last
//! one it saw (`Last-Event-ID`) and goes on from there, or is told to `resync`.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream};
use ayni_types::JobId;
use futures_util::{Stream, StreamExt as _};

use super::{Node, id};
use crate::backend::Backend;
use crate::codes;
use crate::error::{ApiError, ErrorBody};
use crate::json::EventJson;

type Events = Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;
type News = Sse<KeepAliveStream<Events>>;

/// News of a job, from now on or from `Last-Event-ID`. Does not end with the job: more may follow
/// (an audit that replaces an outcome).
#[utoipa::path(get, path = "/v1/jobs/{id}/events", tag = "events",
    params(("id" = String, Path, pattern = "^[0-9a-f]{32}$", description = "32 hex digits"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Go on after this event")),
    responses((status = 200, body = EventJson, content_type = "text/event-stream",
        description = "One JSON object in the data of each event"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn job_events<B: Backend>(
    State(node): Node<B>,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<News, ApiError> {
    news(&*node, Some(id(&job)?), &headers).await
}

/// News of the node and all its jobs.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Go on after this event")),
    responses((status = 200, body = EventJson, content_type = "text/event-stream",
        description = "One JSON object in the data of each event"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn all_events<B: Backend>(
    State(node): Node<B>,
    headers: HeaderMap,
) -> Result<News, ApiError> {
    news(&*node, None, &headers).await
}

async fn news<B: Backend>(
    node: &B,
    job: Option<JobId>,
    headers: &HeaderMap,
) -> Result<News, ApiError> {
    let after = match headers.get("last-event-id") {
        None => None,
        Some(value) => Some(value.to_str().ok().and_then(|v| v.parse().ok()).ok_or_else(|| {
            ApiError::new(codes::API_BODY, "Last-Event-ID is not the number of an event")
        })?),
    };
    let events = node.events(job, after).await?.map(|event| Ok(sse(&event)));
    let alive = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(Box::pin(events) as Events).keep_alive(alive))
}

fn sse(event: &EventJson) -> Event {
    let data = serde_json::to_string(event).expect("plain data becomes JSON");
    Event::default().id(event.id.to_string()).event(event.kind.name()).data(data)
}
