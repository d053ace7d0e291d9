//! The three nodes, the wires between them, and the chain; and what every action does to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ayni_core::{
    Command, CommandId, Config, Effect, Event, HomeConfig, JobSpec, ProviderConfig, Purpose, Seen,
    Tuning, Wallet,
};
use ayni_types::{
    Account, Amount, ChannelFunds, ChannelId, EngineBuild, EngineId, Fault, FaultKind, Fuel, JobId,
    Limits, NodeAddr, NodeId, PaidBy, Payment, Price, Roles, TaskSpec, Time, Verify, Withdrawal,
};
use ayni_wire::{Message, channel_id, digest};

use super::action::Action;
use super::daemon::{Batch, Daemon};
use super::trace;
use crate::chain::{Chain, TOKEN, Tx, ledger};
use crate::checkers::{Violation, m1, m3, m4};
use crate::prng::Prng;
use crate::runner;

/// The requester; the providers come after it.
pub(super) const PAYER: usize = 0;
/// Nodes.
pub(super) const NODES: usize = 3;
const WEALTH: u128 = 1_000_000_000;
/// Messages on one wire; more are lost, oldest first kept.
const WIRE_MAX: usize = 256;
const JOBS_MAX: u64 = 6;
const DEPTH: usize = 3;
/// What is promised to a payee takes so long before a withdrawal's end: a disk that writes, a chain
/// that can be seen, and gas that it can pay.
const FAIR_MS: u64 = 600_000;

/// A node: one daemon, or two if its owner made a mistake.
pub(super) struct Place {
    pub(super) config: Config,
    pub(super) daemons: Vec<Daemon>,
    pub(super) watched: BTreeMap<ChannelId, Option<Seen>>,
    /// Its owner restored a backup or started a second daemon.
    pub(super) bent: bool,
    /// Its endpoint lied to it.
    pub(super) misled: bool,
    /// Gas was too dear for it all the time that a payer's withdrawal took.
    pub(super) besieged: bool,
}

/// See the module.
pub(super) struct Stage {
    pub(super) now: u64,
    pub(super) places: Vec<Place>,
    pub(super) wires: Vec<VecDeque<Message>>,
    pub(super) up: [bool; NODES * NODES],
    pub(super) chain: Chain,
    pub(super) chance: Prng,
    /// Gas costs more than anybody but a withdrawing payer gives.
    pub(super) dear: bool,
    /// Until then, whatever else says that it is cheap again.
    pub(super) siege_until: Option<u64>,
    /// Withdrawals whose last minutes were lived through.
    lived: BTreeSet<(ChannelId, u64)>,
    pub(super) jobs: u64,
    pub(super) opened: BTreeMap<ChannelId, PaidBy>,
    /// The highest voucher that any life of the requester ever said.
    pub(super) promised: BTreeMap<ChannelId, u128>,
    pub(super) left: BTreeSet<ChannelId>,
    pub(super) violation: Option<Violation>,
    pub(super) step: u128,
    pub(super) hold_back: u128,
    commands: u64,
}

fn account(at: usize) -> Account {
    Account([0xa0 + u8::try_from(at).unwrap_or(0); 20])
}

fn id(at: usize) -> NodeId {
    NodeId([1 + u8::try_from(at).unwrap_or(0); 32])
}

