//! A liar loses its stake before a jury of real processes, on the local ledger and, by configuration
//! only, on a chain of another make; every account adds up, and both chains give the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::jobs::check_outputs;
use crate::network::{Network, PATIENCE, echo, run};

const JOB: &str = "8123456789abcdef0123456789abcdef";
/// What `ayni dev --paid` gives to each account.
const GRANT: u128 = 1_000_000_000_000;
/// What each provider has at stake; a quarter is reserved for the requester.
const STAKE: u128 = 40_000_000;
/// The terms that a test deployment begins with.
const SLASHED: u128 = STAKE / 4 / 2;
const FEES: u128 = 3 * 1_000_000;
/// Longer than the time to appeal.
const APPEAL_S: u64 = 3_601;
const BURN: &str = "0x000000000000000000000000000000000000dead";

/// JSON-RPC over plain HTTP, by hand: what a chain says must not depend on our own client.
fn rpc(url: &str, method: &str, params: &Value) -> Value {
    let at = url.trim_start_matches("http://").trim_end_matches('/');
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let mut stream = TcpStream::connect(at).expect("the chain listens");
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in text");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let answer: Value = serde_json::from_str(body.trim()).unwrap_or_else(|_| panic!("{answer}"));
    assert!(answer["error"].is_null(), "{method}: {answer}");
    answer["result"].clone()
}

/// anvil, in a process of its own, a block a second.
struct Anvil {
    child: Child,
    url: String,
}

