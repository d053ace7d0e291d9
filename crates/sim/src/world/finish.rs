//! When a world is over, what must hold then, and what came of it.

use std::collections::BTreeSet;

use ayni_core::{JobState, Tuning};

use super::clients::Stage;
use super::{EPOCH_MS, Violation, World};
use crate::checkers::{evidence, j1, j3, m7, v1};
use crate::runner;

/// Twenty attempts of ten seconds each.
const LIES_MS_PER_TASK: u64 = 200_000;

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
    /// Virtual time in which at least one task was being executed on an honest machine.
    pub busy_ms: u64,
    /// The same, times the number of nodes.
    pub busy_node_ms: u64,
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
    /// Claimed on the chain.
    pub claimed: u128,
    /// Reorganisations of the chain.
    pub reorganised: u64,
    /// The failure that was asked for came to pass.
    pub injected: bool,
    /// Real milliseconds of the slowest call into a core. Not part of the trace.
    pub slowest_ms: f64,
    /// The last lines of the trace, if asked for.
    pub lines: Vec<String>,
}

impl World {
    /// Healing, and then every task once after the other on the slowest machine, and again at home.
    /// A liar (one that withholds outputs, say) may cost every task all of its attempts.
    pub(super) fn give_up_at(&self) -> u64 {
        let slowest = self.nodes.iter().map(|n| n.fuel_per_ms).min().unwrap_or(1).max(1);
        let pace = self.knobs.stretch;
        let work: u64 = self
            .clients
            .iter()
            .flat_map(|c| &c.tasks)
            .map(|t| runner::truth(t).map_or(60_000 * pace, |o| o.fuel.0 / slowest))
            .sum();
        let tasks: usize = self.clients.iter().map(|c| c.tasks.len()).sum();
        let lies = if self.knobs.is_honest() { 0 } else { tasks as u64 * LIES_MS_PER_TASK };
        // Who says that it compiles is waited for so long, once for each task that it gets.
        let claims = self.knobs.liars.iter().filter(|liar| liar.name == "never_compiled").count();
        let claimed = (claims * tasks) as u64 * Tuning::default().compile_ms_max;
        // Each machine compiles each of the two programs once, after healing too.
        let compiled = 2 * self.knobs.compile_ms * self.knobs.nodes() as u64;
        let work = 3 * work + compiled + lies + claimed;
        // A channel to every provider, and some of them again: each step may be lost, and is taken
        // again after half a minute.
        let chain = if self.money.is_some() { 1_800_000 + 40 * self.knobs.block_ms } else { 0 };
        EPOCH_MS + chain + (self.knobs.fault_phase_ms + 600_000) * pace + work
    }

    /// Users of dishonest requesters get what they get.
    fn honest_clients(&self) -> impl Iterator<Item = &super::Client> {
        self.clients.iter().filter(|c| self.nodes[c.node].is_honest())
    }

    pub(super) fn is_settled(&self) -> bool {
        self.healed && self.jobs_have_ended()
    }

    pub(super) fn jobs_have_ended(&self) -> bool {
        self.honest_clients().all(|client| {
            client.stage == Stage::Done
                || (client.stage == Stage::Watch && {
                    let core = self.nodes[client.node].core.as_ref();
                    let view = core.and_then(|c| c.job(client.job));
                    view.is_some_and(|v| v.state != JobState::Running)
                })
        })
    }

    pub(super) fn report_stuck(&mut self) {
        let healed_ms = self.knobs.fault_phase_ms * self.knobs.stretch;
        let since_ms = self.now - EPOCH_MS - healed_ms;
        let mut found = Vec::new();
        for client in self.honest_clients() {
            let Some(core) = &self.nodes[client.node].core else { continue };
            found.extend(j3::still_runs(core, client.job, since_ms));
        }
        if found.is_empty() {
            found.push(Violation::new(j3::PROMISE, "a client never got its answer".to_owned()));
        }
        self.violations.extend(found);
    }

    pub(super) fn final_checks(&mut self) {
        let mut found = Vec::new();
        for client in self.honest_clients() {
            let node = &self.nodes[client.node];
            let (Some(core), told) = (&node.core, &node.told) else { continue };
            let (job, tasks) = (client.job, &client.tasks);
            found.extend(j1::at_end(told, core, job, tasks, &self.knobs));
            found.extend(v1::results(core, job, tasks, &self.knobs, node.id, self.liars.len()));
            found.extend(v1::accusations(core, job, &self.liars));
        }
        let requesters_are_honest = self.honest_clients().count() == self.clients.len();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(core) = node.core.as_ref().filter(|_| node.is_honest()) else { continue };
            if requesters_are_honest {
                found.extend(j3::nothing_left(core, at));
            }
        }
        found.extend(self.final_budgets());
        found.extend(self.shown_by_liars());
        found.extend(self.final_money());
        self.violations.extend(found);
    }

    fn final_budgets(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().filter(|_| self.knobs.budget > 0) {
            let Some(core) = node.core.as_ref().filter(|_| node.is_honest()) else { continue };
            let own = self.clients.iter().filter(|client| client.node == at);
            let jobs: BTreeSet<_> = own.map(|client| client.job).collect();
            found.extend(m7::at_end(core, &jobs, self.knobs.budget, node.disk.records()));
        }
        found
    }

    /// What dishonest requesters show to the world convicts nobody honest.
    fn shown_by_liars(&mut self) -> Vec<Violation> {
        let mut found = Vec::new();
        for at in 0..self.clients.len() {
            let (node, job) = (self.clients[at].node, self.clients[at].job);
            let Some(core) = self.nodes[node].core.as_ref() else { continue };
            if self.nodes[node].is_honest() {
                continue;
            }
            let count = core.job(job).map_or(0, |j| j.counts.tasks);
            let receipts = (0..count).filter_map(|i| core.receipt(job, i)).collect();
            let evidence = core.evidence(job);
            let shown = self.with_adversary(node, |adversary, desk| {
                adversary.exhibits(evidence, receipts, desk)
            });
            for exhibit in shown.into_iter().flatten() {
                let accused = exhibit.provider;
                if !self.liars.contains(&accused) && evidence::convicts(&exhibit).is_ok() {
                    let text = format!("forged evidence convicts {accused}");
                    found.push(Violation::new(v1::BLAME, text));
                }
            }
        }
        found
    }

    pub(super) fn report(self) -> Report {
        let (mut accepted, mut failed, mut reruns) = (0, 0, 0);
        for client in &self.clients {
            let core = self.nodes[client.node].core.as_ref();
            if let Some(view) = core.and_then(|c| c.job(client.job)) {
                accepted += view.counts.accepted;
                failed += view.counts.failed;
                reruns += view.reruns;
            }
        }
        let channels = self.money.iter().flat_map(|m| m.chain.head().channels.values());
        let claimed = channels.map(|c| c.funds.claimed.0).sum();
        Report {
            seed: self.knobs.seed,
            hash: self.trace.hash(),
            events: self.trace.events,
            virtual_ms: self.now - EPOCH_MS,
            busy_ms: self.busy_ms,
            busy_node_ms: self.busy_node_ms,
            accepted,
            failed,
            reruns,
            claimed,
            reorganised: self.money.as_ref().map_or(0, |m| m.chain.reorganised),
            crashes: self.crashes,
            mismatches: self.nodes.iter().map(|n| n.told.mismatches).sum(),
            injected: self.options.injection.is_some_and(|i| self.injected >= i.nth),
            slowest_ms: self.slowest.as_secs_f64() * 1_000.0,
            lines: self.trace.lines(),
            violations: self.violations,
        }
    }
}
