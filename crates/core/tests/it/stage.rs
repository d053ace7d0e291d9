//! A stage for a few cores: instant network, obedient journal and scripted runners, all in one
//! thread, with the real signatures. What is said and told becomes a list of lines.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ayni_core::{
    Command, CommandId, Config, Core, Effect, Event, FetchWhat, HomeConfig, JobSpec, NoticeKind,
    ProviderConfig, Purpose, Ran, Reply, RunId, Tuning, WireSeal,
};
use ayni_types::{
    Amount, BlobRef, End, Energy, EngineBuild, EngineId, Fault, FaultKind, Fuel, JobId, Lease,
    Limits, NodeAddr, NodeId, Observed, Outcome, Price, Roles, TaskSpec, Time, Verify,
};
use ayni_wire::{EvmSigner, Message, NodeKey, digest, task_id};

use crate::bank::{self, Bank};

/// What a machine does with a task.
pub(crate) type Script = fn(task: &TaskSpec, purpose: Purpose) -> Result<Outcome, Fault>;

pub(crate) struct Actor {
    pub(crate) name: &'static str,
    pub(crate) id: NodeId,
    pub(crate) core: Core,
    pub(crate) journal: Vec<Vec<u8>>,
    pub(crate) disk_full: bool,
    pub(crate) deaf: bool,
    script: Script,
    config: Config,
    number: u8,
}

