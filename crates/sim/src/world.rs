//! The world: a heap of happenings ordered by time and number, one virtual clock, and the shell
//! that a real node has (timers, journal, connections, blobs, runners) as models.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use ayni_core::{
    Command, CommandError, CommandId, Config, Core, Effect, Event, FetchFailure, FetchId,
    FetchWhat, HomeConfig, JobSpec, JobState, PauseReason, ProviderConfig, Purpose, Ran, Reply,
    RunId, Tuning,
};
use ayni_types::{
    Amount, Digest, EngineBuild, EngineId, Fault, FaultKind, Fuel, JobId, Limits, NodeAddr, NodeId,
    Price, Roles, TaskSpec, Time, Verify,
};
use ayni_wire::{Message, digest, encode};

use crate::adversary::Strategy;
use crate::checkers::gate::Durable;
use crate::checkers::jobs::Told;
use crate::checkers::{limits, truth};
use crate::disk::{Batch, Disk};
use crate::net::{Net, Pair, pair};
use crate::prng::Prng;
use crate::runner;
use crate::seal::SimSeal;
use crate::swarm::Knobs;
use crate::trace::Trace;

pub use crate::checkers::Violation;

/// When every world begins.
pub const EPOCH_MS: u64 = 1_700_000_000_000;
/// Between two draws of faults.
const FAULT_TICK_MS: u64 = 500;
/// A client that heard nothing for so long asks again.
const CLIENT_PATIENCE_MS: u64 = 4_000;
/// After the last job's end: leases end and batches are acknowledged.
const COOL_DOWN_MS: u64 = 60_000;

/// How to run a world.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Keep the last lines of the trace.
    pub verbose: bool,
    /// Break the shell on purpose, to see that a checker notices.
    pub planted: Option<Planted>,
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
}

/// What came of a world.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Over everything that happened.
    pub hash: String,
    /// Happenings.
    pub events: u64,
    /// Virtual time that passed.
    pub virtual_ms: u64,
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// Tasks with an outcome.
    pub accepted: u32,
    /// Tasks without.
    pub failed: u32,
    /// Crashes.
    pub crashes: u32,
    /// Lies found.
    pub mismatches: u32,
    /// Results run again.
    pub reruns: u32,
    /// Real milliseconds of the slowest call into a core. Not part of the trace.
    pub slowest_ms: f64,
    /// The last lines of the trace, if asked for.
    pub lines: Vec<String>,
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

#[derive(Debug)]
enum Happening {
    Wake(u64),
    Dialled(usize),
    Down(usize),
    Deliver { from: usize, epoch: u64, message: Box<Message> },
    Synced(u64),
    SyncFailed(u64),
    Fetched { fetch: FetchId, source: Option<(usize, u64)>, blobs: Vec<Digest>, failed: bool },
    RunEnds { run: RunId, result: Box<Result<Ran, Fault>> },
    Restart,
    Client(usize),
    Redial,
    FaultTick,
    DiskMends,
    Resume,
    Mend(Pair),
}

