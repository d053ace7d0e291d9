//! The adapter that a node holds: one endpoint, its accept loop, and the peers behind it.
//!
//! Deliberately not here: what happens on a connection (in `peer` and `blob`).

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ayni_types::limits::{ADDRESSES_MAX, MESSAGE_BYTES_MAX};
use ayni_types::{Digest, NodeAddr, NodeId};
use ayni_wire::{Message, encode};
use iroh::endpoint::{Connection, Incoming, PortmapperConfig, QuicTransportConfig, presets};
use iroh::{Endpoint, NetReportConfig, RelayConfig, RelayMap, RelayMode, RelayUrl, SecretKey};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::{AddressBook, node_addr, node_id};
use crate::blob::{BLOB_ALPN, BlobHost, BlobSink, FetchOutcome, Holders, Serving};
use crate::conduct::Conduct;
use crate::error::{FetchError, NetError, Undeliverable};
use crate::frame::{Close, MESSAGE_ALPN, close};
use crate::limits::{
    DIAL_TIMEOUT, DIALS_MAX, EVENTS_MAX, HANDSHAKE_TIMEOUT, HANDSHAKES_HARD_MAX, HANDSHAKES_MAX,
    IDLE_TIMEOUT, KEEP_ALIVE, PEERS_INCOMING_MAX, PEERS_MAX, STREAMS_MAX,
};
use crate::peer::{self, Peer};
use crate::{lock, mdns, relay};

/// How a node takes part in the network.
#[derive(Clone)]
pub struct NetConfig {
    /// The Ed25519 seed of the node's identity.
    pub secret: [u8; 32],
    /// Addresses to listen on, at most one of each family with an unspecified address. Empty: no
    /// direct paths at all, everything through relays.
    pub bind: Vec<SocketAddr>,
    /// Announce and look for nodes on the local network.
    pub mdns: bool,
    /// Relays to be reachable through, as URLs. No others are ever used for that.
    pub relay_urls: Vec<String>,
    /// Be a relay for others, on this address (HTTP).
    pub serve_relay: Option<SocketAddr>,
    /// Nodes known from the start.
    pub peers: Vec<NodeAddr>,
}

impl NetConfig {
    /// An identity and nothing else: no listening, no relay, nobody known.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            bind: Vec::new(),
            mdns: false,
            relay_urls: Vec::new(),
            serve_relay: None,
            peers: Vec::new(),
        }
    }
}

/// Everything but the secret.
impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, bind, mdns, relay_urls, serve_relay, peers } = self;
        f.debug_struct("NetConfig")
            .field("bind", bind)
            .field("mdns", mdns)
            .field("relay_urls", relay_urls)
            .field("serve_relay", serve_relay)
            .field("peers", peers)
            .finish_non_exhaustive()
    }
}

/// What the network tells the node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly all events are messages")]
pub enum NetEvent {
    /// A peer says something. In order for each peer.
    Message {
        /// Proven by its key.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// Messages can flow. Comes before the first message of a session.
    PeerUp(NodeId),
    /// The session with a peer ended: it went away, restarted or can't be reached. What was on its
    /// way, in both directions, may be lost.
    PeerDown(NodeId),
    /// Found on the local network.
    Discovered(NodeAddr),
    /// A message that was certainly not delivered.
    Undelivered {
        /// For whom.
        to: NodeId,
        /// What.
        message: Message,
        /// Why.
        reason: Undeliverable,
    },
}

/// How packets reach a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Straight to this address.
    Direct(SocketAddr),
    /// Through this relay.
    Relay(String),
    /// Not settled yet.
    Unknown,
}

/// A connected peer, as seen now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub node: NodeId,
    /// How.
    pub path: Path,
    /// Round trip in milliseconds, as last measured.
    pub rtt_ms: u32,
    /// Bytes received from it over its present message connections, headers included.
    pub bytes_in: u64,
    /// Bytes sent to it over its present message connections, headers included.
    pub bytes_out: u64,
    /// How long it has been connected.
    pub since: Duration,
}

