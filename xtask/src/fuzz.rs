//! Fuzzing on stable Rust: builds `fuzz/` once with coverage instrumentation, runs its targets.
//!
//! A target starts from its seeds (made anew from the samples, so that they follow the types) and
//! from what is committed in `fuzz/corpus/TARGET`. What it finds beyond that stays under
//! `target/fuzz/found`, until `--keep` chooses the few inputs worth committing. A crash fails the
//! command, which then says how to see it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::command::{self, command, root, say};
use crate::plain;
use crate::shell::{cargo, run};

/// What LLVM is asked for: edges with 8-bit counters, and both sides of comparisons.
pub(crate) const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];
/// Longest input tried, in bytes, unless a seed is longer.
const INPUT_BYTES_MAX: usize = 4_096;
/// Committed inputs of one target together, in bytes.
const KEPT_BYTES_MAX: u64 = 9_000;
/// Committed inputs of one target.
const KEPT_INPUTS_MAX: usize = 48;
/// Longest input that is committed, in bytes.
const KEPT_INPUT_BYTES_MAX: u64 = 1_000;
/// An input that takes longer is a bug: nothing here takes a thousandth of it.
const INPUT_SECONDS_MAX: u32 = 60;

/// What to run and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Targets; all if none is named.
    names: Vec<String>,
    /// Seconds for each target.
    seconds: u32,
    /// Inputs for each target at most; 0 is no limit.
    runs: u64,
    /// Targets at once.
    jobs: usize,
    /// Put what is worth keeping into `fuzz/corpus`.
    keep: bool,
    /// One input only: to see a crash again.
    input: Option<PathBuf>,
}

impl Choice {
    /// Every target for so long, so many at once.
    pub(crate) fn every(seconds: u32, jobs: usize) -> Self {
        Self { names: Vec::new(), seconds, runs: 0, jobs, keep: false, input: None }
    }

    /// Reads the words of the command line.
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut choice = Self::every(60, 1);
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word {
                "--seconds" => choice.seconds = value()?.parse().context("--seconds")?,
                "--runs" => choice.runs = value()?.replace('_', "").parse().context("--runs")?,
                "--jobs" => choice.jobs = value()?.parse().context("--jobs")?,
                "--keep" => choice.keep = true,
                "--input" => choice.input = Some(value()?.into()),
                name if name.starts_with('-') => bail!("`{name}` is no option of `fuzz`"),
                name => choice.names.push(name.to_owned()),
            }
        }
        ensure!(choice.jobs > 0, "--jobs 0 never gets anywhere");
        Ok(choice)
    }
}

/// What came of one target.
#[derive(Debug)]
struct Run {
    name: String,
    inputs: u64,
    per_second: u64,
    edges: u64,
    crash: Option<String>,
}

