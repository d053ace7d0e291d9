//! What a local ledger begins with: its number, its rules and who holds gas money.
//!
//! Written once as `genesis.json` when the ledger is made, never changed. Deliberately not here:
//! tokens and contracts (deployed by transactions like on any other chain).

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};

use super::state::State;
use crate::limits::BLOCK_GAS_MAX;
use crate::record_log::sync_folder_of;

/// The number of a local ledger's chain unless another is configured: the word `ayni` in ASCII.
pub const LOCAL_CHAIN: u64 = 0x6179_6e69;

/// The rules that transactions are executed by; part of the genesis, since another set of rules
/// gives the same log another meaning.
const RULES: &str = "osaka";

/// How a local ledger begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// EIP-155 number.
    pub chain: u64,
    /// Seconds since 1970.
    pub timestamp_s: u64,
    /// What a unit of gas costs, wei, for ever. 0 by default, so that an account without gas
    /// money can still act.
    pub base_fee_wei: u64,
    /// Gas limit of a block.
    pub block_gas: u64,
    /// Rules of execution.
    rules: String,
    /// Accounts that hold gas money from the beginning, and how much, wei.
    pub funded: BTreeMap<Address, U256>,
}

/// Why a ledger's beginning can't be read or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file system refused.
    #[error("can't {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The file does not parse.
    #[error("{path} is no genesis of a local ledger: {why}\nhint: restore it from a copy")]
    Malformed {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// It is another chain's.
    #[error(
        "the local ledger in {folder} has chain id {found}, but {wanted} is configured\nhint: set \
         the chain id to {found}, or name another folder to begin a new ledger"
    )]
    OtherChain {
        /// Which folder.
        folder: String,
        /// What it holds.
        found: u64,
        /// What was asked for.
        wanted: u64,
    },
}

impl Genesis {
    /// A ledger that begins now, with gas that costs nothing.
    #[must_use]
    pub fn new(chain: u64, timestamp_s: u64) -> Self {
        Self {
            chain,
            timestamp_s,
            base_fee_wei: 0,
            block_gas: BLOCK_GAS_MAX,
            rules: RULES.into(),
            funded: BTreeMap::new(),
        }
    }

    /// The same with gas money for an account: a million ether, which is worth nothing here.
    #[must_use]
    pub fn fund(mut self, account: ayni_types::Account) -> Self {
        let wei = U256::from(10).pow(U256::from(24));
        self.funded.insert(Address::from(account.0), wei);
        self
    }

    /// Reads the genesis in `folder`, or writes this one if there is none.
    pub(super) fn read_or_write(&self, folder: &Path) -> Result<Self, GenesisError> {
        let path = folder.join("genesis.json");
        let shown = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.write(&path).map_err(|source| {
                    let path = shown.clone();
                    GenesisError::Io { what: "write", path, source }
                })?;
                return Ok(self.clone());
            }
            Err(source) => return Err(GenesisError::Io { what: "read", path: shown, source }),
        };
        let malformed = |why: String| GenesisError::Malformed { path: shown.clone(), why };
        let found: Self = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
        if found.rules != RULES {
            return Err(malformed(format!(
                "this version knows the rules {RULES}, not {}",
                found.rules
            )));
        }
        if found.chain != self.chain {
            let folder = folder.display().to_string();
            return Err(GenesisError::OtherChain {
                folder,
                found: found.chain,
                wanted: self.chain,
            });
        }
        Ok(found)
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let part = path.with_extension("json.part");
        let mut file = fs::File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync_folder_of(path)
    }

    /// The state before the first transaction.
    pub(super) fn state(&self) -> State {
        let mut state = State::default();
        for (account, wei) in &self.funded {
            state.fund(*account, *wei);
        }
        state
    }

    /// Block 0. Its state digest covers everything above.
    pub(super) fn header(&self) -> Header {
        let text = serde_json::to_vec(self).expect("a genesis has no keys that JSON refuses");
        let digest = keccak256(text);
        Header {
            parent_hash: B256::ZERO,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            state_root: digest,
            timestamp: self.timestamp_s,
            gas_limit: self.block_gas,
            base_fee_per_gas: Some(self.base_fee_wei),
            ..Header::default()
        }
    }
}
