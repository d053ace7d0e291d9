//! The sender: each intent once, whatever is killed; stuck ones are replaced; strangers' uses of a
//! nonce are noticed.

use std::path::Path;
use std::time::Duration;

use ayni_chain::embedded::LocalLedger;
use ayni_chain::sender::{
    Entry, FileOutbox, Intent, MemoryOutbox, Outbox, OutboxError, SendError, SendTerms, Sender,
    Stage,
};
use ayni_chain::{Client, ClientError};
use ayni_types::{Account, Amount};

use crate::support::{
    Anvil, CHAIN, SOON, TestClock, account, balance, deployed, ledger, mint, sender, transfer,
    wallet,
};

const FAST: SendTerms = SendTerms { poll: Duration::from_millis(5), ..SendTerms::LOCAL };

/// An outbox whose process dies at some write: before it, or right after.
struct Dying {
    inner: FileOutbox,
    writes_left: u32,
    after: bool,
}

impl Outbox for Dying {
    fn load(&mut self) -> Result<Vec<Entry>, OutboxError> {
        self.inner.load()
    }

    fn put(&mut self, entry: &Entry) -> Result<(), OutboxError> {
        let dies = self.writes_left == 0;
        self.writes_left = self.writes_left.saturating_sub(1);
        if !dies || self.after {
            self.inner.put(entry)?;
        }
        if dies { Err(OutboxError::Other("killed".into())) } else { Ok(()) }
    }
}

fn file(folder: &Path) -> FileOutbox {
    FileOutbox::open(folder, CHAIN, account(2)).unwrap()
}

/// Money for account 2 and the token.
async fn token(ledger: &LocalLedger) -> (Client, Account) {
    let client = Client::local(ledger).unwrap();
    let token = deployed(&client).await.token;
    sender(&client, 1).run(mint("m", token, account(2), 1_000), SOON).await.unwrap();
    (client, token)
}

fn payments(token: Account) -> Vec<Intent> {
    (0..3).map(|i| transfer(&format!("pay {i}"), token, account(3), 1 << i)).collect()
}

