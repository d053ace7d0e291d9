//! Jobs that go well, and liars that do not.

use std::fs;

use serde_json::Value;

use crate::network::{Network, echo, number, run};

const JOB: &str = "0123456789abcdef0123456789abcdef";
const AGAIN: &str = "1123456789abcdef0123456789abcdef";

/// What `echo` prints for a task of `--range a..b --step 1 -- {start}`.
fn echoed(start: u64) -> Vec<u8> {
    format!("echo\0{start}\0").into_bytes()
}

pub(crate) fn check_outputs(out: &std::path::Path, tasks: u64) {
    for start in 0..tasks {
        let width = (tasks - 1).to_string().len();
        let folder = out.join(format!("{start:0width$}"));
        assert_eq!(fs::read(folder.join("stdout")).expect("stdout"), echoed(start), "task {start}");
        let outcome = fs::read_to_string(folder.join("outcome.json")).expect("outcome.json");
        let outcome: Value = serde_json::from_str(&outcome).expect("JSON");
        assert_eq!(outcome["outcome"]["end"]["code"], 0, "{outcome}");
    }
}

#[test]
fn a_job_runs_on_others_and_again_for_nothing_and_its_receipts_hold() {
    let network = Network::start(3, &[]);
    let program = echo(network.dir.path());
    let run_job = |id: &str, out: &str, to: &str| {
        run(network
            .ayni(&["run"])
            .arg(&program)
            .args(["--id", id, "--range", to, "--step", "1", "-o", out, "--", "{start}"]))
    };
    let (code, _, stderr) = run_job(JOB, "out", "0..30");
    assert_eq!(code, Some(0), "{stderr}");
    check_outputs(&network.dir.path().join("out"), 30);
    let job = network.job(JOB);
    assert_eq!(number(&job["counts"]["accepted"]), 30);
    let workers = job["providers"].as_array().expect("providers");
    assert!(workers.iter().any(|p| p["node"].is_string() && number(&p["accepted"]) > 0), "{job}");
    assert_ne!(job["fuel"], "0");

    // More inputs cost only what is new.
    let (code, _, stderr) = run_job(AGAIN, "out2", "0..31");
    assert_eq!(code, Some(0), "{stderr}");
    let again = network.job(AGAIN);
    assert_eq!(number(&again["counts"]["held"]), 30, "{again}");

    // The same task here has the same digest.
    let exec = network.ayni(&["--json", "exec"]).arg(&program).args(["--", "7"]).output();
    let exec: Value = serde_json::from_slice(&exec.expect("exec").stdout).expect("JSON");
    let task = network.json(&["job", "show", JOB, "--task", "7"]);
    assert_eq!(exec["outcome"]["digest"], task["outcome"]["digest"], "{exec} {task}");

    // A receipt holds, and none of its altered forms.
    let receipt = network.dir.path().join("out/07/receipt");
    if receipt.exists() {
        let verify =
            |file: &std::path::Path| run(network.ayni(&["verify", "--re-execute"]).arg(file)).0;
        assert_eq!(verify(&receipt), Some(0));
        let mut bytes = fs::read(&receipt).expect("receipt");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        let altered = network.dir.path().join("altered");
        fs::write(&altered, bytes).expect("written");
        assert_eq!(verify(&altered), Some(1));
    }
}

#[test]
fn a_provider_that_lies_is_named_and_none_of_its_lies_is_left() {
    let network = Network::start(3, &["--cheat", "2:digit"]);
    let program = echo(network.dir.path());
    let (code, _, stderr) = run(network.ayni(&["run"]).arg(&program).args([
        "--id", JOB, "--range", "0..60", "--step", "1", "--audit", "0.25", "-o", "out", "--",
        "{start}",
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    check_outputs(&network.dir.path().join("out"), 60);
    let evidence = network.json(&["job", "show", JOB, "--evidence"]);
    let liar = network.nodes.iter().find(|node| node.name == "provider-2").expect("provider-2");
    let (_, identity, _) = run(&mut network.ayni_of(&liar.home, &["--json", "id"]));
    let identity: Value = serde_json::from_str(&identity).expect("JSON");
    let against: Vec<_> = evidence["evidence"].as_array().expect("a list").iter().collect();
    assert!(!against.is_empty(), "no audit contradicted the liar");
    for one in against {
        assert_eq!(one["provider"], identity["node"], "{one}");
        assert_ne!(one["claimed"], one["found"]);
    }
}
