//! Ledgers, nodes and accounts for tests.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy_primitives::U256;
use alloy_provider::Provider as _;
use alloy_sol_types::SolCall as _;
use ayni_chain::Client;
use ayni_chain::contracts::{Addresses, AyniToken, DeployTerms, deploy};
use ayni_chain::embedded::{Genesis, LOCAL_CHAIN, LedgerOptions, LocalLedger};
use ayni_chain::keystore::Wallet;
use ayni_chain::sender::{Intent, MemoryOutbox, SendTerms, Sender};
use ayni_types::{Account, Amount};
use ayni_wire::EvmSigner;
use tempfile::TempDir;

pub(crate) const CHAIN: u64 = LOCAL_CHAIN;
/// 2026-01-01.
pub(crate) const BEGIN_S: u64 = 1_767_225_600;
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) fn signer(n: u8) -> EvmSigner {
    EvmSigner::from_secret(&[n; 32]).unwrap()
}

pub(crate) fn wallet(n: u8) -> Wallet {
    Wallet::from_signer(signer(n))
}

pub(crate) fn account(n: u8) -> Account {
    wallet(n).account()
}

/// An HTTP client; it wants TLS to be there though it is not spoken.
pub(crate) fn http() -> reqwest::Client {
    // Another test may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::new()
}

/// A clock that tests move.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(BEGIN_S)))
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn options(&self) -> LedgerOptions {
        let me = self.0.clone();
        let clock = Arc::new(move || me.load(Ordering::SeqCst));
        LedgerOptions { clock, ..LedgerOptions::default() }
    }
}

pub(crate) fn genesis() -> Genesis {
    Genesis::new(CHAIN, BEGIN_S)
}

/// A ledger in a folder that goes with it.
pub(crate) fn ledger(clock: &TestClock) -> (TempDir, LocalLedger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = LocalLedger::open(folder.path(), &genesis(), clock.options()).unwrap();
    (folder, ledger)
}

pub(crate) fn sender(client: &Client, n: u8) -> Sender {
    let terms = SendTerms { poll: Duration::from_millis(5), ..SendTerms::LOCAL };
    Sender::new(client.clone(), wallet(n), terms, Box::new(MemoryOutbox::default())).unwrap()
}

/// Deploys everything from account 1, which owns the faucet.
pub(crate) async fn deployed(client: &Client) -> Addresses {
    let mut sender = sender(client, 1);
    deploy(&mut sender, "test", &DeployTerms::local(account(1))).await.unwrap()
}

pub(crate) fn mint(id: &str, token: Account, to: Account, amount: u128) -> Intent {
    let call = AyniToken::mintCall { to: to.0.into(), amount: U256::from(amount) };
    Intent::call(id, token, call.abi_encode())
}

pub(crate) fn transfer(id: &str, token: Account, to: Account, amount: u128) -> Intent {
    let call = AyniToken::transferCall { to: to.0.into(), value: U256::from(amount) };
    Intent::call(id, token, call.abi_encode())
}

pub(crate) async fn balance(client: &Client, token: Account, of: Account) -> Amount {
    let call = AyniToken::balanceOfCall { account: of.0.into() };
    Amount(u128::try_from(client.view(token, &call).await.unwrap()).unwrap())
}

/// A real node in a process of its own.
pub(crate) struct Anvil {
    child: Child,
    pub(crate) url: String,
}

fn anvil_path() -> PathBuf {
    if let Some(path) = std::env::var_os("AYNI_ANVIL") {
        return path.into();
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts");
    let path = root.join("node_modules/.bin/anvil");
    assert!(
        path.exists(),
        "these tests need anvil, and {} does not exist\nhint: run `npm ci` in contracts/, or name \
         another one by the environment variable AYNI_ANVIL",
        path.display()
    );
    path
}

impl Anvil {
    /// Starts a node of the same chain id and rules as the local ledger, and waits until it
    /// answers.
    pub(crate) async fn start(more: &[&str]) -> (Self, Client) {
        // Taken and let go: another process may take it between; then the node ends at once.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(anvil_path())
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--chain-id", &CHAIN.to_string(), "--hardfork", "osaka"])
            .args(["--timestamp", &BEGIN_S.to_string()])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        let begin = Instant::now();
        let client = loop {
            match Client::connect(&url, CHAIN).await {
                Ok(client) => break client,
                Err(why) => {
                    let ended = child.try_wait().unwrap();
                    assert!(ended.is_none(), "anvil ended: {ended:?}");
                    assert!(begin.elapsed() < SOON, "anvil does not answer: {why}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let anvil = Self { child, url };
        for n in 1..=9 {
            let wei = "0xd3c21bcecceda1000000";
            anvil.ask(&client, "anvil_setBalance", (account(n).to_string(), wei)).await;
        }
        (anvil, client)
    }

    /// One of the node's own methods.
    pub(crate) async fn ask<P>(
        &self,
        client: &Client,
        method: &'static str,
        params: P,
    ) -> serde_json::Value
    where
        P: serde::Serialize + std::fmt::Debug + Clone + Send + Sync + Unpin + 'static,
    {
        client.provider().raw_request(method.into(), params).await.unwrap()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
