//! Puts a node together and takes it apart again.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ayni_api::{Endpoint, EndpointError, Security, Token};
use ayni_core::{
    Command, Config as CoreConfig, Core, Event, HomeConfig, ProviderConfig, Tuning, WireSeal,
};
use ayni_net::{Net, NetConfig, NetError, NetEvent};
use ayni_sandbox::{ArtefactCache, CacheError, Sandbox, SandboxConfig, SandboxError};
use ayni_store::{Blobs, Home, HomeError, Journal, JournalError, StoreError};
use ayni_types::{Fault, NodeAddr, NodeId, Roles, Time};
use ayni_wire::{EvmSigner, NodeKey, Ticket, TicketError};
use tokio::sync::oneshot;

use crate::backend::NodeBackend;
use crate::bank::{self, Bank, BankError, BankHandle};
use crate::cheat::Cheat;
use crate::config::{Config, Machine};
use crate::court::Bench;
use crate::fetch::{Fetcher, Host};
use crate::keep;
use crate::memory::Memory;
use crate::news::News;
use crate::owner::limits::Limits;
use crate::owner::{self, Owner, OwnerError};
use crate::persist::{self, PersistNews};
use crate::programs::Programs;
use crate::pump::{Clock, Handle, Pump};
use crate::self_test::{self, SelfTest};
use crate::work::{Shop, Work};

/// Version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal can't be understood: {0}")]
    Recover(#[from] ayni_core::RecoverError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("peer `{text}`: {why}")]
    Peer { text: String, why: String },
    #[error("can't listen on {addr} for the API: {source}")]
    Api { addr: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("the self-test failed: {0}")]
    SelfTest(Fault),
    #[error("no lie is called `{name}`; there are: {known}")]
    Cheat { name: String, known: &'static str },
    #[error("no random bytes from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    #[error("can't pay or be paid: {0}")]
    Bank(#[from] BankError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error("can't start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Home(HomeError::InUse { .. }) => {
                "use that daemon (commands find it by themselves), stop it with `ayni stop`, or give another --home".to_owned()
            }
            Self::Journal(_) | Self::Recover(_) => {
                "see whether the disk is full or another program changed the file; a copy of the home is worth making before anything else".to_owned()
            }
            Self::Sandbox(error) => error.hint().to_owned(),
            Self::Owner(OwnerError::Damaged { .. } | OwnerError::Limit(_)) => {
                "move the file `owner.json` of the home away; limits are then those of the settings".to_owned()
            }
            Self::Peer { .. } => {
                "give a ticket (`ayni invite` prints one, `ayni1…`) or `did:key:…@address:port`".to_owned()
            }
            Self::Api { .. } => "choose another port with --api, or 0 for any".to_owned(),
            Self::SelfTest(_) => "run `ayni doctor` to see which wall of the sandbox is at fault".to_owned(),
            _ => return None,
        })
    }
}

/// A running node.
pub struct Node {
    /// Who it is.
    pub id: NodeId,
    /// Where its API listens.
    pub api: SocketAddr,
    /// Where peers reach it.
    pub addr: NodeAddr,
    shared: Arc<Shared>,
    stop_pump: oneshot::Sender<()>,
    pump: tokio::task::JoinHandle<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    helpers: Vec<tokio::task::JoinHandle<()>>,
    journal: std::thread::JoinHandle<()>,
    endpoint: Endpoint,
    home: Home,
}

/// What API, pump and helpers share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) key: NodeKey,
    pub(crate) clock: Clock,
    pub(crate) handle: Handle,
    pub(crate) net: Arc<Net>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) shop: Arc<Shop>,
    pub(crate) self_test: SelfTest,
    pub(crate) bank: Option<BankHandle>,
    pub(crate) owner: Option<Arc<Owner>>,
    pub(crate) news: Arc<Mutex<News>>,
    pub(crate) started: Instant,
    /// Milliseconds after `started` of the last request.
    pub(crate) last_asked: AtomicU64,
    pub(crate) stop: tokio_util::sync::CancellationToken,
}

impl Shared {
    pub(crate) fn asked(&self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_asked.store(ms, Ordering::Relaxed);
    }
}

