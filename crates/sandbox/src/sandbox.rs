//! The sandbox: knows the runner and the walls of this machine, and opens jails.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ayni_types::{Digest, EngineBuild, EngineId, Fault, FaultKind, Wall, Walls};
use ayni_wire::runner::{CheckReport, CompileHow, Reply, Request};
use rustix::fs::{Mode, OFlags};
use tokio::sync::watch;

use crate::allowance::Allowance;
use crate::cgroup::{Cgroups, GroupLimits};
use crate::channel::{Channel, ChannelError};
use crate::config::{ARTEFACT_BYTES_MAX, RUNNER_MEMORY_BYTES, SandboxConfig, SlotLimits};
use crate::order::JailOrder;
use crate::slot::Slot;
use crate::warden::{self, JailControl, JailState, Start, cpu_with_children, fault};

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// An executable of ours is missing or can't be read.
    #[error("{what} `{path}` can't be used")]
    Executable {
        /// Which.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder for outputs can't be used.
    #[error("scratch folder `{path}` can't be used")]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The runner does not start in its jail.
    #[error("the runner does not start in its jail: {detail}")]
    NotStarted {
        /// What was seen.
        detail: String,
    },
    /// Too few walls for strangers' code.
    #[error("the jail is too weak for strangers' code: {missing} missing")]
    TooWeak {
        /// What would have to stand.
        missing: String,
    },
}

impl SandboxError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Executable { .. } => {
                "install `ayni-runner` and `ayni-jail` in the same folder as `ayni`, readable and executable"
            }
            Self::Scratch { .. } => "create the folder, or name another one on a local disk",
            Self::NotStarted { .. } => "run `ayni doctor` to see each wall and what stops it",
            Self::TooWeak { .. } => {
                "allow unprivileged user namespaces, or use a kernel with landlock (5.13 or newer)"
            }
        }
    }
}

/// One wall, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WallReport {
    /// Which.
    pub wall: Wall,
    /// Why it is missing; `None` if it stands.
    pub missing: Option<String>,
    /// What would put it up.
    pub hint: Option<&'static str>,
}

/// Opens jails around runners. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
    compile_background: bool,
}

#[derive(Debug)]
pub(crate) struct Inner {
    config: SandboxConfig,
    runner: OwnedFd,
    runner_path: String,
    libraries: Vec<String>,
    user_namespace: bool,
    cgroups: Cgroups,
    walls: Vec<WallReport>,
    build: EngineBuild,
    /// Jails that may be alive.
    jails: Mutex<Vec<watch::Receiver<JailState>>>,
}

/// Compiled code in a file that only the daemon's user can write.
#[derive(Debug)]
pub struct Artefact {
    pub(crate) file: File,
    pub(crate) bytes: u64,
}

