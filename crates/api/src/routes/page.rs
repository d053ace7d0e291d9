//! The dashboard's files. They are the same for everybody and say nothing about the node, so they
//! need no login; all else that the page shows it asks the API for.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One file of the dashboard.
struct File {
    /// Path in the URL.
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

// `FILES`: what the build found in `target/dashboard`, or a page that says that it found nothing.
include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// Nothing from elsewhere, no script or style inside the page, no frame around it.
pub(crate) const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file of that path, if the request is for one.
pub(crate) fn file(request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = match request.uri().path() {
        "/" => "/index.html",
        other => other,
    };
    let file = FILES.iter().find(|file| file.path == path)?;
    let mut response = match *request.method() {
        Method::HEAD => StatusCode::OK.into_response(),
        _ => file.bytes.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    // The name holds a digest of the content.
    if path.starts_with("/assets/") {
        let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
        headers.insert(header::CACHE_CONTROL, forever);
    }
    Some(response)
}
