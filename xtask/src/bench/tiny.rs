//! Many tasks of some ten microseconds each: what the network's own work costs a task, beside others.
//!
//! A real requester and a real provider, each a process with a home of its own on disk, and the
//! provider's runner in its jail; a job of tiny tasks through the requester's API, then others' ways of
//! running as many on the same machine. Processor time is what `/proc` says of each process. Every
//! round runs all of them in turn, so that ratios are within one run. Deliberately not here: what
//! a task does (`bench/guests/src/bin/tiny.rs`) and who submits it (`crates/api/examples/bench_tiny.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::idle::{Node, ticks};
use super::{Spread, load, machine};
use crate::command::{command, fresh_folder, output, root, say, target};
use crate::guests;
use crate::python;
use crate::shell::{cargo, run as run_shown};

/// Tasks of a job when nobody says how many.
pub(crate) const TASKS_USUAL: u32 = 10_000;
/// Jobs of each kind.
const ROUNDS: usize = 5;
/// Single tasks whose way is timed.
const SAMPLES: u32 = 20;
/// The example of the API's crate that submits.
const PROGRAM: &str = "bench_tiny";
/// Unit of processor time in `/proc`, the same for every program on Linux.
const TICK_US: f64 = 10_000.0;

/// How it is measured.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    tasks: Option<u32>,
    release: bool,
    alone: bool,
    /// Nothing is built first.
    built: bool,
}

impl Choice {
    /// Reads `[TASKS] [--release] [--alone] [--built]`.
    ///
    /// # Errors
    /// When a word is another.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut choice = Self::default();
        for word in words {
            match *word {
                "--release" => choice.release = true,
                "--alone" => choice.alone = true,
                "--built" => choice.built = true,
                tasks => {
                    let tasks = tasks.parse().with_context(|| {
                        format!("`{tasks}` is no number of tasks\nhint: bench tiny [TASKS] [--release] [--alone] [--built]")
                    })?;
                    choice.tasks = Some(tasks);
                }
            }
        }
        Ok(choice)
    }
}

/// Measures, prints tables.
pub(crate) fn run(choice: &Choice) -> Result<()> {
    let tasks = choice.tasks.unwrap_or(TASKS_USUAL);
    if tasks == 0 {
        bail!("a job of 0 tasks\nhint: at least 1");
    }
    if !choice.built {
        say("building (the first time takes about 15 minutes on two cores)");
        let mut build =
            cargo(&["build", "--locked", "--workspace", "--bins", "--example", PROGRAM]);
        if choice.release {
            build.arg("--release");
        }
        run_shown(&mut build)?;
    }
    let profile = if choice.release { "release" } else { "debug" };
    let peers = if choice.alone { Vec::new() } else { peers()? };
    println!("machine: {}", machine());
    println!("profile: {profile}; load before: {}", load());
    let mut ours = Ours::default();
    let mut theirs: BTreeMap<&str, Vec<Theirs>> = BTreeMap::new();
    for round in 0..ROUNDS {
        say(&format!("round {} of {ROUNDS}: {tasks} tasks on the network", round + 1));
        ours.add(measure(profile, tasks)?);
        for peer in &peers {
            say(&format!("round {} of {ROUNDS}: {}", round + 1, peer.name));
            theirs.entry(peer.name).or_default().push(peer.measure(tasks)?);
        }
    }
    println!("load after: {}", load());
    ours.show(tasks);
    show_peers(&ours, &theirs);
    Ok(())
}

/// What a round on the network gave.
#[derive(Debug, Default)]
struct Ours {
    per_second: Vec<f64>,
    read_ms: Vec<f64>,
    warm_us: Vec<f64>,
    /// By process, microseconds of processor time a task.
    cpu_us: BTreeMap<&'static str, Vec<f64>>,
    requester_peak_mib: Vec<f64>,
}

impl Ours {
    fn add(&mut self, other: Self) {
        self.per_second.extend(other.per_second);
        self.read_ms.extend(other.read_ms);
        self.warm_us.extend(other.warm_us);
        for (name, figures) in other.cpu_us {
            self.cpu_us.entry(name).or_default().extend(figures);
        }
        self.requester_peak_mib.extend(other.requester_peak_mib);
    }

    fn show(&self, tasks: u32) {
        let median = |figures: &[f64]| Spread::of(figures.iter().copied()).median;
        println!("\n{tasks} tiny tasks a job, medians of {} jobs", self.per_second.len());
        println!(
            "tasks per second, submission to end in the journal: {:.0}",
            median(&self.per_second)
        );
        println!("all outputs read and compared after: {:.0} ms", median(&self.read_ms));
        let mut sum = 0.0;
        for (name, figures) in &self.cpu_us {
            println!("processor time a task, {name}: {:.0} us", median(figures));
            sum += median(figures);
        }
        println!("processor time a task, together: {sum:.0} us");
        println!("requester's peak memory: {:.0} MiB", median(&self.requester_peak_mib));
        println!(
            "one warm task to its provisional outcome: p50 {:.2} ms of {}",
            median(&self.warm_us) / 1e3,
            self.warm_us.len()
        );
    }
}

