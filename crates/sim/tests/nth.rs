//! The n-th failure: one world, and for each kind of failure a run with the first one, the second
//! one … until a run has fewer than that many. Each must heal, and end as if nothing had been.

use ayni_sim::farm::{cores, farm};
use ayni_sim::world::{Fail, Injection, Options};
use ayni_sim::{Knobs, Report, run_world};

/// More than any run has effects.
const MOST: u64 = 20_000;
/// Runs at once between two looks at whether all places were tried.
const STEP: u64 = 64;

/// Two providers, one of them the directory; six tasks, each audited.
const WORLD: &str = "
    seed 5
    requesters 1
    providers 2
    jobs 1
    tasks 6
    audit_ppm 1000000
    home_slots 1
    slots_max 2
    providers_max 2
    delay_ms_max 20
    disk_ms_max 10
";

fn run(fail: Fail, nth: u64) -> Report {
    let knobs = Knobs::parse(WORLD).unwrap();
    run_world(knobs, Options { injection: Some(Injection { fail, nth }), ..Options::default() })
}

fn every(fail: Fail) -> u64 {
    let mut tried = 0;
    for from in (1..MOST).step_by(64) {
        let untouched = std::sync::atomic::AtomicBool::new(false);
        let harvest = farm(from..from + STEP, cores(), None, |nth| {
            let report = run(fail, nth);
            if !report.injected {
                untouched.store(true, std::sync::atomic::Ordering::Relaxed);
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
        tried = from + STEP - 1;
        if untouched.into_inner() {
            break;
        }
    }
    tried
}

#[test]
fn every_journal_batch_may_be_refused() {
    assert!(every(Fail::Persist) >= 64);
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
    assert!(every(Fail::Run) >= 12);
}

#[test]
fn the_power_may_go_off_before_every_effect() {
    assert!(every(Fail::Effect) > 128);
}
