//! Logging a browser in and out, and the rule that every other route stands behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Answer, Json};
use crate::codes;
use crate::error::{ApiError, ErrorBody};
use crate::json::{Done, LoginLink, LoginRequest, Schema, SessionJson};
use crate::security::Security;
use crate::session::{self, Session, Sessions};

/// Who may come in: programs by the token, browsers by a session.
pub(crate) struct Guard {
    pub(crate) security: Security,
    pub(crate) sessions: Sessions,
}

/// What requests are held against.
type Door = State<Arc<Guard>>;

/// Lets programs with the token and browsers with a session through.
pub(crate) async fn require_login(
    State(guard): Door,
    mut request: Request,
    next: Next,
) -> Response {
    let (headers, addr) = (request.headers(), guard.security.addr);
    if headers.contains_key(header::AUTHORIZATION) {
        return match guard.security.check_token(headers) {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        };
    }
    match guard.sessions.check(request.method(), headers, addr, Instant::now()) {
        Ok(session) => {
            request.extensions_mut().insert(session);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// Make a link that logs a browser in. Needs the token: a session can't make another one.
#[utoipa::path(post, path = "/v1/login-links", tag = "session",
    responses((status = 200, body = LoginLink), (status = "default", body = ErrorBody)))]
pub(crate) async fn login_link(
    State(guard): Door,
    by: Option<Extension<Session>>,
) -> Answer<LoginLink> {
    if by.is_some() {
        let why = "a browser's session can't log others in";
        return Err(ApiError::new(codes::API_TOKEN, why).hint("run `ayni open`"));
    }
    let code = guard.sessions.code(Instant::now())?.text().to_owned();
    let path = format!("/#/login/{code}");
    Ok(axum::Json(LoginLink { schema: Schema, code, path, valid_ms: ms(session::CODE_LIFE) }))
}

/// Exchange the code of a login link for a session: a cookie and a key.
#[utoipa::path(post, path = "/v1/session", tag = "session", security(()),
    request_body = LoginRequest,
    responses((status = 200, body = SessionJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn begin(
    State(guard): Door,
    body: Json<LoginRequest>,
) -> Result<Response, ApiError> {
    let now = Instant::now();
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(codes::API_SIZE, "a login code is far shorter than 1 KiB")
        }
        _ => rejection.into(),
    })?;
    let session = guard.sessions.exchange(&body.0.code, now)?;
    let cookie = session::set_cookie(Some(&session), guard.security.addr);
    let key = Some(session.key.text().to_owned());
    let left_ms = ms(session.until - now);
    let answer = axum::Json(SessionJson { schema: Schema, key, left_ms });
    Ok(([(header::SET_COOKIE, cookie)], answer).into_response())
}

/// The session that this request belongs to.
#[utoipa::path(get, path = "/v1/session", tag = "session",
    responses((status = 200, body = SessionJson), (status = "default", body = ErrorBody)))]
pub(crate) async fn show(by: Option<Extension<Session>>) -> Answer<SessionJson> {
    let Some(Extension(session)) = by else {
        return Err(ApiError::new(codes::API_LOGIN, "the token is no session"));
    };
    let left_ms = ms(session.until.saturating_duration_since(Instant::now()));
    Ok(axum::Json(SessionJson { schema: Schema, key: None, left_ms }))
}

/// Log this browser out.
#[utoipa::path(delete, path = "/v1/session", tag = "session",
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(crate) async fn end(
    State(guard): Door,
    by: Option<Extension<Session>>,
) -> Result<Response, ApiError> {
    if let Some(Extension(session)) = by {
        guard.sessions.end(&session, Instant::now());
    }
    let cookie = session::set_cookie(None, guard.security.addr);
    Ok(([(header::SET_COOKIE, cookie)], axum::Json(Done::default())).into_response())
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
