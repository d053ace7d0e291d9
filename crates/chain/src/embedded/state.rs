//! The ledger's accounts: what they hold now, and how a transaction's changes are applied.
//!
//! Deliberately not here: history (`block`), execution (`execute`), disk (`snapshot`).

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Keccak256, U256};
use revm::bytecode::Bytecode;
use revm::state::{AccountInfo, EvmState};

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) nonce: u64,
    pub(super) balance: U256,
    pub(super) code_hash: B256,
    pub(super) storage: HashMap<U256, U256>,
}

impl Default for Holding {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY, storage: HashMap::new() }
    }
}

/// What one transaction changed, in the one order that a digest can be taken of.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(BTreeMap<Address, Change>);

#[derive(Debug, Clone)]
enum Change {
    Removed,
    Set { nonce: u64, balance: U256, code: CodeChange, fresh: bool, slots: BTreeMap<U256, U256> },
}

#[derive(Debug, Clone)]
struct CodeChange {
    hash: B256,
    bytes: Option<Bytecode>,
}

impl Changes {
    /// From what the EVM says it touched.
    pub(super) fn of(touched: &EvmState) -> Self {
        let mut changes = BTreeMap::new();
        for (address, account) in touched {
            if !account.is_touched() {
                continue;
            }
            let change = if account.is_selfdestructed() || account.is_empty() {
                Change::Removed
            } else {
                let slots = account.changed_storage_slots();
                let info = &account.info;
                Change::Set {
                    nonce: info.nonce,
                    balance: info.balance,
                    code: CodeChange { hash: info.code_hash, bytes: info.code.clone() },
                    fresh: account.is_created(),
                    slots: slots.map(|(key, slot)| (*key, slot.present_value)).collect(),
                }
            };
            changes.insert(*address, change);
        }
        Self(changes)
    }

    /// A digest over a digest of all that was before, and these changes.
    pub(super) fn digest(&self, before: B256) -> B256 {
        let mut hash = Keccak256::new();
        hash.update(before);
        for (address, change) in &self.0 {
            hash.update(address);
            match change {
                Change::Removed => hash.update([0]),
                Change::Set { nonce, balance, code, fresh, slots } => {
                    hash.update([1, u8::from(*fresh)]);
                    hash.update(nonce.to_be_bytes());
                    hash.update(balance.to_be_bytes::<32>());
                    hash.update(code.hash);
                    hash.update((slots.len() as u64).to_be_bytes());
                    for (key, value) in slots {
                        hash.update(key.to_be_bytes::<32>());
                        hash.update(value.to_be_bytes::<32>());
                    }
                }
            }
        }
        hash.finalize()
    }
}

/// All accounts.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) holdings: HashMap<Address, Holding>,
    pub(super) codes: HashMap<B256, Bytecode>,
}

impl State {
    pub(super) fn fund(&mut self, account: Address, wei: U256) {
        self.holdings.entry(account).or_default().balance = wei;
    }

    pub(super) fn apply(&mut self, changes: Changes) {
        for (address, change) in changes.0 {
            match change {
                Change::Removed => {
                    self.holdings.remove(&address);
                }
                Change::Set { nonce, balance, code, fresh, slots } => {
                    if let Some(bytes) = code.bytes
                        && code.hash != KECCAK256_EMPTY
                    {
                        self.codes.entry(code.hash).or_insert(bytes);
                    }
                    let holding = self.holdings.entry(address).or_default();
                    holding.nonce = nonce;
                    holding.balance = balance;
                    holding.code_hash = code.hash;
                    if fresh {
                        holding.storage.clear();
                    }
                    for (key, value) in slots {
                        if value.is_zero() {
                            holding.storage.remove(&key);
                        } else {
                            holding.storage.insert(key, value);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn info(&self, address: &Address) -> Option<AccountInfo> {
        self.holdings.get(address).map(|holding| AccountInfo {
            balance: holding.balance,
            nonce: holding.nonce,
            code_hash: holding.code_hash,
            code: self.codes.get(&holding.code_hash).cloned(),
            ..AccountInfo::default()
        })
    }

    pub(super) fn code(&self, address: &Address) -> Bytes {
        let hash = self.holdings.get(address).map(|holding| holding.code_hash);
        let code = hash.and_then(|hash| self.codes.get(&hash));
        code.map(Bytecode::original_bytes).unwrap_or_default()
    }

    pub(super) fn slot(&self, address: &Address, key: &U256) -> U256 {
        let holding = self.holdings.get(address);
        holding.and_then(|holding| holding.storage.get(key)).copied().unwrap_or_default()
    }
}
