//! The chain in memory: state, blocks and their indices; drafts of blocks before they are on disk.
//!
//! Deliberately not here: disk (`disk`), threads (`mod`), JSON (`rpc`).

use std::collections::HashMap;
use std::convert::Infallible;

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::{Recovered, SignerRecoverable as _};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, B256, U256};
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::database::CacheDB;
use revm::database_interface::DatabaseCommit as _;
use revm::state::AccountInfo;

use super::block::{Block, Effect, Setting};
use super::execute::{TxError, run, tx_env};
use super::genesis::Genesis;
use super::state::{Changes, State};
use crate::limits::{RAW_TX_BYTES_MAX, TX_GAS_MAX};

/// Everything that the ledger knows.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) id: u64,
    pub(super) state: State,
    pub(super) blocks: Vec<Block>,
    by_hash: HashMap<B256, u64>,
    by_tx: HashMap<B256, u64>,
}

/// A block that is not on disk yet, and what it changes.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) block: Block,
    changes: Changes,
}

/// Transactions executed over a chain that does not know of them yet.
pub(super) struct Drafting<'a> {
    chain: &'a Chain,
    over: CacheDB<&'a Chain>,
    head: Block,
}

/// Decodes a raw transaction and finds its sender.
///
/// # Errors
/// If it is too long, no transaction, or signed by nobody.
pub(super) fn parse_tx(raw: &[u8]) -> Result<Recovered<TxEnvelope>, TxError> {
    decode_tx(raw)?.try_into_recovered().map_err(|e| TxError::BadSignature(e.to_string()))
}

/// Decodes a raw transaction; the sender is not looked for.
///
/// # Errors
/// If it is too long or no transaction.
pub(super) fn decode_tx(raw: &[u8]) -> Result<TxEnvelope, TxError> {
    if raw.len() > RAW_TX_BYTES_MAX {
        return Err(TxError::TooLong { bytes: raw.len(), max: RAW_TX_BYTES_MAX });
    }
    TxEnvelope::decode_2718_exact(raw).map_err(|e| TxError::Malformed(e.to_string()))
}

impl Chain {
    pub(super) fn begin(genesis: &Genesis) -> Self {
        let first = Block::first(genesis.header());
        Self {
            id: genesis.chain,
            state: genesis.state(),
            by_hash: HashMap::from([(first.hash, 0)]),
            by_tx: HashMap::new(),
            blocks: vec![first],
        }
    }

    /// The last block.
    pub(super) fn head(&self) -> &Block {
        self.blocks.last().expect("block 0 is always there")
    }

    pub(super) fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub(super) fn block_by_hash(&self, hash: &B256) -> Option<&Block> {
        self.block(*self.by_hash.get(hash)?)
    }

    /// The block that holds a transaction.
    pub(super) fn block_of_tx(&self, hash: &B256) -> Option<&Block> {
        self.block(*self.by_tx.get(hash)?)
    }

    pub(super) fn nonce(&self, account: &Address) -> u64 {
        self.state.holdings.get(account).map(|holding| holding.nonce).unwrap_or_default()
    }

    /// Begins to draft blocks on the head.
    pub(super) fn draft(&self) -> Drafting<'_> {
        Drafting { chain: self, over: CacheDB::new(self), head: self.head().clone() }
    }

    /// Takes in a drafted block.
    pub(super) fn apply(&mut self, draft: Draft) {
        self.state.apply(draft.changes);
        self.link(draft.block);
    }

    /// Takes in a block whose changes the state has already.
    pub(super) fn link(&mut self, block: Block) {
        assert_eq!(block.header.parent_hash, self.head().hash, "blocks are linked in order");
        let number = block.header.number;
        self.by_hash.insert(block.hash, number);
        if let Some(inside) = &block.inside {
            self.by_tx.insert(*inside.tx.tx_hash(), number);
        }
        self.blocks.push(block);
    }
}

impl Drafting<'_> {
    /// Executes the next transaction.
    ///
    /// # Errors
    /// If it may not be in a block; the draft is as before then.
    pub(super) fn add(
        &mut self,
        timestamp_s: u64,
        tx: Recovered<TxEnvelope>,
    ) -> Result<Draft, TxError> {
        let hash = *tx.tx_hash();
        if self.chain.by_tx.contains_key(&hash) {
            return Err(TxError::Known(hash));
        }
        let setting = Setting::after(&self.head, timestamp_s);
        let env = tx_env(self.chain.id, &tx)?;
        if env.gas_limit > TX_GAS_MAX {
            return Err(TxError::Invalid(format!(
                "gas limit {} is above the {TX_GAS_MAX} that one transaction may ask for",
                env.gas_limit
            )));
        }
        let ran = run(self.chain.id, &setting, &mut self.over, env)?;
        let changes = Changes::of(&ran.touched);
        let effect = Effect {
            success: ran.success,
            gas_used: ran.gas_used,
            created: ran.created,
            logs: ran.logs,
            digest: changes.digest(setting.digest_before),
        };
        let block = Block::make(&setting, tx, effect);
        self.over.commit(ran.touched);
        self.over.cache.block_hashes.insert(U256::from(block.header.number), block.hash);
        self.head = block.clone();
        Ok(Draft { block, changes })
    }
}

impl DatabaseRef for Chain {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.state.info(&address))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.state.codes.get(&hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, key: U256) -> Result<U256, Infallible> {
        Ok(self.state.slot(&address, &key))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok(self.block(number).map(|block| block.hash).unwrap_or_default())
    }
}
