//! Connections and messages. In order while a connection is up; when it breaks, what is on its way
//! is lost, or (harsher than the transport, which the core must not mind) comes late over the next
//! connection, or is said again there.

use ayni_core::Event;
use ayni_types::NodeId;
use ayni_wire::{Message, encode};

use super::{Fail, Happening, World};
use crate::adversary::{Deed, Fate};
use crate::checkers::m4;
use crate::net::pair;

impl World {
    pub(super) fn dial(&mut self, from: usize, to: usize) {
        if self.net.want(from, to) {
            let after = 2 * self.delay();
            self.schedule(after, from, Happening::Dialled(to));
        }
    }

    pub(super) fn dialled(&mut self, from: usize, to: usize) {
        let alive = self.nodes[from].core.is_some() && self.nodes[to].core.is_some();
        if self.net.dialled(from, to, alive).is_some() {
            let (a, b) = (self.nodes[from].id, self.nodes[to].id);
            self.note(from, 5, &b.0);
            self.handle(from, Event::PeerUp(b));
            if self.net.epoch(from, to).is_some() {
                self.handle(to, Event::PeerUp(a));
            }
            for (speaker, listener) in [(from, to), (to, from)] {
                let repeat = self.knobs.repeat_percent;
                if !self.healed && repeat > 0 && self.faults.percent(repeat) {
                    for message in self.net.recent(speaker, listener) {
                        self.transmit(speaker, listener, message);
                    }
                }
            }
        } else if self.net.epoch(from, to).is_none() {
            self.schedule(1_000, from, Happening::Dial(to));
        }
    }

    /// A core says something: an adversary may say something else.
    pub(super) fn send(&mut self, at: usize, to: NodeId, message: Message) {
        if let Message::LeaseGrant(full) = &message {
            self.nodes[at].tenants.insert(full.lease.id, full.lease.requester);
        }
        if self.nodes[at].is_honest() {
            let message = self.signs_ahead(at, message);
            self.violations.extend(self.nodes[at].durable.check_send(&message));
            if let Message::Voucher(voucher) = &message {
                self.violations.extend(m4::says(&self.nodes[at].books, voucher));
            }
            self.say(at, to, message);
            return;
        }
        let said = self.with_adversary(at, |adversary, desk| adversary.say(to, message, desk));
        for message in said.into_iter().flatten() {
            self.say(at, to, message);
        }
    }

    /// Says something to somebody, over the connection if there is one.
    pub(super) fn say(&mut self, at: usize, to: NodeId, message: Message) {
        let Some(peer) = self.ids.get(&to).copied().filter(|p| *p != at) else { return };
        if self.net.epoch(at, peer).is_none() {
            self.dial(at, peer);
            return;
        }
        if self.inject(Fail::DropSend) {
            return;
        }
        if self.inject(Fail::RepeatSend) {
            self.transmit(at, peer, message.clone());
        }
        match self.fate(at, peer, &message) {
            Fate::Pass => self.transmit(at, peer, message),
            Fate::Late(ms) => {
                self.net.stall(at, peer, self.now + ms);
                self.transmit(at, peer, message);
            }
            Fate::Break => self.disconnect(at, peer),
        }
    }

    /// What a hostile relay does to it, if one of the two sits behind one.
    fn fate(&mut self, at: usize, peer: usize, message: &Message) -> Fate {
        for side in [at, peer] {
            if self.nodes[side].adversary.is_some() {
                let bytes = encode(message).len();
                let fate = self.with_adversary(side, |adversary, desk| adversary.wire(bytes, desk));
                if let Some(fate @ (Fate::Late(_) | Fate::Break)) = fate {
                    return fate;
                }
            }
        }
        Fate::Pass
    }

    fn transmit(&mut self, at: usize, peer: usize, message: Message) {
        let Some(epoch) = self.net.epoch(at, peer) else { return };
        let delay = self.delay();
        let arrives = self.net.arrival(at, peer, self.now + delay);
        if self.knobs.repeat_percent > 0 {
            self.net.remember(at, peer, &message);
        }
        let message = Box::new(message);
        self.schedule(arrives - self.now, peer, Happening::Deliver { from: at, epoch, message });
    }

    pub(super) fn arrives(
        &mut self,
        at: usize,
        current: bool,
        from: usize,
        epoch: u64,
        message: Message,
    ) {
        if !current {
            return;
        }
        if self.net.epoch(at, from) != Some(epoch) {
            let ghosts = if self.healed { 0 } else { self.knobs.ghost_percent };
            if ghosts == 0 || !self.faults.percent(ghosts) {
                return;
            }
            if self.net.epoch(at, from).is_none() {
                let message = Box::new(message);
                self.schedule(500, at, Happening::Deliver { from, epoch, message });
                return;
            }
        }
        self.note(at, 3, &encode(&message));
        self.trace.say(self.now, at, || format!("from {from}: {message:?}"));
        let from = self.nodes[from].id;
        if !self.nodes[at].is_honest() {
            let hears = |adversary: &mut dyn crate::adversary::Adversary,
                         desk: &mut crate::adversary::Desk<'_>| {
                adversary.hear(from, &message, desk)
            };
            let deeds = self.with_adversary(at, hears).unwrap_or_default();
            if self.carry_out(at, deeds) {
                return;
            }
        }
        if self.money.is_some() && self.nodes[at].core.is_some() {
            self.nodes[at].books.heard(from, &message);
        }
        self.handle(at, Event::Message { from, message });
    }

    /// An adversary has a moment for itself.
    pub(super) fn idle(&mut self, at: usize) {
        self.schedule(super::IDLE_MS, at, Happening::Idle);
        if self.nodes[at].core.is_some() {
            let deeds = self.with_adversary(at, |adversary, desk| adversary.idle(desk));
            self.carry_out(at, deeds.unwrap_or_default());
        }
    }

    /// Does what an adversary wants done; true if its core is to hear nothing of it.
    fn carry_out(&mut self, at: usize, deeds: Vec<Deed>) -> bool {
        let mut deaf = false;
        for deed in deeds {
            match deed {
                Deed::Say(to, message) => self.say(at, to, *message),
                Deed::Chain(paid_by, step) => self.submit(at, *paid_by, step),
                Deed::Ignore => deaf = true,
                Deed::NewKey => {
                    self.change_identity(at);
                    return true;
                }
            }
        }
        deaf
    }

    pub(super) fn disconnect(&mut self, a: usize, b: usize) {
        if self.net.drop_pair(pair(a, b)) {
            for (node, peer) in [(a, b), (b, a)] {
                let delay = self.delay();
                self.schedule(delay, node, Happening::Down(peer));
            }
            self.schedule(1_000, a, Happening::Dial(b));
        }
    }
}
