//! The dashboard's files, and those of the explorer's page. They are the same for everybody and say
//! nothing about the node, so they need no login; all else that a page shows it asks its server for.
//!
//! Deliberately not here: serving the explorer's page (crate `explorer`; no node does).

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};

/// One file of a page.
struct File {
    /// Path in the URL.
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

// `FILES`, `EXPLORER_FILES`: what the build found in `target/dashboard`, or a page that says that it
// found nothing.
include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// Nothing from elsewhere, no script or style inside the page, no frame around it.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The dashboard's file of that path, if the request is for one.
pub(crate) fn file(request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let path = match request.uri().path() {
        "/" => "/index.html",
        other => other,
    };
    let file = FILES.iter().find(|file| file.path == path)?;
    let mut response = file.respond("private, max-age=31536000, immutable");
    if *request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    Some(response)
}

/// The file of the explorer's page at `path`, as an answer to `GET`; `/` is the page itself.
#[must_use]
pub fn explorer_file(path: &str) -> Option<Response> {
    let path = if path == "/" { "/explorer.html" } else { path };
    let file = EXPLORER_FILES.iter().find(|file| file.path == path)?;
    Some(file.respond("public, max-age=31536000, immutable"))
}

impl File {
    /// `forever` is said of files whose name holds a digest of the content.
    fn respond(&self, forever: &'static str) -> Response {
        let mut response = self.bytes.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        if self.path.starts_with("/assets/") {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(forever));
        }
        response
    }
}

/// Says to a browser what this answer may do, unless it was said before: nothing from elsewhere,
/// no frame around it, no guessing of its kind, and nobody keeps it.
pub fn harden(headers: &mut HeaderMap) {
    let mut say = |name: HeaderName, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(header::CACHE_CONTROL, "no-store");
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::CONTENT_SECURITY_POLICY, POLICY);
    say(header::REFERRER_POLICY, "no-referrer");
    say(header::X_FRAME_OPTIONS, "DENY");
    say(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    say(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
}
