//! Memory and processor time of a provider that is known to a requester and has nothing to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{command, fresh_folder, output, say, target};
use crate::shell::built;

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(30);
/// How long it is left alone before, so that starting is not counted.
const SETTLED: Duration = Duration::from_secs(10);
const START_MAX: Duration = Duration::from_secs(120);
/// Unit of processor time in `/proc`, the same for every program on Linux.
const TICK_MS: u64 = 10;

/// Starts two nodes with homes of their own, watches the provider, ends both.
pub(super) fn show() -> Result<()> {
    let (settle, watch) = (SETTLED.as_secs(), WATCHED.as_secs());
    say(&format!("watching an idle provider for {watch} s, after {settle} s of rest"));
    let home = target().join("bench/idle");
    fresh_folder(&home)?;
    let requester = Node::start(home.join("requester"), &["daemon"])?;
    let invitation = requester.ask(&["invite"])?;
    let ticket = invitation["ticket"].as_str().context("an invitation without a ticket")?;
    let provider = Node::start(
        home.join("provider"),
        &["provide", "--on-battery", "--cpus", "1", "--join", ticket],
    )?;
    let began = Instant::now();
    while requester.ask(&["offers"])?["offers"].as_array().is_none_or(Vec::is_empty) {
        if began.elapsed() > START_MAX {
            bail!("the requester hears of no offer");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    std::thread::sleep(SETTLED);
    let before = provider.family()?;
    let began = Instant::now();
    std::thread::sleep(WATCHED);
    let after = provider.family()?;
    let cpu_ms = after.cpu_ms - before.cpu_ms;
    let per_cent = cpu_ms as f64 / began.elapsed().as_secs_f64() / 10.0;
    println!(
        "\nidle provider, its offer known to a requester: {} process{}, {:.1} MiB resident ({:.1} \
         MiB of it its own, the rest mapped files),\n{cpu_ms} ms of processor time in {watch} s, \
         counted in steps of {TICK_MS} ms ({per_cent:.2} % of a core)",
        after.processes,
        if after.processes == 1 { "" } else { "es" },
        after.resident_kib / 1024.0,
        after.own_kib / 1024.0,
    );
    Ok(())
}

/// A process and every process under it.
#[derive(Debug, Default)]
struct Family {
    processes: usize,
    resident_kib: f64,
    own_kib: f64,
    /// Also of those that have ended.
    cpu_ms: u64,
}

pub(super) struct Node {
    child: Child,
    home: PathBuf,
    ayni: PathBuf,
}

impl Node {
    pub(super) fn start(home: PathBuf, words: &[&str]) -> Result<Self> {
        Self::start_in(home, words, &[])
    }

    /// With something in its environment.
    pub(super) fn start_in(home: PathBuf, words: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        Self::spawn(built("ayni"), home, words, env)
    }

    /// Built by another profile: the name of its folder.
    pub(super) fn start_of(profile: &str, home: PathBuf, words: &[&str]) -> Result<Self> {
        Self::spawn(target().join(profile).join("ayni"), home, words, &[])
    }

    fn spawn(path: PathBuf, home: PathBuf, words: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        fresh_folder(&home)?;
        let log = home.join("daemon.log");
        let mut ayni = command(&path);
        ayni.args(words).args(["--exit-with-parent", "--home"]).arg(&home);
        ayni.envs(env.iter().copied());
        ayni.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?);
        let child = ayni.spawn().context("can't start `ayni`")?;
        let mut node = Self { child, home, ayni: path };
        let began = Instant::now();
        while !node.is_up() {
            let ended = node.child.try_wait()?;
            if ended.is_some() || began.elapsed() > START_MAX {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("`ayni {}` does not come up:\n{}", words[0], said.trim());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(node)
    }

    /// It has said where its API is.
    fn is_up(&self) -> bool {
        let said = fs::read(self.home.join("api.json")).unwrap_or_default();
        serde_json::from_slice::<Value>(&said).is_ok_and(|said| said["pid"] == self.child.id())
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn ask(&self, words: &[&str]) -> Result<Value> {
        let mut ayni = command(&self.ayni);
        let said = output(ayni.args(words).args(["--json", "--home"]).arg(&self.home))?;
        serde_json::from_str(&said).with_context(|| format!("`ayni {}` said {said}", words[0]))
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
        self.cpu_ms += TICK_MS * ticks(&fs::read_to_string(process.join("stat"))?)?;
        Ok(())
    }
}

/// Processor time of a process and of its children that have ended, in user and kernel mode.
pub(super) fn ticks(stat: &str) -> Result<u64> {
    // The name, in brackets, may hold anything; field 3 follows it.
    let (_, rest) = stat.rsplit_once(") ").context("no name in `stat`")?;
    let fields = rest.split(' ').skip(14 - 3).take(4);
    let numbers = fields.map(|field| Ok(field.parse::<u64>()?)).collect::<Result<Vec<_>>>()?;
    Ok(numbers.iter().sum())
}

impl Drop for Node {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_any_name() {
        let stat = "7 (a) b 1) S 1 7 7 0 -1 4 10 20 30 40 5 6 700 8000 20 0 1 0";
        assert_eq!(ticks(stat).unwrap(), 8711);
        assert!(ticks("7 a S").is_err());
    }
}
