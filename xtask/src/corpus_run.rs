//! Programs that nobody here wrote, run on a network of real processes: is the outcome always one?
//!
//! Each case runs once by `ayni exec` and once for each of five requesters, all at the same time,
//! on the same providers. The requesters have homes of their own, because a node does not run again
//! what it holds the outcome of: so five runs are five executions of one task, by two machines' worth
//! of separately compiled code. Everything goes through the `ayni` executable, as a user would.
//!
//! Deliberately not here: what the cases are (see `corpus`), and any judgement on time. Times are
//! printed because a person wants them; providers work at the lowest priority, so on a busy machine
//! theirs say little.

mod network;
mod outcome;
mod ways;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};

use self::network::{Network, RUNS};
use self::outcome::{Run, judge};
use crate::command::{fresh_folder, output, say, target};
use crate::corpus::{CorpusCase, corpus};
use crate::shell::{self, built};

/// Which cases, and by which executables.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// The heavy cases too.
    heavy: bool,
    /// A folder with `ayni`, `ayni-runner` and `ayni-jail`; else they are built.
    bin: Option<PathBuf>,
    /// Only these cases.
    names: Vec<String>,
}

impl Choice {
    /// Reads `[--heavy] [--bin DIR] [NAME…]`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut choice = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--heavy" => choice.heavy = true,
                "--bin" => {
                    let dir = words.next().context("--bin: give a folder")?;
                    choice.bin = Some(std::path::absolute(dir)?);
                }
                name if name.starts_with('-') => bail!("`{name}` is not an option of corpus"),
                name => choice.names.push(name.to_owned()),
            }
        }
        Ok(choice)
    }

    /// The `ayni` to use; built if no folder was named.
    fn executable(&self) -> Result<PathBuf> {
        if let Some(dir) = &self.bin {
            return Ok(dir.join("ayni"));
        }
        say("building (the first time takes about 15 minutes on two cores)");
        shell::build()?;
        Ok(built("ayni"))
    }

    fn pick(&self, cases: Vec<CorpusCase>) -> Result<Vec<CorpusCase>> {
        for name in &self.names {
            let known: Vec<_> = cases.iter().map(|case| case.name).collect();
            ensure!(
                known.contains(&name.as_str()),
                "there is no case `{name}`\nhint: {}",
                known.join(", ")
            );
        }
        let named = |case: &CorpusCase| self.names.iter().any(|name| name == case.name);
        let wanted = |case: &CorpusCase| {
            if self.names.is_empty() { self.heavy || !case.heavy } else { named(case) }
        };
        Ok(cases.into_iter().filter(wanted).collect())
    }
}

/// Compiles the chosen cases in each way, executes them here, and prints a line for each.
///
/// # Errors
/// When a case fails, misses an output, or differs between ways.
pub(crate) fn show_ways(choice: &Choice) -> Result<()> {
    let ayni = choice.executable()?;
    let cases = choice.pick(corpus()?)?;
    let dir = target().join("corpus/ways");
    fresh_folder(&dir)?;
    println!("{}", ways::head());
    let folder = ayni.parent().context("the executables have no folder")?;
    each(&cases, |case| ways::one_case(folder, case, &dir.join(case.name)))?;
    println!(
        "{} programs: each outcome, fuel included, is the same by both compilers, optimising or not",
        cases.len()
    );
    Ok(())
}

/// Prints the line of each case; complains at the end of those that have none.
fn each(cases: &[CorpusCase], one: impl Fn(&CorpusCase) -> Result<String>) -> Result<()> {
    let mut complaints = Vec::new();
    for case in cases {
        say(&format!("{}…", case.name));
        match one(case) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                println!("{:<15} failed", case.name);
                complaints.push(format!("{}: {error:#}", case.name));
            }
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// Runs the chosen cases and prints a line for each.
///
/// # Errors
/// When a run fails, misses an output, or differs from the others.
pub(crate) fn show(choice: &Choice) -> Result<()> {
    let ayni = choice.executable()?;
    let cases = choice.pick(corpus()?)?;
    let dir = target().join("corpus/run");
    let lock = fs::File::create(dir.with_extension("lock"))?;
    lock.try_lock().context("the corpus is being run already")?;
    fresh_folder(&dir)?;
    let network = Network::start(&ayni, &dir)?;
    println!(
        "{:<15} {:>5}  {:<12} {:>15}  {:>10} {:>8}  {:>12} {:>8}  providers",
        "case", "equal", "outcome", "fuel", "exec: comp", "run ms", "net: comp ms", "run ms"
    );
    each(&cases, |case| one_case(&network, case, &dir.join("out").join(case.name)))?;
    println!(
        "{} programs: each outcome, fuel included, is the same {RUNS} times on the network and by \
         `ayni exec`",
        cases.len()
    );
    Ok(())
}

fn one_case(network: &Network, case: &CorpusCase, dir: &Path) -> Result<String> {
    let here = dir.join("exec");
    let mut exec = network.ayni(&network.home, "exec", case, &here);
    output(&mut exec)?;
    let here = Run::read(&here, case)?;

    let mut under_way = Vec::new();
    for (number, home) in network.requesters.iter().enumerate() {
        let out = dir.join(format!("run-{}", number + 1));
        let log = dir.join(format!("run-{}.log", number + 1));
        let process = network
            .ayni(home, "run", case, &out)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("can't start `ayni run`")?;
        under_way.push((process, out, log));
    }
    // All of them are waited for before any is judged, so that none is left behind.
    let mut ended = Vec::new();
    for (mut process, out, log) in under_way {
        ended.push((process.wait()?, out, log));
    }
    let mut runs = Vec::new();
    for (status, out, log) in ended {
        if !status.success() {
            let words = fs::read_to_string(log).unwrap_or_default();
            bail!("`ayni run` failed ({status}):\n{}", words.trim());
        }
        runs.push(Run::read(&out.join("task"), case)?);
    }
    judge(&here, &runs)?;

    let most = |of: fn(&Run) -> u64| runs.iter().map(of).max().unwrap_or(0);
    let providers: BTreeSet<_> = runs.iter().map(|run| run.provider.as_str()).collect();
    let by: Vec<_> = providers
        .iter()
        .map(|id| runs.iter().filter(|run| run.provider == **id).count().to_string())
        .collect();
    Ok(format!(
        "{:<15} {:>5}  {:<12} {:>15}  {:>10} {:>8}  {:>12} {:>8}  {}",
        case.name,
        format!("{}+1", runs.len()),
        &here.digest[..12],
        grouped(&here.fuel),
        here.compile_ms,
        here.wall_ms,
        most(|run| run.compile_ms),
        most(|run| run.wall_ms),
        by.join("+")
    ))
}

fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
