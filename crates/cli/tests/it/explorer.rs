//! The public explorer beside a real node of a paid network with a liar in it: what anybody finds
//! there, what nobody does, and what it takes from strangers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::network::{Network, PATIENCE, echo, kill, run};

const JOB: &str = "e123456789abcdef0123456789abcdef";
const NAME: &str = "a-name-for-nobody";

struct Explorer {
    process: Child,
    at: SocketAddr,
    /// All that anybody was told.
    told: Mutex<String>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.head))
    }

    /// `STATUS CODE`, of an error with a hint.
    fn refusal(&self) -> String {
        let error = &self.json()["error"];
        assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
        format!("{} {}", self.status, error["code"].as_str().expect("a code"))
    }
}

impl Explorer {
    fn start(network: &Network) -> Self {
        let mut command = network.ayni(&["--json", "explorer", "--listen", "127.0.0.1:0"]);
        let log = std::fs::File::create(network.dir.path().join("explorer.log")).expect("a log");
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let started: Value = serde_json::from_str(&line).expect("JSON");
        let at = started["listen"].as_str().expect("text").parse().expect("an address");
        Self { process, at, told: Mutex::default() }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.at).expect("it listens");
        let request = format!("{method} {path} HTTP/1.1\r\nHost: any.example\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).expect("it takes a request");
        // It may have refused before all came.
        drop(stream.write_all(body));
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
        let body = bytes.split_off(end + 4);
        let head = String::from_utf8(bytes).expect("text").to_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let text = String::from_utf8_lossy(&body);
        self.told.lock().expect("unpoisoned").push_str(&format!("{head}{text}"));
        Answer { status, head, body }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"")
    }

    fn check(&self, path: &str, bytes: &[u8]) -> Answer {
        let headers =
            format!("Content-Type: application/cbor\r\nContent-Length: {}\r\n", bytes.len());
        self.ask("POST", path, &headers, bytes)
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Names of its fields, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// What comes sooner or later.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What nobody may be told, as the owner's own commands say it.
fn secrets(network: &Network) -> Vec<String> {
    let read = |file: &str| std::fs::read_to_string(network.requester.join(file)).expect("a file");
    let endpoint: Value = serde_json::from_str(&read("api.json")).expect("JSON");
    let wallet = network.json(&["wallet", "show"]);
    let mut all = vec![
        read("api.token").trim().to_owned(),
        JOB.to_owned(),
        NAME.to_owned(),
        network.requester.display().to_string(),
        text(&endpoint["addr"]).to_owned(),
        text(&wallet["balance"]).to_owned(),
        text(&wallet["rpc"]).to_owned(),
        text(&network.json(&["invite"])["ticket"]).to_owned(),
    ];
    for node in &network.nodes {
        all.push(node.home.display().to_string());
    }
    let peers = network.json(&["peers"]);
    let peers = peers["peers"].as_array().expect("a list");
    let direct = peers.iter().flat_map(|peer| peer["direct"].as_array().expect("a list"));
    all.extend(direct.map(|address| text(address).to_owned()));
    assert!(all.iter().all(|secret| secret.len() > 5), "{all:?}");
    assert!(all.len() > 12, "no peer has an address: {all:?}");
    all
}

#[test]
fn anybody_finds_what_is_public_and_nobody_what_is_not() {
    let lies = ["--cheat", "1:two-roots", "--cheat", "2:digit"];
    let paid = ["--paid", "--stake", "40000000"];
    let network = Network::start(4, &[&paid[..], &lies].concat());
    let program = echo(network.dir.path());
    let mut job = network.ayni(&["run"]);
    job.arg(&program).args(["--id", JOB, "--name", NAME, "--range", "0..40", "--step", "1"]);
    job.args(["--timeout", "60s", "-o", "out", "--audit", "1", "--dispute", "public"]);
    let (code, _, stderr) = run(job.args(["--", "{start}"]));
    assert_eq!(code, Some(0), "{stderr}");
    let explorer = Explorer::start(&network);

    // The market is what the owner's command shows of it.
    let market = explorer.get("/v1/market");
    assert!(market.head.contains("cache-control: public, max-age=1"), "{}", market.head);
    let market = until("all offers", || {
        let market = explorer.get("/v1/market").json();
        (market["offers"].as_array().expect("a list").len() == 4).then_some(market)
    });
    let offers = market["offers"].as_array().expect("a list");
    let mut expected = vec!["build", "build_digest", "disk_bytes", "energy", "engines"];
    expected.extend(["expires_ms", "fuel_per_second", "issued_ms", "memory_bytes", "node"]);
    expected.extend(["price", "region", "slots", "slots_free", "walls"]);
    assert_eq!(keys(&offers[0]), expected);

    // A provider, and the proof against the one that signed two roots: whoever has it can check it.
    let proven = until("a proof", || {
        let mut proven = Vec::new();
        for offer in offers {
            let found = explorer.get(&format!("/v1/providers/{}", text(&offer["node"]))).json();
            assert_eq!(found["offer"]["node"], offer["node"]);
            assert_eq!(keys(&found), ["disputes", "node", "offer", "proofs", "schema"]);
            proven.extend(found["proofs"].as_array().expect("a list").iter().cloned());
        }
        (!proven.is_empty()).then_some(proven)
    });
    assert_eq!(keys(&proven[0]), ["batch", "first_root", "lease", "proof", "second_root"]);
    let mut proof =
        data_encoding::BASE64.decode(text(&proven[0]["proof"]).as_bytes()).expect("bytes");
    let report = explorer.check("/v1/verify", &proof).json();
    assert_eq!(report["ok"], true, "{report}");
    let file = network.dir.path().join("proof");
    std::fs::write(&file, &proof).expect("a test can write its folder");
    let (code, said, _) = run(network.ayni(&["verify"]).arg(&file));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the proof of fraud holds"), "{said}");
    *proof.last_mut().expect("bytes") ^= 1;
    assert_eq!(explorer.check("/v1/verify", &proof).json()["ok"], false);

    // A channel by its id, as the chain shows it.
    let channels = network.json(&["channel", "list"]);
    let channel = &channels["channels"][0];
    let seen = explorer.get(&format!("/v1/channels/{}", text(&channel["id"]))).json();
    let mut expected = vec!["claimed", "deposit", "id", "payee", "payer", "schema", "state"];
    expected.push("withdrawal_from_ms");
    assert_eq!(keys(&seen), expected, "{seen}");
    for same in ["id", "payer", "payee", "deposit"] {
        assert_eq!(seen[same], channel[same], "{seen}");
    }

    // A dispute by its number, and beside the provider that it is about.
    let dispute = until("a dispute about who lied", || {
        network.json(&["dispute", "list"])["disputes"].get(0).cloned()
    });
    let path = format!("/v1/disputes/{}", dispute["id"]);
    let answered = |path: &str| Some(explorer.get(path)).filter(|answer| answer.status == 200);
    let seen = until("the dispute", || answered(&path)).json();
    for same in ["id", "provider", "requester", "lease", "task", "outcome", "counter_outcome"] {
        assert_eq!(seen[same], dispute[same], "{seen}");
    }
    assert!(seen["part"].is_null() && seen["trouble"].is_null(), "{seen}");
    let node = network.nodes.iter().find(|node| node.name == "provider-2").expect("it is there");
    let (_, liar, _) = run(&mut network.ayni_of(&node.home, &["--json", "id"]));
    let liar: Value = serde_json::from_str(&liar).expect("JSON");
    let found = explorer.get(&format!("/v1/providers/{}", text(&liar["node"]))).json();
    assert_eq!(found["disputes"][0]["id"], dispute["id"], "{found}");

    // What is not known, and what is no id.
    let zeros = "0".repeat(64);
    for (path, refusal) in [
        (format!("/v1/channels/{zeros}"), "404 E-API-010"),
        ("/v1/disputes/77777".to_owned(), "404 E-API-010"),
        (format!("/v1/providers/{}", text(&network.json(&["id"])["node"])), "404 E-API-010"),
        ("/v1/channels/%3Cscript%3E".to_owned(), "400 E-API-007"),
        ("/v1/channels/%ff".to_owned(), "400 E-API-007"),
        ("/v1/disputes/-1".to_owned(), "400 E-API-007"),
        ("/v1/providers/did:key:z6Mk".to_owned(), "400 E-API-007"),
        ("/v1/channels".to_owned(), "404 E-API-005"),
        ("/v1/jobs".to_owned(), "404 E-API-005"),
        (format!("/v1/jobs/{JOB}"), "404 E-API-005"),
        ("/v1/status".to_owned(), "404 E-API-005"),
        ("/v1/peers".to_owned(), "404 E-API-005"),
        ("/v1/wallet".to_owned(), "404 E-API-005"),
        ("/v1/offers?refresh=true".to_owned(), "404 E-API-005"),
        ("/metrics".to_owned(), "404 E-API-005"),
        ("/index.html".to_owned(), "404 E-API-005"),
        ("/../api.token".to_owned(), "404 E-API-005"),
    ] {
        let answer = explorer.get(&path);
        assert_eq!(answer.refusal(), refusal, "{path}");
        assert!(!answer.body.contains(&b'<'), "{path}");
    }

    // The page: of the explorer alone, with the policy of the dashboard.
    let page = explorer.get("/");
    assert_eq!(page.status, 200);
    for said in ["default-src 'self'", "x-frame-options: deny", "nosniff", "connection: close"] {
        assert!(page.head.contains(said), "{said}: {}", page.head);
    }
    assert!(!page.head.contains("set-cookie") && !page.head.contains("access-control"));
    let head = explorer.ask("HEAD", "/v1/market", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));

    // Nothing can be changed, whatever is sent.
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    for (method, path) in [
        ("POST", "/v1/market"),
        ("PUT", "/v1/market"),
        ("DELETE", "/v1/verify"),
        ("OPTIONS", "/v1/verify"),
        ("POST", "/v1/shutdown"),
        ("PATCH", "/"),
    ] {
        assert_eq!(explorer.ask(method, path, json, b"{}").refusal(), "405 E-API-005", "{method}");
    }

    // A receipt holds, none with a byte changed does, and nothing is executed again.
    // What home found, where somebody lied, has none.
    let of = |index: u32| network.dir.path().join(format!("out/{index:02}/receipt"));
    let receipt = (0..40).find_map(|index| std::fs::read(of(index)).ok()).expect("a receipt");
    let good = explorer.check("/v1/verify?re_execute=true", &receipt).json();
    assert_eq!((&good["ok"], keys(&good)), (&json!(true), vec!["ok", "schema", "steps"]), "{good}");
    assert!(!good.to_string().contains("again"), "{good}");
    let mut bad = receipt.clone();
    bad[receipt.len() / 2] ^= 1;
    assert_eq!(explorer.check("/v1/verify", &bad).json()["ok"], false);
    assert_eq!(explorer.check("/v1/verify", b"hello").json()["ok"], false);
    assert_eq!(explorer.ask("POST", "/v1/verify", json, b"{}").refusal(), "400 E-API-004");
    let large = vec![0; (256 << 10) + 1];
    assert_eq!(explorer.check("/v1/verify", &large).refusal(), "413 E-API-006");
    let (begin, chunked) =
        (Instant::now(), "Content-Type: application/cbor\r\nTransfer-Encoding: chunked\r\n");
    let pieces = [format!("{:x}\r\n", large.len()).into_bytes(), large].concat();
    assert_eq!(explorer.ask("POST", "/v1/verify", chunked, &pieces).refusal(), "413 E-API-006");
    let refused = |answer: Answer| answer.status == 429 && answer.refusal() == "429 E-API-009";
    let is_refused = std::thread::scope(|scope| {
        let often = || {
            std::iter::repeat_with(|| explorer.check("/v1/verify", b"hello"))
                .take_while(|_| begin.elapsed() < PATIENCE)
                .any(refused)
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(often)).collect();
        all.into_iter().all(|one| one.join().expect("no panic"))
    });
    assert!(is_refused, "however many receipts came, all were checked");

    // Whoever sends nothing more keeps nobody out.
    let idle: Vec<_> =
        (0..100).map(|_| TcpStream::connect(explorer.at).expect("it listens")).collect();
    assert_eq!(explorer.get("/v1/market").status, 200);
    drop(idle);

    // The node goes, and its words stay inside; it comes back elsewhere, and is found.
    let secrets = secrets(&network);
    network.kill("requester");
    let is = |status: u16| (explorer.get("/v1/market").status == status).then_some(());
    until("a refusal", || is(503));
    assert_eq!(explorer.get("/v1/market").refusal(), "503 E-NODE-002");
    network.json(&["offers"]);
    until("the node, started again", || is(200));
    let (code, _, stderr) = run(&mut network.ayni(&["stop"]));
    assert_eq!(code, Some(0), "{stderr}");

    let told = explorer.told.lock().expect("unpoisoned").clone();
    for secret in &secrets {
        assert!(!told.contains(&secret.to_lowercase()) && !told.contains(secret), "{secret}");
    }
    kill(explorer.process.id(), "-TERM");
}
