//! How soon a machine is its owner's again: a program that hogs, and a mouse that moves.
//!
//! A provider works without a break; at random moments either another program begins to compute, or
//! the mouse of a display without a screen (Xvfb) moves. Measured is the time until the last
//! processor time that anything under the provider's daemon took, by the kernel's own account. That
//! includes noticing, freezing and killing. Deliberately not here: that tasks end elsewhere, which a
//! test shows; here it is only counted.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::idle::Node;
use super::{load, machine};
use crate::apt;
use crate::command::{command, fresh_folder, output, say, target};
use crate::shell::{built, cargo, run as run_shown};

/// Trials of each kind when nobody says how many.
pub(crate) const TRIALS_USUAL: u32 = 150;
/// Untouched for so long, the machine works again.
const CALM: &str = "2s";
/// Between two looks at processor time.
const LOOK: Duration = Duration::from_millis(4);
/// Nothing spent for so long is given back.
const QUIET: Duration = Duration::from_secs(1);
/// Less than that is not work.
const NOISE_NS: u64 = 200_000;
/// Longest that a provider may take to work again, or to rest.
const PATIENCE: Duration = Duration::from_secs(120);
/// Instructions of the job's tasks: some seconds each.
const TURNS: u64 = 2_000_000_000;
const TASKS: u32 = 20_000;
/// By which the 99th percentile is judged.
const BAR: Duration = Duration::from_secs(1);

/// Runs the trials, prints a table.
pub(crate) fn run(trials: u32) -> Result<()> {
    if trials < 10 {
        bail!("{trials} trials say too little\nhint: at least 10");
    }
    apt::install(&["xvfb", "xdotool"], "a display whose mouse moves")?;
    say("building (the first time takes about 15 minutes on two cores)");
    run_shown(&mut cargo(&["build", "--locked", "--workspace", "--bins"]))?;
    println!("machine: {}", machine());
    println!("load before: {}", load());
    let display = Display::start()?;
    let stage = Stage::set(&display)?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut hog = Vec::new();
    let mut touch = Vec::new();
    for trial in 0..trials {
        hog.push(stage.hogged(&mut random)?);
        touch.push(stage.touched(&display, &mut random)?);
        if (trial + 1) % 10 == 0 {
            say(&format!("  {} of {trials} trials of each kind", trial + 1));
        }
    }
    let job = stage.requester.ask(&["job", "show", JOB])?;
    println!("load after: {}", load());
    println!("\n| what happens | trials | p50 | p99 | longest |\n|---|---|---|---|---|");
    let mut missed = Vec::new();
    for (what, times) in [("another program computes", &mut hog), ("the mouse moves", &mut touch)] {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
        let ms = |time: Duration| format!("{} ms", time.as_millis());
        println!(
            "| {what} | {} | {} | {} | {} |",
            times.len(),
            ms(at(50)),
            ms(at(99)),
            ms(at(100))
        );
        if at(99) >= BAR {
            missed.push(what);
        }
    }
    println!(
        "\ntasks meanwhile: {} accepted, {} failed, {} handed back",
        job["counts"]["accepted"], job["counts"]["failed"], job["retried"]
    );
    stage.requester.ask(&["job", "cancel", JOB])?;
    if !missed.is_empty() {
        bail!("not within {} s: {}", BAR.as_secs(), missed.join(", "));
    }
    Ok(())
}

const JOB: &str = "4123456789abcdef0123456789abcdef";

struct Stage {
    requester: Node,
    provider: Node,
    /// Where tasks go meanwhile.
    _other: Node,
}

impl Stage {
    fn set(display: &Display) -> Result<Self> {
        let home = target().join("bench/giveback");
        fresh_folder(&home)?;
        let requester = Node::start(home.join("requester"), &["daemon"])?;
        let invitation = requester.ask(&["invite"])?;
        let ticket = invitation["ticket"].as_str().context("an invitation without a ticket")?;
        let words = ["provide", "--on-battery", "--cpus", "1", "--join", ticket];
        let env = [("DISPLAY", display.name.as_str())];
        let provider = Node::start_in(home.join("provider"), &words, &env)?;
        let other = Node::start(home.join("other"), &words)?;
        let program = home.join("spin.wasm");
        fs::write(&program, wat::parse_str(spin())?)?;
        let mut submit = command(built("ayni"));
        submit.args(["run", "--home"]).arg(requester.home()).arg(&program);
        let range = format!("0..{TASKS}");
        submit.args(["--id", JOB, "--range", &range, "--step", "1", "--audit", "0", "--detach"]);
        output(submit.args(["--", "{start}"]))?;
        Ok(Self { requester, provider, _other: other })
    }

