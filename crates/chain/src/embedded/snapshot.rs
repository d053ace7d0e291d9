//! All accounts after some block, as one file, so that a start need not execute everything again.
//!
//! Form: 16 bytes of magic, BLAKE3 of the rest, then canonical CBOR: accounts, slots and codes in
//! order. Written beside and renamed, so that a kill leaves the old one or the new one. A snapshot
//! that is damaged, or of another log, is not used; nothing is lost with it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use alloy_primitives::{B256, Bytes, U256};
use ayni_wire::{decode, encode};
use minicbor::{Decode, Encode};
use revm::bytecode::Bytecode;

use super::state::{Holding, State};
use crate::record_log::sync_folder_of;

const MAGIC: &[u8; 16] = b"ayni ledger st 1";
const NAME: &str = "state.snapshot";

/// A state, and the block that it is after.
pub(super) struct Snapshot {
    pub(super) block: u64,
    pub(super) hash: B256,
    pub(super) state: State,
}

#[derive(Encode, Decode)]
struct Form {
    #[n(0)]
    block: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    hash: [u8; 32],
    #[n(2)]
    accounts: Vec<Account>,
    #[n(3)]
    codes: Vec<Code>,
}

#[derive(Encode, Decode)]
struct Account {
    #[cbor(n(0), with = "minicbor::bytes")]
    address: [u8; 20],
    #[n(1)]
    nonce: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    balance: [u8; 32],
    #[cbor(n(3), with = "minicbor::bytes")]
    code_hash: [u8; 32],
    /// Keys and values, in order of keys.
    #[cbor(n(4), with = "minicbor::bytes")]
    slots: Vec<u8>,
}

#[derive(Encode, Decode)]
struct Code {
    #[cbor(n(0), with = "minicbor::bytes")]
    hash: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

fn accounts(state: &State) -> Vec<Account> {
    let mut accounts: Vec<_> = state
        .holdings
        .iter()
        .map(|(address, holding)| {
            let mut slots: Vec<_> = holding.storage.iter().collect();
            slots.sort();
            let slots = slots.iter().flat_map(|(key, value)| {
                [key.to_be_bytes::<32>(), value.to_be_bytes::<32>()].concat()
            });
            Account {
                address: (*address).into(),
                nonce: holding.nonce,
                balance: holding.balance.to_be_bytes(),
                code_hash: holding.code_hash.into(),
                slots: slots.collect(),
            }
        })
        .collect();
    accounts.sort_by_key(|account| account.address);
    accounts
}

fn codes(state: &State) -> Vec<Code> {
    let code = |(hash, code): (&B256, &Bytecode)| Code {
        hash: (*hash).into(),
        bytes: code.original_bytes().to_vec(),
    };
    let mut codes: Vec<_> = state.codes.iter().map(code).collect();
    codes.sort_by_key(|code| code.hash);
    codes
}

/// A digest of every account, slot and code.
pub(super) fn digest(state: &State) -> B256 {
    let (block, hash) = (0, [0; 32]);
    let form = Form { block, hash, accounts: accounts(state), codes: codes(state) };
    B256::from(*blake3::hash(&encode(&form)).as_bytes())
}

/// Writes a snapshot in place of the one before.
pub(super) fn write(folder: &Path, block: u64, hash: B256, state: &State) -> io::Result<()> {
    let form = Form { block, hash: hash.into(), accounts: accounts(state), codes: codes(state) };
    let body = encode(&form);
    let path = folder.join(NAME);
    let part = folder.join("state.snapshot.part");
    let mut file = File::create(&part)?;
    file.write_all(MAGIC)?;
    file.write_all(blake3::hash(&body).as_bytes())?;
    file.write_all(&body)?;
    file.sync_all()?;
    fs::rename(&part, &path)?;
    sync_folder_of(&path)
}

/// Takes a snapshot away that turned out not to fit.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(NAME)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The snapshot in a folder, if there is a whole one.
pub(super) fn read(folder: &Path) -> Option<Snapshot> {
    let bytes = fs::read(folder.join(NAME)).ok()?;
    let parsed = parse(&bytes);
    if parsed.is_none() {
        tracing::warn!(folder = %folder.display(), "the ledger's snapshot is damaged; not used");
    }
    parsed
}

fn parse(bytes: &[u8]) -> Option<Snapshot> {
    let (sum, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
    if blake3::hash(body).as_bytes() != sum {
        return None;
    }
    let form: Form = decode(body).ok()?;
    let mut state = State::default();
    for account in form.accounts {
        let (pairs, rest) = account.slots.as_chunks::<64>();
        if !rest.is_empty() {
            return None;
        }
        let word = |bytes: &[u8]| U256::from_be_slice(bytes);
        let storage: HashMap<_, _> =
            pairs.iter().map(|pair| (word(&pair[..32]), word(&pair[32..]))).collect();
        let holding = Holding {
            nonce: account.nonce,
            balance: U256::from_be_bytes(account.balance),
            code_hash: account.code_hash.into(),
            storage,
        };
        state.holdings.insert(account.address.into(), holding);
    }
    for code in form.codes {
        let bytecode = Bytecode::new_raw_checked(Bytes::from(code.bytes)).ok()?;
        state.codes.insert(code.hash.into(), bytecode);
    }
    Some(Snapshot { block: form.block, hash: form.hash.into(), state })
}
