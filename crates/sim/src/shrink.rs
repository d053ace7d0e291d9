//! Smaller knobs that break the same promise: liars are taken away one by one, faults are switched
//! off, numbers are halved, until nothing smaller breaks it.
//!
//! Deliberately not here: cutting the chance itself (a smaller world is another world; that it still
//! breaks is seen by running it).

use crate::knobs::Knobs;
use crate::world::{Options, Report, run_world};

/// Knobs that are never less than 1.
const AT_LEAST_ONE: &[&str] = &[
    "requesters",
    "providers",
    "jobs",
    "tasks",
    "stretch",
    "slots_max",
    "home_slots",
    "delay_ms_max",
    "disk_ms_max",
    "deposit",
    "step_first",
    "step_max",
    "provider_step",
    "block_ms",
    "depth",
];
/// Knobs that are left alone.
const KEPT: &[&str] = &["seed", "withdraw_delay_s"];

/// What was found.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest knobs that still break it.
    pub knobs: Knobs,
    /// How they end.
    pub report: Report,
    /// Worlds that were tried.
    pub tried: u32,
}

/// Shrinks `knobs`; `None` if they break nothing. At most `tries` worlds are run.
#[must_use]
pub fn shrink(knobs: Knobs, options: Options, tries: u32) -> Option<Shrunk> {
    let report = run_world(knobs.clone(), options);
    let promise = report.violations.first()?.promise;
    let mut best = Shrunk { knobs, report, tried: 1 };
    loop {
        let before = best.knobs.clone();
        for smaller in smaller(&before) {
            if best.tried >= tries {
                return Some(best);
            }
            // What was found since the list was made is kept.
            let Some(knobs) = merged(&before, &smaller, &best.knobs) else { continue };
            best.tried += 1;
            let report = run_world(knobs.clone(), options);
            if report.violations.iter().any(|v| v.promise == promise) {
                best = Shrunk { knobs, report, tried: best.tried };
            }
        }
        if best.knobs == before {
            return Some(best);
        }
    }
}

/// Everything one step smaller, the boldest first.
fn smaller(knobs: &Knobs) -> Vec<Knobs> {
    let mut all = Vec::new();
    for at in 0..knobs.liars.len() {
        let mut fewer = knobs.clone();
        fewer.liars.remove(at);
        all.push(fewer);
    }
    for name in Knobs::NAMES.iter().filter(|name| !KEPT.contains(name)) {
        let value = knobs.number(name).unwrap_or_default();
        let least = u64::from(AT_LEAST_ONE.contains(name));
        for less in [least, value / 2, value.saturating_sub(1)] {
            if less >= least && less < value {
                let mut turned = knobs.clone();
                turned.set(name, less);
                all.push(turned);
            }
        }
    }
    all.retain(is_sound);
    all
}

/// The step from `before` to `after`, made from `now`; `None` if it is no step any more.
fn merged(before: &Knobs, after: &Knobs, now: &Knobs) -> Option<Knobs> {
    let mut knobs = now.clone();
    if before.liars.len() != after.liars.len() {
        let gone = before.liars.iter().find(|liar| !after.liars.contains(liar))?;
        knobs.liars.retain(|liar| liar != gone);
    }
    for name in Knobs::NAMES {
        if before.number(name) != after.number(name) {
            let value = after.number(name)?;
            if value >= now.number(name)? {
                return None;
            }
            knobs.set(name, value);
        }
    }
    (knobs != *now && is_sound(&knobs)).then_some(knobs)
}

/// Every liar is a node of the world, and the kind of node that it was.
fn is_sound(knobs: &Knobs) -> bool {
    let nodes = knobs.nodes();
    knobs.liars.iter().all(|liar| liar.node < nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Planted;

    #[test]
    fn a_planted_bug_needs_less_than_the_world_it_was_found_in() {
        let options = Options { planted: Some(Planted::HiddenLiar), ..Options::default() };
        let found = (0..50).find_map(|seed| {
            let mut knobs = Knobs::draw(seed);
            (knobs.audit_ppm, knobs.home, knobs.tasks) = (0, 0, knobs.tasks.max(20));
            shrink(knobs, options, 200)
        });
        let shrunk = found.expect("an unaudited liar is found");
        // It had twenty or more; how few are left depends on whom the world gives them to.
        assert!(shrunk.knobs.tasks <= 5, "a few tasks are enough, not {}", shrunk.knobs.tasks);
        assert_eq!((shrunk.knobs.crash_percent, shrunk.knobs.fault_phase_ms), (0, 0));
        let again = Knobs::parse(&shrunk.knobs.to_string()).unwrap();
        let report = run_world(again, options);
        assert_eq!(report.hash, shrunk.report.hash, "the written knobs are the same world");
    }
}
