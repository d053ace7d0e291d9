//! Blobs and runs: who holds what, and what a machine makes of a task.

use ayni_core::{Event, FetchFailure, FetchId, FetchWhat, Purpose, Ran, RunId};
use ayni_types::{Digest, Fault, FaultKind, NodeId, TaskSpec};
use ayni_wire::task_id;

use super::{Fail, Happening, Violation, World};
use crate::adversary::RunSeen;
use crate::checkers::m3;
use crate::runner;

impl World {
    // --- blobs ---

    pub(super) fn fetch(&mut self, at: usize, fetch: FetchId, what: &FetchWhat, from: &[NodeId]) {
        let mut blobs: Vec<Digest> = match what {
            FetchWhat::Inputs(task) => runner::inputs(task),
            FetchWhat::Blobs(blobs) => blobs.iter().map(|(d, _)| *d).collect(),
            FetchWhat::Outputs { here, rest } => {
                let kept: Vec<Digest> = here.iter().map(|bytes| ayni_wire::digest(bytes)).collect();
                self.nodes[at].blobs.extend(kept);
                rest.iter().map(|(d, _)| *d).collect()
            }
        };
        blobs.retain(|b| !self.nodes[at].blobs.contains(b));
        let failed = !self.healed && self.faults.percent(self.knobs.fetch_fail_percent);
        let asker = self.nodes[at].id;
        let mut source = None;
        let peers: Vec<usize> = from.iter().filter_map(|id| self.ids.get(id).copied()).collect();
        for peer in peers {
            let Some(epoch) = self.net.epoch(at, peer) else { continue };
            let holds = blobs.iter().all(|b| self.nodes[peer].blobs.contains(b));
            let gives = self.with_adversary(peer, |adversary, desk| {
                blobs.iter().all(|blob| adversary.gives(*blob, asker, desk))
            });
            if holds && gives.unwrap_or(true) {
                source = Some((peer, epoch));
                break;
            }
        }
        let after = if blobs.is_empty() { 1 } else { 2 * self.delay() };
        self.schedule(after, at, Happening::Fetched { fetch, source, blobs, failed });
    }

    pub(super) fn fetched(
        &mut self,
        at: usize,
        fetch: FetchId,
        source: Option<(usize, u64)>,
        blobs: Vec<Digest>,
        failed: bool,
    ) {
        let reachable = source.is_some_and(|(peer, epoch)| self.net.epoch(at, peer) == Some(epoch));
        let fine = blobs.is_empty() || (reachable && !failed);
        self.note(at, 8, &[u8::from(fine)]);
        let result = if fine {
            self.nodes[at].blobs.extend(blobs);
            Ok(())
        } else {
            Err(FetchFailure::Unavailable("nobody reachable holds it".to_owned()))
        };
        self.handle(at, Event::Fetched { fetch, result });
    }

    // --- runners ---

    pub(super) fn execute(
        &mut self,
        at: usize,
        run: RunId,
        task: &TaskSpec,
        timeout_ms: u64,
        purpose: Purpose,
    ) {
        let node = &self.nodes[at];
        if let (Purpose::Lease(lease), true) = (purpose, self.money.is_some() && node.is_honest()) {
            let step = u128::from(self.knobs.provider_step);
            self.violations.extend(m3::begins(&node.books, lease, step));
        }
        let node = &self.nodes[at];
        if runner::inputs(task).iter().any(|b| !node.blobs.contains(b)) {
            let text = format!("node {at} runs a task whose inputs it does not hold");
            self.violations.push(Violation::new("inputs are held", text));
        }
        let (mut ms, mut result) = runner::execute(task, node.id, node.fuel_per_ms);
        if self.inject(Fail::Run) {
            let detail = "the runner did not start".to_owned();
            (ms, result) = (1, Err(Fault { kind: FaultKind::RunnerCrashed, detail }));
        } else if !self.healed && self.faults.percent(self.knobs.machine_fault_percent) {
            let crashed = self.faults.percent(50);
            let kind = if crashed { FaultKind::RunnerCrashed } else { FaultKind::OutOfMemory };
            result = Err(Fault { kind, detail: "a bad day".to_owned() });
        } else if ms > timeout_ms {
            ms = timeout_ms;
            result = Err(Fault { kind: FaultKind::Timeout, detail: "too slow".to_owned() });
        }
        let requester = match purpose {
            Purpose::Lease(lease) => self.nodes[at].tenants.get(&lease).copied(),
            Purpose::Audit | Purpose::Home => None,
        };
        let lone = self.nodes[at].runs.is_empty();
        let spoilt = self.with_adversary(at, |adversary, desk| {
            let seen = RunSeen { task, id: task_id(task), purpose, requester, lone };
            adversary.run(&seen, (ms, result.clone()), desk)
        });
        let (ms, result) = spoilt.unwrap_or((ms, result));
        self.nodes[at].runs.insert(run, purpose);
        self.running += usize::from(self.nodes[at].is_honest());
        let compiles_ms = self.compile(at, run, task.program);
        self.schedule(compiles_ms + ms, at, Happening::RunEnds { run, result: Box::new(result) });
    }

    /// A program is compiled before its first run on a machine, and what else wants it waits.
    /// Answers for how long.
    fn compile(&mut self, at: usize, run: RunId, program: Digest) -> u64 {
        let (now, takes_ms) = (self.now, self.knobs.compile_ms);
        if takes_ms == 0 {
            return 0;
        }
        let ready = *self.nodes[at].compiled_at.entry(program).or_insert(now + takes_ms);
        let left_ms = ready.saturating_sub(now);
        if left_ms > 0 {
            self.schedule(1, at, Happening::RunCompiles { run, compiling: true });
            self.schedule(left_ms, at, Happening::RunCompiles { run, compiling: false });
        }
        left_ms
    }

    pub(super) fn run_ends(&mut self, at: usize, run: RunId, result: Result<Ran, Fault>) {
        let Some(purpose) = self.nodes[at].runs.get(&run).copied() else { return };
        if self.nodes[at].frozen && matches!(purpose, Purpose::Lease(_)) {
            let result = Box::new(result);
            self.schedule(200, at, Happening::RunEnds { run, result });
            return;
        }
        self.nodes[at].runs.remove(&run);
        self.running -= usize::from(self.nodes[at].is_honest());
        self.note(at, 9, &run.0.to_be_bytes());
        if let Ok(ran) = &result {
            let outputs = runner::outputs(&ran.outcome);
            self.nodes[at].blobs.extend(outputs);
            if let Purpose::Lease(lease) = purpose {
                self.nodes[at].books.did(lease, &ran.outcome, ran.data_bytes);
            }
        }
        self.handle(at, Event::Ran { run, result });
    }
}
