//! How a program on this machine finds a running node and proves that it may use it: two files in
//! the node's home. `api.token` holds the bearer token, is made once and readable by its owner
//! only; `api.json` says where the running daemon listens and is replaced at each start.

use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::json::Schema;

/// Why the files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Can't be read or written.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the token.
    #[error("{} is readable by others (mode {mode:03o})", path.display())]
    TokenExposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not what was written.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

/// The secret that a request carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    const FILE: &'static str = "api.token";
    const DIGITS: usize = 64;

    /// A token of this text, for tests and for programs that were given one.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// A new secret, as 64 hex digits.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn random() -> Result<Self, EndpointError> {
        let mut secret = [0_u8; Self::DIGITS / 2];
        getrandom::fill(&mut secret).map_err(|e| EndpointError::Random(e.to_string()))?;
        Ok(Self(secret.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Reads the token of `home`, making it first if there is none.
    ///
    /// # Errors
    /// When the file can't be read or written, is readable by others, or is damaged.
    pub fn load_or_create(home: &Path) -> Result<Self, EndpointError> {
        let path = home.join(Self::FILE);
        let text = Self::random()?.0;
        // Written beside its place and linked into it, so that nobody reads half a token.
        let draft = home.join(format!(".{}.{}", Self::FILE, std::process::id()));
        if !path.exists() {
            let made = write_private(&draft, &text).and_then(|()| {
                match std::fs::hard_link(&draft, &path) {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                    other => other,
                }
            });
            let _ = std::fs::remove_file(&draft);
            made.map_err(|source| EndpointError::Io {
                what: "can't write",
                path: path.clone(),
                source,
            })?;
        }
        Self::load(home)
    }

    /// Reads the token of `home`.
    ///
    /// # Errors
    /// When the file can't be read, is readable by others, or is damaged.
    pub fn load(home: &Path) -> Result<Self, EndpointError> {
        let path = home.join(Self::FILE);
        let io = |source| EndpointError::Io { what: "can't read", path: path.clone(), source };
        let mode = std::fs::metadata(&path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(EndpointError::TokenExposed { path, mode });
        }
        let text = std::fs::read_to_string(&path).map_err(io)?;
        let text = text.trim();
        if text.len() != Self::DIGITS || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            let why = format!("it does not hold {} hex digits", Self::DIGITS);
            return Err(EndpointError::Damaged { path, why });
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, for the header of a request.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this token. Takes the same time wherever they differ.
    pub(crate) fn matches(&self, given: &[u8]) -> bool {
        let ours = self.0.as_bytes();
        let differing = ours.iter().zip(given).fold(0, |acc, (a, b)| acc | (a ^ b));
        std::hint::black_box(differing) == 0 && ours.len() == given.len()
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Where a running daemon listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Version of this shape.
    pub schema: Schema,
    /// Loopback address and port.
    pub addr: SocketAddr,
    /// Process id of the daemon.
    pub pid: u32,
    /// Version of the daemon.
    pub version: String,
}

impl Endpoint {
    const FILE: &'static str = "api.json";

    /// An endpoint of this process.
    #[must_use]
    pub fn here(addr: SocketAddr, version: &str) -> Self {
        Self { schema: Schema, addr, pid: std::process::id(), version: version.to_owned() }
    }

    /// Writes it into `home`, replacing another.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn publish(&self, home: &Path) -> Result<(), EndpointError> {
        let path = home.join(Self::FILE);
        let draft = home.join(format!(".{}.{}", Self::FILE, self.pid));
        let text = serde_json::to_string(self).expect("plain data becomes JSON");
        write_private(&draft, &text)
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|source| EndpointError::Io { what: "can't write", path, source })
    }

    /// Reads the one in `home`; `None` if there is none. A daemon that died leaves it behind, so
    /// it has to be asked whether it is alive.
    ///
    /// # Errors
    /// When the file is there but can't be read.
    pub fn load(home: &Path) -> Result<Option<Self>, EndpointError> {
        let path = home.join(Self::FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EndpointError::Io { what: "can't read", path, source }),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| EndpointError::Damaged { path, why: error.to_string() })
    }

    /// Removes it from `home` if it is this one's.
    pub fn withdraw(&self, home: &Path) {
        if matches!(Self::load(home), Ok(Some(found)) if found == *self) {
            let _ = std::fs::remove_file(home.join(Self::FILE));
        }
    }
}
