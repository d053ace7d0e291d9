//! The inside of `ayni-jail`: builds the walls around one runner, starts it, waits for its end.
//!
//! One single-threaded process per runner. It takes the order from descriptor 0, raises one wall
//! after the other (saying which stand), forks; the child raises the last ones and becomes the
//! runner, the parent (the *warder*) stays to kill it when the daemon asks or dies. Whatever runs
//! in the runner's place meets every wall before its first instruction. Deliberately not here:
//! cgroups (the daemon's part: they outlive the process) and what the runner does.
//!
//! - `os`: the few system calls that need `unsafe`
//! - `root`: the empty file system
//! - `filter`: the system calls that are left
//! - `bounds`: rlimits, priorities, capabilities, landlock

mod bounds;
mod filter;
mod os;
mod root;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use ayni_types::Wall;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions};

use crate::channel;
use crate::order::{Command, JailOrder, Notice};

/// Why the jail could not be built.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub(crate) struct JailError {
    step: &'static str,
    #[source]
    source: io::Error,
}

/// Names the step that failed.
trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, JailError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, JailError> {
        self.map_err(|e| JailError { step, source: e.into() })
    }
}

/// The line back to the daemon.
struct Report(UnixStream);

impl Report {
    fn say(&mut self, notice: &Notice) {
        // If the daemon is gone, the warder's poll finds out; nothing to do here.
        let _ = self.0.write_all(format!("{}\n", notice.line()).as_bytes());
    }

    /// Says whether a wall stands.
    fn wall<T, E: std::fmt::Display>(&mut self, wall: Wall, built: Result<T, E>) -> Option<T> {
        match built {
            Ok(value) => {
                self.say(&Notice::Stands(wall));
                Some(value)
            }
            Err(error) => {
                self.say(&Notice::Missing(wall, error.to_string()));
                None
            }
        }
    }
}

