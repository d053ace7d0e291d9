//! Sends an account's transactions: each intent once, whatever fails between.
//!
//! An intent is kept before it is signed, its signature before it is sent. After a kill the same
//! signed bytes go out again; another nonce is used only when the old one was seen spent by
//! somebody else's transaction, deep in the chain. A transaction that gets stuck is replaced under
//! its nonce with higher fees, up to a bound.
//!
//! | file | what |
//! |---|---|
//! | `entry` | an intent, its signatures, where it is |
//! | `outbox` | keeps entries |
//! | `terms` | how a sender behaves, and why it may refuse |
//!
//! Nothing here runs by itself: `tick` does one round, `wait` does rounds until an intent is over.
//! Deliberately not here: what to send and when (`ayni-core`), many accounts (one sender each).

mod entry;
mod outbox;
mod terms;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use ayni_types::{Account, Amount};

use crate::client::{Client, ClientError, Fees};
use crate::keystore::Wallet;
use crate::limits::{ATTEMPTS_MAX, IN_FLIGHT_MAX, INTENT_ID_BYTES_MAX, RAW_TX_BYTES_MAX};
pub use entry::{Attempt, Entry, Intent, Outcome, Stage};
pub use outbox::{FileOutbox, MemoryOutbox, Outbox, OutboxError};
pub use terms::{SendError, SendTerms};

/// Rounds in which a spent nonce must be seen without a receipt before it counts as lost: a node's
/// receipts may lag behind its state.
const LOST_ROUNDS: u32 = 5;

/// What is not kept: it begins anew after a restart.
#[derive(Debug, Default)]
struct Watch {
    signed_at: Option<Instant>,
    sent_at: Option<Instant>,
    spent_rounds: u32,
    trouble: Option<String>,
}

/// Sends one account's transactions on one chain.
pub struct Sender {
    client: Client,
    wallet: Wallet,
    terms: SendTerms,
    outbox: Box<dyn Outbox>,
    entries: BTreeMap<u64, Entry>,
    orders: HashMap<String, u64>,
    watches: HashMap<u64, Watch>,
}

impl Sender {
    /// Takes up where the outbox left off.
    ///
    /// # Errors
    /// If the outbox can't be read.
    pub fn new(
        client: Client,
        wallet: Wallet,
        terms: SendTerms,
        mut outbox: Box<dyn Outbox>,
    ) -> Result<Self, SendError> {
        let entries: BTreeMap<_, _> =
            outbox.load()?.into_iter().map(|entry| (entry.order, entry)).collect();
        let orders = entries.values().map(|e| (e.intent.id.clone(), e.order)).collect();
        Ok(Self { client, wallet, terms, outbox, entries, orders, watches: HashMap::new() })
    }

    /// Whose transactions it sends.
    #[must_use]
    pub fn account(&self) -> Account {
        self.wallet.account()
    }

    /// The chain that it sends to.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Takes an intent. It is safe when this returns; the next rounds send it. The same intent
    /// again changes nothing.
    ///
    /// # Errors
    /// If its id is bad or another intent's, it is too long, or the outbox fails.
    pub fn submit(&mut self, intent: Intent) -> Result<(), SendError> {
        if intent.id.is_empty() || intent.id.len() > INTENT_ID_BYTES_MAX {
            return Err(SendError::BadId(intent.id.len()));
        }
        let max = RAW_TX_BYTES_MAX - 1024;
        if intent.data.len() > max {
            return Err(SendError::TooLong { id: intent.id, bytes: intent.data.len(), max });
        }
        if let Some(known) = self.orders.get(&intent.id).and_then(|order| self.entries.get(order)) {
            let same = known.digest == intent.digest();
            return if same { Ok(()) } else { Err(SendError::Conflict(intent.id)) };
        }
        let order = self.entries.last_key_value().map_or(0, |(last, _)| last + 1);
        let entry = Entry::new(intent, order);
        self.outbox.put(&entry)?;
        self.orders.insert(entry.intent.id.clone(), order);
        self.entries.insert(order, entry);
        Ok(())
    }

