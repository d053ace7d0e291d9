//! Providers that lie, in real processes: each strategy is named with evidence, or shut out for
//! breaking the protocol, and no wrong result is left.
//!
//! `AYNI_LIARS="digit stale" AYNI_LIAR_TASKS=1000 AYNI_LIAR_RULE="--error-rate 0.001"` choose others
//! than the suite's small runs; with `--nocapture` each run prints a line of a table.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::jobs::check_outputs;
use crate::network::{Network, echo, number, run};

const JOB: &str = "5123456789abcdef0123456789abcdef";

fn identity(network: &Network, name: &str) -> String {
    let node = network.nodes.iter().find(|node| node.name == name).expect("it is there");
    let (_, identity, _) = run(&mut network.ayni_of(&node.home, &["--json", "id"]));
    let identity: Value = serde_json::from_str(&identity).expect("JSON");
    identity["node"].as_str().expect("text").to_owned()
}

/// Runs a job among `liars` and an honest rest, checks every output, and gives the job and those
/// that evidence was found against.
fn play(
    providers: u32,
    liars: &[&str],
    tasks: u64,
    rule: &[&str],
) -> (Network, Value, Vec<String>) {
    let cheats: Vec<String> =
        (1..).zip(liars).map(|(number, liar)| format!("{number}:{liar}")).collect();
    let args: Vec<&str> = cheats.iter().flat_map(|cheat| ["--cheat", cheat]).collect();
    let network = Network::start(providers, &args);
    let program = echo(network.dir.path());
    let range = format!("0..{tasks}");
    let (code, _, stderr) = run(network
        .ayni(&["run"])
        .arg(&program)
        .args(["--id", JOB, "--range", &range, "--step", "1", "--timeout", "20s", "-o", "out"])
        .args(rule)
        .args(["--", "{start}"]));
    assert_eq!(code, Some(0), "{liars:?}: {stderr}");
    check_outputs(&network.dir.path().join("out"), tasks);
    let job = network.job(JOB);
    let evidence = network.json(&["job", "show", JOB, "--evidence"]);
    let named: BTreeSet<String> = evidence["evidence"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["provider"].as_str().expect("text").to_owned())
        .collect();
    (network, job, named.into_iter().collect())
}

#[test]
fn whoever_signs_a_wrong_result_is_named_with_evidence() {
    let liars = ["garbage", "stale", "exhaust", "rate-60"];
    let (network, job, named) = play(5, &liars, 80, &["--audit", "1"]);
    let mut expected: Vec<String> =
        (1..=4).map(|n| identity(&network, &format!("provider-{n}"))).collect();
    expected.sort();
    assert_eq!(named, expected, "{job}");
    assert!(number(&job["mismatches"]) >= 4, "{job}");
}

#[test]
fn whoever_breaks_the_protocol_is_shut_out_and_nobody_honest_with_it() {
    let liars = ["two-roots", "price", "withhold"];
    let (network, job, named) = play(4, &liars, 40, &["--audit", "0.2"]);
    assert!(named.is_empty(), "{job}");
    assert!(job.to_string().contains("signed two roots for batch"), "{job}");
    let honest = identity(&network, "provider-4");
    let theirs = |job: &Value| -> u64 {
        let providers = job["providers"].as_array().expect("a list");
        providers
            .iter()
            .filter(|p| p["node"] == honest.as_str())
            .map(|p| number(&p["accepted"]))
            .sum()
    };
    assert!(theirs(&job) > 0, "{job}");
}

#[test]
fn a_quorum_accepts_nothing_that_one_liar_says() {
    let (_, job, _) = play(4, &["digit"], 30, &["--quorum", "2"]);
    let sure = &job["confidence"];
    assert_eq!(number(&sure["agreed"]) + number(&sure["checked"]), 30, "{job}");
}

#[test]
fn strategies_asked_for_by_name() {
    let Ok(asked) = std::env::var("AYNI_LIARS") else { return };
    let tasks = std::env::var("AYNI_LIAR_TASKS").ok().and_then(|t| t.parse().ok()).unwrap_or(200);
    let rule = std::env::var("AYNI_LIAR_RULE").unwrap_or_default();
    let rule: Vec<&str> = rule.split_whitespace().collect();
    println!(
        "| strategy | rule | tasks right | named with evidence | mismatches | audits | run again |"
    );
    println!("|---|---|---|---|---|---|---|");
    for strategy in asked.split_whitespace() {
        let (network, job, named) = play(5, &[strategy], tasks, &rule);
        let liar = identity(&network, "provider-1");
        assert!(named.iter().all(|name| *name == liar), "{named:?}");
        println!(
            "| {strategy} | {} | {tasks} of {tasks} | {} | {} | {} | {} |",
            if rule.is_empty() { "default".to_owned() } else { rule.join(" ") },
            if named.is_empty() { "no" } else { "yes" },
            job["mismatches"],
            job["audited"],
            job["retried"],
        );
    }
}
