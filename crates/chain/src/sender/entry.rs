//! What the sender remembers of an intent, and the form that an outbox keeps it in.

use alloy_primitives::B256;
use ayni_types::{Account, Amount};
use ayni_wire::encode;
use minicbor::{Decode, Encode};

/// Something to be done on the chain, once: a call of a contract, or a new contract.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Intent {
    /// Made by its author; the same id is never done twice.
    #[n(0)]
    pub id: String,
    /// The contract; nobody to deploy one.
    #[n(1)]
    pub to: Option<Account>,
    /// Wei sent along.
    #[n(2)]
    pub value: Amount,
    /// Call data, or the new contract's code and arguments.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub data: Vec<u8>,
}

impl Intent {
    /// A call of a contract.
    #[must_use]
    pub fn call(id: impl Into<String>, to: Account, data: Vec<u8>) -> Self {
        Self { id: id.into(), to: Some(to), value: Amount(0), data }
    }

    /// Wei for an account.
    #[must_use]
    pub fn pay(id: impl Into<String>, to: Account, value: Amount) -> Self {
        Self { id: id.into(), to: Some(to), value, data: Vec::new() }
    }

    /// A new contract.
    #[must_use]
    pub fn deploy(id: impl Into<String>, data: Vec<u8>) -> Self {
        Self { id: id.into(), to: None, value: Amount(0), data }
    }

    /// Tells two intents under one id apart when the data is forgotten.
    pub(super) fn digest(&self) -> [u8; 32] {
        *blake3::hash(&encode(self)).as_bytes()
    }
}

/// One signature for an intent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Attempt {
    /// The signed transaction.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub raw: Vec<u8>,
    /// Its hash.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// Nonce.
    #[n(2)]
    pub nonce: u64,
    /// Gas limit.
    #[n(3)]
    pub gas: u64,
    /// Most wei per gas.
    #[n(4)]
    pub max_wei: Amount,
    /// Of it for whoever makes the block.
    #[n(5)]
    pub priority_wei: Amount,
}

impl Attempt {
    pub(super) fn tx(&self) -> B256 {
        self.hash.into()
    }
}

/// How an intent ended in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// The transaction that did it.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub tx: [u8; 32],
    /// In which block.
    #[n(1)]
    pub block: u64,
    /// False: the contract refused; gas was paid, nothing else happened.
    #[n(2)]
    pub success: bool,
    /// Gas used.
    #[n(3)]
    pub gas_used: u64,
    /// The contract that was made.
    #[n(4)]
    pub created: Option<Account>,
}

/// Where an intent is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Stage {
    /// Not signed yet.
    #[n(0)]
    Queued,
    /// Signed; the attempts with the last one's nonce are out.
    #[n(1)]
    Sent,
    /// In a block, as deep as was asked for.
    #[n(2)]
    Done(#[n(0)] Outcome),
    /// Never signed: a trial run said that the contract would refuse.
    #[n(3)]
    Refused(#[n(0)] String),
    /// Its author has taken note; only the id is kept.
    #[n(4)]
    Forgotten,
}

/// All that is remembered of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The intent; without its data once it is over.
    #[n(0)]
    pub intent: Intent,
    /// Of the whole intent.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub digest: [u8; 32],
    /// Place in the order of submission.
    #[n(2)]
    pub order: u64,
    /// Where it is.
    #[n(3)]
    pub stage: Stage,
    /// Everything that was ever signed for it, oldest first.
    #[n(4)]
    pub attempts: Vec<Attempt>,
}

impl Entry {
    pub(super) fn new(intent: Intent, order: u64) -> Self {
        let digest = intent.digest();
        Self { intent, digest, order, stage: Stage::Queued, attempts: Vec::new() }
    }

    /// The nonce that it holds now.
    pub(super) fn nonce(&self) -> Option<u64> {
        let held = self.attempts.last().filter(|_| self.stage == Stage::Sent);
        held.map(|attempt| attempt.nonce)
    }

    /// Ends it; data and signatures are needed no more.
    pub(super) fn end(&mut self, stage: Stage) {
        self.stage = stage;
        self.intent.data = Vec::new();
        self.attempts = Vec::new();
    }
}
