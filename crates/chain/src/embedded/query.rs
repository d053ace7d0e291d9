//! What each `eth_*` method answers, as far as it does not change the ledger.
//!
//! The state is kept after the last block alone; whoever asks for an older one is told so.

use alloy_consensus::Transaction as _;
use alloy_eips::eip1898::RpcBlockHash;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256, hex};
use alloy_rpc_types_eth as rpc;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, TransactionRequest};
use serde_json::{Value, json};

use super::block::{Block, Setting, envelope};
use super::chain::Chain;
use super::execute::{Call, Run, call};
use super::rpc::{Fault, Params};
use super::{LOCAL_LEDGER, Shared};
use crate::limits::{FEE_HISTORY_MAX, FILTER_TERMS_MAX, LOGS_MAX, TX_GAS_MAX};

const ADDRESS: &str = "an address";
const BLOCK: &str = "a block's number, hash or tag";
const HASH: &str = "a hash of 32 bytes";

/// Answers one method.
///
/// # Errors
/// As JSON-RPC says it.
pub(super) fn answer(shared: &Shared, method: &str, mut params: Params) -> Result<Value, Fault> {
    let chain = &*shared.chain()?;
    let head = chain.head();
    Ok(match method {
        "eth_chainId" => json!(U64::from(chain.id)),
        "net_version" => json!(chain.id.to_string()),
        "web3_clientVersion" => {
            json!(format!("{LOCAL_LEDGER}/{}", env!("CARGO_PKG_VERSION")))
        }
        "eth_syncing" => json!(false),
        "eth_blockNumber" => json!(U64::from(head.header.number)),
        "eth_gasPrice" => json!(U256::from(head.header.base_fee_per_gas.unwrap_or_default())),
        "eth_maxPriorityFeePerGas" => json!(U256::ZERO),
        "eth_feeHistory" => fee_history(chain, &mut params)?,
        "eth_getBalance" => {
            let account: Address = params.need(0, ADDRESS)?;
            at_head(chain, params.take(1, BLOCK)?)?;
            json!(chain.state.holdings.get(&account).map_or(U256::ZERO, |held| held.balance))
        }
        "eth_getTransactionCount" => {
            let account: Address = params.need(0, ADDRESS)?;
            at_head(chain, params.take(1, BLOCK)?)?;
            json!(U64::from(chain.nonce(&account)))
        }
        "eth_getCode" => {
            let account: Address = params.need(0, ADDRESS)?;
            at_head(chain, params.take(1, BLOCK)?)?;
            json!(chain.state.code(&account))
        }
        "eth_getStorageAt" => {
            let account: Address = params.need(0, ADDRESS)?;
            let key: U256 = params.need(1, "a storage slot")?;
            at_head(chain, params.take(2, BLOCK)?)?;
            json!(B256::from(chain.state.slot(&account, &key)))
        }
        "eth_call" => {
            let run = run(shared, chain, &mut params)?;
            json!(run.output)
        }
        "eth_estimateGas" => estimate(shared, chain, &mut params)?,
        "eth_getTransactionByHash" => {
            let hash: B256 = params.need(0, HASH)?;
            json!(chain.block_of_tx(&hash).and_then(transaction))
        }
        "eth_getTransactionReceipt" => {
            let hash: B256 = params.need(0, HASH)?;
            json!(chain.block_of_tx(&hash).and_then(receipt))
        }
        "eth_getBlockByNumber" => {
            let wanted: BlockNumberOrTag = params.need(0, BLOCK)?;
            let full = params.take(1, "whether to give whole transactions")?.unwrap_or_default();
            json!(number(chain, wanted).and_then(|n| chain.block(n)).map(|b| block(b, full)))
        }
        "eth_getBlockByHash" => {
            let hash: B256 = params.need(0, HASH)?;
            let full = params.take(1, "whether to give whole transactions")?.unwrap_or_default();
            json!(chain.block_by_hash(&hash).map(|b| block(b, full)))
        }
        "eth_getLogs" => logs(chain, &params.need(0, "a filter")?)?,
        other => return Err(Fault::method(other)),
    })
}

/// The number that a tag or number means; nothing if it is above the head.
fn number(chain: &Chain, wanted: BlockNumberOrTag) -> Option<u64> {
    let head = chain.head().header.number;
    match wanted {
        BlockNumberOrTag::Number(n) => (n <= head).then_some(n),
        BlockNumberOrTag::Earliest => Some(0),
        _ => Some(head),
    }
}

