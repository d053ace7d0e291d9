//! The state machine itself: what it holds, how events come in and effects go out, and how each
//! journal record changes it (live and at recovery by the same code, so that both agree).
//!
//! Deliberately not here: what to do about a message (`market`, `schedule`, `verify`, `provider`,
//! `directory`) and how state is shown (`view`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ayni_types::{
    Amount, AssignmentId, ChannelId, JobId, LeaseId, NodeAddr, NodeId, Roles, TaskId, Time, limits,
};
use ayni_wire::{FullLease, Hello, Message, PROTOCOL_VERSION, SignedBatch, TwoRoots};

use crate::audit::Draw;
use crate::backing::StakeOf;
use crate::budget::Reserve;
use crate::channel::{Purse, Till};
use crate::config::Config;
use crate::draws::Trust;
use crate::effect::{Effect, FetchId, Notice, NoticeKind, RunId, SlotId};
use crate::event::{Command, Event, Reply};
use crate::gate::{Gate, Then};
use crate::home::HomeRun;
use crate::job::{Audit, Ended, Job};
use crate::journal::{Record, RecoverError, decode_record};
use crate::market::{Ban, Hire, Known, Obstacle, Shun};
use crate::provider::Provider;
use crate::purse::channel_of;
use crate::rng::Chance;
use crate::seal::Seal;

/// The node as a state machine. See the crate.
pub struct Core {
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) seal: Box<dyn Seal + Send>,
    pub(crate) me: NodeId,
    pub(crate) chance: Chance,
    pub(crate) gate: Gate,
    pub(crate) effects: VecDeque<Effect>,
    pub(crate) recovering: bool,
    /// Something changed that may let work move.
    pub(crate) dirty: bool,
    /// Something changed that may let us lease more.
    pub(crate) market_dirty: bool,
    pub(crate) heartbeat_at: Option<Time>,
    pub(crate) query_at: Option<Time>,
    pub(crate) queried_at: Option<Time>,

    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) queries: BTreeMap<u64, (NodeId, Time)>,
    pub(crate) directory: BTreeMap<NodeId, Known>,

    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) running: BTreeSet<JobId>,
    /// Jobs that may have ended.
    pub(crate) touched: BTreeSet<JobId>,
    /// Settled outcomes that need not be run again.
    pub(crate) outcomes: BTreeMap<TaskId, (JobId, u32)>,

    pub(crate) offers: BTreeMap<NodeId, Known>,
    pub(crate) shunned: BTreeMap<NodeId, Shun>,
    pub(crate) banned: BTreeMap<NodeId, Ban>,
    pub(crate) trust: BTreeMap<NodeId, Trust>,
    /// How far each lease's results were drawn.
    pub(crate) draws: BTreeMap<LeaseId, Draw>,
    pub(crate) hires: BTreeMap<LeaseId, Hire>,
    /// What each assignment may still be billed at most.
    pub(crate) reserves: BTreeMap<AssignmentId, Reserve>,
    /// Leases that we asked for and that are not closed; used to end them after a restart.
    pub(crate) open_asks: BTreeMap<LeaseId, NodeId>,
    pub(crate) leases: BTreeMap<LeaseId, FullLease>,
    pub(crate) batches: BTreeMap<(LeaseId, u64), SignedBatch>,

    pub(crate) home_free: Vec<SlotId>,
    /// Own cores rest until then: the disk was full.
    pub(crate) home_rests_until: Option<Time>,
    pub(crate) home_runs: BTreeMap<RunId, HomeRun>,
    pub(crate) fetches: BTreeMap<FetchId, FetchOwner>,
    pub(crate) provider: Option<Provider>,
    /// Why somebody whom we want to hire can't be paid yet.
    pub(crate) pay_waits: BTreeMap<NodeId, Obstacle>,
    /// What the chain holds behind leases that we asked for: what a jury would take, and until when.
    pub(crate) stakes: BTreeMap<StakeOf, (Amount, Time)>,
    /// Frauds that were found here or shown by others.
    pub(crate) proofs: Vec<TwoRoots>,
    /// Channels that we pay from.
    pub(crate) purses: BTreeMap<ChannelId, Purse>,
    /// Channels that we are paid from, and which lease is paid from which.
    pub(crate) tills: BTreeMap<ChannelId, Till>,
    pub(crate) lease_tills: BTreeMap<LeaseId, ChannelId>,
    next_id: u64,
}