    /// Another program computes, from a random moment on.
    fn hogged(&self, random: &mut fastrand::Rng) -> Result<Duration> {
        self.provider.ask(&["limits", "set", "--others-cpu", &others_max()])?;
        let trial = self.trial(random, || {
            let mut shell = command("sh");
            Ok(Some(Ended(shell.args(["-c", "while :; do :; done"]).spawn()?)))
        });
        self.provider.ask(&["limits", "set", "--others-cpu", "off"])?;
        trial
    }

    /// The mouse moves at a random moment.
    fn touched(&self, display: &Display, random: &mut fastrand::Rng) -> Result<Duration> {
        self.provider.ask(&["limits", "set", "--in-use", CALM])?;
        let trial = self.trial(random, || display.move_mouse().map(|()| None));
        self.provider.ask(&["limits", "set", "--in-use", "off"])?;
        trial
    }

    /// From what happens to the last processor time that the provider's tasks took.
    fn trial(
        &self,
        random: &mut fastrand::Rng,
        happen: impl FnOnce() -> Result<Option<Ended>>,
    ) -> Result<Duration> {
        let mut spent = self.spent();
        let began = Instant::now();
        // It has to be at work, and for a while.
        let mut worked = 0;
        while worked < 5 {
            if began.elapsed() > PATIENCE {
                bail!("the provider doesn't work: {}", self.provider.ask(&["status"])?);
            }
            std::thread::sleep(Duration::from_millis(50));
            let now = self.spent();
            worked = if now.saturating_sub(spent) > 10_000_000 { worked + 1 } else { 0 };
            spent = now;
        }
        std::thread::sleep(Duration::from_millis(random.u64(0..400)));
        spent = self.spent();
        let began = Instant::now();
        let _until_here = happen()?;
        let mut last = Duration::ZERO;
        while began.elapsed() < last + QUIET {
            std::thread::sleep(LOOK);
            let now = self.spent();
            if now.saturating_sub(spent) > NOISE_NS {
                last = began.elapsed();
                if last > PATIENCE {
                    bail!("the provider goes on: {}", self.provider.ask(&["status"])?);
                }
            }
            // What ended took its account along.
            spent = now;
        }
        Ok(last)
    }

    /// Nanoseconds of processor time that the living processes under the provider's daemon took.
    fn spent(&self) -> u64 {
        let mut todo = children(&self.provider.pid().to_string());
        let mut sum = 0;
        while let Some(pid) = todo.pop() {
            for thread in threads(&pid) {
                let stat = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
                sum += stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
            }
            todo.extend(children(&pid));
        }
        sum
    }
}

/// Others may use so much of all cores before the provider rests. The other provider takes a core at
/// the lowest priority, the program that hogs takes one of those who yield.
fn others_max() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}%", (125 / cores).min(100))
}

fn threads(pid: &str) -> Vec<std::path::PathBuf> {
    let folder = fs::read_dir(Path::new("/proc").join(pid).join("task"));
    folder.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

pub(super) fn children(pid: &str) -> Vec<String> {
    let of = |thread: std::path::PathBuf| {
        let text = fs::read_to_string(thread.join("children")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    threads(pid).into_iter().flat_map(of).collect()
}

fn spin() -> String {
    format!(
        r#"(module
          (memory (export "memory") 1)
          (func (export "_start") (local $i i64)
            (loop $again
              (local.set $i (i64.add (local.get $i) (i64.const 1)))
              (br_if $again (i64.lt_u (local.get $i) (i64.const {TURNS}))))))"#
    )
}

/// A process that ends with its holder.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A display without a screen.
struct Display {
    name: String,
    _server: Ended,
}

impl Display {
    fn start() -> Result<Self> {
        let mut server = command("Xvfb");
        server.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "64x64x24"]);
        let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = server.stdout.take().context("no pipe")?;
        let server = Ended(server);
        let mut number = String::new();
        BufReader::new(stdout).read_line(&mut number)?;
        Ok(Self { name: format!(":{}", number.trim()), _server: server })
    }

    fn move_mouse(&self) -> Result<()> {
        let mut mouse = command("xdotool");
        mouse.env("DISPLAY", &self.name).args(["mousemove", "5", "5", "mousemove", "9", "9"]);
        output(&mut mouse).map(drop)
    }
}
