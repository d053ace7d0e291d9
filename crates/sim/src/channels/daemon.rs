//! One process: a core, its journal with a durable and a live part, and its accountant.

use std::collections::VecDeque;

use ayni_core::{Config, Core, Purpose, RunId};
use ayni_types::{TaskSpec, Time};

use crate::checkers::Violation;
use crate::checkers::books::Books;
use crate::checkers::gate::Durable;
use crate::seal::SimSeal;

/// A batch of records with its number.
pub(super) type Batch = (u64, Vec<Vec<u8>>);

/// See the module.
pub(super) struct Daemon {
    pub(super) core: Core,
    pub(super) durable: Vec<Batch>,
    pub(super) live: VecDeque<Batch>,
    pub(super) books: Books,
    pub(super) gate: Durable,
    pub(super) runs: Vec<(RunId, TaskSpec, Purpose)>,
}

impl Daemon {
    /// Starts from a journal.
    pub(super) fn start(
        config: &Config,
        seed: [u8; 32],
        now: Time,
        durable: Vec<Batch>,
    ) -> Result<Self, Violation> {
        let records = || durable.iter().flat_map(|(_, records)| records.iter().cloned());
        let books = Books::reopened(records())?;
        let mut gate = Durable::default();
        for (_, records) in &durable {
            gate.add(records)?;
        }
        let seal = Box::new(SimSeal::new(config.addr.node));
        let core = Core::recover(config.clone(), seal, seed, now, records()).map_err(|error| {
            Violation::new("M6 journal", format!("a daemon does not recover: {error}"))
        })?;
        let (live, runs) = (VecDeque::new(), Vec::new());
        Ok(Self { core, durable, live, books, gate, runs })
    }

    /// The core hands over a batch.
    pub(super) fn wrote(&mut self, batch: Batch) -> Result<(), Violation> {
        self.books.wrote(batch.0, &batch.1)?;
        self.gate.wrote(&batch.1);
        self.live.retain(|(sequence, _)| *sequence < batch.0);
        self.live.push_back(batch);
        Ok(())
    }

    /// The oldest batch that is not durable becomes so; its number.
    pub(super) fn sync(&mut self) -> Result<Option<u64>, Violation> {
        let Some(batch) = self.live.pop_front() else { return Ok(None) };
        self.gate.add(&batch.1)?;
        let sequence = batch.0;
        self.durable.push(batch);
        Ok(Some(sequence))
    }

    /// The power is cut: what is left, with so many of the batches that were on their way.
    pub(super) fn cut(mut self, keep: usize) -> Vec<Batch> {
        self.durable.extend(self.live.drain(..).take(keep));
        self.durable
    }
}
