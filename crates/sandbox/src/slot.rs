//! A slot: one jailed runner that executes one task after the other, for one lease.
//!
//! Any fault ends the slot: what a runner that failed once would do next is not worth knowing, and
//! a fresh jail costs milliseconds. A dead slot says so; the caller opens another. Pausing stops
//! the runner and its clock.

use std::fs::File;
use std::future::Future;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ayni_types::{Digest, Fault, FaultKind, Observed, TaskSpec};
use ayni_wire::runner::{CompileHow, Reply, Request, RunOrder, SMALL_BYTES_MAX};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::channel::ChannelError;
use crate::config::{BLOB_ASKS_MAX, SlotLimits};
use crate::order::Command;
use crate::report::{self, RunResult, SmallResult};
use crate::sandbox::{Artefact, Inner, OpenJail, disk_fault, ms, rewind, runner_fault, unexpected};
use crate::warden::{JailControl, fault};

/// Where a run's inputs come from. Give only what belongs to the task: the runner that asks is
/// hostile.
pub trait BlobSource: Send + Sync {
    /// A descriptor opened for reading, and the blob's length; `None` if it is not the task's.
    ///
    /// # Errors
    /// When it should be there and can't be opened: the run ends in a fault.
    fn open(&self, digest: Digest) -> io::Result<Option<(OwnedFd, u64)>>;
}

impl<F> BlobSource for F
where
    F: Fn(Digest) -> io::Result<Option<(OwnedFd, u64)>> + Send + Sync,
{
    fn open(&self, digest: Digest) -> io::Result<Option<(OwnedFd, u64)>> {
        self(digest)
    }
}

/// One jailed runner.
#[derive(Debug)]
pub struct Slot {
    inner: Arc<Inner>,
    jail: OpenJail,
    limits: SlotLimits,
    /// Every output file this jail was ever given: it may have kept any of them open and fill it
    /// again, so a file that nobody reads any more is used again rather than joined by another.
    outputs: Vec<Arc<File>>,
    state: State,
    /// What the runner executed last, and whether its outputs fit into a packet: others of the kind
    /// can follow without descriptors.
    last: Option<(Kind, bool)>,
    /// Most memory it has used, in bytes, and when that was asked.
    peak: (Option<Instant>, u64),
}

/// Program, way of compiling, stack in metered bytes.
type Kind = (Digest, CompileHow, u32);

/// Tasks sent ahead of the first answer: what the socket surely takes, and what is lost by a kill.
pub const AHEAD_MAX: usize = 32;
/// Arguments and environment of such a task in bytes, so that as many as are sent ahead fit into the
/// socket's buffer and neither side waits for the other.
const WORDS_BYTES_MAX: usize = 1 << 10;
/// Between two looks at the memory that tiny tasks use.
const PEAK_LOOK: Duration = Duration::from_millis(100);

/// How a task that was sent ahead ended.
#[derive(Debug)]
pub enum Ahead {
    /// With this.
    Ended(SmallResult),
    /// Its outputs do not fit into a packet: run it alone.
    TooLarge,
}

#[derive(Debug)]
enum State {
    Idle,
    /// Stays if the future of a run is dropped half-way: nobody knows what the runner says next.
    Running,
    Dead(Fault),
}

/// Pauses, resumes or kills a slot from elsewhere while it runs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SlotControl {
    control: JailControl,
}

impl SlotControl {
    /// Stops the runner where it is; the run's clock stops with it.
    pub fn pause(&self) {
        self.control.ask(Command::Pause);
    }

    /// Lets a paused runner go on.
    pub fn resume(&self) {
        self.control.ask(Command::Resume);
    }

    /// Ends the runner; a run in progress ends in a fault.
    pub fn kill(&self) {
        self.control.ask(Command::Kill);
    }
}

impl Slot {
    pub(crate) fn new(inner: Arc<Inner>, jail: OpenJail, limits: SlotLimits) -> Self {
        Self {
            inner,
            jail,
            limits,
            outputs: Vec::new(),
            state: State::Idle,
            last: None,
            peak: (None, 0),
        }
    }

