//! A shop with a ledger of its own behind it, and payers with keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ayni_api::json::OutcomeJson;
use ayni_chain::Client;
use ayni_chain::contracts::{
    Addresses, Authorization, DeployTerms, TokenDomain, deploy, mint, token_balance,
    transfer_with_authorization,
};
use ayni_chain::embedded::{Genesis, LOCAL_CHAIN, LedgerOptions, LocalLedger, system_clock};
use ayni_chain::keystore::Wallet;
use ayni_chain::sender::{Intent, MemoryOutbox, SendTerms, Sender};
use ayni_types::{Account, Amount, BlobRef, End, Fuel, Limits, Outcome};
use ayni_wire::EvmSigner;
use ayni_x402::{Backend, Book, Cashier, Finished, Offer, Order, RunError, Shop, Terms};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, Semaphore};

/// Who deploys and makes money, who settles, who is paid, who pays.
pub(crate) const FAUCET: u8 = 1;
pub(crate) const SETTLER: u8 = 2;
pub(crate) const SELLER: u8 = 4;
pub(crate) const BUYER: u8 = 3;
pub(crate) const PRICE: u128 = 1_000;
pub(crate) const TIMEOUT_S: u64 = 60;

pub(crate) fn signer(n: u8) -> EvmSigner {
    EvmSigner::from_secret(&[n; 32]).unwrap()
}

pub(crate) fn account(n: u8) -> Account {
    Account(signer(n).key().0)
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sender(client: &Client, n: u8) -> Sender {
    let wallet = Wallet::from_signer(signer(n));
    let outbox = Box::new(MemoryOutbox::default());
    Sender::new(client.clone(), wallet, SendTerms::LOCAL, outbox).unwrap()
}

/// What the next runs come to.
#[derive(Clone)]
pub(crate) enum Act {
    /// The program itself is the output.
    Echo,
    /// Nothing.
    Fail(RunError),
    /// Waits until it is let go on, then as the first.
    Wait,
    /// The payer's money goes elsewhere meanwhile; then as the first.
    Rob,
}

/// A node as far as the shop sees one.
pub(crate) struct Bench {
    pub(crate) act: Mutex<Act>,
    pub(crate) runs: AtomicUsize,
    pub(crate) begun: Semaphore,
    pub(crate) go_on: Semaphore,
    pub(crate) dropped: Notify,
    money: Money,
}

#[derive(Clone)]
pub(crate) struct Node(pub(crate) Arc<Bench>);

struct SaysWhenDropped<'a>(&'a Notify);

impl Drop for SaysWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Backend for Node {
    async fn run(&self, order: Order) -> Result<Finished, RunError> {
        let bench = &self.0;
        bench.runs.fetch_add(1, Ordering::SeqCst);
        bench.begun.add_permits(1);
        let _says = SaysWhenDropped(&bench.dropped);
        let act = bench.act.lock().await.clone();
        match act {
            Act::Echo => {}
            Act::Fail(error) => return Err(error),
            Act::Wait => bench.go_on.acquire().await.unwrap().forget(),
            Act::Rob => {
                let all = bench.money.has(BUYER).await;
                bench.money.pays(BUYER, SELLER + 1, all).await;
            }
        }
        let of =
            |bytes: &[u8]| BlobRef { digest: ayni_wire::digest(bytes), size: bytes.len() as u64 };
        let stderr = order.args.join(" ").into_bytes();
        let outcome = Outcome {
            end: End::Exit(0),
            fuel: Fuel(7),
            stdout: of(&order.program),
            stderr: of(&stderr),
            files: Vec::new(),
        };
        Ok(Finished {
            outcome: OutcomeJson::from(&outcome),
            stdout: order.program,
            stderr,
            files: Vec::new(),
            provider: None,
            verification: None,
            receipt: Some(b"a receipt".to_vec()),
        })
    }
}

/// A ledger, as payers and tests see it.
#[derive(Clone)]
pub(crate) struct Money {
    pub(crate) client: Client,
    pub(crate) at: Addresses,
    pub(crate) domain: TokenDomain,
}

