//! The farm as a test: many seeds, some of them twice, and bugs planted to see the alarms work.

use std::collections::BTreeSet;

use ayni_sim::farm::{Harvest, cores, farm};
use ayni_sim::world::{Options, Planted};
use ayni_sim::{Knobs, Report, run_seed, run_world};

/// Worlds on every run of the tests.
const SEEDS: u64 = 1_500;
/// Worlds with pay on every run of the tests.
const PAID_SEEDS: u64 = 300;
/// Worlds where jobs have a budget on every run of the tests.
const BUDGET_SEEDS: u64 = 400;
/// Long worlds on every run of the tests.
const LONG_SEEDS: u64 = 30;
/// Of them, so many are run twice.
const REPLAYS: u64 = 20;

fn worlds(seeds: std::ops::Range<u64>, world: impl Fn(u64) -> Report + Sync) -> Harvest {
    farm(seeds, cores(), None, world)
}

fn assert_whole(harvest: &Harvest) {
    let broken: Vec<String> =
        harvest.broken.iter().map(|r| format!("seed {}: {}", r.seed, r.violations[0])).collect();
    assert!(broken.is_empty(), "{} worlds:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn no_promise_is_broken_in_any_world() {
    let harvest = worlds(0..SEEDS, run_seed);
    assert_whole(&harvest);
    // Worlds in which nothing happens would prove nothing.
    assert!(harvest.accepted > 50_000, "{} tasks accepted", harvest.accepted);
    assert!(harvest.crashes > 500, "{} crashes", harvest.crashes);
    assert!(harvest.mismatches > 100, "{} lies found", harvest.mismatches);
    assert!(harvest.failed > 500, "{} tasks failed", harvest.failed);
}

#[test]
fn no_promise_is_broken_in_worlds_with_pay() {
    let harvest = worlds(0..PAID_SEEDS, |seed| run_world(Knobs::paid(seed), Options::default()));
    assert_whole(&harvest);
    assert!(harvest.accepted > 10_000, "{} tasks accepted", harvest.accepted);
    assert!(harvest.claimed > 1_000_000, "{} claimed", harvest.claimed);
    assert!(harvest.reorganised > 100, "{} reorganisations", harvest.reorganised);
}

#[test]
fn no_promise_is_broken_in_worlds_with_budgets() {
    let world = |seed| run_world(Knobs::budgeted(seed), Options::default());
    let harvest = worlds(0..BUDGET_SEEDS, world);
    assert_whole(&harvest);
    assert!(harvest.accepted > 5_000, "{} tasks accepted", harvest.accepted);
    assert!(harvest.failed > 3_000, "{} tasks failed", harvest.failed);
    assert!(harvest.mismatches > 20, "{} lies found", harvest.mismatches);
}

#[test]
fn no_promise_is_broken_in_long_worlds() {
    let harvest = worlds(0..LONG_SEEDS, |seed| run_world(Knobs::long(seed), Options::default()));
    assert_whole(&harvest);
    let hours = harvest.busy_ms / 3_600_000;
    assert!(hours > LONG_SEEDS / 2, "{hours} hours with tasks running");
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    let hashes: Vec<(String, String)> =
        (0..REPLAYS).map(|seed| (run_seed(seed).hash, run_seed(seed).hash)).collect();
    assert!(hashes.iter().all(|(first, second)| first == second));
    let distinct: BTreeSet<_> = hashes.iter().map(|(hash, _)| hash).collect();
    assert_eq!(distinct.len(), hashes.len(), "different seeds are different worlds");
}

fn found_by(planted: Planted, change: fn(&mut Knobs)) -> BTreeSet<&'static str> {
    let harvest = worlds(0..60, |seed| {
        let mut knobs = Knobs::draw(seed);
        change(&mut knobs);
        run_world(knobs, Options { planted: Some(planted), ..Options::default() })
    });
    harvest.broken.iter().flat_map(|r| &r.violations).map(|v| v.promise).collect()
}

#[test]
fn a_shell_that_acknowledges_before_the_disk_is_found() {
    let found = found_by(Planted::AckBeforeSync, |_| {});
    assert!(found.contains("M6 write-ahead gate"), "{found:?}");
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
    let found = found_by(Planted::HiddenLiar, |knobs| {
        knobs.providers = 2;
        knobs.audit_ppm = 0;
        knobs.home = 0;
    });
    assert!(found.contains("V1 results are right"), "{found:?}");
}

fn found_with_pay(planted: Planted) -> BTreeSet<&'static str> {
    found_by(planted, |knobs| {
        let paid = Knobs::paid(knobs.seed);
        *knobs = Knobs { crash_percent: 0, ..paid };
    })
}

#[test]
fn a_shell_that_never_claims_is_found() {
    let found = found_with_pay(Planted::NeverClaims);
    assert!(found.contains("M3 a provider's loss is bounded"), "{found:?}");
}

#[test]
fn a_signer_that_promises_more_than_a_step_is_found() {
    let found = found_with_pay(Planted::SignsAhead);
    assert!(found.contains("M4 a requester's loss is bounded"), "{found:?}");
}

#[test]
fn money_that_never_comes_home_is_found() {
    let found = found_with_pay(Planted::NeverFinishes);
    assert!(found.contains("M5 everybody gets out with what is theirs"), "{found:?}");
}

#[test]
fn money_from_nowhere_is_found() {
    let found = found_with_pay(Planted::Mints);
    assert!(found.contains("M1 money is conserved"), "{found:?}");
}
