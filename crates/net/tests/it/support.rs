//! Nodes, stores and waits that the tests share.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ayni_net::{BlobHost, BlobSink, HostedBlob, Net, NetConfig, NetEvent, PartialBlob};
use ayni_types::{Digest, LeaseId, NodeAddr, NodeId};
use ayni_wire::Message;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// When a wait is a hang.
pub(crate) const HANG: Duration = Duration::from_secs(120);

pub(crate) struct Node {
    pub(crate) net: Arc<Net>,
    pub(crate) events: Receiver<NetEvent>,
}

pub(crate) fn loopback(seed: u8) -> NetConfig {
    NetConfig { bind: vec!["127.0.0.1:0".parse().unwrap()], ..NetConfig::new([seed; 32]) }
}

impl Node {
    pub(crate) async fn start(seed: u8) -> Self {
        Self::with(loopback(seed), Folder::new()).await
    }

    pub(crate) async fn with(config: NetConfig, blobs: Arc<Folder>) -> Self {
        let (net, events) = Net::start(config, blobs).await.unwrap();
        Self { net: Arc::new(net), events }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.net.node()
    }

    pub(crate) fn addr(&self) -> NodeAddr {
        self.net.addr()
    }

    pub(crate) async fn event(&mut self) -> NetEvent {
        timeout(HANG, self.events.recv()).await.expect("an event").expect("a living network")
    }

    /// The next message; what is said between is skipped.
    pub(crate) async fn message(&mut self) -> (NodeId, Message) {
        loop {
            if let NetEvent::Message { from, message } = self.event().await {
                return (from, message);
            }
        }
    }

    /// Waits for one event, skipping others.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&NetEvent) -> bool) -> NetEvent {
        loop {
            let event = self.event().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    pub(crate) async fn fetch(
        &self,
        digest: Digest,
        size: Option<u64>,
        from: &[NodeId],
        into: &Arc<Folder>,
    ) -> Result<ayni_net::FetchOutcome, ayni_net::FetchError> {
        let into: Arc<Folder> = Arc::clone(into);
        timeout(HANG, self.net.fetch_blob(digest, size, from, into, &|_| {})).await.expect("an end")
    }
}

/// A message that carries a number.
pub(crate) fn numbered(number: u64) -> Message {
    let mut lease = [0; 16];
    lease[..8].copy_from_slice(&number.to_le_bytes());
    Message::Ping { leases: vec![LeaseId(lease)] }
}

pub(crate) fn number_of(message: &Message) -> u64 {
    let Message::Ping { leases } = message else { panic!("not numbered: {message:?}") };
    u64::from_le_bytes(leases[0].0[..8].try_into().unwrap())
}

/// Bytes that are different for every seed and don't repeat.
pub(crate) fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

/// Blobs as files of a folder.
pub(crate) struct Folder {
    dir: tempfile::TempDir,
    /// Peers that may have nothing.
    pub(crate) refused: Mutex<Vec<NodeId>>,
    pub(crate) damaged: AtomicUsize,
    pub(crate) full: AtomicBool,
}

impl Folder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            dir: tempfile::tempdir().unwrap(),
            refused: Mutex::default(),
            damaged: AtomicUsize::new(0),
            full: AtomicBool::new(false),
        })
    }

    pub(crate) fn with(contents: &[u8]) -> Arc<Self> {
        let folder = Self::new();
        folder.add(contents);
        folder
    }

    pub(crate) fn add(&self, contents: &[u8]) -> Digest {
        let digest = digest(contents);
        fs::write(self.path(&digest, ""), contents).unwrap();
        digest
    }

    pub(crate) fn path(&self, digest: &Digest, suffix: &str) -> PathBuf {
        self.dir.path().join(format!("{digest}{suffix}"))
    }

    pub(crate) fn read(&self, digest: &Digest) -> Option<Vec<u8>> {
        fs::read(self.path(digest, "")).ok()
    }
}

impl BlobHost for Folder {
    fn open(&self, digest: &Digest) -> io::Result<Option<HostedBlob>> {
        match File::open(self.path(digest, "")) {
            Ok(file) => {
                let size = file.metadata()?.len();
                Ok(Some(HostedBlob { file, size }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn may_fetch(&self, peer: NodeId, _: &Digest) -> bool {
        !self.refused.lock().unwrap().contains(&peer)
    }

    fn damaged(&self, _: &Digest) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }
}

impl BlobSink for Folder {
    fn held(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest, "")).ok().map(|m| m.len())
    }

    fn put(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        fs::write(self.path(digest, ""), bytes)
    }

    fn partial(&self, digest: &Digest, _: u64) -> io::Result<PartialBlob> {
        if self.full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let open = |suffix| {
            let path = self.path(digest, suffix);
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
        };
        Ok(PartialBlob { data: open(".part")?, proof: open(".proof")? })
    }

    fn finish(&self, digest: &Digest, _: u64) -> io::Result<()> {
        fs::rename(self.path(digest, ".part"), self.path(digest, ""))?;
        fs::remove_file(self.path(digest, ".proof"))
    }
}