struct Scheduled {
    at: u64,
    number: u64,
    node: usize,
    incarnation: u64,
    what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

struct Node {
    id: NodeId,
    config: Config,
    core: Option<Core>,
    incarnation: u64,
    disk: Disk,
    synced_at: u64,
    durable: Durable,
    told: Told,
    blobs: BTreeSet<Digest>,
    fuel_per_ms: u64,
    strategy: Option<Strategy>,
    frozen: bool,
    runs: BTreeMap<RunId, Purpose>,
    wake_at: Option<u64>,
    /// The power goes off after so many more effects.
    dies_in: Option<u64>,
    draining: bool,
}

/// Somebody who wants a job done and asks until it is acknowledged.
struct Client {
    node: usize,
    job: JobId,
    tasks: Vec<TaskSpec>,
    first: usize,
    stage: Stage,
    cancel_at: Option<u64>,
    pending: Option<CommandId>,
    asked_at: u64,
    spec: JobSpec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stage {
    Submit,
    Add,
    Close,
    Watch,
    Cancel,
    Done,
}

struct World {
    knobs: Knobs,
    options: Options,
    now: u64,
    numbers: u64,
    heap: BinaryHeap<Reverse<Scheduled>>,
    nodes: Vec<Node>,
    ids: BTreeMap<NodeId, usize>,
    clients: Vec<Client>,
    net: Net,
    trace: Trace,
    violations: Vec<Violation>,
    chance: Prng,
    delays: Prng,
    faults: Prng,
    crashes: u32,
    commands: u64,
    healed: bool,
    /// For measuring only; decides nothing.
    slowest: std::time::Duration,
}

impl World {
    fn new(mut knobs: Knobs, options: Options) -> Self {
        if options.planted == Some(Planted::HiddenLiar) {
            knobs.liars.clear();
        }
        let mut chance = Prng::new(knobs.seed, "world");
        let count = knobs.requesters + knobs.providers;
        let id = |at: usize| NodeId(Prng::new(knobs.seed, &format!("node {at}")).seed());
        let directory = if knobs.directory_at_home { 0 } else { knobs.requesters };
        let mut nodes = Vec::new();
        for at in 0..count {
            let provides = at >= knobs.requesters;
            let mut strategy = knobs.liars.iter().find(|(n, _)| *n == at).map(|(_, s)| *s);
            if options.planted == Some(Planted::HiddenLiar) {
                let liar = Strategy::WrongOutcome { percent: 100 };
                strategy = (at == knobs.requesters).then_some(liar);
            }
            let fuel_per_ms = chance.between(300_000, 3_000_000);
            let config = config(&knobs, &mut chance, id(at), id(directory), provides);
            nodes.push(Node {
                id: id(at),
                config,
                core: None,
                incarnation: 0,
                disk: Disk::default(),
                synced_at: 0,
                durable: Durable::default(),
                told: Told::default(),
                blobs: BTreeSet::new(),
                fuel_per_ms,
                strategy,
                frozen: false,
                runs: BTreeMap::new(),
                wake_at: None,
                dies_in: None,
                draining: false,
            });
        }
        let clients = clients(&knobs, &mut nodes);
        let ids = nodes.iter().enumerate().map(|(at, n)| (n.id, at)).collect();
        Self {
            now: EPOCH_MS,
            numbers: 0,
            heap: BinaryHeap::new(),
            ids,
            clients,
            net: Net::default(),
            trace: Trace::new(options.verbose),
            violations: Vec::new(),
            delays: Prng::new(knobs.seed, "delays"),
            faults: Prng::new(knobs.seed, "faults"),
            chance,
            crashes: 0,
            commands: 0,
            healed: false,
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
            let at = self.now + self.chance.below(3_000);
            self.schedule_at(at, self.clients[client].node, Happening::Client(client));
        }
        self.schedule_at(self.now + FAULT_TICK_MS, 0, Happening::FaultTick);
        let give_up = self.give_up_at();
        let (mut settled_at, mut look_at) = (None, 0);
        while let Some(Reverse(next)) = self.heap.pop() {
            if !self.violations.is_empty() {
                return;
            }
            self.now = self.now.max(next.at);
            if settled_at.is_none() && self.now >= look_at {
                look_at = self.now + 1_000;
                settled_at = self.is_settled().then_some(self.now);
            }
            if settled_at.is_some_and(|at| self.now > at + COOL_DOWN_MS) {
                break;
            }
            if self.now > give_up {
                self.report_stuck();
                return;
            }
            self.happen(next);
        }
        self.final_checks();
    }

    /// Healing, and then every task once after the other on the slowest machine, and again at home.
    fn give_up_at(&self) -> u64 {
        let slowest = self.nodes.iter().map(|n| n.fuel_per_ms).min().unwrap_or(1).max(1);
        let work: u64 = self
            .clients
            .iter()
            .flat_map(|c| &c.tasks)
            .map(|t| runner::truth(t).map_or(60_000, |o| o.fuel.0 / slowest))
            .sum();
        EPOCH_MS + self.knobs.fault_phase_ms + 600_000 + 3 * work
    }

    fn schedule_at(&mut self, at: u64, node: usize, what: Happening) {
        self.numbers += 1;
        let incarnation = self.nodes[node].incarnation;
        let number = self.numbers;
        self.heap.push(Reverse(Scheduled { at, number, node, incarnation, what }));
    }

    fn delay(&mut self) -> u64 {
        self.delays.between(1, self.knobs.delay_ms_max)
    }

    fn is_settled(&self) -> bool {
        self.healed
            && self.clients.iter().all(|client| {
                client.stage == Stage::Done
                    || (client.stage == Stage::Watch && {
                        let core = self.nodes[client.node].core.as_ref();
                        let view = core.and_then(|c| c.job(client.job));
                        view.is_some_and(|v| v.state != JobState::Running)
                    })
            })
    }

    // --- what happens ---

