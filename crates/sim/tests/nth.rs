//! The n-th failure: one world, and for each kind of failure a run with the first one, the second
//! one … until a run has fewer than that many. Each must heal, and end as if nothing had been.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ayni_sim::farm::{cores, farm};
use ayni_sim::world::{Fail, Injection, Options};
use ayni_sim::{Knobs, Report, run_world};

/// More than any run has effects.
const MOST: u64 = 20_000;
/// Runs at once between two looks at whether all places were tried.
const STEP: u64 = 64;

/// One requester, two providers of whom one is the directory, six tasks, each audited; and the same
/// with the directory at the requester, two jobs of which some are submitted open, and work at home.
const WORLDS: [&str; 2] = [
    "seed 5\nrequesters 1\nproviders 2\njobs 1\ntasks 6\naudit_ppm 1000000\nhome_slots 1\n\
     slots_max 2\nproviders_max 2\ndelay_ms_max 20\ndisk_ms_max 10\n",
    "seed 6\nrequesters 1\nproviders 2\njobs 2\ntasks 3\naudit_ppm 1000000\nhome_slots 1\n\
     slots_max 2\nproviders_max 2\ndelay_ms_max 20\ndisk_ms_max 10\ndirectory_at_home 1\n\
     home 1\nopen 1\n",
];

fn run(world: &str, fail: Fail, nth: u64) -> Report {
    let knobs = Knobs::parse(world).expect("the knobs are well-formed");
    run_world(knobs, Options { injection: Some(Injection { fail, nth }), ..Options::default() })
}

/// Tries every place in both worlds; how many there were in the one with fewer.
fn every(fail: Fail) -> u64 {
    WORLDS.iter().map(|world| every_in(world, fail)).min().unwrap_or_default()
}

fn every_in(world: &str, fail: Fail) -> u64 {
    let places = AtomicU64::new(0);
    for from in (1..MOST).step_by(64) {
        let untouched = AtomicBool::new(false);
        let harvest = farm(from..from + STEP, cores(), None, |nth| {
            let report = run(world, fail, nth);
            if report.injected {
                places.fetch_max(nth, Ordering::Relaxed);
            } else {
                untouched.store(true, Ordering::Relaxed);
            }
            let mut report = Report { seed: nth, ..report };
            if (report.accepted, report.failed) != (6, 0) && report.violations.is_empty() {
                let text = format!("{} accepted, {} failed", report.accepted, report.failed);
                report.violations.push(ayni_sim::Violation::new("it heals", text));
            }
            report
        });
        let broken: Vec<String> = harvest
            .broken
            .iter()
            .map(|r| format!("{fail:?} number {}: {}", r.seed, r.violations[0]))
            .collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        if untouched.into_inner() {
            break;
        }
    }
    places.into_inner()
}

#[test]
fn every_journal_batch_may_be_refused() {
    assert!(every(Fail::Persist) >= 10);
}

#[test]
fn every_message_may_be_lost() {
    assert!(every(Fail::DropSend) > 64);
}

#[test]
fn every_message_may_come_twice() {
    assert!(every(Fail::RepeatSend) > 64);
}

#[test]
fn every_run_may_fail_to_start() {
    assert!(every(Fail::Run) >= 6);
}

#[test]
fn the_power_may_go_off_before_every_effect() {
    assert!(every(Fail::Effect) > 128);
}
