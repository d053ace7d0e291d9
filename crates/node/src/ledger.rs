//! The local ledger as a process of its own: an EVM chain on loopback with all contracts on it, and
//! test money for those who are named. What it writes is what nodes are configured with.
//!
//! Its money is worth nothing outside, and whoever runs it could change everything: one process
//! writes it. Deliberately not here: the chain itself (`ayni-chain`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ayni_chain::Client;
use ayni_chain::contracts::{self, Addresses, DeployError, DeployTerms};
use ayni_chain::embedded::{
    Genesis, LOCAL_CHAIN, LedgerOptions, LocalLedger, OpenError, RpcServer, ServeError,
};
use ayni_chain::keystore::{Keystore, KeystoreError, Password, PasswordError, ScryptCost};
use ayni_chain::sender::{FileOutbox, Intent, OutboxError, SendError, SendTerms, Sender};
use ayni_types::{Account, Amount};

/// Test money for each account that is named, in the token's smallest unit: a million.
pub const GRANT: Amount = Amount(1_000_000_000_000);
/// Gas for each on a chain where gas costs something: a whole ether.
const GAS_WEI: u128 = 1_000_000_000_000_000_000;

/// Why there is no ledger.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum LedgerError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error(transparent)]
    Client(#[from] ayni_chain::ClientError),
    #[error("can't write `{}`: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("no random bytes from the operating system: {0}")]
    Random(#[from] getrandom::Error),
}

/// A ledger that runs.
pub struct RunningLedger {
    server: Option<RpcServer>,
    url: String,
    /// Where its contracts are.
    pub contracts: Addresses,
}

impl RunningLedger {
    /// Its address, as nodes are configured with.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.as_ref().map_or_else(|| self.url.clone(), RpcServer::url)
    }
}

/// Makes an account in a node's home, with a random password in a file that only its owner may read.
///
/// # Errors
/// When the files can't be written.
pub fn make_account(home: &Path, cost: ScryptCost) -> Result<Account, LedgerError> {
    let keystore = Keystore::open(&home.join("keys").join("accounts"))?;
    let path = home.join("keys").join("password");
    let password = match Password::from_file(&path) {
        Err(_) if !path.exists() => {
            let mut random = [0; 24];
            getrandom::fill(&mut random)?;
            ayni_chain::keystore::write_secret(
                &path,
                data_encoding::BASE64URL_NOPAD.encode(&random).as_bytes(),
            )?;
            Password::from_file(&path)?
        }
        // One that can't be read is not replaced: an account may need it.
        other => other?,
    };
    match keystore.list()?.first() {
        Some(account) => Ok(*account),
        None => Ok(keystore.create(&password, cost)?),
    }
}

/// Opens the ledger in `folder`, or begins one; puts the contracts there if they are not; gives test
/// money to `grants` that were not given any before; serves it on `listen`.
///
/// # Errors
/// When any part fails.
pub async fn start(
    folder: &Path,
    listen: SocketAddr,
    grants: &[Account],
    clock_ahead: Option<&Path>,
) -> Result<RunningLedger, LedgerError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| LedgerError::Write { path: folder.to_owned(), source })?;
    let owner = make_account(folder, ScryptCost::LIGHT)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut genesis = Genesis::new(LOCAL_CHAIN, now.map_or(0, |d| d.as_secs())).fund(owner);
    for account in grants {
        genesis = genesis.fund(*account);
    }
    let mut options = LedgerOptions::default();
    if let Some(path) = clock_ahead {
        let (clock, path) = (options.clock, path.to_owned());
        options.clock = std::sync::Arc::new(move || clock() + ahead(&path));
    }
    let ledger = LocalLedger::open(&folder.join("blocks"), &genesis, options)?;
    let client = Client::local(&ledger)?;
    let addresses = set_up(folder, owner, client, SendTerms::LOCAL, grants, false).await?;
    let server = RpcServer::start(ledger, listen, Vec::new()).await?;
    write(&folder.join("rpc"), &server.url())?;
    let url = server.url();
    Ok(RunningLedger { server: Some(server), url, contracts: addresses })
}

/// Seconds in a file; none if there is no number in it.
fn ahead(path: &Path) -> u64 {
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn write(path: &Path, text: &str) -> Result<(), LedgerError> {
    std::fs::write(path, text)
        .map_err(|source| LedgerError::Write { path: path.to_owned(), source })
}

/// Puts the contracts on the test chain of a node, unless they are there; gives test money, and gas, to
/// `grants` that were not given any before. Gas comes from an account of the node's own, if it has one
/// as anvil does; else it is waited for.
///
/// # Errors
/// When any part fails.
pub async fn use_chain(
    folder: &Path,
    url: &str,
    chain: u64,
    grants: &[Account],
) -> Result<RunningLedger, LedgerError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| LedgerError::Write { path: folder.to_owned(), source })?;
    let owner = make_account(folder, ScryptCost::LIGHT)?;
    let client = Client::connect(url, chain).await?;
    let gas = Amount(GAS_WEI * (grants.len() as u128 + 1));
    if client.balance(owner).await? < gas && !client.ask_for_gas(owner, gas).await {
        tracing::warn!("waiting until account {owner} has {gas} wei on chain {chain}");
    }
    while client.balance(owner).await? < gas {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let terms = SendTerms { confirmations: 0, ..SendTerms::REMOTE };
    let addresses = set_up(folder, owner, client, terms, grants, true).await?;
    write(&folder.join("rpc"), url)?;
    Ok(RunningLedger { server: None, url: url.to_owned(), contracts: addresses })
}

/// Contracts, test money, and what nodes are configured with.
async fn set_up(
    folder: &Path,
    owner: Account,
    client: Client,
    terms: SendTerms,
    grants: &[Account],
    with_gas: bool,
) -> Result<Addresses, LedgerError> {
    let password = Password::from_file(&folder.join("keys").join("password"))?;
    let wallet = Keystore::open(&folder.join("keys").join("accounts"))?.unlock(owner, &password)?;
    let outbox = FileOutbox::open(&folder.join("outbox"), client.chain(), owner)?;
    let mut sender = Sender::new(client, wallet, terms, Box::new(outbox))?;
    let addresses = contracts::deploy(&mut sender, "1", &DeployTerms::local(owner)).await?;
    for account in grants {
        let call = contracts::mint(*account, GRANT);
        let intent = Intent::call(format!("grant/{account}"), addresses.token, call);
        sender.run(intent, Duration::from_secs(60)).await?;
        if with_gas {
            let gas = Intent::pay(format!("gas/{account}"), *account, Amount(GAS_WEI));
            sender.run(gas, Duration::from_secs(60)).await?;
        }
    }
    write(&folder.join("contracts.toml"), &addresses.to_toml())?;
    Ok(addresses)
}