impl Artefact {
    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Another descriptor for the same file, read-only and with a position of its own.
    ///
    /// # Errors
    /// When the process has no descriptors left, or no `/proc`.
    pub fn reopen(&self) -> io::Result<File> {
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// A compiled program.
#[derive(Debug)]
pub struct Compiled {
    /// The code.
    pub artefact: Artefact,
    /// Wall-clock milliseconds it took.
    pub compile_ms: u64,
}

impl Sandbox {
    /// Finds the runner, builds one jail to see which walls stand, and asks the runner its version.
    ///
    /// # Errors
    /// When an executable is missing, the runner does not start, or too few walls stand.
    pub async fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let executable = |what, path: &PathBuf| {
            let path = path.clone();
            move |source| SandboxError::Executable { what, path, source }
        };
        let wrong = || executable("runner", &config.runner);
        let path = config.runner.canonicalize().map_err(wrong())?;
        let (runner, digest) = open_and_hash(path.clone()).await.map_err(wrong())?;
        let libraries = crate::libraries::needed(&path).map_err(wrong())?;
        let runner_path =
            path.to_str().ok_or_else(|| io::Error::other("path is not UTF-8")).map_err(wrong())?;
        std::fs::metadata(&config.jail).map_err(executable("jail maker", &config.jail))?;
        std::fs::create_dir_all(&config.scratch)
            .and_then(|()| new_file(&config).map(drop))
            .map_err(|source| SandboxError::Scratch { path: config.scratch.clone(), source })?;

        let mut inner = Inner {
            runner: runner.into(),
            runner_path: runner_path.to_owned(),
            libraries,
            user_namespace: true,
            cgroups: Cgroups::find(),
            walls: Vec::new(),
            build: EngineBuild { digest, version: String::new() },
            jails: Mutex::new(Vec::new()),
            config,
        };
        let (version, walls) = match inner.probe().await {
            // Root on a machine without user namespaces has given up root by then; once more.
            Err((_, true)) => {
                inner.user_namespace = false;
                inner.probe().await
            }
            other => other,
        }
        .map_err(|(fault, _)| SandboxError::NotStarted { detail: fault.detail })?;
        inner.build.version = version;
        inner.walls = walls;
        inner.strong_enough()?;
        let compile_background = inner.config.compile_background;
        Ok(Self { inner: Arc::new(inner), compile_background })
    }

    /// The same sandbox for the owner's own work: checks and compilations at ordinary priority,
    /// not behind everything else on the machine.
    #[must_use]
    pub fn foreground(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), compile_background: false }
    }

    /// The walls that stand, sorted: what an offer says.
    #[must_use]
    pub fn walls(&self) -> Walls {
        let standing = self.inner.walls.iter().filter(|w| w.missing.is_none());
        let mut walls: Walls = standing.map(|w| w.wall).collect();
        walls.sort_unstable();
        walls
    }

    /// Every wall, standing or not, for `doctor`.
    #[must_use]
    pub fn probe(&self) -> &[WallReport] {
        &self.inner.walls
    }

    /// The runner, by digest and version.
    #[must_use]
    pub fn build(&self) -> &EngineBuild {
        &self.inner.build
    }

    /// Processor time spent so far by this process and everything in jails. It never counts what
    /// other programs spend; a jail that dies with its warder may lose a little of its own.
    #[must_use]
    pub fn cpu_spent(&self) -> Duration {
        let jails: Vec<_> = self.inner.jails().iter().map(|jail| jail.borrow().clone()).collect();
        let own = std::fs::read_to_string("/proc/self/stat").ok();
        let ticks = rustix::param::clock_ticks_per_second();
        let own = own.and_then(|stat| cpu_with_children(&stat, ticks)).unwrap_or_default();
        jails.iter().map(JailState::cpu_spent).sum::<Duration>() + own
    }

    /// Looks at a program in a fresh jail, without running it. Give a descriptor opened for reading.
    ///
    /// # Errors
    /// When the machine fails or the runner misbehaves; an unusable program is a report.
    pub async fn check(&self, program: OwnedFd) -> Result<CheckReport, Fault> {
        let config = &self.inner.config;
        let mut jail =
            self.inner.open(&self.inner.compile_order(self.compile_background), None).await?;
        rewind(&program)?;
        let reply = jail.ask_once(&Request::Check, &[program.as_fd()], config.into()).await;
        jail.control.end().await;
        match reply? {
            Reply::Checked(report) | Reply::Invalid(report) => checked(report),
            other => Err(unexpected(&other)),
        }
    }

    /// Compiles a program in a fresh jail that has seen nothing else. `Ok(Err(report))` when the
    /// program can't run under `engine`, which is the same everywhere.
    ///
    /// # Errors
    /// When the machine fails or the runner misbehaves.
    pub async fn compile(
        &self,
        program: OwnedFd,
        engine: EngineId,
        how: CompileHow,
    ) -> Result<Result<Compiled, CheckReport>, Fault> {
        let config = &self.inner.config;
        let began = Instant::now();
        let mut jail =
            self.inner.open(&self.inner.compile_order(self.compile_background), None).await?;
        rewind(&program)?;
        let file = new_file(config).map_err(|e| disk_fault(&e))?;
        let request = Request::Compile { engine, how };
        let reply = jail.ask_once(&request, &[program.as_fd(), file.as_fd()], config.into()).await;
        // The artefact is trusted from here on, so its writer has to be gone.
        jail.control.end().await;
        match reply? {
            Reply::Compiled { artefact_bytes } => {
                let bytes = file.metadata().map_err(|e| disk_fault(&e))?.len();
                if bytes != artefact_bytes || bytes == 0 {
                    let detail =
                        format!("artefact has {bytes} bytes, the runner says {artefact_bytes}");
                    return Err(fault(FaultKind::RunnerCrashed, &detail));
                }
                let file = Artefact { file, bytes }.reopen().map_err(|e| disk_fault(&e))?;
                Ok(Ok(Compiled { artefact: Artefact { file, bytes }, compile_ms: ms(began) }))
            }
            Reply::Invalid(report) => Ok(Err(checked(report)?)),
            other => Err(unexpected(&other)),
        }
    }

    /// Opens a slot: one jailed runner, for the tasks of one lease.
    ///
    /// # Errors
    /// When the jail can't be built or the runner does not come up.
    pub async fn open_slot(&self, limits: SlotLimits) -> Result<Slot, Fault> {
        let order = self.inner.order(
            limits.file_bytes_max(),
            limits.jail_memory_bytes(),
            limits.background,
        );
        let jail = self.inner.open(&order, limits.cpu_percent_max).await?;
        Ok(Slot::new(Arc::clone(&self.inner), jail, limits))
    }
}

