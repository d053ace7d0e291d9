//! One actor for each other node: what is queued for it, the links to it, the dials.
//!
//! A *link* is a connection with the message protocol, dialled by either side. Messages to a peer
//! go over one link at a time, the oldest that lives; messages from it are taken from any. When
//! both dial at once two links remain, each side going on with its own: there is nothing to agree
//! on, so nothing to lose. Numbers keep the order when a sender moves to another link.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ayni_types::NodeId;
use ayni_wire::{Message, decode};
use iroh::TransportAddr;
use iroh::endpoint::Connection;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::error::Undeliverable;
use crate::frame::{Close, FrameError, MESSAGE_ALPN, close, frame, read_frame};
use crate::limits::{
    DIAL_PAUSE_MAX, DIAL_PAUSE_MIN, KEEP_ATTEMPTS_MAX, LINK_SETTLED, LINKS_PER_PEER_MAX, PEER_IDLE,
    QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX,
};
use crate::lock;
use crate::net::{Inner, NetEvent, Path, PeerStatus};

/// What others may do with a peer.
pub(crate) struct Peer {
    node: NodeId,
    /// Ours with this peer: drawn anew whenever its actor starts.
    session: u64,
    outbox: Mutex<Outbox>,
    /// Something was queued: for the task that writes.
    queued: Notify,
    /// Something changed: for the actor.
    wake: Notify,
    dial_now: AtomicBool,
    /// A link is to be kept, also with nothing to send.
    wanted: AtomicBool,
    offers: mpsc::Sender<Connection>,
    links: Mutex<Vec<Arc<Link>>>,
    /// What was taken from the peer; held while a message is passed on, so that order holds.
    inbox: tokio::sync::Mutex<Inbox>,
}

#[derive(Default)]
struct Outbox {
    messages: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    last: u64,
}

#[derive(Default)]
struct Inbox {
    session: Option<u64>,
    last: u64,
}

struct Link {
    id: u64,
    connection: Connection,
    since: Instant,
    /// Its end is no news: a newer session was announced already.
    replaced: AtomicBool,
}

/// What a task of the actor ended with.
enum Ended {
    Dial(Result<Connection, String>),
    Reader(Arc<Link>),
    Writer(u64),
}

