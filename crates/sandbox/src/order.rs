//! What the daemon tells the jail maker (`ayni-jail`) and what that says back.
//!
//! The order is the first packet on descriptor 0, the socket that later belongs to the runner, with
//! the runner's executable attached; what follows in that socket waits for the runner. Notices come
//! back as lines of text on descriptor 1, a stream socket that the runner never holds. Its closing
//! is how the jail learns that the daemon is gone. Deliberately not here: the runner's own protocol
//! (`ayni_wire::runner`).

use ayni_types::Wall;
use minicbor::{Decode, Encode};
use rustix::process::Signal;

/// How to build one jail.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct JailOrder {
    /// The runner's executable; must be the very file that is attached.
    #[n(0)]
    pub(crate) runner: String,
    /// Loader and libraries that the executable needs, at the paths where they are found.
    #[n(1)]
    pub(crate) libraries: Vec<String>,
    /// Whether to try user namespaces (probed once by the daemon).
    #[n(2)]
    pub(crate) user_namespace: bool,
    /// Largest file that can be written, in bytes.
    #[n(3)]
    pub(crate) file_bytes_max: u64,
    /// Private writable memory at most, in bytes.
    #[n(4)]
    pub(crate) memory_bytes_max: u64,
    /// Whether a cgroup limits memory, so that kinds of memory no rlimit counts may be allowed.
    #[n(5)]
    pub(crate) memory_counted: bool,
    /// Runs at the lowest priority when set.
    #[n(6)]
    pub(crate) background: bool,
    /// Whether a cgroup sees to that, so that the process itself need not.
    #[n(7)]
    pub(crate) cpu_grouped: bool,
}

/// One line from the jail maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// This wall is up.
    Stands(Wall),
    /// This wall could not be built, and why.
    Missing(Wall, String),
    /// The process that becomes the runner, as the daemon's pid namespace numbers it.
    Started(u32),
    /// The jail could not be built at all.
    Failed(String),
    /// The runner ended with this code.
    Exited(i32),
    /// The runner was ended by this signal.
    Signalled(i32),
}

/// Longest line accepted, in bytes.
pub(crate) const NOTICE_BYTES_MAX: usize = 1_024;

/// Walls that the jail maker builds, by the number used in notices.
const WALLS: [Wall; 8] = [
    Wall::UserNamespace,
    Wall::MountNamespace,
    Wall::NetworkNamespace,
    Wall::PidNamespace,
    Wall::Seccomp,
    Wall::Landlock,
    Wall::Rlimits,
    Wall::NoNewPrivileges,
];

impl Notice {
    /// The line, without its end.
    pub(crate) fn line(&self) -> String {
        let number = |wall: &Wall| WALLS.iter().position(|w| w == wall).unwrap_or(WALLS.len());
        let flat = |text: &str| -> String {
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
        };
        match self {
            Self::Stands(wall) => format!("stands {}", number(wall)),
            Self::Missing(wall, why) => format!("missing {} {}", number(wall), flat(why)),
            Self::Started(pid) => format!("started {pid}"),
            Self::Failed(why) => format!("failed {}", flat(why)),
            Self::Exited(code) => format!("exited {code}"),
            Self::Signalled(signal) => format!("signalled {signal}"),
        }
    }

    /// Reads a line; `None` when it is no notice.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (verb, rest) = line.split_once(' ')?;
        let wall = |number: &str| WALLS.get(number.parse::<usize>().ok()?).copied();
        Some(match verb {
            "stands" => Self::Stands(wall(rest)?),
            "missing" => {
                let (number, why) = rest.split_once(' ')?;
                Self::Missing(wall(number)?, why.to_owned())
            }
            "started" => Self::Started(rest.parse().ok()?),
            "failed" => Self::Failed(rest.to_owned()),
            "exited" => Self::Exited(rest.parse().ok()?),
            "signalled" => Self::Signalled(rest.parse().ok()?),
            _ => return None,
        })
    }
}

/// What the daemon may ask of a standing jail: one byte each on the notice socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Stop the runner where it is.
    Pause,
    /// Let it go on.
    Resume,
    /// End it.
    Kill,
}

impl Command {
    /// The byte that stands for it.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Pause => b'p',
            Self::Resume => b'r',
            Self::Kill => b'k',
        }
    }

    /// What it means to the runner's process.
    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Pause => Signal::STOP,
            Self::Resume => Signal::CONT,
            Self::Kill => Signal::KILL,
        }
    }

    /// Reads the byte.
    pub(crate) fn parse(byte: u8) -> Option<Self> {
        [Self::Pause, Self::Resume, Self::Kill].into_iter().find(|c| c.byte() == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_survive_their_line() {
        for notice in [
            Notice::Stands(Wall::Seccomp),
            Notice::Missing(Wall::Landlock, "no such system call".into()),
            Notice::Started(7),
            Notice::Failed("exec: not found".into()),
            Notice::Exited(3),
            Notice::Signalled(9),
        ] {
            assert_eq!(Notice::parse(&notice.line()), Some(notice));
        }
    }

    #[test]
    fn a_reason_stays_on_its_line() {
        let line = Notice::Failed("a\nstands 0\n".repeat(100)).line();
        assert!(!line.contains('\n') && line.len() < NOTICE_BYTES_MAX, "{line}");
    }

    #[test]
    fn other_lines_are_no_notices() {
        for line in ["", "stands", "stands 99", "missing 0", "started x", "hello there"] {
            assert_eq!(Notice::parse(line), None, "{line:?}");
        }
    }
}
