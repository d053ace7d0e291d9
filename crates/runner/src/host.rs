//! What a guest's host calls act on: files, clocks, randomness, standard streams and fuel.
//!
//! One value per task; both interfaces (preview 1 and 2) share it. Nothing in it depends on the
//! machine or the hour. A host call charges for its work before it does it; what a walk through
//! the file system cost is charged right after, and is bounded by the limits on paths.

use std::sync::Arc;

use ayni_types::{Exhausted, MountKind, TaskSpec};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::contract;
use crate::errno::{Errno, HostResult};
use crate::mapped::Mapped;
use crate::stop::Stop;
use crate::vfs::{Blobs, Vfs};

/// The world of one task.
#[derive(Debug)]
pub struct Host {
    /// Files.
    pub vfs: Vfs,
    /// `argv`.
    pub args: Vec<String>,
    /// Environment, sorted by name.
    pub env: Vec<(String, String)>,
    /// Captured standard output.
    pub stdout: Vec<u8>,
    /// Captured standard error.
    pub stderr: Vec<u8>,
    /// Fuel left while a host call runs; the guest's counter is brought here and back.
    pub fuel: u64,
    stdin: Stdin,
    elapsed_ns: u64,
    random: ChaCha20Rng,
}

#[derive(Debug)]
struct Stdin {
    digest: Option<ayni_types::Digest>,
    data: Option<Arc<Mapped>>,
    read: usize,
}

