//! A Monte Carlo of the audit rule: many providers, some hostile, one job, no network. It calls the
//! very functions that the core decides with (`ayni_core::audit`), and two rules of others beside
//! them on the same seeds.
//!
//! What it leaves out: time, faults, the protocol (the worlds have those). What it supposes against
//! us: liars know the rule and the length of the job, wrong results of a ring agree with each other,
//! and whatever was lied before the liar was caught has brought its outside gain.

mod other;
mod strategy;
mod table;

use ayni_core::audit::{self, Draw, Terms, WHOLE};
use ayni_types::Amount;

use crate::prng::Prng;

pub use strategy::{Lies, STRATEGIES, Strategy};
pub use table::{Table, confidence, drawing, render};

/// Pay for a result; money is counted in thousandths of it.
pub const PRICE: u128 = 1_000;
/// What honest execution costs.
pub const COST: u128 = 700;

/// Who verifies, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Ours; the provider has posted the stake that the floor asks for.
    Staked,
    /// Ours; no stake: all pay is held back until the audits are done.
    HeldBack,
    /// Ours, with a target: wrong results in millionths.
    Target(u32),
    /// Ours, but audits are done by other providers, of whom a third may collude.
    Elsewhere,
    /// BOINC's adaptive replication.
    Boinc,
    /// Every task at two providers.
    TwoOfTwo,
}

/// One job of a network.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Who verifies.
    pub rule: Rule,
    /// What the hostile ones do.
    pub strategy: Strategy,
    /// Providers.
    pub providers: usize,
    /// Hostile ones among them.
    pub hostile: usize,
    /// Tasks per provider.
    pub tasks: usize,
    /// Outside gain of a wrong result, in prices.
    pub gain: u128,
}

/// What came of one job.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Executions beyond one per task, as a share of the tasks.
    pub extra: f64,
    /// Wrong results accepted at the end.
    pub wrong: u64,
    /// Results of liars, before anything was run again.
    pub exposed: u64,
    /// Liars caught.
    pub caught: u64,
    /// Results until each was caught, added up.
    pub until_caught: u64,
    /// Profit of each hostile provider, in prices.
    pub liars: Vec<f64>,
    /// What the same would have earned honestly.
    pub honest: Vec<f64>,
    /// Audits per provider that was not caught, added up.
    pub audits: u64,
    /// Printed doubt (millionths) and whether wrong, of each unaudited result.
    pub doubts: Vec<(u32, u64, u64)>,
}

/// A provider in a job.
struct Worked {
    lies: Lies,
    caught_at: Option<usize>,
    audits: u64,
    audited: Vec<bool>,
}

/// Plays one job.
#[must_use]
pub fn play(case: &Case, seed: u64) -> Outcome {
    match case.rule {
        Rule::Boinc => other::boinc(case, seed),
        Rule::TwoOfTwo => other::two_of_two(case, seed),
        _ => ours(case, seed),
    }
}

fn ours(case: &Case, seed: u64) -> Outcome {
    let mut chance = Prng::new(seed, "rule");
    let mut outcome = Outcome::default();
    let (mut again, mut executed) = (0_u64, 0_u64);
    let mut survivors: Vec<(bool, f64, u32)> = Vec::new();
    for provider in 0..case.providers {
        let hostile = provider < case.hostile;
        let lies = if hostile {
            case.strategy.lies(case.tasks, &mut chance)
        } else {
            Lies::none(case.tasks)
        };
        let worked = work(case, lies, &mut chance);
        executed += case.tasks as u64 + worked.audits;
        let rate = rate(case, case.tasks as u64, case.tasks as u64);
        if hostile {
            outcome.exposed += worked.lies.count();
            profit(case, &worked, &mut outcome);
        }
        if let Some(at) = worked.caught_at {
            outcome.caught += 1;
            outcome.until_caught += at as u64;
            // Its results that nobody checked are run again; what it had not begun is given to others.
            let unchecked = worked.audited[..=at].iter().filter(|a| !**a).count() as u64;
            again += unchecked + (case.tasks - 1 - at) as u64;
            executed -= (case.tasks - 1 - at) as u64;
        } else {
            let share = worked.lies.share();
            outcome.wrong += worked.lies.unaudited(&worked.audited);
            outcome.audits += worked.audits;
            let doubt = audit::doubt(worked.audits, hostile_ppm(case));
            let unaudited = case.tasks as u64 - worked.audits;
            outcome.doubts.push((doubt, unaudited, worked.lies.unaudited(&worked.audited)));
            survivors.push((hostile, share, rate));
        }
    }
    rerun(&survivors, again, &mut executed, &mut outcome, &mut chance);
    let tasks = (case.providers * case.tasks) as f64;
    outcome.extra = executed as f64 / tasks - 1.0;
    outcome
}

