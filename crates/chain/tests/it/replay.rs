//! The model chain against the real contracts: traces of the channel harness (`ayni-sim channels
//! --traces DIR`), replayed on a local ledger, with the same channel after every step and the same
//! balances at the end, to the unit.
//!
//! The traces in `tests/traces` are replayed always, those of a folder that `AYNI_TRACES` names too.
//! Their form is told in `crates/sim/src/channels/trace.rs`. What a node's outbox would not send
//! again (a deposit, a withdrawal) is not sent again here; what it might is, and must change nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ayni_chain::Client;
use ayni_chain::contracts::{self, Addresses, Claim};
use ayni_chain::embedded::LocalLedger;
use ayni_chain::sender::{Intent, SendError, Sender};
use ayni_types::{Account, Amount, ChannelTerms};
use ayni_wire::{Voucher, channel_id};

use crate::support::{SOON, TestClock, account, balance, deployed, genesis, mint, sender, signer};

/// Accounts of a trace are keys from here, session keys of its channels from there.
const ACCOUNTS: u8 = 10;
const SESSIONS: u8 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Again,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Deposit(u128),
    Claim { amount: u128, promised: u128 },
    Withdraw(u128),
    Finish,
}

/// What a channel holds: deposit, claimed, and what is being withdrawn.
type Funds = (u128, u128, u128);

#[derive(Debug, Clone)]
enum Line {
    Account(u8, u128),
    Channel { number: u8, payer: u8, payee: u8, delay_s: u64, salt: [u8; 32] },
    At(u64),
    Step { fate: Fate, what: What, channel: u8, after: Funds },
    Left(u8, u128),
}

fn number<T: std::str::FromStr>(word: Option<&&str>) -> Result<T, String> {
    let word = word.ok_or("a number is missing")?;
    word.parse().map_err(|_| format!("{word:?} is no such number"))
}

fn parse(line: &str) -> Result<Line, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = |n: usize| words.get(n);
    Ok(match words.first().copied() {
        Some("account") => Line::Account(number(at(1))?, number(at(2))?),
        Some("left") => Line::Left(number(at(1))?, number(at(2))?),
        Some("at") => Line::At(number(at(1))?),
        Some("channel") => {
            let salt = at(9).and_then(|w| data_encoding::HEXLOWER.decode(w.as_bytes()).ok());
            let salt = salt.and_then(|bytes| bytes.try_into().ok()).ok_or("a salt is 32 bytes")?;
            let (payer, payee) = (number(at(3))?, number(at(5))?);
            Line::Channel { number: number(at(1))?, payer, payee, delay_s: number(at(7))?, salt }
        }
        Some(fate) => {
            let fate = match fate {
                "done" => Fate::Done,
                "again" => Fate::Again,
                "refused" => Fate::Refused,
                other => return Err(format!("{other:?} begins no line")),
            };
            let what = match at(1).copied() {
                Some("deposit") => What::Deposit(number(at(3))?),
                Some("claim") => What::Claim { amount: number(at(3))?, promised: number(at(4))? },
                Some("withdraw") => What::Withdraw(number(at(3))?),
                Some("finish") => What::Finish,
                other => return Err(format!("{other:?} is no step")),
            };
            let equals = words.iter().position(|w| *w == "=").ok_or("there is no `=`")?;
            let after = |n: usize| number(at(equals + n));
            let after = (after(1)?, after(2)?, after(3)?);
            Line::Step { fate, what, channel: number(at(2))?, after }
        }
        None => return Err("it is empty".to_owned()),
    })
}

/// A trace on its way.
struct Replay {
    client: Client,
    at: Addresses,
    clock: TestClock,
    senders: BTreeMap<Account, Sender>,
    channels: BTreeMap<u8, ChannelTerms>,
    begins_s: Option<u64>,
    now_s: u64,
    intents: u64,
    steps: u64,
}

impl Replay {
    async fn begin(ledger: &LocalLedger, clock: TestClock) -> Self {
        let client = Client::local(ledger).unwrap();
        let at = deployed(&client).await;
        let (senders, channels) = (BTreeMap::new(), BTreeMap::new());
        let (begins_s, now_s, intents, steps) = (None, 0, 0, 0);
        Self { client, at, clock, senders, channels, begins_s, now_s, intents, steps }
    }