/// A standard stream that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Host {
    /// The world that `task` describes.
    ///
    /// # Errors
    /// A fault when a mounted tree can't be had.
    pub fn new(task: &TaskSpec, blobs: Box<dyn Blobs>) -> Result<Self, Stop> {
        let mut vfs = Vfs::new(blobs, task.limits.output_bytes);
        for mount in &task.mounts {
            match mount.kind {
                MountKind::File => vfs.mount_file(&mount.path, mount.blob),
                MountKind::Tree => vfs.mount_tree(&mount.path, mount.blob)?,
            }
        }
        Ok(Self {
            vfs,
            args: task.args.clone(),
            env: task.env.iter().map(|e| (e.name.clone(), e.value.clone())).collect(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            fuel: 0,
            stdin: Stdin { digest: task.stdin, data: None, read: 0 },
            elapsed_ns: 0,
            random: ChaCha20Rng::from_seed(ayni_wire::task_id(task).0),
        })
    }

    /// Takes fuel.
    ///
    /// # Errors
    /// Ends the guest when there is not enough.
    pub fn charge(&mut self, fuel: u64) -> Result<(), Stop> {
        match self.fuel.checked_sub(fuel) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => {
                self.fuel = 0;
                Err(Stop::Exhausted(Exhausted::Fuel))
            }
        }
    }

    /// Takes the fuel of `bytes` bytes moved.
    ///
    /// # Errors
    /// As [`Host::charge`].
    pub fn charge_bytes(&mut self, bytes: u64) -> Result<(), Stop> {
        self.charge(bytes.saturating_mul(contract::BYTE_FUEL))
    }

    /// Takes the fuel of what the file system did since last asked.
    ///
    /// # Errors
    /// As [`Host::charge`].
    pub fn charge_steps(&mut self) -> Result<(), Stop> {
        let steps = self.vfs.take_steps();
        self.charge(steps)
    }

    /// Reads the virtual clock: nanoseconds since the task began. Every reading moves it on.
    pub fn read_clock(&mut self) -> u64 {
        let now = self.elapsed_ns;
        self.sleep(contract::CLOCK_STEP_NS);
        now
    }

    /// The virtual clock without moving it.
    #[must_use]
    pub fn elapsed_ns(&self) -> u64 {
        self.elapsed_ns
    }

    /// Moves the virtual clock on: what sleeping is.
    pub fn sleep(&mut self, ns: u64) {
        self.elapsed_ns = self.elapsed_ns.saturating_add(ns);
        self.vfs.now_ns = wall_ns(self.elapsed_ns);
    }

    /// Fills `bytes` from the task's own randomness, the same in every run.
    ///
    /// # Errors
    /// As [`Host::charge`].
    pub fn random(&mut self, bytes: &mut [u8]) -> Result<(), Stop> {
        self.charge((bytes.len() as u64).saturating_mul(contract::RANDOM_BYTE_FUEL))?;
        self.random.fill_bytes(bytes);
        Ok(())
    }

    /// Appends to standard output or error.
    ///
    /// # Errors
    /// Ends the guest past the output limit.
    pub fn print(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Stop> {
        self.charge_bytes(bytes.len() as u64)?;
        self.vfs.take_bytes(bytes.len() as u64).map_err(|_| Stop::Exhausted(Exhausted::Output))?;
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// What is left of standard input.
    ///
    /// # Errors
    /// A fault when it can't be had.
    pub fn stdin(&mut self) -> Result<&[u8], Stop> {
        if let (Some(digest), None) = (self.stdin.digest, &self.stdin.data) {
            self.charge(contract::BLOB_FUEL)?;
            self.stdin.data = Some(self.vfs.open_blob(digest)?);
        }
        Ok(self.stdin.data.as_deref().map_or(&[], |data| &data[self.stdin.read..]))
    }

    /// All that is left of standard input, marked as read; `None` where there is none.
    ///
    /// # Errors
    /// As [`Host::stdin`], and ends a guest whose memory is too small for it.
    pub fn stdin_rest(&mut self, memory_bytes: u64) -> Result<Option<(Arc<Mapped>, usize)>, Stop> {
        let bytes = self.stdin()?.len();
        if bytes as u64 > memory_bytes {
            return Err(Stop::Exhausted(Exhausted::Memory));
        }
        self.charge_bytes(bytes as u64)?;
        let from = self.stdin.read;
        self.stdin_consume(bytes);
        Ok(self.stdin.data.clone().map(|data| (data, from)))
    }

    /// Marks bytes of standard input as read: at most as many as [`Host::stdin`] gave.
    pub fn stdin_consume(&mut self, bytes: usize) {
        let len = self.stdin.data.as_deref().map_or(0, |d| d.len());
        self.stdin.read = (self.stdin.read + bytes).min(len);
    }

    /// Writes to a file at `offset`, zeroes before it charged like data.
    ///
    /// # Errors
    /// Those of [`Vfs::write`] and [`Host::charge`].
    pub fn write_file(
        &mut self,
        node: crate::vfs::NodeId,
        offset: u64,
        bytes: &[u8],
    ) -> HostResult<()> {
        let gap = self.vfs.gap(node, offset);
        self.charge_bytes(gap.saturating_add(bytes.len() as u64))?;
        self.vfs.write(node, offset, bytes)?;
        Ok(())
    }

    /// Makes a file exactly or at least `size` bytes long.
    ///
    /// # Errors
    /// Those of [`Vfs::truncate`] and [`Host::charge`].
    pub fn resize_file(
        &mut self,
        node: crate::vfs::NodeId,
        size: u64,
        may_shrink: bool,
    ) -> HostResult<()> {
        let gap = self.vfs.gap(node, size);
        self.charge_bytes(gap)?;
        if may_shrink {
            self.vfs.truncate(node, size)?;
        } else {
            self.vfs.grow_to(node, size)?;
        }
        Ok(())
    }
}

/// The wall clock that belongs to a time since the start.
#[must_use]
pub fn wall_ns(elapsed_ns: u64) -> u64 {
    contract::START_NS.saturating_add(elapsed_ns)
}

/// The time since the start that belongs to a wall clock time.
#[must_use]
pub fn since_start_ns(wall_ns: u64) -> u64 {
    wall_ns.saturating_sub(contract::START_NS)
}

/// Text of a guest, which WASI demands to be UTF-8.
///
/// # Errors
/// [`Errno::IllegalBytes`].
pub fn text(bytes: &[u8]) -> Result<&str, Errno> {
    std::str::from_utf8(bytes).map_err(|_| Errno::IllegalBytes)
}
