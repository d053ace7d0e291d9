//! What the sandbox is told, and its limits.

use std::path::PathBuf;
use std::time::Duration;

/// Memory of a runner beside the guest's own and its outputs, in bytes: code, tables, buffers.
pub const RUNNER_MEMORY_BYTES: u64 = 512 << 20;
/// Largest artefact, in bytes: compiled code is a few times the program.
pub const ARTEFACT_BYTES_MAX: u64 = 1 << 30;
/// Largest run report, in bytes: paths of all output files at their longest.
pub const REPORT_BYTES_MAX: u64 = 8 << 20;
/// Blobs a runner may ask for in one run, each costing one open.
pub const BLOB_ASKS_MAX: u64 = 1 << 20;
/// What is kept of a runner's last words, in bytes.
pub const STDERR_BYTES_KEPT: usize = 4 << 10;
/// What is read of a runner's standard error before it is left to block, in bytes.
pub const STDERR_BYTES_READ_MAX: u64 = 64 << 20;
/// Processes and threads in a jail's cgroup.
pub const CGROUP_PIDS_MAX: u32 = 300;

/// Where things are and how long they may take.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The `ayni-runner` executable.
    pub runner: PathBuf,
    /// The `ayni-jail` executable.
    pub jail: PathBuf,
    /// Folder for outputs while they are written; on the disk whose space may be lent.
    pub scratch: PathBuf,
    /// Memory of one compilation, in bytes.
    pub compile_memory_bytes: u64,
    /// Processor time of one compilation or check, all its threads together. The largest program
    /// (`PROGRAM_BYTES_MAX`) at the pace of a large one that was measured (1.5 s a MB) is 200 s.
    pub compile_cpu_max: Duration,
    /// Wall clock of one compilation or check: far behind, for a runner that hangs.
    pub compile_wall_max: Duration,
    /// Wall clock for a runner to say that it is ready.
    pub start_timeout: Duration,
    /// Whether checks and compilations run at the lowest priority.
    pub compile_background: bool,
    /// Runs strangers' code even where files are not walled off. For development only.
    pub allow_weak: bool,
}

impl SandboxConfig {
    /// Both executables in `folder` (normally that of the running `ayni`), outputs in `scratch`.
    pub fn beside(folder: impl Into<PathBuf>, scratch: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self {
            runner: folder.join("ayni-runner"),
            jail: folder.join("ayni-jail"),
            scratch: scratch.into(),
            compile_memory_bytes: 4 << 30,
            compile_cpu_max: Duration::from_secs(900),
            compile_wall_max: Duration::from_secs(6 * 3_600),
            start_timeout: Duration::from_secs(60),
            compile_background: true,
            allow_weak: false,
        }
    }
}

/// What one slot may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotLimits {
    /// Linear memory of a task, in bytes; the jail adds [`RUNNER_MEMORY_BYTES`] and the outputs.
    pub memory_bytes: u64,
    /// Outputs of a task together, in bytes.
    pub output_bytes: u64,
    /// Processor time in hundredths of a core; `None` for no ceiling beside the priority.
    pub cpu_percent_max: Option<u32>,
    /// Lowest priority for processor and disk: what a provider lends. Off for the owner's own work.
    pub background: bool,
}

impl SlotLimits {
    /// All memory of the jail, in bytes.
    #[must_use]
    pub fn jail_memory_bytes(&self) -> u64 {
        self.memory_bytes.saturating_add(self.output_bytes).saturating_add(RUNNER_MEMORY_BYTES)
    }

    /// Largest file a runner may write, in bytes.
    #[must_use]
    pub fn file_bytes_max(&self) -> u64 {
        self.output_bytes.saturating_add(REPORT_BYTES_MAX)
    }
}

impl Default for SlotLimits {
    fn default() -> Self {
        let task = ayni_types::Limits::default();
        Self {
            memory_bytes: task.memory_bytes,
            output_bytes: task.output_bytes,
            cpu_percent_max: None,
            background: true,
        }
    }
}