/// Suspect results go to those who were not caught; liars among them go on lying.
fn rerun(
    survivors: &[(bool, f64, u32)],
    again: u64,
    executed: &mut u64,
    outcome: &mut Outcome,
    chance: &mut Prng,
) {
    let mut left = again;
    while left > 0 {
        left -= 1;
        let Some((_, share, rate)) =
            survivors.get(chance.below(survivors.len() as u64) as usize).copied()
        else {
            // Nobody is left: home does it, right.
            *executed += 1;
            continue;
        };
        *executed += 1;
        let lie = share > 0.0 && (chance.below(1 << 32) as f64) < share * (1_u64 << 32) as f64;
        let audited = chance.below(u64::from(WHOLE)) < u64::from(rate);
        *executed += u64::from(audited);
        if lie && audited {
            // Home has found the right one; that its author is caught now only helps.
        } else if lie {
            outcome.wrong += 1;
        }
    }
}

fn hostile_ppm(case: &Case) -> u32 {
    u32::try_from(case.hostile * WHOLE as usize / case.providers).unwrap_or(WHOLE)
}

/// The rate for a result when `results` are expected and `unpaid` held back.
fn rate(case: &Case, results: u64, unpaid: u64) -> u32 {
    let floor = audit::floor(results, 0);
    let (price, cost) = (Amount(PRICE), Amount(COST));
    let gain = Amount(case.gain * PRICE);
    let mut terms = Terms { price, cost, gain, ..Terms::default() };
    match case.rule {
        Rule::HeldBack => terms.held = Amount(u128::from(unpaid) * PRICE),
        _ => terms.stake = audit::stake_for(floor, price, cost, gain),
    }
    let mut rate = floor.max(audit::deterring(&terms));
    if let Rule::Target(share) = case.rule {
        rate = rate.max(audit::for_target(results, share));
    }
    if case.rule == Rule::Elsewhere {
        rate = u32::try_from(u64::from(rate) * 3 / 2).unwrap_or(WHOLE);
    }
    rate.min(WHOLE)
}

/// What one provider does, and what the audits find.
fn work(case: &Case, lies: Lies, chance: &mut Prng) -> Worked {
    let mut draw = Draw::new(chance.seed());
    let results = case.tasks as u64;
    let mut audited = vec![false; case.tasks];
    let (mut audits, mut caught_at, mut undecided) = (0, None, 0);
    let floor = audit::floor(results, 0);
    let mut fixed = (case.rule != Rule::HeldBack).then(|| rate(case, results, 0));
    for at in 0..case.tasks {
        let last = at + 1 == case.tasks;
        let rate = fixed.unwrap_or_else(|| rate(case, results, at as u64 + 1));
        // Without enough at risk, the draw waits until more pay is held back, or no more comes.
        if rate > floor && case.rule == Rule::HeldBack && case.gain == 0 && !last {
            continue;
        }
        if rate == floor {
            // More held back does not lower it any further.
            fixed = Some(rate);
        }
        while undecided <= at {
            let drawn = draw.next(rate);
            if drawn {
                audits += 1;
                audited[undecided] = true;
                let colludes = case.rule == Rule::Elsewhere
                    && chance.below(case.providers as u64 - 1) + 1 < case.hostile as u64;
                if lies.at(undecided) && !colludes {
                    caught_at = Some(at);
                }
            }
            undecided += 1;
        }
        if caught_at.is_some() {
            break;
        }
    }
    Worked { lies, caught_at, audits, audited }
}

/// What lying brought its author, against what honesty would have. In prices.
fn profit(case: &Case, worked: &Worked, outcome: &mut Outcome) {
    let price = 1.0;
    let cost = COST as f64 / PRICE as f64;
    let gain = case.gain as f64;
    let n = case.tasks as f64;
    outcome.honest.push(n * (price - cost));
    let made = worked.caught_at.map_or(case.tasks, |at| at + 1);
    let lied = worked.lies.before(made) as f64;
    let work = (made as f64 - lied) * cost;
    let brought = lied * gain;
    outcome.liars.push(match (worked.caught_at, case.rule) {
        (None, _) => n * price + brought - work,
        // What was held back is lost, and nothing else was paid.
        (Some(_), Rule::HeldBack) => brought - gain - work,
        (Some(_), _) => {
            let stake = audit::stake_for(
                audit::floor(case.tasks as u64, 0),
                Amount(PRICE),
                Amount(COST),
                Amount(case.gain * PRICE),
            );
            // Paid for all but the result that was found out.
            (made as f64 - 1.0) * price + brought - gain - work - stake.0 as f64 / PRICE as f64
        }
    });
}
