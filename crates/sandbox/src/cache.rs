//! Compiled code, kept on disk between uses, because compiling takes seconds and loading does not.
//!
//! Native code is loaded without further checks, so a file that this node did not write must never
//! be handed out. Each file's name holds a BLAKE3 MAC under a secret of this node, over the key
//! (program, contract, runner, compiler, processor) and the bytes; it is checked on the descriptor
//! that is then handed out. What can change a file after that is a process of the daemon's own user
//! outside any jail, which could as well change the daemon. Runners can't: the one that wrote the
//! code is dead before it is kept, and jails have no path to the folder.
//!
//! Bytes from elsewhere are never put in here: compiled code does not cross machines.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use ayni_types::{Digest, EngineId};
use ayni_wire::runner::CompileHow;
use minicbor::Encode;

use crate::config::ARTEFACT_BYTES_MAX;
use crate::sandbox::Artefact;

/// Artefacts held open and known to be right; each costs one descriptor.
const OPEN_MAX: usize = 64;
const SECRET: &str = "secret";
const SUFFIX: &str = ".code";

/// Why the cache can't be used.
#[derive(Debug, thiserror::Error)]
#[error("artefact cache `{path}`: {what}")]
pub struct CacheError {
    /// The folder.
    pub path: PathBuf,
    /// What was tried.
    pub what: &'static str,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// What an artefact depends on. Two equal keys mean interchangeable code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode)]
pub struct ArtefactKey {
    /// The program.
    #[n(0)]
    pub program: Digest,
    /// The contract it was normalised for.
    #[n(1)]
    pub engine: EngineId,
    /// The runner's executable.
    #[n(2)]
    pub build: Digest,
    /// The compiler and how hard it tried.
    #[n(3)]
    pub how: CompileHow,
    /// What the processor can do: see [`processor`].
    #[n(4)]
    pub processor: Digest,
}

impl ArtefactKey {
    fn digest(&self) -> Digest {
        ayni_wire::digest(&ayni_wire::encode(self))
    }
}

/// Digest of what this machine's processor can do; code compiled for one set may not run on another.
#[must_use]
pub fn processor() -> Digest {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    // The first processor speaks for all: x86 says `flags`, Arm `Features`, RISC-V `isa`.
    let line = info.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default().trim();
        matches!(name, "flags" | "Features" | "isa")
    });
    ayni_wire::digest(format!("{} {}", std::env::consts::ARCH, line.unwrap_or_default()).as_bytes())
}

/// The cache. Safe to share between threads; one daemon a folder. Its methods read and write files
/// of many megabytes: call them where blocking is allowed.
#[derive(Debug)]
pub struct ArtefactCache {
    folder: PathBuf,
    secret: [u8; 32],
    bytes_max: u64,
    open: Mutex<HashMap<Digest, (u64, Arc<Artefact>)>>,
    clock: std::sync::atomic::AtomicU64,
}

impl ArtefactCache {
    /// Opens or makes the cache; files together stay under `bytes_max`.
    ///
    /// # Errors
    /// When the folder or its secret can't be made or read.
    pub fn open(folder: impl Into<PathBuf>, bytes_max: u64) -> Result<Self, CacheError> {
        let folder = folder.into();
        let wrong = |what| {
            let path = folder.clone();
            move |source| CacheError { path, what, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(wrong("create"))?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(wrong("close"))?;
        let secret = secret(&folder).map_err(wrong("read its secret"))?;
        for entry in list(&folder).map_err(wrong("list"))? {
            // Left by a daemon that died while writing.
            if entry.name.starts_with("new-") {
                let _ = fs::remove_file(entry.path);
            }
        }
        let open = Mutex::default();
        Ok(Self { folder, secret, bytes_max, open, clock: 0.into() })
    }

    /// The artefact for `key`, if there is one and it is the one that was kept. A file that was
    /// changed is removed.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn look_up(&self, key: &ArtefactKey) -> Result<Option<Arc<Artefact>>, CacheError> {
        let key = key.digest();
        if let Some((used, artefact)) = self.opened().get_mut(&key) {
            *used = self.tick();
            return Ok(Some(Arc::clone(artefact)));
        }
        let prefix = format!("{key}-");
        for entry in list(&self.folder).map_err(self.wrong("list"))? {
            let Some(mac) = entry.name.strip_prefix(&prefix) else { continue };
            let mac = mac.strip_suffix(SUFFIX).unwrap_or_default();
            if let Some(artefact) = self.verified(&entry.path, &key, mac) {
                // Young again: the oldest are removed first. Only the order suffers if it fails.
                if let Ok(file) = File::open(&entry.path) {
                    let _ = file.set_modified(SystemTime::now());
                }
                return Ok(Some(self.hold(key, artefact)));
            }
            tracing::warn!(path = %entry.path.display(), "cached code was changed; compiling again");
            let _ = fs::remove_file(&entry.path);
        }
        Ok(None)
    }

    /// Keeps what a compilation yielded and hands out the kept copy.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&self, key: &ArtefactKey, new: &Artefact) -> Result<Arc<Artefact>, CacheError> {
        let key = key.digest();
        let mut source = new.reopen().map_err(self.wrong("read new code"))?;
        let temporary = self.folder.join(format!("new-{key}-{}", self.tick()));
        let written = self.write(&temporary, &key, &mut source);
        let (mac, bytes) = written.inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        let path = self.folder.join(format!("{key}-{}{SUFFIX}", mac.to_hex()));
        fs::rename(&temporary, &path).map_err(self.wrong("name new code"))?;
        let _ = File::open(&self.folder).and_then(|f| f.sync_all());
        self.make_room(&path);
        let file = File::open(&path).map_err(self.wrong("open new code"))?;
        let length = file.metadata().map_err(self.wrong("open new code"))?.len();
        if length != bytes {
            let source = io::Error::other("its length changed");
            return Err(self.wrong("open new code")(source));
        }
        Ok(self.hold(key, Artefact { file, bytes }))
    }

