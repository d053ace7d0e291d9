//! Nodes that lie: a proxy before the local ledger's server that drops logs, makes up blocks,
//! stands still or answers rubbish. What it says is reported, not believed.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use ayni_chain::Client;
use ayni_chain::contracts::Addresses;
use ayni_chain::embedded::RpcServer;
use ayni_chain::watcher::{Alarm, Cursor, Notice, WatchTerms, Watcher};
use serde_json::{Value, json};

use crate::reorg::{deposits, pay_in, prepare};
use crate::support::{CHAIN, TestClock, http, ledger};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    None,
    /// No logs.
    DropLogs,
    /// One more log, with another amount.
    MakeUpLogs,
    /// Logs of a contract that nobody asked for.
    ForeignLogs,
    /// The head stands still at this block.
    StandStill(u64),
    /// From this block on, all blocks have other hashes.
    OtherBlocks(u64),
    /// This block follows another one than it does.
    Unlink(u64),
    /// Refuses logs of more than this many blocks at once, as many nodes do.
    Bound(u64),
    /// Answers that are no JSON-RPC.
    Rubbish,
}

#[derive(Clone)]
struct Proxy {
    upstream: String,
    http: reqwest::Client,
    lie: Arc<Mutex<Lie>>,
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or("0x0").trim_start_matches("0x");
    u64::from_str_radix(text, 16).unwrap_or_default()
}

fn other_hash(hash: &Value) -> Value {
    let text = hash.as_str().unwrap_or_default();
    json!(format!("0xbad{}", &text[5..]))
}

fn twist(lie: Lie, request: &Value, answer: &mut Value) {
    let result = &mut answer["result"];
    match (lie, request["method"].as_str().unwrap_or_default()) {
        (Lie::DropLogs, "eth_getLogs") => *result = json!([]),
        (Lie::MakeUpLogs, "eth_getLogs") => {
            if let Some(logs) = result.as_array_mut()
                && let Some(mut more) = logs.last().cloned()
            {
                more["logIndex"] = json!(format!("{:#x}", number(&more["logIndex"]) + 1));
                logs.push(more);
            }
        }
        (Lie::ForeignLogs, "eth_getLogs") => {
            for log in result.as_array_mut().into_iter().flatten() {
                log["address"] = json!("0x0000000000000000000000000000000000000bad");
            }
        }
        (Lie::StandStill(at), "eth_blockNumber") => *result = json!(format!("{at:#x}")),
        (Lie::OtherBlocks(from), "eth_getBlockByNumber") if !result.is_null() => {
            let block = number(&result["number"]);
            if block >= from {
                result["hash"] = other_hash(&result["hash"]);
            }
            if block > from {
                result["parentHash"] = other_hash(&result["parentHash"]);
            }
        }
        (Lie::OtherBlocks(from), "eth_getLogs") => {
            for log in result.as_array_mut().into_iter().flatten() {
                if number(&log["blockNumber"]) >= from {
                    log["blockHash"] = other_hash(&log["blockHash"]);
                }
            }
        }
        (Lie::Unlink(at), "eth_getBlockByNumber") if number(&result["number"]) == at => {
            result["parentHash"] = other_hash(&result["parentHash"]);
        }
        (Lie::Bound(blocks), "eth_getLogs") => {
            let filter = &request["params"][0];
            if number(&filter["toBlock"]) - number(&filter["fromBlock"]) >= blocks {
                *answer = json!({
                    "jsonrpc": "2.0",
                    "id": request["id"],
                    "error": { "code": -32005, "message": "too many blocks" },
                });
            }
        }
        _ => {}
    }
}

async fn forward(State(proxy): State<Proxy>, Json(request): Json<Value>) -> Json<Value> {
    let lie = *proxy.lie.lock().unwrap();
    if lie == Lie::Rubbish {
        return Json(json!([[["rubbish"]]]));
    }
    let sent = proxy.http.post(&proxy.upstream).json(&request).send().await.unwrap();
    let mut answer: Value = sent.json().await.unwrap();
    twist(lie, &request, &mut answer);
    Json(answer)
}

/// A client of a proxy, and the proxy's lie.
async fn liar(server: &RpcServer) -> (Client, Arc<Mutex<Lie>>) {
    let lie = Arc::new(Mutex::new(Lie::None));
    let http = http();
    let proxy = Proxy { upstream: server.url(), http, lie: lie.clone() };
    let router = axum::Router::new().route("/", post(forward)).with_state(proxy);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (Client::connect(&url, CHAIN).await.unwrap(), lie)
}

struct World {
    _folder: tempfile::TempDir,
    _server: RpcServer,
    honest: Client,
    liar: Client,
    lie: Arc<Mutex<Lie>>,
    at: Addresses,
}

async fn world() -> World {
    let (folder, ledger) = ledger(&TestClock::new());
    let honest = Client::local(&ledger).unwrap();
    let at = prepare(&honest).await;
    let server =
        RpcServer::start(ledger, "127.0.0.1:0".parse().unwrap(), Vec::new()).await.unwrap();
    let (liar, lie) = liar(&server).await;
    World { _folder: folder, _server: server, honest, liar, lie, at }
}

