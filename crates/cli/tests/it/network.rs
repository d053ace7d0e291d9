//! A network of real processes for a test, taken down at its end.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longest that anything here waits; nothing is judged by time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) fn ayni() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ayni"));
    command.env_remove("AYNI_HOME").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs a command to its end; gives its exit code, stdout and stderr.
pub(crate) fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("ayni starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// A program's source in text form, as a file.
pub(crate) fn program(dir: &Path, name: &str, source: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, wat::parse_str(source).expect("the test's own program is valid"))
        .expect("a test can write its folder");
    path
}

/// The program of `echo.wat`.
pub(crate) fn echo(dir: &Path) -> PathBuf {
    program(dir, "echo.wasm", include_str!("echo.wat"))
}

pub(crate) struct Network {
    process: Child,
    pub(crate) dir: TempDir,
    pub(crate) requester: PathBuf,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) home: PathBuf,
}

impl Network {
    pub(crate) fn start(providers: u32, args: &[&str]) -> Self {
        Self::start_in(providers, args, &[])
    }

    /// With something in its environment.
    pub(crate) fn start_in(providers: u32, args: &[&str], env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let log = std::fs::File::create(dir.path().join("dev.log")).expect("a log");
        let mut process = ayni()
            .args(["dev", "--json", "--providers", &providers.to_string(), "--dir"])
            .arg(dir.path().join("net"))
            .args(args)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("ayni dev starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(dir.path().join("dev.log")).unwrap_or_default();
            panic!("ayni dev said `{line}`:\n{log}")
        });
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let nodes = started["nodes"].as_array().expect("nodes").iter().map(|node| Node {
            name: text(&node["name"]),
            pid: u32::try_from(node["pid"].as_u64().expect("a pid")).expect("a pid"),
            home: text(&node["home"]).into(),
        });
        let nodes = nodes.collect();
        Self { process, requester: text(&started["requester"]).into(), nodes, dir }
    }

    /// `ayni` as the requester's owner.
    pub(crate) fn ayni(&self, args: &[&str]) -> Command {
        self.ayni_of(&self.requester, args)
    }

    pub(crate) fn ayni_of(&self, home: &Path, args: &[&str]) -> Command {
        let mut command = ayni();
        command.env("AYNI_HOME", home).current_dir(self.dir.path()).args(args);
        command
    }

    /// Runs a command that must succeed; gives the JSON it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let (code, stdout, stderr) = run(self.ayni(&["--json"]).args(args));
        assert_eq!(code, Some(0), "ayni {args:?}: {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("ayni {args:?} said `{stdout}`"))
    }

    pub(crate) fn job(&self, id: &str) -> Value {
        self.json(&["job", "show", id])
    }

    /// Waits until `done` holds of a job, for as long as something about the job changes now and
    /// then: a slow machine is no fault.
    pub(crate) fn wait_for(&self, id: &str, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let (mut changed, mut before) = (Instant::now(), String::new());
        loop {
            let (code, stdout, _) =
                run(self.ayni(&["--json", "job", "show", id]).stderr(Stdio::null()));
            if code == Some(0) {
                let job = serde_json::from_str(&stdout).expect("a job is JSON");
                if done(&job) {
                    return job;
                }
            }
            if stdout != before {
                (changed, before) = (Instant::now(), stdout);
            }
            assert!(changed.elapsed() < PATIENCE, "waited for {what}, saw {before}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub(crate) fn kill(&self, name: &str) {
        let node = self.nodes.iter().find(|node| node.name == name).expect("a node");
        kill(node.pid, "-9");
    }
}

pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(status.expect("kill starts").success(), "kill {signal} {pid}");
}

impl Drop for Network {
    fn drop(&mut self) {
        if self.process.try_wait().ok().flatten().is_none() {
            kill(self.process.id(), "-TERM");
            let _ = self.process.wait();
        }
    }
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("`{value}` is no number"))
}
