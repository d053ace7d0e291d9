//! The write-ahead gate: what we signed, and what we tell a user, waits here until the records it
//! rests on are durable.
//!
//! Records made while enough batches are being written join the next one (group commit). When the
//! journal fails, batches keep their numbers and are offered again; nothing is dropped.

use std::collections::VecDeque;

use ayni_types::{JobId, NodeId, PaidBy, Time};
use ayni_wire::Message;

use crate::effect::{ChainStep, Notice};
use crate::event::{CommandError, CommandId, Reply};
use crate::journal::{Record, encode_record};

/// What happens once the records before it are durable.
#[derive(Debug)]
pub(crate) enum Then {
    Send(NodeId, Box<Message>),
    Reply(CommandId, Result<Reply, CommandError>),
    Notice(Box<Notice>),
    TaskDurable(JobId, u32),
    JobDurable(JobId),
    OfferDurable(u64),
    Watch(PaidBy),
    Chain(PaidBy, ChainStep),
}

#[derive(Debug)]
struct Pending {
    sequence: u64,
    records: Vec<Vec<u8>>,
    then: Vec<Then>,
    /// Handed to the store and not yet answered.
    begun: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    next: u64,
    open: Vec<Vec<u8>>,
    open_then: Vec<Then>,
    pending: VecDeque<Pending>,
    failed: Option<(String, Time)>,
    /// The first batch that failed is being tried again.
    probing: bool,
}

impl Gate {
    pub(crate) fn new(next: u64) -> Self {
        Self {
            next,
            open: Vec::new(),
            open_then: Vec::new(),
            pending: VecDeque::new(),
            failed: None,
            probing: false,
        }
    }

    pub(crate) fn failed(&self) -> Option<&str> {
        self.failed.as_ref().map(|(reason, _)| reason.as_str())
    }

    pub(crate) fn retry_at(&self) -> Option<Time> {
        self.failed.as_ref().filter(|_| !self.probing).map(|(_, at)| *at)
    }

    /// Batches and records that are not durable yet.
    pub(crate) fn backlog(&self) -> usize {
        self.open.len() + self.pending.len()
    }

    pub(crate) fn write(&mut self, record: &Record) {
        self.open.push(encode_record(record));
    }

    /// Queues `then` behind everything written so far; gives it back if all of that is durable.
    pub(crate) fn after(&mut self, then: Then) -> Option<Then> {
        if !self.open.is_empty() {
            self.open_then.push(then);
        } else if let Some(last) = self.pending.back_mut() {
            last.then.push(then);
        } else {
            return Some(then);
        }
        None
    }

    /// The next batch to begin, if any may be.
    pub(crate) fn begin(&mut self, in_flight_max: usize) -> Option<(u64, Vec<Vec<u8>>)> {
        if self.failed.is_some() {
            // One batch shows whether the journal can be written again.
            let front = self.pending.front_mut().filter(|p| self.probing && !p.begun)?;
            front.begun = true;
            return Some((front.sequence, front.records.clone()));
        }
        if !self.open.is_empty() && self.pending.len() < in_flight_max {
            let mut records = std::mem::take(&mut self.open);
            records.insert(0, encode_record(&Record::Batch { sequence: self.next }));
            self.pending.push_back(Pending {
                sequence: self.next,
                records,
                then: std::mem::take(&mut self.open_then),
                begun: false,
            });
            self.next += 1;
        }
        let batch = self.pending.iter_mut().find(|p| !p.begun)?;
        batch.begun = true;
        Some((batch.sequence, batch.records.clone()))
    }

    /// Everything up to `sequence` is durable: what waited for it.
    pub(crate) fn persisted(&mut self, sequence: u64) -> Vec<Then> {
        let mut then = Vec::new();
        if self.pending.front().is_some_and(|p| p.begun && p.sequence <= sequence) {
            self.failed = None;
            self.probing = false;
        }
        while self.pending.front().is_some_and(|p| p.begun && p.sequence <= sequence) {
            if let Some(done) = self.pending.pop_front() {
                then.extend(done.then);
            }
        }
        then
    }

    /// Nothing from `sequence` on is durable. True if this is news.
    pub(crate) fn fail(&mut self, sequence: u64, reason: String, retry_at: Time) -> bool {
        for batch in self.pending.iter_mut().filter(|p| p.sequence >= sequence) {
            batch.begun = false;
        }
        self.probing = false;
        self.failed.replace((reason, retry_at)).is_none()
    }

    /// Tries again.
    pub(crate) fn retry(&mut self) {
        self.probing = self.failed.is_some();
    }
}
