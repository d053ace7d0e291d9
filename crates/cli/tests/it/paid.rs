//! Money for real, in real processes: a ledger, channels, vouchers and claims, and sums that agree
//! on both sides and in the chain, to the unit.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::jobs::check_outputs;
use crate::network::{Network, PATIENCE, echo, kill, run};

const FIRST: &str = "6123456789abcdef0123456789abcdef";
const SECOND: &str = "7123456789abcdef0123456789abcdef";
const THIRD: &str = "8123456789abcdef0123456789abcdef";
const FOURTH: &str = "9123456789abcdef0123456789abcdef";
/// What `ayni dev --paid` gives to each account.
const GRANT: u128 = 1_000_000_000_000;

fn amount(value: &Value) -> u128 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no amount: {value}"))
}

fn json_of(network: &Network, home: &Path, args: &[&str]) -> Value {
    let (code, stdout, stderr) = run(network.ayni_of(home, &["--json"]).args(args));
    assert_eq!(code, Some(0), "ayni {args:?}: {stderr}");
    serde_json::from_str(&stdout).expect("JSON")
}

fn channels(network: &Network, home: &Path) -> Vec<Value> {
    json_of(network, home, &["channel", "list"])["channels"].as_array().expect("a list").clone()
}

fn sum(channels: &[Value], part: &str) -> u128 {
    channels.iter().map(|channel| amount(&channel[part])).sum()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn run_job(network: &Network, id: &str, tasks: u64) {
    let program = echo(network.dir.path());
    let range = format!("0..{tasks}");
    let (code, _, stderr) = run(network
        .ayni(&["run"])
        .arg(&program)
        .args(["--id", id, "--range", &range, "--step", "1", "--timeout", "60s", "-o", id])
        .args(["--", "{start}"]));
    assert_eq!(code, Some(0), "{stderr}");
    check_outputs(&network.dir.path().join(id), tasks);
}

#[test]
fn work_is_paid_to_the_unit_and_goes_on_while_the_ledger_stands_still() {
    let network = Network::start(2, &["--paid"]);
    let home = |name: &str| network.nodes.iter().find(|n| n.name == name).expect("it is there");
    let providers = [&home("provider-1").home, &home("provider-2").home];
    run_job(&network, FIRST, 40);

    // What a third job would cost, and that it never costs more than it may.
    let program = echo(network.dir.path());
    let job = |words: &[&str], id: &str| {
        let mut command = network.ayni(&["--json"]);
        command.args(words).arg(&program).args(["--id", id, "--range", "100..110"]);
        run(command.args([
            "--fuel",
            "2G",
            "--output-limit",
            "1MiB",
            "--timeout",
            "60s",
            "--",
            "{start}",
        ]))
    };
    let (code, quote, stderr) = job(&["quote", "--measure"], THIRD);
    assert_eq!(code, Some(0), "{stderr}");
    let quote: Value = serde_json::from_str(&quote).expect("JSON");
    assert_eq!(quote["providers"].as_array().expect("a list").len(), 2, "{quote}");
    assert_eq!(quote["task"]["basis"], "measured");
    // Leases of the first job may still be there, and have had the program.
    let least = amount(&quote["budget_least"]) / 2;
    let (code, _, stderr) = job(&["run", "--budget", &least.to_string()], FOURTH);
    assert_eq!(code, Some(5), "{stderr}");
    assert_eq!(amount(&network.job(FOURTH)["billed"]), 0);
    let most = amount(&quote["worst"]["total"]);
    let (code, _, stderr) = job(&["run", "--budget", &most.to_string()], THIRD);
    assert_eq!(code, Some(0), "{stderr}");
    let billed = amount(&network.job(THIRD)["billed"]);
    assert!((1..=most).contains(&billed), "{billed} of {most}");

    // No step on the chain but the deposits: what is promised is enough for a second job.
    let ledger = home("ledger").pid;
    kill(ledger, "-STOP");
    run_job(&network, SECOND, 45);
    kill(ledger, "-CONT");

    let spent = || amount(&network.json(&["statement"])["spent"]);
    let earned = || -> u128 {
        providers.iter().map(|p| amount(&json_of(&network, p, &["statement"])["earned"])).sum()
    };
    until("the same sum on both sides", || spent() == earned() && spent() > 0);
    let billed: u128 =
        [FIRST, SECOND, THIRD].iter().map(|id| amount(&network.job(id)["billed"])).sum();
    assert_eq!(spent(), billed, "by the channels and by the jobs");

    for provider in providers {
        let owed = sum(&channels(&network, provider), "owed");
        json_of(&network, provider, &["channel", "claim"]);
        until("the claim", || {
            let wallet = json_of(&network, provider, &["wallet", "show"]);
            amount(&wallet["balance"]) == GRANT + owed
        });
    }
    let mine = channels(&network, &network.requester);
    let wallet = network.json(&["wallet", "show"]);
    assert_eq!(amount(&wallet["balance"]), GRANT - sum(&mine, "deposit"));
    until("the claims to be seen", || {
        sum(&channels(&network, &network.requester), "claimed") == spent()
    });
    assert!(sum(&mine, "promised") <= sum(&mine, "owed") + 2 * 100_000, "one step each");

    let first = mine[0]["id"].as_str().expect("text");
    network.json(&["channel", "close", first]);
    until("the channel to be closing", || {
        let all = channels(&network, &network.requester);
        all.iter().any(|c| c["id"] == first && c["withdrawal_from_ms"].is_u64())
    });
}

#[test]
fn without_an_account_a_provider_that_wants_to_be_paid_is_explained() {
    let network = Network::start(1, &["--paid"]);
    let poor = network.dir.path().join("poor");
    let ticket = network.json(&["invite"]);
    let ticket = ticket["ticket"].as_str().expect("text");
    json_of(&network, &poor, &["join", ticket]);
    let reason = || {
        json_of(&network, &poor, &["offers", "--refresh"]);
        let why = json_of(&network, &poor, &["why"]).to_string();
        why.contains("no wallet") && why.contains("wallet new")
    };
    until("the reason", reason);
    let (code, _, stderr) = run(&mut network.ayni_of(&poor, &["wallet", "show"]));
    assert_ne!(code, Some(0));
    assert!(stderr.contains("E-PAY-002"), "{stderr}");
    run(&mut network.ayni_of(&poor, &["stop"]));
}