fn at_head(chain: &Chain, wanted: Option<BlockId>) -> Result<(), Fault> {
    let head = chain.head();
    let found = match wanted {
        None => Some(head.header.number),
        Some(BlockId::Number(wanted)) => number(chain, wanted),
        Some(BlockId::Hash(RpcBlockHash { block_hash, .. })) => {
            chain.block_by_hash(&block_hash).map(|block| block.header.number)
        }
    };
    match found {
        Some(n) if n == head.header.number => Ok(()),
        Some(n) => Err(Fault::server(format!(
            "the state after block {n} is not kept; the head is {}\nhint: ask for \"latest\"",
            head.header.number
        ))),
        None => Err(Fault::server("unknown block")),
    }
}

fn fee_history(chain: &Chain, params: &mut Params) -> Result<Value, Fault> {
    let count: U64 = params.need(0, "a number of blocks")?;
    let newest: BlockNumberOrTag = params.need(1, BLOCK)?;
    let percentiles: Vec<f64> = params.take(2, "a list of percentiles")?.unwrap_or_default();
    if percentiles.len() > 100 {
        return Err(Fault::params("more than 100 percentiles"));
    }
    let newest = number(chain, newest).ok_or_else(|| Fault::server("unknown block"))?;
    let count = count.to::<u64>().clamp(1, FEE_HISTORY_MAX).min(newest + 1);
    let oldest_block = newest + 1 - count;
    let mut history = rpc::FeeHistory { oldest_block, ..rpc::FeeHistory::default() };
    let mut rewards = Vec::new();
    for block in (oldest_block..=newest).filter_map(|n| chain.block(n)) {
        let header = &block.header;
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        history.base_fee_per_gas.push(base_fee.into());
        history.gas_used_ratio.push(header.gas_used as f64 / header.gas_limit.max(1) as f64);
        let tip = block.inside.as_ref().and_then(|i| i.tx.effective_tip_per_gas(base_fee));
        rewards.push(vec![tip.unwrap_or_default(); percentiles.len()]);
    }
    let next = chain.head().header.base_fee_per_gas.unwrap_or_default();
    history.base_fee_per_gas.push(next.into());
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    Ok(json!(history))
}

fn request(params: &mut Params) -> Result<Call, Fault> {
    let request: TransactionRequest = params.need(0, "a call")?;
    let data = match (&request.input.input, &request.input.data) {
        (Some(input), Some(data)) if input != data => {
            return Err(Fault::params("input and data differ; give one of them"));
        }
        (Some(bytes), _) | (None, Some(bytes)) => bytes.clone(),
        (None, None) => Bytes::new(),
    };
    Ok(Call {
        from: request.from.unwrap_or_default(),
        to: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        data,
        gas: request.gas.unwrap_or(TX_GAS_MAX),
        access_list: request.access_list.unwrap_or_default(),
    })
}

/// What a failed run says, in the form that clients decode.
fn reverted(run: &Run) -> Fault {
    if let Some(reason) = &run.halt {
        return Fault::server(format!("execution halted: {reason}"));
    }
    let data = Some(json!(hex::encode_prefixed(&run.output)));
    let said = alloy_sol_types::decode_revert_reason(&run.output);
    let message = match said {
        Some(said) => format!("execution reverted: {said}"),
        None => "execution reverted".into(),
    };
    Fault { code: 3, message, data }
}

fn run(shared: &Shared, chain: &Chain, params: &mut Params) -> Result<Run, Fault> {
    let wanted = request(params)?;
    at_head(chain, params.take(1, BLOCK)?)?;
    let setting = Setting::after(chain.head(), (shared.clock)());
    let run = call(chain.id, &setting, chain, &wanted)?;
    if run.success { Ok(run) } else { Err(reverted(&run)) }
}