    fn happen(&mut self, next: Scheduled) {
        let Scheduled { node, incarnation, what, .. } = next;
        let current = self.nodes[node].incarnation == incarnation;
        let time = Time(self.now);
        match what {
            Happening::Wake(at) => {
                if current && self.nodes[node].wake_at == Some(at) {
                    self.nodes[node].wake_at = None;
                    self.trace.add(time, node, 1, &[]);
                    self.handle(node, Event::Tick);
                }
            }
            Happening::Dialled(peer) => self.dialled(node, peer),
            Happening::Down(peer) => {
                if current {
                    let id = self.nodes[peer].id;
                    self.trace.add(time, node, 2, &id.0);
                    if self.net.epoch(node, peer).is_none() {
                        self.handle(node, Event::PeerDown(id));
                    }
                }
            }
            Happening::Deliver { from, epoch, message } => {
                if current && self.net.epoch(node, from) == Some(epoch) {
                    self.trace.add(time, node, 3, &encode(&*message));
                    self.trace.say(time, node, || format!("from {from}: {message:?}"));
                    let from = self.nodes[from].id;
                    self.handle(node, Event::Message { from, message: *message });
                }
            }
            Happening::Synced(sequence) => {
                if current {
                    self.synced(node, sequence);
                }
            }
            Happening::SyncFailed(sequence) => {
                if current {
                    self.nodes[node].disk.refuse(sequence);
                    let reason = "no space left on device".to_owned();
                    self.handle(node, Event::PersistFailed { sequence, reason });
                }
            }
            Happening::Fetched { fetch, source, blobs, failed } => {
                if current {
                    self.fetched(node, fetch, source, blobs, failed);
                }
            }
            Happening::RunEnds { run, result } => {
                if current {
                    self.run_ends(node, run, *result);
                }
            }
            Happening::Restart => {
                if self.nodes[node].core.is_none() {
                    self.start(node);
                }
            }
            Happening::Client(client) => self.client(client),
            Happening::Redial => {
                for (a, b) in self.net.missing() {
                    self.dial(a, b);
                }
            }
            Happening::FaultTick => self.fault_tick(),
            Happening::DiskMends => self.nodes[node].disk.broken = false,
            Happening::Resume => {
                if current {
                    self.command(node, Command::Resume { reason: PauseReason::Owner });
                }
            }
            Happening::Mend(pair) => self.net.set_cut(pair, false),
        }
    }

    /// Gives a core an event and does what it asks for.
    fn handle(&mut self, at: usize, event: Event) {
        let Some(core) = &mut self.nodes[at].core else { return };
        let began = std::time::Instant::now();
        core.handle(Time(self.now), event);
        self.slowest = self.slowest.max(began.elapsed());
        self.pump(at);
    }

    fn pump(&mut self, at: usize) {
        loop {
            let Some(core) = &mut self.nodes[at].core else { return };
            let Some(effect) = core.poll_effect() else { break };
            if let Some(left) = &mut self.nodes[at].dies_in {
                if *left == 0 {
                    self.crash(at);
                    return;
                }
                *left -= 1;
            }
            self.effect(at, effect);
            if !self.violations.is_empty() {
                return;
            }
        }
        let slots = self.nodes[at].config.provider.as_ref().map_or(0, |p| p.slots);
        let Some(core) = &self.nodes[at].core else { return };
        if let Some(violation) = limits::check(core, slots) {
            self.violations.push(violation);
        }
        let wake = core.poll_timeout().map(|t| t.0.max(self.now + 1));
        if wake != self.nodes[at].wake_at {
            self.nodes[at].wake_at = wake;
            if let Some(wake) = wake {
                self.schedule_at(wake, at, Happening::Wake(wake));
            }
        }
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let time = Time(self.now);
        match effect {
            Effect::Send { to, message } => self.send(at, to, message),
            Effect::Connect(addr) => {
                if let Some(peer) = self.ids.get(&addr.node).copied().filter(|p| *p != at) {
                    self.dial(at, peer);
                }
            }
            Effect::Persist { sequence, records } => self.persist(at, sequence, records),
            Effect::Fetch { id, what, from } => self.fetch(at, id, &what, &from),
            Effect::CancelFetch(_) => {}
            Effect::Run { id, task, timeout_ms, purpose, .. } => {
                self.execute(at, id, &task, timeout_ms, purpose);
            }
            Effect::Kill(run) => {
                if self.nodes[at].runs.remove(&run).is_some() {
                    let detail = "killed".to_owned();
                    let result = Err(Fault { kind: FaultKind::Cancelled, detail });
                    self.nodes[at].runs.insert(run, Purpose::Home);
                    let result = Box::new(result);
                    self.schedule_at(self.now + 1, at, Happening::RunEnds { run, result });
                }
            }
            Effect::CloseSlot(_) => {}
            Effect::Freeze(frozen) => self.nodes[at].frozen = frozen,
            Effect::Reply { id, result } => self.replied(at, id, result),
            Effect::Notice(notice) => {
                self.trace.add(time, at, 4, format!("{:?}", notice.kind).as_bytes());
                self.trace.say(time, at, || format!("notice {:?}", notice.kind));
                let node = &mut self.nodes[at];
                let gate = node.durable.check_notice(&notice);
                let told = node.told.notice(&notice, &self.knobs);
                self.violations.extend(gate.into_iter().chain(told));
            }
        }
    }