impl Money {
    pub(crate) async fn has(&self, who: u8) -> u128 {
        token_balance(&self.client, self.at.token, account(who)).await.unwrap().0
    }

    /// Moves money past the shop.
    pub(crate) async fn pays(&self, from: u8, to: u8, amount: u128) {
        let authorization = Authorization {
            from: account(from),
            to: account(to),
            value: Amount(amount),
            valid_after_s: 0,
            valid_before_s: u64::MAX,
            nonce: nonce(),
        };
        self.brings(&authorization, from).await;
    }

    /// Somebody brings a payment to the token.
    pub(crate) async fn brings(&self, of: &Authorization, by: u8) {
        let signature = signer(by).sign(&of.hash(&self.domain));
        let data = transfer_with_authorization(of, &signature);
        let intent = Intent::call("b", self.at.token, data);
        let done = sender(&self.client, 9).run(intent, std::time::Duration::from_secs(60)).await;
        assert!(done.unwrap().success);
    }
}

pub(crate) fn nonce() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// A shop that is open, and everything behind it.
pub(crate) struct Place {
    pub(crate) money: Money,
    pub(crate) node: Node,
    pub(crate) url: String,
    pub(crate) book: PathBuf,
    folder: TempDir,
    server: tokio::task::JoinHandle<()>,
}

fn terms(at: &Addresses, url: &str, runs_max: usize) -> Terms {
    let offer = Offer {
        description: "a small run".to_owned(),
        price: Amount(PRICE),
        limits: Limits { output_bytes: 1 << 20, ..Limits::default() },
        timeout_s: TIMEOUT_S,
        program_bytes_max: 1_000,
    };
    let offers = BTreeMap::from([("small".to_owned(), offer)]);
    let public_url = url.to_owned();
    Terms { pay_to: account(SELLER), token: at.token, public_url, offers, runs_max }
}

impl Place {
    /// The buyer has so much.
    pub(crate) async fn open(has: u128) -> Self {
        // Another test may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let genesis = Genesis::new(LOCAL_CHAIN, now_s() - 10);
        let ledger = folder.path().join("ledger");
        let ledger = LocalLedger::open(&ledger, &genesis, LedgerOptions::default()).unwrap();
        let client = Client::local(&ledger).unwrap();
        let mut faucet = sender(&client, FAUCET);
        let deployment = DeployTerms::local(account(FAUCET));
        let at = deploy(&mut faucet, "test", &deployment).await.unwrap();
        let grant = mint(account(BUYER), Amount(has));
        let soon = std::time::Duration::from_secs(60);
        faucet.run(Intent::call("grant", at.token, grant), soon).await.unwrap();
        let domain = TokenDomain::of(&client, at.token).await.unwrap();
        let money = Money { client, at, domain };
        let bench = Bench {
            act: Mutex::new(Act::Echo),
            runs: AtomicUsize::new(0),
            begun: Semaphore::new(0),
            go_on: Semaphore::new(0),
            dropped: Notify::new(),
            money: money.clone(),
        };
        let node = Node(Arc::new(bench));
        let book = folder.path().join("sales");
        let (url, server) = start(&money, &node, &book).await;
        Self { money, node, url, book, folder, server }
    }

    /// The same shop after its process ended.
    pub(crate) async fn reopened(mut self, between: impl FnOnce(&std::path::Path)) -> Self {
        self.server.abort();
        drop((&mut self.server).await);
        between(&self.book);
        (self.url, self.server) = start(&self.money, &self.node, &self.book).await;
        assert!(self.folder.path().exists());
        self
    }

    pub(crate) fn runs(&self) -> usize {
        self.node.0.runs.load(Ordering::SeqCst)
    }

    pub(crate) async fn act(&self, act: Act) {
        *self.node.0.act.lock().await = act;
    }