/// The network as a node uses it. Dropping it stops everything at once; [`Net::shutdown`] says
/// goodbye first.
pub struct Net {
    inner: Arc<Inner>,
    relay: Option<iroh_relay::server::Server>,
    /// Without a peer's task in between: for what `send` refuses at once.
    notices: mpsc::UnboundedSender<NetEvent>,
}

/// What the tasks share.
pub(crate) struct Inner {
    pub(crate) endpoint: Endpoint,
    pub(crate) events: mpsc::Sender<NetEvent>,
    pub(crate) conduct: Conduct,
    pub(crate) holders: Holders,
    pub(crate) serving: Serving,
    pub(crate) blobs: Arc<dyn BlobHost>,
    book: AddressBook,
    peers: Mutex<HashMap<NodeId, Arc<Peer>>>,
    uses_relays: bool,
    dials: Semaphore,
    handshakes: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Net {
    /// Opens the sockets and starts to accept.
    ///
    /// # Errors
    /// When an address can't be listened on or a relay URL is none.
    pub async fn start(
        config: NetConfig,
        blobs: Arc<dyn BlobHost>,
    ) -> Result<(Self, mpsc::Receiver<NetEvent>), NetError> {
        let mut relay_urls = relay::parse_urls(&config.relay_urls)?;
        let relay = match config.serve_relay {
            Some(addr) => Some(relay::serve(addr).await?),
            None => None,
        };
        if relay_urls.is_empty() {
            relay_urls.extend(relay.as_ref().and_then(relay::url));
        }
        let uses_relays = !relay_urls.is_empty();
        let endpoint = bind(&config, relay_urls).await?;
        let mdns = config.mdns.then(|| mdns::join(&endpoint)).flatten();

        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (notices, noticed) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            endpoint,
            events,
            conduct: Conduct::default(),
            holders: Holders::default(),
            serving: Serving::default(),
            blobs,
            book: AddressBook::default(),
            peers: Mutex::default(),
            uses_relays,
            dials: Semaphore::new(DIALS_MAX),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_HARD_MAX)),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        for addr in &config.peers {
            inner.book.learn(addr);
        }
        inner.spawn(accept(Arc::clone(&inner)));
        inner.spawn(pass_on(noticed, inner.events.clone()));
        if let Some(mdns) = mdns {
            inner.spawn(mdns::listen(mdns, Arc::downgrade(&inner)));
        }
        Ok((Self { inner, relay, notices }, receiver))
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.inner.node()
    }

    /// Where this node may be reached, as far as it knows.
    #[must_use]
    pub fn addr(&self) -> NodeAddr {
        let mut addr = node_addr(&self.inner.endpoint.addr());
        for bound in self.inner.endpoint.bound_sockets() {
            let known = bound.ip().is_unspecified() || addr.direct.contains(&bound);
            if !known && addr.direct.len() < ADDRESSES_MAX {
                addr.direct.push(bound);
            }
        }
        addr
    }

    /// Where the relay role listens, if this node has it.
    #[must_use]
    pub fn relay_addr(&self) -> Option<SocketAddr> {
        self.relay.as_ref().and_then(iroh_relay::server::Server::http_addr)
    }

    /// Waits until a configured relay knows this node; returns at once when none is configured.
    /// Bounded by the caller: an unreachable relay is retried for ever.
    pub async fn online(&self) {
        if self.inner.uses_relays {
            self.inner.endpoint.online().await;
        }
    }

    /// Adds to the address book. Something queued for that node is tried again at once.
    pub fn learn(&self, addr: NodeAddr) {
        self.inner.learn(&addr);
    }

    /// Adds to the address book and keeps a connection: dialled now, and again, with growing pauses,
    /// whenever it is lost, until it could not be had for half an hour.
    pub fn keep(&self, addr: NodeAddr) {
        let node = addr.node;
        self.inner.learn(&addr);
        if node == self.node() || self.inner.conduct.refuses(node) {
            return;
        }
        if let Err(reason) = self.inner.with_peer(node, PEERS_MAX, Peer::keep) {
            tracing::warn!(peer = %node.short(), "not connected: {reason}");
        }
    }

    /// Queues a message. It is sent in order, over a connection that is dialled if there is none.
    /// What certainly won't arrive comes back as [`NetEvent::Undelivered`]; what was on its way
    /// when a session ends may be lost, which [`NetEvent::PeerDown`] tells.
    pub fn send(&self, to: NodeId, message: Message) {
        if let Err(reason) = self.inner.queue(to, &message) {
            // Nobody listens any more when this fails.
            let _ = self.notices.send(NetEvent::Undelivered { to, message, reason });
        }
    }

    /// Fetches a blob into `into`, verified while it streams: from the first holder that gives it,
    /// or, when it is large, from several at once. What was fetched before a break or a restart is
    /// not fetched again. `progress` is called with the bytes verified so far.
    ///
    /// # Errors
    /// When every holder failed, each with its reason, or when the sink did.
    pub async fn fetch_blob(
        &self,
        digest: Digest,
        size: Option<u64>,
        from: &[NodeId],
        into: Arc<dyn BlobSink>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<FetchOutcome, FetchError> {
        crate::blob::fetch(&self.inner, digest, size, from, into, progress).await
    }

    /// The connected peers.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        let peers: Vec<_> = lock(&self.inner.peers).values().cloned().collect();
        peers.iter().filter_map(|peer| peer.status()).collect()
    }

    /// Bytes of datagrams sent and received since the start, by whatever path.
    #[must_use]
    pub fn transferred(&self) -> u64 {
        let all = &self.inner.endpoint.metrics().socket;
        [
            &all.send_ipv4,
            &all.send_ipv6,
            &all.send_relay,
            &all.recv_data_ipv4,
            &all.recv_data_ipv6,
            &all.recv_data_relay,
        ]
        .iter()
        .fold(0, |sum, counter| sum.saturating_add(counter.get()))
    }

    /// Says goodbye to every peer and stops. Returns when all tasks have ended. Nothing works
    /// afterwards.
    pub async fn shutdown(&self) {
        self.inner.tasks.close();
        self.inner.stop.cancel();
        self.inner.endpoint.close().await;
        self.inner.tasks.wait().await;
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.inner.stop.cancel();
    }
}

