//! Looks at the first tasks of a job and says what the rest will take, and whether the job is cut
//! well.

use ayni_api::json::TaskRow;

use crate::quantity::{show_count, show_ms};
use crate::table::plural;

/// A task should take at least this long, or the work around it weighs too much.
const TASK_MS_MIN: u64 = 1_000;
/// A task should take at most this long, or a lost provider costs too much.
const TASK_MS_MAX: u64 = 300_000;

/// What one pilot task showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// How much of the input it had.
    pub(crate) size: u64,
    pub(crate) fuel: u64,
    pub(crate) wall_ms: u64,
    pub(crate) compile_ms: u64,
}

/// Samples of the tasks that were executed.
pub(crate) fn samples(rows: &[TaskRow], sizes: &[u64]) -> Vec<Sample> {
    rows.iter()
        .filter_map(|row| {
            let (outcome, seen) = (row.outcome.as_ref()?, row.observed?);
            Some(Sample {
                size: *sizes.get(usize::try_from(row.index).ok()?)?,
                fuel: outcome.fuel.0,
                wall_ms: seen.wall_ms,
                compile_ms: seen.compile_ms,
            })
        })
        .collect()
}

/// What the pilot says, one line each. `step` is how much of the input a task has now, if that can
/// be chosen; `rest` is how many tasks are left, `slots` how many run at once.
pub(crate) fn report(samples: &[Sample], step: Option<u64>, rest: u64, slots: u64) -> Vec<String> {
    if samples.is_empty() {
        return vec!["pilot: no task yielded an outcome with figures to learn from".to_owned()];
    }
    let wall = median(samples.iter().map(|s| s.wall_ms));
    let fuel = median(samples.iter().map(|s| s.fuel));
    let compile = samples.iter().map(|s| s.compile_ms).max().unwrap_or(0);
    let mut lines = vec![format!(
        "pilot: {} took {} and {} fuel each (compiling once per provider: {})",
        plural(samples.len() as u64, "task"),
        show_ms(wall),
        show_count(fuel),
        show_ms(compile)
    )];
    let rounds = rest.div_ceil(slots.max(1));
    lines.push(format!(
        "the rest: {}, about {} on {} and {} fuel",
        plural(rest, "task"),
        show_ms(rounds.saturating_mul(wall).saturating_add(compile)),
        plural(slots, "slot"),
        show_count(fuel.saturating_mul(rest))
    ));
    if let Some(share) = fixed_share(samples)
        && share > 0.5
    {
        lines.push(format!(
            "{:.0}% of a task's fuel does not depend on how much input it has: \
             fewer, larger tasks cost less",
            share * 100.0
        ));
    }
    let wanted = if wall < TASK_MS_MIN {
        Some(("short", TASK_MS_MIN.saturating_mul(2)))
    } else if wall > TASK_MS_MAX {
        Some(("long", TASK_MS_MAX / 2))
    } else {
        None
    };
    match (wanted, step) {
        (None, _) => lines.push("the split is good".to_owned()),
        (Some((word, goal)), Some(step)) => {
            let scaled = u128::from(step) * u128::from(goal) / u128::from(wall.max(1));
            let better = u64::try_from(scaled.max(1)).unwrap_or(u64::MAX);
            // Never so large that there is nothing left to share out.
            let most = (step.saturating_mul(rest) / slots.max(1)).max(step);
            let better = round(better.min(most));
            if better == step {
                lines.push("the split is as good as it gets".to_owned());
            } else {
                lines.push(format!("tasks are {word}: --step {better} would be better"));
            }
        }
        (Some((word, _)), None) => {
            let advice =
                if word == "short" { "several inputs to a task" } else { "smaller inputs" };
            lines.push(format!("tasks are {word}: {advice} would be better"));
        }
    }
    lines
}

/// The share of fuel that is spent whatever the size, by a straight line through the samples;
/// `None` if sizes do not differ enough to tell.
fn fixed_share(samples: &[Sample]) -> Option<f64> {
    let least = samples.iter().map(|s| s.size).min()?;
    let most = samples.iter().map(|s| s.size).max()?;
    if samples.len() < 3 || most < least.saturating_mul(2) {
        return None;
    }
    let count = samples.len() as f64;
    let mean_size = samples.iter().map(|s| s.size as f64).sum::<f64>() / count;
    let mean_fuel = samples.iter().map(|s| s.fuel as f64).sum::<f64>() / count;
    let (mut over, mut under) = (0.0, 0.0);
    for sample in samples {
        let apart = sample.size as f64 - mean_size;
        over += apart * (sample.fuel as f64 - mean_fuel);
        under += apart * apart;
    }
    let fixed = mean_fuel - over / under * mean_size;
    Some((fixed / mean_fuel.max(1.0)).clamp(0.0, 1.0))
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut sorted: Vec<_> = values.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// Two significant digits.
fn round(value: u64) -> u64 {
    let unit = 10_u64.pow(value.max(1).ilog10().saturating_sub(1));
    value / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(size: u64, fuel: u64, wall_ms: u64) -> Sample {
        Sample { size, fuel, wall_ms, compile_ms: 900 }
    }

    #[test]
    fn a_pilot_says_what_the_rest_takes_and_which_split_is_better() {
        let check =
            |samples: &[Sample], step, rest, slots| report(samples, step, rest, slots).join("\n");
        insta::assert_snapshot!(check(&[sample(10, 5_000_000_000, 2_000); 3], Some(10), 97, 8), @r"
        pilot: 3 tasks took 2.0 s and 5.0 G fuel each (compiling once per provider: 900 ms)
        the rest: 97 tasks, about 26.9 s on 8 slots and 485.0 G fuel
        the split is good
        ");
        insta::assert_snapshot!(check(&[sample(1, 40_000_000, 12); 2], Some(1), 9_998, 8), @r"
        pilot: 2 tasks took 12 ms and 40.0 M fuel each (compiling once per provider: 900 ms)
        the rest: 9,998 tasks, about 15.9 s on 8 slots and 399.9 G fuel
        tasks are short: --step 160 would be better
        ");
        insta::assert_snapshot!(check(&[sample(1_000, 9_000_000_000_000, 900_000)], Some(1_000), 9, 4), @r"
        pilot: 1 task took 15 min 00 s and 9.0 T fuel each (compiling once per provider: 900 ms)
        the rest: 9 tasks, about 45 min 00 s on 4 slots and 81.0 T fuel
        tasks are long: --step 160 would be better
        ");
        let mixed = [sample(100, 1_010, 50), sample(200, 1_020, 50), sample(900, 1_090, 50)];
        insta::assert_snapshot!(check(&mixed, None, 50, 2), @r"
        pilot: 3 tasks took 50 ms and 1020 fuel each (compiling once per provider: 900 ms)
        the rest: 50 tasks, about 2.1 s on 2 slots and 51.0 k fuel
        96% of a task's fuel does not depend on how much input it has: fewer, larger tasks cost less
        tasks are short: several inputs to a task would be better
        ");
        insta::assert_snapshot!(check(&[], None, 5, 1), @"pilot: no task yielded an outcome with figures to learn from");
    }
}
