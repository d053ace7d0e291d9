//! Processor time under the contract, beside wasmtime with its own fuel, with neither, and with the
//! compiler's flag for NaN bits: some programs, all variants in one process, taking turns.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::{Spread, ms_of};
use crate::command::{command, output, say, target};
use crate::{examples, guests};

/// The example of the runner's crate that runs them.
pub(super) const PROGRAM: &str = "bench_engine";

const CONTRACT: &str = "contract";
/// What the contract is compared with: as `bench_engine` calls it, and as people do.
const OTHERS: [(&str, &str); 3] =
    [("fuel", "its fuel"), ("bare", "neither"), ("fuel+flag", "its fuel + NaN flag")];

/// A program, and how much longer than with wasmtime's fuel it may take.
struct Program {
    name: &'static str,
    /// None for the worst case, which is shown and promises nothing.
    bar: Option<f64>,
    args: &'static [&'static str],
}

const INTEGER: Option<f64> = Some(1.05);
const FLOAT: Option<f64> = Some(1.3);
const PROGRAMS: [Program; 6] = [
    Program { name: "sha256", bar: INTEGER, args: &["800"] },
    Program { name: "sieve", bar: INTEGER, args: &["10"] },
    Program { name: "sort", bar: INTEGER, args: &["5"] },
    Program { name: "calls", bar: None, args: &["10"] },
    Program { name: "nbody", bar: FLOAT, args: &["2000000"] },
    Program { name: "weather", bar: FLOAT, args: &["--from", "0", "--to", "365"] },
];

/// Milliseconds by variant and round.
type Times = BTreeMap<String, BTreeMap<u32, f64>>;

/// Measures and prints; returns which bars were missed.
pub(super) fn show(rounds: u32) -> Result<Vec<String>> {
    let weather = examples::stage("weather")?;
    say(&format!("running {} programs under 4 engines, {rounds} rounds", PROGRAMS.len()));
    let mut engine = command(target().join("debug/examples").join(PROGRAM));
    engine.arg(rounds.to_string());
    for program in &PROGRAMS {
        engine.args(["--", program.name]);
        if program.name == "weather" {
            let record = weather.join("seattle-weather.csv");
            engine.arg("--file").arg(format!("{}:/in/seattle-weather.csv", record.display()));
        }
        engine.arg(guests::prebuilt(program.name)).args(program.args);
    }
    let measured = read(&output(&mut engine)?)?;
    println!("\nprocessor time in ms, minimum / median of {rounds} runs");
    println!(
        "{:<9} {:>17} {:>17} {:>17} {:>19}",
        "program", CONTRACT, OTHERS[0].1, OTHERS[1].1, OTHERS[2].1
    );
    let times_of = |program: &Program| {
        measured.get(program.name).with_context(|| format!("no figures of {}", program.name))
    };
    for program in &PROGRAMS {
        print!("{:<9}", program.name);
        for (variant, width) in
            std::iter::once(CONTRACT).chain(OTHERS.map(|o| o.0)).zip([18, 18, 18, 20])
        {
            let all = Spread::of(rounds_of(times_of(program)?, variant)?.values().copied());
            print!("{:>width$}", format!("{:.1} / {:.1}", all.min, all.median));
        }
        println!();
    }
    println!(
        "\ncontract : wasmtime with …, ratio of the minima / median of the ratios of each round"
    );
    println!(
        "{:<9} {:>17} {:>17} {:>19}  bar (its fuel)",
        "program", OTHERS[0].1, OTHERS[1].1, OTHERS[2].1
    );
    let mut missed = Vec::new();
    for program in &PROGRAMS {
        let times = times_of(program)?;
        print!("{:<9}", program.name);
        for (variant, width) in OTHERS.map(|o| o.0).into_iter().zip([18, 18, 20]) {
            let ratio = ratio(rounds_of(times, CONTRACT)?, rounds_of(times, variant)?);
            print!("{:>width$}", format!("{:.3} / {:.3}", ratio.min, ratio.median));
        }
        let Some(bar) = program.bar else {
            println!("  none");
            continue;
        };
        let ratio = ratio(rounds_of(times, CONTRACT)?, rounds_of(times, OTHERS[0].0)?);
        // Noise only ever adds time, but it may add to either side.
        let met = ratio.min.min(ratio.median) <= bar;
        println!("  ≤ {bar:.2} {}", if met { "met" } else { "MISSED" });
        if !met {
            missed.push(format!("{}: {:.3}, bar {bar:.2}", program.name, ratio.median));
        }
    }
    Ok(missed)
}

fn read(printed: &str) -> Result<BTreeMap<String, Times>> {
    let mut measured: BTreeMap<String, Times> = BTreeMap::new();
    for line in printed.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [program, round, variant, cpu_ns, _fuel] = fields.as_slice() else {
            bail!("`{PROGRAM}` printed `{line}`");
        };
        let times = measured.entry((*program).to_owned()).or_default();
        let times = times.entry((*variant).to_owned()).or_default();
        times.insert(round.parse()?, ms_of(cpu_ns)?);
    }
    Ok(measured)
}

fn rounds_of<'a>(times: &'a Times, variant: &str) -> Result<&'a BTreeMap<u32, f64>> {
    let rounds = times.get(variant).with_context(|| format!("no figures under {variant}"))?;
    ensure!(rounds.values().all(|ms| *ms > 0.0), "a run under {variant} took no time at all");
    Ok(rounds)
}

/// Of the fastest runs; of runs next to each other.
fn ratio(ours: &BTreeMap<u32, f64>, theirs: &BTreeMap<u32, f64>) -> Spread {
    let fastest = |rounds: &BTreeMap<u32, f64>| Spread::of(rounds.values().copied()).min;
    let pairs = ours.iter().filter_map(|(round, ms)| Some(ms / theirs.get(round)?));
    Spread { min: fastest(ours) / fastest(theirs), median: Spread::of(pairs).median }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_fastest_runs_and_of_neighbours() {
        let printed = "p\t1\tcontract\t2000000\t0\np\t1\tfuel\t1000000\t0\n\
                       p\t2\tcontract\t3000000\t0\np\t2\tfuel\t3000000\t0\n\
                       p\t3\tcontract\t9000000\t0\np\t3\tfuel\t6000000\t0\n";
        let measured = read(printed).unwrap();
        let times = &measured["p"];
        let ratio = ratio(rounds_of(times, "contract").unwrap(), rounds_of(times, "fuel").unwrap());
        assert_eq!(ratio, Spread { min: 2.0, median: 1.5 });
        assert!(rounds_of(times, "bare").is_err());
        assert!(read("p\t1").is_err());
    }
}
