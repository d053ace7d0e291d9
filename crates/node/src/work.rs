//! Executes tasks: prepares the program, keeps one jailed runner per slot, stores the outputs.
//!
//! Each slot is a task of its own that takes one order after the other. What it makes of a run,
//! it recomputes from the bytes: digests are never taken from a runner.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ayni_core::{Event, Purpose, Ran, RunId, SlotId};
use ayni_sandbox::{RunResult, Sandbox, Slot, SlotControl, SlotLimits};
use ayni_store::{Area, Blobs, StoreError};
use ayni_types::{BlobRef, Digest, Fault, FaultKind, Fuel, OutFile, Outcome, TaskSpec};
use ayni_wire::runner::{CompileHow, RunOrder, Section};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::cheat::Cheat;
use crate::inputs::{Inputs, InputsError, inputs};
use crate::programs::Programs;
use crate::pump::Handle;

/// What every slot shares.
pub(crate) struct Shop {
    pub(crate) sandbox: Sandbox,
    pub(crate) programs: Programs,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) cheat: Option<Arc<Cheat>>,
}

/// A run that was asked for.
struct Order {
    run: RunId,
    task: TaskSpec,
    timeout: Duration,
    purpose: Purpose,
    cancel: CancellationToken,
}

struct SlotEntry {
    orders: mpsc::UnboundedSender<Order>,
}

/// The slots of this node.
pub(crate) struct Work {
    shop: Arc<Shop>,
    handle: Handle,
    slots: BTreeMap<SlotId, SlotEntry>,
    runs: BTreeMap<RunId, CancellationToken>,
    frozen: watch::Sender<bool>,
    tasks: tokio::task::JoinSet<()>,
}

pub(crate) fn fault(kind: FaultKind, detail: impl std::fmt::Display) -> Fault {
    let detail = detail.to_string();
    Fault { kind, detail: detail.chars().take(250).collect() }
}

fn store_fault(error: &StoreError) -> Fault {
    match error {
        StoreError::Full { .. } => fault(FaultKind::DiskFull, error),
        _ => fault(FaultKind::Internal, error),
    }
}

impl Work {
    pub(crate) fn new(shop: Arc<Shop>, handle: Handle) -> Self {
        let (frozen, _) = watch::channel(false);
        Self {
            shop,
            handle,
            slots: BTreeMap::new(),
            runs: BTreeMap::new(),
            frozen,
            tasks: tokio::task::JoinSet::new(),
        }
    }

    pub(crate) fn run(
        &mut self,
        run: RunId,
        slot: SlotId,
        task: TaskSpec,
        timeout: Duration,
        purpose: Purpose,
    ) {
        self.runs.retain(|_, cancel| !cancel.is_cancelled());
        let cancel = CancellationToken::new();
        self.runs.insert(run, cancel.clone());
        let entry = self.slots.entry(slot).or_insert_with(|| {
            let (orders, taken) = mpsc::unbounded_channel();
            let slot =
                SlotTask { shop: self.shop.clone(), handle: self.handle.clone(), slot: None };
            // Only what runs for others is frozen.
            let frozen = matches!(purpose, Purpose::Lease(_)).then(|| self.frozen.subscribe());
            self.tasks.spawn(slot.serve(taken, frozen));
            SlotEntry { orders }
        });
        // The slot's task lives as long as its entry.
        let _ = entry.orders.send(Order { run, task, timeout, purpose, cancel });
    }

    pub(crate) fn kill(&mut self, run: RunId) {
        if let Some(cancel) = self.runs.remove(&run) {
            cancel.cancel();
        }
    }

    pub(crate) fn close(&mut self, slot: SlotId) {
        self.slots.remove(&slot);
        // Slots that have ended are forgotten.
        while self.tasks.try_join_next().is_some() {}
    }

