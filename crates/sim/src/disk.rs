//! A journal as a disk keeps it: what was handed over (live) and what would be there after a power
//! cut (durable). A crash keeps all that is durable and any prefix of the rest.
//!
//! The unit is the batch, because the store writes each as one transaction: after a crash it is
//! there whole or not at all. A torn batch, half a record or a flipped bit below that promise is
//! the store's to find; a core given such records refuses to start (`tests/journal.rs`).

use std::collections::VecDeque;

/// One batch.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its number.
    pub sequence: u64,
    /// Its records.
    pub records: Vec<Vec<u8>>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Disk {
    durable: Vec<Batch>,
    live: VecDeque<Batch>,
    /// Full, or otherwise refusing.
    pub broken: bool,
    /// Refuses this batch and those after it, until it has said so.
    pub fails_from: Option<u64>,
}

impl Disk {
    /// Takes a batch; it is durable once [`Self::sync`] says so.
    pub fn append(&mut self, batch: Batch) {
        self.live.retain(|b| b.sequence < batch.sequence);
        self.live.push_back(batch);
    }

    /// Whether a batch was handed over and is not durable yet.
    #[must_use]
    pub fn holds(&self, sequence: u64) -> bool {
        self.live.iter().any(|b| b.sequence == sequence)
    }

    /// Everything up to `sequence` becomes durable; the batches that did.
    pub fn sync(&mut self, sequence: u64) -> Vec<Batch> {
        let mut synced = Vec::new();
        while self.live.front().is_some_and(|b| b.sequence <= sequence) {
            if let Some(batch) = self.live.pop_front() {
                synced.push(batch.clone());
                self.durable.push(batch);
            }
        }
        synced
    }

    /// Forgets what is not durable from `sequence` on.
    pub fn refuse(&mut self, sequence: u64) {
        self.live.retain(|b| b.sequence < sequence);
    }

    /// Batches that are not durable.
    #[must_use]
    pub fn live_len(&self) -> usize {
        self.live.len()
    }

    /// The power is cut: `keep` of the live batches made it; those are returned.
    pub fn crash(&mut self, keep: usize) -> Vec<Batch> {
        let kept: Vec<Batch> = self.live.drain(..).take(keep).collect();
        self.durable.extend(kept.iter().cloned());
        self.fails_from = None;
        kept
    }

    /// A disk that lies: its last durable batch is gone.
    pub fn forget_last(&mut self) {
        self.durable.pop();
    }

    /// What a restarted node reads.
    pub fn records(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.durable.iter().flat_map(|b| b.records.iter().cloned())
    }
}