/// Entry of `ayni-jail`.
#[must_use]
pub fn main() -> ExitCode {
    let mut report = match set_up_descriptors() {
        Ok(report) => report,
        Err(error) => {
            eprintln!("ayni-jail: {error}; it is started by the daemon, not by hand");
            return ExitCode::from(64);
        }
    };
    match build(&mut report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.say(&Notice::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// Leaves 0 (socket), 1 and 2 (stderr pipe) for the runner and moves the report line away.
fn set_up_descriptors() -> Result<Report, JailError> {
    os::close_from(3).step("closing inherited descriptors")?;
    let line = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 10).step("report line")?;
    let null = File::options().write(true).open("/dev/null").step("opening /dev/null")?;
    os::replace(&null, 1).step("replacing stdout")?;
    Ok(Report(UnixStream::from(line)))
}

fn build(report: &mut Report) -> Result<(), JailError> {
    let (order, attached) =
        channel::receive_order(io::stdin().as_fd()).step("reading the order")?;
    let _ = rustix::process::setsid();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    bounds::die_first_when_memory_is_short();

    let exec = raise_namespaces(report, &order, attached)?;
    let pid_namespace =
        order_namespaces(&order) && report.wall(Wall::PidNamespace, os::unshare_pid()).is_some();
    if !pid_namespace && !order_namespaces(&order) {
        report.say(&Notice::Missing(Wall::PidNamespace, "needs a user namespace or root".into()));
    }

    // The child watches the other end: if the warder dies before the child has asked to be killed
    // with it, the pipe is closed.
    let (alive, held) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("pipe")?;
    match os::fork().step("fork")? {
        None => {
            drop(held);
            let error = become_runner(report, &order, &exec, alive);
            report.say(&Notice::Failed(error.to_string()));
            // Nothing of the warder's may run in the child.
            os::exit_now(71)
        }
        Some(child) => {
            drop((alive, exec));
            report.say(&Notice::Started(child.as_raw_nonzero().get().cast_unsigned()));
            stand_guard(report, child, held)
        }
    }
}

/// Whether any namespace can be expected: as root always, else only with a user namespace.
fn order_namespaces(order: &JailOrder) -> bool {
    order.user_namespace || rustix::process::geteuid().is_root()
}

/// What to execute and what it may read.
struct Exec {
    runner: OwnedFd,
    readable: Vec<OwnedFd>,
}

/// User, mount, network and the smaller namespaces; answers what to execute.
fn raise_namespaces(
    report: &mut Report,
    order: &JailOrder,
    attached: OwnedFd,
) -> Result<Exec, JailError> {
    let root_user = rustix::process::geteuid().is_root();
    // As root the files are taken before the rights are given up, as they may lie where only root
    // can look; as another user only after the user namespace has given the right to take them.
    // (Root of a container alone may need the same.)
    let early = root_user.then(|| root::take_parts(order, &attached)).and_then(Result::ok);
    if order.user_namespace {
        if root_user {
            // In a container no other user may be mapped; the namespace has to do then.
            let _ = bounds::become_nobody();
        }
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let entered = os::unshare_user().and_then(|()| bounds::map_user(uid, gid));
        if report.wall(Wall::UserNamespace, entered).is_none() && root_user {
            // The daemon tries again without, while it is still root.
            return Err(JailError {
                step: "user namespace",
                source: io::Error::other("not available"),
            });
        }
    } else {
        report.say(&Notice::Missing(Wall::UserNamespace, "not permitted on this machine".into()));
    }
    report.wall(Wall::NetworkNamespace, os::unshare_net());
    // Small ones without a name of their own in an offer: System V IPC, host name, cgroup names.
    if os::unshare_ipc().and_then(|()| os::unshare_uts()).is_ok() {
        let _ = rustix::system::sethostname(b"jail");
    }
    let _ = os::unshare_cgroup();

    let mounted = os::unshare_mount().map_err(|e| JailError { step: "unshare", source: e });
    let mounted = mounted.and_then(|()| {
        let parts = match early {
            Some(parts) => parts,
            None => root::take_parts(order, &attached)?,
        };
        root::enter(&parts)
    });
    match report.wall(Wall::MountNamespace, mounted) {
        Some(exec) => Ok(exec),
        None => root::without_namespace(order, attached),
    }
}

/// The child's last steps. Answers only if it fails.
fn become_runner(report: &mut Report, order: &JailOrder, exec: &Exec, alive: OwnedFd) -> JailError {
    let mut steps = || -> Result<std::convert::Infallible, JailError> {
        let _ = rustix::process::setsid();
        // Not the warder: it has to be quick when the machine is busy.
        if order.background {
            bounds::run_last(order.cpu_grouped);
        }
        if rustix::process::geteuid().is_root() && !order.user_namespace {
            // Fails where no other user is mapped: a container's root, which is somebody's nobody.
            let _ = bounds::become_nobody();
        }
        bounds::drop_capabilities().step("dropping capabilities")?;
        report.wall(Wall::Rlimits, bounds::set_rlimits(order));
        os::ignore_file_size_signal().step("ignoring SIGXFSZ")?;
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .step("asking to die with the warder")?;
        if warder_is_gone(&alive) {
            return Err(JailError { step: "warder", source: io::Error::other("gone") });
        }
        report
            .wall(Wall::NoNewPrivileges, rustix::thread::set_no_new_privs(true))
            .ok_or_else(|| io::Error::other("refused"))
            .step("no_new_privs")?;
        report.wall(Wall::Landlock, bounds::close_files(&exec.readable));
        let filter = filter::program(order.memory_counted);
        os::close_on_exec_from(3).step("marking descriptors")?;
        report.say(&Notice::Stands(Wall::Seccomp));
        // From here on only what the filter allows: nothing can be said if it fails but to exit.
        filter.and_then(|f| filter::close(&f)).step("seccomp")?;
        Err(JailError { step: "starting the runner", source: os::execute(&exec.runner) })
    };
    match steps() {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn warder_is_gone(alive: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(alive, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|n| n > 0)
}

/// Waits for the runner's end or the daemon's word, whichever comes first.
fn stand_guard(report: &mut Report, child: Pid, held: OwnedFd) -> Result<(), JailError> {
    // The socket is the runner's alone, or the daemon would not see it close; so is its stderr.
    let null = File::open("/").step("opening the root")?;
    os::replace(&null, 0).step("leaving the socket")?;
    os::replace(&null, 2).step("leaving stderr")?;
    let _ = bounds::drop_capabilities();
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let watched =
        rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()).step("pidfd")?;
    loop {
        let mut fds = [
            PollFd::new(&watched, PollFlags::IN),
            PollFd::from_borrowed_fd(report.0.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.step("waiting")?,
        };
        let (ended, asked) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if ended {
            break;
        }
        if asked {
            let mut byte = [0];
            let command = match report.0.read(&mut byte) {
                Ok(1) => Command::parse(byte[0]),
                _ => Some(Command::Kill),
            };
            let Some(signal) = command.map(Command::signal) else { continue };
            // Not reaped yet, so the number is still its own.
            let _ = rustix::process::kill_process(child, signal);
            if signal == Signal::KILL {
                break;
            }
        }
    }
    let status = loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.step("waitpid")?,
        }
    };
    drop(held);
    if let Some((_, status)) = status {
        report.say(&match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Notice::Exited(code),
            (None, Some(signal)) => Notice::Signalled(signal),
            (None, None) => Notice::Exited(-1),
        });
    }
    Ok(())
}