    /// Runs one task. `timeout` is wall-clock time while not paused; when `cancel` completes, the
    /// run ends in [`FaultKind::Cancelled`] (give `std::future::pending()` for never).
    ///
    /// The result is in bounds and within the task's limits, and no more: see [`RunResult`].
    ///
    /// # Errors
    /// A fault ends the slot, whatever its kind.
    pub async fn run(
        &mut self,
        order: &RunOrder,
        artefact: &Artefact,
        blobs: &dyn BlobSource,
        timeout: Duration,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<RunResult, Fault> {
        self.idle()?;
        if order.task.limits.memory_bytes > self.limits.memory_bytes
            || order.task.limits.output_bytes > self.limits.output_bytes
        {
            return Err(fault(FaultKind::Internal, "the task's limits are above the slot's"));
        }
        self.state = State::Running;
        let control = self.jail.control.clone();
        let outcome = tokio::select! {
            result = self.converse(order, artefact, blobs) => result,
            () = unpaused(&control, timeout) => {
                let detail = format!("after {} ms", timeout.as_millis());
                Err(fault(FaultKind::Timeout, &detail))
            }
            () = cancel => Err(fault(FaultKind::Cancelled, "asked to stop")),
        };
        match outcome {
            Ok(result) => {
                self.state = State::Idle;
                // One whose outputs were too many is not tried again that way.
                let kind = kind(order);
                let small = self.last.is_none_or(|(last, small)| last != kind || small);
                self.last = Some((kind, small));
                Ok(result)
            }
            Err(first) => Err(self.die(first).await),
        }
    }

    fn idle(&self) -> Result<(), Fault> {
        match &self.state {
            State::Idle => Ok(()),
            State::Running => Err(fault(FaultKind::Internal, "a run was left half-way")),
            State::Dead(first) => {
                let detail = format!("the slot is dead since {first}");
                Err(fault(FaultKind::Internal, &detail))
            }
        }
    }

    async fn die(&mut self, first: Fault) -> Fault {
        self.jail.control.end().await;
        self.state = State::Dead(first.clone());
        first
    }

    /// Whether a task may be one of those that [`Slot::run_ahead`] takes now: without inputs, and of
    /// the program that was run last, whose outputs were small so far.
    #[must_use]
    pub fn may_follow(&self, order: &RunOrder) -> bool {
        let task = &order.task;
        self.last == Some((kind(order), true))
            && task.stdin.is_none()
            && task.mounts.is_empty()
            && words_bytes(task) <= WORDS_BYTES_MAX
            && !order.witness
            && task.limits.memory_bytes <= self.limits.memory_bytes
            && task.limits.output_bytes <= self.limits.output_bytes
            && self.is_alive()
    }

    /// Runs tasks that each [may follow](Slot::may_follow), sent together and answered in order; at most
    /// [`AHEAD_MAX`]. `timeout` is for each, from the end of the one before. Stops at a fault: what
    /// comes behind it was not run, or nobody knows what came of it.
    ///
    /// # Errors
    /// As [`Slot::run`], beside what ended before.
    pub async fn run_ahead(
        &mut self,
        orders: &[RunOrder],
        timeout: Duration,
        cancel: impl Future<Output = ()> + Send,
    ) -> (Vec<Ahead>, Option<Fault>) {
        let mut ended = Vec::with_capacity(orders.len());
        if let Err(fault) = self.idle() {
            return (ended, Some(fault));
        }
        if orders.len() > AHEAD_MAX || !orders.iter().all(|order| self.may_follow(order)) {
            let detail = "these tasks can't be run without descriptors";
            return (ended, Some(fault(FaultKind::Internal, detail)));
        }
        self.state = State::Running;
        tokio::pin!(cancel);
        let fault = loop {
            let control = self.jail.control.clone();
            let first = ended.is_empty();
            let Some(order) = orders.get(ended.len()) else { break None };
            let one = async {
                if first {
                    for order in orders {
                        self.send(&Request::Next(order.clone()), &[]).await?;
                    }
                }
                self.answered(order).await
            };
            let outcome = tokio::select! {
                result = one => result,
                () = unpaused(&control, timeout) => {
                    let detail = format!("after {} ms", timeout.as_millis());
                    Err(fault(FaultKind::Timeout, &detail))
                }
                () = &mut cancel => Err(fault(FaultKind::Cancelled, "asked to stop")),
            };
            match outcome {
                Ok(result) => ended.push(result),
                Err(first) => break Some(first),
            }
        };
        match fault {
            None => {
                self.state = State::Idle;
                (ended, None)
            }
            Some(first) => (ended, Some(self.die(first).await)),
        }
    }

    /// The answer to the oldest task that was sent ahead.
    async fn answered(&mut self, order: &RunOrder) -> Result<Ahead, Fault> {
        let began = Instant::now();
        match self.receive().await? {
            Reply::Small { report, bytes } if bytes.len() <= SMALL_BYTES_MAX => {
                let wall_ms = ms(began);
                let observed = Observed {
                    wall_ms,
                    compile_ms: 0,
                    cpu_ms: report.cpu_ms.min(wall_ms.saturating_mul(cores())),
                    memory_bytes_peak: self.memory_bytes_peak(),
                };
                let small = report::small(report, &bytes, &order.task, observed)
                    .map_err(|e| fault(FaultKind::RunnerCrashed, &e.to_string()))?;
                Ok(Ahead::Ended(small))
            }
            Reply::TooLarge => {
                self.last = self.last.map(|(kind, _)| (kind, false));
                Ok(Ahead::TooLarge)
            }
            Reply::Faulted(claimed) => Err(runner_fault(claimed)),
            other => Err(unexpected(&other)),
        }
    }

    /// Looked up again at most so often: it is read from the kernel, and only grows.
    fn memory_bytes_peak(&mut self) -> u64 {
        if self.peak.0.is_none_or(|at| at.elapsed() >= PEAK_LOOK) {
            self.peak = (Some(Instant::now()), self.jail.control.memory_bytes_peak());
        }
        self.peak.1
    }

    async fn converse(
        &mut self,
        order: &RunOrder,
        artefact: &Artefact,
        blobs: &dyn BlobSource,
    ) -> Result<RunResult, Fault> {
        let internal = |e: io::Error| fault(FaultKind::Internal, &format!("order: {e}"));
        let letter = sealed(&ayni_wire::encode(order)).map_err(internal)?;
        let code = artefact.reopen().map_err(internal)?;
        let output = self.empty_output()?;
        let began = Instant::now();
        let handed = [letter.as_fd(), code.as_fd(), output.as_fd()];
        self.send(&Request::Run, &handed).await?;
        drop((letter, code));
        let mut asks = 0;
        let (offset, bytes) = loop {
            match self.receive().await? {
                Reply::NeedBlob { digest } if asks < BLOB_ASKS_MAX => {
                    asks += 1;
                    self.answer(digest, blobs).await?;
                }
                Reply::NeedBlob { .. } => {
                    let detail = format!("the runner asked for blobs {BLOB_ASKS_MAX} times");
                    return Err(fault(FaultKind::RunnerCrashed, &detail));
                }
                Reply::Done { report_offset, report_bytes } => break (report_offset, report_bytes),
                Reply::Faulted(claimed) => return Err(runner_fault(claimed)),
                other => return Err(unexpected(&other)),
            }
        };
        let wall_ms = ms(began);
        let report = report::read(&output, offset, bytes, &order.task)
            .map_err(|e| fault(FaultKind::RunnerCrashed, &e.to_string()))?;
        Ok(RunResult {
            end: report.end,
            fuel: report.fuel,
            output,
            stdout: report.stdout,
            stderr: report.stderr,
            files: report.files,
            observed: Observed {
                wall_ms,
                compile_ms: 0,
                // A runner can't have used more than all processors for all that time.
                cpu_ms: report.cpu_ms.min(wall_ms.saturating_mul(cores())),
                memory_bytes_peak: self.jail.control.memory_bytes_peak(),
            },
            state: report.state,
        })
    }

    fn empty_output(&mut self) -> Result<Arc<File>, Fault> {
        if let Some(free) = self.outputs.iter().find(|o| Arc::strong_count(o) == 1) {
            let free = Arc::clone(free);
            let emptied = free.set_len(0).and_then(|()| (&*free).rewind());
            return emptied.map(|()| free).map_err(|e| disk_fault(&e));
        }
        let new = Arc::new(self.inner.output()?);
        self.outputs.push(Arc::clone(&new));
        Ok(new)
    }

    async fn answer(&mut self, digest: Digest, blobs: &dyn BlobSource) -> Result<(), Fault> {
        match blobs.open(digest) {
            Ok(Some((blob, size))) => {
                rewind(&blob)?;
                self.send(&Request::Blob { size: Some(size) }, &[blob.as_fd()]).await
            }
            Ok(None) => self.send(&Request::Blob { size: None }, &[]).await,
            Err(error) => {
                let detail = format!("blob {}: {error}", digest.short());
                Err(fault(FaultKind::InputUnavailable, &detail))
            }
        }
    }

    async fn send(
        &mut self,
        request: &Request,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> Result<(), Fault> {
        match self.jail.channel.send(request, descriptors).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.broken(&error).await),
        }
    }