fn config(at: usize, small: u8, held: u8) -> Config {
    let addr = |node| NodeAddr { node, direct: Vec::new(), relay: None };
    let provides = at != PAYER;
    let build = EngineBuild { digest: digest(b"runner"), version: "model".to_owned() };
    let step = 1_000 << (small % 5);
    let payment = Payment {
        ledger: ledger(),
        token: TOKEN,
        payee: account(at),
        payee_key: account(at),
        withdraw_delay_s: 3_600,
        step: Amount(8_000),
    };
    let mut tuning = Tuning::default();
    tuning.claim_least = Amount(1 + u128::from(held) * 20);
    Config {
        roles: Roles { provider: provides, directory: !provides, relay: false },
        addr: addr(id(at)),
        provider: provides.then(|| ProviderConfig {
            slots: 2,
            memory_bytes: 1 << 30,
            disk_bytes: 1 << 40,
            price: Price { per_gigafuel: Amount(1_000), ..Price::default() },
            busy_percent: 0,
            fuel_per_second: 1_000_000_000,
            walls: Vec::new(),
            build: build.clone(),
            region: None,
            stake: Amount(0),
            disputes: None,
            hold_back: Amount(hold_back(held)),
            payment: Some(payment),
            energy: None,
        }),
        home: HomeConfig { slots: u32::from(!provides), memory_bytes: 1 << 30, build },
        wallet: (!provides).then(|| Wallet {
            disputes: Account([0xdd; 20]),
            ledger: ledger(),
            token: TOKEN,
            account: account(at),
            deposit: Amount(step * (1 + u128::from(held % 7))),
            step_first: Amount(step),
            step_max: Amount(step * 4),
            withdraw_delay_s_max: u64::MAX,
        }),
        directories: if provides { vec![addr(id(PAYER))] } else { Vec::new() },
        tuning,
    }
}

fn hold_back(held: u8) -> u128 {
    match held % 3 {
        0 => 0,
        1 => 3_000,
        _ => 1_000_000_000,
    }
}

impl Stage {
    pub(super) fn new(small: u8, held: u8, traced: bool) -> Self {
        let now = 1_700_000_000_000;
        let balances = BTreeMap::from([(account(PAYER), WEALTH)]);
        let mut stage = Self {
            now,
            places: Vec::new(),
            wires: (0..NODES * NODES).map(|_| VecDeque::new()).collect(),
            up: [false; NODES * NODES],
            chain: Chain::new(DEPTH, Time(now), balances),
            chance: Prng::new(u64::from(small) << 8 | u64::from(held), "stage"),
            dear: false,
            siege_until: None,
            lived: BTreeSet::new(),
            jobs: 0,
            opened: BTreeMap::new(),
            promised: BTreeMap::new(),
            left: BTreeSet::new(),
            violation: None,
            step: 8_000,
            hold_back: hold_back(held),
            commands: 0,
        };
        if traced {
            stage.chain.keep_log();
        }
        for at in 0..NODES {
            let config = config(at, small, held);
            let place = Place {
                config,
                daemons: Vec::new(),
                watched: BTreeMap::new(),
                bent: false,
                misled: false,
                besieged: false,
            };
            stage.places.push(place);
            stage.begin(at, Vec::new());
        }
        for at in 1..NODES {
            stage.connect(PAYER, at);
        }
        stage.submit(3);
        // Some places are in full swing when disasters begin.
        for _ in 0..small / 32 {
            stage.round(1_000);
        }
        stage
    }

    fn fails(&mut self, found: impl IntoIterator<Item = Violation>) {
        if self.violation.is_none() {
            self.violation = found.into_iter().next();
        }
    }

    /// A daemon starts at a place, from a journal.
    fn begin(&mut self, at: usize, journal: Vec<Batch>) {
        let seed = self.chance.seed();
        match Daemon::start(&self.places[at].config, seed, Time(self.now), journal) {
            Ok(daemon) => {
                self.places[at].daemons.push(daemon);
                let which = self.places[at].daemons.len() - 1;
                self.pump(at, which);
            }
            Err(violation) => self.fails([violation]),
        }
    }

    // --- events and effects ---

    pub(super) fn handle(&mut self, at: usize, which: usize, event: Event) {
        let Some(daemon) = self.places[at].daemons.get_mut(which) else { return };
        daemon.core.handle(Time(self.now), event);
        self.pump(at, which);
    }

    fn pump(&mut self, at: usize, which: usize) {
        while self.violation.is_none() {
            let Some(daemon) = self.places[at].daemons.get_mut(which) else { return };
            let Some(effect) = daemon.core.poll_effect() else { return };
            self.effect(at, which, effect);
        }
    }

