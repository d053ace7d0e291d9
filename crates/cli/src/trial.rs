//! `ayni try`: a first verified result, from nothing. A network of real processes on this machine,
//! one real job on it, one receipt checked by executing its task again.
//!
//! It types the commands that a person would type, shows them, and lets them speak for themselves.
//! Deliberately not here: anything that those commands do, and anything they could not do without
//! it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use ayni_api::ApiError;
use ayni_api::codes::{self, exit};
use serde::Serialize;
use serde_json::Value;

use crate::args::TryArgs;
use crate::ui::Ui;

/// SHA-256 of a message of so many times 64 KiB: a task that any machine can do, and that any other
/// implementation of SHA-256 can check. Its source is `bench/guests/src/bin/sha256.rs`.
const PROGRAM: &[u8] = include_bytes!("../../../bench/guests/sha256.wasm");

const TASKS: u32 = 8;

#[derive(Serialize)]
struct Tried {
    schema: ayni_api::json::Schema,
    /// Tasks with an accepted outcome.
    accepted: u64,
    /// One of them was executed again here, and came out the same.
    re_executed: bool,
    /// From the first process to the checked receipt, in milliseconds.
    took_ms: u64,
    /// Where everything is, if it was kept.
    dir: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(args: &TryArgs, ui: &Ui) -> Result<ExitCode> {
    let keep = args.dir.is_some();
    let dir = match &args.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => std::env::temp_dir().join(format!("ayni-try-{}", std::process::id())),
    };
    let out = dir.join("out");
    if out.exists() {
        let text = format!("`{}` exists", out.display());
        return Err(ApiError::new(codes::OUTPUT_DIR, text).hint("choose another folder").into());
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make `{}`", dir.display()))?;
    let result = go(&dir, args.providers, ui);
    if !keep {
        // Its content is of no use without the processes.
        std::fs::remove_dir_all(&dir)
            .with_context(|| format!("can't remove `{}`", dir.display()))?;
    }
    let (accepted, took_ms) = result?;
    let tried = Tried {
        schema: ayni_api::json::Schema,
        accepted,
        re_executed: true,
        took_ms,
        dir: keep.then_some(dir),
    };
    ui.show(&tried, |tried| {
        format!(
            "\n{} results, each with a receipt; one executed again here, same bits and same fuel. \
             {:.1} s from nothing.\n",
            tried.accepted,
            tried.took_ms as f64 / 1_000.0
        )
    });
    if !ui.json {
        ui.hint("`ayni new NAME` makes a program of your own, `ayni provide` lends this machine");
    }
    Ok(ExitCode::from(exit::OK))
}

fn go(dir: &Path, providers: u32, ui: &Ui) -> Result<(u64, u64)> {
    let began = Instant::now();
    let program = dir.join("sha256.wasm");
    std::fs::write(&program, PROGRAM)
        .with_context(|| format!("can't write `{}`", program.display()))?;
    say(ui, dir, &format!("ayni dev --providers {providers} --dir net &"));
    let network = Network::start(dir, providers)?;
    ui.note(&format!("{} processes are up: a requester and its providers", network.processes));

    say(ui, dir, &format!("export AYNI_HOME={}", network.requester.display()));
    let (last, out) = ((TASKS + 1).to_string(), "out".to_owned());
    let range = format!("1..{last}");
    let words =
        ["run", "sha256.wasm", "--range", &range, "--step", "1", "-o", &out, "--", "{start}0"];
    say(ui, dir, &format!("ayni {}", words.join(" ")));
    // Its own words are for a person; with --json they would be a second value on stdout.
    let mut job = network.ayni(dir, &words);
    job.stdout(if ui.json { Stdio::null() } else { Stdio::inherit() });
    succeed(&mut job, "ayni run")?;
    let mut accepted = 0;
    for start in 1..=TASKS {
        let folder = dir.join("out").join(start.to_string());
        let digest = std::fs::read_to_string(folder.join("stdout"))
            .with_context(|| format!("task {start} has no result in `{}`", folder.display()))?;
        ui.note(&format!("  out/{start}/stdout  {}", digest.trim()));
        accepted += 1;
    }

    let words = ["verify", "out/1/receipt", "--re-execute"];
    say(ui, dir, &format!("ayni {}", words.join(" ")));
    let mut verify = network.ayni(dir, &words);
    verify.stdout(if ui.json { Stdio::null() } else { Stdio::inherit() });
    succeed(&mut verify, "ayni verify")?;
    Ok((accepted, u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)))
}

fn say(ui: &Ui, dir: &Path, line: &str) {
    let place = dir.file_name().and_then(|name| name.to_str()).unwrap_or("~");
    ui.note(&format!("\n{place} $ {line}"));
}

fn succeed(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("can't start `{what}`"))?;
    if !status.success() {
        let failed = ApiError::new(codes::NODE_INTERNAL, format!("`{what}` failed: {status}"));
        return Err(failed.hint("its own words above say why").into());
    }
    Ok(())
}

/// The network, which ends with this value.
struct Network {
    dev: Child,
    program: PathBuf,
    requester: PathBuf,
    processes: usize,
}

impl Network {
    fn start(dir: &Path, providers: u32) -> Result<Self> {
        let program = std::env::current_exe().context("can't find my own executable")?;
        let log_path = dir.join("dev.log");
        let log = std::fs::File::create(&log_path)
            .with_context(|| format!("can't write `{}`", log_path.display()))?;
        let mut dev = Command::new(&program)
            .args(["--json", "dev", "--providers", &providers.to_string(), "--dir"])
            .arg(dir.join("net"))
            .env_remove("AYNI_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("can't start `ayni dev`")?;
        let mut line = String::new();
        let read = dev.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let mut network = Self { dev, program, requester: PathBuf::new(), processes: 0 };
        let up: Option<Value> = read
            .filter(|read| matches!(read, Ok(bytes) if *bytes > 0))
            .and_then(|_| serde_json::from_str(&line).ok());
        let Some(up) = up else {
            let status = network.dev.wait();
            let words = std::fs::read_to_string(&log_path).unwrap_or_default();
            let status = status.map_or_else(|error| error.to_string(), |s| s.to_string());
            let text = format!("the network did not start ({status}): {}", words.trim());
            return Err(ApiError::new(codes::NODE_UNREACHABLE, text)
                .hint("`ayni doctor` looks at this machine")
                .into());
        };
        network.requester =
            up["requester"].as_str().context("`ayni dev` names no requester")?.into();
        network.processes = up["nodes"].as_array().map_or(0, Vec::len);
        Ok(network)
    }

    /// `ayni` as the requester's owner would call it.
    fn ayni(&self, dir: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).current_dir(dir).env("AYNI_HOME", &self.requester);
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if matches!(self.dev.try_wait(), Ok(None)) {
            let pid = i32::try_from(self.dev.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // It takes its nodes down; it may have ended by itself meanwhile.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let _ = self.dev.wait();
        }
    }
}
