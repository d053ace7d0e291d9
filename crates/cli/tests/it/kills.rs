//! Processes of a paid network that are killed at random moments and started again: no result is lost,
//! and no money.
//!
//! `AYNI_KILLS=100 AYNI_KILL_TASKS=700 AYNI_KILL_SEED=7 cargo test --workspace --test it kills:: --
//! --nocapture` is the long run, of 20 seconds each; the suite takes a few short ones.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::network::{Network, PATIENCE, ayni, echo, kill, number, run};

/// What `ayni dev --paid` gives to each account.
const GRANT: u128 = 1_000_000_000_000;
/// Tasks of a round; on a quiet machine 35 take a second.
const TASKS: u64 = 120;
const NAMES: [&str; 4] = ["ledger", "requester", "provider-1", "provider-2"];

/// A process that this test started in place of one that it killed.
struct Again(Child);

impl Drop for Again {
    fn drop(&mut self) {
        // It may have been killed already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Play {
    network: Network,
    ticket: String,
    homes: Vec<PathBuf>,
    /// The process of each, as it is now.
    pids: Vec<u32>,
    again: Vec<Option<Again>>,
    tasks: u64,
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Numbers from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn amount(value: &Value) -> u128 {
    let text = value.as_str().unwrap_or_else(|| panic!("no amount: {value}"));
    text.parse().unwrap_or_else(|_| panic!("no amount: {value}"))
}

impl Play {
    fn start(tasks: u64) -> Self {
        let network = Network::start(2, &["--paid"]);
        let of = |name: &str| network.nodes.iter().find(|n| n.name == name).expect("it is there");
        let homes = NAMES.map(|name| of(name).home.clone()).to_vec();
        let pids = NAMES.map(|name| of(name).pid).to_vec();
        let invited = network.json(&["invite"]);
        let ticket = invited["ticket"].as_str().expect("text").to_owned();
        Self { network, ticket, homes, pids, again: (0..4).map(|_| None).collect(), tasks }
    }

    fn json(&self, home: &Path, args: &[&str]) -> Option<Value> {
        let (code, stdout, _) = run(self.network.ayni_of(home, &["--json"]).args(args));
        (code == Some(0)).then(|| serde_json::from_str(&stdout).expect("JSON"))
    }

    /// Kills one and starts it again, in the same folder, as a service manager would: again if the
    /// killed one was not quite gone.
    fn kill(&mut self, which: usize) {
        kill(self.pids[which], "-9");
        self.again[which] = None;
        let begin = Instant::now();
        loop {
            self.start_again(which);
            while self.again[which].as_mut().is_some_and(|a| matches!(a.0.try_wait(), Ok(None))) {
                if self.is_up(which) {
                    return;
                }
                let name = NAMES[which];
                assert!(begin.elapsed() < PATIENCE, "waited for {name} to be there again");
                std::thread::sleep(Duration::from_millis(200));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn is_up(&self, which: usize) -> bool {
        let home = &self.homes[which];
        if which == 0 {
            let url = std::fs::read_to_string(home.join("rpc")).expect("it is written");
            let at = url.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
            return std::net::TcpStream::connect(at).is_ok();
        }
        let status = self.json(home, &["status"]);
        status.is_some_and(|status| status["pid"].as_u64() == Some(self.pids[which].into()))
    }

    fn start_again(&mut self, which: usize) {
        let home = &self.homes[which];
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(home.join("again.log"))
            .expect("a log");
        let mut command = ayni();
        match which {
            0 => {
                let url = std::fs::read_to_string(home.join("rpc")).expect("it is written");
                let at = url.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
                command.args(["ledger", "--listen", &at]).arg(home)
            }
            1 => command.args(["daemon", "--home"]).arg(home),
            _ => command
                .args(["provide", "--cpus", "1", "--memory", "512MiB", "--on-battery"])
                .args(["--join", &self.ticket, "--home"])
                .arg(home),
        };
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("ayni starts");
        self.pids[which] = child.id();
        self.again[which] = Some(Again(child));
    }

    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !done() {
            assert!(begin.elapsed() < PATIENCE, "waited for {what}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn round(&mut self, number_of: u64, draws: &mut Draws) {
        let which = usize::try_from(draws.below(4)).expect("small");
        // Some moment of the round.
        let after = Duration::from_millis(draws.below(self.tasks * 1_000 / 35));
        let id = format!("9{number_of:031x}");
        let program = echo(self.network.dir.path());
        let range = format!("0..{}", self.tasks);
        let (code, _, stderr) = run(self
            .network
            .ayni(&["run"])
            .arg(&program)
            .args(["--id", &id, "--range", &range, "--step", "1", "--timeout", "60s"])
            .args(["--detach", "--", "{start}"]));
        assert_eq!(code, Some(0), "{stderr}");
        std::thread::sleep(after);
        eprintln!("round {number_of}: {} is killed after {after:?}", NAMES[which]);
        self.kill(which);
        let job = self.network.wait_for(&id, "the end", |job| job["state"] == "ended");
        assert_eq!(number(&job["counts"]["accepted"]), self.tasks, "{job}");
        let out = format!("round-{number_of}");
        let (code, _, stderr) = run(&mut self.network.ayni(&["job", "fetch", &id, "-o", &out]));
        assert_eq!(code, Some(0), "{stderr}");
        let out = self.network.dir.path().join(&out);
        for index in 0..self.tasks {
            let path = out.join(format!("{index:05}")).join("stdout");
            let said = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert_eq!(said, format!("echo\0{index}\0").into_bytes(), "task {index}");
        }
    }

    fn sum(&self, which: usize, part: &str) -> Option<u128> {
        Some(amount(&self.json(&self.homes[which], &["statement"])?[part]))
    }

    fn balance(&self, which: usize) -> u128 {
        let wallet = self.json(&self.homes[which], &["wallet", "show"]).expect("it is up");
        amount(&wallet["balance"])
    }

    fn deposits(&self) -> (u128, u128) {
        let list = self.json(&self.homes[1], &["channel", "list"]).expect("it is up");
        let sum = |part: &str| -> u128 {
            list["channels"].as_array().expect("a list").iter().map(|c| amount(&c[part])).sum()
        };
        (sum("deposit"), sum("claimed"))
    }

    /// What one side owes is what the other side earned, and the chain has it all.
    fn check_money(&self) {
        self.until("the same bills on both sides", || {
            let spent = self.sum(1, "spent");
            let earned = (2..4).map(|p| self.sum(p, "earned")).sum::<Option<u128>>();
            spent.is_some() && spent == earned
        });
        let spent = self.sum(1, "spent").expect("it is up");
        for provider in 2..4 {
            self.json(&self.homes[provider], &["channel", "claim"]).expect("it is up");
        }
        self.until("every bill to be claimed", || self.deposits().1 == spent);
        let (deposits, claimed) = self.deposits();
        assert_eq!(self.balance(1), GRANT - deposits);
        self.until("the claims to be paid out", || {
            self.balance(2) + self.balance(3) == 2 * GRANT + claimed
        });
    }
}

#[test]
fn whoever_is_killed_at_any_moment_loses_neither_results_nor_money() {
    let (kills, seed) = (setting("AYNI_KILLS", 2), setting("AYNI_KILL_SEED", 1));
    let mut draws = Draws(seed);
    let mut play = Play::start(setting("AYNI_KILL_TASKS", TASKS));
    for number_of in 0..kills {
        play.round(number_of, &mut draws);
        play.check_money();
    }
}
