//! Processes that die at bad moments.

use std::process::Stdio;

use crate::network::{Network, echo, number, run};

const JOB: &str = "2123456789abcdef0123456789abcdef";

#[test]
fn killing_two_of_five_providers_loses_nothing() {
    const TASKS: u64 = 500;
    let network = Network::start(5, &[]);
    let program = echo(network.dir.path());
    let mut job = network
        .ayni(&["run"])
        .arg(&program)
        .args(["--id", JOB, "--range", "0..500", "--step", "1", "--audit", "0.02"])
        .args(["--collect", "out.ndjson", "--", "{start}"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ayni run starts");
    network.wait_for(JOB, "fifty outcomes", |job| number(&job["counts"]["accepted"]) >= 50);
    network.kill("provider-1");
    network.wait_for(JOB, "a hundred outcomes", |job| number(&job["counts"]["accepted"]) >= 100);
    network.kill("provider-4");
    assert!(job.wait().expect("it ends").success());
    let job = network.job(JOB);
    assert_eq!(number(&job["counts"]["accepted"]), TASKS, "{job}");
    assert_eq!(number(&job["counts"]["failed"]), 0);
    let by_provider: u64 = job["providers"]
        .as_array()
        .expect("providers")
        .iter()
        .map(|provider| number(&provider["accepted"]))
        .sum();
    assert_eq!(by_provider, TASKS, "each outcome is accepted once: {job}");
    check_collected(&network, TASKS);
    eprintln!("{} assignments were run again", job["retried"]);
}

fn check_collected(network: &Network, tasks: u64) {
    let lines = std::fs::read_to_string(network.dir.path().join("out.ndjson")).expect("out.ndjson");
    assert_eq!(lines.lines().count() as u64, tasks);
    for (index, line) in lines.lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(number(&line["index"]), index as u64);
        assert_eq!(line["stdout"], format!("echo\0{index}\0"), "{line}");
    }
}

#[test]
fn a_requester_that_is_killed_goes_on_where_it_was() {
    let network = Network::start(2, &[]);
    let program = echo(network.dir.path());
    let (code, _, stderr) = run(network
        .ayni(&["run"])
        .arg(&program)
        .args(["--id", JOB, "--range", "0..200", "--step", "1", "--detach", "--", "{start}"]));
    assert_eq!(code, Some(0), "{stderr}");
    let before =
        network.wait_for(JOB, "twenty outcomes", |job| number(&job["counts"]["accepted"]) >= 20);
    network.kill("requester");
    // The command starts a daemon on the same home by itself.
    let after = network.wait_for(JOB, "the end", |job| job["state"] == "ended");
    assert_eq!(number(&after["counts"]["accepted"]), 200, "{after}");
    assert!(number(&before["counts"]["accepted"]) >= 20);
    let attempts: u64 = network.json(&["job", "show", JOB, "--tasks"])["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| number(&task["attempts"]))
        .sum();
    eprintln!("{attempts} assignments for 200 tasks");
    let (code, _, _) = run(&mut network.ayni(&["stop"]));
    assert_eq!(code, Some(0));
}