/// Builds the targets and runs those chosen; prints a table.
pub(crate) fn all(choice: &Choice) -> Result<()> {
    let bin = build()?;
    let seeds = command::target().join("fuzz/seeds");
    command::fresh_folder(&seeds)?;
    let mut write = command(bin.join("seeds"));
    write.env("AYNI_FUZZ_PROJECT", root()).env("AYNI_FUZZ_SEEDS", &seeds);
    command::run(write.arg("-runs=0"))?;
    let known = names(&seeds)?;
    if let Some(wrong) = choice.names.iter().find(|name| !known.contains(name)) {
        bail!("there is no target `{wrong}`\nhint: the targets are {}", known.join(", "));
    }
    let chosen = if choice.names.is_empty() { known } else { choice.names.clone() };
    if let Some(input) = &choice.input {
        let [name] = chosen.as_slice() else { bail!("--input is for one target: name it") };
        return run(command(bin.join(name)).arg(input));
    }
    let begin = Instant::now();
    let waiting = Mutex::new(chosen.iter().rev().cloned().collect::<Vec<_>>());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| -> Result<()> {
        let worker = || -> Result<()> {
            loop {
                let next = waiting.lock().map_or(None, |mut names| names.pop());
                let Some(name) = next else { return Ok(()) };
                let run = target(&bin, &name, choice)?;
                say(&format!("  {} {}", run.name, verdict(&run)));
                if let Ok(mut done) = done.lock() {
                    done.push(run);
                }
            }
        };
        let workers: Vec<_> = (0..choice.jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(ended) => ended,
            Err(_) => bail!("a worker broke off"),
        })
    })?;
    let mut runs = done.into_inner().unwrap_or_default();
    runs.sort_by(|a, b| a.name.cmp(&b.name));
    println!("| target | inputs | inputs/s | edges | crashes |\n|---|---|---|---|---|");
    for run in &runs {
        let Run { name, inputs, per_second, edges, crash } = run;
        println!("| {name} | {inputs} | {per_second} | {edges} | {} |", u32::from(crash.is_some()));
    }
    let inputs: u64 = runs.iter().map(|run| run.inputs).sum();
    println!("{} targets, {inputs} inputs, {} s", runs.len(), begin.elapsed().as_secs());
    if choice.keep {
        for run in &runs {
            keep(&bin, &run.name)?;
        }
    }
    let crashes: Vec<_> = runs.iter().filter_map(|run| Some((run, run.crash.as_ref()?))).collect();
    for (run, why) in &crashes {
        eprintln!("{}: {why}", run.name);
    }
    ensure!(crashes.is_empty(), "{} of {} targets found a crash", crashes.len(), runs.len());
    Ok(())
}

fn verdict(run: &Run) -> String {
    match &run.crash {
        None => format!("holds, {} inputs", run.inputs),
        Some(_) => "FAILED".to_owned(),
    }
}

/// Builds every target; returns the folder of the executables.
fn build() -> Result<PathBuf> {
    let host = host()?;
    let folder = command::target().join("fuzz");
    say("building the fuzz targets (the first time takes some minutes)");
    // Naming the host as the target keeps the flags away from build scripts and macros.
    let args = ["build", "--release", "--locked", "--quiet", "--target", host.as_str()];
    let mut build = cargo(&args);
    build.current_dir(root().join("fuzz")).env("CARGO_TARGET_DIR", &folder);
    let apart = plain::wrap(&mut build, &folder)?;
    build.env("CARGO_ENCODED_RUSTFLAGS", [&FLAGS[..], &[&apart]].concat().join("\u{1f}"));
    run(&mut build).context("hint: libFuzzer needs a C++ compiler (apt install g++)")?;
    Ok(folder.join(host).join("release"))
}

