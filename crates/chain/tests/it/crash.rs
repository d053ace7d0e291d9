//! Kills, torn files and other people's files: what was acknowledged is there, nothing else is.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use ayni_chain::Client;
use ayni_chain::embedded::{Genesis, GenesisError, LedgerOptions, LocalLedger, OpenError, TxError};
use futures_util::future::join_all;

use crate::support::{BEGIN_S, CHAIN, account, genesis, wallet};

const FOLDER: &str = "AYNI_TEST_LEDGER";
const WRITERS: u8 = 4;

/// A transfer of nothing from account `n` to itself: the smallest transaction.
pub(crate) fn raw(n: u8, chain: u64, nonce: u64) -> Bytes {
    let tx = TxEip1559 {
        chain_id: chain,
        nonce,
        gas_limit: 21_000,
        to: TxKind::Call(account(n).0.into()),
        value: U256::ZERO,
        ..TxEip1559::default()
    };
    let signed = signature(n, &tx.signature_hash());
    TxEnvelope::from(tx.into_signed(signed)).encoded_2718().into()
}

fn signature(n: u8, hash: &B256) -> Signature {
    let signature = wallet(n).sign(&hash.0);
    Signature::from_bytes_and_parity(&signature.0[..64], signature.0[64] == 28)
}

fn options() -> LedgerOptions {
    LedgerOptions { snapshot_blocks: 40, ..LedgerOptions::default() }
}

fn open(folder: &Path) -> Result<LocalLedger, OpenError> {
    LocalLedger::open(folder, &genesis(), options())
}

/// Several accounts send at once, so that groups are written; every answer is said aloud.
async fn write(folder: &Path, each: u64) {
    let ledger = open(folder).unwrap();
    let client = Client::local(&ledger).unwrap();
    join_all((1..=WRITERS).map(async |n| {
        let next = client.nonce(account(n), None).await.unwrap();
        for nonce in next..next.saturating_add(each) {
            let tx = ledger.submit(raw(n, CHAIN, nonce)).await.unwrap();
            println!("acknowledged {tx}");
        }
    }))
    .await;
}

/// By itself a test that what was written is read again; with a folder in the environment the
/// process that the next test kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_read_again() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write(&PathBuf::from(folder), u64::MAX).await;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 25).await;
    let head = open(folder.path()).unwrap().head().unwrap();
    assert_eq!(head.block, 100);
    assert_eq!(open(folder.path()).unwrap().head().unwrap(), head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_transaction_is_lost_to_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..6_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::what_is_written_is_read_again", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut hashes = Vec::new();
        let take = |hashes: &mut Vec<String>, line: String| {
            hashes.extend(line.split_once("acknowledged ").map(|(_, hash)| hash.to_owned()));
        };
        // Far enough that snapshots are made; killed anywhere in the group after.
        while hashes.len() < 60 + 7 * usize::try_from(round).unwrap() {
            take(&mut hashes, lines.next().expect("the writer ended").unwrap());
        }
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            take(&mut hashes, line);
        }
        acknowledged += hashes.len() as u64;

        let ledger = open(folder.path()).unwrap();
        let client = Client::local(&ledger).unwrap();
        for hash in hashes {
            let receipt = client.receipt(hash.parse().unwrap()).await.unwrap();
            assert!(receipt.is_some_and(|receipt| receipt.status()), "{hash} is lost");
        }
        let mut nonces = 0;
        for n in 1..=WRITERS {
            nonces += client.nonce(account(n), None).await.unwrap();
        }
        let head = ledger.head().unwrap();
        assert_eq!(head.block, nonces, "one block per transaction");
        assert!(nonces >= acknowledged);
        drop((client, ledger));
        // What the snapshot says is what executing says.
        let copy = tempfile::tempdir().unwrap();
        for name in ["genesis.json", "transactions.log"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        assert_eq!(open(copy.path()).unwrap().head().unwrap(), head);
    }
}