/// One requester, one provider, one job.
fn measure(profile: &str, tasks: u32) -> Result<Ours> {
    let home = target().join("bench/tiny");
    fresh_folder(&home)?;
    let requester = Node::start_of(profile, home.join("requester"), &["daemon"])?;
    let invitation = requester.ask(&["invite"])?;
    let ticket = invitation["ticket"].as_str().context("an invitation without a ticket")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let words = ["provide", "--on-battery", "--cpus", &cores, "--join", ticket];
    let provider = Node::start_of(profile, home.join("provider"), &words)?;
    let mut submit = command(target().join(profile).join("examples").join(PROGRAM));
    submit.arg(requester.home()).arg(guests::prebuilt("tiny"));
    submit.args([SAMPLES.to_string(), tasks.to_string(), "1".to_owned()]);
    let mut submit = submit.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(submit.stdout.take().context("no pipe")?).lines();
    let mut ours = Ours::default();
    let mut before = BTreeMap::new();
    for line in lines {
        let line = line?;
        match line.split('\t').collect::<Vec<_>>().as_slice() {
            ["warm", us] => ours.warm_us.push(us.parse()?),
            ["about", _, "begins"] => before = spent(requester.pid(), provider.pid()),
            ["about", _, "ends"] => {
                for (name, ticks) in spent(requester.pid(), provider.pid()) {
                    let used = ticks.saturating_sub(before.get(name).copied().unwrap_or(0));
                    let us = used as f64 * TICK_US / f64::from(tasks);
                    ours.cpu_us.entry(name).or_default().push(us);
                }
            }
            ["job", _, node_ms, read_ms] => {
                ours.per_second.push(f64::from(tasks) * 1e3 / node_ms.parse::<f64>()?.max(1.0));
                ours.read_ms.push(read_ms.parse()?);
            }
            _ => bail!("`{PROGRAM}` printed `{line}`"),
        }
    }
    let status = submit.wait()?;
    if !status.success() || ours.per_second.is_empty() {
        bail!("`{PROGRAM}` failed ({status}); logs are in {}", home.display());
    }
    ours.requester_peak_mib.push(peak_mib(requester.pid())?);
    Ok(ours)
}

/// Processor time so far, in ticks: the requester, the provider's daemon, and everything below that.
fn spent(requester: u32, provider: u32) -> BTreeMap<&'static str, u64> {
    let of = |pid: &str| {
        let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
        stat.ok().and_then(|stat| ticks(&stat).ok()).unwrap_or(0)
    };
    let below = super::giveback::children(&provider.to_string());
    let mut todo = below;
    let mut runners = 0;
    while let Some(pid) = todo.pop() {
        runners += of(&pid);
        todo.extend(super::giveback::children(&pid));
    }
    let own = [("requester", of(&requester.to_string())), ("provider", of(&provider.to_string()))];
    own.into_iter().chain([("runners", runners)]).collect()
}

fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.split_whitespace().next().context("no figure in VmHWM")?.parse()?;
    Ok(kib / 1024.0)
}

/// Another way to run as many.
struct Peer {
    name: &'static str,
    python: PathBuf,
}

/// What it gave.
#[derive(Debug)]
struct Theirs {
    per_second: f64,
    warm_ms: f64,
    cpu_us: f64,
}

const PEERS: [(&str, &str, &str); 3] = [
    ("ray", "python/bench", "Ray (about 250 MB, once)"),
    ("dask", "bench/peers/dask", "Dask"),
    ("hyperqueue", "bench/peers/hyperqueue", "HyperQueue"),
];

fn peers() -> Result<Vec<Peer>> {
    let peer = |(name, pinned, what): (&'static str, &str, &str)| {
        Ok(Peer { name, python: python::apart(&format!("python/{name}"), pinned, what)? })
    };
    PEERS.into_iter().map(peer).collect()
}

impl Peer {
    fn measure(&self, tasks: u32) -> Result<Theirs> {
        let mut python = command(&self.python);
        python.current_dir(root().join("bench/peers")).env("PYTHONDONTWRITEBYTECODE", "1");
        let home = target().join("bench/peer");
        fresh_folder(&home)?;
        python.arg("tiny.py").arg(self.name).arg(tasks.to_string()).arg(SAMPLES.to_string());
        let said = output(python.arg(home))?;
        let line = said.lines().last().unwrap_or_default();
        let said: Value = serde_json::from_str(line)
            .with_context(|| format!("the script for {} printed `{line}`", self.name))?;
        let number =
            |key: &str| said[key].as_f64().with_context(|| format!("no `{key}` in {line}"));
        Ok(Theirs {
            per_second: number("tasks_per_second")?,
            warm_ms: number("warm_p50_ms")?,
            cpu_us: number("cpu_us_per_task")?,
        })
    }
}

fn show_peers(ours: &Ours, theirs: &BTreeMap<&str, Vec<Theirs>>) {
    if theirs.is_empty() {
        return;
    }
    let median = |figures: Vec<f64>| Spread::of(figures).median;
    let cpu = |ours: &Ours| -> f64 { ours.cpu_us.values().cloned().map(median).sum() };
    println!(
        "\n| | tasks a second | one warm task, p50 ms | processor time a task, us |\n|---|---|---|---|"
    );
    let (speed, warm) = (median(ours.per_second.clone()), median(ours.warm_us.clone()) / 1e3);
    println!("| ayni | {speed:.0} | {warm:.2} | {:.0} |", cpu(ours));
    for (name, rounds) in theirs {
        let of = |figure: fn(&Theirs) -> f64| median(rounds.iter().map(figure).collect());
        let (their, their_warm) = (of(|t| t.per_second), of(|t| t.warm_ms));
        println!("| {name} | {their:.0} | {their_warm:.2} | {:.0} |", of(|t| t.cpu_us));
        println!(
            "| ayni : {name} | {:.2} | {:.2} | {:.2} |",
            speed / their,
            warm / their_warm,
            cpu(ours) / of(|t| t.cpu_us)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_and_nonsense_is_named() {
        let choice = Choice::parse(&["500", "--alone"]).unwrap();
        assert_eq!((choice.tasks, choice.alone, choice.release), (Some(500), true, false));
        assert!(format!("{:#}", Choice::parse(&["x"]).unwrap_err()).contains("`x`"));
    }
}
