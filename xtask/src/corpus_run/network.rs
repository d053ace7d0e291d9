//! A network of real processes with several requesters, which all know the same providers.
//!
//! Deliberately not here: what is run on it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{command, output};
use crate::corpus::CorpusCase;
use crate::daemon;

const PROVIDERS: usize = 2;
/// Requesters that join, so executions of each case on the network.
pub(super) const RUNS: usize = 5;

/// A network of `ayni dev` and requesters of its own; gone when dropped.
pub(super) struct Network {
    ayni: PathBuf,
    processes: Vec<Child>,
    /// Home of the requester that came with the network.
    pub(super) home: PathBuf,
    /// Homes of those that joined, [`RUNS`] of them.
    pub(super) requesters: Vec<PathBuf>,
}

impl Network {
    pub(super) fn start(ayni: &Path, dir: &Path) -> Result<Self> {
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
        self.processes.push(daemon::start(&self.ayni, home, &["--join", ticket])?);
        self.requesters.push(home.to_owned());
        Ok(())
    }

    /// `ayni run` or `ayni exec` of a case, results into a folder.
    pub(super) fn ayni(&self, home: &Path, verb: &str, case: &CorpusCase, out: &Path) -> Command {
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
        if case.heavy {
            // A requester presumes a task lost after thrice this and a minute, compiling included,
            // and providers compile behind everything else on the machine.
            ayni.args(["--timeout", "2h"]);
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