impl Anvil {
    fn start() -> Self {
        let contracts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts");
        let path = std::env::var_os("AYNI_ANVIL")
            .map_or_else(|| contracts.join("node_modules/.bin/anvil"), PathBuf::from);
        assert!(path.exists(), "no anvil at {} (hint: npm ci in contracts/)", path.display());
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let child = Command::new(path)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--block-time", "1"])
            .args(["--hardfork", "osaka"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let url = format!("http://127.0.0.1:{port}/");
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "anvil does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, url }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A network on a chain.
struct Play {
    network: Network,
    rpc: String,
    token: String,
}

fn amount(value: &Value) -> u128 {
    let text = value.as_str().unwrap_or_else(|| panic!("no amount: {value}"));
    text.parse().unwrap_or_else(|_| panic!("no amount: {value}"))
}

impl Play {
    fn json(&self, name: &str, args: &[&str]) -> Value {
        let node = self.network.nodes.iter().find(|n| n.name == name).expect("it is there");
        let (code, stdout, stderr) =
            run(self.network.ayni_of(&node.home, &["--json"]).args(args));
        assert_eq!(code, Some(0), "ayni {args:?} of {name}: {stderr}");
        serde_json::from_str(&stdout).expect("JSON")
    }

    fn balance(&self, account: &str) -> u128 {
        // balanceOf(address)
        let data = format!("0x70a08231{:0>64}", account.trim_start_matches("0x"));
        let call = json!([{ "to": self.token, "data": data }, "latest"]);
        let word = rpc(&self.rpc, "eth_call", &call);
        let digits = word.as_str().expect("text").trim_start_matches("0x").to_owned();
        u128::from_str_radix(digits.trim_start_matches('0'), 16).unwrap_or(0)
    }

    fn until(&self, what: &str, mut done: impl FnMut(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let list = self.json("requester", &["dispute", "list"]);
            if let Some(dispute) = list["disputes"].as_array().and_then(|all| all.first())
                && done(dispute)
            {
                return dispute.clone();
            }
            assert!(begin.elapsed() < PATIENCE, "waited for {what}, saw {list}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// What came of it for whom, in the token's smallest unit.
#[derive(Debug, PartialEq, Eq)]
struct Sums {
    slashed: u128,
    restitution: u128,
    reward: u128,
    burned: u128,
    liars_stake: u128,
    jurors_paid: usize,
}

/// The same script for every chain: a job, a lie, a jury, a ruling.
fn sums(args: &[&str], pass: impl Fn(&Play)) -> Sums {
    let stake = STAKE.to_string();
    let words = [&["--paid", "--stake", &stake, "--cheat", "1:digit"], args].concat();
    let network = Network::start(5, &words);
    let ledger = network.nodes.iter().find(|n| n.name == "ledger").expect("it is there");
    let read = |name: &str| std::fs::read_to_string(ledger.home.join(name)).expect("it is written");
    let contracts: toml::Table = read("contracts.toml").parse().expect("TOML");
    let at = |name: &str| contracts[name].as_str().expect("an address").to_owned();
    let rpc = read("rpc").trim().to_owned();
    let play = Play { network, rpc, token: at("token") };
    let names: Vec<String> = (1..=5).map(|n| format!("provider-{n}")).collect();

    let program = echo(play.network.dir.path());
    let (code, _, stderr) = run(play
        .network
        .ayni(&["run"])
        .arg(&program)
        .args(["--id", JOB, "--range", "0..60", "--step", "1", "--timeout", "60s", "-o", "out"])
        .args(["--audit", "1", "--dispute", "public", "--", "{start}"]));
    assert_eq!(code, Some(0), "{stderr}");
    check_outputs(&play.network.dir.path().join("out"), 60);

    // Three of the four others are drawn; they execute the task.
    play.until("a ruling", |dispute| dispute["phase"] == "appealable");
    pass(&play);
    let dispute = play.until("the end", |dispute| dispute["phase"] == "ended");
    assert_eq!(dispute["verdict"], "overturned", "{dispute}");
    assert_eq!(dispute["part"], "requester");
    let part = |name: &str| amount(&dispute[name]);
    let (slashed, restitution, burned) = (part("slashed"), part("restitution"), part("burned"));
    let reward = slashed - FEES - restitution - burned;

    let account = |name: &str| {
        let wallet = play.json(name, &["wallet", "show"]);
        wallet["account"].as_str().expect("text").to_owned()
    };
    let liar = account("provider-1");
    assert_eq!(dispute["provider"], Value::from(liar.clone()));
    // Everybody takes what is due by itself.
    let begin = Instant::now();
    while play.balance(&at("disputes")) > 0 {
        assert!(begin.elapsed() < PATIENCE, "waited for what is owed");
        std::thread::sleep(Duration::from_millis(300));
    }

    // Made whole: the bond is back, the price, and what it cost.
    let channels = play.json("requester", &["channel", "list"]);
    let deposits: u128 = channels["channels"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|channel| amount(&channel["deposit"]))
        .sum();
    let mine = account("requester");
    assert_eq!(play.balance(&mine), GRANT - deposits + restitution + reward);
    let statement = play.json("requester", &["statement"]);
    assert!(amount(&statement["spent"]) >= restitution, "{statement}");

    // The total of all accounts changed only by the burn.
    let everybody: u128 = names.iter().map(|name| play.balance(&account(name))).sum();
    let held: u128 =
        ["channels", "registry", "disputes"].iter().map(|name| play.balance(&at(name))).sum();
    assert_eq!(play.balance(BURN), burned);
    assert_eq!(play.balance(&mine) + everybody + held + burned, 6 * GRANT);

    let members = dispute["juries"][0]["members"].as_array().expect("a jury").clone();
    assert!(!members.contains(&Value::from(liar)), "{members:?}");
    let liars_stake = amount(&play.json("provider-1", &["stake", "show"])["staked"]);
    Sums { slashed, restitution, reward, burned, liars_stake, jurors_paid: members.len() }
}

#[test]
fn a_liar_loses_its_stake_before_a_jury_and_every_account_adds_up_on_both_chains() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ahead = folder.path().join("ahead");
    std::fs::write(&ahead, "0").expect("a test can write its folder");
    let file = ahead.to_str().expect("it is text").to_owned();
    let local = sums(&["--clock-ahead", &file], |play| {
        std::fs::write(&ahead, APPEAL_S.to_string()).expect("a test can write its folder");
        // Blocks come with transactions alone.
        play.json("provider-5", &["stake", "jury", &(STAKE / 4 + 1).to_string()]);
    });
    assert_eq!(local.slashed, SLASHED);
    assert_eq!(local.liars_stake, STAKE - SLASHED);
    assert_eq!(local.jurors_paid, 3);
    assert!(local.restitution > 0, "{local:?}");

    let anvil = Anvil::start();
    let url = anvil.url.clone();
    let elsewhere = sums(&["--rpc", &url], |_| {
        rpc(&url, "evm_increaseTime", &json!([APPEAL_S]));
        rpc(&url, "evm_mine", &json!([]));
    });
    assert_eq!(elsewhere, local);
}