    fn write(
        &self,
        path: &Path,
        key: &Digest,
        source: &mut File,
    ) -> Result<(blake3::Hash, u64), CacheError> {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(path)
            .map_err(self.wrong("write new code"))?;
        let mut mac = self.mac(key);
        let mut chunk = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let n = source.read(&mut chunk).map_err(self.wrong("read new code"))?;
            if n == 0 {
                break;
            }
            mac.update(&chunk[..n]);
            file.write_all(&chunk[..n]).map_err(self.wrong("write new code"))?;
            bytes += n as u64;
        }
        file.sync_all().map_err(self.wrong("write new code"))?;
        Ok((mac.finalize(), bytes))
    }

    /// Opens and checks through one descriptor, the one that is handed out.
    fn verified(&self, path: &Path, key: &Digest, mac: &str) -> Option<Artefact> {
        let expected = blake3::Hash::from_hex(mac).ok()?;
        let mut file = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .ok()?;
        let bytes = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
        if bytes > ARTEFACT_BYTES_MAX {
            return None;
        }
        let mut hasher = self.mac(key);
        hasher.update_reader(&mut file).ok()?;
        file.rewind().ok()?;
        // `Hash` compares in constant time.
        (hasher.finalize() == expected).then_some(Artefact { file, bytes })
    }

    fn mac(&self, key: &Digest) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"ayni artefact 1").update(&key.0);
        hasher
    }

    fn hold(&self, key: Digest, artefact: Artefact) -> Arc<Artefact> {
        let artefact = Arc::new(artefact);
        let used = self.tick();
        let mut open = self.opened();
        open.insert(key, (used, Arc::clone(&artefact)));
        if open.len() > OPEN_MAX {
            let oldest = open.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                open.remove(&oldest);
            }
        }
        artefact
    }

    /// Removes the files unused for longest until all fit; never the one just written. Whoever
    /// holds a removed one open can go on using it.
    fn make_room(&self, newest: &Path) {
        let mut files = list(&self.folder).unwrap_or_default();
        files.retain(|f| f.name.ends_with(SUFFIX));
        let mut total: u64 = files.iter().map(|f| f.bytes).sum();
        files.sort_by_key(|f| f.used);
        for file in files {
            if total <= self.bytes_max {
                break;
            }
            if file.path != newest && fs::remove_file(&file.path).is_ok() {
                total -= file.bytes;
            }
        }
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, (u64, Arc<Artefact>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    fn wrong(&self, what: &'static str) -> impl FnOnce(io::Error) -> CacheError + '_ {
        move |source| CacheError { path: self.folder.clone(), what, source }
    }
}

struct Entry {
    path: PathBuf,
    name: String,
    bytes: u64,
    used: SystemTime,
}

fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (Ok(name), Ok(data)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        entries.push(Entry { path: entry.path(), name, bytes: data.len(), used });
    }
    Ok(entries)
}

/// Reads the secret, or draws one. A secret of another length or readable by others is replaced:
/// what was kept under it is then compiled again.
fn secret(folder: &Path) -> io::Result<[u8; 32]> {
    let path = folder.join(SECRET);
    if let Ok(data) = fs::symlink_metadata(&path) {
        let private = data.is_file() && data.permissions().mode().trailing_zeros() >= 6;
        if private
            && let Ok(bytes) = fs::read(&path)
            && let Ok(secret) = <[u8; 32]>::try_from(bytes)
        {
            return Ok(secret);
        }
        fs::remove_file(&path)?;
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> ArtefactKey {
        ArtefactKey {
            program: Digest([number; 32]),
            engine: EngineId::wasi1(),
            build: Digest([0; 32]),
            how: CompileHow::Optimised,
            processor: processor(),
        }
    }

    fn compiled(bytes: &[u8]) -> Artefact {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Artefact { file, bytes: bytes.len() as u64 }
    }

    fn content(artefact: &Artefact) -> Vec<u8> {
        let mut bytes = Vec::new();
        artefact.reopen().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let all = list(folder).unwrap();
        all.into_iter().filter(|e| e.name.ends_with(SUFFIX)).map(|e| e.path).collect()
    }

    #[test]
    fn what_is_kept_is_found_again_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtefactCache::open(folder.path(), 1 << 20).unwrap();
        assert!(cache.look_up(&key(1)).unwrap().is_none());
        cache.keep(&key(1), &compiled(b"code one")).unwrap();
        for cache in [cache, ArtefactCache::open(folder.path(), 1 << 20).unwrap()] {
            assert_eq!(content(&cache.look_up(&key(1)).unwrap().unwrap()), b"code one");
            assert!(cache.look_up(&key(2)).unwrap().is_none());
        }
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtefactCache::open(folder.path(), 1 << 20).unwrap();
        cache.keep(&key(1), &compiled(b"code")).unwrap();
        let others = [
            ArtefactKey { program: Digest([9; 32]), ..key(1) },
            ArtefactKey { engine: EngineId("wasi2".into()), ..key(1) },
            ArtefactKey { build: Digest([9; 32]), ..key(1) },
            ArtefactKey { how: CompileHow::Baseline, ..key(1) },
            ArtefactKey { processor: Digest([9; 32]), ..key(1) },
        ];
        for other in others {
            assert!(cache.look_up(&other).unwrap().is_none(), "{other:?}");
        }
    }

    #[test]
    fn changed_files_are_not_handed_out() {
        type Change = fn(&Path, &Path);
        let changes: [(&str, Change); 6] = [
            ("a byte flipped", |_, file| fs::write(file, b"Code one").unwrap()),
            ("cut", |_, file| fs::write(file, b"code").unwrap()),
            ("grown", |_, file| fs::write(file, b"code one!").unwrap()),
            ("empty", |_, file| fs::write(file, b"").unwrap()),
            ("another's code under this name", |folder, file| {
                let other = files(folder).into_iter().find(|f| f != file).unwrap();
                fs::copy(other, file).map(drop).unwrap();
            }),
            ("a link", |folder, file| {
                fs::rename(file, folder.join("elsewhere")).unwrap();
                std::os::unix::fs::symlink(folder.join("elsewhere"), file).unwrap();
            }),
        ];
        for (name, change) in changes {
            let folder = tempfile::tempdir().unwrap();
            let cache = ArtefactCache::open(folder.path(), 1 << 20).unwrap();
            cache.keep(&key(1), &compiled(b"code one")).unwrap();
            let file = files(folder.path()).remove(0);
            cache.keep(&key(2), &compiled(b"code two")).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            change(folder.path(), &file);
            let fresh = ArtefactCache::open(folder.path(), 1 << 20).unwrap();
            assert!(fresh.look_up(&key(1)).unwrap().is_none(), "{name}");
            assert!(fresh.look_up(&key(2)).unwrap().is_some(), "{name}");
            // Gone, so that the next compilation takes its place.
            assert!(fs::symlink_metadata(&file).is_err(), "{name}");
        }
    }

    #[test]
    fn code_kept_under_another_secret_is_not_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        ArtefactCache::open(folder.path(), 1 << 20)
            .unwrap()
            .keep(&key(1), &compiled(b"x"))
            .unwrap();
        let path = folder.path().join(SECRET);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Once readable by others, a secret is none.
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let cache = ArtefactCache::open(folder.path(), 1 << 20).unwrap();
        assert!(cache.look_up(&key(1)).unwrap().is_none());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_least_used_go_when_it_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ArtefactCache::open(folder.path(), 250).unwrap();
        for number in 1..=3 {
            cache.keep(&key(number), &compiled(&[number; 100])).unwrap();
            let age = std::time::Duration::from_secs(u64::from(10 - number));
            for file in files(folder.path()) {
                if fs::metadata(&file).unwrap().modified().unwrap()
                    > SystemTime::now() - std::time::Duration::from_secs(5)
                {
                    let file = File::open(file).unwrap();
                    file.set_modified(SystemTime::now() - age).unwrap();
                }
            }
        }
        let fresh = ArtefactCache::open(folder.path(), 250).unwrap();
        assert!(fresh.look_up(&key(1)).unwrap().is_none());
        assert!(
            fresh.look_up(&key(2)).unwrap().is_some() && fresh.look_up(&key(3)).unwrap().is_some()
        );
    }

    #[test]
    fn what_a_dying_daemon_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("new-half"), b"half").unwrap();
        ArtefactCache::open(folder.path(), 1 << 20).unwrap();
        assert!(!folder.path().join("new-half").exists());
    }
}
