//! The local ledger: an EVM chain in this process, for nodes that have no other.
//!
//! The same contracts and the same client work on it as on any EVM chain. It has one writer and no
//! consensus: whoever runs it can write what they like, so money on it is play money and stake on
//! it deters nobody. Every place that shows it calls it *local ledger*.
//!
//! | file | what |
//! |---|---|
//! | `genesis` | how it begins |
//! | `state`, `block`, `chain` | what it holds in memory |
//! | `execute` | runs transactions and calls in the EVM |
//! | `disk`, `snapshot` | what it keeps on disk |
//! | `rpc`, `query` | answers `eth_*` requests |
//! | `transport` | those answers as an alloy transport, in process |
//! | `server` | those answers over HTTP on loopback |
//!
//! Deliberately not here: mining, a queue of transactions, forks, history of the state, blobs.

mod block;
mod chain;
mod disk;
mod execute;
mod genesis;
mod query;
mod rpc;
mod server;
mod snapshot;
mod state;
mod transport;

use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard, mpsc};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{B256, Bytes};
use tokio::sync::oneshot;

use crate::limits::{GROUP_BYTES_MAX, GROUP_TXS_MAX, SNAPSHOT_BLOCKS, SUBMIT_QUEUE_MAX};
use chain::Chain;
use disk::Disk;
pub use disk::OpenError;
pub use execute::TxError;
pub use genesis::{Genesis, GenesisError, LOCAL_CHAIN};
pub use server::{RpcServer, ServeError};
pub(crate) use transport::LocalTransport;

/// How a local ledger names itself to whoever asks (`web3_clientVersion`), before its version.
pub(crate) const LOCAL_LEDGER: &str = "ayni local ledger";

/// Seconds since 1970, as blocks are to be stamped.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The time of this machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// How a ledger is run; says nothing of what it is.
#[derive(Clone)]
pub struct LedgerOptions {
    /// Stamps blocks.
    pub clock: Clock,
    /// Blocks between two snapshots of the state.
    pub snapshot_blocks: u64,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self { clock: system_clock(), snapshot_blocks: SNAPSHOT_BLOCKS }
    }
}

/// An open local ledger. Clones are the same ledger; it closes with the last of them.
#[derive(Clone)]
pub struct LocalLedger(Arc<Open>);

struct Open {
    shared: Arc<Shared>,
    // Dropped first, so that the writer ends.
    queue: Option<mpsc::SyncSender<Submission>>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    chain: RwLock<Chain>,
    clock: Clock,
}

struct Submission {
    tx: Recovered<TxEnvelope>,
    raw: Bytes,
    answer: oneshot::Sender<Result<B256, TxError>>,
}

/// The ledger after its last block, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerHead {
    /// Number of the last block.
    pub block: u64,
    /// Its hash: covers every transaction, receipt and change before it.
    pub hash: [u8; 32],
    /// Digest of every account, slot and code, taken now.
    pub state: [u8; 32],
}

impl LocalLedger {
    /// Opens the ledger in `folder`, or begins one there by `genesis`.
    ///
    /// # Errors
    /// If it is another chain's, in use, damaged, or the disk refuses.
    pub fn open(
        folder: &Path,
        genesis: &Genesis,
        options: LedgerOptions,
    ) -> Result<Self, OpenError> {
        let LedgerOptions { clock, snapshot_blocks } = options;
        let (disk, chain) = Disk::open(folder, genesis)?;
        let shared = Arc::new(Shared { chain: RwLock::new(chain), clock });
        let (queue, submissions) = mpsc::sync_channel(SUBMIT_QUEUE_MAX);
        let writer = Writer { shared: shared.clone(), disk, snapshot_blocks };
        let writer = std::thread::Builder::new()
            .name("local-ledger".into())
            .spawn(move || writer.run(&submissions))
            .map_err(OpenError::Thread)?;
        Ok(Self(Arc::new(Open { shared, queue: Some(queue), writer: Some(writer) })))
    }

