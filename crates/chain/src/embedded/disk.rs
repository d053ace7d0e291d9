//! The ledger on disk: a log of raw transactions that is the truth, and two files that make a
//! start fast and can be made again from it.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held by the one process that may open the ledger |
//! | `genesis.json` | the beginning |
//! | `transactions.log` | `timestamp u64 | block hash 32 | raw transaction` for each block |
//! | `history.log` | what each transaction did, up to about the last snapshot |
//! | `state.snapshot` | all accounts after some block |
//!
//! A start reads the log whole. Blocks that a snapshot covers are put together from `history.log`,
//! later ones are executed again; each must get the hash that the log has for it, so that a ledger
//! that would mean something else than what was answered is never opened.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use alloy_consensus::transaction::Recovered;
use alloy_primitives::{Address, B256, Bytes};
use ayni_wire::{decode, encode};

use super::block::{Block, Effect, Remembered, Setting};
use super::chain::{Chain, Draft, decode_tx, parse_tx};
use super::genesis::{Genesis, GenesisError};
use super::snapshot::{self, Snapshot};
use crate::limits::{GROUP_BYTES_MAX, GROUP_TXS_MAX, RAW_TX_BYTES_MAX};
use crate::lock_file::LockFile;
use crate::record_log::{LogError, LogKind, RecordLog};

const HEAD_BYTES: usize = 8 + 32;

const TRANSACTIONS: LogKind = LogKind {
    magic: b"ayni ledger tx 1",
    body_max: HEAD_BYTES + RAW_TX_BYTES_MAX,
    group_max: (GROUP_BYTES_MAX + RAW_TX_BYTES_MAX + GROUP_TXS_MAX * (HEAD_BYTES + 20)) as u64,
};

/// One transaction can log 8 gas a byte: 2 MiB.
const HISTORY: LogKind =
    LogKind { magic: b"ayni ledger hi 1", body_max: 4 << 20, group_max: 8 << 20 };

/// Why a local ledger can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("can't {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the local ledger in {0} is in use by another process\nhint: a local ledger has one \
         writer; connect to it by its JSON-RPC address instead"
    )]
    InUse(PathBuf),
    /// The beginning does not fit.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A log can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log has lost blocks that were acknowledged.
    #[error(
        "the local ledger in {folder} has {log} blocks in its log, but {known} were acknowledged\n\
         hint: the log was cut or replaced; restore transactions.log from a copy"
    )]
    Lost {
        /// Which folder.
        folder: PathBuf,
        /// Blocks in the log.
        log: u64,
        /// Blocks that another file knows of.
        known: u64,
    },
    /// The writer's thread can't be started.
    #[error("can't start the ledger's writer: {0}")]
    Thread(io::Error),
}

/// The open files.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    transactions: RecordLog,
    history: RecordLog,
    /// Blocks, block 0 not counted, in `history.log`.
    remembered: u64,
    /// The block that the snapshot on disk is of.
    snapshot_at: u64,
    _lock: LockFile,
}

/// What is known of the past without executing it.
struct Cover {
    snapshot: Snapshot,
    past: Vec<(Address, Effect)>,
}

impl Disk {
    /// Opens or makes the ledger in `folder`.
    pub(super) fn open(folder: &Path, genesis: &Genesis) -> Result<(Self, Chain), OpenError> {
        fs::create_dir_all(folder).map_err(io_error("make", folder))?;
        let lock = lock(folder)?;
        let genesis = genesis.read_or_write(folder)?;
        let (mut history, past) = read_history(folder)?;
        let mut remembered = past.len() as u64;
        let snapshot = snapshot::read(folder).filter(|snapshot| snapshot.block <= remembered);
        let cover = snapshot.map(|snapshot| Cover { snapshot, past });
        let mut snapshot_at = cover.as_ref().map_or(0, |cover| cover.snapshot.block);
        let covered = cover.is_some();
        let read = match read_transactions(folder, &genesis, cover) {
            Err(LogError::Refused { index, why, .. }) if covered => {
                tracing::warn!(folder = %folder.display(), block = index + 1, why,
                    "the snapshot does not fit the log; executing every transaction again");
                snapshot::remove(folder).map_err(io_error("clear", folder))?;
                history = forget_history(folder)?;
                (remembered, snapshot_at) = (0, 0);
                read_transactions(folder, &genesis, None)
            }
            other => other,
        };
        let (transactions, chain) = read?;
        let in_log = chain.head().header.number;
        if in_log < remembered {
            let folder = folder.to_owned();
            return Err(OpenError::Lost { folder, log: in_log, known: remembered });
        }
        let folder = folder.to_owned();
        let disk = Self { folder, transactions, history, remembered, snapshot_at, _lock: lock };
        Ok((disk, chain))
    }

    /// Puts drafted blocks on disk; they are there when this returns.
    pub(super) fn append(&mut self, drafts: &[(Draft, Bytes)]) -> Result<(), LogError> {
        let bodies: Vec<_> = drafts.iter().map(|(draft, raw)| record(&draft.block, raw)).collect();
        self.transactions.append(&bodies)
    }

