//! Blocks of the local ledger: one transaction each, with a header whose hash covers the
//! transaction, its receipt and every change to the state, so that two ledgers with the same head
//! hash are the same ledger.
//!
//! Deliberately not here: a Merkle root of the state. `stateRoot` is a running digest of changes:
//! it can be compared, not proven against.

use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::transaction::Recovered;
use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxEnvelope,
    TxType, constants::EMPTY_OMMER_ROOT_HASH,
};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, LogData, keccak256};
use minicbor::{Decode, Encode};

/// What a transaction did, as far as it can't be seen from the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) success: bool,
    pub(super) gas_used: u64,
    pub(super) created: Option<Address>,
    pub(super) logs: Vec<Log>,
    /// Running digest of the state after it.
    pub(super) digest: B256,
}

/// A block and the transaction in it; block 0 has none.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) hash: B256,
    pub(super) header: Header,
    pub(super) inside: Option<Inside>,
}

/// A block's transaction and what it did.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    pub(super) tx: Recovered<TxEnvelope>,
    pub(super) effect: Effect,
}

/// What a block is executed with, fixed before its transaction runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) number: u64,
    pub(super) timestamp_s: u64,
    pub(super) parent: B256,
    pub(super) digest_before: B256,
    pub(super) gas_limit: u64,
    pub(super) base_fee: u64,
}

impl Setting {
    /// Of the block after `parent`; the ledger's clock never goes back.
    pub(super) fn after(parent: &Block, timestamp_s: u64) -> Self {
        Self {
            number: parent.header.number + 1,
            timestamp_s: timestamp_s.max(parent.header.timestamp),
            parent: parent.hash,
            digest_before: parent.header.state_root,
            gas_limit: parent.header.gas_limit,
            base_fee: parent.header.base_fee_per_gas.unwrap_or_default(),
        }
    }

    /// What contracts see as randomness: a hash of the parent. Whoever writes the ledger can
    /// choose it, by choosing what comes before.
    pub(super) fn prevrandao(&self) -> B256 {
        keccak256([b"ayni prevrandao".as_slice(), self.parent.as_slice()].concat())
    }
}

impl Block {
    /// Block 0.
    pub(super) fn first(header: Header) -> Self {
        Self { hash: header.hash_slow(), header, inside: None }
    }

    /// The block that holds `tx` with its effect.
    pub(super) fn make(setting: &Setting, tx: Recovered<TxEnvelope>, effect: Effect) -> Self {
        let receipt = effect.receipt(tx.tx_type());
        let header = Header {
            parent_hash: setting.parent,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            state_root: effect.digest,
            transactions_root: calculate_transaction_root(std::slice::from_ref(tx.inner())),
            receipts_root: calculate_receipt_root(std::slice::from_ref(&receipt)),
            logs_bloom: *receipt.logs_bloom(),
            number: setting.number,
            gas_limit: setting.gas_limit,
            gas_used: effect.gas_used,
            timestamp: setting.timestamp_s,
            mix_hash: setting.prevrandao(),
            base_fee_per_gas: Some(setting.base_fee),
            ..Header::default()
        };
        Self { hash: header.hash_slow(), header, inside: Some(Inside { tx, effect }) }
    }
}

impl Inside {
    /// Wei per gas that was paid.
    pub(super) fn gas_price(&self, base_fee: Option<u64>) -> u128 {
        self.tx.effective_gas_price(base_fee)
    }
}

impl Effect {
    pub(super) fn receipt(&self, kind: TxType) -> ReceiptEnvelope {
        envelope(kind, self.success, self.gas_used, self.logs.clone(), self.bloom())
    }

    pub(super) fn bloom(&self) -> Bloom {
        self.logs.iter().collect()
    }
}

/// A receipt of a transaction's kind over logs of any form.
pub(super) fn envelope<L>(
    kind: TxType,
    success: bool,
    gas_used: u64,
    logs: Vec<L>,
    logs_bloom: Bloom,
) -> ReceiptEnvelope<L> {
    let status = Eip658Value::Eip658(success);
    let receipt = Receipt { status, cumulative_gas_used: gas_used, logs };
    let receipt = ReceiptWithBloom { receipt, logs_bloom };
    match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip4844 => ReceiptEnvelope::Eip4844(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
    }
}

/// An effect and its sender as `history.log` keeps them.
#[derive(Debug, Encode, Decode)]
pub(super) struct Remembered {
    #[cbor(n(0), with = "minicbor::bytes")]
    sender: [u8; 20],
    #[n(1)]
    success: bool,
    #[n(2)]
    gas_used: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    digest: [u8; 32],
    #[cbor(n(4), with = "minicbor::bytes")]
    created: Option<[u8; 20]>,
    #[n(5)]
    logs: Vec<RememberedLog>,
}

#[derive(Debug, Encode, Decode)]
struct RememberedLog {
    #[cbor(n(0), with = "minicbor::bytes")]
    address: [u8; 20],
    #[cbor(n(1), with = "minicbor::bytes")]
    topics: Vec<u8>,
    #[cbor(n(2), with = "minicbor::bytes")]
    data: Vec<u8>,
}

impl Remembered {
    pub(super) fn of(inside: &Inside) -> Self {
        let effect = &inside.effect;
        let logs = effect.logs.iter().map(|log| RememberedLog {
            address: log.address.into(),
            topics: log.topics().concat(),
            data: log.data.data.to_vec(),
        });
        Self {
            sender: inside.tx.signer().into(),
            success: effect.success,
            gas_used: effect.gas_used,
            digest: effect.digest.into(),
            created: effect.created.map(Into::into),
            logs: logs.collect(),
        }
    }

    /// Back again; nothing if a log has no form that a log can have.
    pub(super) fn effect(self) -> Option<(Address, Effect)> {
        let mut logs = Vec::with_capacity(self.logs.len());
        for log in self.logs {
            let (topics, rest) = log.topics.as_chunks::<32>();
            if !rest.is_empty() {
                return None;
            }
            let topics = topics.iter().map(B256::from).collect();
            let data = LogData::new(topics, Bytes::from(log.data))?;
            logs.push(Log { address: log.address.into(), data });
        }
        let effect = Effect {
            success: self.success,
            gas_used: self.gas_used,
            created: self.created.map(Into::into),
            logs,
            digest: self.digest.into(),
        };
        Some((self.sender.into(), effect))
    }
}