async fn all(sender: &mut Sender, intents: &[Intent]) -> Result<(), SendError> {
    for intent in intents {
        sender.submit(intent.clone())?;
    }
    for intent in intents {
        sender.wait(&intent.id, SOON).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_write_of_the_outbox_neither_loses_nor_repeats_a_payment() {
    let (_folder, ledger) = ledger(&TestClock::new());
    let (client, token) = token(&ledger).await;
    let (mut paid, mut deaths) = (0, 0);
    for after in [false, true] {
        for writes_left in 0..40 {
            let folder = tempfile::tempdir().unwrap();
            let intents = payments(token);
            let outbox = Dying { inner: file(folder.path()), writes_left, after };
            let mut first = Sender::new(client.clone(), wallet(2), FAST, Box::new(outbox)).unwrap();
            let died = all(&mut first, &intents).await.is_err();
            drop(first);
            let outbox = file(folder.path());
            let mut second =
                Sender::new(client.clone(), wallet(2), FAST, Box::new(outbox)).unwrap();
            all(&mut second, &intents).await.unwrap();
            paid += 7;
            let held = balance(&client, token, account(3)).await;
            assert_eq!(held, Amount(paid), "killed at write {writes_left}, after it: {after}");
            deaths += u32::from(died);
            if !died {
                break;
            }
        }
    }
    // Queued, sent and done, for three payments, before and after.
    assert_eq!(deaths, 18);
    let nonce = client.nonce(account(2), None).await.unwrap();
    assert_eq!(u128::from(nonce) * 7, paid * 3, "no transaction but the payments");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_used_once() {
    let (_folder, ledger) = ledger(&TestClock::new());
    let (client, token) = token(&ledger).await;
    let folder = tempfile::tempdir().unwrap();
    let intent = transfer("rent", token, account(3), 5);
    for _ in 0..2 {
        let outbox = Box::new(file(folder.path()));
        let mut sender = Sender::new(client.clone(), wallet(2), FAST, outbox).unwrap();
        sender.run(intent.clone(), SOON).await.unwrap();
        sender.run(intent.clone(), SOON).await.unwrap();
        let other = sender.submit(transfer("rent", token, account(3), 6));
        assert!(matches!(other, Err(SendError::Conflict(id)) if id == "rent"));
        assert_eq!(balance(&client, token, account(3)).await, Amount(5));
    }
    let mut sender = Sender::new(client, wallet(2), FAST, Box::new(file(folder.path()))).unwrap();
    sender.forget("rent").unwrap();
    sender.submit(intent).unwrap();
    assert_eq!(sender.progress("rent").unwrap().0.stage, Stage::Forgotten);
    assert!(matches!(sender.forget("nothing"), Err(SendError::Unknown(_))));
    for id in ["", &"x".repeat(129)] {
        let error = sender.submit(Intent::call(id, token, Vec::new()));
        assert!(matches!(error, Err(SendError::BadId(_))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_contract_would_refuse_is_not_sent_and_says_why() {
    let (_folder, ledger) = ledger(&TestClock::new());
    let (client, token) = token(&ledger).await;
    let mut sender = sender(&client, 2);
    let error = sender.run(transfer("too much", token, account(3), 5_000), SOON).await.unwrap_err();
    assert!(matches!(&error, SendError::Refused { id, .. } if id == "too much"), "{error}");
    assert_eq!(client.nonce(account(2), None).await.unwrap(), 0);
    sender.run(transfer("less", token, account(3), 1_000), SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sender_per_account() {
    let folder = tempfile::tempdir().unwrap();
    let _first = file(folder.path());
    let second = FileOutbox::open(folder.path(), CHAIN, account(2));
    assert!(matches!(second, Err(OutboxError::InUse(_))));
    FileOutbox::open(folder.path(), CHAIN, account(3)).unwrap();
    FileOutbox::open(folder.path(), 1, account(2)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_too_cheap_is_replaced_under_its_nonce_up_to_the_bound() {
    let (anvil, client) = Anvil::start(&[]).await;
    let to_nobody = |id: &str| Intent::call(id, account(3), Vec::new());
    let terms =
        SendTerms { stuck_after: Duration::from_millis(200), fee_wei_max: 40_000_000_000, ..FAST };
    let outbox = Box::new(MemoryOutbox::default());
    let mut sender = Sender::new(client.clone(), wallet(2), terms, outbox).unwrap();
    anvil.ask(&client, "evm_setAutomine", (false,)).await;
    sender.submit(to_nobody("cheap")).unwrap();
    sender.tick().await.unwrap();
    let first = sender.progress("cheap").unwrap().0.attempts[0].clone();
    // Gas becomes dearer than what was signed: blocks pass it by.
    let dearer = format!("{:#x}", first.max_wei.0 * 4);
    anvil.ask(&client, "anvil_setNextBlockBaseFeePerGas", (dearer,)).await;
    anvil.ask(&client, "evm_mine", ()).await;
    sender.tick().await.unwrap();
    assert_eq!(sender.progress("cheap").unwrap().0.stage, Stage::Sent, "still waiting");
    anvil.ask(&client, "evm_setIntervalMining", (1,)).await;
    let outcome = sender.wait("cheap", SOON).await.unwrap();
    assert!(outcome.success && outcome.tx != first.hash, "another transaction did it");
    assert_eq!(client.nonce(account(2), None).await.unwrap(), first.nonce + 1, "under one nonce");

    // Dearer than the bound: it waits, and says so.
    anvil.ask(&client, "evm_setIntervalMining", (0,)).await;
    sender.submit(to_nobody("dear")).unwrap();
    sender.tick().await.unwrap();
    anvil.ask(&client, "anvil_setNextBlockBaseFeePerGas", ("0x174876e800",)).await;
    anvil.ask(&client, "evm_mine", ()).await;
    let error = sender.wait("dear", Duration::from_secs(2)).await.unwrap_err();
    assert!(error.to_string().contains("raise the fee bound"), "{error}");
    let attempts = &sender.progress("dear").unwrap().0.attempts;
    assert!(attempts.iter().all(|attempt| attempt.max_wei.0 <= terms.fee_wei_max));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_whose_nonce_somebody_else_used_is_signed_anew_and_done_once() {
    let (anvil, client) = Anvil::start(&[]).await;
    anvil.ask(&client, "evm_setAutomine", (false,)).await;
    let mut ours =
        Sender::new(client.clone(), wallet(2), FAST, Box::new(MemoryOutbox::default())).unwrap();
    let value = Amount(7);
    let pay = Intent { id: "pay".into(), to: Some(account(9)), value, data: Vec::new() };
    ours.submit(pay).unwrap();
    ours.tick().await.unwrap();
    let first = ours.progress("pay").unwrap().0.attempts[0].clone();
    // The node forgets it, and the same account is used from elsewhere.
    anvil.ask(&client, "anvil_dropTransaction", (format!("0x{}", hex(&first.hash)),)).await;
    anvil.ask(&client, "evm_setAutomine", (true,)).await;
    let mut theirs =
        Sender::new(client.clone(), wallet(2), FAST, Box::new(MemoryOutbox::default())).unwrap();
    theirs.run(Intent::call("other", account(3), Vec::new()), SOON).await.unwrap();
    let before = client.balance(account(9)).await.unwrap();
    let outcome = ours.wait("pay", SOON).await.unwrap();
    assert!(outcome.success && outcome.tx != first.hash);
    assert_eq!(client.balance(account(9)).await.unwrap().0, before.0 + 7);
    assert_eq!(client.nonce(account(2), None).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_a_reorganisation_takes_back_is_sent_again() {
    let (anvil, client) = Anvil::start(&[]).await;
    let terms = SendTerms { confirmations: 2, resend_after: Duration::from_millis(50), ..FAST };
    let mut sender =
        Sender::new(client.clone(), wallet(2), terms, Box::new(MemoryOutbox::default())).unwrap();
    let snapshot = anvil.ask(&client, "evm_snapshot", ()).await;
    sender.submit(Intent::call("pay", account(9), Vec::new())).unwrap();
    sender.tick().await.unwrap();
    let attempt = sender.progress("pay").unwrap().0.attempts[0].clone();
    // The node answers before it makes the block.
    while client.receipt(attempt.hash.into()).await.unwrap().is_none() {
        tokio::time::sleep(terms.poll).await;
    }
    sender.tick().await.unwrap();
    assert_eq!(sender.progress("pay").unwrap().0.stage, Stage::Sent, "not deep enough");
    anvil.ask(&client, "evm_revert", (snapshot,)).await;
    assert!(client.receipt(attempt.hash.into()).await.unwrap().is_none(), "in none any more");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        sender.tick().await.unwrap();
        anvil.ask(&client, "evm_mine", ()).await;
    }
    let outcome = sender.wait("pay", SOON).await.unwrap();
    assert_eq!(outcome.tx, attempt.hash, "the same signed bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_chain_is_named() {
    let (anvil, _client) = Anvil::start(&[]).await;
    let error = Client::connect(&anvil.url, 1).await.unwrap_err();
    assert!(matches!(error, ClientError::WrongChain { found: CHAIN, wanted: 1, .. }), "{error}");
    let nobody = Client::connect("http://user:secret@127.0.0.1:9/key", 1).await.unwrap_err();
    let said = nobody.to_string();
    assert!(matches!(nobody, ClientError::Node { .. }), "{said}");
    assert!(!said.contains("secret") && !said.contains("key"), "{said}");
    for bad in ["", "ws://127.0.0.1", "no url with a key"] {
        let error = Client::connect(bad, 1).await.unwrap_err();
        assert!(matches!(error, ClientError::BadUrl { .. }), "{error}");
    }
}

fn hex(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode(bytes)
}
