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

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::command::{command, fresh_folder, output, say, target};
use crate::corpus::{CorpusCase, Expect, corpus};
use crate::shell::{built, cargo, run};

const PROVIDERS: usize = 2;
const RUNS: usize = 5;

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
                name if name.starts_with('-') => bail!("`{name}` is not an option of corpus --run"),
                name => choice.names.push(name.to_owned()),
            }
        }
        Ok(choice)
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

/// Runs the chosen cases and prints a line for each.
///
/// # Errors
/// When a run fails, misses an output, or differs from the others.
pub(crate) fn show(choice: &Choice) -> Result<()> {
    let ayni = if let Some(dir) = &choice.bin {
        dir.join("ayni")
    } else {
        say("building (the first time takes about 15 minutes on two cores)");
        run(&mut cargo(&["build", "--locked", "--workspace", "--bins"]))?;
        built("ayni")
    };
    let cases = choice.pick(corpus()?)?;
    let dir = target().join("corpus/run");
    fresh_folder(&dir)?;
    let network = Network::start(&ayni, &dir)?;
    println!(
        "{:<15} {:>5}  {:<12} {:>15}  {:>10} {:>8}  {:>12} {:>8}  providers",
        "case", "equal", "outcome", "fuel", "exec: comp", "run ms", "net: comp ms", "run ms"
    );
    let mut complaints = Vec::new();
    for case in &cases {
        say(&format!("{}…", case.name));
        match one_case(&network, case, &dir.join("out").join(case.name)) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                println!("{:<15} failed", case.name);
                complaints.push(format!("{}: {error:#}", case.name));
            }
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
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

/// Whether all runs are executions of one task with one outcome.
fn judge(here: &Run, runs: &[Run]) -> Result<()> {
    for (number, run) in runs.iter().enumerate() {
        let number = number + 1;
        ensure!(
            run.task == here.task,
            "run {number} was of task {}, exec of {}",
            run.task,
            here.task
        );
        ensure!(!run.held, "run {number} gave an outcome that was held already");
        ensure!(
            (&run.digest, &run.fuel) == (&here.digest, &here.fuel),
            "run {number} gave {} with {} fuel, exec {} with {}",
            run.digest,
            run.fuel,
            here.digest,
            here.fuel
        );
    }
    Ok(())
}

/// What one execution left behind.
struct Run {
    task: String,
    digest: String,
    fuel: String,
    held: bool,
    provider: String,
    compile_ms: u64,
    wall_ms: u64,
}

impl Run {
    /// Reads a task's folder and checks that what the case promises is there.
    fn read(folder: &Path, case: &CorpusCase) -> Result<Self> {
        let path = folder.join("outcome.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("there is no `{}`", path.display()))?;
        let told: Value = serde_json::from_str(&text)?;
        let outcome = &told["outcome"];
        let end = &outcome["end"];
        ensure!(
            end["kind"] == "exit" && end["code"] == 0,
            "`{}` ended with {end}, not with exit code 0",
            folder.display()
        );
        for expect in &case.expect {
            let (name, starts, whole) = match expect {
                Expect::Stdout(text) => ("stdout".to_owned(), text.as_bytes(), true),
                Expect::File { path, starts } => (format!("files/{path}"), *starts, false),
            };
            let path = folder.join(name);
            let bytes =
                fs::read(&path).with_context(|| format!("there is no `{}`", path.display()))?;
            ensure!(
                bytes.starts_with(starts) && (!whole || bytes == starts),
                "`{}` is not what it should be",
                path.display()
            );
        }
        let word = |value: &Value, what: &str| {
            let text = value.as_str().map(str::to_owned);
            text.with_context(|| format!("`{}` gives no {what}", path.display()))
        };
        let number = |key: &str| told["observed"][key].as_u64().unwrap_or(0);
        let digest = word(&outcome["digest"], "outcome digest")?;
        ensure!(digest.len() >= 12, "`{digest}` is not an outcome digest");
        Ok(Self {
            task: word(&told["task"], "task id")?,
            digest,
            fuel: word(&outcome["fuel"], "fuel")?,
            held: told["held"] == true,
            provider: told["provider"].as_str().unwrap_or_default().to_owned(),
            compile_ms: number("compile_ms"),
            wall_ms: number("wall_ms"),
        })
    }
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

/// A network of `ayni dev` and requesters of its own; gone when dropped.
struct Network {
    ayni: PathBuf,
    processes: Vec<Child>,
    home: PathBuf,
    requesters: Vec<PathBuf>,
}

impl Network {
    fn start(ayni: &Path, dir: &Path) -> Result<Self> {
        let log = dir.join("network.log");
        let mut dev = Command::new(ayni)
            .args(["dev", "--json", "--providers", &PROVIDERS.to_string(), "--dir"])
            .arg(dir.join("network"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("can't start `{}`", ayni.display()))?;
        let stdout = dev.stdout.take();
        // From here on whatever fails takes the processes down with it.
        let mut network = Self {
            ayni: ayni.to_owned(),
            processes: vec![dev],
            home: PathBuf::new(),
            requesters: Vec::new(),
        };
        let mut line = String::new();
        BufReader::new(stdout.context("no standard output")?).read_line(&mut line)?;
        let started: Value = serde_json::from_str(&line).with_context(|| {
            format!("the network did not start: {}", fs::read_to_string(&log).unwrap_or_default())
        })?;
        network.home = started["requester"].as_str().context("no requester")?.into();
        let home = network.home.clone();
        let ticket = output(command(ayni).arg("--home").arg(home).args(["-qq", "invite"]))?;
        for number in 1..=RUNS {
            network.join(&dir.join(format!("requester-{number}")), ticket.trim())?;
        }
        Ok(network)
    }

    fn join(&mut self, home: &Path, ticket: &str) -> Result<()> {
        fs::create_dir_all(home)?;
        let log = home.join("daemon.log");
        let mut daemon = Command::new(&self.ayni)
            .arg("--home")
            .arg(home)
            .args(["daemon", "--exit-with-parent", "--join", ticket])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context("can't start `ayni daemon`")?;
        let status = loop {
            if home.join("api.json").is_file() {
                break None;
            }
            if let Some(status) = daemon.try_wait()? {
                break Some(status);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        self.processes.push(daemon);
        if let Some(status) = status {
            let words = fs::read_to_string(log).unwrap_or_default();
            bail!("`ayni daemon` did not start ({status}): {}", words.trim());
        }
        self.requesters.push(home.to_owned());
        Ok(())
    }

    /// `ayni run` or `ayni exec` of a case, results into a folder.
    fn ayni(&self, home: &Path, verb: &str, case: &CorpusCase, out: &Path) -> Command {
        let mut ayni = command(&self.ayni);
        ayni.arg("--home").arg(home).args(["--json", verb]).arg(&case.program);
        for (host, guest) in &case.mounts {
            ayni.arg("--mount").arg(format!("{}:{guest}", host.display()));
        }
        ayni.arg("--memory").arg(format!("{}MiB", case.memory_mib));
        if verb == "run" {
            // An audit would be a sixth execution, at home, and compile there too.
            ayni.args(["--audit", "0"]);
        }
        ayni.arg("-o").arg(out).arg("--").args(&case.args);
        ayni
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for process in &self.processes {
            // One that has ended by itself is as good as one that is told to.
            let _ = Command::new("kill").arg(process.id().to_string()).status();
        }
        for process in &mut self.processes {
            let _ = process.wait();
        }
    }
}