    /// EIP-155 number.
    ///
    /// # Errors
    /// If the ledger has stopped.
    pub fn chain_id(&self) -> Result<u64, TxError> {
        Ok(self.0.shared.chain()?.id)
    }

    /// Its last block, with a digest of the whole state (which takes a pass over it).
    ///
    /// # Errors
    /// If the ledger has stopped.
    pub fn head(&self) -> Result<LedgerHead, TxError> {
        let chain = self.0.shared.chain()?;
        let head = chain.head();
        Ok(LedgerHead {
            block: head.header.number,
            hash: head.hash.into(),
            state: snapshot::digest(&chain.state).into(),
        })
    }

    /// Puts a raw transaction into a block and says its hash when it is on disk.
    ///
    /// # Errors
    /// If it may not be in a block, or can't be written.
    pub async fn submit(&self, raw: Bytes) -> Result<B256, TxError> {
        let (answer, answered) = oneshot::channel();
        let me = self.clone();
        let stopped = || TxError::Stopped("it has been closed".into());
        tokio::task::spawn_blocking(move || {
            let tx = chain::parse_tx(&raw)?;
            let queue = me.0.queue.as_ref().ok_or_else(stopped)?;
            queue.send(Submission { tx, raw, answer }).map_err(|_| stopped())
        })
        .await
        .map_err(|e| TxError::Stopped(e.to_string()))??;
        answered.await.map_err(|_| stopped())?
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the local ledger's writer panicked");
        }
    }
}

impl Shared {
    fn chain(&self) -> Result<RwLockReadGuard<'_, Chain>, TxError> {
        let stopped = |_| TxError::Stopped("its writer panicked; restart".into());
        self.chain.read().map_err(stopped)
    }
}

/// The one thread that changes the chain. Others read it meanwhile, also while it waits for the
/// disk.
struct Writer {
    shared: Arc<Shared>,
    disk: Disk,
    snapshot_blocks: u64,
}

impl Writer {
    fn run(mut self, submissions: &mpsc::Receiver<Submission>) {
        while let Ok(first) = submissions.recv() {
            let mut bytes = first.raw.len();
            let mut group = vec![first];
            while group.len() < GROUP_TXS_MAX
                && bytes < GROUP_BYTES_MAX
                && let Ok(next) = submissions.try_recv()
            {
                bytes += next.raw.len();
                group.push(next);
            }
            self.commit(group);
            self.snapshot_after(self.snapshot_blocks);
        }
        self.snapshot_after(1);
    }

    fn commit(&mut self, group: Vec<Submission>) {
        let mut waiting = Vec::with_capacity(group.len());
        let mut drafts = Vec::with_capacity(group.len());
        let written = {
            let Ok(chain) = self.shared.chain() else { return };
            let mut drafting = chain.draft();
            for Submission { tx, raw, answer } in group {
                let hash = *tx.tx_hash();
                match drafting.add((self.shared.clock)(), tx) {
                    Ok(draft) => {
                        drafts.push((draft, raw));
                        waiting.push((hash, answer));
                    }
                    // Nobody waits any more if this fails.
                    Err(why) => drop(answer.send(Err(why))),
                }
            }
            if drafts.is_empty() { Ok(()) } else { self.disk.append(&drafts) }
        };
        let applied = written.map_err(|e| TxError::Stopped(e.to_string())).and_then(|()| {
            let lock = self.shared.chain.write();
            let mut chain = lock.map_err(|_| TxError::Stopped("a reader panicked".into()))?;
            drafts.into_iter().for_each(|(draft, _)| chain.apply(draft));
            Ok(())
        });
        for (hash, answer) in waiting {
            drop(answer.send(applied.clone().map(|()| hash)));
        }
    }

    fn snapshot_after(&mut self, blocks: u64) {
        let Ok(chain) = self.shared.chain() else { return };
        if self.disk.since_snapshot(&chain) < blocks {
            return;
        }
        if let Err(why) = self.disk.snapshot(&chain) {
            tracing::warn!(%why, "no snapshot of the local ledger; the next start takes longer");
        }
    }
}
