//! One client for any chain: the local ledger in this process, or a node's JSON-RPC address.
//!
//! Deliberately not here: keys and nonces (`sender`), belief (`watcher`). What a client answers is
//! what one node says; it may lie.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_json_rpc::RpcError;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_provider::{DynProvider, Provider, RootProvider};
use alloy_rpc_client::RpcClient;
use alloy_rpc_types_eth::{Header, Log, TransactionReceipt, TransactionRequest};
use alloy_sol_types::SolCall;
use alloy_transport::{TransportError, TransportErrorKind};
use ayni_types::{Account, Amount};

use crate::embedded::{LOCAL_LEDGER, LocalLedger, LocalTransport, TxError};
use crate::http::{HttpTransport, shown};

/// Why a chain can't be used, or a question to it failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("{text:?} is no address of a chain's JSON-RPC: {why}\nhint: such as https://host/path")]
    BadUrl {
        /// What was given, without anything secret.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is another chain.
    #[error(
        "{node} is of the chain with id {found}, but {wanted} is configured\nhint: set the chain id \
         to {found}, or name a node of chain {wanted}"
    )]
    WrongChain {
        /// Which node.
        node: String,
        /// Its chain.
        found: u64,
        /// What was configured.
        wanted: u64,
    },
    /// The node can't be reached or answers nonsense.
    #[error("{node} does not answer {what}: {why}\nhint: is it running and reachable?")]
    Node {
        /// Which node.
        node: String,
        /// What was asked.
        what: &'static str,
        /// What went wrong.
        why: String,
    },
    /// The node refuses.
    #[error("{node} refuses {what}: {why}")]
    Refused {
        /// Which node.
        node: String,
        /// What was asked.
        what: &'static str,
        /// The error's number (3: the execution reverted).
        code: i64,
        /// What it says.
        why: String,
        /// A contract's error, as ABI bytes, if there is one.
        data: Option<Vec<u8>>,
    },
    /// An answer does not decode.
    #[error("{node} answers {what} with something that does not decode: {why}")]
    Malformed {
        /// Which node.
        node: String,
        /// What was asked.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The local ledger has stopped.
    #[error(transparent)]
    Ledger(#[from] TxError),
}

/// A chain, as one node shows it.
#[derive(Debug, Clone)]
pub struct Client {
    provider: DynProvider,
    node: String,
    chain: u64,
    local: bool,
}

/// What a unit of gas costs, wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// Most that is paid in all (`maxFeePerGas`).
    pub max_wei: u128,
    /// Of it for whoever makes the block (`maxPriorityFeePerGas`).
    pub priority_wei: u128,
}

impl ClientError {
    /// Whether a contract would not do it: asking again does not help while the state is the same.
    #[must_use]
    pub fn is_revert(&self) -> bool {
        match self {
            Self::Refused { code, why, .. } => *code == 3 || why.starts_with("execution reverted"),
            _ => false,
        }
    }
}

impl Client {
    /// The local ledger in this process.
    ///
    /// # Errors
    /// If it has stopped.
    pub fn local(ledger: &LocalLedger) -> Result<Self, ClientError> {
        let rpc = RpcClient::new(LocalTransport(ledger.clone()), true);
        let provider = DynProvider::new(RootProvider::new(rpc));
        let (node, chain) = ("the local ledger".into(), ledger.chain_id()?);
        Ok(Self { provider, node, chain, local: true })
    }

    /// A node at `url`, which must be of the chain with id `chain`.
    ///
    /// # Errors
    /// If the address is none, the node does not answer, or it is of another chain.
    pub async fn connect(url: &str, chain: u64) -> Result<Self, ClientError> {
        let parsed = parse_url(url)?;
        let node = shown(&parsed);
        let local = parsed.host_str().is_some_and(|host| {
            host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(is_loopback)
        });
        let transport = HttpTransport::new(parsed)
            .map_err(|e| ClientError::BadUrl { text: node.clone(), why: e.to_string() })?;
        let provider = DynProvider::new(RootProvider::new(RpcClient::new(transport, local)));
        let mut me = Self { provider, node, chain, local: false };
        me.check_chain().await?;
        // A node that does not say what it is is no local ledger of ours.
        let version = me.provider.get_client_version().await.unwrap_or_default();
        me.local = version.starts_with(LOCAL_LEDGER);
        Ok(me)
    }

