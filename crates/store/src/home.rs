//! A node's home folder: one lock, so that two daemons never share it, and its secret keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A home folder that this process alone uses.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    // Held until drop: the kernel frees it even after SIGKILL.
    lock: File,
}

/// The node's secrets, 32 bytes each.
pub struct Keys {
    /// Ed25519 seed of the node's identity.
    pub node: [u8; 32],
    /// secp256k1 key that signs batches.
    pub batch: [u8; 32],
    /// Authenticates compiled code and seeds the core; never leaves this machine.
    pub local: [u8; 32],
}

/// Why a home can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another daemon has it.
    #[error("another daemon (process {pid}) uses the home `{}`", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who holds the lock, as it wrote itself; `?` if unknown.
        pid: String,
    },
    /// A key file that others can read, or of the wrong size.
    #[error("key file `{}` {why}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// Anything the file system refuses.
    #[error("can't use `{}`: {source}", path.display())]
    Io {
        /// Which path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> HomeError + '_ {
    move |source| HomeError::Io { path: path.to_owned(), source }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Closing the file lets go too, but a program that is just being started has a copy of it.
        let _ = self.lock.unlock();
    }
}

impl Home {
    /// Makes the folder if need be (mode 0700) and locks it.
    ///
    /// # Errors
    /// When another daemon holds it or the file system refuses.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_at(path))?;
        // It may have been made by somebody who did not think of other users.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io_at(path))?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(io_at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let known = lock.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = if known { pid.trim().to_owned() } else { "?".to_owned() };
                return Err(HomeError::InUse { path: path.to_owned(), pid });
            }
            Err(fs::TryLockError::Error(source)) => return Err(io_at(&lock_path)(source)),
        }
        lock.set_len(0).map_err(io_at(&lock_path))?;
        write!(lock, "{}", std::process::id()).map_err(io_at(&lock_path))?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the node's keys, drawing them on first use with `draw`.
    ///
    /// # Errors
    /// When a key file is readable by others, has the wrong size, or can't be written.
    pub fn keys(&self, mut draw: impl FnMut(&mut [u8; 32])) -> Result<Keys, HomeError> {
        let mut key = |name| secret_file(&self.path.join("keys").join(name), &mut draw);
        Ok(Keys { node: key("node")?, batch: key("batch")?, local: key("local")? })
    }

    /// Writes a small file that only the owner may read, whole or not at all.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write_private(&self, name: &str, content: &[u8]) -> Result<PathBuf, HomeError> {
        let path = self.path.join(name);
        write_private(&path, content).map_err(io_at(&path))?;
        Ok(path)
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn secret_file(path: &Path, draw: &mut dyn FnMut(&mut [u8; 32])) -> Result<[u8; 32], HomeError> {
    let bad = |why| HomeError::BadKey { path: path.to_owned(), why };
    match fs::read(path) {
        Ok(bytes) => {
            let mode = fs::metadata(path).map_err(io_at(path))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(bad(
                    "can be read by others; make it mode 0600, or draw a new identity",
                ));
            }
            bytes.try_into().map_err(|_| bad("does not hold 32 bytes"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(path);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(io_at(parent))?;
            let mut secret = [0; 32];
            draw(&mut secret);
            write_private(path, &secret).map_err(io_at(path))?;
            Ok(secret)
        }
        Err(source) => Err(io_at(path)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_holds_the_home() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let first = Home::open(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let error = Home::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Home::open(dir.path()).unwrap();
    }

    #[test]
    fn keys_are_drawn_once_and_must_stay_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let mut next = 0;
        let first = home
            .keys(|key| {
                next += 1;
                *key = [next; 32];
            })
            .unwrap();
        assert_eq!((first.node, first.batch, first.local), ([1; 32], [2; 32], [3; 32]));
        let again = home.keys(|_| unreachable!("already drawn")).unwrap();
        assert_eq!(again.node, first.node);
        let file = dir.path().join("keys/node");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(home.keys(|_| ()), Err(HomeError::BadKey { .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, [1; 31]).unwrap();
        assert!(matches!(home.keys(|_| ()), Err(HomeError::BadKey { .. })));
    }
}
