//! The relay role: passes packets between nodes that can't reach each other. It sees who talks to
//! whom and how much, never what. Plain HTTP: what it passes is encrypted end to end by the nodes.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use iroh::RelayUrl;
use iroh_relay::server::{ClientRateLimit, RelayConfig, Server, ServerConfig};

use crate::error::NetError;
use crate::limits::RELAY_CLIENT_BYTES_PER_SECOND;

/// Starts the role.
pub(crate) async fn serve(addr: SocketAddr) -> Result<Server, NetError> {
    let mut relay = RelayConfig::new(addr);
    relay.limits.client_rx =
        NonZeroU32::new(RELAY_CLIENT_BYTES_PER_SECOND).map(ClientRateLimit::new);
    let mut config = ServerConfig::default();
    config.relay = Some(relay);
    Server::spawn(config)
        .await
        .map_err(|source| NetError::Relay { addr, source: source.to_string().into() })
}

/// The URL under which a running relay can be named to others: none while it listens on every
/// address, as which of them others can reach is then for the configuration to say.
pub(crate) fn url(server: &Server) -> Option<RelayUrl> {
    let addr = server.http_addr()?;
    if addr.ip().is_unspecified() { None } else { format!("http://{addr}").parse().ok() }
}

/// Reads configured relay URLs.
pub(crate) fn parse_urls(urls: &[String]) -> Result<Vec<RelayUrl>, NetError> {
    let parse = |url: &String| {
        url.parse::<RelayUrl>().map_err(|source| NetError::RelayUrl {
            url: url.chars().take(200).collect(),
            source: source.to_string().into(),
        })
    };
    urls.iter().map(parse).collect()
}
