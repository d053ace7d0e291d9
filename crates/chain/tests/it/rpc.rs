//! The local ledger's JSON-RPC over HTTP: hostile bodies, wrong hosts, and what wallets ask.

use ayni_chain::Client;
use ayni_chain::embedded::{RpcServer, ServeError};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::crash::raw;
use crate::support::{CHAIN, TestClock, account, http, ledger};

struct World {
    _folder: tempfile::TempDir,
    server: RpcServer,
    http: reqwest::Client,
    client: Client,
}

async fn world() -> World {
    let (folder, ledger) = ledger(&TestClock::new());
    let client = Client::local(&ledger).unwrap();
    let origins = vec!["https://wallet.example".to_owned()];
    let server = RpcServer::start(ledger, "127.0.0.1:0".parse().unwrap(), origins).await.unwrap();
    World { _folder: folder, server, http: http(), client }
}

impl World {
    fn post(&self) -> reqwest::RequestBuilder {
        self.http.post(self.server.url()).header("content-type", "application/json")
    }

    async fn send(&self, body: impl Into<reqwest::Body>) -> Value {
        self.post().body(body).send().await.unwrap().json().await.unwrap()
    }

    async fn ask(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer = self.send(request.to_string()).await;
        match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(error),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bodies_get_an_error_that_says_what_is_wrong() {
    let world = world().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let batch = json!(vec![json!({ "id": 1, "method": "eth_chainId" }); 101]).to_string();
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("\u{0}\u{ff}", -32700),
        (deep.as_str(), -32700),
        ("[]", -32600),
        (batch.as_str(), -32600),
        ("1", -32600),
        ("null", -32600),
        (r#"{"id":1}"#, -32600),
        (r#"{"id":1,"method":7}"#, -32600),
        (r#"{"id":1,"method":"eth_chainId","params":{}}"#, -32602),
        (r#"{"id":1,"method":"eth_getBalance"}"#, -32602),
        (r#"{"id":1,"method":"eth_getBalance","params":["0x12"]}"#, -32602),
        (r#"{"id":1,"method":"eth_call","params":[{"to":5}]}"#, -32602),
        (r#"{"id":1,"method":"eth_sendRawTransaction","params":["0xzz"]}"#, -32602),
        (r#"{"id":1,"method":"eth_sendRawTransaction","params":["0x02"]}"#, -32000),
        (
            r#"{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x9","toBlock":"0x1"}]}"#,
            -32602,
        ),
        (
            r#"{"id":1,"method":"eth_getBalance","params":["0x0000000000000000000000000000000000000001","0x63"]}"#,
            -32000,
        ),
        (r#"{"id":1,"method":"personal_unlockAccount"}"#, -32601),
        (r#"{"id":1,"method":"eth_sendTransaction","params":[{}]}"#, -32601),
    ] {
        let answer = world.send(body.to_owned()).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty(), "{shown}");
    }
    let long = format!(r#"{{"id":1,"method":"{}"}}"#, "x".repeat(3 << 20));
    let answer = world.post().body(long).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // The server hangs up on whom it refuses to read to the end; others are served.
    let world = World { http: http(), ..world };
    assert_eq!(world.ask("eth_chainId", json!([])).await.unwrap(), format!("{CHAIN:#x}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_loopback_names_configured_origins_and_declared_json_are_served() {
    let world = world().await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let status = async |name: &'static str, value: &'static str| {
        let request = world.post().header(name, value).body(body);
        request.send().await.unwrap().status()
    };
    assert_eq!(status("host", "127.0.0.1:1").await, StatusCode::OK);
    assert_eq!(status("host", "rebound.example").await, StatusCode::FORBIDDEN);
    assert_eq!(status("origin", "https://wallet.example").await, StatusCode::OK);
    assert_eq!(status("origin", "https://other.example").await, StatusCode::FORBIDDEN);
    let plain = world.http.post(world.server.url()).header("content-type", "text/plain");
    let plain = plain.body(body).send().await.unwrap().status();
    assert_eq!(plain, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let get = world.http.get(world.server.url()).send().await.unwrap().status();
    assert_eq!(get, StatusCode::METHOD_NOT_ALLOWED);
    let (_folder, open) = ledger(&TestClock::new());
    let wide = RpcServer::start(open, "0.0.0.0:0".parse().unwrap(), Vec::new()).await;
    assert!(matches!(wide, Err(ServeError::NotLoopback(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_answered_in_order_and_notifications_not_at_all() {
    let world = world().await;
    let batch = json!([
        { "jsonrpc": "2.0", "id": "a", "method": "net_version" },
        { "jsonrpc": "2.0", "method": "eth_chainId" },
        7,
        { "jsonrpc": "2.0", "id": null, "method": "eth_blockNumber" },
    ]);
    let answer = world.send(batch.to_string()).await;
    let ids: Vec<_> = answer.as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [json!("a"), Value::Null, Value::Null]);
    assert_eq!(answer[0]["result"], CHAIN.to_string());
    assert_eq!(answer[1]["error"]["code"], -32600);
    assert_eq!(answer[2]["result"], "0x0");
    let silent = world.post().body(r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#);
    assert_eq!(silent.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wallets_find_every_method_that_they_use() {
    let world = world().await;
    let me = account(1).to_string();
    let sent = json!([raw(1, CHAIN, 0).to_string()]);
    let hash = world.ask("eth_sendRawTransaction", sent).await.unwrap();
    let block = world.ask("eth_getBlockByNumber", json!(["latest", true])).await.unwrap();
    assert_eq!(block["transactions"][0]["hash"], hash);
    assert_eq!(block["number"], "0x1");
    let parent =
        world.ask("eth_getBlockByHash", json!([block["parentHash"], false])).await.unwrap();
    assert_eq!(parent["hash"], block["parentHash"]);
    let receipt = world.ask("eth_getTransactionReceipt", json!([hash])).await.unwrap();
    assert_eq!((&receipt["status"], &receipt["gasUsed"]), (&json!("0x1"), &json!("0x5208")));
    let tx = world.ask("eth_getTransactionByHash", json!([hash])).await.unwrap();
    assert_eq!(tx["blockHash"], block["hash"]);
    for (method, params, expected) in [
        ("eth_getTransactionCount", json!([me, "pending"]), json!("0x1")),
        ("eth_getBalance", json!([me, "latest"]), json!("0x0")),
        ("eth_getCode", json!([me, "0x1"]), json!("0x")),
        ("eth_getStorageAt", json!([me, "0x0", "latest"]), json!(format!("0x{:064x}", 0))),
        ("eth_gasPrice", json!([]), json!("0x0")),
        ("eth_maxPriorityFeePerGas", json!([]), json!("0x0")),
        ("eth_call", json!([{ "to": me }, "latest"]), json!("0x")),
        ("eth_estimateGas", json!([{ "from": me, "to": me }]), json!("0x5a3c")),
        ("eth_getLogs", json!([{ "fromBlock": "earliest" }]), json!([])),
        ("eth_getTransactionReceipt", json!([format!("0x{:064x}", 7)]), Value::Null),
        ("eth_getBlockByNumber", json!(["0x9", false]), Value::Null),
        ("eth_syncing", json!([]), json!(false)),
    ] {
        assert_eq!(world.ask(method, params).await.unwrap(), expected, "{method}");
    }
    let fees = world.ask("eth_feeHistory", json!(["0x5", "latest", [50.0]])).await.unwrap();
    assert_eq!(fees["baseFeePerGas"], json!(["0x0", "0x0", "0x0"]));
    assert_eq!(fees["reward"], json!([["0x0"], ["0x0"]]));
    let version = world.ask("web3_clientVersion", json!([])).await.unwrap();
    assert!(version.as_str().unwrap().starts_with("ayni local ledger/"));
    assert!(world.client.is_local_ledger());
    let remote = Client::connect(&world.server.url(), CHAIN).await.unwrap();
    assert!(remote.is_local_ledger(), "it says so");
    assert_eq!(remote.head().await.unwrap(), world.client.head().await.unwrap());
}
