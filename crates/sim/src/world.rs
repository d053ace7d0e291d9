//! The world: a heap of happenings ordered by time and number, one virtual clock, and the shell
//! that a real node has (timers, journal, connections, blobs, runners) as models.
//!
//! ```text
//! heap      what happens, when, and to whom
//! node      one node: its core, its models, its life and death
//! effects   what a core asks for, done by the models
//! links     connections and messages
//! storage   the journal
//! machines  blobs and runs
//! money     the chain, each node's view of it, and the way out
//! faults    the fault phase and the healing after it
//! inject    the n-th failure, for loops over every n
//! workload  configurations, jobs and tasks
//! clients   users who ask until they are answered
//! finish    when it is over, what must hold then, and the report
//! ```

mod clients;
mod effects;
mod faults;
mod finish;
mod heap;
mod inject;
mod links;
mod machines;
mod money;
mod node;
mod storage;
mod workload;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ayni_core::Event;
use ayni_types::NodeId;

use crate::adversary::Ring;
use crate::knobs::{Knobs, size};
use crate::net::Net;
use crate::prng::Prng;
use crate::trace::Trace;

pub use crate::checkers::Violation;
pub use finish::Report;
pub use inject::{Fail, Injection};

use clients::Client;
use heap::{Happening, Heap, Scheduled};
use node::Node;

/// When every world begins.
pub const EPOCH_MS: u64 = 1_700_000_000_000;
/// Between two draws of faults.
const FAULT_TICK_MS: u64 = 500;
/// Between two idle moments of an adversary.
const IDLE_MS: u64 = 1_000;
/// After the last job's end: leases end and batches are acknowledged.
const COOL_DOWN_MS: u64 = 60_000;

/// How to run a world.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep the last lines of the trace.
    pub verbose: bool,
    /// Break the shell on purpose, to see that a checker notices.
    pub planted: Option<Planted>,
    /// Let exactly one thing fail.
    pub injection: Option<Injection>,
}

/// Bugs planted in the model of the shell (never in the core that ships).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Says `Persisted` at once; the disk gets there later, or never.
    AckBeforeSync,
    /// A crash forgets the last durable batch.
    LosesTail,
    /// The first provider's runner errs on every task, and the checkers are not told.
    HiddenLiar,
    /// The shell never hands a claim to the chain.
    NeverClaims,
    /// The shell signs vouchers for a million more than the core asked for.
    SignsAhead,
    /// The shell never finishes a withdrawal.
    NeverFinishes,
    /// The chain makes one unit with every claim.
    Mints,
}

/// Runs the world of a seed.
#[must_use]
pub fn run_seed(seed: u64) -> Report {
    run_world(Knobs::draw(seed), Options::default())
}

/// Runs a world.
#[must_use]
pub fn run_world(knobs: Knobs, options: Options) -> Report {
    let mut world = World::new(knobs, options);
    world.run();
    world.report()
}

struct World {
    knobs: Knobs,
    options: Options,
    now: u64,
    heap: Heap,
    nodes: Vec<Node>,
    ids: BTreeMap<NodeId, usize>,
    /// Every key that a dishonest node has or had.
    liars: BTreeSet<NodeId>,
    ring: Ring,
    clients: Vec<Client>,
    net: Net,
    /// The chain, if anybody is paid.
    money: Option<Box<money::Money>>,
    trace: Trace,
    violations: Vec<Violation>,
    chance: Prng,
    delays: Prng,
    faults: Prng,
    crashes: u32,
    commands: u64,
    healed: bool,
    /// Runs in progress on honest machines.
    running: usize,
    busy_ms: u64,
    busy_node_ms: u64,
    injected: u64,
    /// For measuring only; decides nothing.
    slowest: std::time::Duration,
}

impl World {
    fn new(mut knobs: Knobs, options: Options) -> Self {
        if options.planted == Some(Planted::HiddenLiar) {
            knobs.liars.clear();
        }
        let mut chance = Prng::new(knobs.seed, "world");
        let mut nodes: Vec<Node> = workload::nodes(&knobs, &mut chance);
        let clients = workload::clients(&knobs, &mut nodes);
        let ids = nodes.iter().enumerate().map(|(at, n)| (n.id, at)).collect();
        let liars: BTreeSet<NodeId> =
            nodes.iter().filter(|node| !node.is_honest()).map(|node| node.id).collect();
        if options.planted == Some(Planted::HiddenLiar) {
            let hidden = &mut nodes[size(knobs.requesters)];
            hidden.adversary = crate::adversary::make("lies_at_rate", 100);
        }
        Self {
            now: EPOCH_MS,
            heap: Heap::default(),
            ids,
            ring: Ring::of(liars.iter().copied()),
            liars,
            clients,
            net: Net::default(),
            money: money::money(&knobs),
            trace: Trace::new(options.verbose),
            violations: Vec::new(),
            delays: Prng::new(knobs.seed, "delays"),
            faults: Prng::new(knobs.seed, "faults"),
            chance,
            crashes: 0,
            commands: 0,
            healed: false,
            running: 0,
            busy_ms: 0,
            busy_node_ms: 0,
            injected: 0,
            slowest: std::time::Duration::ZERO,
            nodes,
            knobs,
            options,
        }
    }