#[tokio::test]
async fn a_log_cut_anywhere_in_its_last_transaction_loses_that_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path()).unwrap();
    let mut lengths = Vec::new();
    let path = folder.path().join("transactions.log");
    for nonce in 0..3 {
        ledger.submit(raw(1, CHAIN, nonce)).await.unwrap();
        lengths.push(usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap());
    }
    drop(ledger);
    // As if it had been killed before it closed.
    for name in ["state.snapshot", "history.log"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    let whole = std::fs::read(&path).unwrap();
    for cut in lengths[1]..lengths[2] {
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join("genesis.json"), copy.path().join("genesis.json"))
            .unwrap();
        std::fs::write(copy.path().join("transactions.log"), &whole[..cut]).unwrap();
        let ledger = open(copy.path()).unwrap();
        assert_eq!(ledger.head().unwrap().block, 2, "cut at {cut}");
        ledger.submit(raw(1, CHAIN, 2)).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_lost_acknowledged_blocks_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path()).unwrap();
    for nonce in 0..5 {
        ledger.submit(raw(1, CHAIN, nonce)).await.unwrap();
    }
    drop(ledger);
    let path = folder.path().join("transactions.log");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 200]).unwrap();
    match open(folder.path()) {
        Err(OpenError::Lost { log, known, .. }) => assert!((log, known) == (3, 5), "{log} {known}"),
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn a_damaged_snapshot_or_history_is_made_again_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path()).unwrap();
    for nonce in 0..5 {
        ledger.submit(raw(1, CHAIN, nonce)).await.unwrap();
    }
    let head = ledger.head().unwrap();
    drop(ledger);
    for name in ["state.snapshot", "history.log"] {
        let path = folder.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 8, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(open(folder.path()).unwrap().head().unwrap(), head, "{name} at {at}");
        }
    }
}

#[tokio::test]
async fn one_process_opens_a_ledger_and_only_with_its_own_chain_id() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(OpenError::InUse(_))));
    drop(ledger);
    let other = Genesis::new(5, BEGIN_S);
    match LocalLedger::open(folder.path(), &other, options()) {
        Err(OpenError::Genesis(GenesisError::OtherChain { found, wanted, .. })) => {
            assert_eq!((found, wanted), (CHAIN, 5));
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn what_is_no_transaction_of_this_chain_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(folder.path()).unwrap();
    ledger.submit(raw(1, CHAIN, 0)).await.unwrap();
    let before = ledger.head().unwrap();
    let good = raw(1, CHAIN, 1);
    let mut long = good.to_vec();
    long.push(0);
    let mut flipped = good.to_vec();
    // Within `s`: another account's signature, or nobody's.
    let last = flipped.len() - 20;
    flipped[last] ^= 1;
    let tx = TxLegacy { gas_limit: 21_000, ..TxLegacy::default() };
    let signed = signature(1, &tx.signature_hash());
    let for_any_chain = TxEnvelope::from(tx.into_signed(signed)).encoded_2718();
    for (bytes, what) in [
        (Bytes::new(), "decode"),
        (Bytes::from_static(b"\x02"), "decode"),
        (Bytes::from(vec![0xff; 200_000]), "131072"),
        (Bytes::from(long), "decode"),
        (raw(1, 1, 1), "chain id 1"),
        (raw(1, CHAIN, 0), "already known"),
        (raw(1, CHAIN, 9), "nonce too high"),
        (Bytes::from(for_any_chain), "names no chain id"),
    ] {
        let error = ledger.submit(bytes).await.unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    }
    // A changed signature is somebody else's transaction, which has no money or nonce here.
    let stranger = ledger.submit(Bytes::from(flipped)).await;
    assert!(matches!(stranger, Err(TxError::BadSignature(_) | TxError::NonceTooHigh { .. })));
    assert_eq!(ledger.head().unwrap(), before, "nothing changed");
    ledger.submit(good).await.unwrap();
}
