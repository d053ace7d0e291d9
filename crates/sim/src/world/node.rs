//! One node of the world: the core that ships, the models around it, its life and its death.

use std::collections::{BTreeMap, BTreeSet};

use ayni_core::{Config, Core, Event, Purpose, RunId};
use ayni_types::{Digest, LeaseId, NodeId, Time};

use super::money::View;
use super::{Happening, Planted, World};
use crate::adversary::{Adversary, Desk, Liar};
use crate::checkers::books::Books;
use crate::checkers::gate::Durable;
use crate::checkers::told::Told;
use crate::checkers::{Violation, j2, m4, r1};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::prng::Prng;
use crate::seal::SimSeal;

pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) config: Config,
    pub(super) core: Option<Core>,
    pub(super) clock: Clock,
    pub(super) incarnation: u64,
    pub(super) disk: Disk,
    pub(super) synced_at: u64,
    pub(super) durable: Durable,
    pub(super) told: Told,
    pub(super) books: Books,
    pub(super) view: View,
    pub(super) blobs: BTreeSet<Digest>,
    pub(super) fuel_per_ms: u64,
    pub(super) adversary: Option<Box<dyn Adversary>>,
    is_honest: bool,
    /// Who leases what from this node, as far as it has granted.
    pub(super) tenants: BTreeMap<LeaseId, NodeId>,
    /// Runners that work for others stand still.
    pub(super) frozen: bool,
    /// The whole process stands still until then.
    pub(super) asleep_until: u64,
    pub(super) runs: BTreeMap<RunId, Purpose>,
    /// Programs that were ever run here, and when they are or were compiled. Survives crashes.
    pub(super) compiled_at: BTreeMap<Digest, u64>,
    pub(super) wake_at: Option<u64>,
    /// The power goes off after so many more effects.
    pub(super) dies_in: Option<u64>,
    pub(super) draining: bool,
}

impl Node {
    pub(super) fn new(id: NodeId, config: Config, fuel_per_ms: u64, liar: Option<&Liar>) -> Self {
        Self {
            adversary: liar.and_then(Liar::make),
            is_honest: !liar.is_some_and(Liar::is_dishonest),
            id,
            config,
            core: None,
            clock: Clock::default(),
            incarnation: 0,
            disk: Disk::default(),
            synced_at: 0,
            durable: Durable::default(),
            told: Told::default(),
            books: Books::default(),
            view: View::default(),
            blobs: BTreeSet::new(),
            fuel_per_ms,
            tenants: BTreeMap::new(),
            frozen: false,
            asleep_until: 0,
            runs: BTreeMap::new(),
            compiled_at: BTreeMap::new(),
            wake_at: None,
            dies_in: None,
            draining: false,
        }
    }

    pub(super) fn is_honest(&self) -> bool {
        self.is_honest
    }

    pub(super) fn provides(&self) -> bool {
        self.config.provider.is_some()
    }
}

impl World {
    /// What a node's own clock says.
    pub(super) fn time_at(&self, at: usize) -> Time {
        Time(self.nodes[at].clock.says(self.now))
    }

    /// Gives a core an event and does what it asks for.
    pub(super) fn handle(&mut self, at: usize, event: Event) {
        let time = self.time_at(at);
        let Some(core) = &mut self.nodes[at].core else { return };
        let began = std::time::Instant::now();
        core.handle(time, event);
        self.slowest = self.slowest.max(began.elapsed());
        self.pump(at);
    }

    pub(super) fn pump(&mut self, at: usize) {
        loop {
            let Some(core) = &mut self.nodes[at].core else { return };
            let Some(effect) = core.poll_effect() else { break };
            if self.crashes_now(at) {
                self.crash(at);
                return;
            }
            self.effect(at, effect);
            if !self.violations.is_empty() {
                return;
            }
        }
        let node = &self.nodes[at];
        let slots = node.config.provider.as_ref().map_or(0, |p| p.slots);
        let Some(core) = &node.core else { return };
        if let Some(violation) = r1::check(core, slots) {
            self.violations.push(violation);
        }
        if self.money.is_some() && node.is_honest() {
            let node = &mut self.nodes[at];
            let frozen = &mut node.view.frozen;
            let found = node.core.as_ref().and_then(|core| m4::to_liars(core, frozen));
            self.violations.extend(found);
        }
        let node = &self.nodes[at];
        let Some(core) = &node.core else { return };
        let wake = core.poll_timeout().map(|t| node.clock.when(t.0).max(self.now + 1));
        if wake != node.wake_at {
            self.nodes[at].wake_at = wake;
            if let Some(wake) = wake {
                self.schedule(wake - self.now, at, Happening::Wake(wake));
            }
        }
    }