    /// Blocks since the last snapshot.
    pub(super) fn since_snapshot(&self, chain: &Chain) -> u64 {
        chain.head().header.number.saturating_sub(self.snapshot_at)
    }

    /// Writes history up to the head, then the state at the head.
    pub(super) fn snapshot(&mut self, chain: &Chain) -> Result<(), OpenError> {
        let head = chain.head();
        while self.remembered < head.header.number {
            let mut group = Vec::new();
            let mut bytes = 0;
            while let Some(block) = chain.block(self.remembered + 1 + group.len() as u64)
                && bytes < GROUP_BYTES_MAX
            {
                let inside = block.inside.as_ref().expect("all blocks but the first have one");
                let body = encode(&Remembered::of(inside));
                bytes += body.len();
                group.push(body);
            }
            self.history.append(&group)?;
            self.remembered += group.len() as u64;
        }
        snapshot::write(&self.folder, head.header.number, head.hash, &chain.state)
            .map_err(io_error("write a snapshot in", &self.folder))?;
        self.snapshot_at = head.header.number;
        Ok(())
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { what, path, source }
}

fn lock(folder: &Path) -> Result<LockFile, OpenError> {
    let path = folder.join("lock");
    LockFile::take(&path).map_err(|refused| match refused {
        fs::TryLockError::WouldBlock => OpenError::InUse(folder.to_owned()),
        fs::TryLockError::Error(source) => io_error("lock", &path)(source),
    })
}

fn record(block: &Block, raw: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(HEAD_BYTES + raw.len());
    body.extend_from_slice(&block.header.timestamp.to_le_bytes());
    body.extend_from_slice(block.hash.as_slice());
    body.extend_from_slice(raw);
    body
}

fn parse_record(body: &[u8]) -> Result<(u64, B256, &[u8]), String> {
    let (timestamp, rest) = body.split_first_chunk::<8>().ok_or("a record without a time")?;
    let (hash, raw) = rest.split_first_chunk::<32>().ok_or("a record without a hash")?;
    Ok((u64::from_le_bytes(*timestamp), B256::from(*hash), raw))
}

/// `history.log`, or an empty one if it can't be used: it can be made again.
fn read_history(folder: &Path) -> Result<(RecordLog, Vec<(Address, Effect)>), OpenError> {
    let mut past = Vec::new();
    let read = RecordLog::open(&folder.join("history.log"), HISTORY, &mut |body| {
        let remembered: Remembered = decode(body).map_err(|e| e.to_string())?;
        past.push(remembered.effect().ok_or("a log that no contract can have written")?);
        Ok(())
    });
    match read {
        Ok(log) => Ok((log, past)),
        Err(why) => {
            tracing::warn!(%why, "the ledger's history can't be used; executing again");
            Ok((forget_history(folder)?, Vec::new()))
        }
    }
}

fn forget_history(folder: &Path) -> Result<RecordLog, OpenError> {
    let path = folder.join("history.log");
    fs::remove_file(&path).map_err(io_error("clear", &path))?;
    Ok(RecordLog::open(&path, HISTORY, &mut |_| Ok(()))?)
}

/// The log and the chain that it makes, with what is covered not executed.
fn read_transactions(
    folder: &Path,
    genesis: &Genesis,
    cover: Option<Cover>,
) -> Result<(RecordLog, Chain), LogError> {
    let path = folder.join("transactions.log");
    let mut chain = Chain::begin(genesis);
    let (mut past, snapshot) = match cover {
        Some(Cover { snapshot, past }) => (past.into_iter(), Some(snapshot)),
        None => (Vec::new().into_iter(), None),
    };
    let until = snapshot.as_ref().map_or(0, |snapshot| snapshot.block);
    let mut snapshot = snapshot;
    let log = RecordLog::open(&path, TRANSACTIONS, &mut |body| {
        let (timestamp_s, hash, raw) = parse_record(body)?;
        let number = chain.head().header.number + 1;
        let found = if number <= until {
            let (sender, effect) = past.next().ok_or("history ends before the snapshot")?;
            let tx = decode_tx(raw).map_err(|e| e.to_string())?;
            let setting = Setting::after(chain.head(), timestamp_s);
            let block = Block::make(&setting, Recovered::new_unchecked(tx, sender), effect);
            let found = block.hash;
            chain.link(block);
            found
        } else {
            let tx = parse_tx(raw).map_err(|e| e.to_string())?;
            let draft = chain.draft().add(timestamp_s, tx).map_err(|e| e.to_string())?;
            let found = draft.block.hash;
            chain.apply(draft);
            found
        };
        if found != hash {
            return Err(format!(
                "block {number} was {hash} when it was acknowledged and is {found} now\nhint: this \
                 version executes it differently; use the version that wrote the ledger"
            ));
        }
        if number == until
            && let Some(taken) = snapshot.take()
        {
            if taken.hash != hash {
                return Err("the snapshot is of another chain".into());
            }
            chain.state = taken.state;
        }
        Ok(())
    })?;
    if let Some(left) = snapshot {
        // The log ends before it: the caller finds blocks missing, since history has them.
        tracing::warn!(block = left.block, "the log ends before the snapshot");
    }
    Ok((log, chain))
}