    /// Gives a contract some data; false if it would refuse.
    async fn send(&mut self, by: u8, to: Account, data: Vec<u8>) -> Result<bool, String> {
        self.intents += 1;
        let id = self.intents.to_string();
        let client = self.client.clone();
        let by = self.senders.entry(account(by)).or_insert_with(|| sender(&client, by));
        match by.run(Intent::call(id, to, data), SOON).await {
            Ok(outcome) => Ok(outcome.success),
            Err(SendError::Refused { .. }) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn line(&mut self, line: &Line) -> Result<(), String> {
        match *line {
            Line::Account(who, has) => {
                if has > 0 {
                    let to = account(ACCOUNTS + who);
                    let mut faucet = sender(&self.client, 1);
                    let money = mint(&format!("money of {who}"), self.at.token, to, has);
                    faucet.run(money, SOON).await.map_err(|e| e.to_string())?;
                    let all = contracts::approve(self.at.channels, Amount(u128::MAX));
                    self.send(ACCOUNTS + who, self.at.token, all).await?;
                }
            }
            Line::Channel { number, payer, payee, delay_s, salt } => {
                let payee = account(ACCOUNTS + payee);
                let terms = ChannelTerms {
                    payer: account(ACCOUNTS + payer),
                    payer_key: account(SESSIONS + number),
                    payee,
                    payee_key: payee,
                    token: self.at.token,
                    withdraw_delay_s: delay_s,
                    salt,
                };
                self.channels.insert(number, terms);
            }
            Line::At(seconds) => {
                let begins = *self.begins_s.get_or_insert(seconds);
                let now = seconds.checked_sub(begins + self.now_s).ok_or("time goes back")?;
                self.clock.pass(now);
                self.now_s += now;
            }
            Line::Step { fate, what, channel, after } => {
                self.step(fate, what, channel, after).await?;
            }
            Line::Left(who, has) => {
                let holds = balance(&self.client, self.at.token, account(ACCOUNTS + who)).await;
                if holds != Amount(has) {
                    return Err(format!("account {who} has {holds} on the ledger"));
                }
            }
        }
        Ok(())
    }

    async fn step(
        &mut self,
        fate: Fate,
        what: What,
        channel: u8,
        after: Funds,
    ) -> Result<(), String> {
        let terms = *self.channels.get(&channel).ok_or("there is no such channel")?;
        let id = channel_id(&self.at.ledger(), &terms);
        let of = |account_| (ACCOUNTS..SESSIONS).find(|n| account(*n) == account_);
        let (payer, payee) = (of(terms.payer), of(terms.payee));
        let (payer, payee) = (payer.ok_or("whose?")?, payee.ok_or("whose?")?);
        let (by, data) = match what {
            What::Deposit(amount) => (payer, contracts::deposit(&terms, Amount(amount))),
            What::Claim { amount, promised } => {
                let key = signer(SESSIONS + channel);
                let voucher = Voucher::sign(&self.at.ledger(), id, Amount(promised), &key);
                let claim = Claim { terms, voucher, amount: Amount(amount) };
                (payee, contracts::claim(&[claim]))
            }
            What::Withdraw(amount) => (payer, contracts::initiate_withdraw(&terms, Amount(amount))),
            What::Finish => (payer, contracts::finalize_withdraw(&terms)),
        };
        let is_sent = fate != Fate::Again || matches!(what, What::Claim { .. } | What::Finish);
        let is_taken = match fate {
            Fate::Done => true,
            Fate::Refused => false,
            // The contract says that there is nothing to finish; the model, that it is done.
            Fate::Again => !matches!(what, What::Finish),
        };
        if is_sent {
            let taken = self.send(by, self.at.channels, data).await?;
            if taken != is_taken {
                let says = if taken { "takes" } else { "refuses" };
                return Err(format!("the contract {says} it"));
            }
        }
        if fate == Fate::Done && matches!(what, What::Claim { .. }) {
            let settle = contracts::settle(terms.payee, terms.token);
            if !self.send(payee, self.at.channels, settle).await? {
                return Err("nothing could be settled".to_owned());
            }
        }
        self.steps += 1;
        let delay_s = terms.withdraw_delay_s;
        let held = contracts::funds(&self.client, self.at.channels, id, delay_s).await;
        let held = held.map_err(|e| e.to_string())?;
        let waits = held.withdrawal.map_or(0, |w| w.amount.0);
        let holds = (held.deposit.0, held.claimed.0, waits);
        if holds == after { Ok(()) } else { Err(format!("the contract holds {holds:?}")) }
    }

    /// What all channels hold is what the contract has.
    async fn end(&mut self) -> Result<(), String> {
        let mut sum = 0;
        for terms in self.channels.values() {
            let id = channel_id(&self.at.ledger(), terms);
            let funds =
                contracts::funds(&self.client, self.at.channels, id, terms.withdraw_delay_s).await;
            let funds = funds.map_err(|e| e.to_string())?;
            sum += funds.deposit.0 - funds.claimed.0;
        }
        let has = balance(&self.client, self.at.token, self.at.channels).await;
        if has == Amount(sum) { Ok(()) } else { Err(format!("the contract has {has}, not {sum}")) }
    }
}

/// Replays a trace on a ledger of its own; how many steps, or the first difference.
async fn replay(text: &str) -> Result<u64, String> {
    let clock = TestClock::new();
    let folder = tempfile::tempdir().unwrap();
    let ledger = LocalLedger::open(folder.path(), &genesis(), clock.options()).unwrap();
    let mut replay = Replay::begin(&ledger, clock).await;
    for (number, line) in (1..).zip(text.lines()) {
        let said = |why: String| format!("line {number}, `{line}`: {why}");
        let parsed = parse(line).map_err(said)?;
        replay.line(&parsed).await.map_err(said)?;
    }
    replay.end().await?;
    Ok(replay.steps)
}

fn traces(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("can't read the traces in {}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "trace"));
    paths.sort();
    paths
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_model_chain_did_the_contracts_do_to_the_unit() {
    let mut paths = traces(&kept());
    assert!(paths.len() >= 8, "{} traces", paths.len());
    if let Some(more) = std::env::var_os("AYNI_TRACES") {
        paths.extend(traces(Path::new(&more)));
    }
    let mut steps = 0;
    for path in &paths {
        let text = std::fs::read_to_string(path).unwrap();
        let replayed = replay(&text).await;
        steps += replayed.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
    println!("{} traces, {steps} steps, no difference", paths.len());
}

#[test]
fn the_kept_traces_hold_every_step() {
    let all: String = traces(&kept()).iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
    for fate in ["done", "again"] {
        for step in ["deposit", "claim", "withdraw", "finish"] {
            assert!(all.contains(&format!("\n{fate} {step} ")), "{fate} {step}");
        }
    }
    // What else a contract refuses is in the sample below: nodes never ask for it.
    for step in ["withdraw", "finish"] {
        assert!(all.contains(&format!("\nrefused {step} ")), "refused {step}");
    }
}

/// One channel: paid into, claimed from, withdrawn from too early and in time, paid into again.
const SAMPLE: &str = "\
account 0 1000
account 1 0
channel 0 payer 0 payee 1 delay 3600 salt 0101010101010101010101010101010101010101010101010101010101010101
at 100
done deposit 0 500 = 500 0 0
done claim 0 120 200 = 500 120 0
again claim 0 120 200 = 500 120 0
refused claim 0 600 900 = 500 120 0
done withdraw 0 380 = 500 120 380
at 3699
refused finish 0 = 500 120 380
at 3700
done claim 0 200 200 = 500 200 380
done finish 0 = 200 200 0
again finish 0 = 200 200 0
refused deposit 0 50 = 200 200 0
left 0 800
left 1 200
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_that_is_planted_is_found_where_it_is() {
    assert_eq!(replay(SAMPLE).await, Ok(10));
    for (line, other, why) in [
        ("done deposit 0 500", "done deposit 0 501", "holds (501"),
        ("done claim 0 120 200 =", "done claim 0 121 200 =", "holds (500, 121"),
        ("done claim 0 120 200 =", "done claim 0 120 119 =", "holds (500, 119"),
        ("done claim 0 120 200 = 500 120", "done claim 0 120 200 = 500 119", "holds (500, 120"),
        ("refused claim 0 600 900", "refused claim 0 150 900", "takes"),
        ("done withdraw 0 380", "done withdraw 0 379", "holds (500, 120, 379"),
        ("refused finish", "done finish", "refuses"),
        ("at 3699", "at 3700", "takes"),
        ("at 3700", "at 3699", "refuses"),
        ("refused deposit", "done deposit", "refuses"),
        ("left 0 800", "left 0 801", "has 800"),
        ("left 1 200", "left 1 199", "has 200"),
        ("at 100", "before 100", "begins no line"),
    ] {
        assert_eq!(SAMPLE.matches(line).count(), 1, "{line}");
        let planted = SAMPLE.replacen(line, other, 1);
        let found = replay(&planted).await.expect_err(other);
        assert!(found.contains(why), "{other}: {found}");
    }
}
