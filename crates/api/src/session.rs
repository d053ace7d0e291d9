//! Logging a browser in: one-time codes that become sessions, all of them in memory.
//!
//! A browser can't read `api.token`, so its owner's program asks for a code, which is good for two
//! minutes and once, and the page exchanges it. A session has two secrets. The cookie is beyond the
//! reach of scripts, but a browser sends it to every port of this machine, so that a stranger's
//! server on another port may learn it. The key is handed to the page, which keeps it where only
//! pages of this very port can read it. Requests carry both; each is useless without the other.
//! Deliberately not here: anything on disk (a restart ends every session).

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, header};

use crate::codes;
use crate::endpoint::Token;
use crate::error::ApiError;
use crate::limits;

/// How long a code may be exchanged.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(120);
/// How long a session is good.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(12 * 3_600);
/// The header with a session's key.
pub(crate) const KEY_HEADER: &str = "x-ayni-key";

/// What waits to be exchanged, and who is logged in.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    codes: Vec<(Token, Instant)>,
    sessions: Vec<Session>,
}

/// Who is logged in: secrets and the end.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) cookie: Token,
    pub(crate) key: Token,
    pub(crate) until: Instant,
}

impl Sessions {
    /// A code that [`Self::exchange`] takes once until [`CODE_LIFE`] is over.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn code(&self, now: Instant) -> Result<Token, ApiError> {
        let code = random()?;
        let mut inner = self.at(now);
        if inner.codes.len() == limits::LOGIN_CODES_MAX {
            inner.codes.remove(0);
        }
        inner.codes.push((code.clone(), now + CODE_LIFE));
        Ok(code)
    }

    /// Makes a session of a code.
    ///
    /// # Errors
    /// When the code is unknown, used or too old.
    pub(crate) fn exchange(&self, code: &str, now: Instant) -> Result<Session, ApiError> {
        let session = Session { cookie: random()?, key: random()?, until: now + SESSION_LIFE };
        let mut inner = self.at(now);
        // All are compared, so that the time tells nothing.
        let found = (0..inner.codes.len())
            .fold(None, |found, at| match inner.codes[at].0.matches(code.as_bytes()) {
                true => Some(at),
                false => found,
            })
            .ok_or_else(|| {
                ApiError::new(codes::API_LOGIN, "the login code is unknown, used or too old")
            })?;
        inner.codes.remove(found);
        if inner.sessions.len() == limits::SESSIONS_MAX {
            inner.sessions.remove(0);
        }
        inner.sessions.push(session.clone());
        Ok(session)
    }

    /// The session that a request belongs to.
    ///
    /// # Errors
    /// When it carries no secrets of a session, or is one that changes something and does not say
    /// that it comes from a page of this node.
    pub(crate) fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        addr: SocketAddr,
        now: Instant,
    ) -> Result<Session, ApiError> {
        check_source(method, headers)?;
        let refuse = |why: &str| ApiError::new(codes::API_TOKEN, why);
        let cookie = cookie(headers, addr)
            .ok_or_else(|| refuse("the request carries neither a bearer token nor a session"))?;
        let mut keys = headers.get_all(KEY_HEADER).iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(refuse("the session's cookie came without its key"));
        };
        let inner = self.at(now);
        let found = inner.sessions.iter().fold(None, |found, session| {
            let both = session.cookie.matches(cookie) & session.key.matches(key.as_bytes());
            if both { Some(session) } else { found }
        });
        found.cloned().ok_or_else(|| refuse("the session is over, or of an earlier start"))
    }

    /// Ends a session.
    pub(crate) fn end(&self, session: &Session, now: Instant) {
        self.at(now).sessions.retain(|one| one.cookie != session.cookie);
    }

    fn at(&self, now: Instant) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.codes.retain(|(_, until)| *until > now);
        inner.sessions.retain(|session| session.until > now);
        inner
    }
}

/// The header that hands a session's cookie to the browser; with `None`, that takes it away.
pub(crate) fn set_cookie(session: Option<&Session>, addr: SocketAddr) -> String {
    let (value, age) = match session {
        Some(session) => (session.cookie.text(), SESSION_LIFE.as_secs()),
        None => ("", 0),
    };
    format!("{}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict", cookie_name(addr))
}

/// Cookies are shared by all ports of a machine: each node has a name of its own.
fn cookie_name(addr: SocketAddr) -> String {
    format!("ayni_{}", addr.port())
}

/// The value of the one cookie of this node.
fn cookie(headers: &HeaderMap, addr: SocketAddr) -> Option<&[u8]> {
    let name = cookie_name(addr);
    let lines = headers.get_all(header::COOKIE).iter().map(|line| line.as_bytes());
    let mut values = lines
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// What a browser says about where a request comes from. A given `Origin` was compared with this
/// node's address before; a request that changes something has to give one, or to say
/// `Sec-Fetch-Site: same-origin`.
fn check_source(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |why: String| Err(ApiError::new(codes::API_ORIGIN, why));
    let site = headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or("?"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_same = |origin: &str| origin.strip_prefix("http://") == Some(host);
    match (site, origin) {
        (Some(site), _) if site != "same-origin" => {
            let shown: String = site.chars().take(40).collect();
            refuse(format!("a browser sent the request from `{}`", shown.escape_debug()))
        }
        (_, Some(origin)) if !is_same(origin) => {
            let shown: String = origin.chars().take(100).collect();
            refuse(format!("origin `{}` is not `http://{host}`", shown.escape_debug()))
        }
        (None, None) if !method.is_safe() => {
            refuse("the request does not say that a page of this node makes it".to_owned())
        }
        _ => Ok(()),
    }
}

/// A secret of 256 bits.
fn random() -> Result<Token, ApiError> {
    Token::random().map_err(|error| ApiError::internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_not_for_long() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let code = sessions.code(now).unwrap();
        assert!(sessions.exchange("", now).is_err());
        assert!(sessions.exchange(&code.text()[1..], now).is_err());
        assert!(sessions.exchange(code.text(), now).is_ok());
        assert!(sessions.exchange(code.text(), now).is_err(), "a second time");
        let late = sessions.code(now).unwrap();
        assert!(sessions.exchange(late.text(), now + CODE_LIFE).is_err());
    }

    #[test]
    fn old_codes_and_sessions_make_room() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let codes: Vec<_> =
            (0..=limits::LOGIN_CODES_MAX).map(|_| sessions.code(now).unwrap()).collect();
        assert!(sessions.exchange(codes[0].text(), now).is_err());
        assert!(sessions.exchange(codes[1].text(), now).is_ok());
        for _ in 0..2 * limits::SESSIONS_MAX {
            let code = sessions.code(now).unwrap();
            sessions.exchange(code.text(), now).unwrap();
        }
        assert_eq!(sessions.at(now).sessions.len(), limits::SESSIONS_MAX);
        assert_eq!(sessions.at(now + SESSION_LIFE).sessions.len(), 0);
    }
}
