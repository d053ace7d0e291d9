//! When somebody last touched the machine: keyboards and mice, an X display, terminals, logind.
//!
//! A thread of its own listens, for a display that hangs must not hang the node. Each source is
//! used where it is there and may be read; nothing of what is typed is looked at. Deliberately not
//! here: how long is long enough (`judge`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use x11rb::connection::Connection;
use x11rb::protocol::screensaver::ConnectionExt;
use x11rb::rust_connection::RustConnection;

use super::senses;

/// Between two questions to a display.
const ASK: Duration = Duration::from_millis(200);
/// Between two searches for devices, displays and sessions that came or went.
const SEARCH: Duration = Duration::from_secs(5);
/// Touches before it are too long ago for any limit.
const BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// No source has spoken yet.
const NEVER: u64 = u64::MAX;

/// Listens until it is dropped.
pub(crate) struct Inputs {
    heard: Arc<Heard>,
}

struct Heard {
    started: Instant,
    /// Milliseconds after [`BEFORE`] before `started`, or [`NEVER`].
    touched: AtomicU64,
    over: AtomicBool,
}

impl Heard {
    fn touch(&self, ago: Duration) {
        let ms = (BEFORE + self.started.elapsed()).saturating_sub(ago).as_millis();
        let ms = u64::try_from(ms).unwrap_or(NEVER - 1);
        let _ = self.touched.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            (last == NEVER || last < ms).then_some(ms)
        });
    }
}

impl Inputs {
    /// Begins to listen.
    pub(crate) fn listen() -> Self {
        Self::listen_to(PathBuf::from("/dev/input/by-path"), true)
    }

    fn listen_to(devices: PathBuf, all: bool) -> Self {
        let heard = Arc::new(Heard {
            started: Instant::now(),
            touched: AtomicU64::new(NEVER),
            over: AtomicBool::new(false),
        });
        let ear = Ear { heard: heard.clone(), devices, all, open: BTreeMap::new(), display: None };
        let thread = std::thread::Builder::new().name("input".to_owned());
        if let Err(error) = thread.spawn(move || ear.listen()) {
            tracing::warn!("can't listen whether the machine is in use: {error}");
        }
        Self { heard }
    }

    /// How long nobody has touched it; `None` if nothing here can tell. Of devices it knows only
    /// what came since it began to listen.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let touched = match self.heard.touched.load(Ordering::Relaxed) {
            NEVER => return None,
            ms => Duration::from_millis(ms),
        };
        Some((BEFORE + self.heard.started.elapsed()).saturating_sub(touched))
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        self.heard.over.store(true, Ordering::Relaxed);
    }
}

struct Ear {
    heard: Arc<Heard>,
    devices: PathBuf,
    /// Also displays, terminals and sessions.
    all: bool,
    open: BTreeMap<PathBuf, File>,
    display: Option<Display>,
}

struct Display {
    connection: RustConnection,
    root: u32,
}

impl Ear {
    fn listen(mut self) {
        let mut searched: Option<Instant> = None;
        while !self.heard.over.load(Ordering::Relaxed) {
            if searched.is_none_or(|last| last.elapsed() >= SEARCH) {
                searched = Some(Instant::now());
                self.search();
            }
            self.ask();
            self.wait();
        }
    }

    /// Opens what came since, and asks sources that are good enough every few seconds.
    fn search(&mut self) {
        for path in keyboards_and_mice(&self.devices) {
            if self.open.contains_key(&path) {
                continue;
            }
            let flags = rustix::fs::OFlags::NONBLOCK.bits();
            let flags = i32::try_from(flags).unwrap_or_default();
            if let Ok(file) = File::options().read(true).custom_flags(flags).open(&path) {
                // What was before nobody knows, so it counts as touched now.
                self.heard.touch(Duration::ZERO);
                self.open.insert(path, file);
            }
        }
        if !self.all {
            return;
        }
        if self.display.is_none() {
            self.display = Display::find();
        }
        if self.open.is_empty()
            && self.display.is_none()
            && let Some(idle) = senses::session_idle()
        {
            self.heard.touch(idle);
        }
    }

    /// Asks what does not speak by itself.
    fn ask(&mut self) {
        if !self.all {
            return;
        }
        if let Some(idle) = senses::terminals_idle() {
            self.heard.touch(idle);
        }
        if let Some(display) = &self.display {
            match display.idle() {
                Some(idle) => self.heard.touch(idle),
                None => self.display = None,
            }
        }
    }

    /// Waits for a device to speak, for a while.
    fn wait(&mut self) {
        let mut fds: Vec<PollFd<'_>> =
            self.open.values().map(|file| PollFd::new(file, PollFlags::IN)).collect();
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(ASK.subsec_nanos()) };
        if fds.is_empty() || poll(&mut fds, Some(&patience)).is_err() {
            std::thread::sleep(ASK);
            return;
        }
        let spoke: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut spoke = spoke.into_iter();
        let heard = &self.heard;
        self.open.retain(|_, file| {
            if spoke.next() != Some(true) {
                return true;
            }
            let mut events = [0; 4_096];
            match file.read(&mut events) {
                Ok(0) => false,
                Ok(_) => {
                    heard.touch(Duration::ZERO);
                    true
                }
                Err(error) => {
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
                }
            }
        });
    }
}

/// Devices that udev calls a keyboard or a mouse.
fn keyboards_and_mice(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = |name: &str| name.ends_with("-event-kbd") || name.ends_with("-event-mouse");
    entries
        .filter(|entry| wanted(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

impl Display {
    /// The one of the environment, else any of this machine's that lets us in.
    fn find() -> Option<Self> {
        if std::env::var_os("DISPLAY").is_some() {
            return Self::open(None);
        }
        let sockets = fs::read_dir("/tmp/.X11-unix").into_iter().flatten().flatten();
        let names = sockets.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix('X').map(|number| format!(":{number}"))
        });
        let mut names = names;
        names.find_map(|name| Self::open(Some(&name)))
    }

    fn open(name: Option<&str>) -> Option<Self> {
        let (connection, screen) = x11rb::connect(name).ok()?;
        let root = connection.setup().roots.get(screen)?.root;
        let display = Self { connection, root };
        display.idle().is_some().then_some(display)
    }

    fn idle(&self) -> Option<Duration> {
        let info = self.connection.screensaver_query_info(self.root).ok()?.reply().ok()?;
        Some(Duration::from_millis(u64::from(info.ms_since_user_input)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_keyboard_is_heard_and_a_lid_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
            // Both ways, so that it never ends.
            File::options().read(true).write(true).open(path).unwrap()
        };
        let mut keyboard = pipe("pci-0000:00:14.0-usb-0:1:1.0-event-kbd");
        let mut lid = pipe("platform-lid-event");
        let inputs = Inputs::listen_to(folder.path().to_owned(), false);
        until("it found the keyboard", || inputs.idle().is_some());
        std::thread::sleep(Duration::from_millis(400));
        lid.write_all(&[0; 24]).unwrap();
        std::thread::sleep(Duration::from_millis(400));
        assert!(inputs.idle().unwrap() >= Duration::from_millis(700), "{:?}", inputs.idle());
        let before = inputs.idle().unwrap();
        keyboard.write_all(&[0; 24]).unwrap();
        until("it heard a key", || inputs.idle().unwrap() < before);
    }

    #[test]
    fn where_nothing_can_tell_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = Inputs::listen_to(folder.path().to_owned(), false);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(inputs.idle(), None);
    }
}