/// The least gas limit that works, found by trying, and a tenth more: between asking and sending
/// the state may change, and refunds come only after the gas was there.
fn estimate(shared: &Shared, chain: &Chain, params: &mut Params) -> Result<Value, Fault> {
    let mut wanted = request(params)?;
    at_head(chain, params.take(1, BLOCK)?)?;
    let setting = Setting::after(chain.head(), (shared.clock)());
    let cap = wanted.gas.min(TX_GAS_MAX);
    let first = call(chain.id, &setting, chain, &wanted)?;
    if !first.success {
        return Err(reverted(&first));
    }
    let mut works = |gas: u64| {
        wanted.gas = gas;
        // Less than the call's own bytes cost is refused before it runs.
        call(chain.id, &setting, chain, &wanted).is_ok_and(|run| run.success)
    };
    let (mut low, mut high) = (first.gas_used.saturating_sub(1), cap);
    // Nearly always enough: what was spent before refunds; else with the 64th that each level of
    // calls holds back.
    for likely in [first.gas_spent, (first.gas_spent + 2_300) * 64 / 63] {
        if likely < high {
            if works(likely) {
                high = likely;
                break;
            }
            low = low.max(likely);
        }
    }
    while low + 1 < high && (high - low) * 100 > high {
        let middle = low + (high - low) / 2;
        if works(middle) { high = middle } else { low = middle }
    }
    Ok(json!(U64::from((high + high / 10).min(cap))))
}

fn transaction(block: &Block) -> Option<rpc::Transaction> {
    let inside = block.inside.as_ref()?;
    Some(rpc::Transaction {
        inner: inside.tx.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        transaction_index: Some(0),
        effective_gas_price: Some(inside.gas_price(block.header.base_fee_per_gas)),
        block_timestamp: Some(block.header.timestamp),
    })
}

fn logs_of(block: &Block) -> Vec<rpc::Log> {
    let Some(inside) = &block.inside else { return Vec::new() };
    let log = |(index, log): (usize, &alloy_primitives::Log)| rpc::Log {
        inner: log.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(*inside.tx.tx_hash()),
        transaction_index: Some(0),
        log_index: Some(index as u64),
        removed: false,
    };
    inside.effect.logs.iter().enumerate().map(log).collect()
}

fn receipt(block: &Block) -> Option<rpc::TransactionReceipt> {
    let inside = block.inside.as_ref()?;
    let (tx, effect) = (&inside.tx, &inside.effect);
    Some(rpc::TransactionReceipt {
        inner: envelope(
            tx.tx_type(),
            effect.success,
            effect.gas_used,
            logs_of(block),
            block.header.logs_bloom,
        ),
        transaction_hash: *tx.tx_hash(),
        transaction_index: Some(0),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        gas_used: effect.gas_used,
        effective_gas_price: inside.gas_price(block.header.base_fee_per_gas),
        blob_gas_used: None,
        blob_gas_price: None,
        from: tx.signer(),
        to: tx.to(),
        contract_address: effect.created,
    })
}

fn block(block: &Block, full: bool) -> rpc::Block {
    let header = rpc::Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: None,
        size: None,
    };
    let transactions = if full {
        rpc::BlockTransactions::Full(transaction(block).into_iter().collect())
    } else {
        let hash = block.inside.as_ref().map(|inside| *inside.tx.tx_hash());
        rpc::BlockTransactions::Hashes(hash.into_iter().collect())
    };
    rpc::Block { header, uncles: Vec::new(), transactions, withdrawals: None }
}

fn logs(chain: &Chain, filter: &Filter) -> Result<Value, Fault> {
    let terms = filter.topics.iter().map(|topic| topic.len()).max().unwrap_or_default();
    if terms.max(filter.address.len()) > FILTER_TERMS_MAX {
        return Err(Fault::params(format!("more than {FILTER_TERMS_MAX} terms in a filter")));
    }
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = chain.block_by_hash(&hash).ok_or_else(|| Fault::server("unknown block"))?;
            (block.header.number, block.header.number)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let head = chain.head().header.number;
            let at = |tag: Option<BlockNumberOrTag>| match tag {
                Some(BlockNumberOrTag::Number(n)) => n,
                Some(tag) => number(chain, tag).unwrap_or(head),
                None => head,
            };
            let (from, to) = (at(from_block), at(to_block));
            if from > to {
                return Err(Fault::params("invalid block range: it ends before it begins"));
            }
            (from, to.min(head))
        }
    };
    let mut found = Vec::new();
    for block in (from..=to).map_while(|n| chain.block(n)) {
        if !filter.matches_bloom(block.header.logs_bloom) {
            continue;
        }
        found.extend(logs_of(block).into_iter().filter(|log| filter.matches(&log.inner)));
        if found.len() > LOGS_MAX {
            return Err(Fault::server(format!(
                "query returned more than {LOGS_MAX} results\nhint: ask for fewer blocks at once"
            )));
        }
    }
    Ok(json!(found))
}
