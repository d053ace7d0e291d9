//! The journal: batches handed to the disk model, durable later, refused while it is full.

use ayni_core::Event;

use super::{Fail, Happening, Planted, World};
use crate::disk::Batch;

impl World {
    pub(super) fn persist(&mut self, at: usize, sequence: u64, records: Vec<Vec<u8>>) {
        for record in &records {
            self.note(at, 6, record);
        }
        let delay = self.delays.between(1, self.knobs.disk_ms_max);
        if self.inject(Fail::Persist) {
            self.nodes[at].disk.fails_from = Some(sequence);
        }
        let node = &mut self.nodes[at];
        if node.disk.broken || node.disk.fails_from.is_some_and(|first| first <= sequence) {
            self.schedule(delay, at, Happening::SyncFailed(sequence));
            return;
        }
        if self.money.is_some()
            && let Err(violation) = node.books.wrote(sequence, &records)
        {
            self.violations.push(violation);
        }
        node.durable.wrote(&records);
        node.disk.append(Batch { sequence, records });
        let when = (self.now + delay).max(node.synced_at);
        node.synced_at = when;
        self.schedule(when - self.now, at, Happening::Synced(sequence));
        if self.options.planted == Some(Planted::AckBeforeSync) {
            // The planted bug: the shell says so before it is so.
            let time = self.time_at(at);
            if let Some(core) = &mut self.nodes[at].core {
                core.handle(time, Event::Persisted { sequence });
            }
        }
    }

    pub(super) fn sync_failed(&mut self, at: usize, sequence: u64) {
        let disk = &mut self.nodes[at].disk;
        disk.refuse(sequence);
        disk.fails_from = None;
        let reason = "no space left on device".to_owned();
        self.handle(at, Event::PersistFailed { sequence, reason });
    }

    pub(super) fn synced(&mut self, at: usize, sequence: u64) {
        self.note(at, 7, &sequence.to_be_bytes());
        let node = &mut self.nodes[at];
        if !node.disk.holds(sequence) {
            return;
        }
        if node.disk.broken && node.disk.live_len() > 0 {
            self.schedule(0, at, Happening::SyncFailed(sequence));
            return;
        }
        for batch in node.disk.sync(sequence) {
            if let Err(violation) = node.durable.add(&batch.records) {
                self.violations.push(violation);
            }
        }
        self.handle(at, Event::Persisted { sequence });
    }
}