impl World {
    fn lie(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    /// A watcher that asks the liar and `honest` others.
    fn watcher(&self, honest: usize, stall_after: Option<Duration>) -> Watcher {
        let mut clients = vec![self.liar.clone()];
        clients.extend(std::iter::repeat_n(self.honest.clone(), honest));
        let terms = WatchTerms { confirmations: 0, stall_after };
        Watcher::new(clients, self.at, terms, Cursor::at(self.at.since_block)).unwrap()
    }
}

fn alarms(notices: &[Notice]) -> Vec<Alarm> {
    let alarm = |notice: &Notice| match notice {
        Notice::Alarm(alarm) => Some(alarm.clone()),
        _ => None,
    };
    notices.iter().filter_map(alarm).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_honest_nodes_outvote_a_liar_and_name_it() {
    let world = world().await;
    let mut amount = 10;
    for (lie, expected) in [
        (Lie::DropLogs, "missing"),
        (Lie::MakeUpLogs, "too many"),
        (Lie::ForeignLogs, "not asked for"),
        (Lie::OtherBlocks(3), "another block"),
    ] {
        world.lie(Lie::None);
        let mut watcher = world.watcher(2, None);
        let before = watcher.poll().await.unwrap();
        assert_eq!(alarms(&before), [], "{lie:?}");
        world.lie(lie);
        amount += 1;
        let block = pay_in(&world.honest, &world.at, amount).await;
        let told = watcher.poll().await.unwrap();
        assert_eq!(deposits(&told), [(block, amount)], "{lie:?}");
        let alarms = alarms(&told);
        assert!(!alarms.is_empty(), "{lie:?}");
        for alarm in alarms {
            let said = alarm.to_string();
            assert!(said.contains(world.liar.node()) && said.contains(expected), "{lie:?}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_that_differ_neither_is_believed_until_they_agree() {
    let world = world().await;
    let mut amount = 10;
    for lie in [Lie::DropLogs, Lie::MakeUpLogs, Lie::ForeignLogs, Lie::OtherBlocks(3), Lie::Rubbish]
    {
        world.lie(Lie::None);
        let mut watcher = world.watcher(1, None);
        watcher.poll().await.unwrap();
        world.lie(lie);
        amount += 1;
        let block = pay_in(&world.honest, &world.at, amount).await;
        let told = watcher.poll().await.unwrap();
        assert_eq!(deposits(&told), [], "{lie:?}");
        assert!(!alarms(&told).is_empty(), "{lie:?}");
        assert!(!told.iter().any(|n| matches!(n, Notice::Reverted { .. })), "{lie:?}");
        world.lie(Lie::None);
        // After rubbish it is asked again later.
        tokio::time::sleep(watcher.pause(Duration::from_millis(10))).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(deposits(&watcher.poll().await.unwrap()), [(block, amount)], "{lie:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_stands_still_is_reported_and_does_not_hold_up_the_others() {
    let world = world().await;
    let stall = Duration::from_millis(300);
    let mut watcher = world.watcher(2, Some(stall));
    watcher.poll().await.unwrap();
    let head = world.honest.head().await.unwrap();
    world.lie(Lie::StandStill(head));
    let mut told = Vec::new();
    for amount in 20..26 {
        pay_in(&world.honest, &world.at, amount).await;
        told.extend(watcher.poll().await.unwrap());
        tokio::time::sleep(stall / 4).await;
    }
    assert_eq!(deposits(&told).len(), 6);
    let stalled = Alarm::Stalled { node: world.liar.node().to_owned(), head };
    assert!(alarms(&told).contains(&stalled), "{:?}", alarms(&told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_is_caught_when_its_blocks_do_not_link() {
    let world = world().await;
    let mut watcher = world.watcher(0, None);
    watcher.poll().await.unwrap();
    let block = pay_in(&world.honest, &world.at, 10).await;
    world.lie(Lie::Unlink(block));
    let told = watcher.poll().await.unwrap();
    let node = world.liar.node().to_owned();
    assert_eq!(told, [Notice::Alarm(Alarm::Unlinked { node, block })]);
    world.lie(Lie::None);
    assert_eq!(deposits(&watcher.poll().await.unwrap()), [(block, 10)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_gone_is_asked_ever_more_seldom() {
    let world = world().await;
    let mut watcher = world.watcher(0, None);
    world.lie(Lie::Rubbish);
    let told = watcher.poll().await.unwrap();
    assert!(matches!(alarms(&told)[..], [Alarm::Silent { .. }]), "{told:?}");
    let first = watcher.pause(Duration::ZERO);
    assert_eq!(watcher.poll().await.unwrap(), [], "not asked before its time");
    tokio::time::sleep(first).await;
    assert_eq!(watcher.poll().await.unwrap(), [], "said once");
    assert!(watcher.pause(Duration::ZERO) > first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_refuses_long_ranges_is_asked_for_shorter_ones() {
    let world = world().await;
    let mut expected = Vec::new();
    for amount in 10..22 {
        expected.push((pay_in(&world.honest, &world.at, amount).await, amount));
    }
    world.lie(Lie::Bound(10));
    let mut watcher = world.watcher(0, None);
    let mut told = Vec::new();
    while deposits(&told).len() < expected.len() {
        told.extend(watcher.poll().await.unwrap());
        tokio::time::sleep(watcher.pause(Duration::ZERO)).await;
    }
    assert_eq!(deposits(&told), expected);
}