    async fn receive(&mut self) -> Result<Reply, Fault> {
        match self.jail.channel.receive().await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.broken(&error).await),
        }
    }

    async fn broken(&self, error: &ChannelError) -> Fault {
        self.jail.broken(error).await
    }

    /// A handle to pause, resume or kill it from elsewhere.
    #[must_use]
    pub fn control(&self) -> SlotControl {
        SlotControl { control: self.jail.control.clone() }
    }

    /// The runner's process, as the daemon's pid namespace numbers it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.jail.pid
    }

    /// Whether it can run another task.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self.state, State::Idle) && !self.jail.control.state().gone
    }

    /// What the slot was opened for.
    #[must_use]
    pub fn limits(&self) -> SlotLimits {
        self.limits
    }

    /// Ends the runner and waits until nothing of it is left. Dropping the slot ends it as well,
    /// without waiting.
    pub async fn close(self) {
        self.jail.control.end().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A `SlotControl` somewhere must not keep the runner alive.
        self.jail.control.ask(Command::Kill);
    }
}

fn words_bytes(task: &TaskSpec) -> usize {
    let args = task.args.iter().map(|arg| arg.len() + 4);
    let env = task.env.iter().map(|var| var.name.len() + var.value.len() + 8);
    args.chain(env).sum()
}

fn kind(order: &RunOrder) -> Kind {
    (order.task.program, order.how, order.task.limits.stack_bytes)
}

/// Completes when `timeout` has passed, not counting the time during which the jail is paused.
async fn unpaused(control: &JailControl, timeout: Duration) {
    let mut changes = control.changes();
    let mut left = timeout;
    loop {
        let began = tokio::time::Instant::now();
        if changes.borrow_and_update().paused {
            if changes.wait_for(|s| !s.paused).await.is_err() {
                break;
            }
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(left) => return,
            paused = changes.wait_for(|s| s.paused) => {
                if paused.is_err() {
                    break;
                }
            }
        }
        left = left.saturating_sub(began.elapsed());
    }
    // The jail is gone. Why is for the conversation to say, not for the clock.
    std::future::pending().await
}

/// Bytes in a file of memory that nobody can change any more.
fn sealed(bytes: &[u8]) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"ayni-order", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| rustix::fs::memfd_create(c"ayni-order", flags))?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

/// Asked once: the answer is read from files of the kernel's.
fn cores() -> u64 {
    static CORES: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u64))
}