impl Inner {
    pub(crate) fn node(&self) -> NodeId {
        node_id(self.endpoint.id())
    }

    /// Runs a task until it ends or the network stops.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    pub(crate) fn learn(&self, addr: &NodeAddr) {
        if addr.node == self.node() {
            return;
        }
        self.book.learn(addr);
        if let Some(peer) = lock(&self.peers).get(&addr.node) {
            peer.retry_now();
        }
    }

    /// Dials a node. The error is for people.
    pub(crate) async fn connect(&self, node: NodeId, alpn: &[u8]) -> Result<Connection, String> {
        let addr = self.book.endpoint(node).ok_or("its id is not a public key")?;
        let _permit = self.dials.acquire().await.map_err(|_| "the network has stopped")?;
        let dial = self.endpoint.connect(addr, alpn);
        match tokio::time::timeout(DIAL_TIMEOUT, dial).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err(format!("no answer for {} s", DIAL_TIMEOUT.as_secs())),
        }
    }

    fn queue(self: &Arc<Self>, to: NodeId, message: &Message) -> Result<(), Undeliverable> {
        let bytes = encode(message);
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Undeliverable::TooLong { size: bytes.len(), max: MESSAGE_BYTES_MAX });
        }
        if to == self.node() {
            return Err(Undeliverable::Myself);
        }
        if self.conduct.refuses(to) {
            return Err(Undeliverable::Refused);
        }
        self.with_peer(to, PEERS_MAX, |peer| peer.push(bytes))?
    }

    /// The peer's actor, started if there is none. Whatever is given to it under the lock is seen
    /// by it before it decides to end.
    fn with_peer<R>(
        self: &Arc<Self>,
        node: NodeId,
        peers_max: usize,
        give: impl FnOnce(&Peer) -> R,
    ) -> Result<R, Undeliverable> {
        let mut peers = lock(&self.peers);
        if let Some(peer) = peers.get(&node) {
            return Ok(give(peer));
        }
        if peers.len() >= peers_max {
            return Err(Undeliverable::TooManyPeers(peers.len()));
        }
        let (peer, offers) = Peer::new(node);
        peers.insert(node, Arc::clone(&peer));
        let given = give(&peer);
        self.spawn(peer::run(peer, Arc::clone(self), offers));
        Ok(given)
    }

    pub(crate) fn is_connected(&self, node: NodeId) -> bool {
        lock(&self.peers).get(&node).is_some_and(|peer| peer.has_link())
    }

    /// Forgets an idle peer, unless something was given to it meanwhile.
    pub(crate) fn retire(&self, peer: &Peer, is_idle: impl FnOnce() -> bool) -> bool {
        let mut peers = lock(&self.peers);
        let idle = is_idle();
        if idle {
            peers.remove(&peer.node());
        }
        idle
    }
}