pub(crate) struct Stage {
    pub(crate) now: Time,
    pub(crate) actors: Vec<Actor>,
    pub(crate) lines: Vec<String>,
    pub(crate) replies: BTreeMap<u64, Result<Reply, String>>,
    pub(crate) runs: Vec<(&'static str, String, &'static str)>,
    /// Runs whose program is being compiled, until [`Stage::compiled`].
    compiling: Vec<(usize, RunId, TaskSpec)>,
    queue: VecDeque<(usize, Event)>,
    up: BTreeSet<(usize, usize)>,
    commands: u64,
    /// Leases that were asked for.
    pub(crate) asks: Vec<Lease>,
    home_slots: u32,
    /// Providers are paid, and let so much be held back.
    paid: Option<Amount>,
    /// What providers reserve.
    pub(crate) stake: Amount,
    /// Code and data that a task is said to have, in bytes.
    pub(crate) bytes: (u64, u64),
    /// What providers that enter from now on ask for a mebibyte of code, and of data.
    pub(crate) per_mebibyte: (u128, u128),
    /// How much more they ask when all their slots are leased, in hundredths.
    pub(crate) busy_percent: u32,
    /// What they say that their work takes.
    pub(crate) energy: Option<Energy>,
    /// Higher vouchers get lost.
    pub(crate) mute_vouchers_above: Option<u128>,
    pub(crate) bank: Bank,
    /// Providers send so many bytes lists along, the first of them the output itself.
    pub(crate) inline: Vec<Vec<u8>>,
    /// Processor time that each run takes, in milliseconds.
    pub(crate) cpu_ms: u64,
    /// What was to be fetched, and by whom.
    pub(crate) fetched: Vec<(&'static str, FetchWhat)>,
}

pub(crate) fn outcome(task: &TaskSpec) -> Outcome {
    let text = task.args.join(" ");
    let blob = |bytes: &[u8]| BlobRef { digest: digest(bytes), size: bytes.len() as u64 };
    Outcome {
        end: End::Exit(0),
        fuel: Fuel(1_000_000),
        stdout: blob(text.as_bytes()),
        stderr: blob(b""),
        files: Vec::new(),
    }
}

pub(crate) fn honest(task: &TaskSpec, _: Purpose) -> Result<Outcome, Fault> {
    Ok(outcome(task))
}

/// Keeps its slot until the end of the play.
pub(crate) fn never(_: &TaskSpec, _: Purpose) -> Result<Outcome, Fault> {
    Err(Fault { kind: FaultKind::Internal, detail: "never".to_owned() })
}

pub(crate) fn fault(kind: FaultKind) -> Result<Outcome, Fault> {
    Err(Fault { kind, detail: "as told".to_owned() })
}

pub(crate) fn task(name: &str) -> TaskSpec {
    TaskSpec {
        engine: EngineId::wasi1(),
        program: digest(b"program"),
        args: vec![name.to_owned()],
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits { fuel: Fuel(10_000_000), ..Limits::default() },
        blind: None,
    }
}

pub(crate) fn job(number: u8, tasks: &[&str]) -> JobSpec {
    JobSpec {
        id: JobId([number; 16]),
        name: format!("job {number}"),
        tasks: tasks.iter().map(|t| task(t)).collect(),
        open: false,
        timeout_ms: 60_000,
        deadline: None,
        verify: Verify { rate: Some(0), ..Verify::default() },
        providers_max: 8,
        home: false,
        nondeterministic: false,
        price_max: None,
        budget: None,
        sizes: Vec::new(),
    }
}

fn seal(number: u8) -> WireSeal {
    let secret = [number + 1; 32];
    let batch = EvmSigner::from_secret(&secret).expect("a small number is a scalar");
    WireSeal::new(NodeKey::from_secret(&secret), batch)
}

impl Stage {
    /// One requester called `asker` (also the directory) and providers with these scripts.
    pub(crate) fn new(providers: &[(&'static str, Script)]) -> Self {
        Self::with_home(1, providers)
    }

    /// The same; the requester keeps so many slots for itself.
    pub(crate) fn with_home(home_slots: u32, providers: &[(&'static str, Script)]) -> Self {
        Self::with(home_slots, None, providers)
    }

    /// The same; providers are paid, and let so much pay be held back.
    pub(crate) fn paid(hold_back: u128, providers: &[(&'static str, Script)]) -> Self {
        Self::with(1, Some(Amount(hold_back)), providers)
    }

    /// Paid, with so much stake reserved by each provider.
    pub(crate) fn staked(stake: u128, providers: &[(&'static str, Script)]) -> Self {
        Self::new_with(1, Some(Amount(0)), Amount(stake), providers)
    }

    fn with(home_slots: u32, paid: Option<Amount>, providers: &[(&'static str, Script)]) -> Self {
        Self::new_with(home_slots, paid, Amount(0), providers)
    }

    fn new_with(
        home_slots: u32,
        paid: Option<Amount>,
        stake: Amount,
        providers: &[(&'static str, Script)],
    ) -> Self {
        let now = Time(1_000_000);
        let mut stage = Self {
            now,
            actors: Vec::new(),
            lines: Vec::new(),
            replies: BTreeMap::new(),
            runs: Vec::new(),
            compiling: Vec::new(),
            queue: VecDeque::new(),
            up: BTreeSet::new(),
            commands: 0,
            asks: Vec::new(),
            home_slots,
            paid,
            stake,
            bytes: (100, 10),
            per_mebibyte: (0, 0),
            busy_percent: 0,
            energy: None,
            mute_vouchers_above: None,
            bank: Bank::default(),
            inline: Vec::new(),
            cpu_ms: 5,
            fetched: Vec::new(),
        };
        stage.enter("asker", honest, false);
        for (name, script) in providers {
            stage.enter(name, *script, true);
        }
        stage
    }

    pub(crate) fn enter(&mut self, name: &'static str, script: Script, provides: bool) {
        let number = u8::try_from(self.actors.len()).expect("a small stage");
        let id = NodeKey::from_secret(&[number + 1; 32]).id();
        let addr = |node| NodeAddr { node, direct: Vec::new(), relay: None };
        let directory = self.actors.first().map_or(id, |a| a.id);
        let build = EngineBuild { digest: digest(b"runner"), version: "stage".to_owned() };
        let config = Config {
            roles: Roles { provider: provides, directory: number == 0, relay: false },
            addr: addr(id),
            provider: provides.then(|| ProviderConfig {
                slots: 2,
                memory_bytes: 1 << 30,
                disk_bytes: 0,
                price: Price {
                    per_gigafuel: Amount(u128::from(number) * 1_000_000),
                    per_code_mebibyte: Amount(self.per_mebibyte.0),
                    per_data_mebibyte: Amount(self.per_mebibyte.1),
                },
                busy_percent: self.busy_percent,
                fuel_per_second: 1_000_000_000,
                walls: Vec::new(),
                build: build.clone(),
                region: None,
                stake: self.stake,
                disputes: self.paid.map(|_| bank::wallet().disputes),
                hold_back: self.paid.unwrap_or(Amount(u128::MAX)),
                payment: self.paid.map(|_| bank::payment(number)),
                energy: self.energy,
            }),
            home: HomeConfig {
                slots: if provides { 0 } else { self.home_slots },
                memory_bytes: 1 << 30,
                build,
            },
            wallet: self.paid.filter(|_| !provides).map(|_| bank::wallet()),
            directories: vec![addr(directory)],
            tuning: Tuning::default(),
        };
        let core = Core::new(config.clone(), Box::new(seal(number)), [number; 32], self.now);
        let journal = Vec::new();
        let at = self.actors.len();
        let (disk_full, deaf) = (false, false);
        let actor = Actor { name, id, core, journal, disk_full, deaf, script, config, number };
        self.actors.push(actor);
        for other in 0..at {
            self.connect(other, at);
        }
        self.settle();
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        self.up.insert((a.min(b), a.max(b)));
        let (x, y) = (self.actors[a].id, self.actors[b].id);
        self.queue.push_back((a, Event::PeerUp(y)));
        self.queue.push_back((b, Event::PeerUp(x)));
    }

    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        self.up.remove(&(a.min(b), a.max(b)));
        let (x, y) = (self.actors[a].id, self.actors[b].id);
        self.queue.push_back((a, Event::PeerDown(y)));
        self.queue.push_back((b, Event::PeerDown(x)));
        self.settle();
    }

    /// Power off and on: the journal is all that is left.
    pub(crate) fn restart(&mut self, at: usize) {
        let actor = &mut self.actors[at];
        let seed = [actor.number + 100; 32];
        let seal = Box::new(seal(actor.number));
        let records = actor.journal.clone().into_iter();
        actor.core = Core::recover(actor.config.clone(), seal, seed, self.now, records)
            .expect("what a core wrote it reads");
        self.queue.retain(|(to, _)| *to != at);
        for other in (0..self.actors.len()).filter(|o| *o != at) {
            self.connect(at, other);
        }
        self.settle();
    }

    pub(crate) fn command(&mut self, at: usize, command: Command) -> u64 {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.queue.push_back((at, Event::Command { id, command }));
        self.settle();
        self.commands
    }

    /// One node receives a message that the other's core did not send.
    pub(crate) fn says(&mut self, from: NodeId, to: usize, message: Message) {
        self.queue.push_back((to, Event::Message { from, message }));
        self.settle();
    }

    /// Every compilation ends, and what waited for it is executed.
    pub(crate) fn compiled(&mut self) {
        for (at, run, task) in std::mem::take(&mut self.compiling) {
            let (observed, code_bytes, data_bytes) = (Observed::default(), 100, 10);
            let outcome = outcome(&task);
            let ran = Ran { outcome, observed, code_bytes, data_bytes, inline: Vec::new() };
            self.queue.push_back((at, Event::RunStarted { run, compiling: false }));
            self.queue.push_back((at, Event::Ran { run, result: Ok(ran) }));
        }
        self.settle();
    }

    /// Lets time pass, a tick at a time.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        loop {
            let next = self.actors.iter().filter_map(|a| a.core.poll_timeout()).min();
            self.now = next.map_or(end, |at| at.max(self.now.after_ms(1))).min(end);
            for at in 0..self.actors.len() {
                self.queue.push_back((at, Event::Tick));
            }
            self.settle();
            if self.now == end {
                return;
            }
        }
    }

    /// The chain answers again: everybody sees every channel that they watch.
    pub(crate) fn look_again(&mut self) {
        let events = self.bank.everything();
        self.queue.extend(events);
        self.settle();
    }

    /// The chain's clock is as late as ours, and everybody looks.
    pub(crate) fn block(&mut self) {
        let events = self.bank.block(self.now);
        self.queue.extend(events);
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            for at in 0..self.actors.len() {
                while let Some(effect) = self.actors[at].core.poll_effect() {
                    self.effect(at, effect);
                }
            }
            let Some((at, event)) = self.queue.pop_front() else { return };
            self.actors[at].core.handle(self.now, event);
        }
        panic!("the stage never settles: {:?}", &self.lines[self.lines.len() - 20..]);
    }

    fn name(&self, id: NodeId) -> &'static str {
        self.actors.iter().find(|a| a.id == id).map_or("?", |a| a.name)
    }

    fn effect(&mut self, at: usize, effect: Effect) {
        let name = self.actors[at].name;
        match effect {
            Effect::Send { to, message } => self.send(at, to, message),
            Effect::Persist { sequence, records } => {
                let actor = &mut self.actors[at];
                if actor.disk_full {
                    let reason = "no space left on device".to_owned();
                    self.queue.push_back((at, Event::PersistFailed { sequence, reason }));
                } else {
                    actor.journal.extend(records);
                    self.queue.push_back((at, Event::Persisted { sequence }));
                }
            }
            Effect::Fetch { id: fetch, what, .. } => {
                self.fetched.push((name, what));
                self.queue.push_back((at, Event::Fetched { fetch, result: Ok(()) }));
            }
            Effect::Run { id: run, task, purpose, .. } => {
                let what = match purpose {
                    Purpose::Lease(_) => "lease",
                    Purpose::Audit => "audit",
                    Purpose::Home => "home",
                };
                self.runs.push((name, task.args.join(" "), what));
                if task.args.iter().any(|arg| arg == "compiles") {
                    self.queue.push_back((at, Event::RunStarted { run, compiling: true }));
                    self.compiling.push((at, run, task));
                    return;
                }
                let result = (self.actors[at].script)(&task, purpose).map(|outcome| Ran {
                    outcome,
                    observed: Observed { wall_ms: 50, cpu_ms: self.cpu_ms, ..Observed::default() },
                    code_bytes: self.bytes.0,
                    data_bytes: self.bytes.1,
                    inline: self.inline.clone(),
                });
                assert_eq!(task_id(&task).0.len(), 32);
                // A script that says `never` keeps its slot until the end of the play.
                if !matches!(&result, Err(fault) if fault.detail == "never") {
                    self.queue.push_back((at, Event::Ran { run, result }));
                }
            }
            Effect::Reply { id, result } => {
                self.replies.insert(id.0, result.map_err(|e| e.to_string()));
            }
            Effect::Freeze(frozen) => self.lines.push(format!("{name} freezes: {frozen}")),
            Effect::Notice(notice) => self.tell(name, &notice.kind),
            Effect::WatchChannel(paid_by) => {
                let event = self.bank.watch(at, paid_by);
                self.queue.extend(event.map(|event| (at, event)));
            }
            Effect::Chain { paid_by, step } => {
                let events = self.bank.step(at, paid_by, step, self.now);
                self.queue.extend(events);
            }
            Effect::Reserve { requester, amount, .. } => {
                self.bank.reserved.insert(requester, amount);
            }
            Effect::WatchStake(stake) => {
                let reserved = self.bank.reserved.get(&stake.requester).copied();
                let at_risk = reserved.unwrap_or_default();
                let until = self.now.after_ms(7 * 86_400_000);
                self.queue.push_back((at, Event::StakeSeen { stake, at_risk, until }));
            }
            Effect::Case { from, .. } => self.lines.push(format!("{name} has a case of {from}")),
            Effect::Connect(_) | Effect::CancelFetch(_) | Effect::CloseSlot(_) => {}
            Effect::Kill(run) => {
                self.lines.push(format!("{name} kills {run:?}"));
                let held = self.compiling.len();
                self.compiling.retain(|(of, compiling, _)| (*of, *compiling) != (at, run));
                if self.compiling.len() < held {
                    let result = fault(FaultKind::Cancelled).map(|_| unreachable!("a fault"));
                    self.queue.push_back((at, Event::Ran { run, result }));
                }
            }
        }
    }

    fn send(&mut self, at: usize, to: NodeId, message: Message) {
        let Some(peer) = self.actors.iter().position(|a| a.id == to) else { return };
        let most = self.mute_vouchers_above.unwrap_or(u128::MAX);
        if matches!(&message, Message::Voucher(voucher) if voucher.ceiling.0 > most) {
            return;
        }
        if let Message::LeaseAsk(ask) = &message {
            self.asks.push(ask.body.clone());
        }
        let what = match &message {
            Message::LeaseAsk(ask) => format!("LeaseAsk {} slots", ask.body.slots),
            Message::LeaseGrant(_) => "LeaseGrant".to_owned(),
            Message::LeaseRefuse { refusal, .. } => format!("LeaseRefuse {}", refusal.text),
            Message::LeaseEnd { .. } => "LeaseEnd".to_owned(),
            Message::Assign(assign) => format!("Assign {}", assign.task.args.join(" ")),
            Message::Delivered(_) => "Delivered".to_owned(),
            Message::Faulted { fault, .. } => format!("Faulted {fault}"),
            Message::Cancel { .. } => "Cancel".to_owned(),
            Message::Batch(batch) => {
                format!("Batch {} of {}", batch.header.batch, batch.header.count)
            }
            Message::BatchAck { batch, .. } => format!("BatchAck {batch}"),
            Message::AuditSeed { .. } => "AuditSeed".to_owned(),
            Message::TwoRoots(_) => "TwoRoots".to_owned(),
            _ => String::new(),
        };
        if !what.is_empty() {
            self.lines
                .push(format!("{} → {}: {what}", self.actors[at].name, self.actors[peer].name));
        }
        let up = self.up.contains(&(at.min(peer), at.max(peer)));
        if up && !self.actors[peer].deaf && !self.actors[at].deaf {
            let from = self.actors[at].id;
            self.queue.push_back((peer, Event::Message { from, message }));
        }
    }

    fn tell(&mut self, name: &'static str, kind: &NoticeKind) {
        let who = |id: &Option<NodeId>| id.map_or("home", |id| self.name(id));
        let line = match kind {
            NoticeKind::Accepted { tasks, held } => format!("{tasks} tasks, {held} held"),
            NoticeKind::TaskAccepted { index, provider, .. } => {
                format!("task {index} accepted from {}", who(provider))
            }
            NoticeKind::TaskFaulted { index, provider, fault } => {
                format!("task {index} faulted at {}: {fault}", who(provider))
            }
            NoticeKind::TaskFailed { index, reason } => format!("task {index} failed: {reason}"),
            NoticeKind::AuditAgreed { index, .. } => format!("task {index} audited, agreed"),
            NoticeKind::Mismatch { index, provider, rerun, .. } => {
                format!("task {index}: {} lied, {rerun} run again", self.name(*provider))
            }
            NoticeKind::ProviderLost { provider, requeued, reason } => {
                format!("{} lost, {requeued} requeued: {reason}", self.name(*provider))
            }
            NoticeKind::Stalled { reason } => format!("stalled: `{reason}`"),
            NoticeKind::Ended { accepted, failed, cancelled } => {
                format!("ended: {accepted} accepted, {failed} failed, cancelled {cancelled}")
            }
            _ => return,
        };
        self.lines.push(format!("{name} tells: {line}"));
    }

    /// The lines so far that contain any of these words, and forgets them all.
    pub(crate) fn take(&mut self, words: &[&str]) -> String {
        let lines = std::mem::take(&mut self.lines);
        let wanted = |line: &&String| words.is_empty() || words.iter().any(|w| line.contains(w));
        lines.iter().filter(wanted).cloned().collect::<Vec<_>>().join("\n")
    }
}
