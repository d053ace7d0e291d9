//! How long a small task takes from nothing, from compiled code, and in a slot that is open: wall
//! clock, through the real jail.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::{Spread, ms_of};
use crate::command::{command, output, say, target};
use crate::guests;

/// The example of the sandbox's crate that runs it.
pub(super) const PROGRAM: &str = "bench_slot";

/// A start, and the steps that it is made of.
const STARTS: [(&str, &[&str]); 3] = [
    (
        "cold: compiled in a jail, a new slot",
        &["compile", "keep", "look up", "open slot", "first run"],
    ),
    ("code in the cache, a new slot", &["look up", "open slot", "first run"]),
    ("warm: a slot that has run it before", &["next run"]),
];

/// Milliseconds by step, a figure a round.
type Steps = BTreeMap<String, Vec<f64>>;

/// Measures and prints.
pub(super) fn show(rounds: u32) -> Result<()> {
    say(&format!("starting a small task cold and warm, {rounds} rounds"));
    let folder = target().join("debug");
    let mut starts = command(folder.join("examples").join(PROGRAM));
    starts.arg(rounds.to_string()).arg(&folder).arg(guests::prebuilt("sha256")).arg("1");
    let steps = read(&output(&mut starts)?)?;
    println!(
        "\nstart of a small task (SHA-256 of 64 KiB) to its checked result, wall clock in ms, \
         minimum / median of {rounds}"
    );
    for (name, parts) in STARTS {
        let total = Spread::of(sum(&steps, parts)?);
        let split = parts.iter().map(|part| {
            let part_of = Spread::of(sum(&steps, &[*part])?);
            Ok(format!("{part} {:.1}", part_of.median))
        });
        let split: Vec<String> = split.collect::<Result<_>>()?;
        let shown = format!("{:.1} / {:.1}", total.min, total.median);
        println!("{name:<37} {shown:>15}   {}", split.join(", "));
    }
    Ok(())
}

fn read(printed: &str) -> Result<Steps> {
    let mut steps = Steps::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, step, ns] = fields.as_slice() else {
            bail!("`{PROGRAM}` printed `{line}`");
        };
        steps.entry((*step).to_owned()).or_default().push(ms_of(ns)?);
    }
    Ok(steps)
}

/// Round by round, the time of some steps together.
fn sum(steps: &Steps, parts: &[&str]) -> Result<Vec<f64>> {
    let mut total: Vec<f64> = Vec::new();
    for part in parts {
        let Some(rounds) = steps.get(*part) else { bail!("no figures of `{part}`") };
        total.resize(total.len().max(rounds.len()), 0.0);
        for (sum, ms) in total.iter_mut().zip(rounds) {
            *sum += ms;
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up_round_by_round() {
        let printed = "1\ta\t1000000\n1\tb\t2000000\n2\ta\t5000000\n2\tb\t1000000\n";
        let steps = read(printed).unwrap();
        assert_eq!(sum(&steps, &["a", "b"]).unwrap(), [3.0, 6.0]);
        assert!(sum(&steps, &["a", "c"]).is_err());
    }
}
