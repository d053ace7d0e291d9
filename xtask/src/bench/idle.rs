//! Memory and processor time of a provider that has nothing to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{command, fresh_folder, say, target};
use crate::shell::built;

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(30);
/// How long it is left alone before, so that starting is not counted.
const SETTLED: Duration = Duration::from_secs(10);
const START_MAX: Duration = Duration::from_secs(120);

/// Starts a provider with a home of its own, watches it, ends it.
pub(super) fn show() -> Result<()> {
    let (settle, watch) = (SETTLED.as_secs(), WATCHED.as_secs());
    say(&format!("watching an idle provider for {watch} s, after {settle} s of rest"));
    let home = target().join("bench/idle");
    fresh_folder(&home)?;
    let provider = Provider::start(home)?;
    std::thread::sleep(SETTLED);
    let before = provider.family()?;
    let began = Instant::now();
    std::thread::sleep(WATCHED);
    let after = provider.family()?;
    let cpu_ms = after.cpu_ms - before.cpu_ms;
    let per_cent = cpu_ms / began.elapsed().as_secs_f64() / 10.0;
    println!(
        "\nidle provider, {} process{}: {:.1} MiB resident ({:.1} MiB of it its own, the rest \
         mapped files), {cpu_ms:.0} ms of processor time in {watch} s ({per_cent:.2} % of a core)",
        after.processes,
        if after.processes == 1 { "" } else { "es" },
        after.resident_kib / 1024.0,
        after.own_kib / 1024.0,
    );
    Ok(())
}

/// A provider and every process under it.
#[derive(Debug, Default)]
struct Family {
    processes: usize,
    resident_kib: f64,
    own_kib: f64,
    cpu_ms: f64,
}

struct Provider {
    child: Child,
    home: PathBuf,
}

impl Provider {
    fn start(home: PathBuf) -> Result<Self> {
        let log = home.join("daemon.log");
        let mut ayni = command(built("ayni"));
        ayni.args(["provide", "--exit-with-parent", "--on-battery", "--cpus", "1", "--home"]);
        ayni.arg(&home).stdin(Stdio::null()).stdout(Stdio::null());
        let child = ayni.stderr(fs::File::create(&log)?).spawn().context("can't start `ayni`")?;
        let mut provider = Self { child, home };
        let began = Instant::now();
        while !provider.is_up() {
            let ended = provider.child.try_wait()?;
            if ended.is_some() || began.elapsed() > START_MAX {
                let words = fs::read_to_string(&log).unwrap_or_default();
                bail!("`ayni provide` does not come up:\n{}", words.trim());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(provider)
    }

    /// It has said where its API is.
    fn is_up(&self) -> bool {
        let said = fs::read(self.home.join("api.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&said).is_ok_and(|said| said["pid"] == self.child.id())
    }

    fn family(&self) -> Result<Family> {
        let mut family = Family::default();
        let mut todo = vec![self.child.id().to_string()];
        while let Some(pid) = todo.pop() {
            let process = Path::new("/proc").join(&pid);
            family.add(&process).with_context(|| format!("process {pid} has ended"))?;
            for thread in fs::read_dir(process.join("task"))?.flatten() {
                let children = fs::read_to_string(thread.path().join("children"));
                todo.extend(children.unwrap_or_default().split_whitespace().map(str::to_owned));
            }
        }
        Ok(family)
    }
}

impl Family {
    fn add(&mut self, process: &Path) -> Result<()> {
        let status = fs::read_to_string(process.join("status"))?;
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok())
        };
        self.processes += 1;
        self.resident_kib += kib("VmRSS:").context("no memory of its own")?;
        self.own_kib += kib("RssAnon:").unwrap_or_default();
        // Finer than the ticks of `stat`; threads that end in between are missed.
        for thread in fs::read_dir(process.join("task"))?.flatten() {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let ns = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
            self.cpu_ms += ns.unwrap_or_default() / 1e6;
        }
        Ok(())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Asked first, so that it leaves nothing behind.
        let _ = command("kill").arg(self.child.id().to_string()).status();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
