//! Follows the contracts' logs: what is deep enough in the chain, in order, each once, and taken
//! back when the chain goes another way.
//!
//! Nodes lie, lag and stand still. With several, more than half of all must agree on a block and on
//! its logs before they are believed; what one says alone is reported, not believed. With one there
//! is nobody to compare with, but blocks must still link, and logs must be of blocks that do.
//!
//! | file | what |
//! |---|---|
//! | `event` | what a log says |
//! | `cursor` | how far it came, and hashes of the last blocks |
//! | `endpoint` | one node and what is held against it |
//! | `report` | what a round brings, and why it may not |
//!
//! Nothing here runs by itself: `poll` does one round. Deliberately not here: proofs of consensus,
//! blooms, storing events (whoever handles them stores the cursor with them).

mod cursor;
mod endpoint;
mod event;
mod report;

use std::time::Duration;

use alloy_primitives::Address;
use alloy_rpc_types_eth::Log;
use futures_util::future::join_all;

use crate::client::{Client, ClientError};
use crate::contracts::Addresses;
use crate::limits::{CHUNK_BLOCKS, RING_BLOCKS};
pub use cursor::Cursor;
use endpoint::{Endpoint, Link};
pub use event::{ChainEvent, Verdict};
pub use report::{Alarm, Notice, Position, WatchError};

/// Chunks of blocks in one round, so that a round ends.
const CHUNKS_MAX: u32 = 8;

/// How a watcher behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchTerms {
    /// Blocks on top of one before it is looked at. 0 on the local ledger.
    pub confirmations: u64,
    /// A head that stands still for longer is not believed. Nothing on the local ledger, where
    /// blocks come with transactions alone.
    pub stall_after: Option<Duration>,
}

/// Follows the contracts of one deployment.
#[derive(Debug)]
pub struct Watcher {
    endpoints: Vec<Endpoint>,
    contracts: Addresses,
    asked: Vec<Address>,
    terms: WatchTerms,
    cursor: Cursor,
    /// Blocks asked for at once: fewer after a refusal, since nodes bound their answers.
    chunk: u64,
    waiting: bool,
}

/// What more than half of the nodes say, or why nothing.
enum Agreed<T> {
    On(T),
    Nothing,
}

impl Watcher {
    /// Watches from `cursor` on, asking `clients`.
    ///
    /// # Errors
    /// If there are none, or one is of another chain.
    pub fn new(
        clients: Vec<Client>,
        contracts: Addresses,
        terms: WatchTerms,
        cursor: Cursor,
    ) -> Result<Self, WatchError> {
        if clients.is_empty() {
            return Err(WatchError::NoNodes);
        }
        if let Some(other) = clients.iter().find(|client| client.chain() != contracts.chain) {
            let (node, found) = (other.node().to_owned(), other.chain());
            return Err(WatchError::OtherChain { node, found, wanted: contracts.chain });
        }
        let asked = [contracts.channels, contracts.registry, contracts.disputes];
        let asked = asked.iter().map(|at| Address::from(at.0)).collect();
        let endpoints = clients.into_iter().map(Endpoint::new).collect();
        Ok(Self { endpoints, contracts, asked, terms, cursor, chunk: CHUNK_BLOCKS, waiting: false })
    }

    /// How far it came: to be kept together with the events.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// How long to wait before the next round, when `usual` is usual.
    #[must_use]
    pub fn pause(&self, usual: Duration) -> Duration {
        let soonest = self.endpoints.iter().map(Endpoint::retry_in).min().unwrap_or_default();
        soonest.max(usual)
    }

    /// One round: what happened since the last one, as far as it is believed.
    ///
    /// # Errors
    /// If it can't go on from where it is. A node that fails is an alarm, not an error.
    pub async fn poll(&mut self) -> Result<Vec<Notice>, WatchError> {
        let mut notices = Vec::new();
        self.ask_heads(&mut notices).await;
        let Some(target) = self.target() else { return Ok(notices) };
        if !self.step_back(&mut notices).await? {
            return Ok(notices);
        }
        for _ in 0..CHUNKS_MAX {
            if self.cursor.next > target || !self.chunk(target, &mut notices).await? {
                break;
            }
        }
        Ok(notices)
    }

    fn quorum(&self) -> usize {
        self.endpoints.len() / 2 + 1
    }

    async fn ask_heads(&mut self, notices: &mut Vec<Notice>) {
        let due = self.endpoints.iter_mut().filter(|endpoint| endpoint.is_due());
        let asking = due.map(|endpoint| async {
            match endpoint.client.head().await {
                Ok(head) => {
                    endpoint.answered(head);
                    None
                }
                Err(why) => endpoint.failed(why.to_string()),
            }
        });
        let alarms = join_all(asking.collect::<Vec<_>>()).await;
        notices.extend(alarms.into_iter().flatten().map(Notice::Alarm));
        if let Some(after) = self.terms.stall_after {
            let stalls = self.endpoints.iter_mut().filter_map(|e| e.check_stall(after));
            notices.extend(stalls.map(Notice::Alarm));
        }
    }