    /// Asks again whether the node is of the right chain.
    ///
    /// # Errors
    /// If it is of another, or does not answer.
    pub async fn check_chain(&self) -> Result<(), ClientError> {
        let asked = self.provider.get_chain_id().await;
        let found = asked.map_err(|e| self.error("its chain id", e))?;
        if found != self.chain {
            let (node, wanted) = (self.node.clone(), self.chain);
            return Err(ClientError::WrongChain { node, found, wanted });
        }
        Ok(())
    }

    /// EIP-155 number.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.chain
    }

    /// How the node is called in messages: never with anything secret.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether it is a local ledger, in this process or by what the node says of itself: play money,
    /// final at once.
    #[must_use]
    pub fn is_local_ledger(&self) -> bool {
        self.local
    }

    /// alloy's provider, for what is not here.
    #[must_use]
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Asks the node to pay wei from an account of its own, as nodes for tests do. Says whether it took
    /// the request.
    pub async fn ask_for_gas(&self, to: Account, amount: Amount) -> bool {
        let rpc = self.provider.client();
        let Ok(own) = rpc.request_noparams::<Vec<Address>>("eth_accounts").await else {
            return false;
        };
        let Some(from) = own.first() else { return false };
        let request = TransactionRequest::default()
            .from(*from)
            .to(Address::from(to.0))
            .value(U256::from(amount.0));
        rpc.request::<_, B256>("eth_sendTransaction", (request,)).await.is_ok()
    }

    /// Number of the last block.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn head(&self) -> Result<u64, ClientError> {
        self.provider.get_block_number().await.map_err(|e| self.error("its last block", e))
    }

    /// The header of a block; nothing if the node has none of that number.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn header(&self, number: u64) -> Result<Option<Header>, ClientError> {
        let tag = BlockNumberOrTag::Number(number);
        let asked = self.provider.get_block_by_number(tag).await;
        Ok(asked.map_err(|e| self.error("a block", e))?.map(|block| block.header))
    }

    /// Logs of some contracts within blocks `from..=to`.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn logs(
        &self,
        contracts: &[Address],
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, ClientError> {
        let filter = alloy_rpc_types_eth::Filter::new();
        let filter = filter.address(contracts.to_vec()).from_block(from).to_block(to);
        self.provider.get_logs(&filter).await.map_err(|e| self.error("logs", e))
    }

    /// Asks a contract, as of the last block.
    ///
    /// # Errors
    /// If the node does not answer, the contract refuses, or the answer does not decode.
    pub async fn view<C: SolCall>(&self, to: Account, call: &C) -> Result<C::Return, ClientError> {
        let request = TransactionRequest::default()
            .to(Address::from(to.0))
            .input(Bytes::from(call.abi_encode()).into());
        let what = C::SIGNATURE;
        let answer = self.provider.call(request).await.map_err(|e| self.error(what, e))?;
        C::abi_decode_returns(&answer).map_err(|e| {
            // Most often there is no such contract there.
            let (node, why) = (self.node.clone(), format!("{e} (at {to}, {} bytes)", answer.len()));
            ClientError::Malformed { node, what, why }
        })
    }

    /// Gas limit for a transaction, with head-room; also finds out whether it would revert.
    ///
    /// # Errors
    /// If the node does not answer, or the transaction would revert.
    pub async fn estimate(
        &self,
        from: Account,
        to: Option<Account>,
        value: Amount,
        data: &[u8],
    ) -> Result<u64, ClientError> {
        let request = TransactionRequest {
            from: Some(Address::from(from.0)),
            value: Some(U256::from(value.0)),
            to: Some(to.map_or(TxKind::Create, |to| TxKind::Call(Address::from(to.0)))),
            ..TransactionRequest::default()
        };
        let request = request.input(Bytes::copy_from_slice(data).into());
        let gas = self.provider.estimate_gas(request).await;
        // Refunds come after the gas was there, and the state moves before the block.
        gas.map(|gas| gas + gas / 5).map_err(|e| self.error("how much gas it takes", e))
    }

    /// What gas costs about now: twice the base fee, so that six full blocks don't price it out.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn fees(&self) -> Result<Fees, ClientError> {
        let asked = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await;
        let block = asked.map_err(|e| self.error("its last block", e))?;
        let base = block.and_then(|block| block.header.base_fee_per_gas).unwrap_or_default();
        let tip = self.provider.get_max_priority_fee_per_gas().await;
        let priority_wei = tip.map_err(|e| self.error("its priority fee", e))?;
        Ok(Fees { max_wei: u128::from(base) * 2 + priority_wei, priority_wei })
    }

    /// An account's next nonce by blocks up to `number`, or the last one.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn nonce(&self, account: Account, number: Option<u64>) -> Result<u64, ClientError> {
        let block = number.map_or(BlockId::latest(), BlockId::number);
        let asked = self.provider.get_transaction_count(Address::from(account.0));
        asked.block_id(block).await.map_err(|e| self.error("an account's nonce", e))
    }

    /// An account's gas money, wei.
    ///
    /// # Errors
    /// If the node does not answer, or it is more than an amount holds.
    pub async fn balance(&self, account: Account) -> Result<Amount, ClientError> {
        let asked = self.provider.get_balance(Address::from(account.0)).await;
        let wei: U256 = asked.map_err(|e| self.error("a balance", e))?;
        let node = self.node.clone();
        let wei = u128::try_from(wei).map_err(|e| ClientError::Malformed {
            node,
            what: "a balance",
            why: e.to_string(),
        })?;
        Ok(Amount(wei))
    }

    /// The receipt of a transaction that is in a block.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn receipt(&self, tx: B256) -> Result<Option<TransactionReceipt>, ClientError> {
        let asked = self.provider.get_transaction_receipt(tx).await;
        asked.map_err(|e| self.error("a receipt", e))
    }

    /// Hands over a signed transaction; says its hash by this node.
    ///
    /// # Errors
    /// If the node does not answer or does not take it.
    pub async fn send_raw(&self, raw: &[u8]) -> Result<B256, ClientError> {
        let sent = self.provider.send_raw_transaction(raw).await;
        sent.map(|pending| *pending.tx_hash()).map_err(|e| self.error("a transaction", e))
    }

    fn error(&self, what: &'static str, e: TransportError) -> ClientError {
        let node = self.node.clone();
        match e {
            RpcError::ErrorResp(payload) => {
                let data = payload.as_revert_data().map(|data| data.to_vec());
                let (code, why) = (payload.code, payload.message.into_owned());
                ClientError::Refused { node, what, code, why, data }
            }
            RpcError::DeserError { err, .. } => {
                ClientError::Malformed { node, what, why: err.to_string() }
            }
            RpcError::Transport(TransportErrorKind::HttpError(e)) => {
                let why = format!("HTTP status {}: {}", e.status, e.body);
                ClientError::Node { node, what, why }
            }
            RpcError::Transport(TransportErrorKind::Custom(e)) => {
                ClientError::Node { node, what, why: chain_of(&*e) }
            }
            other => ClientError::Node { node, what, why: other.to_string() },
        }
    }
}

/// An error with its causes.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn is_loopback(address: std::net::IpAddr) -> bool {
    address.is_loopback()
}

fn parse_url(text: &str) -> Result<reqwest::Url, ClientError> {
    let bad = |text: &str, why: &str| ClientError::BadUrl { text: text.into(), why: why.into() };
    // Not shown: what does not parse may hold a key.
    let url = reqwest::Url::parse(text).map_err(|e| bad("…", &e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(url.scheme(), "only http and https are spoken"));
    }
    Ok(url)
}