    // --- connections ---

    fn dial(&mut self, from: usize, to: usize) {
        if self.net.want(from, to) {
            let at = self.now + 2 * self.delay();
            self.schedule_at(at, from, Happening::Dialled(to));
        }
    }

    fn dialled(&mut self, from: usize, to: usize) {
        let alive = self.nodes[from].core.is_some() && self.nodes[to].core.is_some();
        if self.net.dialled(from, to, alive).is_some() {
            let (a, b) = (self.nodes[from].id, self.nodes[to].id);
            self.trace.add(Time(self.now), from, 5, &b.0);
            self.handle(from, Event::PeerUp(b));
            if self.net.epoch(from, to).is_some() {
                self.handle(to, Event::PeerUp(a));
            }
        } else if self.net.epoch(from, to).is_none() {
            let at = self.now + 1_000;
            self.schedule_at(at, from, Happening::Redial);
        }
    }

    fn send(&mut self, at: usize, to: NodeId, message: Message) {
        let Some(peer) = self.ids.get(&to).copied() else { return };
        let messages = match self.nodes[at].strategy {
            None => {
                self.violations.extend(self.nodes[at].durable.check_send(&message));
                vec![message]
            }
            Some(strategy) => {
                strategy.twist(message, &SimSeal::new(self.nodes[at].id), &mut self.chance)
            }
        };
        let Some(epoch) = self.net.epoch(at, peer) else {
            self.dial(at, peer);
            return;
        };
        for message in messages {
            let delay = self.delay();
            let arrives = self.net.arrival(at, peer, self.now + delay);
            let message = Box::new(message);
            self.schedule_at(arrives, peer, Happening::Deliver { from: at, epoch, message });
        }
    }

    fn disconnect(&mut self, a: usize, b: usize) {
        if self.net.drop_pair(pair(a, b)) {
            for (node, peer) in [(a, b), (b, a)] {
                let delay = self.delay();
                self.schedule_at(self.now + delay, node, Happening::Down(peer));
            }
            self.schedule_at(self.now + 1_000, a, Happening::Redial);
        }
    }

    // --- the journal ---

    fn persist(&mut self, at: usize, sequence: u64, records: Vec<Vec<u8>>) {
        let time = Time(self.now);
        for record in &records {
            self.trace.add(time, at, 6, record);
        }
        let delay = self.delays.between(1, self.knobs.disk_ms_max);
        let node = &mut self.nodes[at];
        if node.disk.broken {
            self.schedule_at(self.now + delay, at, Happening::SyncFailed(sequence));
            return;
        }
        node.durable.wrote(&records);
        node.disk.append(Batch { sequence, records });
        let when = (self.now + delay).max(node.synced_at);
        node.synced_at = when;
        self.schedule_at(when, at, Happening::Synced(sequence));
        if self.options.planted == Some(Planted::AckBeforeSync) {
            // The planted bug: the shell says so before it is so.
            if let Some(core) = &mut self.nodes[at].core {
                core.handle(time, Event::Persisted { sequence });
            }
        }
    }

    fn synced(&mut self, at: usize, sequence: u64) {
        self.trace.add(Time(self.now), at, 7, &sequence.to_be_bytes());
        let node = &mut self.nodes[at];
        if node.disk.broken && node.disk.live_len() > 0 {
            self.schedule_at(self.now, at, Happening::SyncFailed(sequence));
            return;
        }
        for batch in node.disk.sync(sequence) {
            if let Err(violation) = node.durable.add(&batch.records) {
                self.violations.push(violation);
            }
        }
        self.handle(at, Event::Persisted { sequence });
    }

    // --- blobs ---

    fn fetch(&mut self, at: usize, fetch: FetchId, what: &FetchWhat, from: &[NodeId]) {
        let mut blobs: Vec<Digest> = match what {
            FetchWhat::Inputs(task) => runner::inputs(task),
            FetchWhat::Blobs(blobs) => blobs.iter().map(|(d, _)| *d).collect(),
        };
        blobs.retain(|b| !self.nodes[at].blobs.contains(b));
        let failed = !self.healed && self.faults.percent(self.knobs.fetch_fail_percent);
        let source = from.iter().find_map(|id| {
            let peer = *self.ids.get(id)?;
            let epoch = self.net.epoch(at, peer)?;
            blobs.iter().all(|b| self.nodes[peer].blobs.contains(b)).then_some((peer, epoch))
        });
        let delay = if blobs.is_empty() { 1 } else { 2 * self.delay() };
        self.schedule_at(self.now + delay, at, Happening::Fetched { fetch, source, blobs, failed });
    }

