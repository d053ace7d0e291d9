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

use ayni_types::{Digest, Fault, FaultKind, Observed};
use ayni_wire::runner::{Reply, Request, RunOrder};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::channel::ChannelError;
use crate::config::{BLOB_ASKS_MAX, SlotLimits};
use crate::order::Command;
use crate::report::{self, RunResult};
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
        Self { inner, jail, limits, outputs: Vec::new(), state: State::Idle }
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
        match &self.state {
            State::Idle => {}
            State::Running => return Err(fault(FaultKind::Internal, "a run was left half-way")),
            State::Dead(first) => {
                let detail = format!("the slot is dead since {first}");
                return Err(fault(FaultKind::Internal, &detail));
            }
        }
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
                Ok(result)
            }
            Err(first) => {
                self.jail.control.end().await;
                self.state = State::Dead(first.clone());
                Err(first)
            }
        }
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

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}
