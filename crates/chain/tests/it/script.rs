//! One script, from deployment to withdrawal, on the local ledger and on a real node: the same
//! balances, the same gas.

use std::path::Path;

use ayni_chain::Client;
use ayni_chain::contracts::{self, Addresses, Claim};
use ayni_chain::embedded::{LedgerHead, LocalLedger};
use ayni_chain::sender::Intent;
use ayni_chain::watcher::{ChainEvent, Cursor, Notice, WatchTerms, Watcher};
use ayni_types::{Account, Amount, ChannelFunds, ChannelTerms, Time, Withdrawal};
use ayni_wire::{Voucher, channel_id};

use crate::support::{
    Anvil, SOON, TestClock, account, balance, deployed, genesis, ledger, mint, sender, signer,
};

const DAY_S: u64 = 86_400;
const REQUESTER: u8 = 2;
const PROVIDER: u8 = 3;
const SESSION: u8 = 8;

pub(crate) fn terms(at: &Addresses) -> ChannelTerms {
    ChannelTerms {
        payer: account(REQUESTER),
        payer_key: account(SESSION),
        payee: account(PROVIDER),
        payee_key: account(PROVIDER),
        token: at.token,
        withdraw_delay_s: DAY_S,
        salt: [1; 32],
    }
}

pub(crate) fn voucher(at: &Addresses, ceiling: u128) -> Claim {
    let terms = terms(at);
    let id = channel_id(&at.ledger(), &terms);
    let amount = Amount(ceiling);
    let voucher = Voucher::sign(&at.ledger(), id, amount, &signer(SESSION));
    Claim { terms, voucher, amount }
}

/// What the script leaves behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    at: Addresses,
    gas: Vec<(&'static str, u64)>,
    balances: [Amount; 3],
    funds: ChannelFunds,
}