/// A jail whose runner is ready.
#[derive(Debug)]
pub(crate) struct OpenJail {
    pub(crate) channel: Channel,
    pub(crate) control: JailControl,
    pub(crate) pid: u32,
    version: String,
}

impl OpenJail {
    /// One question, one answer.
    async fn ask_once(
        &mut self,
        request: &Request,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
        allowance: Allowance,
    ) -> Result<Reply, Fault> {
        let talk = async {
            self.channel.send(request, descriptors).await?;
            self.channel.receive().await
        };
        let said = tokio::select! {
            biased;
            said = talk => said,
            fault = allowance.overdrawn(&self.control) => return Err(fault),
        };
        match said {
            Ok(Reply::Faulted(claimed)) => Err(runner_fault(claimed)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.broken(&error).await),
        }
    }

    /// The fault for a conversation that broke, once the jail has ended.
    pub(crate) async fn broken(&self, error: &ChannelError) -> Fault {
        match error {
            ChannelError::Closed => self.control.post_mortem(&error.to_string()).await,
            other => {
                self.control.end().await;
                fault(FaultKind::RunnerCrashed, &other.to_string())
            }
        }
    }
}

impl Inner {
    /// An empty file for outputs that has no name and can't be given one.
    pub(crate) fn output(&self) -> Result<File, Fault> {
        new_file(&self.config).map_err(|e| disk_fault(&e))
    }

    fn order(&self, file_bytes_max: u64, memory_bytes_max: u64, background: bool) -> JailOrder {
        JailOrder {
            runner: self.runner_path.clone(),
            libraries: self.libraries.clone(),
            user_namespace: self.user_namespace,
            file_bytes_max,
            memory_bytes_max,
            memory_counted: self.cgroups.walls().contains(&Wall::CgroupMemory),
            background,
            cpu_grouped: self.cgroups.walls().contains(&Wall::CgroupCpu),
        }
    }

    fn compile_order(&self, background: bool) -> JailOrder {
        let memory = self.config.compile_memory_bytes.saturating_add(RUNNER_MEMORY_BYTES);
        self.order(ARTEFACT_BYTES_MAX, memory, background)
    }

    /// Jails that may be alive.
    fn jails(&self) -> MutexGuard<'_, Vec<watch::Receiver<JailState>>> {
        let mut jails = self.jails.lock().unwrap_or_else(PoisonError::into_inner);
        jails.retain(|jail| !jail.borrow().gone && jail.has_changed().is_ok());
        jails
    }

    async fn open(&self, order: &JailOrder, cpus: Option<u32>) -> Result<OpenJail, Fault> {
        let start = Start {
            jail: &self.config.jail,
            runner: &self.runner,
            order,
            cgroups: &self.cgroups,
            limits: GroupLimits { memory_bytes: order.memory_bytes_max, cpu_percent_max: cpus },
        };
        let (mut channel, control) = warden::start(start)
            .await
            .map_err(|e| fault(FaultKind::Internal, &format!("starting a jail: {e}")))?;
        self.jails().push(control.changes());
        let ready = tokio::time::timeout(self.config.start_timeout, channel.receive()).await;
        let mut jail = OpenJail { channel, control, pid: 0, version: String::new() };
        match ready {
            Ok(Ok(Reply::Ready { version })) => {
                jail.pid = jail.control.pid().await?;
                if order.background {
                    jail.control.run_last();
                }
                jail.version = version.chars().filter(|c| !c.is_control()).take(200).collect();
                Ok(jail)
            }
            Ok(Ok(other)) => {
                jail.control.end().await;
                Err(unexpected(&other))
            }
            Ok(Err(error)) => Err(jail.broken(&error).await),
            Err(_) => {
                jail.control.end().await;
                let seconds = self.config.start_timeout.as_secs();
                Err(fault(FaultKind::Internal, &format!("the runner was not ready in {seconds} s")))
            }
        }
    }

    /// Opens and closes one jail. The flag says whether to try again without user namespace.
    async fn probe(&self) -> Result<(String, Vec<WallReport>), (Fault, bool)> {
        let order = self.order(1 << 20, RUNNER_MEMORY_BYTES, false);
        let opened = self.open(&order, None).await;
        let jail = opened.map_err(|fault| {
            let again = self.user_namespace && fault.detail.contains("user namespace");
            (fault, again)
        })?;
        let state = jail.control.end().await;
        let mut walls: Vec<WallReport> = state
            .walls
            .into_iter()
            .map(|(wall, built)| WallReport {
                wall,
                hint: built.is_err().then(|| hint(wall)),
                missing: built.err(),
            })
            .collect();
        let groups = self.cgroups.walls();
        for wall in [Wall::CgroupMemory, Wall::CgroupCpu, Wall::CgroupPids] {
            let stands = groups.contains(&wall);
            walls.push(WallReport {
                wall,
                missing: (!stands).then(|| "no cgroup can be made for it".to_owned()),
                hint: (!stands).then(|| hint(wall)),
            });
        }
        walls.sort_by_key(|w| w.wall);
        Ok((jail.version, walls))
    }

    fn strong_enough(&self) -> Result<(), SandboxError> {
        let stands = |wall| self.walls.iter().any(|w| w.wall == wall && w.missing.is_none());
        let mut missing = Vec::new();
        for wall in [Wall::Seccomp, Wall::NoNewPrivileges] {
            if !stands(wall) {
                missing.push(wall.to_string());
            }
        }
        if !stands(Wall::MountNamespace) && !stands(Wall::Landlock) {
            missing.push("mount namespace and landlock".to_owned());
        }
        if missing.is_empty() || self.config.allow_weak {
            return Ok(());
        }
        Err(SandboxError::TooWeak { missing: missing.join(", ") })
    }
}