    fn fetched(
        &mut self,
        at: usize,
        fetch: FetchId,
        source: Option<(usize, u64)>,
        blobs: Vec<Digest>,
        failed: bool,
    ) {
        let reachable = source.is_some_and(|(peer, epoch)| self.net.epoch(at, peer) == Some(epoch));
        let fine = blobs.is_empty() || (reachable && !failed);
        self.trace.add(Time(self.now), at, 8, &[u8::from(fine)]);
        let result = if fine {
            self.nodes[at].blobs.extend(blobs);
            Ok(())
        } else {
            Err(FetchFailure::Unavailable("nobody reachable holds it".to_owned()))
        };
        self.handle(at, Event::Fetched { fetch, result });
    }

    // --- runners ---

    fn execute(
        &mut self,
        at: usize,
        run: RunId,
        task: &TaskSpec,
        timeout_ms: u64,
        purpose: Purpose,
    ) {
        let fuel_per_ms = self.nodes[at].fuel_per_ms;
        let id = self.nodes[at].id;
        let missing = runner::inputs(task).iter().any(|b| !self.nodes[at].blobs.contains(b));
        if missing {
            let text = format!("node {at} runs a task whose inputs it does not hold");
            self.violations.push(Violation::new("inputs are held", text));
        }
        let (mut ms, mut result) = runner::execute(task, id, fuel_per_ms);
        if !self.healed && self.faults.percent(self.knobs.machine_fault_percent) {
            let kind = if self.faults.percent(50) {
                FaultKind::RunnerCrashed
            } else {
                FaultKind::OutOfMemory
            };
            result = Err(Fault { kind, detail: "a bad day".to_owned() });
        } else if ms > timeout_ms {
            ms = timeout_ms;
            result = Err(Fault { kind: FaultKind::Timeout, detail: "too slow".to_owned() });
        }
        if let (Some(strategy), Purpose::Lease(_)) = (self.nodes[at].strategy, purpose) {
            result = result.map(|ran| strategy.spoil(ran, &mut self.chance));
        }
        self.nodes[at].runs.insert(run, purpose);
        let result = Box::new(result);
        self.schedule_at(self.now + ms, at, Happening::RunEnds { run, result });
    }

    fn run_ends(&mut self, at: usize, run: RunId, result: Result<Ran, Fault>) {
        let Some(purpose) = self.nodes[at].runs.get(&run).copied() else { return };
        if self.nodes[at].frozen && matches!(purpose, Purpose::Lease(_)) {
            let result = Box::new(result);
            self.schedule_at(self.now + 200, at, Happening::RunEnds { run, result });
            return;
        }
        self.nodes[at].runs.remove(&run);
        self.trace.add(Time(self.now), at, 9, &run.0.to_be_bytes());
        if let Ok(ran) = &result {
            let outputs = runner::outputs(&ran.outcome);
            self.nodes[at].blobs.extend(outputs);
        }
        self.handle(at, Event::Ran { run, result });
    }

    // --- life and death ---

    fn start(&mut self, at: usize) {
        let seed = self.chance.seed();
        let knobs = &self.knobs;
        let node = &mut self.nodes[at];
        let seal = Box::new(SimSeal::new(node.id));
        let config = node.config.clone();
        let core = Core::recover(config, seal, seed, Time(self.now), node.disk.records());
        node.frozen = false;
        node.draining = false;
        match core {
            Ok(core) => {
                self.violations.extend(node.told.after_restart(&core, knobs));
                node.core = Some(core);
                self.pump(at);
            }
            Err(error) => {
                let text = format!("node {at} does not recover: {error}");
                self.violations.push(Violation::new("journal", text));
            }
        }
        self.schedule_at(self.now + 50, at, Happening::Redial);
    }

    fn crash(&mut self, at: usize) {
        self.crashes += 1;
        self.trace.add(Time(self.now), at, 10, &[]);
        self.trace.say(Time(self.now), at, || "CRASH".to_owned());
        let live = self.nodes[at].disk.live_len() as u64;
        let keep = usize::try_from(self.faults.below(live + 1)).unwrap_or(0);
        let node = &mut self.nodes[at];
        node.core = None;
        node.incarnation += 1;
        node.wake_at = None;
        node.dies_in = None;
        node.runs.clear();
        let keep = if node.disk.broken { 0 } else { keep };
        for batch in node.disk.crash(keep) {
            if let Err(violation) = node.durable.add(&batch.records) {
                self.violations.push(violation);
            }
        }
        node.durable.crashed();
        if self.options.planted == Some(Planted::LosesTail) {
            node.disk.forget_last();
        }
        for peer in self.net.peers_of(at) {
            self.disconnect(at, peer);
        }
        for client in self.clients.iter_mut().filter(|c| c.node == at) {
            client.pending = None;
        }
        let rest = self.faults.between(200, 15_000);
        self.schedule_at(self.now + rest, at, Happening::Restart);
    }

