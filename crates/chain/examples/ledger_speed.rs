//! How fast the local ledger is: transfers of a token, each answered when it is on disk, and how
//! long a start takes with and without a snapshot.
//!
//! `cargo run --release -p ayni-chain --example ledger_speed -- [TRANSACTIONS]`

use std::path::Path;
use std::time::{Duration, Instant};

use alloy_primitives::U256;
use alloy_sol_types::SolCall as _;
use ayni_chain::Client;
use ayni_chain::contracts::{AyniToken, DeployTerms, deploy};
use ayni_chain::embedded::{Genesis, LOCAL_CHAIN, LedgerOptions, LocalLedger};
use ayni_chain::keystore::Wallet;
use ayni_chain::sender::{Intent, MemoryOutbox, SendTerms, Sender};
use ayni_types::Account;
use ayni_wire::EvmSigner;
use futures_util::future::join_all;

type Error = Box<dyn std::error::Error>;

/// Accounts that send at once in the second measurement.
const SENDERS: u8 = 32;

fn open(folder: &Path) -> Result<LocalLedger, Error> {
    let options = LedgerOptions { snapshot_blocks: u64::MAX, ..LedgerOptions::default() };
    Ok(LocalLedger::open(folder, &Genesis::new(LOCAL_CHAIN, 1_767_225_600), options)?)
}

fn sender(client: &Client, n: u8) -> Result<Sender, Error> {
    let signer = EvmSigner::from_secret(&[n; 32]).ok_or("no key")?;
    let terms = SendTerms { poll: Duration::from_millis(1), ..SendTerms::LOCAL };
    let outbox = Box::new(MemoryOutbox::default());
    Ok(Sender::new(client.clone(), Wallet::from_signer(signer), terms, outbox)?)
}

fn intent(token: Account, to: Account, id: String, minted: bool) -> Intent {
    let (to, amount) = (to.0.into(), U256::from(1_000_000));
    let data = if minted {
        AyniToken::mintCall { to, amount }.abi_encode()
    } else {
        AyniToken::transferCall { to, value: U256::ONE }.abi_encode()
    };
    Intent::call(id, token, data)
}

async fn transfers(client: &Client, token: Account, n: u8, count: u32) -> Result<(), Error> {
    let mut sender = sender(client, n)?;
    for i in 0..count {
        let pay = intent(token, Account([9; 20]), format!("{i}"), false);
        sender.run(pay, Duration::from_secs(60)).await?;
    }
    Ok(())
}

fn said(what: &str, count: u32, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.2} s, {:.0} a second", f64::from(count) / seconds);
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let count = std::env::args().nth(1).map_or(Ok(2_000), |text| text.parse::<u32>())?;
    let folder = tempfile::tempdir()?;
    let ledger = open(folder.path())?;
    let client = Client::local(&ledger)?;
    let mut first = sender(&client, 1)?;
    let terms = DeployTerms::local(first.account());
    let token = deploy(&mut first, "speed", &terms).await?.token;
    for n in 1..=SENDERS {
        let to = sender(&client, n)?.account();
        first.run(intent(token, to, format!("mint {n}"), true), Duration::from_secs(60)).await?;
    }

    let begin = Instant::now();
    transfers(&client, token, 2, count / 8).await?;
    said(
        "transfers, one after another, estimated, signed, on disk, receipt read",
        count / 8,
        begin,
    );

    let begin = Instant::now();
    let each = count / u32::from(SENDERS);
    for done in join_all((1..=SENDERS).map(|n| transfers(&client, token, n, each))).await {
        done?;
    }
    said("transfers of 32 accounts at once, the same", each * u32::from(SENDERS), begin);

    let blocks = u32::try_from(ledger.head()?.block)?;
    drop((client, first, ledger));
    let log = std::fs::metadata(folder.path().join("transactions.log"))?.len();
    println!("log: {} bytes a transaction", log / u64::from(blocks));
    let begin = Instant::now();
    drop(open(folder.path())?);
    said("start from the snapshot, blocks", blocks, begin);
    std::fs::remove_file(folder.path().join("state.snapshot"))?;
    let begin = Instant::now();
    let ledger = open(folder.path())?;
    said("start by executing every block again, blocks", blocks, begin);
    drop(ledger);
    Ok(())
}