    fn effect(&mut self, at: usize, which: usize, effect: Effect) {
        let daemon = &mut self.places[at].daemons[which];
        match effect {
            Effect::Send { to, message } => self.send(at, which, to, message),
            Effect::Persist { sequence, records } => {
                let found = daemon.wrote((sequence, records)).err();
                self.fails(found);
            }
            Effect::Fetch { id: fetch, .. } => {
                daemon.core.handle(Time(self.now), Event::Fetched { fetch, result: Ok(()) });
            }
            Effect::Run { id, task, purpose, .. } => {
                daemon.runs.push((id, task, purpose));
                if let Purpose::Lease(lease) = purpose {
                    self.begins(at, which, lease);
                }
            }
            Effect::Kill(run) => {
                daemon.runs.retain(|(id, ..)| *id != run);
                let detail = "killed".to_owned();
                let result = Err(Fault { kind: FaultKind::Cancelled, detail });
                daemon.core.handle(Time(self.now), Event::Ran { run, result });
            }
            Effect::WatchChannel(paid_by) => {
                let channel = channel_id(&paid_by.ledger, &paid_by.terms);
                self.places[at].watched.entry(channel).or_default();
            }
            Effect::Chain { paid_by, step } => self.wants(at, which, paid_by, step),
            Effect::Connect(_)
            | Effect::Reserve { .. }
            | Effect::WatchStake(_)
            | Effect::Case { .. }
            | Effect::CancelFetch(_)
            | Effect::CloseSlot(_)
            | Effect::Freeze(_)
            | Effect::Reply { .. }
            | Effect::Notice(_) => {}
        }
    }

    fn begins(&mut self, at: usize, which: usize, lease: ayni_types::LeaseId) {
        let place = &self.places[at];
        if !place.bent && !place.misled {
            let found = m3::begins(&place.daemons[which].books, lease, self.step);
            self.fails(found);
        }
    }

    fn send(&mut self, at: usize, which: usize, to: NodeId, message: Message) {
        let daemon = &self.places[at].daemons[which];
        let mut found = daemon.gate.check_send(&message);
        if let Message::Voucher(voucher) = &message {
            found = found.or_else(|| m4::says(&daemon.books, voucher));
            let most = self.promised.entry(voucher.channel).or_default();
            *most = voucher.ceiling.0.max(*most);
        }
        self.fails(found);
        let Some(peer) = (0..NODES).find(|other| id(*other) == to) else { return };
        let wire = &mut self.wires[at * NODES + peer];
        if self.up[at * NODES + peer] && wire.len() < WIRE_MAX {
            wire.push_back(message);
        }
    }

    fn wants(&mut self, at: usize, which: usize, paid_by: PaidBy, step: ayni_core::ChainStep) {
        use ayni_core::ChainStep::{Claim, Deposit};
        let channel = channel_id(&paid_by.ledger, &paid_by.terms);
        if let Deposit { number, .. } = step {
            let found = self.places[at].daemons[which].gate.check_deposit(channel, number);
            self.fails(found);
            self.opened.insert(channel, paid_by);
        }
        if self.dear && matches!(step, Claim { .. } | Deposit { .. }) {
            let reason = "gas is too dear".to_owned();
            let event = Event::ChainFailed { channel, reason };
            self.places[at].daemons[which].core.handle(Time(self.now), event);
            return;
        }
        let late = if self.chance.percent(20) { self.chance.between(1, 4) } else { 0 };
        let tx = Tx { by: at, from: account(at), paid_by, step };
        for _ in 0..1 + u64::from(self.chance.percent(10)) {
            self.chain.submit(tx, late);
        }
    }