    fn fault_tick(&mut self) {
        if self.now >= EPOCH_MS + self.knobs.fault_phase_ms {
            self.heal();
            return;
        }
        self.schedule_at(self.now + FAULT_TICK_MS, 0, Happening::FaultTick);
        let count = self.nodes.len() as u64;
        let any = |p: &mut Prng| usize::try_from(p.below(count)).unwrap_or(0);
        if self.faults.percent(self.knobs.crash_percent) {
            let at = any(&mut self.faults);
            if self.nodes[at].core.is_some() {
                self.nodes[at].dies_in = Some(self.faults.below(40));
            }
        }
        if self.faults.percent(self.knobs.cut_percent) {
            let (a, b) = (any(&mut self.faults), any(&mut self.faults));
            if a != b {
                self.net.set_cut(pair(a, b), true);
                self.disconnect(a, b);
                let lasts = self.faults.between(500, 40_000);
                self.schedule_at(self.now + lasts, a, Happening::Mend(pair(a, b)));
            }
        }
        if self.faults.percent(self.knobs.break_percent) {
            let (a, b) = (any(&mut self.faults), any(&mut self.faults));
            if a != b {
                self.disconnect(a, b);
            }
        }
        if self.faults.percent(self.knobs.disk_fail_percent) {
            let at = any(&mut self.faults);
            self.nodes[at].disk.broken = true;
            let lasts = self.faults.between(500, 10_000);
            self.schedule_at(self.now + lasts, at, Happening::DiskMends);
        }
        let providers = self.knobs.providers as u64;
        let provider =
            |p: &mut Prng| self.knobs.requesters + usize::try_from(p.below(providers)).unwrap_or(0);
        if self.faults.percent(self.knobs.pause_percent) {
            let at = provider(&mut self.faults);
            let lasts = self.faults.between(500, 20_000);
            self.command(at, Command::Pause { reason: PauseReason::Owner });
            self.schedule_at(self.now + lasts, at, Happening::Resume);
        }
        let provider =
            |p: &mut Prng| self.knobs.requesters + usize::try_from(p.below(providers)).unwrap_or(0);
        if self.faults.percent(self.knobs.drain_percent) {
            let at = provider(&mut self.faults);
            self.nodes[at].draining = true;
            self.command(at, Command::Drain);
        }
    }

    fn heal(&mut self) {
        self.healed = true;
        self.trace.say(Time(self.now), 0, || "HEAL".to_owned());
        self.net.heal();
        for at in 0..self.nodes.len() {
            self.nodes[at].disk.broken = false;
            self.nodes[at].dies_in = None;
            if self.nodes[at].draining && self.nodes[at].core.is_some() {
                self.crash(at);
            }
            if self.nodes[at].core.is_none() {
                self.start(at);
            } else {
                self.command(at, Command::Resume { reason: PauseReason::Owner });
            }
        }
        self.schedule_at(self.now + 10, 0, Happening::Redial);
    }

    // --- clients ---

    fn command(&mut self, at: usize, command: Command) -> CommandId {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.trace.add(Time(self.now), at, 11, &self.commands.to_be_bytes());
        self.handle(at, Event::Command { id, command });
        id
    }

    fn client(&mut self, index: usize) {
        let client = &self.clients[index];
        if client.stage == Stage::Done {
            return;
        }
        let (node, job) = (client.node, client.job);
        self.schedule_at(self.now + 1_000, node, Happening::Client(index));
        let client = &mut self.clients[index];
        if client.stage == Stage::Watch && client.cancel_at.is_some_and(|at| at <= self.now) {
            client.stage = Stage::Cancel;
        }
        let waits = client.pending.is_some() && self.now < client.asked_at + CLIENT_PATIENCE_MS;
        if waits || self.nodes[node].core.is_none() {
            return;
        }
        let client = &mut self.clients[index];
        let command = match client.stage {
            Stage::Submit => Command::SubmitJob(client.spec.clone()),
            Stage::Add => Command::AddTasks {
                job,
                // Some of them again: what is there already is ignored.
                first_index: u32::try_from(client.first / 2).unwrap_or(0),
                tasks: client.tasks[client.first / 2..].to_vec(),
            },
            Stage::Close => Command::CloseJob { job },
            Stage::Cancel => Command::CancelJob { job },
            Stage::Watch | Stage::Done => return,
        };
        client.asked_at = self.now;
        let next = CommandId(self.commands + 1);
        client.pending = Some(next);
        self.command(node, command);
    }

