//! The fault phase, and the healing after it.

use ayni_core::{Command, PauseReason};

use super::{EPOCH_MS, FAULT_TICK_MS, Happening, World};
use crate::clock::Clock;
use crate::knobs::size;
use crate::net::pair;
use crate::prng::Prng;

impl World {
    fn faults_draw(&mut self, percent: u64) -> bool {
        percent > 0 && self.faults.percent(percent)
    }

    /// How long a fault lasts: from half a second to `most`, at the pace of the world.
    fn lasts(&mut self, most: u64) -> u64 {
        // Even a slow world's outages end within minutes.
        let pace = self.knobs.stretch.clamp(1, 20);
        self.faults.between(500, most * pace)
    }

    pub(super) fn fault_tick(&mut self) {
        // Where hours pass, they are not spent on faults of a network that has nothing left to do.
        let idle = self.knobs.stretch > 1 && self.jobs_have_ended();
        if idle || self.now >= EPOCH_MS + self.knobs.fault_phase_ms * self.knobs.stretch {
            self.heal();
            return;
        }
        self.schedule(FAULT_TICK_MS * self.knobs.stretch, 0, Happening::FaultTick);
        let knobs = self.knobs.clone();
        let count = self.nodes.len() as u64;
        let any = |p: &mut Prng| size(p.below(count));
        let (first, providers) = (size(knobs.requesters), knobs.providers);
        let provider = |p: &mut Prng| first + size(p.below(providers));
        if self.faults_draw(knobs.crash_percent) {
            let at = any(&mut self.faults);
            if self.nodes[at].core.is_some() {
                self.nodes[at].dies_in = Some(self.faults.below(40));
            }
        }
        if self.faults_draw(knobs.cut_percent) {
            let (a, b) = (any(&mut self.faults), any(&mut self.faults));
            if a != b {
                self.net.set_cut(pair(a, b), true);
                self.disconnect(a, b);
                let lasts = self.lasts(40_000);
                self.schedule(lasts, a, Happening::Mend(pair(a, b)));
            }
        }
        if self.faults_draw(knobs.break_percent) {
            let (a, b) = (any(&mut self.faults), any(&mut self.faults));
            if a != b {
                self.disconnect(a, b);
            }
        }
        if self.faults_draw(knobs.disk_fail_percent) {
            let at = any(&mut self.faults);
            self.nodes[at].disk.broken = true;
            let lasts = self.lasts(10_000);
            self.schedule(lasts, at, Happening::DiskMends);
        }
        self.chain_faults();
        if self.faults_draw(knobs.freeze_percent) {
            let at = any(&mut self.faults);
            self.nodes[at].asleep_until = self.now + self.lasts(30_000);
        }
        if self.faults_draw(knobs.pause_percent) {
            let at = provider(&mut self.faults);
            let lasts = self.lasts(20_000);
            self.command(at, Command::Pause { reason: PauseReason::Owner });
            self.schedule(lasts, at, Happening::Resume);
        }
        if self.faults_draw(knobs.drain_percent) {
            let at = provider(&mut self.faults);
            self.nodes[at].draining = true;
            self.command(at, Command::Drain);
        }
    }

    pub(super) fn resume(&mut self, at: usize) {
        self.command(at, Command::Resume { reason: PauseReason::Owner });
    }

    fn heal(&mut self) {
        self.healed = true;
        self.trace.say(self.now, 0, || "HEAL".to_owned());
        self.net.heal();
        self.heal_chain();
        for at in 0..self.nodes.len() {
            self.nodes[at].disk.broken = false;
            self.nodes[at].dies_in = None;
            self.nodes[at].asleep_until = 0;
            let draining = self.nodes[at].draining;
            if draining && self.nodes[at].core.is_some() {
                self.crash(at);
            }
            if self.nodes[at].core.is_none() {
                self.start(at);
            } else {
                self.resume(at);
            }
        }
        for (a, b) in self.net.missing() {
            self.schedule(10, a, Happening::Dial(b));
        }
    }

    /// A clock as wrong as the knobs allow.
    pub(super) fn draw_clock(&mut self) -> Clock {
        let most = self.knobs.skew_ms_max;
        if most == 0 {
            return Clock::default();
        }
        let ahead = self.faults.below(2 * most + 1).cast_signed() - most.cast_signed();
        Clock::ahead(ahead)
    }
}