    /// What is known of an intent, and what stands in its way.
    #[must_use]
    pub fn progress(&self, id: &str) -> Option<(&Entry, Option<&str>)> {
        let order = self.orders.get(id)?;
        let trouble = self.watches.get(order).and_then(|watch| watch.trouble.as_deref());
        self.entries.get(order).map(|entry| (entry, trouble))
    }

    /// Forgets how an intent ended, when its author has taken note. Its id stays used.
    ///
    /// # Errors
    /// If there is none, it is not over, or the outbox fails.
    pub fn forget(&mut self, id: &str) -> Result<(), SendError> {
        let unknown = || SendError::Unknown(id.to_owned());
        let order = *self.orders.get(id).ok_or_else(unknown)?;
        let mut entry = self.entries.get(&order).cloned().ok_or_else(unknown)?;
        if matches!(entry.stage, Stage::Queued | Stage::Sent) {
            return Err(SendError::NotOver(id.to_owned()));
        }
        entry.end(Stage::Forgotten);
        self.keep(entry)
    }

    /// Does rounds until an intent is in a block deep enough.
    ///
    /// # Errors
    /// If it is unknown, refused, not over in time, or the outbox fails.
    pub async fn wait(&mut self, id: &str, timeout: Duration) -> Result<Outcome, SendError> {
        let begin = Instant::now();
        loop {
            self.tick().await?;
            let Some((entry, trouble)) = self.progress(id) else {
                return Err(SendError::Unknown(id.to_owned()));
            };
            match &entry.stage {
                Stage::Done(outcome) => return Ok(*outcome),
                Stage::Refused(why) => {
                    return Err(SendError::Refused { id: id.to_owned(), why: why.clone() });
                }
                Stage::Forgotten => return Err(SendError::Unknown(id.to_owned())),
                Stage::Queued | Stage::Sent if begin.elapsed() > timeout => {
                    let trouble = trouble.unwrap_or("it is not in a block yet").to_owned();
                    let (id, seconds) = (id.to_owned(), timeout.as_secs());
                    return Err(SendError::TimedOut { id, seconds, trouble });
                }
                Stage::Queued | Stage::Sent => tokio::time::sleep(self.terms.poll).await,
            }
        }
    }

    /// Does an intent and waits for it.
    ///
    /// # Errors
    /// As `submit` and `wait`.
    pub async fn run(&mut self, intent: Intent, timeout: Duration) -> Result<Outcome, SendError> {
        let id = intent.id.clone();
        self.submit(intent)?;
        self.wait(&id, timeout).await
    }