    /// The last block that is deep enough for enough nodes.
    fn target(&self) -> Option<u64> {
        let mut heads: Vec<_> =
            self.endpoints.iter().filter(|e| e.is_live()).map(|e| e.head).collect();
        heads.sort_unstable_by(|a, b| b.cmp(a));
        heads.get(self.quorum() - 1)?.checked_sub(self.terms.confirmations)
    }

    /// Goes back to the last block that still is part of the chain. Says whether to go on.
    async fn step_back(&mut self, notices: &mut Vec<Notice>) -> Result<bool, WatchError> {
        let mut oldest = None;
        while let Some(seen) = self.cursor.last() {
            match self.agree_on_block(seen.number, notices).await {
                Agreed::Nothing => return Ok(false),
                Agreed::On(Some(link)) if link.hash == seen.hash => break,
                Agreed::On(_) => {
                    oldest = Some(seen.number);
                    self.cursor.pop();
                }
            }
        }
        match (oldest, self.cursor.last()) {
            (None, _) => {}
            (Some(_), Some(last)) => notices.push(Notice::Reverted { after: last.number }),
            // The first block that was ever looked at went: nothing before it was.
            (Some(oldest), None) if oldest <= self.contracts.since_block => {
                self.cursor = Cursor::at(oldest);
                notices.push(Notice::Reverted { after: oldest.saturating_sub(1) });
            }
            (Some(oldest), None) => {
                let since = self.contracts.since_block;
                return Err(WatchError::TooDeep { oldest, since });
            }
        }
        Ok(true)
    }

    /// Takes in the next blocks up to `target`. Says whether to go on.
    async fn chunk(&mut self, target: u64, notices: &mut Vec<Notice>) -> Result<bool, WatchError> {
        let from = self.cursor.next;
        let to = target.min(from.saturating_add(self.chunk - 1));
        // Near the head every block is looked at; far below it, where no fork is found any more,
        // the last of each chunk is enough.
        let near = target.saturating_sub(RING_BLOCKS as u64 / 2);
        let mut links: Vec<(u64, Link)> = Vec::new();
        for number in from..=to {
            if number < near && number != to {
                continue;
            }
            let Agreed::On(Some(link)) = self.agree_on_block(number, notices).await else {
                return Ok(false);
            };
            let before = links.last().map(|(n, link)| (*n, link.hash));
            let before = before.or(self.cursor.last().map(|seen| (seen.number, seen.hash)));
            if before.is_some_and(|(n, hash)| n + 1 == number && hash != link.parent) {
                // Most say so: the chain moved between two questions, or they lie together.
                self.accuse_all(number, notices);
                return Ok(false);
            }
            links.push((number, link));
        }
        let Agreed::On(logs) = self.agree_on_logs(from, to, &links, notices).await else {
            self.chunk = (self.chunk / 2).max(1);
            return Ok(false);
        };
        self.chunk = (self.chunk * 2).min(CHUNK_BLOCKS);
        // Logs were asked for after blocks: the last block must still be the same.
        match (self.agree_on_block(to, notices).await, links.last()) {
            (Agreed::On(Some(now)), Some((_, link))) if now == *link => {}
            _ => return Ok(false),
        }
        let mut events = Vec::with_capacity(logs.len());
        for log in &logs {
            let at = position(log);
            let decoded = event::decode(&self.contracts, &log.inner)
                .map_err(|why| WatchError::Undecodable { block: at.block, index: at.index, why })?;
            events.extend(decoded.map(|event| Notice::Event { at, event: Box::new(event) }));
        }
        notices.extend(events);
        links.into_iter().for_each(|(number, link)| self.cursor.push(number, link.hash));
        Ok(true)
    }

    /// What most nodes have as block `number`; nothing within if they have none.
    async fn agree_on_block(
        &mut self,
        number: u64,
        notices: &mut Vec<Notice>,
    ) -> Agreed<Option<Link>> {
        let ask = |client: Client| async move {
            Ok(client.header(number).await?.map(|h| Link::of(&h)))
        };
        let differs = |node: String, _: &Option<Link>, said: &Option<Link>| {
            // One that is behind has none yet.
            said.is_some().then_some(Alarm::BlockDiffers { node, block: number })
        };
        self.agree((number, number), ask, differs, notices).await
    }

