//! Proofs that a holder needs to serve a blob: the hash pairs of its tree, 64 bytes for each 16
//! KiB. Computed by reading the blob once, then kept in memory while there is room.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::sync::{Arc, Mutex};

use ayni_types::Digest;
use bao_tree::io::outboard::PreOrderOutboard;
use bao_tree::io::sync::CreateOutboard as _;
use tokio::sync::{OnceCell, Semaphore};

use crate::blob::segment::{GROUP, GROUP_BYTES, root, tree};
use crate::limits::{PROOF_CACHE_BYTES_MAX, PROOFS_AT_ONCE_MAX};
use crate::lock;

/// The hash pairs of one blob.
pub(crate) type Proof = PreOrderOutboard<Vec<u8>>;

/// Proofs by digest; the least recently used are dropped.
pub(crate) struct Proofs {
    kept: Mutex<Kept>,
    at_work: Semaphore,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Digest, Entry>,
    clock: u64,
}

struct Entry {
    cell: Arc<OnceCell<Arc<Proof>>>,
    used: u64,
}

impl Default for Proofs {
    fn default() -> Self {
        Self { kept: Mutex::default(), at_work: Semaphore::new(PROOFS_AT_ONCE_MAX) }
    }
}

impl Proofs {
    /// The proof of a blob; whoever asks for the same one meanwhile waits for the same work.
    /// `None` if the file does not match the digest.
    pub(crate) async fn of(
        &self,
        digest: Digest,
        size: u64,
        file: &Arc<File>,
    ) -> io::Result<Option<Arc<Proof>>> {
        if size <= GROUP_BYTES {
            let proof = Proof { root: root(&digest), tree: tree(size), data: Vec::new() };
            return Ok(Some(Arc::new(proof)));
        }
        let cell = self.cell(digest);
        let proof = cell.get_or_try_init(|| self.compute(size, Arc::clone(file))).await?;
        let proof = Arc::clone(proof);
        if proof.root != root(&digest) || proof.tree.size() != size {
            lock(&self.kept).entries.remove(&digest);
            return Ok(None);
        }
        self.shrink();
        Ok(Some(proof))
    }

    /// Forgets a proof: the blob changed.
    pub(crate) fn forget(&self, digest: &Digest) {
        lock(&self.kept).entries.remove(digest);
    }

    fn cell(&self, digest: Digest) -> Arc<OnceCell<Arc<Proof>>> {
        let kept = &mut *lock(&self.kept);
        kept.clock += 1;
        let entry =
            kept.entries.entry(digest).or_insert_with(|| Entry { cell: Arc::default(), used: 0 });
        entry.used = kept.clock;
        Arc::clone(&entry.cell)
    }

    async fn compute(&self, size: u64, file: Arc<File>) -> io::Result<Arc<Proof>> {
        let _permit = self.at_work.acquire().await.map_err(io::Error::other)?;
        let work = move || {
            let mut reader = BufReader::with_capacity(1 << 20, &*file);
            reader.rewind()?;
            Proof::create_sized(reader, size, GROUP).map(Arc::new)
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }

    fn shrink(&self) {
        let kept = &mut *lock(&self.kept);
        let bytes = |entry: &Entry| entry.cell.get().map_or(0, |proof| proof.data.len());
        let mut total: usize = kept.entries.values().map(bytes).sum();
        while total > PROOF_CACHE_BYTES_MAX {
            let done = kept.entries.iter().filter(|(_, entry)| entry.cell.get().is_some());
            let Some((digest, _)) = done.min_by_key(|(_, entry)| entry.used) else { return };
            let digest = *digest;
            total -= kept.entries.remove(&digest).as_ref().map_or(0, bytes);
        }
    }
}