    fn replied(&mut self, at: usize, id: CommandId, result: Result<Reply, CommandError>) {
        self.trace.add(Time(self.now), at, 12, format!("{result:?}").as_bytes());
        self.trace.say(Time(self.now), at, || format!("reply {id:?} {result:?}"));
        if let Ok(reply) = &result {
            self.violations.extend(self.nodes[at].durable.check_reply(reply));
            if *reply == Reply::Drained && self.nodes[at].draining {
                // A drained node goes away and comes back as new.
                self.nodes[at].dies_in = Some(0);
                self.nodes[at].wake_at = None;
                self.schedule_at(self.now + 1, at, Happening::Wake(self.now + 1));
                self.nodes[at].wake_at = Some(self.now + 1);
            }
        }
        let Some(client) = self.clients.iter_mut().find(|c| c.node == at && c.pending == Some(id))
        else {
            return;
        };
        client.pending = None;
        client.stage = match (client.stage, result) {
            (_, Err(CommandError::Journal(_))) => return,
            (Stage::Submit, Ok(Reply::Accepted { job, .. })) => {
                self.nodes[at].told.jobs.insert(job, client.tasks.len());
                if client.spec.open { Stage::Add } else { Stage::Watch }
            }
            (Stage::Add, Ok(_)) => Stage::Close,
            (Stage::Close, Ok(_)) => Stage::Watch,
            (Stage::Cancel, Ok(_) | Err(CommandError::Ended { .. })) => Stage::Watch,
            (stage, result) => {
                let text = format!("{stage:?} was answered {result:?}");
                self.violations.push(Violation::new("commands are answered", text));
                return;
            }
        };
        if client.stage == Stage::Watch && client.cancel_at.is_some_and(|at| at <= self.now) {
            client.cancel_at = None;
        }
    }

    // --- the end ---

    fn report_stuck(&mut self) {
        for client in &self.clients {
            let Some(core) = &self.nodes[client.node].core else { continue };
            let Some(view) = core.job(client.job) else { continue };
            if view.state == JobState::Running {
                let open: Vec<_> = (0..view.counts.tasks)
                    .filter_map(|i| core.task(client.job, i))
                    .filter(|t| {
                        !matches!(
                            t.state,
                            ayni_core::TaskState::Accepted | ayni_core::TaskState::Failed
                        )
                    })
                    .take(3)
                    .collect();
                let text = format!(
                    "job {} still runs {} s after healing: {:?} stall {:?} why {:?} leases {:?} \
                     sizes {:?} stage {:?} tasks {open:?}",
                    client.job,
                    (self.now - EPOCH_MS - self.knobs.fault_phase_ms) / 1_000,
                    view.counts,
                    view.stall,
                    core.why(Some(client.job)),
                    core.leases(),
                    core.sizes(),
                    client.stage,
                );
                self.violations.push(Violation::new("jobs settle after healing", text));
            }
        }
        if self.violations.is_empty() {
            let text = "a client never got its answer".to_owned();
            self.violations.push(Violation::new("jobs settle after healing", text));
        }
    }

    fn final_checks(&mut self) {
        let liars: Vec<NodeId> =
            self.knobs.liars.iter().filter_map(|(n, _)| Some(self.nodes.get(*n)?.id)).collect();
        let mut found = Vec::new();
        for client in &self.clients {
            let node = &self.nodes[client.node];
            let (Some(core), told) = (&node.core, &node.told) else { continue };
            found.extend(told.at_end(core, client.job, &client.tasks, &self.knobs));
            found.extend(truth::at_end(
                core,
                client.job,
                &client.tasks,
                &self.knobs,
                &liars,
                node.id,
            ));
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(core) = &node.core else { continue };
            let sizes = core.sizes();
            if sizes.hires + sizes.grants + sizes.tenant_work + sizes.home_runs > 0 {
                let text = format!("node {at} still holds {sizes:?} when all is done");
                found.push(Violation::new("nothing is left behind", text));
            }
        }
        self.violations.extend(found);
    }

