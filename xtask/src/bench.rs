//! What this network's ways cost, measured here and now: metering, starting, idling.
//!
//! `compute` compares engines by processor time, `start` times a small task through real jails,
//! `idle` watches a provider that has nothing to do, `giveback` one whose owner comes back, `tiny` runs
//! very many very small tasks. Figures are minimum and median, ratios are
//! within one run, since the machine may be busy with other things. Everything is the dev profile's:
//! guests are compiled by the engine itself and do not depend on it. Deliberately not here: other
//! networks, except where `tiny` runs as many tasks the ways that others do.

mod compute;
mod giveback;
mod idle;
mod start;
mod tiny;

use anyhow::{Result, bail};

use crate::command::{output, say};
use crate::shell::{cargo, run as run_shown};

pub(crate) use giveback::{TRIALS_USUAL, run as give_back};
pub(crate) use tiny::{Choice as Tiny, run as tiny};

/// Rounds when nobody says how many.
pub(crate) const ROUNDS_USUAL: u32 = 11;
const ROUNDS_MIN: u32 = 5;

/// Runs everything; prints tables to stdout.
pub(crate) fn run(rounds: u32) -> Result<()> {
    if rounds < ROUNDS_MIN {
        bail!("{rounds} rounds say too little\nhint: at least {ROUNDS_MIN}");
    }
    say("building (the first time takes about 15 minutes on two cores)");
    let examples = ["--example", compute::PROGRAM, "--example", start::PROGRAM];
    let mut build = cargo(&["build", "--locked", "--workspace", "--bins"]);
    run_shown(build.args(examples))?;
    println!("machine: {}", machine());
    println!("load before: {}", load());
    let missed = compute::show(rounds)?;
    start::show(rounds)?;
    idle::show()?;
    println!("\nload after: {}", load());
    if !missed.is_empty() {
        bail!("missed: {}", missed.join("; "));
    }
    Ok(())
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = output(crate::command::command("uname").arg("-sr")).unwrap_or_default();
    format!("{cores} cores, {model}, {}", kernel.trim())
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Smallest and middle one of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    min: f64,
    median: f64,
}

impl Spread {
    fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let median = if figures.len().is_multiple_of(2) && middle > 0 {
            f64::midpoint(at(middle - 1), at(middle))
        } else {
            at(middle)
        };
        Self { min: at(0), median }
    }
}

/// Nanoseconds, as programs print them, in milliseconds.
fn ms_of(text: &str) -> Result<f64> {
    Ok(text.parse::<f64>()? / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_minimum_and_median() {
        for (figures, min, median) in
            [(vec![3.0], 3.0, 3.0), (vec![5.0, 1.0, 2.0], 1.0, 2.0), (vec![4.0, 1.0], 1.0, 2.5)]
        {
            assert_eq!(Spread::of(figures), Spread { min, median });
        }
    }
}
