//! Starts one jail and watches it to its end, in a task of its own.
//!
//! The task owns the process, its cgroup and its standard error; others hold a [`JailControl`].
//! When the last of those is dropped the jail is killed, and whatever happens the process is
//! reaped and the cgroup removed. Deliberately not here: what is said to the runner (`slot`).

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ayni_types::{Fault, FaultKind, Wall, limits::TEXT_BYTES_MAX};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr};
use tokio::sync::{mpsc, watch};

use crate::cgroup::{Cgroup, Cgroups, GroupLimits};
use crate::channel::Channel;
use crate::config::{STDERR_BYTES_KEPT, STDERR_BYTES_READ_MAX};
use crate::order::{Command, JailOrder, NOTICE_BYTES_MAX, Notice};

/// How long a warder may take to end its runner before it is killed itself.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// How long a runner that closed its socket may take to end by itself, and so say why.
const EXIT_PATIENCE: Duration = Duration::from_secs(5);

/// What is known of a jail.
#[derive(Debug, Clone, Default)]
pub(crate) struct JailState {
    pub(crate) pid: Option<u32>,
    /// The warder: our child, and the runner's parent.
    pub(crate) warder: Option<u32>,
    pub(crate) walls: Vec<(Wall, Result<(), String>)>,
    pub(crate) failed: Option<String>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out_of_memory: bool,
    pub(crate) paused: bool,
    /// Processes reaped, cgroup removed.
    pub(crate) gone: bool,
    last_words: Vec<u8>,
}

/// A handle on a running jail. Cheap to clone; the jail ends with the last one.
#[derive(Debug, Clone)]
pub(crate) struct JailControl {
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<JailState>,
    group: Arc<Mutex<Cgroup>>,
}

/// Everything needed to start one.
pub(crate) struct Start<'a> {
    pub(crate) jail: &'a std::path::Path,
    pub(crate) runner: &'a OwnedFd,
    pub(crate) order: &'a JailOrder,
    pub(crate) cgroups: &'a Cgroups,
    pub(crate) limits: GroupLimits,
}

/// Starts a jail; the runner in it has not said anything yet.
pub(crate) async fn start(how: Start<'_>) -> io::Result<(Channel, JailControl)> {
    let (channel, socket) = Channel::pair()?;
    let (line, theirs) = std::os::unix::net::UnixStream::pair()?;
    line.set_nonblocking(true)?;
    let line = UnixStream::from_std(line)?;
    let mut child = tokio::process::Command::new(how.jail)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let group = how.cgroups.make(how.limits)?;
    // Before the order is sent: the warder waits for it, so nothing is born outside the group.
    group.add(child.id().ok_or_else(|| io::Error::other("ayni-jail ended at once"))?)?;
    channel.send_order(how.order, how.runner.as_fd()).await?;

    let stderr = child.stderr.take();
    let (commands, receiver) = mpsc::unbounded_channel();
    let (publish, state) = watch::channel(JailState { warder: child.id(), ..JailState::default() });
    let group = Arc::new(Mutex::new(group));
    let control = JailControl { commands, state, group: Arc::clone(&group) };
    tokio::spawn(Warden { child, line, stderr, commands: receiver, publish, group }.watch());
    Ok((channel, control))
}

struct Warden {
    child: Child,
    line: UnixStream,
    stderr: Option<ChildStderr>,
    commands: mpsc::UnboundedReceiver<Command>,
    publish: watch::Sender<JailState>,
    group: Arc<Mutex<Cgroup>>,
}

