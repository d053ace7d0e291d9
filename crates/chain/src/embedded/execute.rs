//! Runs transactions and calls in the EVM over a ledger's state, without changing it.
//!
//! Deliberately not here: what happens to the outcome (`chain`, `rpc`). The EVM of revm can't
//! move between threads, so one is built per run over a borrowed database; that costs nothing
//! that can be measured.

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Transaction as _, TxEnvelope, TxType};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction, Output};
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::database::CacheDB;
use revm::primitives::hardfork::SpecId;
use revm::state::EvmState;
use revm::{Context, DatabaseRef, ExecuteEvm as _, MainBuilder as _, MainContext as _};

use super::block::Setting;
use crate::limits::TX_GAS_MAX;

/// Why a transaction can't be put in a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// The bytes are no transaction.
    #[error("the raw transaction does not decode: {0}")]
    Malformed(String),
    /// Longer than a transaction may be.
    #[error("the raw transaction has {bytes} bytes; {max} is the most")]
    TooLong {
        /// How long.
        bytes: usize,
        /// How long at most.
        max: usize,
    },
    /// The signature is nobody's.
    #[error("the transaction's signature does not hold: {0}")]
    BadSignature(String),
    /// A kind that the local ledger does not take.
    #[error("the local ledger takes no transactions of type {0}\nhint: use type 2 (EIP-1559)")]
    Kind(u8),
    /// No chain id: it could be replayed on any chain.
    #[error("the transaction names no chain id\nhint: sign with chain id {0} (EIP-155)")]
    NoChainId(u64),
    /// Signed for another chain.
    #[error("the transaction is for chain id {found}; this is {own}")]
    OtherChain {
        /// What it names.
        found: u64,
        /// What this ledger is.
        own: u64,
    },
    /// It is in a block already.
    #[error("already known: {0} is in a block")]
    Known(B256),
    /// An older nonce than the account's next.
    #[error("nonce too low: next nonce of {account} is {next}, the transaction has {found}")]
    NonceTooLow {
        /// Whose.
        account: Address,
        /// The transaction's.
        found: u64,
        /// What would be right.
        next: u64,
    },
    /// A newer one; the local ledger keeps no queue.
    #[error(
        "nonce too high: next nonce of {account} is {next}, the transaction has {found}\nhint: \
         the local ledger keeps no queue; send transactions in order"
    )]
    NonceTooHigh {
        /// Whose.
        account: Address,
        /// The transaction's.
        found: u64,
        /// What would be right.
        next: u64,
    },
    /// Any other rule of the EVM.
    #[error("{0}")]
    Invalid(String),
    /// The ledger can't write.
    #[error("the local ledger can't write its log: {0}")]
    Stopped(String),
}

/// What a run gave.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) success: bool,
    pub(super) gas_used: u64,
    /// Before refunds: what must be there at the start.
    pub(super) gas_spent: u64,
    pub(super) output: Bytes,
    pub(super) halt: Option<String>,
    pub(super) created: Option<Address>,
    pub(super) logs: Vec<alloy_primitives::Log>,
    pub(super) touched: EvmState,
}

fn cfg(chain: u64) -> CfgEnv {
    let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
    cfg.chain_id = chain;
    cfg
}

fn block_env(setting: &Setting) -> BlockEnv {
    BlockEnv {
        number: U256::from(setting.number),
        timestamp: U256::from(setting.timestamp_s),
        gas_limit: setting.gas_limit,
        basefee: setting.base_fee,
        prevrandao: Some(setting.prevrandao()),
        ..BlockEnv::default()
    }
}

/// What a transaction asks of the EVM.
///
/// # Errors
/// If its kind is not taken here or it is not for this chain.
pub(super) fn tx_env(chain: u64, tx: &Recovered<TxEnvelope>) -> Result<TxEnv, TxError> {
    let kind = tx.tx_type();
    if !matches!(kind, TxType::Legacy | TxType::Eip2930 | TxType::Eip1559) {
        return Err(TxError::Kind(kind as u8));
    }
    match tx.chain_id() {
        Some(found) if found == chain => {}
        Some(found) => return Err(TxError::OtherChain { found, own: chain }),
        None => return Err(TxError::NoChainId(chain)),
    }
    Ok(TxEnv {
        tx_type: kind as u8,
        caller: tx.signer(),
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: Vec::new(),
    })
}

