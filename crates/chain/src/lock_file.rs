//! A file that says who uses a folder: one process at a time, and free the moment its holder lets
//! go. Letting go is said to the system: a program that another thread starts holds a copy of every
//! open file until it has begun, so that closing ours alone would leave it locked for that long.

use std::fs::{File, TryLockError};
use std::path::Path;

/// The right to use something, until dropped.
#[derive(Debug)]
pub(crate) struct LockFile(File);

impl LockFile {
    /// Takes the lock, making its file if need be.
    pub(crate) fn take(path: &Path) -> Result<Self, TryLockError> {
        let file = File::create(path).map_err(TryLockError::Error)?;
        file.try_lock()?;
        Ok(Self(file))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Closing it lets go as well, only later.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::LockFile;

    #[test]
    fn a_lock_is_free_at_once_even_while_programs_are_being_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let enough = AtomicBool::new(false);
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    while !enough.load(Ordering::Relaxed) {
                        assert!(Command::new("true").status().unwrap().success());
                    }
                });
            }
            let refused = (0..20_000).filter(|_| LockFile::take(&path).is_err()).count();
            enough.store(true, Ordering::Relaxed);
            assert_eq!(refused, 0);
        });
        let held = LockFile::take(&path).unwrap();
        assert!(LockFile::take(&path).is_err(), "one at a time");
        drop(held);
    }
}