impl Warden {
    async fn watch(mut self) {
        let (from_jail, mut to_jail) = self.line.split();
        let mut notices = BufReader::new(from_jail.take(64 << 10));
        let mut words = LastWords::default();
        let mut chunk = vec![0; STDERR_BYTES_KEPT];
        let mut line = Vec::new();
        let mut talking = true;
        let mut killed_at = None;
        let mut runner = None;
        loop {
            let patience = async {
                match killed_at {
                    Some(at) => tokio::time::sleep_until(at + KILL_PATIENCE).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.child.wait() => break,
                command = self.commands.recv(), if killed_at.is_none() => {
                    let command = command.unwrap_or(Command::Kill);
                    if command == Command::Kill {
                        killed_at = Some(tokio::time::Instant::now());
                        // On a busy machine the last in line would also be the last to die.
                        lock(&self.group).run_last(false);
                    }
                    self.publish.send_modify(|s| s.paused = command == Command::Pause);
                    if let Some(runner) = &runner {
                        let _ = pidfd_send_signal(runner, command.signal());
                    }
                    // The warder signals too (it may be all there is) and hears of a kill.
                    let _ = to_jail.write_all(&[command.byte()]).await;
                }
                read = notices.read_until(b'\n', &mut line), if talking => {
                    talking = matches!(read, Ok(n) if n > 0) && line.len() <= NOTICE_BYTES_MAX;
                    if let Some(Notice::Started(pid)) = apply(&self.publish, &line) {
                        runner = self.child.id().and_then(|warder| hold(pid, warder));
                    }
                    line.clear();
                }
                read = read_some(self.stderr.as_mut(), &mut chunk), if words.wanted() => {
                    words.heard(read.ok().map_or(&[], |n| &chunk[..n]));
                }
                () = patience => {
                    // The warder hangs; its death takes the runner along.
                    let _ = self.child.start_kill();
                    killed_at = Some(tokio::time::Instant::now());
                }
            }
        }
        // What was said before the end is still in the pipes.
        while talking && matches!(notices.read_until(b'\n', &mut line).await, Ok(n) if n > 0) {
            apply(&self.publish, &line);
            line.clear();
        }
        let rest = async {
            while words.wanted() {
                let read = read_some(self.stderr.as_mut(), &mut chunk).await;
                words.heard(read.ok().map_or(&[], |n| &chunk[..n]));
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
        let out_of_memory = lock(&self.group).ran_out_of_memory();
        self.publish.send_modify(|s| {
            s.out_of_memory = out_of_memory;
            s.last_words = words.kept.into();
        });
        // The kernel lets go of a group a moment after its last process.
        for wait_ms in [0, 1, 5, 20, 100, 500, 2_000] {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            if lock(&self.group).remove() {
                break;
            }
        }
        self.publish.send_modify(|s| s.gone = true);
    }
}

async fn read_some(stderr: Option<&mut ChildStderr>, chunk: &mut [u8]) -> io::Result<usize> {
    match stderr {
        Some(stderr) => stderr.read(chunk).await,
        None => Ok(0),
    }
}

fn lock(group: &Mutex<Cgroup>) -> std::sync::MutexGuard<'_, Cgroup> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A descriptor for the runner's process, if that is the warder's child. The warder is our own
/// unreaped child, so its number is its own; a process with another parent is not the runner but
/// one that came by its number since.
fn hold(pid: u32, warder: u32) -> Option<OwnedFd> {
    let number = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let held = pidfd_open(number, PidfdFlags::empty()).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    (parent_of(&stat)? == warder).then_some(held)
}

/// The parent's number in the text of `/proc/PID/stat`.
fn parent_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn apply(publish: &watch::Sender<JailState>, line: &[u8]) -> Option<Notice> {
    let text = String::from_utf8_lossy(line);
    let notice = Notice::parse(text.trim_end_matches('\n'))?;
    publish.send_modify(|state| match notice.clone() {
        Notice::Stands(wall) => state.walls.push((wall, Ok(()))),
        Notice::Missing(wall, why) => state.walls.push((wall, Err(why))),
        Notice::Started(pid) => state.pid = Some(pid),
        Notice::Failed(why) => state.failed = Some(why),
        Notice::Exited(code) => state.exit_code = Some(code),
        Notice::Signalled(signal) => state.signal = Some(signal),
    });
    Some(notice)
}

/// The end of what a runner wrote to its standard error.
#[derive(Default)]
struct LastWords {
    kept: VecDeque<u8>,
    heard: u64,
    closed: bool,
}

impl LastWords {
    fn wanted(&self) -> bool {
        !self.closed && self.heard < STDERR_BYTES_READ_MAX
    }

    fn heard(&mut self, bytes: &[u8]) {
        self.closed = bytes.is_empty();
        self.heard += bytes.len() as u64;
        self.kept.extend(bytes);
        let excess = self.kept.len().saturating_sub(STDERR_BYTES_KEPT);
        self.kept.drain(..excess);
    }
}

impl JailControl {
    /// Asks for something; nothing happens if the jail is gone.
    pub(crate) fn ask(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Puts the jail behind everything else on the machine, where a cgroup can.
    pub(crate) fn run_last(&self) {
        lock(&self.group).run_last(true);
    }

    /// The runner's process. What it says itself may arrive before the warder's word of it.
    pub(crate) async fn pid(&self) -> Result<u32, Fault> {
        let mut state = self.state.clone();
        let known = state.wait_for(|s| s.pid.is_some() || s.gone).await.ok().and_then(|s| s.pid);
        known.ok_or_else(|| fault(FaultKind::Internal, "the jail ended at once"))
    }

    /// What is known now.
    pub(crate) fn state(&self) -> JailState {
        self.state.borrow().clone()
    }

    /// Changes of what is known.
    pub(crate) fn changes(&self) -> watch::Receiver<JailState> {
        self.state.clone()
    }

    /// Highest memory so far, in bytes; 0 if nobody counts.
    pub(crate) fn memory_bytes_peak(&self) -> u64 {
        lock(&self.group)
            .memory_bytes_peak()
            .or_else(|| self.state.borrow().pid.and_then(resident_bytes_peak))
            .unwrap_or(0)
    }

    /// Processor time of the runner so far, all its threads; `None` if it is not there to be asked.
    pub(crate) fn cpu_used(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.state.borrow().pid?));
        cpu_of(&stat.ok()?, rustix::param::clock_ticks_per_second())
    }

    /// Kills the jail if it lives and waits until nothing of it is left.
    pub(crate) async fn end(&self) -> JailState {
        self.ask(Command::Kill);
        let mut state = self.state.clone();
        // An error means the task is gone with its runtime, and the process with it.
        let _ = state.wait_for(|s| s.gone).await;
        self.state()
    }

    /// Waits for the end of a runner that closed its socket, then says why it ended.
    pub(crate) async fn post_mortem(&self, seen: &str) -> Fault {
        let mut state = self.state.clone();
        let ended = state.wait_for(|s| s.exit_code.is_some() || s.signal.is_some() || s.gone);
        let _ = tokio::time::timeout(EXIT_PATIENCE, ended).await;
        self.end().await.fault(seen)
    }
}

impl JailState {
    /// Processor time of warder and runner so far; zero once the warder is reaped, for then it is
    /// in our own account of children.
    pub(crate) fn cpu_spent(&self) -> Duration {
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = |pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        let Some(warder) = self.warder.and_then(stat) else { return Duration::ZERO };
        let ours = parent_of(&warder) == Some(std::process::id());
        let Some(spent) = cpu_with_children(&warder, ticks).filter(|_| ours) else {
            return Duration::ZERO;
        };
        let runner = self.pid.and_then(stat).and_then(|stat| cpu_of(&stat, ticks));
        spent + runner.unwrap_or_default()
    }

    /// The fault for a runner that ended by itself; `seen` is what its socket showed.
    fn fault(&self, seen: &str) -> Fault {
        if self.out_of_memory {
            return fault(FaultKind::OutOfMemory, "the kernel stopped the runner for memory");
        }
        let how = match (&self.failed, self.signal, self.exit_code) {
            (Some(failed), _, _) => format!("the jail could not be built: {failed}"),
            (None, Some(signal), _) => format!("{seen}; ended by signal {signal}"),
            (None, None, Some(code)) => format!("{seen}; exited with code {code}"),
            (None, None, None) => seen.to_owned(),
        };
        let words = String::from_utf8_lossy(&self.last_words);
        let words = words.trim();
        let tail: String = {
            let skip = words.chars().count().saturating_sub(600);
            words.chars().skip(skip).collect()
        };
        let detail = if tail.is_empty() { how } else { format!("{how}; its last words: {tail}") };
        fault(FaultKind::RunnerCrashed, &detail)
    }
}

/// A fault whose text keeps to the limit.
pub(crate) fn fault(kind: FaultKind, detail: &str) -> Fault {
    let mut end = detail.len().min(TEXT_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    Fault { kind, detail: detail[..end].to_owned() }
}

/// User and system time from the text of `/proc/PID/stat`. The name in it may hold anything.
fn cpu_of(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    ticks_of(stat, ticks_per_second, 2)
}

/// The same, with that of children that were waited for.
pub(crate) fn cpu_with_children(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    ticks_of(stat, ticks_per_second, 4)
}

fn ticks_of(stat: &str, ticks_per_second: u64, fields: usize) -> Option<Duration> {
    let mut values = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = 0_u64;
    for _ in 0..fields {
        ticks = ticks.checked_add(values.next()?.parse().ok()?)?;
    }
    Some(Duration::from_millis(ticks.checked_mul(1_000)?.checked_div(ticks_per_second)?))
}

fn resident_bytes_peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_process_calls_itself() {
        let stat = "71 (a) 9 9 (b) S 70 71 71 0 -1 4194560 318 0 0 0 250 50 7 7 20 0 1 0 55 1";
        assert_eq!(cpu_of(stat, 100), Some(Duration::from_secs(3)));
        assert_eq!(cpu_with_children(stat, 100), Some(Duration::from_millis(3_140)));
        assert_eq!(parent_of(stat), Some(70));
        for stat in [
            "",
            "71 (a) S 70",
            "71 a S 1 1 1 0 -1 1 1 0 0 0 1 1",
            "71 (a) S 1 1 1 0 -1 1 1 0 0 0 x 1",
        ] {
            assert_eq!(cpu_of(stat, 100), None, "{stat}");
        }
    }
}