    /// A payment that is good.
    pub(crate) fn good(&self) -> Pay {
        let now_s = now_s();
        Pay {
            version: 2,
            scheme: "exact".to_owned(),
            network: format!("eip155:{LOCAL_CHAIN}"),
            asset: self.money.at.token.to_string(),
            amount: PRICE.to_string(),
            pay_to: account(SELLER).to_string(),
            authorization: Authorization {
                from: account(BUYER),
                to: account(SELLER),
                value: Amount(PRICE),
                valid_after_s: 0,
                valid_before_s: now_s + TIMEOUT_S + 120,
                nonce: nonce(),
            },
            by: BUYER,
            domain: self.money.domain.clone(),
        }
    }

    pub(crate) async fn buy(&self, pay: &Pay) -> Answer {
        self.post("small?arg=one&arg=two", Some(pay.header()), b"program".to_vec()).await
    }

    pub(crate) async fn post(&self, path: &str, header: Option<String>, body: Vec<u8>) -> Answer {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = http.post(format!("{}/run/{path}", self.url)).body(body);
        if let Some(header) = header {
            request = request.header("PAYMENT-SIGNATURE", header);
        }
        let response = request.send().await.unwrap();
        let decoded = |name: &str| {
            let value = response.headers().get(name)?;
            let bytes = data_encoding::BASE64.decode(value.as_bytes()).unwrap();
            serde_json::from_slice(&bytes).ok()
        };
        let (required, settlement) = (decoded("payment-required"), decoded("payment-response"));
        let status = response.status().as_u16();
        Answer { status, required, settlement, body: response.json().await.unwrap() }
    }
}

async fn start(
    money: &Money,
    node: &Node,
    book: &std::path::Path,
) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settler = sender(&money.client, SETTLER);
    let cashier = Cashier::open(settler, money.at.token).await.unwrap();
    let book = Book::open(book).unwrap();
    let terms = terms(&money.at, &url, 2);
    let shop = Shop::new(terms, cashier, book, node.clone(), system_clock()).unwrap();
    shop.catch_up().await;
    let server = tokio::spawn(async move {
        ayni_x402::serve(shop, listener, std::future::pending()).await.unwrap();
    });
    (url, server)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) required: Option<Value>,
    pub(crate) settlement: Option<Value>,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        let code = self.body["code"].as_str().or(self.body["error"]["code"].as_str());
        code.unwrap_or("")
    }
}

/// A payment, to be spoilt in one place.
#[derive(Clone)]
pub(crate) struct Pay {
    pub(crate) version: u32,
    pub(crate) scheme: String,
    pub(crate) network: String,
    pub(crate) asset: String,
    pub(crate) amount: String,
    pub(crate) pay_to: String,
    pub(crate) authorization: Authorization,
    pub(crate) by: u8,
    pub(crate) domain: TokenDomain,
}

impl Pay {
    pub(crate) fn json(&self) -> Value {
        let hex = |bytes: &[u8]| format!("0x{}", data_encoding::HEXLOWER.encode(bytes));
        let signed = &self.authorization;
        let signature = signer(self.by).sign(&signed.hash(&self.domain));
        json!({
            "x402Version": self.version,
            "accepted": {
                "scheme": self.scheme,
                "network": self.network,
                "asset": self.asset,
                "amount": self.amount,
                "payTo": self.pay_to,
                "maxTimeoutSeconds": 180,
                "extra": {},
            },
            "payload": {
                "signature": hex(&signature.0),
                "authorization": {
                    "from": signed.from.to_string(),
                    "to": signed.to.to_string(),
                    "value": signed.value.to_string(),
                    "validAfter": signed.valid_after_s.to_string(),
                    "validBefore": signed.valid_before_s.to_string(),
                    "nonce": hex(&signed.nonce),
                },
            },
        })
    }

    pub(crate) fn header(&self) -> String {
        data_encoding::BASE64.encode(self.json().to_string().as_bytes())
    }

    pub(crate) fn id(&self) -> String {
        let nonce = data_encoding::HEXLOWER.encode(&self.authorization.nonce);
        format!("{}/0x{nonce}", self.authorization.from)
    }
}
