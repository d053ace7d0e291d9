//! What others do, on the same seeds: BOINC's adaptive replication and two of two.

use crate::prng::Prng;

use super::{COST, Case, Lies, Outcome, PRICE, Strategy};

/// Valid results in a row until a host is trusted, as its documentation says.
const TRUSTED_AFTER: u64 = 10;

/// A trusted host's task is replicated with probability 1 / (valid results in a row); others' always.
/// A replica that differs brings a third execution; the majority stands, and the host that lost
/// starts from nothing. Accepted results stay accepted.
pub(super) fn boinc(case: &Case, seed: u64) -> Outcome {
    let mut chance = Prng::new(seed, "rule");
    let plans = plans(case, &mut chance);
    let mut outcome = Outcome::default();
    let mut valid = vec![0_u64; case.providers];
    let mut rejected = vec![0_u64; case.providers];
    let mut first_caught = vec![None; case.providers];
    let mut executed = 0_u64;
    for at in 0..case.tasks {
        for provider in 0..case.providers {
            executed += 1;
            let lie = plans[provider].at(at);
            let trusted = valid[provider] >= TRUSTED_AFTER;
            if trusted && chance.below(valid[provider]) != 0 {
                outcome.wrong += u64::from(lie);
                valid[provider] += 1;
                continue;
            }
            executed += 1;
            let other = another(case, provider, &mut chance);
            // A ring agrees on its wrong results.
            let other_lies = lie_at(case, &plans, other, &mut chance);
            if lie == other_lies {
                outcome.wrong += u64::from(lie);
                valid[provider] += 1;
                continue;
            }
            executed += 1;
            let third = another(case, provider, &mut chance);
            if lie_at(case, &plans, third, &mut chance) {
                outcome.wrong += 1;
                if !lie {
                    valid[provider] = 0;
                }
            } else if lie {
                valid[provider] = 0;
                rejected[provider] += 1;
                first_caught[provider].get_or_insert(at);
            } else {
                valid[provider] += 1;
            }
        }
    }
    finish(case, &plans, &rejected, &first_caught, executed, outcome)
}

/// Every task at two providers; where they differ, a third decides.
pub(super) fn two_of_two(case: &Case, seed: u64) -> Outcome {
    let mut chance = Prng::new(seed, "rule");
    let plans = plans(case, &mut chance);
    let mut outcome = Outcome::default();
    let mut rejected = vec![0_u64; case.providers];
    let mut first_caught = vec![None; case.providers];
    let mut executed = 0_u64;
    for at in 0..case.tasks {
        for provider in 0..case.providers {
            executed += 2;
            let lie = plans[provider].at(at);
            let other = another(case, provider, &mut chance);
            if lie == lie_at(case, &plans, other, &mut chance) {
                outcome.wrong += u64::from(lie);
                continue;
            }
            executed += 1;
            let third = another(case, provider, &mut chance);
            if lie_at(case, &plans, third, &mut chance) {
                outcome.wrong += 1;
            } else if lie {
                rejected[provider] += 1;
                first_caught[provider].get_or_insert(at);
            }
        }
    }
    finish(case, &plans, &rejected, &first_caught, executed, outcome)
}

fn plans(case: &Case, chance: &mut Prng) -> Vec<Lies> {
    let strategy = |p| if p < case.hostile { case.strategy } else { Strategy::Honest };
    (0..case.providers).map(|p| strategy(p).lies(case.tasks, chance)).collect()
}

fn another(case: &Case, not: usize, chance: &mut Prng) -> usize {
    let other = chance.below(case.providers as u64 - 1) as usize;
    other + usize::from(other >= not)
}

/// A ring member asked for a replica lies on it as often as on its own.
fn lie_at(case: &Case, plans: &[Lies], provider: usize, chance: &mut Prng) -> bool {
    provider < case.hostile
        && (chance.below(1 << 32) as f64) < plans[provider].share() * (1_u64 << 32) as f64
}

fn finish(
    case: &Case,
    plans: &[Lies],
    rejected: &[u64],
    first_caught: &[Option<usize>],
    executed: u64,
    mut outcome: Outcome,
) -> Outcome {
    let (n, cost, gain) = (case.tasks as f64, COST as f64 / PRICE as f64, case.gain as f64);
    for provider in 0..case.hostile {
        let lies = plans[provider].count() as f64;
        let lost = rejected[provider] as f64;
        outcome.exposed += plans[provider].count();
        outcome.honest.push(n * (1.0 - cost));
        outcome.liars.push((n - lost) - (n - lies) * cost + (lies - lost) * gain);
        if let Some(at) = first_caught[provider] {
            outcome.caught += 1;
            outcome.until_caught += at as u64;
        }
    }
    outcome.extra = executed as f64 / (case.providers * case.tasks) as f64 - 1.0;
    outcome
}