    // --- wires ---

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        if self.up[a * NODES + b] {
            return;
        }
        for (one, other) in [(a, b), (b, a)] {
            self.up[one * NODES + other] = true;
            self.wires[one * NODES + other].clear();
        }
        for (one, other) in [(a, b), (b, a)] {
            self.all(one, &Event::PeerUp(id(other)));
        }
    }

    fn disconnect(&mut self, a: usize, b: usize) -> bool {
        if !self.up[a * NODES + b] {
            return false;
        }
        for (one, other) in [(a, b), (b, a)] {
            self.up[one * NODES + other] = false;
            self.wires[one * NODES + other].clear();
        }
        for (one, other) in [(a, b), (b, a)] {
            self.all(one, &Event::PeerDown(id(other)));
        }
        true
    }

    /// Every daemon of a node hears it.
    pub(super) fn all(&mut self, at: usize, event: &Event) {
        for which in 0..self.places[at].daemons.len() {
            self.handle(at, which, event.clone());
        }
    }

    pub(super) fn deliver(&mut self, wire: usize) -> bool {
        let Some(message) = self.wires[wire].pop_front() else { return false };
        let (from, at) = (wire / NODES, wire % NODES);
        // Of two daemons, one is connected, and nobody knows which.
        let which =
            if self.places[at].daemons.len() > 1 && self.chance.percent(50) { 1 } else { 0 };
        if let Some(daemon) = self.places[at].daemons.get_mut(which) {
            daemon.books.heard(id(from), &message);
        }
        self.handle(at, which, Event::Message { from: id(from), message });
        true
    }

    /// A wire that has something on it, by a byte.
    fn busy_wire(&self, arg: u8) -> Option<usize> {
        let mut busy = (0..self.wires.len()).filter(|w| !self.wires[*w].is_empty());
        let count = busy.clone().count();
        (count > 0).then(|| busy.nth(usize::from(arg) % count)).flatten()
    }

    // --- the actions ---

    /// Does it; false if there was nothing to do it to.
    pub(super) fn act(&mut self, action: Action, arg: u8) -> bool {
        let at = usize::from(arg) % NODES;
        let peer = 1 + usize::from(arg) % (NODES - 1);
        let which = usize::from(arg / 8) % self.places[at].daemons.len().max(1);
        let done = match action {
            Action::Deliver => self.busy_wire(arg).is_some_and(|wire| self.deliver(wire)),
            Action::DeliverAll => self.busy_wire(arg).is_some_and(|wire| {
                for _ in 0..self.wires[wire].len() {
                    self.deliver(wire);
                }
                true
            }),
            Action::Drop => {
                self.busy_wire(arg).is_some_and(|wire| self.wires[wire].pop_front().is_some())
            }
            Action::Break => self.disconnect(PAYER, peer),
            Action::Connect => {
                let was = self.up[peer];
                self.connect(PAYER, peer);
                !was
            }
            Action::Persist => self.persist(at, which),
            Action::PersistAll => {
                let mut any = false;
                while self.violation.is_none() && self.persist(at, which) {
                    any = true;
                }
                any
            }
            Action::Refuse => self.refuse(at, which),
            Action::Crash => self.crash(at, which, arg),
            Action::Restore => arg >= 128 && self.restore(at, arg),
            Action::Twin => arg >= 192 && self.twin(at),
            Action::RunEnds => self.run_ends(at, which, arg),
            Action::Mine => {
                self.mine();
                true
            }
            Action::Reorganise => {
                let refused = self.chain.reorganise(1 + usize::from(arg) % DEPTH, &mut self.chance);
                self.refused(refused);
                true
            }
            Action::Look => self.look(at),
            Action::Lie => arg >= 128 && self.lie(at, arg),
            Action::Gas => {
                self.dear = arg >= 200 || self.siege_until.is_some();
                true
            }
            Action::Siege => self.siege(arg),
            Action::Close => self.close(arg),
            Action::Claim => {
                self.command(peer, &Command::Claim);
                true
            }
            Action::Submit => self.submit(1 + u64::from(arg % 4)),
            Action::Time => self.time(arg),
        };
        self.chain_goes_on(self.now);
        self.look_at_money();
        done
    }

    /// Announced withdrawals: of which channel, and when each can be finished.
    fn ripening(&self) -> impl Iterator<Item = (ChannelId, u64)> {
        let all = self.chain.head().channels.iter();
        let all = all.filter_map(|(id, held)| Some((*id, held.funds.withdrawal?.from.0)));
        all.filter(|(_, from)| *from > self.now)
    }

    /// Somebody bids gas up as a withdrawal runs, so that its payee can't claim.
    fn siege(&mut self, arg: u8) -> bool {
        let Some(from) = self.ripening().map(|(_, from)| from).min() else { return false };
        let beyond = arg >= 192;
        if from <= self.now + FAIR_MS && !beyond {
            return false;
        }
        self.dear = true;
        self.siege_until = Some(if beyond { from + FAIR_MS } else { from - FAIR_MS });
        if beyond {
            // Of all payees: who else closes a channel meanwhile does it to another.
            for place in &mut self.places[PAYER + 1..] {
                place.besieged = true;
            }
        }
        true
    }

    /// The chain goes on while time passes: gas that was dear gets cheap again, and in the last
    /// minutes before a withdrawal's end disks write, blocks come, and nodes look at them. Without
    /// that no payee can claim in time. Nothing is said between nodes meanwhile.
    pub(super) fn chain_goes_on(&mut self, to: u64) {
        while self.violation.is_none() {
            if self.siege_until.is_some_and(|until| until <= to) {
                self.now = self.now.max(self.siege_until.unwrap_or_default());
                (self.siege_until, self.dear) = (None, false);
            }
            let ripe = |(id, from): &(ChannelId, u64)| {
                from.saturating_sub(FAIR_MS) <= to && !self.lived.contains(&(*id, *from))
            };
            let Some((channel, from)) = self.ripening().filter(ripe).min_by_key(|(_, at)| *at)
            else {
                return;
            };
            self.lived.insert((channel, from));
            self.now = self.now.max(from - FAIR_MS);
            self.dear = self.siege_until.is_some();
            // Each longer than a refused step rests, and more than a step waits to be mined.
            for _ in 0..10 {
                self.now += 31_000;
                for at in 0..NODES {
                    for which in 0..self.places[at].daemons.len() {
                        while self.violation.is_none() && self.persist(at, which) {}
                    }
                }
                self.mine();
                for at in 0..NODES {
                    self.look(at);
                }
                self.tick();
            }
        }
    }

    fn look_at_money(&mut self) {
        let found = m1::on_chain(self.chain.head(), WEALTH);
        self.fails(found);
        for (channel, held) in &self.chain.head().channels {
            let promised = self.promised.get(channel).copied().unwrap_or_default();
            if held.funds.claimed.0 > promised && self.violation.is_none() {
                let claimed = held.funds.claimed;
                let text = format!("{claimed} were claimed from {channel}, {promised} promised");
                self.violation = Some(Violation::new(m4::PROMISE, text));
            }
        }
    }

    pub(super) fn persist(&mut self, at: usize, which: usize) -> bool {
        let Some(daemon) = self.places[at].daemons.get_mut(which) else { return false };
        match daemon.sync() {
            Ok(Some(sequence)) => {
                self.handle(at, which, Event::Persisted { sequence });
                true
            }
            Ok(None) => false,
            Err(violation) => {
                self.fails([violation]);
                false
            }
        }
    }

    fn refuse(&mut self, at: usize, which: usize) -> bool {
        let Some(daemon) = self.places[at].daemons.get_mut(which) else { return false };
        let Some((sequence, _)) = daemon.live.front() else { return false };
        let (sequence, reason) = (*sequence, "no space left on device".to_owned());
        daemon.live.clear();
        self.handle(at, which, Event::PersistFailed { sequence, reason });
        true
    }

    fn crash(&mut self, at: usize, which: usize, arg: u8) -> bool {
        if which >= self.places[at].daemons.len() {
            return false;
        }
        let daemon = self.places[at].daemons.remove(which);
        let keep = usize::from(arg / 16) % (daemon.live.len() + 1);
        let journal = daemon.cut(keep);
        self.comes_back(at, journal);
        true
    }

    /// A process starts: what was on its wires is gone, and it looks at the chain anew.
    fn comes_back(&mut self, at: usize, journal: Vec<Batch>) {
        let peers: Vec<usize> = (0..NODES).filter(|p| self.up[at * NODES + p]).collect();
        for peer in &peers {
            self.disconnect(at, *peer);
        }
        for shown in self.places[at].watched.values_mut() {
            *shown = None;
        }
        self.begin(at, journal);
        for peer in peers {
            self.connect(at, peer);
        }
    }

    fn restore(&mut self, at: usize, arg: u8) -> bool {
        let place = &mut self.places[at];
        place.bent = true;
        let Some(daemon) = place.daemons.pop() else { return false };
        place.daemons.clear();
        let mut journal = daemon.durable;
        journal.truncate(journal.len() * usize::from(arg % 16) / 16);
        self.comes_back(at, journal);
        true
    }

    fn twin(&mut self, at: usize) -> bool {
        if self.places[at].daemons.len() != 1 {
            return false;
        }
        self.places[at].bent = true;
        let journal = self.places[at].daemons[0].durable.clone();
        self.begin(at, journal);
        true
    }

    pub(super) fn run_ends(&mut self, at: usize, which: usize, arg: u8) -> bool {
        let Some(daemon) = self.places[at].daemons.get_mut(which) else { return false };
        if daemon.runs.is_empty() {
            return false;
        }
        let (run, task, purpose) = daemon.runs.remove(usize::from(arg) % daemon.runs.len());
        let result = if arg >= 250 {
            Err(Fault { kind: FaultKind::RunnerCrashed, detail: "a bad day".to_owned() })
        } else {
            runner::execute(&task, id(at), 1_000_000).1
        };
        if let (Ok(ran), Purpose::Lease(lease)) = (&result, purpose) {
            daemon.books.did(lease, &ran.outcome, ran.data_bytes);
        }
        self.handle(at, which, Event::Ran { run, result });
        true
    }

    pub(super) fn mine(&mut self) {
        self.now += 1;
        let refused = self.chain.mine(Time(self.now), &mut self.chance);
        self.refused(refused);
    }

    fn refused(&mut self, refused: Vec<crate::chain::Refused>) {
        for refused in refused {
            let crate::chain::Refused { by, channel, reason } = refused;
            self.all(by, &Event::ChainFailed { channel, reason });
        }
        let state = self.chain.at(DEPTH);
        let mut found = None;
        for (channel, held) in state.channels.iter().filter(|(_, c)| c.taken_back > 0) {
            if self.left.insert(*channel) {
                let sound = self.places.iter().filter(|p| !p.bent && !p.misled && !p.besieged);
                for daemon in sound.flat_map(|p| &p.daemons) {
                    let claimed = held.funds.claimed.0;
                    let late = m3::left(&daemon.books, *channel, claimed, held.paid_in);
                    found = found.or(late);
                }
            }
        }
        self.fails(found);
    }

    pub(super) fn look(&mut self, at: usize) -> bool {
        let mut any = false;
        for channel in self.places[at].watched.keys().copied().collect::<Vec<_>>() {
            let seen = self.chain.seen(channel, 0);
            let shown = self.places[at].watched.insert(channel, Some(seen)).flatten();
            let is_ripe = |s: &Seen| s.latest.withdrawal.is_some_and(|w| w.from <= s.time);
            let same = |b: &Seen| {
                (b.safe, b.latest, is_ripe(b)) == (seen.safe, seen.latest, is_ripe(&seen))
            };
            if !shown.as_ref().is_some_and(same) {
                any = true;
                self.show(at, channel, seen);
            }
        }
        any
    }

    fn show(&mut self, at: usize, channel: ChannelId, seen: Seen) {
        for daemon in &mut self.places[at].daemons {
            daemon.books.shown(channel, seen);
        }
        self.all(at, &Event::ChannelSeen { channel, seen });
    }

    fn lie(&mut self, at: usize, arg: u8) -> bool {
        let watched: Vec<ChannelId> = self.places[at].watched.keys().copied().collect();
        if watched.is_empty() {
            return false;
        }
        self.places[at].misled = true;
        let channel = watched[usize::from(arg) % watched.len()];
        let most = Amount(u128::MAX);
        let withdrawal = Some(Withdrawal { amount: most, from: Time(0) });
        let funds = match arg % 4 {
            0 => ChannelFunds { deposit: most, claimed: Amount(0), withdrawal: None },
            1 => ChannelFunds { deposit: Amount(0), claimed: most, withdrawal: None },
            2 => ChannelFunds { deposit: most, claimed: most, withdrawal },
            _ => ChannelFunds::default(),
        };
        // The truth is news again.
        self.places[at].watched.insert(channel, None);
        self.all(
            at,
            &Event::ChannelSeen {
                channel,
                seen: Seen { safe: funds, latest: funds, time: Time(u64::MAX) },
            },
        );
        true
    }

    fn close(&mut self, arg: u8) -> bool {
        let count = self.opened.len();
        if count == 0 {
            return false;
        }
        let channel = self.opened.keys().nth(usize::from(arg) % count).copied();
        if let Some(channel) = channel {
            self.command(PAYER, &Command::CloseChannel { channel });
        }
        true
    }

    pub(super) fn command(&mut self, at: usize, command: &Command) {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.all(at, &Event::Command { id, command: command.clone() });
    }

    fn submit(&mut self, tasks: u64) -> bool {
        if self.jobs >= JOBS_MAX {
            return false;
        }
        self.jobs += 1;
        let spec = job(self.jobs, tasks);
        self.command(PAYER, &Command::SubmitJob(spec));
        true
    }

    fn time(&mut self, arg: u8) -> bool {
        let next =
            self.places.iter().flat_map(|p| &p.daemons).filter_map(|d| d.core.poll_timeout());
        let next = next.map(|t| t.0).min().unwrap_or(self.now);
        let to = match arg % 16 {
            0..=11 => next.max(self.now + 1),
            12 | 13 => self.now + 5_000,
            14 => self.now + 31_000,
            _ => self.now + if arg < 32 { 1_900_000 } else { 121_000 },
        };
        self.chain_goes_on(to);
        self.now = self.now.max(to);
        self.tick();
        true
    }

    pub(super) fn tick(&mut self) {
        for at in 0..NODES {
            for which in 0..self.places[at].daemons.len() {
                let due = self.places[at].daemons[which].core.poll_timeout();
                if due.is_some_and(|t| t.0 <= self.now) {
                    self.handle(at, which, Event::Tick);
                }
            }
        }
    }

    // --- what came of it ---

    /// What became of every step on the chain, as text; nothing unless it was asked for at first.
    pub(super) fn trace(&self) -> String {
        let accounts: Vec<Account> = (0..NODES).map(account).collect();
        trace::text(&self.chain, &accounts, &[WEALTH, 0, 0])
    }

    pub(super) fn claimed(&self) -> u128 {
        self.chain.head().channels.values().map(|c| c.funds.claimed.0).sum()
    }

    pub(super) fn accepted(&self) -> u64 {
        let daemons = self.places[PAYER].daemons.iter();
        let jobs = daemons.flat_map(|d| (1..=self.jobs).filter_map(|n| d.core.job(job_id(n))));
        jobs.map(|job| u64::from(job.counts.accepted)).sum()
    }
}

pub(super) fn job_id(number: u64) -> JobId {
    let mut bytes = [0x10; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    JobId(bytes)
}

fn job(number: u64, tasks: u64) -> JobSpec {
    JobSpec {
        id: job_id(number),
        name: String::new(),
        tasks: (0..tasks).map(|n| task(number, n)).collect(),
        open: false,
        timeout_ms: 600_000,
        deadline: None,
        verify: Verify {
            rate: Some(if number.is_multiple_of(2) { 500_000 } else { 0 }),
            ..Verify::default()
        },
        providers_max: 2,
        home: false,
        nondeterministic: false,
        price_max: None,
        budget: None,
        sizes: Vec::new(),
    }
}

fn task(job: u64, number: u64) -> TaskSpec {
    TaskSpec {
        engine: EngineId::wasi1(),
        program: digest(b"program"),
        args: vec!["ok".to_owned(), format!("{job}/{number}")],
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits {
            memory_bytes: 64 << 20,
            fuel: Fuel(30_000_000_000),
            stack_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        blind: None,
    }
}