    /// Lets an adversary act: it sees its own desk and the ring's.
    pub(super) fn with_adversary<T>(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut dyn Adversary, &mut Desk<'_>) -> T,
    ) -> Option<T> {
        let node = &mut self.nodes[at];
        let mut adversary = node.adversary.take()?;
        let mut desk = Desk {
            me: node.id,
            now_ms: self.now,
            chance: &mut self.chance,
            seal: SimSeal::new(node.id),
            ring: &mut self.ring,
        };
        let result = act(adversary.as_mut(), &mut desk);
        node.adversary = Some(adversary);
        Some(result)
    }

    pub(super) fn start(&mut self, at: usize) {
        let seed = self.chance.seed();
        self.nodes[at].clock = self.draw_clock();
        let time = self.time_at(at);
        let node = &mut self.nodes[at];
        let seal = Box::new(SimSeal::new(node.id));
        let config = node.config.clone();
        if self.money.is_some() {
            node.view.forget();
            match Books::reopened(node.disk.records()) {
                Ok(books) => node.books = books,
                Err(violation) => self.violations.push(violation),
            }
        }
        let node = &mut self.nodes[at];
        let core = Core::recover(config, seal, seed, time, node.disk.records());
        node.frozen = false;
        node.draining = false;
        match core {
            Ok(core) => {
                if node.is_honest() {
                    let found = j2::after_restart(&mut node.told, &core, self.knobs.is_honest());
                    self.violations.extend(found);
                }
                node.core = Some(core);
                self.pump(at);
            }
            Err(error) => {
                let text = format!("node {at} does not recover: {error}");
                self.violations.push(Violation::new("M6 journal", text));
            }
        }
        for peer in self.net.missing_of(at) {
            self.schedule(50, at, Happening::Dial(peer));
        }
    }

    pub(super) fn crash(&mut self, at: usize) {
        self.crashes += 1;
        self.note(at, 10, &[]);
        self.trace.say(self.now, at, || "CRASH".to_owned());
        let live = self.nodes[at].disk.live_len() as u64;
        let keep = usize::try_from(self.faults.below(live + 1)).unwrap_or(0);
        let lost = self.knobs.lost_sync_percent;
        let loses = self.nodes[at].provides() && lost > 0 && self.faults.percent(lost);
        let node = &mut self.nodes[at];
        node.core = None;
        node.incarnation += 1;
        node.wake_at = None;
        node.dies_in = None;
        node.asleep_until = 0;
        self.running -= if node.is_honest() { node.runs.len() } else { 0 };
        node.runs.clear();
        let keep = if node.disk.broken { 0 } else { keep };
        for batch in node.disk.crash(keep) {
            if let Err(violation) = node.durable.add(&batch.records) {
                self.violations.push(violation);
            }
        }
        node.durable.crashed();
        if loses || self.options.planted == Some(Planted::LosesTail) {
            node.disk.forget_last();
        }
        self.net.forget_recent(at);
        for peer in self.net.peers_of(at) {
            self.disconnect(at, peer);
        }
        for client in self.clients.iter_mut().filter(|c| c.node == at) {
            client.pending = None;
        }
        let rest = self.faults.between(200, 15_000);
        self.schedule(rest, at, Happening::Restart);
    }

    /// A dishonest node comes back as somebody whom nobody knows.
    pub(super) fn change_identity(&mut self, at: usize) {
        let id = NodeId(Prng::new(self.chance.number(), "new key").seed());
        self.trace.say(self.now, at, || format!("NEW KEY {id}"));
        self.crash(at);
        let node = &mut self.nodes[at];
        node.id = id;
        node.config.addr.node = id;
        node.disk = Disk::default();
        node.durable = Durable::default();
        node.tenants.clear();
        self.ids.insert(id, at);
        self.liars.insert(id);
        self.ring.members.insert(id);
    }
}