    fn report(self) -> Report {
        let (mut accepted, mut failed, mut reruns) = (0, 0, 0);
        for client in &self.clients {
            let core = self.nodes[client.node].core.as_ref();
            if let Some(view) = core.and_then(|c| c.job(client.job)) {
                accepted += view.counts.accepted;
                failed += view.counts.failed;
                reruns += view.reruns;
            }
        }
        Report {
            seed: self.knobs.seed,
            hash: self.trace.hash(),
            events: self.trace.events,
            virtual_ms: self.now - EPOCH_MS,
            accepted,
            failed,
            reruns,
            crashes: self.crashes,
            mismatches: self.nodes.iter().map(|n| n.told.mismatches).sum(),
            slowest_ms: self.slowest.as_secs_f64() * 1_000.0,
            lines: self.trace.lines(),
            violations: self.violations,
        }
    }
}

fn config(
    knobs: &Knobs,
    chance: &mut Prng,
    node: NodeId,
    directory: NodeId,
    provides: bool,
) -> Config {
    let addr = |node| NodeAddr { node, direct: Vec::new(), relay: None };
    let build = EngineBuild { digest: digest(b"runner"), version: "model".to_owned() };
    Config {
        roles: Roles { provider: provides, directory: node == directory, relay: false },
        addr: addr(node),
        provider: provides.then(|| ProviderConfig {
            slots: u32::try_from(chance.between(1, knobs.slots_max)).unwrap_or(1),
            memory_bytes: 1 << 30,
            disk_bytes: 1 << 40,
            price: Price {
                per_gigafuel: Amount(u128::from(chance.between(1, 1_000))),
                per_code_mebibyte: Amount(3),
                per_data_mebibyte: Amount(5),
            },
            fuel_per_second: 1_000_000_000,
            walls: Vec::new(),
            build: build.clone(),
            region: None,
            stake: Amount(0),
            hold_back: Amount(u128::MAX),
        }),
        home: HomeConfig {
            slots: if provides { 0 } else { knobs.home_slots },
            memory_bytes: 1 << 30,
            build,
        },
        directories: if node == directory { Vec::new() } else { vec![addr(directory)] },
        tuning: Tuning::default(),
    }
}

fn clients(knobs: &Knobs, nodes: &mut [Node]) -> Vec<Client> {
    let mut chance = Prng::new(knobs.seed, "workload");
    let mut pool: Vec<TaskSpec> = Vec::new();
    let mut clients = Vec::new();
    for at in 0..knobs.jobs {
        let node = at % knobs.requesters;
        let tasks: Vec<TaskSpec> =
            (0..knobs.tasks).map(|n| task(knobs, &mut chance, &mut pool, at, n)).collect();
        for task in &tasks {
            nodes[node].blobs.extend(runner::inputs(task));
        }
        let mut id = [0; 16];
        id.copy_from_slice(&chance.seed()[..16]);
        let job = JobId(id);
        let open = knobs.open && chance.percent(50);
        let first = if open { tasks.len() / 2 } else { tasks.len() };
        let cancels = knobs.cancel && chance.percent(50);
        clients.push(Client {
            node,
            job,
            first,
            stage: Stage::Submit,
            cancel_at: cancels.then(|| EPOCH_MS + chance.between(1_000, 30_000)),
            pending: None,
            asked_at: 0,
            spec: JobSpec {
                id: job,
                name: format!("job {at}"),
                tasks: tasks[..first].to_vec(),
                open,
                timeout_ms: 60_000,
                deadline: None,
                verify: Verify { rate: Some(knobs.audit_ppm), ..Verify::default() },
                providers_max: u32::try_from(chance.between(1, 12)).unwrap_or(1),
                home: knobs.home,
                nondeterministic: false,
                price_max: None,
            },
            tasks,
        });
    }
    clients
}

fn task(
    knobs: &Knobs,
    chance: &mut Prng,
    pool: &mut Vec<TaskSpec>,
    job: usize,
    number: usize,
) -> TaskSpec {
    if !pool.is_empty() && chance.percent(knobs.repeated_percent) {
        let at = usize::try_from(chance.below(pool.len() as u64)).unwrap_or(0);
        return pool[at].clone();
    }
    let kind = if chance.percent(knobs.odd_tasks_percent) {
        ["slow", "traps", "never", "picky"][usize::try_from(chance.below(4)).unwrap_or(0)]
    } else {
        "ok"
    };
    let spec = TaskSpec {
        engine: EngineId::wasi1(),
        program: digest(format!("program {}", job % 2).as_bytes()),
        args: vec![kind.to_owned(), format!("{job}/{number}")],
        env: Vec::new(),
        stdin: Some(digest(format!("input {job}/{number}").as_bytes())),
        mounts: Vec::new(),
        limits: Limits {
            memory_bytes: 64 << 20,
            fuel: Fuel(30_000_000_000),
            stack_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        blind: None,
    };
    pool.push(spec.clone());
    spec
}