    fn run(&mut self) {
        for at in 0..self.nodes.len() {
            self.start(at);
        }
        for client in 0..self.clients.len() {
            let after = self.chance.below(3_000);
            self.schedule(after, self.clients[client].node, Happening::Client(client));
        }
        for at in 0..self.nodes.len() {
            if self.nodes[at].adversary.is_some() {
                self.schedule(IDLE_MS, at, Happening::Idle);
            }
        }
        self.schedule(FAULT_TICK_MS, 0, Happening::FaultTick);
        if self.money.is_some() {
            self.schedule(self.knobs.block_ms, 0, Happening::Block);
        }
        let give_up = self.give_up_at();
        let (mut settled_at, mut look_at) = (None, 0);
        while let Some(Reverse(next)) = self.heap.pop() {
            if !self.violations.is_empty() {
                return;
            }
            if next.at > self.now {
                if self.running > 0 {
                    self.busy_ms += next.at - self.now;
                    self.busy_node_ms += (next.at - self.now) * self.nodes.len() as u64;
                }
                self.now = next.at;
            }
            if settled_at.is_none() && self.now >= look_at {
                look_at = self.now + 1_000;
                settled_at = self.is_settled().then_some(self.now);
            }
            if settled_at.is_some_and(|at| self.now > at + COOL_DOWN_MS) && self.now >= look_at {
                look_at = self.now + if self.money.is_some() { 1_000 } else { 0 };
                if self.money_is_home() {
                    break;
                }
            }
            if settled_at.is_none() && self.now > give_up {
                self.report_stuck();
                return;
            }
            self.happen(next);
        }
        self.final_checks();
    }

    fn schedule(&mut self, after_ms: u64, node: usize, what: Happening) {
        let incarnation = self.nodes[node].incarnation;
        self.heap.push(self.now + after_ms, node, incarnation, what);
    }

    fn delay(&mut self) -> u64 {
        self.delays.between(1, self.knobs.delay_ms_max)
    }

    fn happen(&mut self, next: Scheduled) {
        let asleep = self.nodes[next.node].asleep_until;
        if asleep > self.now && next.what.needs_the_process() {
            // The process stands still: whatever comes waits in its queues, in order.
            self.heap.again(asleep, next);
            return;
        }
        let Scheduled { node, incarnation, what, .. } = next;
        let current = self.nodes[node].incarnation == incarnation;
        match what {
            Happening::Dialled(peer) => self.dialled(node, peer),
            Happening::Dial(peer) => self.dial(node, peer),
            Happening::Restart => {
                if self.nodes[node].core.is_none() {
                    self.start(node);
                }
            }
            Happening::Client(client) => self.client(client),
            Happening::Idle => self.idle(node),
            Happening::FaultTick => self.fault_tick(),
            Happening::Block => self.block(),
            Happening::DiskMends => self.nodes[node].disk.broken = false,
            Happening::Mend(pair) => self.net.set_cut(pair, false),
            Happening::Deliver { from, epoch, message } => {
                self.arrives(node, current, from, epoch, *message);
            }
            // What follows belongs to one life of the node.
            _ if !current => {}
            Happening::Wake(at) => {
                if self.nodes[node].wake_at == Some(at) {
                    self.nodes[node].wake_at = None;
                    self.note(node, 1, &[]);
                    self.handle(node, Event::Tick);
                }
            }
            Happening::Down(peer) => {
                let id = self.nodes[peer].id;
                self.note(node, 2, &id.0);
                if self.net.epoch(node, peer).is_none() {
                    self.handle(node, Event::PeerDown(id));
                }
            }
            Happening::Synced(sequence) => self.synced(node, sequence),
            Happening::SyncFailed(sequence) => self.sync_failed(node, sequence),
            Happening::Fetched { fetch, source, blobs, failed } => {
                self.fetched(node, fetch, source, blobs, failed);
            }
            Happening::RunCompiles { run, compiling } => {
                if self.nodes[node].runs.contains_key(&run) {
                    self.handle(node, Event::RunStarted { run, compiling });
                }
            }
            Happening::RunEnds { run, result } => self.run_ends(node, run, *result),
            Happening::Resume => self.resume(node),
            Happening::Seen(channel) => self.seen(node, channel),
            Happening::ChainFailed(channel, reason) => {
                self.handle(node, Event::ChainFailed { channel, reason });
            }
        }
    }

    /// Adds to the trace.
    fn note(&mut self, node: usize, kind: u8, bytes: &[u8]) {
        self.trace.add(self.now, node, kind, bytes);
    }
}
