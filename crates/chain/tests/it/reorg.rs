//! The watcher on a real node whose chain goes another way.

use ayni_chain::Client;
use ayni_chain::contracts::{self, Addresses};
use ayni_chain::sender::Intent;
use ayni_chain::watcher::{ChainEvent, Cursor, Notice, WatchError, WatchTerms, Watcher};
use ayni_types::Amount;

use crate::script::terms;
use crate::support::{Anvil, SOON, account, deployed, mint, sender};

const NOW: WatchTerms = WatchTerms { confirmations: 0, stall_after: None };

pub(crate) async fn prepare(client: &Client) -> Addresses {
    let at = deployed(client).await;
    sender(client, 1).run(mint("m", at.token, account(2), 1_000_000), SOON).await.unwrap();
    let approve = contracts::approve(at.channels, Amount(1_000_000));
    sender(client, 2).run(Intent::call("a", at.token, approve), SOON).await.unwrap();
    at
}

/// Pays `amount` into the test's channel; says in which block.
pub(crate) async fn pay_in(client: &Client, at: &Addresses, amount: u128) -> u64 {
    let deposit = contracts::deposit(&terms(at), Amount(amount));
    let intent = Intent::call(format!("d{amount}"), at.channels, deposit);
    sender(client, 2).run(intent, SOON).await.unwrap().block
}

pub(crate) fn deposits(notices: &[Notice]) -> Vec<(u64, u128)> {
    let deposit = |notice: &Notice| match notice {
        Notice::Event { at, event } => match **event {
            ChainEvent::ChannelDeposited { amount, .. } => Some((at.block, amount.0)),
            _ => None,
        },
        _ => None,
    };
    notices.iter().filter_map(deposit).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_reorganisation_takes_back_is_taken_back_and_what_it_brings_is_told() {
    let (anvil, client) = Anvil::start(&[]).await;
    let at = prepare(&client).await;
    let first = pay_in(&client, &at, 10).await;
    let mut watcher =
        Watcher::new(vec![client.clone()], at, NOW, Cursor::at(at.since_block)).unwrap();
    assert_eq!(deposits(&watcher.poll().await.unwrap()), [(first, 10)]);
    let snapshot = anvil.ask(&client, "evm_snapshot", ()).await;
    let second = pay_in(&client, &at, 20).await;
    let told = watcher.poll().await.unwrap();
    assert_eq!(deposits(&told), [(second, 20)]);
    // A restart in between: the cursor remembers hashes.
    let kept = watcher.cursor().clone();
    let mut watcher = Watcher::new(vec![client.clone()], at, NOW, kept).unwrap();
    anvil.ask(&client, "evm_revert", (snapshot,)).await;
    anvil.ask(&client, "evm_increaseTime", (60,)).await;
    let other = pay_in(&client, &at, 30).await;
    assert_eq!(other, second, "another block of the same number");
    let told = watcher.poll().await.unwrap();
    assert_eq!(told[0], Notice::Reverted { after: first });
    assert_eq!(deposits(&told), [(other, 30)]);
    assert_eq!(watcher.poll().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_got_shorter_is_followed_back() {
    let (anvil, client) = Anvil::start(&[]).await;
    let at = prepare(&client).await;
    let snapshot = anvil.ask(&client, "evm_snapshot", ()).await;
    let mut watcher =
        Watcher::new(vec![client.clone()], at, NOW, Cursor::at(at.since_block)).unwrap();
    pay_in(&client, &at, 10).await;
    pay_in(&client, &at, 20).await;
    assert_eq!(deposits(&watcher.poll().await.unwrap()).len(), 2);
    anvil.ask(&client, "evm_revert", (snapshot,)).await;
    let head = client.head().await.unwrap();
    assert_eq!(watcher.poll().await.unwrap(), [Notice::Reverted { after: head }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_is_told_when_it_is_deep_enough() {
    let (anvil, client) = Anvil::start(&[]).await;
    let at = prepare(&client).await;
    let terms = WatchTerms { confirmations: 3, ..NOW };
    let cursor = Cursor::at(at.since_block);
    let mut watcher = Watcher::new(vec![client.clone()], at, terms, cursor).unwrap();
    let block = pay_in(&client, &at, 10).await;
    for _ in 0..3 {
        assert_eq!(deposits(&watcher.poll().await.unwrap()), []);
        anvil.ask(&client, "evm_mine", ()).await;
    }
    assert_eq!(deposits(&watcher.poll().await.unwrap()), [(block, 10)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganisation_below_all_that_is_remembered_is_an_error_that_says_what_to_do() {
    let (anvil, client) = Anvil::start(&[]).await;
    let at = prepare(&client).await;
    let snapshot = anvil.ask(&client, "evm_snapshot", ()).await;
    let first = pay_in(&client, &at, 10).await;
    // It began late: nothing before is remembered.
    let mut watcher = Watcher::new(vec![client.clone()], at, NOW, Cursor::at(first)).unwrap();
    watcher.poll().await.unwrap();
    anvil.ask(&client, "evm_revert", (snapshot,)).await;
    anvil.ask(&client, "evm_increaseTime", (60,)).await;
    anvil.ask(&client, "evm_mine", ()).await;
    let error = watcher.poll().await.unwrap_err();
    assert!(matches!(error, WatchError::TooDeep { oldest, .. } if oldest == first), "{error}");
    assert!(error.to_string().contains("hint:"), "{error}");
}