impl Peer {
    pub(crate) fn new(node: NodeId) -> (Arc<Self>, mpsc::Receiver<Connection>) {
        let (offers, offered) = mpsc::channel(LINKS_PER_PEER_MAX);
        let peer = Self {
            node,
            session: random(),
            outbox: Mutex::default(),
            queued: Notify::new(),
            wake: Notify::new(),
            dial_now: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            offers,
            links: Mutex::default(),
            inbox: tokio::sync::Mutex::default(),
        };
        (Arc::new(peer), offered)
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// Queues an encoded message.
    pub(crate) fn push(&self, bytes: Vec<u8>) -> Result<(), Undeliverable> {
        let mut outbox = lock(&self.outbox);
        let (messages, total) = (outbox.messages.len(), outbox.bytes + bytes.len());
        if messages >= QUEUE_MESSAGES_MAX || total > QUEUE_BYTES_MAX {
            return Err(Undeliverable::QueueFull { messages, bytes: outbox.bytes });
        }
        outbox.last += 1;
        outbox.bytes = total;
        let number = outbox.last;
        outbox.messages.push_back((number, bytes));
        drop(outbox);
        self.queued.notify_one();
        if messages == 0 {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Gives the actor an incoming connection; false if it has too many to look at.
    pub(crate) fn offer(&self, connection: Connection) -> bool {
        self.offers.try_send(connection).is_ok()
    }

    /// Ends a pause between dials.
    pub(crate) fn retry_now(&self) {
        self.dial_now.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Asks for a link that is kept.
    pub(crate) fn keep(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        self.retry_now();
    }

    /// What is to be seen of it; `None` while it has no link.
    pub(crate) fn status(&self) -> Option<PeerStatus> {
        let links = lock(&self.links);
        let first = links.first()?;
        let (mut bytes_in, mut bytes_out) = (0, 0);
        for link in links.iter() {
            let stats = link.connection.stats();
            bytes_in += stats.udp_rx.bytes;
            bytes_out += stats.udp_tx.bytes;
        }
        let paths = first.connection.paths();
        let selected = paths.iter().find(iroh::endpoint::Path::is_selected);
        let path = selected.as_ref().map_or(Path::Unknown, |path| match path.remote_addr() {
            TransportAddr::Ip(addr) => Path::Direct(*addr),
            TransportAddr::Relay(url) => Path::Relay(url.to_string()),
            _ => Path::Unknown,
        });
        let rtt_ms = selected.map_or(0, |path| path.rtt().as_millis());
        Some(PeerStatus {
            node: self.node,
            path,
            rtt_ms: u32::try_from(rtt_ms).unwrap_or(u32::MAX),
            bytes_in,
            bytes_out,
            since: first.since.elapsed(),
        })
    }

    fn take(&self) -> Option<(u64, Vec<u8>)> {
        let mut outbox = lock(&self.outbox);
        let message = outbox.messages.pop_front()?;
        outbox.bytes -= message.1.len();
        Some(message)
    }

    fn put_back(&self, message: (u64, Vec<u8>)) {
        let mut outbox = lock(&self.outbox);
        outbox.bytes += message.1.len();
        outbox.messages.push_front(message);
    }

    fn has_mail(&self) -> bool {
        !lock(&self.outbox).messages.is_empty()
    }

    pub(crate) fn has_link(&self) -> bool {
        !lock(&self.links).is_empty()
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    fn oldest_link(&self) -> Option<Arc<Link>> {
        lock(&self.links).first().cloned()
    }
}

fn random() -> u64 {
    // Each state has keys of its own: unpredictable is not needed here, never twice the same is.
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// When to dial again.
struct Pause {
    failures: u32,
    length: Duration,
    until: Option<Instant>,
}

impl Pause {
    const NONE: Self = Self { failures: 0, length: DIAL_PAUSE_MIN, until: None };

    fn failed(&mut self) {
        self.failures += 1;
        self.until = Some(Instant::now() + self.length);
        self.length = (self.length * 2).min(DIAL_PAUSE_MAX);
    }

    fn left(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }
}

/// The actor: lives as long as there is a link or something to send, and a little longer.
pub(crate) async fn run(peer: Arc<Peer>, net: Arc<Inner>, mut offers: mpsc::Receiver<Connection>) {
    let mut tasks = JoinSet::new();
    let mut writer = None;
    let mut dialling = false;
    let mut pause = Pause::NONE;
    loop {
        let oldest = peer.oldest_link();
        if let (None, Some(link)) = (writer, &oldest) {
            writer = Some(link.id);
            tasks.spawn(write_link(Arc::clone(&peer), Arc::clone(link)));
        }
        let wants_link = oldest.is_none() && !dialling && (peer.has_mail() || peer.is_wanted());
        if wants_link && (pause.left().is_zero() || peer.dial_now.swap(false, Ordering::Relaxed)) {
            dialling = true;
            tasks.spawn(dial(Arc::clone(&net), peer.node));
            continue;
        }
        let nap = if wants_link { pause.left() } else { PEER_IDLE };
        tokio::select! {
            Some(connection) = offers.recv() => up(&peer, &net, connection, &mut tasks).await,
            Some(ended) = tasks.join_next() => match ended {
                Ok(Ended::Dial(Ok(connection))) => {
                    dialling = false;
                    up(&peer, &net, connection, &mut tasks).await;
                }
                Ok(Ended::Dial(Err(reason))) => {
                    dialling = false;
                    pause.failed();
                    if pause.failures >= KEEP_ATTEMPTS_MAX {
                        peer.wanted.store(false, Ordering::Relaxed);
                    }
                    if peer.oldest_link().is_none() {
                        give_up(&peer, &net, &reason).await;
                    }
                }
                Ok(Ended::Reader(link)) => {
                    if link.since.elapsed() < LINK_SETTLED {
                        pause.failed();
                    } else {
                        pause = Pause::NONE;
                    }
                    down(&peer, &net, &link).await;
                }
                Ok(Ended::Writer(id)) => {
                    if writer == Some(id) {
                        writer = None;
                    }
                }
                Err(error) => tracing::error!(peer = %peer.node.short(), "task failed: {error}"),
            },
            () = peer.wake.notified() => {}
            () = tokio::time::sleep(nap) => {
                let idle = || !peer.has_mail() && !peer.is_wanted() && offers.is_empty();
                if tasks.is_empty() && peer.oldest_link().is_none() && net.retire(&peer, idle) {
                    return;
                }
            }
        }
    }
}

async fn dial(net: Arc<Inner>, node: NodeId) -> Ended {
    Ended::Dial(net.connect(node, MESSAGE_ALPN).await)
}

/// Takes a new link into use.
async fn up(
    peer: &Arc<Peer>,
    net: &Arc<Inner>,
    connection: Connection,
    tasks: &mut JoinSet<Ended>,
) {
    static LINKS: AtomicU64 = AtomicU64::new(0);
    let link = Arc::new(Link {
        id: LINKS.fetch_add(1, Ordering::Relaxed),
        connection,
        since: Instant::now(),
        replaced: AtomicBool::new(false),
    });
    let first = {
        let mut links = lock(&peer.links);
        if links.len() >= LINKS_PER_PEER_MAX {
            close(&links[0].connection, Close::Superseded, "too many links");
        }
        links.push(Arc::clone(&link));
        links.len() == 1
    };
    if first {
        tell(net, NetEvent::PeerUp(peer.node)).await;
    }
    tasks.spawn(read_link(Arc::clone(peer), Arc::clone(net), link));
}

/// Takes a link out of use. The loss of any link may have cost messages, so that it ends the
/// session, although another may begin at once.
async fn down(peer: &Peer, net: &Inner, link: &Link) {
    let others = {
        let mut links = lock(&peer.links);
        links.retain(|other| other.id != link.id);
        !links.is_empty()
    };
    if !link.replaced.load(Ordering::Relaxed) {
        tell(net, NetEvent::PeerDown(peer.node)).await;
        if others {
            tell(net, NetEvent::PeerUp(peer.node)).await;
        }
    } else if !others {
        tell(net, NetEvent::PeerDown(peer.node)).await;
    }
}

/// Gives back all that is queued.
async fn give_up(peer: &Peer, net: &Inner, reason: &str) {
    tracing::debug!(peer = %peer.node.short(), "can't be reached: {reason}");
    let left = lock(&peer.outbox).messages.len();
    for _ in 0..left {
        let Some((_, bytes)) = peer.take() else { return };
        let Ok(message) = decode::<Message>(&bytes) else { continue };
        let reason = Undeliverable::Unreachable(reason.to_owned());
        tell(net, NetEvent::Undelivered { to: peer.node, message, reason }).await;
    }
}

async fn tell(net: &Inner, event: NetEvent) {
    // Nobody listens any more when this fails; then everything ends soon.
    let _ = net.events.send(event).await;
}

async fn write_link(peer: Arc<Peer>, link: Arc<Link>) -> Ended {
    let ended = Ended::Writer(link.id);
    let Ok(mut stream) = link.connection.open_uni().await else { return ended };
    if stream.write_all(&peer.session.to_le_bytes()).await.is_err() {
        return ended;
    }
    loop {
        let Some((number, bytes)) = peer.take() else {
            tokio::select! {
                () = peer.queued.notified() => continue,
                _ = link.connection.closed() => return ended,
            }
        };
        if stream.write_all(&frame(number, &bytes)).await.is_err() {
            // Not all of it left, so that the peer can't have taken it.
            peer.put_back((number, bytes));
            return ended;
        }
    }
}

async fn read_link(peer: Arc<Peer>, net: Arc<Inner>, link: Arc<Link>) -> Ended {
    let (code, text) = match take_messages(&peer, &net, &link).await {
        Stop::Ended => (Close::Bye, String::new()),
        Stop::Replaced => (Close::Superseded, "a newer session took over".to_owned()),
        Stop::Oversize(size) => (Close::Oversize, format!("a frame of {size} bytes")),
        Stop::Malformed(error) => (Close::Malformed, error),
    };
    if matches!(code, Close::Oversize | Close::Malformed) {
        net.conduct.strike(peer.node, &text);
    }
    close(&link.connection, code, &text);
    Ended::Reader(link)
}

enum Stop {
    Ended,
    Replaced,
    Oversize(usize),
    Malformed(String),
}

async fn take_messages(peer: &Peer, net: &Inner, link: &Arc<Link>) -> Stop {
    let Ok(mut stream) = link.connection.accept_uni().await else { return Stop::Ended };
    let mut session = [0; 8];
    if stream.read_exact(&mut session).await.is_err() {
        return Stop::Ended;
    }
    let session = u64::from_le_bytes(session);
    begin_session(peer, net, link, session).await;
    loop {
        let (number, bytes) = match read_frame(&mut stream).await {
            Ok(frame) => frame,
            Err(FrameError::Oversize(size)) => return Stop::Oversize(size),
            Err(FrameError::Ended) => return Stop::Ended,
        };
        let message = match decode::<Message>(&bytes) {
            Ok(message) => message,
            Err(error) => return Stop::Malformed(error.to_string()),
        };
        drop(bytes);
        let mut inbox = peer.inbox.lock().await;
        if inbox.session != Some(session) {
            return Stop::Replaced;
        }
        if number > inbox.last {
            inbox.last = number;
            tell(net, NetEvent::Message { from: peer.node, message }).await;
        }
    }
}

/// A session that we don't know is the newest: the peer restarted. Older links are of the past,
/// and the node hears of it before it hears the first message.
async fn begin_session(peer: &Peer, net: &Inner, link: &Link, session: u64) {
    let mut inbox = peer.inbox.lock().await;
    if inbox.session == Some(session) {
        return;
    }
    let restarted = inbox.session.is_some();
    *inbox = Inbox { session: Some(session), last: 0 };
    let older: Vec<_> = {
        let links = lock(&peer.links);
        links.iter().filter(|other| other.id < link.id).cloned().collect()
    };
    if !restarted || older.is_empty() {
        return;
    }
    for other in &older {
        other.replaced.store(true, Ordering::Relaxed);
        close(&other.connection, Close::Superseded, "a newer session took over");
    }
    tell(net, NetEvent::PeerDown(peer.node)).await;
    tell(net, NetEvent::PeerUp(peer.node)).await;
}
