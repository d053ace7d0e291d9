//! Draws a world from its seed. Each kind of fault is often off altogether, so that some worlds
//! are hit by one thing very hard; liars come in all kinds, alone, in pairs or as a ring.

use crate::adversary::{self, Liar, Role};
use crate::knobs::{Knobs, size};
use crate::prng::Prng;

impl Knobs {
    /// Draws a world.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut p = Prng::new(seed, "swarm");
        let requesters = if p.percent(25) { 2 } else { 1 };
        let mut knobs = Self {
            seed,
            requesters,
            providers: p.between(1, 10),
            directory_at_home: u64::from(p.percent(50)),
            jobs: p.between(1, 3).max(requesters),
            tasks: match p.below(4) {
                0 => p.between(1, 4),
                1 | 2 => p.between(1, 60),
                _ => p.between(1, 200),
            },
            odd_tasks_percent: often(&mut p, 50, 20),
            repeated_percent: often(&mut p, 30, 30),
            blinded_percent: if p.percent(15) { 50 } else { 0 },
            audit_ppm: match p.below(3) {
                0 => 0,
                1 => 1_000_000,
                _ => 100_000,
            },
            home: u64::from(p.percent(30)),
            home_slots: p.between(1, 4),
            slots_max: p.between(1, 6),
            stretch: 1,
            delay_ms_max: p.between(1, 250),
            disk_ms_max: p.between(1, 60),
            cancel: u64::from(p.percent(15)),
            open: u64::from(p.percent(25)),
            ..Self::default()
        };
        knobs.draw_faults(&mut p);
        knobs.draw_rule(&mut Prng::new(seed, "rule"));
        knobs.draw_liars(&mut Prng::new(seed, "liars"));
        let mut compiles = Prng::new(seed, "compiles");
        knobs.compile_ms = often(&mut compiles, 30, 40_000);
        if Prng::new(seed, "paid").percent(30) {
            knobs.draw_money(&mut Prng::new(seed, "money knobs"));
        }
        knobs
    }

    fn draw_faults(&mut self, p: &mut Prng) {
        if !p.percent(75) {
            return;
        }
        self.crash_percent = often(p, 50, 12);
        self.cut_percent = often(p, 40, 15);
        self.break_percent = often(p, 40, 20);
        self.disk_fail_percent = often(p, 25, 6);
        self.pause_percent = often(p, 25, 8);
        self.drain_percent = often(p, 20, 5);
        self.freeze_percent = often(p, 25, 6);
        self.machine_fault_percent = often(p, 30, 10);
        self.fetch_fail_percent = often(p, 30, 15);
        self.ghost_percent = often(p, 30, 60);
        self.repeat_percent = often(p, 30, 60);
        self.lost_sync_percent = often(p, 15, 50);
        self.skew_ms_max = match p.below(4) {
            0 => p.between(1_000, 60_000),
            1 => 3_600_000,
            _ => 0,
        };
        self.fault_phase_ms = p.between(5_000, 60_000);
    }

    fn draw_rule(&mut self, p: &mut Prng) {
        if p.percent(40) {
            self.by_rule = 1;
            self.error_ppm = if p.percent(30) { p.between(100, 50_000) } else { 0 };
            self.gain = if p.percent(20) { p.between(1, 10_000) } else { 0 };
            self.stake = if p.percent(50) { p.between(1, 1_000_000) } else { 0 };
            self.hold_back = if p.percent(70) { 1_000_000_000 } else { 0 };
        }
        if p.percent(12) {
            self.quorum = p.between(2, 3);
        }
        if p.percent(15) && self.home == 0 {
            // Nothing runs at home: others audit.
            self.home_slots = 0;
        }
    }

    /// The same world with pay.
    #[must_use]
    pub fn paid(seed: u64) -> Self {
        let mut knobs = Self::draw(seed);
        knobs.draw_money(&mut Prng::new(seed, "money knobs"));
        knobs
    }

    /// The same world, where jobs have a budget: too small for anything, for some, or for all.
    #[must_use]
    pub fn budgeted(seed: u64) -> Self {
        let mut knobs = Self::draw(seed);
        let mut p = Prng::new(seed, "budget");
        // A task costs up to 30,000 by its limits, and a tenth of that.
        knobs.budget = match p.below(4) {
            0 => p.between(1, 40_000),
            1 | 2 => p.between(40_000, 400_000),
            _ => 100_000_000,
        };
        knobs
    }

    fn draw_money(&mut self, p: &mut Prng) {
        self.paid = 1;
        // A task costs up to 2,600; some steps are smaller than that, and some hold many tasks.
        self.step_first = p.between(500, 20_000);
        self.step_max = self.step_first * p.between(1, 8);
        self.provider_step = p.between(20_000, 200_000);
        self.deposit = self.step_first * p.between(1, 20);
        self.claim_least = p.between(1, 20_000);
        self.hold_back = match p.below(3) {
            0 => 0,
            1 => p.between(1, 20_000),
            _ => 1_000_000_000,
        };
        self.withdraw_delay_s = p.between(600, 1_200);
        self.block_ms = p.between(200, 4_000);
        self.depth = p.between(1, 6);
        if p.percent(70) && self.liars.is_empty() {
            self.draw_cheats(p);
        }
        if self.fault_phase_ms > 0 {
            self.reorg_percent = often(p, 40, 15);
            self.chain_down_percent = often(p, 30, 8);
            self.gas_percent = often(p, 30, 8);
            self.rpc_percent = often(p, 40, 15);
            self.close_percent = often(p, 30, 6);
            self.tx_drop_percent = often(p, 30, 40);
            self.tx_late_percent = often(p, 40, 60);
            self.tx_twice_percent = often(p, 40, 60);
        }
    }

    fn draw_liars(&mut self, p: &mut Prng) {
        if self.providers < 2 || !p.percent(45) {
            return;
        }
        let any = |p: &mut Prng, role: Role| {
            let kinds: Vec<_> = adversary::CATALOGUE.iter().filter(|e| e.role == role).collect();
            kinds[size(p.below(kinds.len() as u64))].name
        };
        let dose = |p: &mut Prng| p.between(1, 100);
        match p.below(10) {
            // A ring of a third of the providers, some of whom share what they know.
            0 | 1 if self.providers >= 3 => {
                let name = if p.percent(50) { "colludes" } else { any(p, Role::Provider) };
                for at in 0..self.providers / 3 {
                    self.lies(p, size(self.requesters + at), name, dose);
                }
            }
            2 => {
                // The first directory answers with nobody but the ring.
                self.directory_at_home = 0;
                self.providers = self.providers.max(4);
                self.second_directory = 1;
                self.lies(p, size(self.requesters), "eclipse", dose);
                self.lies(p, size(self.requesters) + 1, "colludes", dose);
            }
            3 | 4 => {
                self.requesters = 2;
                self.jobs = self.jobs.max(2);
                let name = any(p, Role::Requester);
                if name == "blinded" {
                    self.blinded_percent = 100;
                }
                self.lies(p, 1, name, dose);
            }
            5 => {
                let name = any(p, Role::Network);
                if name == "eclipse" {
                    // Who hears of others from one directory only hears what it likes.
                    self.second_directory = 1;
                }
                let at = p.below(self.requesters + self.providers);
                self.lies(p, size(at), name, dose);
            }
            _ => {
                let count = 1 + u64::from(p.percent(30));
                for at in 0..count.min(self.providers - 1) {
                    let name = any(p, Role::Provider);
                    self.lies(p, size(self.requesters + at), name, dose);
                }
            }
        }
    }

    /// Those who cheat about money.
    fn draw_cheats(&mut self, p: &mut Prng) {
        let payer = p.percent(60);
        if payer {
            self.requesters = 2;
            self.jobs = self.jobs.max(2);
        } else if self.providers < 2 {
            return;
        }
        let role = if payer { Role::Payer } else { Role::Payee };
        let kinds: Vec<_> = adversary::CATALOGUE.iter().filter(|e| e.role == role).collect();
        let name = kinds[size(p.below(kinds.len() as u64))].name;
        let node = if payer { 1 } else { size(self.requesters) };
        let dose = p.between(1, 100);
        self.liars.extend(Liar::named(node, name, dose));
    }

    fn lies(&mut self, p: &mut Prng, node: usize, name: &str, dose: impl Fn(&mut Prng) -> u64) {
        let dose = dose(p);
        self.liars.extend(Liar::named(node, name, dose));
    }

    /// The same world at a human pace: runs of minutes to an hour, faults for hours.
    #[must_use]
    pub fn long(seed: u64) -> Self {
        let mut knobs = Self::draw(seed);
        let mut p = Prng::new(seed, "long");
        knobs.stretch = p.between(200, 2_000);
        // As long as a requester waits for it, and what it then takes to say so.
        knobs.compile_ms *= 40;
        knobs.tasks = p.between(10, 60);
        knobs.providers = knobs.providers.min(3);
        if knobs.liars.iter().any(|l| l.name == "eclipse") {
            knobs.providers = knobs.providers.max(4);
        }
        // Somebody honest must be left: who has banned everybody waits, and rightly so. And spam by
        // the second fills hours with nothing else; the short worlds have it.
        let last = knobs.nodes() - 1;
        knobs.liars.retain(|liar| liar.node < last && liar.name != "quote_spam");
        knobs.cancel = 0;
        if knobs.paid > 0 {
            // Prices grow with the tasks.
            for number in [
                &mut knobs.deposit,
                &mut knobs.step_first,
                &mut knobs.step_max,
                &mut knobs.provider_step,
            ] {
                *number *= knobs.stretch;
            }
            knobs.withdraw_delay_s *= 20;
            knobs.block_ms *= 10;
        }
        knobs
    }

    /// A calm world with one big job: for measuring.
    #[must_use]
    pub fn load(tasks: u64) -> Self {
        Self {
            requesters: 1,
            providers: 5,
            jobs: 1,
            tasks,
            audit_ppm: 10_000,
            home_slots: 2,
            slots_max: 32,
            stretch: 1,
            delay_ms_max: 2,
            disk_ms_max: 2,
            ..Self::default()
        }
    }

    /// A crowd: many requesters and providers, two directories, and faults among them.
    #[must_use]
    pub fn crowd(seed: u64, nodes: u64) -> Self {
        let requesters = (nodes / 20).max(1);
        Self {
            seed,
            requesters,
            providers: (nodes - requesters).max(1),
            directory_at_home: 1,
            second_directory: 1,
            jobs: requesters,
            tasks: 100,
            odd_tasks_percent: 3,
            repeated_percent: 3,
            audit_ppm: 100_000,
            home_slots: 2,
            slots_max: 4,
            providers_max: 20,
            stretch: 1,
            delay_ms_max: 100,
            disk_ms_max: 20,
            crash_percent: 60,
            cut_percent: 60,
            break_percent: 60,
            pause_percent: 30,
            machine_fault_percent: 1,
            fault_phase_ms: 30_000,
            ..Self::default()
        }
    }
}

fn often(p: &mut Prng, on: u64, high: u64) -> u64 {
    if p.percent(on) { p.between(1, high) } else { 0 }
}