fn hint(wall: Wall) -> &'static str {
    match wall {
        Wall::UserNamespace
        | Wall::MountNamespace
        | Wall::NetworkNamespace
        | Wall::PidNamespace => {
            "allow unprivileged user namespaces (user.max_user_namespaces, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns)"
        }
        Wall::Seccomp | Wall::NoNewPrivileges => "use a kernel with CONFIG_SECCOMP_FILTER",
        Wall::Landlock => "use a kernel from 5.13 on with landlock in its list of security modules",
        Wall::Rlimits => "raise the hard limits of the user that runs the daemon",
        Wall::CgroupMemory | Wall::CgroupCpu | Wall::CgroupPids => {
            "run the daemon as a systemd service with Delegate=yes, or as root"
        }
    }
}

async fn open_and_hash(path: PathBuf) -> io::Result<(File, Digest)> {
    tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&file)?;
        Ok((file, Digest(*hasher.finalize().as_bytes())))
    })
    .await
    .map_err(io::Error::other)?
}

fn new_file(config: &SandboxConfig) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    match rustix::fs::open(&config.scratch, flags, mode) {
        Ok(file) => Ok(file.into()),
        // Not every file system can; a file that loses its name at once comes close.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            let mut name = [0; 16];
            getrandom::fill(&mut name).map_err(io::Error::other)?;
            let path = config.scratch.join(format!("output-{:032x}", u128::from_ne_bytes(name)));
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
            let file = rustix::fs::open(&path, flags, mode)?;
            std::fs::remove_file(&path)?;
            Ok(file.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Descriptors share their position with the daemon's own copy.
pub(crate) fn rewind(descriptor: &OwnedFd) -> Result<(), Fault> {
    let internal = |e: io::Error| fault(FaultKind::Internal, &format!("input: {e}"));
    File::from(descriptor.try_clone().map_err(internal)?).rewind().map_err(internal)
}

pub(crate) fn disk_fault(error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FaultKind::DiskFull,
        _ => FaultKind::Internal,
    };
    fault(kind, &format!("scratch file: {error}"))
}

/// What a runner may claim of its machine, its text cut and its kind one that it can know.
pub(crate) fn runner_fault(claimed: Fault) -> Fault {
    let kind = match claimed.kind {
        kind @ (FaultKind::OutOfMemory
        | FaultKind::InvalidProgram
        | FaultKind::InputUnavailable
        | FaultKind::DiskFull) => kind,
        _ => FaultKind::Internal,
    };
    fault(kind, &claimed.detail)
}

pub(crate) fn unexpected(reply: &Reply) -> Fault {
    let name = match reply {
        Reply::Ready { .. } => "Ready",
        Reply::Checked(_) => "Checked",
        Reply::Compiled { .. } => "Compiled",
        Reply::Invalid(_) => "Invalid",
        Reply::NeedBlob { .. } => "NeedBlob",
        Reply::Done { .. } => "Done",
        Reply::Faulted(_) => "Faulted",
        Reply::Small { .. } => "Small",
        Reply::TooLarge => "TooLarge",
    };
    fault(FaultKind::RunnerCrashed, &format!("the runner answered out of turn with {name}"))
}

fn checked(report: CheckReport) -> Result<CheckReport, Fault> {
    let lists = [(&report.imports, 200), (&report.problems, 50), (&report.remarks, 50)];
    if lists.iter().any(|(list, most)| list.len() > *most) || report.kind.len() > 32 {
        return Err(fault(FaultKind::RunnerCrashed, "the runner's report is over its limits"));
    }
    Ok(report)
}

pub(crate) fn ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