fn host() -> Result<String> {
    let said = command::output(command("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

/// The folders in `folder`, sorted.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// What a target starts from: what it found before, what is committed, its seeds.
fn corpora(name: &str) -> Result<[PathBuf; 3]> {
    let fuzz = command::target().join("fuzz");
    let folders = [
        fuzz.join("found").join(name),
        root().join("fuzz/corpus").join(name),
        fuzz.join("seeds").join(name),
    ];
    for folder in &folders {
        fs::create_dir_all(folder)?;
    }
    Ok(folders)
}

fn target(bin: &Path, name: &str, choice: &Choice) -> Result<Run> {
    let folders = corpora(name)?;
    let crashes = command::target().join("fuzz/crashes");
    fs::create_dir_all(&crashes)?;
    let longest = folders.iter().map(|folder| longest(folder)).collect::<Result<Vec<_>>>()?;
    let longest = longest.into_iter().max().unwrap_or(0).max(INPUT_BYTES_MAX);
    let mut fuzz = command(bin.join(name));
    fuzz.arg(format!("-max_total_time={}", choice.seconds))
        .arg(format!("-max_len={longest}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .args(["-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1"])
        .arg(format!("-artifact_prefix={}/{name}-", crashes.display()));
    if choice.runs > 0 {
        fuzz.arg(format!("-runs={}", choice.runs));
    }
    let said = fuzz
        .args(&folders)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .with_context(|| format!("can't start the target `{name}`"))?;
    let text = String::from_utf8_lossy(&said.stderr);
    let stat = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    let edges = text.lines().rev().find_map(|line| {
        let after = line.split_once("cov: ")?.1;
        after.split(' ').next()?.parse().ok()
    });
    let crash = (!said.status.success()).then(|| explained(name, &text));
    Ok(Run {
        name: name.to_owned(),
        inputs: stat("stat::number_of_executed_units:"),
        per_second: stat("stat::average_exec_per_sec:"),
        edges: edges.unwrap_or(0),
        crash,
    })
}

/// Why a target failed, and how to see it again.
fn explained(name: &str, text: &str) -> String {
    let panicked = text.lines().position(|line| line.contains("panicked at"));
    let why = match panicked {
        Some(at) => text.lines().skip(at).take(3).collect::<Vec<_>>().join("\n  "),
        None => text
            .lines()
            .rev()
            .take(12)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n  "),
    };
    let written = text.lines().find_map(|line| line.split_once("Test unit written to "));
    match written {
        Some((_, path)) => {
            format!("{why}\n  hint: cargo xtask fuzz {name} --input {}", path.trim())
        }
        None => why,
    }
}

fn longest(folder: &Path) -> Result<usize> {
    let mut longest = 0;
    for entry in fs::read_dir(folder)? {
        longest = longest.max(usize::try_from(entry?.metadata()?.len()).unwrap_or(usize::MAX));
    }
    Ok(longest)
}

/// Replaces the committed inputs of a target by some that reach what the seeds do not: spread
/// evenly over their lengths, within the space for them.
fn keep(bin: &Path, name: &str) -> Result<()> {
    let [found, committed, seeds] = corpora(name)?;
    let merged = command::target().join("fuzz/merged").join(name);
    command::fresh_folder(&merged)?;
    // Merging into the seeds' copy takes only what they lack.
    let mut have = Vec::new();
    for entry in fs::read_dir(&seeds)? {
        let path = entry?.path();
        let to = merged.join(format!("seed-{}", path.file_name().unwrap_or_default().display()));
        fs::copy(&path, &to)?;
        have.push(to);
    }
    let mut merge = command(bin.join(name));
    merge.args(["-merge=1", "-rss_limit_mb=2048"]).arg(&merged).args([&found, &committed]);
    command::run(&mut merge)?;
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&merged)? {
        let entry = entry?;
        if !have.contains(&entry.path()) {
            inputs.push((entry.metadata()?.len(), entry.path()));
        }
    }
    let all = inputs.len();
    inputs.retain(|(size, _)| *size <= KEPT_INPUT_BYTES_MAX);
    inputs.sort();
    let step = inputs.len().div_ceil(KEPT_INPUTS_MAX).max(1);
    command::fresh_folder(&committed)?;
    let (mut bytes, mut count) = (0, 0);
    for (size, path) in inputs.iter().step_by(step) {
        if bytes + size > KEPT_BYTES_MAX {
            break;
        }
        bytes += size;
        count += 1;
        fs::copy(path, committed.join(path.file_name().context("an input has a name")?))?;
    }
    say(&format!("  {name}: kept {count} of {all} inputs, {bytes} bytes"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_wrong_ones_named() {
        let choice = Choice::parse(&["frame", "--seconds", "5", "--runs", "10_000_000"]).unwrap();
        assert_eq!((choice.seconds, choice.runs, choice.jobs), (5, 10_000_000, 1));
        assert_eq!(choice.names, ["frame"]);
        assert!(Choice::parse(&["--jobs", "0"]).is_err());
        assert!(Choice::parse(&["--jobs"]).unwrap_err().to_string().contains("--jobs"));
        assert!(Choice::parse(&["--fast"]).unwrap_err().to_string().contains("--fast"));
    }

    #[test]
    fn a_crash_says_how_to_see_it_again() {
        let text = "thread '<unnamed>' panicked at src/x.rs:1:2:\nwrong\nnote: run\n\
                    artifact_prefix='c/'; Test unit written to c/frame-crash-1\n";
        let said = explained("frame", text);
        assert!(said.contains("wrong") && said.contains("fuzz frame --input c/frame-crash-1"));
    }
}
