//! Many worlds: each thread takes the next seed until there are no more, or the time is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::world::Report;

/// What a farm sums up.
#[derive(Debug, Default)]
pub struct Harvest {
    /// Worlds.
    pub worlds: u64,
    /// Happenings.
    pub events: u64,
    /// Virtual time.
    pub virtual_ms: u64,
    /// Of it, while tasks were being executed.
    pub busy_ms: u64,
    /// The same, times the nodes of each world.
    pub busy_node_ms: u64,
    /// Tasks with an outcome.
    pub accepted: u64,
    /// Tasks without.
    pub failed: u64,
    /// Crashes.
    pub crashes: u64,
    /// Lies found.
    pub mismatches: u64,
    /// Claimed on the chains.
    pub claimed: u128,
    /// Reorganisations of the chains.
    pub reorganised: u64,
    /// Worlds that broke a promise.
    pub broken: Vec<Report>,
}

impl Harvest {
    /// Adds a world.
    pub fn add(&mut self, report: Report) {
        self.worlds += 1;
        self.events += report.events;
        self.virtual_ms += report.virtual_ms;
        self.busy_ms += report.busy_ms;
        self.busy_node_ms += report.busy_node_ms;
        self.accepted += u64::from(report.accepted);
        self.failed += u64::from(report.failed);
        self.crashes += u64::from(report.crashes);
        self.mismatches += u64::from(report.mismatches);
        self.claimed += report.claimed;
        self.reorganised += report.reorganised;
        if !report.violations.is_empty() {
            self.broken.push(report);
        }
    }

    fn join(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.events += other.events;
        self.virtual_ms += other.virtual_ms;
        self.busy_ms += other.busy_ms;
        self.busy_node_ms += other.busy_node_ms;
        self.accepted += other.accepted;
        self.failed += other.failed;
        self.crashes += other.crashes;
        self.mismatches += other.mismatches;
        self.claimed += other.claimed;
        self.reorganised += other.reorganised;
        self.broken.extend(other.broken);
    }
}

/// Runs `world` for each seed on so many threads, for at most so long.
///
/// # Panics
/// When a world panics: that is a bug in the core or in the simulator.
pub fn farm(
    seeds: std::ops::Range<u64>,
    threads: usize,
    at_most: Option<Duration>,
    world: impl Fn(u64) -> Report + Sync,
) -> Harvest {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        let work = || {
            let mut harvest = Harvest::default();
            while at_most.is_none_or(|at_most| began.elapsed() < at_most) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    break;
                }
                harvest.add(world(seed));
            }
            harvest
        };
        let handles: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut harvest = Harvest::default();
        for handle in handles {
            match handle.join() {
                Ok(part) => harvest.join(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        harvest.broken.sort_by_key(|report| report.seed);
        harvest
    })
}

/// As many threads as the machine has cores.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