    /// One round: looks what is in blocks, sends again or replaces what is not, signs what waits.
    ///
    /// # Errors
    /// If the outbox fails. A node that does not answer is trouble of an intent, not an error.
    pub async fn tick(&mut self) -> Result<(), SendError> {
        let mut sent: Vec<_> =
            self.entries.values().filter_map(|e| Some((e.nonce()?, e.order))).collect();
        sent.sort_unstable();
        for (_, order) in sent {
            if let Err(why) = self.follow(order).await? {
                self.trouble(order, &why);
            }
        }
        let queued = self.entries.values().filter(|e| e.stage == Stage::Queued);
        let queued: Vec<_> = queued.map(|e| e.order).collect();
        for order in queued {
            let in_flight = self.entries.values().filter(|e| e.stage == Stage::Sent).count();
            if in_flight >= IN_FLIGHT_MAX {
                break;
            }
            match self.start(order, in_flight > 0).await? {
                Ok(true) => {}
                // Those behind it may depend on it.
                Ok(false) => break,
                Err(why) => {
                    self.trouble(order, &why);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Signs and sends a queued intent. Says whether those behind it may go too.
    async fn start(
        &mut self,
        order: u64,
        others_in_flight: bool,
    ) -> Result<Result<bool, ClientError>, SendError> {
        let Some(mut entry) = self.entries.get(&order).cloned() else { return Ok(Ok(true)) };
        let Intent { to, value, data, .. } = &entry.intent;
        let gas = match self.client.estimate(self.account(), *to, *value, data).await {
            Ok(gas) => gas,
            // It may need what is in flight before it.
            Err(why) if why.is_revert() && others_in_flight => return Ok(Ok(false)),
            Err(why) if why.is_revert() => {
                entry.end(Stage::Refused(why.to_string()));
                self.keep(entry)?;
                return Ok(Ok(true));
            }
            Err(why) => return Ok(Err(why)),
        };
        let asked = async {
            Ok((self.client.nonce(self.account(), None).await?, self.client.fees().await?))
        };
        let (at_chain, fees) = match asked.await {
            Ok(answers) => answers,
            Err(why) => return Ok(Err(why)),
        };
        let held = self.entries.values().filter_map(Entry::nonce).max();
        let nonce = held.map_or(at_chain, |held| at_chain.max(held + 1));
        let fees = self.bounded(fees);
        let attempt = self.sign(&entry.intent, nonce, gas, fees);
        entry.attempts.push(attempt);
        entry.stage = Stage::Sent;
        self.keep(entry)?;
        self.watches.entry(order).or_default().signed_at = Some(Instant::now());
        Ok(self.send_last(order).await.map(|()| true))
    }

    /// Looks after an intent that was signed.
    async fn follow(&mut self, order: u64) -> Result<Result<(), ClientError>, SendError> {
        let Some(entry) = self.entries.get(&order).cloned() else { return Ok(Ok(())) };
        let found = match self.outcome(&entry).await {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        match found {
            Found::Deep(outcome) => {
                let mut entry = entry;
                entry.end(Stage::Done(outcome));
                self.watches.remove(&order);
                self.keep(entry)?;
                return Ok(Ok(()));
            }
            Found::Shallow => {
                self.watches.entry(order).or_default().spent_rounds = 0;
                return Ok(Ok(()));
            }
            Found::Spent => {
                let watch = self.watches.entry(order).or_default();
                watch.spent_rounds += 1;
                if watch.spent_rounds >= LOST_ROUNDS {
                    // None of the attempts can be in a block any more.
                    tracing::warn!(
                        id = entry.intent.id,
                        nonce = entry.nonce(),
                        "somebody else used the nonce; the intent is signed anew"
                    );
                    let mut entry = entry;
                    entry.stage = Stage::Queued;
                    self.watches.remove(&order);
                    return Ok(Ok(self.keep(entry)?));
                }
            }
            Found::Nowhere => self.watches.entry(order).or_default().spent_rounds = 0,
        }
        let watch = self.watches.entry(order).or_default();
        let signed_at = *watch.signed_at.get_or_insert_with(Instant::now);
        if signed_at.elapsed() >= self.terms.stuck_after
            && let Err(why) = self.bump(order).await?
        {
            return Ok(Err(why));
        }
        let sent_at = self.watches.entry(order).or_default().sent_at;
        if sent_at.is_none_or(|at| at.elapsed() >= self.terms.resend_after) {
            return Ok(self.send_last(order).await);
        }
        Ok(Ok(()))
    }

    /// Where the chain has an intent.
    async fn outcome(&self, entry: &Entry) -> Result<Found, ClientError> {
        for attempt in entry.attempts.iter().rev() {
            let Some(receipt) = self.client.receipt(attempt.tx()).await? else { continue };
            let Some(block) = receipt.block_number else { continue };
            if self.client.head().await?.saturating_sub(block) < self.terms.confirmations {
                return Ok(Found::Shallow);
            }
            let header = self.client.header(block).await?;
            if header.map(|header| header.hash) != receipt.block_hash {
                // Its block is no more part of the chain; the node has yet to notice.
                return Ok(Found::Shallow);
            }
            return Ok(Found::Deep(Outcome {
                tx: attempt.hash,
                block,
                success: receipt.status(),
                gas_used: receipt.gas_used,
                created: receipt.contract_address.map(|at| Account(at.into())),
            }));
        }
        let deep = match self.terms.confirmations {
            0 => None,
            n => Some(self.client.head().await?.saturating_sub(n)),
        };
        let next = self.client.nonce(self.account(), deep).await?;
        let spent = entry.nonce().is_some_and(|nonce| next > nonce);
        Ok(if spent { Found::Spent } else { Found::Nowhere })
    }

    /// Signs the last attempt again with higher fees, if the bound allows.
    async fn bump(&mut self, order: u64) -> Result<Result<(), ClientError>, SendError> {
        let Some(mut entry) = self.entries.get(&order).cloned() else { return Ok(Ok(())) };
        let Some(last) = entry.attempts.last().cloned() else { return Ok(Ok(())) };
        let now = match self.client.fees().await {
            Ok(fees) => fees,
            Err(why) => return Ok(Err(why)),
        };
        // Nodes replace a transaction for a tenth more; an eighth is safe.
        let more = |wei: Amount| wei.0.saturating_add(wei.0 / 8).saturating_add(1);
        let fees = Fees {
            max_wei: now.max_wei.max(more(last.max_wei)),
            priority_wei: now.priority_wei.max(more(last.priority_wei)),
        };
        let watch = self.watches.entry(order).or_default();
        if fees.max_wei > self.terms.fee_wei_max || entry.attempts.len() >= ATTEMPTS_MAX {
            watch.trouble = Some(format!(
                "it is stuck at {} wei per gas after {} attempts; the most is {}\nhint: raise the \
                 fee bound, or wait",
                last.max_wei,
                entry.attempts.len(),
                self.terms.fee_wei_max
            ));
            return Ok(Ok(()));
        }
        watch.signed_at = Some(Instant::now());
        watch.sent_at = None;
        let attempt = self.sign(&entry.intent, last.nonce, last.gas, self.bounded(fees));
        entry.attempts.push(attempt);
        Ok(Ok(self.keep(entry)?))
    }

    /// Hands the last attempt to the node.
    async fn send_last(&mut self, order: u64) -> Result<(), ClientError> {
        let Some(raw) =
            self.entries.get(&order).and_then(|e| e.attempts.last()).map(|a| a.raw.clone())
        else {
            return Ok(());
        };
        self.watches.entry(order).or_default().sent_at = Some(Instant::now());
        self.client.send_raw(&raw).await?;
        self.watches.entry(order).or_default().trouble = None;
        Ok(())
    }

    fn bounded(&self, fees: Fees) -> Fees {
        let max_wei = fees.max_wei.min(self.terms.fee_wei_max);
        Fees { max_wei, priority_wei: fees.priority_wei.min(max_wei) }
    }

    fn sign(&self, intent: &Intent, nonce: u64, gas: u64, fees: Fees) -> Attempt {
        let tx = TxEip1559 {
            chain_id: self.client.chain(),
            nonce,
            gas_limit: gas,
            max_fee_per_gas: fees.max_wei,
            max_priority_fee_per_gas: fees.priority_wei,
            to: intent.to.map_or(TxKind::Create, |to| TxKind::Call(Address::from(to.0))),
            value: U256::from(intent.value.0),
            access_list: alloy_eips::eip2930::AccessList::default(),
            input: Bytes::from(intent.data.clone()),
        };
        let signature = self.wallet.sign(&tx.signature_hash().0);
        let (rs, v) = (&signature.0[..64], signature.0[64]);
        let signed =
            TxEnvelope::from(tx.into_signed(Signature::from_bytes_and_parity(rs, v == 28)));
        Attempt {
            raw: signed.encoded_2718(),
            hash: (*signed.tx_hash()).into(),
            nonce,
            gas,
            max_wei: Amount(fees.max_wei),
            priority_wei: Amount(fees.priority_wei),
        }
    }

    fn keep(&mut self, entry: Entry) -> Result<(), SendError> {
        self.outbox.put(&entry)?;
        self.entries.insert(entry.order, entry);
        Ok(())
    }

    fn trouble(&mut self, order: u64, why: &ClientError) {
        let watch = self.watches.entry(order).or_default();
        watch.trouble = Some(why.to_string());
    }
}

/// Where an intent's attempts are.
enum Found {
    /// In a block, deep enough.
    Deep(Outcome),
    /// In a block, not deep enough or not for sure.
    Shallow,
    /// Nowhere, and the nonce was used by another transaction.
    Spent,
    /// Nowhere yet.
    Nowhere,
}
