//! One node that the watcher asks, and what is held against it.

use std::time::{Duration, Instant};

use alloy_rpc_types_eth::Header;

use super::Alarm;
use crate::client::Client;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(120);

/// What a node says of one block: all that belief is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) hash: [u8; 32],
    pub(super) parent: [u8; 32],
}

impl Link {
    pub(super) fn of(header: &Header) -> Self {
        Self { hash: header.hash.into(), parent: header.inner.parent_hash.into() }
    }
}

/// A node, how far it is, and since when it stands still or is silent.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) client: Client,
    pub(super) head: u64,
    moved_at: Instant,
    failures: u32,
    retry_at: Option<Instant>,
    stalled: bool,
    held_against: Option<Alarm>,
}

impl Endpoint {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            head: 0,
            moved_at: Instant::now(),
            failures: 0,
            retry_at: None,
            stalled: false,
            held_against: None,
        }
    }

    /// Whether it is to be asked now.
    pub(super) fn is_due(&self) -> bool {
        self.retry_at.is_none_or(|at| at <= Instant::now())
    }

    /// Whether it answers and moves.
    pub(super) fn is_live(&self) -> bool {
        self.failures == 0 && !self.stalled
    }

    /// When it is asked again.
    pub(super) fn retry_in(&self) -> Duration {
        self.retry_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    /// It answered with its head.
    pub(super) fn answered(&mut self, head: u64) {
        self.failures = 0;
        self.retry_at = None;
        if head != self.head {
            self.head = head;
            self.moved_at = Instant::now();
            self.stalled = false;
        }
    }

    /// It did not: asked again later, ever more seldom.
    pub(super) fn failed(&mut self, why: String) -> Option<Alarm> {
        let wait = BACKOFF_MIN.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures += 1;
        self.retry_at = Some(Instant::now() + wait);
        let node = self.client.node().to_owned();
        self.accuse(Alarm::Silent { node, why })
    }

    /// Finds out whether it stands still.
    pub(super) fn check_stall(&mut self, after: Duration) -> Option<Alarm> {
        self.stalled = self.failures == 0 && self.moved_at.elapsed() >= after;
        if !self.stalled {
            return None;
        }
        let (node, head) = (self.client.node().to_owned(), self.head);
        self.accuse(Alarm::Stalled { node, head })
    }

    /// Holds something against it; an alarm if that is news.
    pub(super) fn accuse(&mut self, alarm: Alarm) -> Option<Alarm> {
        let same = |held: &Alarm| std::mem::discriminant(held) == std::mem::discriminant(&alarm);
        if self.held_against.as_ref().is_some_and(same) {
            return None;
        }
        self.held_against = Some(alarm.clone());
        Some(alarm)
    }

    /// It agrees with the others again.
    pub(super) fn clear(&mut self) {
        self.held_against = None;
    }
}