impl Node {
    /// Starts a node and returns when it takes requests.
    ///
    /// # Errors
    /// When any part can't start; then nothing is left running.
    pub async fn start(config: Config, executables: PathBuf) -> Result<Self, StartError> {
        let home = Home::open(&config.home)?;
        let mut random = Ok(());
        let keys = home.keys(|key| {
            if let Err(error) = getrandom::fill(key) {
                random = Err(error);
            }
        })?;
        random?;
        let clock = Clock::start();
        let peers = peers(&config.peers, clock.now())?;
        let cheat = match &config.cheat {
            None => None,
            Some(name) => {
                let signer = batch_signer(&keys.batch, home.path())?;
                let cheat = Cheat::parse(name, signer)
                    .ok_or_else(|| StartError::Cheat { name: name.clone(), known: Cheat::NAMES })?;
                Some(Arc::new(cheat))
            }
        };
        let mut config = config;
        let owner = match &mut config.provide {
            None => None,
            Some(provide) => {
                let has = Machine::read().has();
                let owner = Owner::open(home.path(), provide.limits.clone(), has)?;
                provide.limits = owner.limits();
                Some(Arc::new(owner))
            }
        };
        let disk_bytes = config.provide.as_ref().map_or(1 << 30, |p| p.limits.disk_bytes);
        let blobs = Arc::new(Blobs::open(&home.path().join("blobs"), disk_bytes)?);
        let journal_path = home.path().join("journal.redb");
        let journal = Journal::open(&journal_path)?;

        let scratch = home.path().join("scratch");
        let sandbox = Sandbox::new(SandboxConfig::beside(executables, scratch)).await?;
        let cache = ArtefactCache::open(home.path().join("compiled"), COMPILED_BYTES_MAX)?;
        let programs = Programs::new(sandbox.clone(), cache, blobs.clone());
        let shop = Arc::new(Shop { sandbox, programs, blobs: blobs.clone(), cheat: cheat.clone() });
        let self_test = self_test::run(&shop).await.map_err(StartError::SelfTest)?;

        let memory = Memory::of_home(home.path());
        let remembered = memory.read();
        let elsewhere = |peer: &NodeAddr| peer.direct.iter().any(|a| !a.ip().is_loopback());
        if config.listen_default && peers.iter().any(elsewhere) {
            config.listen = vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))];
        }
        let mut net_config = NetConfig::new(keys.node);
        net_config.bind.clone_from(&config.listen);
        if let ([only], Some(port)) = (net_config.bind.as_mut_slice(), remembered.port)
            && only.port() == 0
        {
            only.set_port(port);
        }
        net_config.mdns = config.mdns;
        net_config.relay_urls.clone_from(&config.relays);
        net_config.serve_relay = config.serve_relay;
        net_config.peers.clone_from(&peers);
        let host = Arc::new(Host(blobs.clone()));
        let started = match Net::start(net_config.clone(), host.clone()).await {
            // The port of an earlier life may be taken meanwhile.
            Err(NetError::Bind { .. }) if net_config.bind != config.listen => {
                net_config.bind.clone_from(&config.listen);
                Net::start(net_config, host).await
            }
            other => other,
        };
        let (net, net_events) = started?;
        let net = Arc::new(net);

        let bank = match &config.pay {
            None => None,
            Some(pay) => {
                let node = NodeKey::from_secret(&keys.node);
                let batch = batch_signer(&keys.batch, home.path())?;
                Some(bank::open(home.path(), pay, &node, batch).await?)
            }
        };
        let key = NodeKey::from_secret(&keys.node);
        let batch = batch_signer(&keys.batch, home.path())?;
        let seal = WireSeal::new(NodeKey::from_secret(&keys.node), batch);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let core_config = core_config(&config, &shop, self_test, net.addr(), handle_of(&bank));
        let records = journal.records()?;
        let core = Core::recover(
            core_config,
            Box::new(seal),
            seed,
            clock.now(),
            records.into_iter().map(|(_, record)| record),
        )?;

        let (handle, inputs) = Handle::new();
        let to_pump = handle.clone();
        let (journal_sender, journal_thread) = persist::start(journal, journal_path, move |news| {
            to_pump.event(match news {
                PersistNews::Persisted(sequence) => Event::Persisted { sequence },
                PersistNews::Failed { sequence, reason } => {
                    Event::PersistFailed { sequence, reason }
                }
            });
        })
        .map_err(StartError::Thread)?;
        let news = Arc::new(Mutex::new(News::new()));
        let fetcher = Arc::new(Fetcher::new(net.clone(), blobs.clone()));
        let (bench_shop, bench_fetcher) = (shop.clone(), fetcher.clone());
        let pump = Pump {
            core,
            clock,
            handle: handle.clone(),
            net: net.clone(),
            journal: journal_sender,
            fetcher,
            outputs: keep::start(blobs.clone(), handle.clone()).map_err(StoreError::from)?,
            work: Work::new(shop.clone(), handle.clone()),
            cheat,
            bank: handle_of(&bank).cloned(),
            news: news.clone(),
            waiting: BTreeMap::new(),
            fetches: BTreeMap::new(),
            next_command: 0,
        };
        let (stop_pump, stopped) = oneshot::channel();
        let pump = tokio::spawn(pump.run(inputs, stopped));
        for peer in peers.into_iter().chain(remembered.peers) {
            handle.event(Event::Discovered(peer));
        }

        let listener = tokio::net::TcpListener::bind(config.api)
            .await
            .map_err(|source| StartError::Api { addr: config.api, source })?;
        let api =
            listener.local_addr().map_err(|source| StartError::Api { addr: config.api, source })?;
        let shared = Arc::new(Shared {
            config,
            key,
            clock,
            handle: handle.clone(),
            net: net.clone(),
            blobs,
            shop,
            self_test,
            bank: handle_of(&bank).cloned(),
            owner,
            news,
            started: Instant::now(),
            last_asked: AtomicU64::new(0),
            stop: tokio_util::sync::CancellationToken::new(),
        });
        let token = Token::load_or_create(home.path())?;
        let router =
            ayni_api::router(Arc::new(NodeBackend(shared.clone())), Security { token, addr: api });
        let stopping = shared.stop.clone();
        let server = tokio::spawn(ayni_api::serve(listener, router, async move {
            stopping.cancelled().await;
        }));
        let endpoint = Endpoint::here(api, VERSION);
        endpoint.publish(home.path())?;
        let mut helpers = vec![
            tokio::spawn(pass_on(net_events, handle.clone())),
            tokio::spawn(owner::mind(shared.clone())),
            tokio::spawn(mind_idleness(shared.clone())),
            tokio::spawn(mind_address(shared.clone())),
            tokio::spawn(mind_peers(shared.clone(), memory)),
        ];
        if let Some((bank, _)) = bank {
            let bench = Bench { shop: bench_shop, fetcher: bench_fetcher, net: net.clone() };
            helpers.push(tokio::spawn(bank.run(handle.clone(), bench)));
        }
        Ok(Self {
            id: shared.key.id(),
            api,
            addr: net.addr(),
            shared,
            stop_pump,
            pump,
            server,
            helpers,
            journal: journal_thread,
            endpoint,
            home,
        })
    }

    /// What it lends, if it does.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        self.shared.owner.as_ref().map(|owner| owner.limits())
    }

    /// Completes when somebody asked the node to stop, or it has been idle for as long as it was
    /// told.
    pub async fn asked_to_stop(&self) {
        self.shared.stop.cancelled().await;
    }

    /// Lets what runs for others finish and takes nothing new.
    pub async fn drain(&self) {
        // A node that does not provide has nothing to drain.
        let _ = self.shared.handle.command(Command::Drain).await;
    }

    /// Stops everything; what is in the journal goes on at the next start.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.endpoint.withdraw(self.home.path());
        for helper in &self.helpers {
            helper.abort();
        }
        match self.server.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the API's listener failed: {error}"),
            Err(error) => tracing::error!("the API ended badly: {error}"),
        }
        let _ = self.stop_pump.send(());
        if let Err(error) = self.pump.await {
            tracing::error!("the core ended badly: {error}");
        }
        self.shared.net.shutdown().await;
        drop(self.shared);
        // The pump's sender is gone, so the thread commits what it has and ends.
        if self.journal.join().is_err() {
            tracing::error!("the journal's thread ended badly");
        }
    }
}

