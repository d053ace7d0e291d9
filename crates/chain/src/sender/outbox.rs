//! Where the sender's memory is kept, so that a kill at any point neither loses an intent nor does
//! one twice.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ayni_types::Account;
use ayni_wire::{decode, encode};

use super::entry::Entry;
use crate::lock_file::LockFile;
use crate::record_log::{LogError, LogKind, RecordLog, sync_folder_of};

/// A transaction has 128 KiB at most, and an entry up to all its attempts.
const KIND: LogKind =
    LogKind { magic: b"ayni outbox   1\n", body_max: 4 << 20, group_max: 8 << 20 };

/// Why the sender's memory can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The log can't be used.
    #[error(transparent)]
    Log(#[from] LogError),
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
    /// Another process sends for this account.
    #[error(
        "{0} is in use by another process\nhint: an account has one sender; two would take each \
         other's nonces"
    )]
    InUse(PathBuf),
    /// A store of another kind failed.
    #[error("the outbox failed: {0}")]
    Other(String),
}

/// Keeps entries. `put` returns when the entry is safe.
pub trait Outbox: Send + Sync {
    /// Every entry's last form.
    ///
    /// # Errors
    /// If they can't be read.
    fn load(&mut self) -> Result<Vec<Entry>, OutboxError>;

    /// Keeps an entry in place of its last form.
    ///
    /// # Errors
    /// If it can't be made safe; then nothing that depends on it may be sent.
    fn put(&mut self, entry: &Entry) -> Result<(), OutboxError>;
}

/// An outbox in a file of its own per chain and account.
#[derive(Debug)]
pub struct FileOutbox {
    log: RecordLog,
    entries: BTreeMap<String, Entry>,
    _lock: LockFile,
}

impl FileOutbox {
    /// Opens the outbox of an account on a chain.
    ///
    /// # Errors
    /// If it is in use, damaged, or the disk refuses.
    pub fn open(folder: &Path, chain: u64, account: Account) -> Result<Self, OutboxError> {
        let io = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| OutboxError::Io { what, path, source }
        };
        fs::create_dir_all(folder).map_err(io("make", folder))?;
        let path = folder.join(format!("outbox-{chain}-{account}.log"));
        let lock_path = path.with_extension("lock");
        let lock = match LockFile::take(&lock_path) {
            Ok(lock) => lock,
            Err(fs::TryLockError::WouldBlock) => return Err(OutboxError::InUse(path)),
            Err(fs::TryLockError::Error(source)) => return Err(io("lock", &lock_path)(source)),
        };
        let (mut entries, mut records) = (BTreeMap::new(), 0_usize);
        let mut log = RecordLog::open(&path, KIND, &mut |body| {
            let entry: Entry = decode(body).map_err(|e| e.to_string())?;
            entries.insert(entry.intent.id.clone(), entry);
            records += 1;
            Ok(())
        })?;
        if records > 64 && records > entries.len() * 2 {
            drop(log);
            log = rewrite(&path, &entries)?;
        }
        Ok(Self { log, entries, _lock: lock })
    }
}

/// Writes the log anew with the last form of every entry; a kill leaves the old one or this.
fn rewrite(path: &Path, entries: &BTreeMap<String, Entry>) -> Result<RecordLog, OutboxError> {
    let part = path.with_extension("part");
    let io = |source| OutboxError::Io { what: "rewrite", path: path.to_owned(), source };
    match fs::remove_file(&part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(e)),
        _ => {}
    }
    let mut log = RecordLog::open(&part, KIND, &mut |_| Ok(()))?;
    for entry in entries.values() {
        log.append(&[encode(entry)])?;
    }
    drop(log);
    fs::rename(&part, path).map_err(io)?;
    sync_folder_of(path).map_err(io)?;
    Ok(RecordLog::open(path, KIND, &mut |_| Ok(()))?)
}

impl Outbox for FileOutbox {
    fn load(&mut self) -> Result<Vec<Entry>, OutboxError> {
        Ok(std::mem::take(&mut self.entries).into_values().collect())
    }

    fn put(&mut self, entry: &Entry) -> Result<(), OutboxError> {
        self.log.append(&[encode(entry)])?;
        Ok(())
    }
}

/// An outbox that a restart empties: for tests and for what may be done twice.
#[derive(Debug, Default)]
pub struct MemoryOutbox(());

impl Outbox for MemoryOutbox {
    fn load(&mut self) -> Result<Vec<Entry>, OutboxError> {
        Ok(Vec::new())
    }

    fn put(&mut self, _: &Entry) -> Result<(), OutboxError> {
        Ok(())
    }
}