    /// The logs that most nodes have within some blocks.
    async fn agree_on_logs(
        &mut self,
        from: u64,
        to: u64,
        links: &[(u64, Link)],
        notices: &mut Vec<Notice>,
    ) -> Agreed<Vec<Log>> {
        let asked = self.asked.clone();
        let ask = |client: Client| async {
            let client = client;
            let mut logs = client.logs(&asked, from, to).await?;
            logs.sort_by_key(|log| (log.block_number, log.log_index));
            let fits = check_logs(&logs, &asked, from, to, links);
            fits.map_err(|why| ClientError::Malformed {
                node: client.node().to_owned(),
                what: "logs",
                why,
            })?;
            // What nodes may add or leave out.
            for log in &mut logs {
                log.block_timestamp = None;
            }
            Ok(logs)
        };
        let differs = |node: String, agreed: &Vec<Log>, said: &Vec<Log>| {
            let missing = agreed.iter().filter(|log| !said.contains(log)).count();
            let extra = said.iter().filter(|log| !agreed.contains(log)).count();
            Some(Alarm::LogsDiffer { node, from, to, missing, extra })
        };
        self.agree((from, to), ask, differs, notices).await
    }

    /// Asks all live nodes, and takes what more than half of all nodes say.
    async fn agree<T: PartialEq + Clone, F: Future<Output = Result<T, ClientError>>>(
        &mut self,
        (from, to): (u64, u64),
        ask: impl Fn(Client) -> F,
        differs: impl Fn(String, &T, &T) -> Option<Alarm>,
        notices: &mut Vec<Notice>,
    ) -> Agreed<T> {
        let quorum = self.quorum();
        let live: Vec<_> = self.endpoints.iter_mut().filter(|e| e.is_live()).collect();
        let asking = live.into_iter().map(|endpoint| {
            let answer = ask(endpoint.client.clone());
            async { (endpoint, answer.await) }
        });
        let answers = join_all(asking.collect::<Vec<_>>()).await;
        let mut said = Vec::with_capacity(answers.len());
        let mut alarms = Vec::new();
        for (endpoint, answer) in answers {
            match answer {
                Ok(answer) => said.push((endpoint, answer)),
                Err(ClientError::Malformed { node, why, .. }) => {
                    alarms.extend(endpoint.accuse(Alarm::Malformed { node, from, to, why }));
                }
                Err(why) => alarms.extend(endpoint.failed(why.to_string())),
            }
        }
        let votes = |answer: &T| said.iter().filter(|(_, other)| other == answer).count();
        let agreed = said.iter().map(|(_, answer)| answer).find(|answer| votes(answer) >= quorum);
        let agreed = agreed.cloned();
        match &agreed {
            Some(agreed) => {
                self.waiting = false;
                for (endpoint, answer) in said {
                    if answer == *agreed {
                        endpoint.clear();
                    } else {
                        let node = endpoint.client.node().to_owned();
                        let alarm = differs(node, agreed, &answer);
                        alarms.extend(alarm.and_then(|alarm| endpoint.accuse(alarm)));
                    }
                }
            }
            None => {
                if !std::mem::replace(&mut self.waiting, true) {
                    alarms.push(Alarm::NoAgreement { from, to });
                }
            }
        }
        notices.extend(alarms.into_iter().map(Notice::Alarm));
        agreed.map_or(Agreed::Nothing, Agreed::On)
    }

    fn accuse_all(&mut self, block: u64, notices: &mut Vec<Notice>) {
        let live = self.endpoints.iter_mut().filter(|e| e.is_live());
        let alarms = live.filter_map(|endpoint| {
            let node = endpoint.client.node().to_owned();
            endpoint.accuse(Alarm::Unlinked { node, block })
        });
        notices.extend(alarms.map(Notice::Alarm));
    }
}

/// Where a log is; `check_logs` made sure that it says so.
fn position(log: &Log) -> Position {
    Position {
        block: log.block_number.unwrap_or_default(),
        block_hash: log.block_hash.unwrap_or_default().into(),
        tx: log.transaction_hash.unwrap_or_default().into(),
        index: log.log_index.unwrap_or_default(),
    }
}

/// Whether logs are what was asked for: of these contracts, within these blocks, of blocks that are
/// known by these hashes, each once.
fn check_logs(
    logs: &[Log],
    asked: &[Address],
    from: u64,
    to: u64,
    links: &[(u64, Link)],
) -> Result<(), String> {
    let mut last = None;
    for log in logs {
        let (Some(block), Some(hash), Some(index), Some(_)) =
            (log.block_number, log.block_hash, log.log_index, log.transaction_hash)
        else {
            return Err("a log without its block, transaction or number".into());
        };
        if log.removed {
            return Err(format!("log {index} of block {block} is marked as removed"));
        }
        if !asked.contains(&log.address()) || !(from..=to).contains(&block) {
            return Err(format!("log {index} of block {block} was not asked for"));
        }
        let known = links.iter().find(|(number, _)| *number == block);
        if known.is_some_and(|(_, link)| link.hash != hash.0) {
            return Err(format!("log {index} is of another block {block}"));
        }
        if last.replace((block, index)) == Some((block, index)) {
            return Err(format!("log {index} of block {block} is there twice"));
        }
    }
    Ok(())
}