/// Runs `tx` as the block `setting`; the database is read, not changed.
///
/// # Errors
/// If the transaction may not be in a block at all. One that reverts may.
pub(super) fn run<D: DatabaseRef>(
    chain: u64,
    setting: &Setting,
    db: &mut CacheDB<D>,
    tx: TxEnv,
) -> Result<Run, TxError> {
    let caller = tx.caller;
    let context =
        Context::mainnet().with_db(db).with_cfg(cfg(chain)).with_block(block_env(setting));
    let mut evm = context.build_mainnet();
    let out = evm.transact(tx).map_err(|e| refused(caller, e))?;
    let (gas, touched) = (*out.result.gas(), out.state);
    let mut run = Run {
        success: out.result.is_success(),
        gas_used: gas.tx_gas_used(),
        gas_spent: gas.total_gas_spent().max(gas.floor_gas()),
        output: Bytes::new(),
        halt: None,
        created: None,
        logs: Vec::new(),
        touched,
    };
    match out.result {
        ExecutionResult::Success { output, logs, .. } => {
            if let Output::Create(_, created) = &output {
                run.created = *created;
            }
            run.output = output.into_data();
            run.logs = logs;
        }
        ExecutionResult::Revert { output, .. } => run.output = output,
        ExecutionResult::Halt { reason, .. } => run.halt = Some(format!("{reason:?}")),
    }
    Ok(run)
}

fn refused<E: std::fmt::Display>(caller: Address, error: EVMError<E>) -> TxError {
    match error {
        EVMError::Transaction(InvalidTransaction::NonceTooLow { tx, state }) => {
            TxError::NonceTooLow { account: caller, found: tx, next: state }
        }
        EVMError::Transaction(InvalidTransaction::NonceTooHigh { tx, state }) => {
            TxError::NonceTooHigh { account: caller, found: tx, next: state }
        }
        EVMError::Transaction(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
            TxError::Invalid(format!(
                "insufficient funds for gas * price + value: {caller} has {balance} wei and needs \
                 {fee}"
            ))
        }
        EVMError::Transaction(other) => TxError::Invalid(other.to_string()),
        EVMError::Header(other) => TxError::Invalid(format!("header: {other:?}")),
        EVMError::Database(other) => TxError::Invalid(format!("state: {other}")),
        EVMError::Custom(other) => TxError::Invalid(other),
        EVMError::CustomAny(other) => TxError::Invalid(other.to_string()),
    }
}

/// A call that nobody signed: what `eth_call` and `eth_estimateGas` run.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) from: Address,
    pub(super) to: TxKind,
    pub(super) value: U256,
    pub(super) data: Bytes,
    pub(super) gas: u64,
    pub(super) access_list: alloy_eips::eip2930::AccessList,
}

impl Call {
    fn env(&self, chain: u64, nonce: u64) -> TxEnv {
        TxEnv {
            tx_type: TxType::Eip1559 as u8,
            caller: self.from,
            gas_limit: self.gas.min(TX_GAS_MAX),
            gas_price: 0,
            kind: self.to,
            value: self.value,
            data: self.data.clone(),
            nonce,
            chain_id: Some(chain),
            access_list: self.access_list.clone(),
            gas_priority_fee: Some(0),
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: Vec::new(),
        }
    }
}

/// Runs a call without charging for gas.
///
/// # Errors
/// If no transaction like it could be in a block, for example for want of the value it sends.
pub(super) fn call<D: DatabaseRef>(
    chain: u64,
    setting: &Setting,
    db: D,
    call: &Call,
) -> Result<Run, TxError> {
    let free = Setting { base_fee: 0, ..*setting };
    let account = db.basic_ref(call.from).ok().flatten();
    let env = call.env(chain, account.map(|info| info.nonce).unwrap_or_default());
    run(chain, &free, &mut CacheDB::new(db), env)
}
