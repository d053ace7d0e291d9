//! The farm as a test: many seeds, some of them twice, and bugs planted to see the alarms work.

use std::sync::atomic::{AtomicU64, Ordering};

use ayni_sim::world::{Options, Planted};
use ayni_sim::{Knobs, Report, run_seed, run_world};

/// Worlds on every run of the tests.
const SEEDS: u64 = 1_500;
/// Of them, so many are run twice.
const REPLAYS: u64 = 20;

fn farm(seeds: std::ops::Range<u64>, world: impl Fn(u64) -> Report + Sync) -> Vec<Report> {
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        let work = || {
            let mut reports = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return reports;
                }
                reports.push(world(seed));
            }
        };
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|h| h.join().expect("a world panicked")).collect()
    })
}

#[test]
fn no_promise_is_broken_in_any_world() {
    let reports = farm(0..SEEDS, run_seed);
    let broken: Vec<String> = reports
        .iter()
        .filter(|r| !r.violations.is_empty())
        .map(|r| format!("seed {}: {}", r.seed, r.violations[0]))
        .collect();
    assert!(broken.is_empty(), "{} worlds:\n{}", broken.len(), broken.join("\n"));
    // Worlds in which nothing happens would prove nothing.
    let sum = |f: fn(&Report) -> u32| reports.iter().map(f).sum::<u32>();
    assert!(sum(|r| r.accepted) > 50_000, "{} tasks accepted", sum(|r| r.accepted));
    assert!(sum(|r| r.crashes) > 500, "{} crashes", sum(|r| r.crashes));
    assert!(sum(|r| r.mismatches) > 100, "{} lies found", sum(|r| r.mismatches));
    assert!(sum(|r| r.failed) > 500, "{} tasks failed", sum(|r| r.failed));
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    let seeds = 0..REPLAYS;
    let first = farm(seeds.clone(), run_seed);
    let second = farm(seeds, run_seed);
    let sorted = |mut reports: Vec<Report>| {
        reports.sort_by_key(|r| r.seed);
        reports.into_iter().map(|r| (r.seed, r.hash)).collect::<Vec<_>>()
    };
    let (first, second) = (sorted(first), sorted(second));
    assert_eq!(first, second);
    let distinct: std::collections::BTreeSet<_> = first.iter().map(|(_, hash)| hash).collect();
    assert_eq!(distinct.len(), first.len(), "different seeds are different worlds");
}

fn found_by(planted: Planted, change: fn(&mut Knobs)) -> std::collections::BTreeSet<&'static str> {
    let reports = farm(0..60, |seed| {
        let mut knobs = Knobs::draw(seed);
        change(&mut knobs);
        run_world(knobs, Options { verbose: false, planted: Some(planted) })
    });
    reports.iter().flat_map(|r| &r.violations).map(|v| v.promise).collect()
}

#[test]
fn a_shell_that_acknowledges_before_the_disk_is_found() {
    let found = found_by(Planted::AckBeforeSync, |_| {});
    assert!(found.contains("write-ahead gate"), "{found:?}");
}

#[test]
fn a_disk_that_forgets_its_last_batch_is_found() {
    let found = found_by(Planted::LosesTail, |knobs| {
        knobs.crash_percent = 30;
        knobs.fault_phase_ms = 30_000;
    });
    assert!(!found.is_empty());
}

#[test]
fn a_requester_that_takes_a_lie_unaudited_is_found() {
    // Audits off, a liar at work, and a checker told that nobody lies: results must look wrong.
    let reports = farm(0..60, |seed| {
        let mut knobs = Knobs::draw(seed);
        knobs.providers = 2;
        knobs.audit_ppm = 0;
        knobs.home = false;
        run_world(knobs, Options { verbose: false, planted: Some(Planted::HiddenLiar) })
    });
    let found: std::collections::BTreeSet<_> =
        reports.iter().flat_map(|r| &r.violations).map(|v| v.promise).collect();
    assert!(found.contains("results are right"), "{found:?}");
}
