//! Who may use the API: programs of the owner on this machine, and pages that the node serves.
//!
//! The port is open to every user and every web page on the machine, so each request must carry
//! the token of a file that only the owner can read, must name a loopback host (a page elsewhere
//! that points its own name at 127.0.0.1 does not), and must not come from another page.

use std::net::SocketAddr;

use axum::http::{HeaderMap, Uri, header};

use crate::codes;
use crate::endpoint::Token;
use crate::error::ApiError;

/// What a request is held against.
#[derive(Debug, Clone)]
pub struct Security {
    /// The token it must carry.
    pub token: Token,
    /// Where the node listens.
    pub addr: SocketAddr,
}

impl Security {
    /// Checks that a request is addressed to this node and does not come from another page.
    pub(crate) fn check_place(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            (None, _) => uri.authority().map_or("", |a| a.as_str()),
            _ => "",
        };
        if !self.is_own_host(host) {
            let shown: String = host.chars().take(100).collect();
            return Err(ApiError::new(
                codes::API_HOST,
                format!("the Host header `{}` does not name {}", shown.escape_debug(), self.addr),
            ));
        }
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if !origin.strip_prefix("http://").is_some_and(|host| self.is_own_host(host)) {
                let shown: String = origin.chars().take(100).collect();
                return Err(ApiError::new(
                    codes::API_ORIGIN,
                    format!("origin `{}` is not this node", shown.escape_debug()),
                ));
            }
        }
        Ok(())
    }

    /// Checks the token.
    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Err(ApiError::new(codes::API_TOKEN, "the request carries no bearer token"));
        };
        match value.as_bytes().strip_prefix(b"Bearer ") {
            Some(token) if self.token.matches(token) => Ok(()),
            _ => Err(ApiError::new(codes::API_TOKEN, "the bearer token is not this node's")),
        }
    }

    fn is_own_host(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else {
            return false;
        };
        port.parse() == Ok(self.addr.port())
            && (name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]")
    }
}