/// Compiled code kept, in bytes.
const COMPILED_BYTES_MAX: u64 = 8 << 30;

fn handle_of(bank: &Option<(Bank, BankHandle)>) -> Option<&BankHandle> {
    bank.as_ref().map(|(_, handle)| handle)
}

fn batch_signer(secret: &[u8; 32], home: &std::path::Path) -> Result<EvmSigner, HomeError> {
    EvmSigner::from_secret(secret).ok_or_else(|| HomeError::BadKey {
        path: home.join("keys").join("batch"),
        why: "is no secp256k1 key",
    })
}

fn core_config(
    config: &Config,
    shop: &Shop,
    self_test: SelfTest,
    addr: NodeAddr,
    bank: Option<&BankHandle>,
) -> CoreConfig {
    let build = shop.sandbox.build().clone();
    CoreConfig {
        roles: Roles {
            provider: config.provide.is_some(),
            directory: config.directory,
            relay: config.serve_relay.is_some(),
        },
        addr,
        provider: config.provide.as_ref().map(|provide| ProviderConfig {
            slots: provide.limits.lent().slots,
            memory_bytes: provide.limits.lent().memory_bytes,
            disk_bytes: provide.limits.disk_bytes,
            price: provide.limits.price,
            busy_percent: provide.limits.busy_percent,
            stake: provide.stake,
            disputes: bank.map(|bank| bank.contracts.disputes),
            hold_back: provide.hold_back,
            fuel_per_second: self_test.fuel_per_second,
            walls: shop.sandbox.walls(),
            build: build.clone(),
            region: provide.region.clone(),
            payment: config.pay.as_ref().zip(bank).map(|(pay, bank)| bank.payment(pay)),
            energy: provide.power.map(|power| power.energy),
        }),
        home: HomeConfig { slots: config.home_cpus, memory_bytes: config.home_memory_bytes, build },
        wallet: config.pay.as_ref().zip(bank).map(|(pay, bank)| bank.wallet(pay)),
        directories: Vec::new(),
        tuning: Tuning::default(),
    }
}

