//! Executes tasks: prepares the program, keeps one jailed runner per slot, stores the outputs.
//!
//! Each slot is a task of its own that takes one order after the other, or many tiny ones at once.
//! What it makes of a run, it recomputes from the bytes: digests are never taken from a runner.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ayni_core::{Event, Purpose, Ran, RunId, SlotId};
use ayni_sandbox::{
    AHEAD_MAX, Ahead, RunResult, Sandbox, Slot, SlotControl, SlotLimits, SmallResult,
};
use ayni_store::{Area, Blobs, SMALL_BLOB_BYTES_MAX, StoreError};
use ayni_types::{
    BlobRef, Digest, EngineId, Fault, FaultKind, Fuel, OutFile, Outcome, TaskSpec, limits,
};
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
            let slot = SlotTask {
                shop: self.shop.clone(),
                handle: self.handle.clone(),
                slot: None,
                last: None,
            };
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
    /// What was run last.
    last: Option<Last>,
}

/// What is known of a program that was run.
struct Last {
    program: Digest,
    engine: EngineId,
    program_bytes: u64,
}

impl SlotTask {
    async fn serve(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut frozen: Option<watch::Receiver<bool>>,
    ) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Some(order) = orders.recv().await else { break };
                waiting.push_back(order);
            }
            while waiting.len() < AHEAD_MAX
                && let Ok(order) = orders.try_recv()
            {
                waiting.push_back(order);
            }
            if self.ahead(&mut waiting, &mut frozen).await {
                continue;
            }
            let Some(order) = waiting.pop_front() else { continue };
            let result = if order.cancel.is_cancelled() {
                Err(fault(FaultKind::Cancelled, "before it began"))
            } else {
                self.one(&order, &mut frozen).await
            };
            self.answer(&order, result);
        }
        if let Some(slot) = self.slot.take() {
            slot.close().await;
        }
    }

    fn answer(&self, order: &Order, result: Result<Ran, Fault>) {
        // So that the map of runs can forget it.
        order.cancel.cancel();
        self.handle.event(Event::Ran { run: order.run, result });
    }

    /// Runs what waits and needs nothing but its words, all of it in one go with the runner; false if
    /// the first does not. Whoever is cancelled meanwhile takes the runner along, and the others begin
    /// anew in another.
    async fn ahead(
        &mut self,
        waiting: &mut VecDeque<Order>,
        frozen: &mut Option<watch::Receiver<bool>>,
    ) -> bool {
        let (Some(slot), Some(last)) = (self.slot.as_mut(), self.last.as_ref()) else {
            return false;
        };
        if self.shop.cheat.is_some() {
            return false;
        }
        let Some(timeout) = waiting.front().map(|order| order.timeout) else { return false };
        let how = CompileHow::Optimised;
        let runs: Vec<RunOrder> = waiting
            .iter()
            .map_while(|order| {
                let run = RunOrder { task: order.task.clone(), how, witness: false };
                let may = !order.cancel.is_cancelled()
                    && order.timeout == timeout
                    && order.task.program == last.program
                    && order.task.engine == last.engine
                    && slot.may_follow(&run);
                may.then_some(run)
            })
            .collect();
        if runs.is_empty() {
            return false;
        }
        let rest = waiting.split_off(runs.len());
        let orders = std::mem::replace(waiting, rest);
        let cancelled = orders.iter().map(|order| Box::pin(order.cancel.cancelled()));
        let cancelled = futures_util::future::select_all(cancelled);
        let control = slot.control();
        let (ended, fault) = tokio::select! {
            ran = slot.run_ahead(&runs, timeout, async { drop(cancelled.await) }) => ran,
            () = obey(frozen, &control) => unreachable!("obeying never ends"),
        };
        let durable = orders.iter().any(|order| !matches!(order.purpose, Purpose::Lease(_)));
        let kept = keep(&self.shop.blobs, last.program_bytes, ended, durable);
        let mut again = VecDeque::new();
        let mut fault = fault.filter(|fault| fault.kind != FaultKind::Cancelled);
        let mut kept = kept.into_iter();
        for order in orders {
            match kept.next() {
                Some(Some(result)) => self.answer(&order, result),
                Some(None) => again.push_back(order),
                None => match fault.take() {
                    Some(fault) => self.answer(&order, Err(fault)),
                    None => again.push_back(order),
                },
            }
        }
        again.append(waiting);
        *waiting = again;
        true
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
        let run =
            execute(&shop, slot, &order.task, &prepared, order.timeout, &order.cancel, !background);
        let result = tokio::select! {
            result = run => result,
            () = obey(frozen, &control) => unreachable!("obeying never ends"),
        };
        let mut ran = result?;
        let program_bytes = prepared.inputs.program_bytes;
        let (program, engine) = (order.task.program, order.task.engine.clone());
        self.last = Some(Last { program, engine, program_bytes });
        if background && let Some(cheat) = &shop.cheat {
            ran.inline.clear();
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

/// Runs a prepared task in a slot and stores its outputs: on disk for good if `durable`, else a power
/// cut may take what is small.
pub(crate) async fn execute(
    shop: &Arc<Shop>,
    slot: &mut Slot,
    task: &TaskSpec,
    prepared: &Prepared,
    timeout: Duration,
    cancel: &CancellationToken,
    durable: bool,
) -> Result<Ran, Fault> {
    let result = raw(shop, slot, task, prepared, timeout, cancel, false).await?;
    stored(shop, prepared, result, durable).await
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
    durable: bool,
) -> Result<Ran, Fault> {
    let blobs = shop.blobs.clone();
    let stored = tokio::task::spawn_blocking(move || store(&blobs, result, durable)).await;
    let (outcome, mut observed, inline) = match stored {
        Ok(Ok(stored)) => stored,
        Ok(Err(error)) => return Err(store_fault(&error)),
        Err(error) => return Err(fault(FaultKind::Internal, error)),
    };
    observed.compile_ms = prepared.ready.compile_ms;
    let data_bytes = prepared.inputs.bytes() + out_bytes(&outcome);
    let code_bytes = prepared.inputs.program_bytes;
    Ok(Ran { outcome, observed, code_bytes, data_bytes, inline })
}

fn out_bytes(outcome: &Outcome) -> u64 {
    let files = outcome.files.iter().map(|file| file.blob.size).sum::<u64>();
    outcome.stdout.size + outcome.stderr.size + files
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
    let ran = execute(shop, &mut slot, task, &prepared, timeout, &never, true).await;
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
        let ran = execute(shop, &mut slot, task, &prepared, timeout, &never, true).await?;
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

type Stored = (Outcome, ayni_types::Observed, Vec<Vec<u8>>);

fn store(blobs: &Blobs, result: RunResult, durable: bool) -> Result<Stored, StoreError> {
    let mut inline: Vec<Vec<u8>> = Vec::new();
    let mut section = |section: Section| -> Result<BlobRef, StoreError> {
        let mut reader = result.reader(section);
        if section.bytes > SMALL_BLOB_BYTES_MAX as u64 {
            let (digest, size) = blobs.copy_in(Area::Kept, &mut reader as &mut dyn Read)?;
            return Ok(BlobRef { digest, size });
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let blob = small(blobs, &[&bytes])?;
        go_along(&mut inline, bytes);
        blob.into_iter().next().ok_or_else(|| StoreError::Io(std::io::ErrorKind::Other.into()))
    };
    let stdout = section(result.stdout)?;
    let stderr = section(result.stderr)?;
    let mut files = Vec::with_capacity(result.files.len());
    for file in &result.files {
        files.push(OutFile { path: file.path.clone(), blob: section(file.section)? });
    }
    if durable {
        blobs.sync_small()?;
    }
    let outcome = Outcome { end: result.end, fuel: result.fuel, stdout, stderr, files };
    Ok((outcome, result.observed, inline))
}

fn small(blobs: &Blobs, all: &[&[u8]]) -> Result<Vec<BlobRef>, StoreError> {
    let digests = blobs.add_small(all)?;
    let refs = digests.into_iter().zip(all);
    Ok(refs.map(|(digest, bytes)| BlobRef { digest, size: bytes.len() as u64 }).collect())
}

/// Adds an output to those that go along with their outcome.
fn go_along(inline: &mut Vec<Vec<u8>>, bytes: Vec<u8>) {
    let fits = bytes.len() <= limits::INLINE_BLOB_BYTES_MAX;
    if fits && inline.len() < limits::INLINE_BLOBS_MAX && !inline.contains(&bytes) {
        inline.push(bytes);
    }
}

/// Keeps the outputs of tiny tasks, all of them in one write: what each is answered with, `None` for
/// those that have to be run alone.
fn keep(
    blobs: &Blobs,
    program_bytes: u64,
    ended: Vec<Ahead>,
    durable: bool,
) -> Vec<Option<Result<Ran, Fault>>> {
    let outputs = |ran: &SmallResult| -> Vec<Vec<u8>> {
        let files = ran.files.iter().map(|(_, bytes)| bytes.clone());
        [ran.stdout.clone(), ran.stderr.clone()].into_iter().chain(files).collect()
    };
    let ended: Vec<Option<(SmallResult, Vec<Vec<u8>>)>> = ended
        .into_iter()
        .map(|ahead| match ahead {
            Ahead::Ended(ran) => {
                let bytes = outputs(&ran);
                Some((ran, bytes))
            }
            Ahead::TooLarge => None,
        })
        .collect();
    let all = ended.iter().flatten().flat_map(|(_, bytes)| bytes.iter().map(Vec::as_slice));
    let (few, many): (Vec<&[u8]>, Vec<&[u8]>) = all.partition(|b| b.len() <= SMALL_BLOB_BYTES_MAX);
    let kept = small(blobs, &few)
        .and_then(|_| many.iter().try_for_each(|b| blobs.insert(Area::Kept, b).map(drop)))
        .and_then(|()| if durable { blobs.sync_small() } else { Ok(()) })
        .map_err(|error| store_fault(&error));
    let ran = |(ran, bytes): (SmallResult, Vec<Vec<u8>>)| {
        kept.clone()?;
        let blob = |b: &Vec<u8>| BlobRef { digest: ayni_wire::digest(b), size: b.len() as u64 };
        let mut blobs = bytes.iter().map(blob);
        let missing = || fault(FaultKind::Internal, "an output without its bytes");
        let stdout = blobs.next().ok_or_else(missing)?;
        let stderr = blobs.next().ok_or_else(missing)?;
        let files = ran.files.into_iter().map(|(path, _)| path).zip(blobs);
        let files = files.map(|(path, blob)| OutFile { path, blob }).collect();
        let outcome = Outcome { end: ran.end, fuel: ran.fuel, stdout, stderr, files };
        let mut inline = Vec::new();
        for bytes in bytes {
            go_along(&mut inline, bytes);
        }
        let data_bytes = out_bytes(&outcome);
        let (observed, code_bytes) = (ran.observed, program_bytes);
        Ok(Ran { outcome, observed, code_bytes, data_bytes, inline })
    };
    ended.into_iter().map(|one| one.map(ran)).collect()
}