/// For what a fetch is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FetchOwner {
    /// Provider side.
    Input(LeaseId, u64),
    /// Requester side.
    Output(LeaseId, u64),
}

/// Another node, as far as it is known.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) addr: Option<NodeAddr>,
    pub(crate) up: bool,
    pub(crate) roles: Option<Roles>,
    pub(crate) agent: String,
    pub(crate) version: Option<u32>,
    pub(crate) heard: Time,
    pub(crate) down_since: Option<Time>,
    tokens: u32,
    refilled: Time,
    pub(crate) dropped: u64,
}

impl Core {
    /// A node with an empty journal.
    #[must_use]
    pub fn new(config: Config, seal: Box<dyn Seal + Send>, seed: [u8; 32], now: Time) -> Self {
        let mut core = Self::empty(config, seal, seed, now, 1);
        core.start();
        core
    }

    /// A node that goes on where its journal ends. `seed` must be a new one.
    ///
    /// # Errors
    /// When a record is damaged, missing or of another version: better no node than a wrong one.
    pub fn recover(
        config: Config,
        seal: Box<dyn Seal + Send>,
        seed: [u8; 32],
        now: Time,
        records: impl Iterator<Item = Vec<u8>>,
    ) -> Result<Self, RecoverError> {
        let mut core = Self::empty(config, seal, seed, now, 1);
        core.recovering = true;
        let mut last = 0;
        for (at, bytes) in (0..).zip(records) {
            match decode_record(at, &bytes)? {
                Record::Batch { sequence } if sequence == last + 1 => last = sequence,
                Record::Batch { sequence } => {
                    return Err(RecoverError::Gap { after: last, found: sequence });
                }
                record => core.apply(record),
            }
        }
        core.recovering = false;
        core.gate = Gate::new(last + 1);
        core.start();
        Ok(core)
    }

    fn empty(
        config: Config,
        seal: Box<dyn Seal + Send>,
        seed: [u8; 32],
        now: Time,
        sequence: u64,
    ) -> Self {
        let home_slots = u64::from(config.home.slots);
        Self {
            now,
            me: seal.node(),
            provider: config.provider.clone().map(Provider::new),
            config,
            seal,
            chance: Chance::new(seed),
            gate: Gate::new(sequence),
            effects: VecDeque::new(),
            recovering: false,
            dirty: true,
            market_dirty: true,
            heartbeat_at: None,
            query_at: None,
            queried_at: None,
            peers: BTreeMap::new(),
            queries: BTreeMap::new(),
            directory: BTreeMap::new(),
            jobs: BTreeMap::new(),
            running: BTreeSet::new(),
            touched: BTreeSet::new(),
            outcomes: BTreeMap::new(),
            offers: BTreeMap::new(),
            shunned: BTreeMap::new(),
            banned: BTreeMap::new(),
            trust: BTreeMap::new(),
            draws: BTreeMap::new(),
            hires: BTreeMap::new(),
            reserves: BTreeMap::new(),
            open_asks: BTreeMap::new(),
            leases: BTreeMap::new(),
            stakes: BTreeMap::new(),
            proofs: Vec::new(),
            batches: BTreeMap::new(),
            home_rests_until: None,
            home_free: (1..=home_slots).rev().map(SlotId).collect(),
            home_runs: BTreeMap::new(),
            fetches: BTreeMap::new(),
            pay_waits: BTreeMap::new(),
            purses: BTreeMap::new(),
            tills: BTreeMap::new(),
            lease_tills: BTreeMap::new(),
            next_id: home_slots + 1,
        }
    }

    fn start(&mut self) {
        for addr in self.config.directories.clone() {
            self.discover(addr);
        }
        self.provider_start();
        self.watch_channels();
        self.touched = self.running.clone();
        self.after_event();
    }

