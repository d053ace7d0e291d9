//! A machine that its owner needs back: real processes, a real display, a program that hogs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::MOTION_NOTIFY_EVENT;
use x11rb::protocol::xtest::ConnectionExt;

use crate::network::{Network, PATIENCE, number, program, run};

const JOB: &str = "3123456789abcdef0123456789abcdef";

/// Counts to as many as it takes to be seen at it.
const SPIN: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "_start") (local $i i64)
    (loop $again
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $again (i64.lt_u (local.get $i) (i64.const 1000000000))))))"#;

/// `ayni` as the owner of a provider; gives the JSON that it prints.
fn owner(network: &Network, name: &str, args: &[&str]) -> Value {
    let node = network.nodes.iter().find(|node| node.name == name).expect("a node");
    let (code, stdout, stderr) = run(network.ayni_of(&node.home, &["--json"]).args(args));
    assert_eq!(code, Some(0), "ayni {args:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("ayni {args:?} said `{stdout}`"))
}

/// Waits until a provider's state is as wanted.
fn wait_for(network: &Network, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let status = owner(network, name, &["status"]);
        let provider = &status["provider"];
        if holds(provider) {
            return provider.clone();
        }
        assert!(started.elapsed() < PATIENCE, "waited for {what}, saw {provider}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn works(provider: &Value) -> bool {
    provider["slots"].as_array().is_some_and(|slots| !slots.is_empty())
}

fn reasons(provider: &Value) -> Vec<&str> {
    let rests = provider["rests"].as_array().expect("rests");
    rests.iter().map(|rest| rest["reason"].as_str().expect("a reason")).collect()
}

/// Starts a job that keeps two providers at work.
fn start_spinning(network: &Network) {
    let program = program(network.dir.path(), "spin.wasm", SPIN);
    let (code, _, stderr) = run(network.ayni(&["run"]).arg(&program).args([
        "--id", JOB, "--range", "0..8", "--step", "1", "--audit", "0", "--detach", "--", "{start}",
    ]));
    assert_eq!(code, Some(0), "{stderr}");
}

fn check_that_it_ends(network: &Network) {
    let job = network.wait_for(JOB, "the end", |job| job["state"] == "ended");
    assert_eq!(number(&job["counts"]["accepted"]), 8, "{job}");
    assert_eq!(number(&job["counts"]["failed"]), 0, "{job}");
}

#[test]
fn other_programs_get_the_machine_back_and_tasks_end_elsewhere() {
    let network = Network::start(2, &[]);
    start_spinning(&network);
    wait_for(&network, "provider-1", "work", works);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        owner(&network, "provider-1", &["limits", "set", "--others-cpu", "1%"]);
        let resting = wait_for(&network, "provider-1", "rest", |provider| {
            reasons(provider) == ["busy"] && !works(provider)
        });
        assert_eq!(resting["state"], "paused");
        assert!(resting["rests"][0]["text"].as_str().expect("text").contains('%'), "{resting}");
        check_that_it_ends(&network);
        stop.store(true, Ordering::Relaxed);
    });
    owner(&network, "provider-1", &["limits", "reset"]);
    wait_for(&network, "provider-1", "an end of the rest", |provider| reasons(provider).is_empty());
}

#[test]
fn an_owner_who_pauses_for_an_hour_gets_all_of_it_and_it_outlives_the_process() {
    let network = Network::start(2, &[]);
    start_spinning(&network);
    wait_for(&network, "provider-1", "work", works);
    let paused = owner(&network, "provider-1", &["pause", "1h"]);
    assert_eq!((reasons(&paused), works(&paused)), (vec!["owner"], false), "{paused}");
    check_that_it_ends(&network);
    let home = &network.nodes.iter().find(|node| node.name == "provider-1").expect("there").home;
    network.kill("provider-1");
    let mut again =
        network.ayni_of(home, &["provide"]).stderr(Stdio::null()).spawn().expect("it starts");
    let started = Instant::now();
    let until = loop {
        let (code, stdout, _) =
            run(network.ayni_of(home, &["--json", "status"]).stderr(Stdio::null()));
        let status: Value = serde_json::from_str(&stdout).unwrap_or_default();
        let rests = &status["provider"]["rests"];
        if code == Some(0) && rests[0]["reason"] == "owner" {
            break number(&rests[0]["until_ms"]);
        }
        assert!(started.elapsed() < PATIENCE, "{status}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(until, number(&paused["rests"][0]["until_ms"]));
    let resumed = owner(&network, "provider-1", &["resume"]);
    assert_eq!(reasons(&resumed), Vec::<&str>::new());
    let (code, _, _) = run(&mut network.ayni_of(home, &["stop"]));
    assert_eq!(code, Some(0));
    assert!(again.wait().expect("it ends").success());
}

/// A display without a screen.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// `None` where there is no server for one.
    fn start() -> Option<Self> {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "64x64x24"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut number = String::new();
        let stdout = server.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut number).expect("a line");
        Some(Self { server, name: format!(":{}", number.trim()) })
    }

    fn move_mouse(&self) {
        let (connection, screen) = x11rb::connect(Some(&self.name)).expect("it lets us in");
        let root = connection.setup().roots[screen].root;
        let fake = |x| connection.xtest_fake_input(MOTION_NOTIFY_EVENT, 0, 0, root, x, 5, 0);
        for x in [10, 20] {
            fake(x).expect("sent").check().expect("done");
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn whoever_moves_the_mouse_gets_the_machine_back() {
    let Some(display) = Display::start() else {
        eprintln!("SKIPPED: Xvfb is not installed");
        return;
    };
    let network = Network::start_in(2, &[], &[("DISPLAY", display.name.as_str())]);
    // A first touch may be that of the display's start.
    owner(&network, "provider-1", &["limits", "set", "--in-use", "1s"]);
    let idle = |provider: &Value| number(&provider["readings"]["idle_s"]);
    let seen = |provider: &Value| provider["readings"]["idle_s"].is_u64();
    wait_for(&network, "provider-1", "two quiet seconds", |p| seen(p) && idle(p) >= 2);
    start_spinning(&network);
    wait_for(&network, "provider-1", "work", works);
    owner(&network, "provider-1", &["limits", "set", "--in-use", "1h"]);
    // The test itself is at no terminal of this machine, so what is read is the display's.
    let resting = wait_for(&network, "provider-1", "rest", |p| reasons(p) == ["in_use"]);
    assert!(!works(&resting), "{resting}");
    wait_for(&network, "provider-1", "quiet", |p| idle(p) >= 2);
    display.move_mouse();
    wait_for(&network, "provider-1", "the touch", |p| idle(p) < 2);
    check_that_it_ends(&network);
}