async fn bind(config: &NetConfig, relay_urls: Vec<RelayUrl>) -> Result<Endpoint, NetError> {
    let transport = QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(1_u32.into())
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(KEEP_ALIVE)
        .default_path_keep_alive_interval(KEEP_ALIVE)
        .max_idle_timeout(Some(
            IDLE_TIMEOUT.try_into().expect("a few seconds fit a QUIC idle timeout"),
        ))
        .default_path_max_idle_timeout(IDLE_TIMEOUT)
        .build();
    let relay_mode = if relay_urls.is_empty() {
        RelayMode::Disabled
    } else {
        // Our relays offer no QUIC address discovery: probing for it would only delay the start.
        let relays = relay_urls.into_iter().map(|url| RelayConfig::new(url, None));
        RelayMode::Custom(RelayMap::from_iter(relays))
    };
    let mut probes = NetReportConfig::default();
    probes.captive_portal_check = false;
    let mut builder = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&config.secret))
        .alpns(vec![MESSAGE_ALPN.to_vec(), BLOB_ALPN.to_vec()])
        .relay_mode(relay_mode)
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(probes)
        .transport_config(transport)
        .clear_ip_transports();
    for addr in &config.bind {
        builder = builder
            .bind_addr(*addr)
            .map_err(|source| NetError::Bind { addr: *addr, source: source.to_string().into() })?;
    }
    builder.bind().await.map_err(|source| NetError::Endpoint {
        addrs: config.bind.clone(),
        source: chain(&source).into(),
    })
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

async fn pass_on(mut from: mpsc::UnboundedReceiver<NetEvent>, to: mpsc::Sender<NetEvent>) {
    while let Some(event) = from.recv().await {
        if to.send(event).await.is_err() {
            return;
        }
    }
}

async fn accept(net: Arc<Inner>) {
    while let Some(incoming) = net.endpoint.accept().await {
        let Ok(permit) = Arc::clone(&net.handshakes).try_acquire_owned() else {
            tracing::debug!("limit reached: {HANDSHAKES_HARD_MAX} handshakes at once");
            incoming.refuse();
            continue;
        };
        let under_way = HANDSHAKES_HARD_MAX - net.handshakes.available_permits();
        if under_way > HANDSHAKES_MAX && !incoming.remote_addr_validated() {
            // An address that can't be proven costs us one packet and no memory.
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
            continue;
        }
        let net_of_task = Arc::clone(&net);
        net.spawn(async move {
            let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(incoming)).await;
            drop(permit);
            if let Ok(Some(connection)) = handshake {
                net_of_task.sort(connection).await;
            }
        });
    }
}

async fn handshake(incoming: Incoming) -> Option<Connection> {
    incoming.await.inspect_err(|error| tracing::debug!("handshake failed: {error}")).ok()
}

impl Inner {
    /// Hands an incoming connection to whom it concerns.
    async fn sort(self: Arc<Self>, connection: Connection) {
        let node = node_id(connection.remote_id());
        if self.conduct.refuses(node) {
            return close(&connection, Close::Refused, "refused for earlier misbehaviour");
        }
        match connection.alpn() {
            MESSAGE_ALPN => {
                let offered =
                    self.with_peer(node, PEERS_INCOMING_MAX, |peer| peer.offer(connection.clone()));
                if !offered.unwrap_or(false) {
                    close(&connection, Close::Busy, "too many connections");
                }
            }
            BLOB_ALPN => crate::blob::serve(&self, connection, node).await,
            _ => close(&connection, Close::Unknown, "unknown protocol"),
        }
    }
}