    /// Something happened at `now`. Time that goes back counts as standing still.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Tick => {}
            Event::PeerUp(node) => self.peer_up(node),
            Event::PeerDown(node) => self.peer_down(node),
            Event::Discovered(addr) => self.discover(addr),
            Event::Message { from, message } => self.message(from, message),
            Event::Persisted { sequence } => {
                let was_failed = self.gate.failed().is_some();
                for then in self.gate.persisted(sequence) {
                    self.act(then);
                }
                if was_failed && self.gate.failed().is_none() {
                    self.notice(None, NoticeKind::Stalled { reason: String::new() });
                    self.dirty = true;
                    self.market_dirty = true;
                }
            }
            Event::PersistFailed { sequence, reason } => {
                let retry_at = self.now.after_ms(self.config.tuning.journal_retry_ms);
                let text = format!("the journal can't be written: {reason}");
                if self.gate.fail(sequence, reason, retry_at) {
                    self.notice(None, NoticeKind::Stalled { reason: text });
                }
            }
            Event::Command { id, command } => match command {
                Command::Pause { reason } => self.pause(id, reason),
                Command::Resume { reason } => self.resume(id, reason),
                Command::Drain => self.drain(id),
                Command::Lend(lent) => self.lend(id, lent),
                Command::Claim => {
                    self.look_after_tills(true);
                    self.effects.push_back(Effect::Reply { id, result: Ok(Reply::Done) });
                }
                other => self.command(id, other),
            },
            Event::Fetched { fetch, result } => match self.fetches.remove(&fetch) {
                Some(FetchOwner::Input(lease, number)) => {
                    self.input_fetched(lease, number, result);
                }
                Some(FetchOwner::Output(lease, number)) => {
                    self.output_fetched(lease, number, result);
                }
                None => {}
            },
            Event::ChannelSeen { channel, seen } => {
                self.purse_seen(channel, seen);
                self.till_seen(channel, seen);
            }
            Event::ChainFailed { channel, reason } => self.chain_failed(channel, reason),
            Event::StakeSeen { stake, at_risk, until } => self.stake_seen(stake, at_risk, until),
            Event::RunStarted { run, compiling } => self.tenant_run_started(run, compiling),
            Event::Ran { run, result } => {
                if self.home_runs.contains_key(&run) {
                    self.home_ran(run, result);
                } else {
                    self.tenant_ran(run, result);
                }
            }
        }
        self.after_event();
    }

    /// What to do next; ask until there is nothing.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to send [`Event::Tick`] if nothing else happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        [
            self.heartbeat_at,
            self.query_at,
            self.gate.retry_at(),
            self.provider.as_ref().and_then(Provider::next_timeout),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// New addresses of this node, for offers and greetings.
    pub fn update_addr(&mut self, addr: NodeAddr) {
        if addr == self.config.addr {
            return;
        }
        self.config.addr = addr;
        let hello = self.hello();
        for to in self.peers.iter().filter(|(_, p)| p.up).map(|(n, _)| *n).collect::<Vec<_>>() {
            self.send(to, hello.clone());
        }
        if let Some(provider) = &mut self.provider {
            provider.offer_changed = true;
        }
        self.after_event();
    }

    fn after_event(&mut self) {
        if self.gate.retry_at().is_some_and(|at| at <= self.now) {
            self.gate.retry();
        }
        if self.heartbeat_at.is_some_and(|at| at <= self.now) {
            self.heartbeat_at = None;
            if self.home_rests_until.is_some_and(|until| until <= self.now) {
                self.home_rests_until = None;
                self.dirty = true;
            }
            self.requester_heartbeat();
            self.provider_heartbeat();
            self.look_after_purses();
            self.look_after_tills(false);
            self.unpaid_leases();
        }
        if self.query_at.is_some_and(|at| at <= self.now) {
            self.query_at = None;
            self.query_now();
        }
        self.provider_timers();
        if self.dirty {
            self.dirty = false;
            self.dispatch();
        }
        self.settle();
        if self.heartbeat_at.is_none() && self.needs_heartbeat() {
            self.heartbeat_at = Some(self.now.after_ms(self.config.tuning.heartbeat_ms));
        }
        while let Some((sequence, records)) =
            self.gate.begin(self.config.tuning.journal_in_flight_max)
        {
            self.effects.push_back(Effect::Persist { sequence, records });
        }
    }

    fn needs_heartbeat(&self) -> bool {
        !self.running.is_empty()
            || !self.hires.is_empty()
            || self.provider.as_ref().is_some_and(Provider::is_busy)
            || self.purses_busy()
            || self.tills_busy()
    }

    // --- what every part uses ---

    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        self.effects.push_back(Effect::Send { to, message });
    }

    pub(crate) fn notice(&mut self, job: Option<JobId>, kind: NoticeKind) {
        self.effects.push_back(Effect::Notice(Notice { time: self.now, job, kind }));
    }

    /// A notice that states something as settled: it waits for the journal.
    pub(crate) fn notice_gated(&mut self, job: JobId, kind: NoticeKind) {
        let notice = Notice { time: self.now, job: Some(job), kind };
        self.gated(Then::Notice(Box::new(notice)));
    }

    pub(crate) fn send_gated(&mut self, to: NodeId, message: Message) {
        self.gated(Then::Send(to, Box::new(message)));
    }

    /// Does `then` once everything committed so far is durable.
    pub(crate) fn gated(&mut self, then: Then) {
        if let Some(then) = self.gate.after(then) {
            self.act(then);
        }
    }

    fn act(&mut self, then: Then) {
        match then {
            Then::Send(to, message) => self.send(to, *message),
            Then::Reply(id, result) => self.effects.push_back(Effect::Reply { id, result }),
            Then::Notice(notice) => self.effects.push_back(Effect::Notice(*notice)),
            Then::TaskDurable(job, index) => {
                if let Some(task) = self.jobs.get_mut(&job).and_then(|j| j.task_mut(index)) {
                    task.durable = true;
                }
            }
            Then::JobDurable(job) => {
                if let Some(ended) = self.jobs.get_mut(&job).and_then(|j| j.ended.as_mut()) {
                    ended.durable = true;
                }
            }
            Then::OfferDurable(sequence) => self.offer_durable(sequence),
            Then::Watch(paid_by) => self.effects.push_back(Effect::WatchChannel(paid_by)),
            Then::Chain(paid_by, step) => self.effects.push_back(Effect::Chain { paid_by, step }),
        }
    }

    /// Writes a record and applies it.
    pub(crate) fn commit(&mut self, record: Record) {
        self.gate.write(&record);
        self.apply(record);
    }

    pub(crate) fn hello(&self) -> Message {
        Message::Hello(Hello {
            version: PROTOCOL_VERSION,
            agent: concat!("ayni/", env!("CARGO_PKG_VERSION")).to_owned(),
            roles: self.config.roles,
            addr: self.config.addr.clone(),
        })
    }

    // --- peers ---

    pub(crate) fn peer(&mut self, node: NodeId) -> Option<&mut Peer> {
        if !self.peers.contains_key(&node) {
            if self.peers.len() >= self.config.tuning.peers_max {
                let idle = self.peers.iter().find(|(_, p)| !p.up).map(|(n, _)| *n)?;
                self.peers.remove(&idle);
            }
            let burst = self.config.tuning.peer_burst;
            self.peers.insert(node, Peer::new(self.now, burst));
        }
        self.peers.get_mut(&node)
    }

    fn discover(&mut self, addr: NodeAddr) {
        if addr.node == self.me || addr.direct.len() > limits::ADDRESSES_MAX {
            return;
        }
        let Some(peer) = self.peer(addr.node) else { return };
        if peer.up || peer.addr.as_ref() != Some(&addr) {
            peer.addr = Some(addr.clone());
            self.effects.push_back(Effect::Connect(addr));
        }
    }

    /// Keeps a connection to somebody we want to work with.
    pub(crate) fn connect(&mut self, addr: &NodeAddr) {
        if addr.node == self.me {
            return;
        }
        let Some(peer) = self.peer(addr.node) else { return };
        if !peer.up {
            peer.addr = Some(addr.clone());
            self.effects.push_back(Effect::Connect(addr.clone()));
        }
    }

    fn peer_up(&mut self, node: NodeId) {
        let now = self.now;
        if let Some(peer) = self.peer(node) {
            peer.up = true;
            peer.down_since = None;
            peer.heard = now;
        }
        let hello = self.hello();
        self.send(node, hello);
        self.requester_peer_up(node);
        self.purse_peer_up(node);
        self.provider_peer_up(node);
        self.dirty = true;
    }

    fn peer_down(&mut self, node: NodeId) {
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.up = false;
            peer.down_since.get_or_insert(now);
        }
    }

    fn message(&mut self, from: NodeId, message: Message) {
        let (burst, rate) =
            (self.config.tuning.peer_burst, self.config.tuning.peer_messages_per_second);
        let now = self.now;
        let Some(peer) = self.peer(from) else { return };
        peer.heard = now;
        // What belongs to a lease is bounded by the lease; everything else by a bucket per peer.
        let free = matches!(
            message,
            Message::Delivered(_)
                | Message::Faulted { .. }
                | Message::Batch(_)
                | Message::BatchAck { .. }
                | Message::Assign(_)
                | Message::Cancel { .. }
                | Message::Voucher(_)
        );
        if !free && !peer.spend(now, burst, rate) {
            return;
        }
        match message {
            Message::Hello(hello) => self.greeted(from, hello),
            Message::Publish(offer) => self.published(from, offer),
            Message::Query(query) => self.queried(from, &query),
            Message::Offers { query, offers } => self.offers_came(from, query, offers),
            Message::LeaseAsk(ask) => self.lease_asked(from, ask),
            Message::LeaseGrant(lease) => self.lease_granted(from, lease),
            Message::LeaseRefuse { lease, refusal } => self.lease_refused(from, lease, refusal),
            Message::LeaseEnd { lease } => {
                self.hire_ended_by(from, lease);
                self.tenancy_ended_by(from, lease);
            }
            Message::Assign(assign) => self.assigned(from, assign),
            Message::Delivered(delivered) => self.delivered(from, delivered),
            Message::Faulted { assignment, fault } => self.faulted(from, assignment, fault),
            Message::Cancel { assignment } => self.cancelled(from, assignment),
            Message::Batch(batch) => self.batch_came(from, batch),
            Message::BatchAck { lease, batch, taken } => {
                self.batch_acked(from, lease, batch, taken);
            }
            Message::Ping { leases } => {
                let dead = leases
                    .into_iter()
                    .take(limits::LEASE_WINDOW_MAX)
                    .filter(|l| !self.lease_lives(from, *l))
                    .collect();
                self.send(from, Message::Pong { dead });
            }
            Message::Pong { dead } => {
                for lease in dead.into_iter().take(limits::LEASE_WINDOW_MAX) {
                    self.hire_died(from, lease);
                    self.tenancy_died(from, lease);
                }
            }
            Message::AuditSeed { lease, seed } => self.seed_shown(from, lease, seed),
            Message::TwoRoots(proof) => self.proof_came(from, *proof),
            Message::Voucher(voucher) => self.voucher_came(from, voucher),
            Message::Compiling { assignment } => self.compiles(from, assignment),
            Message::Case(case) => self.effects.push_back(Effect::Case { from, case }),
        }
    }

    fn lease_lives(&self, peer: NodeId, lease: LeaseId) -> bool {
        self.hires.get(&lease).is_some_and(|h| h.provider() == peer)
            || self.provider.as_ref().is_some_and(|p| p.serves(peer, lease))
    }

    fn greeted(&mut self, from: NodeId, hello: Hello) {
        let me_provides = self.provider.is_some();
        let Some(peer) = self.peer(from) else { return };
        peer.version = Some(hello.version);
        peer.agent = hello.agent.chars().take(100).collect();
        peer.roles = Some(hello.roles);
        if hello.addr.node == from && hello.addr.direct.len() <= limits::ADDRESSES_MAX {
            peer.addr = Some(hello.addr);
        }
        if hello.version != PROTOCOL_VERSION {
            return;
        }
        if hello.roles.directory && me_provides {
            self.publish_to(from);
        }
        if (hello.roles.provider || hello.roles.directory) && self.wants_offers() {
            self.query_peer(from);
        }
    }

    // --- records ---

    /// Changes the state as a record says. Live and at recovery alike; asks nothing of the world.
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            // A grant needs no undoing: leases are forgotten at a restart anyway.
            Record::Batch { .. } | Record::GrantClosed { .. } => {}
            Record::JobSubmitted(record) => {
                self.running.insert(record.id);
                self.jobs.insert(record.id, Job::new(record));
            }
            Record::Sized { job, sizes } => self.apply_sizes(job, &sizes),
            Record::Billed { job, amount } => self.apply_billed(job, amount),
            Record::TasksAdded { job, tasks } => self.apply_tasks(job, tasks),
            Record::JobClosed { job } => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.record.open = false;
                }
                self.touched.insert(job);
            }
            Record::JobEnded { job, time, cancelled } => {
                self.running.remove(&job);
                let durable = self.recovering;
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.ended = Some(Ended { time, cancelled, durable });
                    job.audits.clear();
                    job.pending.clear();
                    job.second.clear();
                    job.queue.clear();
                    job.retry.clear();
                }
            }
            Record::LeaseAsked(lease) => {
                self.open_asks.insert(lease.id, lease.provider);
            }
            Record::LeaseMade(full) => {
                let paid_by = full.lease.paid_by.as_ref().map(channel_of);
                if let Some(purse) = paid_by.and_then(|id| self.purses.get_mut(&id)) {
                    purse.hold_back = full.lease.hold_back;
                }
                self.leases.insert(full.lease.id, full);
            }
            Record::LeaseClosed { lease } => {
                self.open_asks.remove(&lease);
            }
            Record::BatchTaken(batch) => {
                self.apply_bills(&batch);
                self.batches.insert((batch.header.lease, batch.header.batch), batch);
            }
            Record::TaskAccepted(record) => self.apply_accepted(record),
            Record::TaskFailed { job, index, reason, .. } => {
                self.apply_failed(job, index, &reason);
            }
            Record::AuditAgreed { job, index, time, by } => {
                self.apply_audit_settled(job, index, Audit::Agreed, by, time);
            }
            Record::AuditGivenUp { job, index, reason } => {
                self.apply_audit_settled(job, index, Audit::GivenUp, None, Time(0));
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.why.insert(format!("audit of task {index}"), reason);
                }
            }
            Record::Contested(record) => self.apply_contested(record),
            Record::Mismatch { job, index, found, time } => {
                self.apply_mismatch(job, index, found, time);
            }
            Record::Equivocation { provider, second, time } => {
                let reason = format!(
                    "signed two roots for batch {} of lease {}",
                    second.header.batch, second.header.lease
                );
                self.apply_ban(provider, reason, time);
                if let Some(proof) = self.two_roots(&second) {
                    self.keep_proof(proof);
                }
            }
            Record::AuditsDrawn { job, provider, rate, looked, drawn } => {
                self.apply_looked(job, provider, rate, &looked, &drawn);
            }
            Record::Proven { proof, time } => {
                let terms = &proof.lease.lease;
                let number = proof.first.header.batch;
                let reason = format!("signed two roots for batch {number} of lease {}", terms.id);
                self.apply_ban(terms.provider, reason, time);
                self.keep_proof(*proof);
            }
            Record::Voted(record) => self.apply_voted(record),
            Record::Seconded { job, index, by, price } => {
                self.apply_seconded(job, index, by, price);
            }
            Record::Outvoted { job, index, digest, time } => {
                self.apply_outvoted(job, index, digest, time);
            }
            Record::LeaseGranted(full) => self.apply_granted(full),
            Record::BatchSigned(batch) => self.apply_batch_signed(batch),
            Record::BatchAcked { lease, batch, taken } => {
                self.apply_written_off(lease, batch, taken);
                self.apply_batch_acked(lease, batch);
            }
            Record::ChannelOpened { paid_by, provider, deposit } => {
                let purse = Purse::new(paid_by, provider, deposit);
                self.purses.insert(purse.id, purse);
            }
            Record::ChannelToppedUp { channel, amount } => {
                if let Some(purse) = self.purses.get_mut(&channel) {
                    purse.deposits.push(amount.0);
                }
            }
            Record::VoucherSigned { channel, ceiling } => {
                if let Some(purse) = self.purses.get_mut(&channel) {
                    purse.ceiling = purse.ceiling.max(ceiling.0);
                }
            }
            Record::ChannelClosing { channel } => {
                if let Some(purse) = self.purses.get_mut(&channel) {
                    purse.closing = true;
                }
            }
            Record::VoucherTaken(voucher) => {
                if let Some(till) = self.tills.get_mut(&voucher.channel) {
                    till.voucher = Some(voucher);
                }
            }
            Record::OfferIssued { sequence } => {
                if let Some(provider) = &mut self.provider {
                    provider.offer_sequence = provider.offer_sequence.max(sequence);
                }
            }
        }
    }
}

impl Peer {
    fn new(now: Time, burst: u32) -> Self {
        Self {
            addr: None,
            up: false,
            roles: None,
            agent: String::new(),
            version: None,
            heard: now,
            down_since: None,
            tokens: burst,
            refilled: now,
            dropped: 0,
        }
    }

    /// Takes a token from the bucket; false if it is empty.
    fn spend(&mut self, now: Time, burst: u32, per_second: u32) -> bool {
        let gained = now.since_ms(self.refilled).saturating_mul(u64::from(per_second)) / 1_000;
        if gained > 0 {
            let gained = u32::try_from(gained).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(gained).min(burst);
            self.refilled = now;
        }
        if self.tokens == 0 {
            self.dropped += 1;
            return false;
        }
        self.tokens -= 1;
        true
    }
}