/// Reads tickets and addresses.
fn peers(texts: &[String], now: Time) -> Result<Vec<NodeAddr>, StartError> {
    let mut peers = Vec::new();
    for text in texts {
        peers.extend(
            read_peer(text, Some(now))
                .map_err(|why| StartError::Peer { text: text.chars().take(60).collect(), why })?,
        );
    }
    Ok(peers)
}

/// Reads a ticket (if the time is given), or `did:key:…@address:port[,address:port]`.
pub(crate) fn read_peer(text: &str, now: Option<Time>) -> Result<Vec<NodeAddr>, String> {
    if let Some((node, addresses)) = text.split_once('@') {
        let node = node.parse().map_err(|error: ayni_types::IdError| error.to_string())?;
        let direct = addresses
            .split(',')
            .map(|a| a.parse().map_err(|_| format!("`{a}` is no address with a port")))
            .collect::<Result<_, _>>()?;
        return Ok(vec![NodeAddr { node, direct, relay: None }]);
    }
    let now = now.ok_or("only an address is expected here")?;
    let ticket = Ticket::from_text(text, now).map_err(|error: TicketError| error.to_string())?;
    Ok(ticket.peers)
}

async fn pass_on(mut events: tokio::sync::mpsc::Receiver<NetEvent>, handle: Handle) {
    while let Some(event) = events.recv().await {
        match event {
            NetEvent::Message { from, message } => handle.event(Event::Message { from, message }),
            NetEvent::PeerUp(node) => handle.event(Event::PeerUp(node)),
            NetEvent::PeerDown(node) => handle.event(Event::PeerDown(node)),
            NetEvent::Discovered(addr) => handle.event(Event::Discovered(addr)),
            // The core believes no message to have arrived until it is answered.
            NetEvent::Undelivered { to, reason, .. } => {
                tracing::debug!(peer = %to.short(), "not delivered: {reason}");
            }
        }
    }
}

/// Stops a node that was started for one command when nothing needs it any more.
async fn mind_idleness(shared: Arc<Shared>) {
    let Some(idle_max) = shared.config.exit_when_idle else { return };
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let busy = shared
            .handle
            .look(|core| core.jobs().iter().any(|job| !crate::convert::is_final(job)))
            .await;
        match busy {
            Ok(true) => shared.asked(),
            Ok(false) => {}
            Err(_) => return,
        }
        let asked = Duration::from_millis(shared.last_asked.load(Ordering::Relaxed));
        if shared.started.elapsed().saturating_sub(asked) > idle_max {
            shared.stop.cancel();
            return;
        }
    }
}

/// Writes down whom the node is in touch with.
async fn mind_peers(shared: Arc<Shared>, memory: Memory) {
    let mut written = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Ok(known) = shared.handle.look(|core| core.peers()).await else { return };
        let connected: Vec<_> = shared.net.peers().iter().map(|peer| peer.node).collect();
        let peers: Vec<NodeAddr> = known
            .into_iter()
            .filter(|peer| connected.contains(&peer.node))
            .filter_map(|peer| peer.addr)
            .collect();
        // Nobody in touch is no reason to forget those who were.
        if !peers.is_empty() && peers != written {
            memory.write(&shared.net.addr().direct, &peers);
            written = peers;
        }
    }
}

/// Tells the core when the node's own addresses change (a relay came up, an interface moved).
async fn mind_address(shared: Arc<Shared>) {
    let mut known = shared.net.addr();
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let addr = shared.net.addr();
        if addr != known {
            known = addr.clone();
            if shared.handle.look(move |core| core.update_addr(addr)).await.is_err() {
                return;
            }
        }
    }
}