    pub(crate) fn freeze(&mut self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Ends every runner and waits until they are gone.
    pub(crate) async fn stop_all(mut self) {
        for cancel in self.runs.values() {
            cancel.cancel();
        }
        self.slots.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// One slot: at most one runner.
struct SlotTask {
    shop: Arc<Shop>,
    handle: Handle,
    slot: Option<Slot>,
}

impl SlotTask {
    async fn serve(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut frozen: Option<watch::Receiver<bool>>,
    ) {
        while let Some(order) = orders.recv().await {
            let result = if order.cancel.is_cancelled() {
                Err(fault(FaultKind::Cancelled, "before it began"))
            } else {
                self.one(&order, &mut frozen).await
            };
            // So that the map of runs can forget it.
            order.cancel.cancel();
            self.handle.event(Event::Ran { run: order.run, result });
        }
        if let Some(slot) = self.slot.take() {
            slot.close().await;
        }
    }

    async fn one(
        &mut self,
        order: &Order,
        frozen: &mut Option<watch::Receiver<bool>>,
    ) -> Result<Ran, Fault> {
        let started = |compiling| {
            self.handle.event(Event::RunStarted { run: order.run, compiling });
        };
        let shop = self.shop.clone();
        let background = matches!(order.purpose, Purpose::Lease(_));
        let how = CompileHow::Optimised;
        let prepared = prepare(&shop, &order.task, how, !background, || started(true));
        let prepared = tokio::select! {
            prepared = prepared => prepared?,
            () = order.cancel.cancelled() => {
                return Err(fault(FaultKind::Cancelled, "while it was prepared"));
            }
        };
        started(false);
        if background && shop.cheat.as_ref().is_some_and(|cheat| cheat.stalls()) {
            order.cancel.cancelled().await;
            return Err(fault(FaultKind::Cancelled, "it stalled"));
        }
        let limits = slot_limits(&order.task, background);
        let fits = |slot: &Slot| {
            let has = slot.limits();
            slot.is_alive()
                && has.memory_bytes >= limits.memory_bytes
                && has.output_bytes >= limits.output_bytes
        };
        if !self.slot.as_ref().is_some_and(fits) {
            if let Some(old) = self.slot.take() {
                old.close().await;
            }
            self.slot = Some(shop.sandbox.open_slot(limits).await?);
        }
        let Some(slot) = self.slot.as_mut() else {
            return Err(fault(FaultKind::Internal, "no slot"));
        };
        let control = slot.control();
        let run = execute(&shop, slot, &order.task, &prepared, order.timeout, &order.cancel);
        let result = tokio::select! {
            result = run => result,
            () = obey(frozen, &control) => unreachable!("obeying never ends"),
        };
        let mut ran = result?;
        if background && let Some(cheat) = &shop.cheat {
            cheat.spoil(&shop.blobs, &order.task, &mut ran).map_err(|error| store_fault(&error))?;
        }
        Ok(ran)
    }
}

/// Freezes and thaws a runner as told; never ends.
async fn obey(frozen: &mut Option<watch::Receiver<bool>>, control: &SlotControl) {
    let Some(frozen) = frozen else { return std::future::pending().await };
    let mut is = false;
    loop {
        let wanted = *frozen.borrow_and_update();
        if wanted != is {
            if wanted {
                control.pause()
            } else {
                control.resume()
            }
            is = wanted;
        }
        if frozen.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

fn slot_limits(task: &TaskSpec, background: bool) -> SlotLimits {
    SlotLimits {
        memory_bytes: task.limits.memory_bytes,
        output_bytes: task.limits.output_bytes,
        cpu_percent_max: None,
        background,
    }
}

/// Everything a run needs but its runner.
pub(crate) struct Prepared {
    ready: crate::programs::Ready,
    inputs: Inputs,
    how: CompileHow,
}

/// Lists the inputs and has the program compiled.
pub(crate) async fn prepare(
    shop: &Arc<Shop>,
    task: &TaskSpec,
    how: CompileHow,
    urgent: bool,
    compiling: impl FnOnce(),
) -> Result<Prepared, Fault> {
    let (blobs, spec) = (shop.blobs.clone(), task.clone());
    let inputs = tokio::task::spawn_blocking(move || inputs(&blobs, &spec)).await;
    let inputs = match inputs {
        Ok(Ok(inputs)) => inputs,
        Ok(Err(error @ (InputsError::Missing(_) | InputsError::BadTree(..)))) => {
            return Err(fault(FaultKind::InputUnavailable, error));
        }
        Ok(Err(InputsError::Store(error))) => return Err(store_fault(&error)),
        Err(error) => return Err(fault(FaultKind::Internal, error)),
    };
    let ready = shop.programs.ready(&task.program, &task.engine, how, urgent, compiling).await?;
    Ok(Prepared { ready, inputs, how })
}

/// Runs a prepared task in a slot and stores its outputs.
pub(crate) async fn execute(
    shop: &Arc<Shop>,
    slot: &mut Slot,
    task: &TaskSpec,
    prepared: &Prepared,
    timeout: Duration,
    cancel: &CancellationToken,
) -> Result<Ran, Fault> {
    let result = raw(shop, slot, task, prepared, timeout, cancel, false).await?;
    stored(shop, prepared, result).await
}

/// Runs a prepared task in a slot.
async fn raw(
    shop: &Arc<Shop>,
    slot: &mut Slot,
    task: &TaskSpec,
    prepared: &Prepared,
    timeout: Duration,
    cancel: &CancellationToken,
    witness: bool,
) -> Result<RunResult, Fault> {
    let order = RunOrder { task: task.clone(), how: prepared.how, witness };
    let wanted = prepared.inputs.data.clone();
    let blobs = shop.blobs.clone();
    let source = move |digest: Digest| -> std::io::Result<Option<(OwnedFd, u64)>> {
        if !wanted.contains_key(&digest) {
            return Ok(None);
        }
        match blobs.open_blob(&digest) {
            Ok(Some((file, bytes))) => Ok(Some((file.into(), bytes))),
            Ok(None) => Err(std::io::Error::other(format!("input {digest} was evicted"))),
            Err(error) => Err(std::io::Error::other(error.to_string())),
        }
    };
    let artefact = &prepared.ready.artefact;
    slot.run(&order, artefact, &source, timeout, cancel.cancelled()).await
}

async fn stored(
    shop: &Arc<Shop>,
    prepared: &Prepared,
    result: RunResult,
) -> Result<Ran, Fault> {
    let blobs = shop.blobs.clone();
    let stored = tokio::task::spawn_blocking(move || store(&blobs, result)).await;
    let (outcome, mut observed) = match stored {
        Ok(Ok(stored)) => stored,
        Ok(Err(error)) => return Err(store_fault(&error)),
        Err(error) => return Err(fault(FaultKind::Internal, error)),
    };
    observed.compile_ms = prepared.ready.compile_ms;
    let out = outcome.stdout.size + outcome.stderr.size;
    let out = out + outcome.files.iter().map(|file| file.blob.size).sum::<u64>();
    let data_bytes = prepared.inputs.bytes() + out;
    Ok(Ran { outcome, observed, code_bytes: prepared.inputs.program_bytes, data_bytes })
}

/// Runs one task in a fresh slot: what `ayni exec` and `verify --re-execute` do.
pub(crate) async fn once(
    shop: &Arc<Shop>,
    task: &TaskSpec,
    timeout: Duration,
) -> Result<Ran, Fault> {
    let prepared = prepare(shop, task, CompileHow::Optimised, true, || {}).await?;
    let mut slot = shop.sandbox.open_slot(slot_limits(task, false)).await?;
    let never = CancellationToken::new();
    let ran = execute(shop, &mut slot, task, &prepared, timeout, &never).await;
    slot.close().await;
    ran
}

/// Runs one task in a fresh slot as a juror does: its outcome, then the state at each of the points
/// that the seed draws for the fuel that it used.
pub(crate) async fn witnessed(
    shop: &Arc<Shop>,
    task: &TaskSpec,
    how: CompileHow,
    timeout: Duration,
    seed: &Digest,
) -> Result<(Outcome, Vec<Digest>), Fault> {
    let prepared = prepare(shop, task, how, false, || {}).await?;
    let mut slot = shop.sandbox.open_slot(slot_limits(task, true)).await?;
    let never = CancellationToken::new();
    let looked = async {
        let ran = execute(shop, &mut slot, task, &prepared, timeout, &never).await?;
        let mut states = Vec::new();
        for point in ayni_court::points(seed, ran.outcome.fuel.0) {
            let mut task = task.clone();
            task.limits.fuel = Fuel(point);
            let ended = raw(shop, &mut slot, &task, &prepared, timeout, &never, true).await?;
            states.push(ended.state.ok_or_else(|| {
                fault(FaultKind::Internal, format!("no state at fuel {point}: {}", ended.end))
            })?);
        }
        Ok((ran.outcome, states))
    };
    let looked = looked.await;
    slot.close().await;
    looked
}

fn store(blobs: &Blobs, result: RunResult) -> Result<(Outcome, ayni_types::Observed), StoreError> {
    let section = |section: Section| -> Result<BlobRef, StoreError> {
        let mut reader = result.reader(section);
        let (digest, size) = blobs.copy_in(Area::Kept, &mut reader as &mut dyn Read)?;
        Ok(BlobRef { digest, size })
    };
    let stdout = section(result.stdout)?;
    let stderr = section(result.stderr)?;
    let mut files = Vec::with_capacity(result.files.len());
    for file in &result.files {
        files.push(OutFile { path: file.path.clone(), blob: section(file.section)? });
    }
    let outcome = Outcome { end: result.end, fuel: result.fuel, stdout, stderr, files };
    Ok((outcome, result.observed))
}