async fn step(
    client: &Client,
    gas: &mut Vec<(&'static str, u64)>,
    by: u8,
    what: &'static str,
    intent: Intent,
) {
    let outcome = sender(client, by).run(intent, SOON).await.unwrap();
    assert!(outcome.success, "{what}");
    gas.push((what, outcome.gas_used));
}

async fn first_half(client: &Client) -> (Addresses, Vec<(&'static str, u64)>) {
    let at = deployed(client).await;
    let (terms, mut gas) = (terms(&at), Vec::new());
    let money = mint("mint", at.token, account(REQUESTER), 1_000_000);
    step(client, &mut gas, 1, "mint", money).await;
    let approve = contracts::approve(at.channels, Amount(500_000));
    step(client, &mut gas, REQUESTER, "approve", Intent::call("a", at.token, approve)).await;
    let deposit = contracts::deposit(&terms, Amount(500_000));
    step(client, &mut gas, REQUESTER, "deposit", Intent::call("d", at.channels, deposit)).await;
    let claim = contracts::claim(&[voucher(&at, 120_000)]);
    step(client, &mut gas, PROVIDER, "claim", Intent::call("c", at.channels, claim)).await;
    let settle = contracts::settle(terms.payee, at.token);
    step(client, &mut gas, 1, "settle", Intent::call("s", at.channels, settle)).await;
    let relayed = contracts::claim_rows(&[voucher(&at, 200_000)], true);
    step(client, &mut gas, 1, "relayed claim", Intent::call("r", at.channels, relayed)).await;
    let withdraw = contracts::initiate_withdraw(&terms, Amount(300_000));
    step(client, &mut gas, REQUESTER, "withdraw", Intent::call("w", at.channels, withdraw)).await;
    (at, gas)
}

async fn second_half(
    client: &Client,
    (at, mut gas): (Addresses, Vec<(&'static str, u64)>),
) -> Left {
    let finalize = contracts::finalize_withdraw(&terms(&at));
    step(client, &mut gas, REQUESTER, "finalize", Intent::call("f", at.channels, finalize)).await;
    let balances = [
        balance(client, at.token, account(REQUESTER)).await,
        balance(client, at.token, account(PROVIDER)).await,
        balance(client, at.token, at.channels).await,
    ];
    let id = channel_id(&at.ledger(), &terms(&at));
    let funds = contracts::funds(client, at.channels, id, DAY_S).await.unwrap();
    Left { at, gas, balances, funds }
}

async fn on_ledger(folder: &Path) -> (Left, LedgerHead) {
    let clock = TestClock::new();
    let ledger = LocalLedger::open(folder, &genesis(), clock.options()).unwrap();
    let client = Client::local(&ledger).unwrap();
    let half = first_half(&client).await;
    let id = channel_id(&half.0.ledger(), &terms(&half.0));
    let funds = contracts::funds(&client, half.0.channels, id, DAY_S).await.unwrap();
    let from = Time((crate::support::BEGIN_S + DAY_S) * 1000);
    let withdrawal = Some(Withdrawal { amount: Amount(300_000), from });
    assert_eq!(
        funds,
        ChannelFunds { deposit: Amount(500_000), claimed: Amount(200_000), withdrawal }
    );
    clock.pass(DAY_S);
    let left = second_half(&client, half).await;
    let head = ledger.head().unwrap();
    (left, head)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_script_leaves_the_same_on_the_local_ledger_and_on_anvil() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, _) = on_ledger(folder.path()).await;
    assert_eq!(ours.balances, [Amount(800_000), Amount(200_000), Amount(0)]);
    let (anvil, client) = Anvil::start(&[]).await;
    let half = first_half(&client).await;
    anvil.ask(&client, "evm_increaseTime", (DAY_S,)).await;
    anvil.ask(&client, "evm_mine", ()).await;
    let theirs = second_half(&client, half).await;
    assert_eq!(Addresses { since_block: ours.at.since_block, ..theirs.at }, ours.at);
    assert_eq!(ours, Left { at: ours.at, ..theirs });
    println!("{:?}", ours.gas);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_is_the_same_after_a_snapshot_a_replay_and_a_second_run() {
    let folder = tempfile::tempdir().unwrap();
    let (_, head) = on_ledger(folder.path()).await;
    let open = |folder: &Path| LocalLedger::open(folder, &genesis(), TestClock::new().options());
    let found = |folder: &Path| open(folder).unwrap().head().unwrap();
    assert!(folder.path().join("state.snapshot").exists(), "closed with a snapshot");
    assert_eq!(found(folder.path()), head, "from the snapshot");
    std::fs::remove_file(folder.path().join("state.snapshot")).unwrap();
    assert_eq!(found(folder.path()), head, "by executing again, with history");
    std::fs::remove_file(folder.path().join("state.snapshot")).unwrap();
    std::fs::remove_file(folder.path().join("history.log")).unwrap();
    assert_eq!(found(folder.path()), head, "by executing again");
    let second = tempfile::tempdir().unwrap();
    assert_eq!(on_ledger(second.path()).await.1, head, "another run of the same script");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watcher_tells_the_script_as_it_happened() {
    let clock = TestClock::new();
    let (_folder, ledger) = ledger(&clock);
    let client = Client::local(&ledger).unwrap();
    let half = first_half(&client).await;
    clock.pass(DAY_S);
    let Left { at, .. } = second_half(&client, half).await;
    let terms = terms(&at);
    let channel = channel_id(&at.ledger(), &terms);
    let watch = WatchTerms { confirmations: 0, stall_after: None };
    let cursor = Cursor::at(at.since_block);
    let mut watcher = Watcher::new(vec![client], at, watch, cursor).unwrap();
    let notices = watcher.poll().await.unwrap();
    let mut events = Vec::new();
    for notice in notices {
        let Notice::Event { event, .. } = notice else { panic!("{notice:?}") };
        if !matches!(*event, ChainEvent::ParameterChanged { .. }) {
            events.push(*event);
        }
    }
    let amount = Amount;
    let from = Time((crate::support::BEGIN_S + DAY_S) * 1000);
    let payer: Account = terms.payer;
    let paid = |n| ChainEvent::Settled { payee: terms.payee, token: at.token, amount: Amount(n) };
    assert_eq!(
        events,
        [
            ChainEvent::ChannelCreated { channel, terms },
            ChainEvent::ChannelDeposited {
                channel,
                from: payer,
                amount: amount(500_000),
                deposit: amount(500_000)
            },
            ChainEvent::Claimed { channel, amount: amount(120_000), claimed: amount(120_000) },
            paid(120_000),
            ChainEvent::Claimed { channel, amount: amount(80_000), claimed: amount(200_000) },
            paid(80_000),
            ChainEvent::WithdrawInitiated { channel, amount: amount(300_000), from },
            ChainEvent::WithdrawFinalized { channel, amount: amount(300_000) },
        ]
    );
    assert_eq!(watcher.poll().await.unwrap(), [], "nothing is told twice");
}
