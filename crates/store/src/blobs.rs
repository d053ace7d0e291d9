//! Blobs: files named by their BLAKE3 digest, whole or not there.
//!
//! Two areas: what the owner brought or bought is kept; what was fetched to work for others is a
//! cache of bounded size, whose least recently used blobs go first. An open file stays readable
//! when its blob is evicted. A fetch in progress lives in a part file that survives a restart. What
//! tiny tasks print is kept in one file together (`small`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ayni_types::Digest;
use rustix::fs::MemfdFlags;

use crate::small::Small;

/// Why a blob can't be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk, or over the size that the owner allows.
    #[error("no room for {bytes} more bytes of blobs: {why}")]
    Full {
        /// Asked for.
        bytes: u64,
        /// Disk full, or the limit.
        why: String,
    },
    /// The bytes are not what their name says.
    #[error("bytes of blob {expected} have digest {found}")]
    Mismatch {
        /// By name.
        expected: Digest,
        /// By content.
        found: Digest,
    },
    /// Anything else the file system says.
    #[error("blob store: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { bytes: 0, why: error.to_string() }
            }
            _ => Self::Io(error),
        }
    }
}

/// Where a new blob belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The owner's: stays until removed.
    Kept,
    /// Fetched for others: may be evicted.
    Cache,
}

/// The blobs of one home.
#[derive(Debug)]
pub struct Blobs {
    root: PathBuf,
    small: Small,
    cache_bytes_max: AtomicU64,
    cache_bytes: Mutex<u64>,
}

impl Blobs {
    /// Opens the store under `root`; `cache_bytes_max` bounds the cache area.
    ///
    /// # Errors
    /// When the folders can't be made or read.
    pub fn open(root: &Path, cache_bytes_max: u64) -> Result<Self, StoreError> {
        for area in ["kept", "cache", "part"] {
            fs::create_dir_all(root.join(area))?;
        }
        // Parts without a digest for a name are writers that a crash cut off.
        for entry in fs::read_dir(root.join("part"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest = name.strip_suffix(PROOF).unwrap_or(&name);
            if digest.parse::<Digest>().is_err() {
                fs::remove_file(entry.path())?;
            }
        }
        let cache_bytes_max = AtomicU64::new(cache_bytes_max);
        let small = Small::open(&root.join("small"))?;
        let root = root.to_owned();
        let blobs = Self { root, small, cache_bytes_max, cache_bytes: Mutex::new(0) };
        *blobs.used() = blobs.cache_files()?.iter().map(|file| file.bytes).sum();
        Ok(blobs)
    }

    fn used(&self) -> std::sync::MutexGuard<'_, u64> {
        self.cache_bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Bytes in the cache area.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        *self.used()
    }

    fn path(&self, area: Area, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        let area = match area {
            Area::Kept => "kept",
            Area::Cache => "cache",
        };
        self.root.join(area).join(&name[..2]).join(name)
    }

    /// Keeps some blobs of at most [`crate::SMALL_BLOB_BYTES_MAX`] bytes; gives their digests. They are
    /// there at once, and on disk after [`Blobs::sync_small`].
    ///
    /// # Errors
    /// When there is no room or the file system fails; then none of them is kept.
    pub fn add_small(&self, blobs: &[&[u8]]) -> Result<Vec<Digest>, StoreError> {
        Ok(self.small.add(blobs)?)
    }

    /// Returns when all that [`Blobs::add_small`] was given before is on disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync_small(&self) -> Result<(), StoreError> {
        Ok(self.small.sync()?)
    }

    /// Length of a blob in bytes, if it is held.
    #[must_use]
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        let in_file = self.file(digest).and_then(|path| Some(fs::metadata(path).ok()?.len()));
        in_file.or_else(|| Some(self.small.read(digest).ok()??.len() as u64))
    }

    /// Where the blob's file is, if it has one of its own.
    #[must_use]
    pub fn file(&self, digest: &Digest) -> Option<PathBuf> {
        [Area::Kept, Area::Cache]
            .into_iter()
            .map(|area| self.path(area, digest))
            .find(|path| path.is_file())
    }

    /// Moves a blob from the cache to what is kept; true if it is held at all.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn keep(&self, digest: &Digest) -> Result<bool, StoreError> {
        let (cached, kept) = (self.path(Area::Cache, digest), self.path(Area::Kept, digest));
        if kept.is_file() {
            return Ok(true);
        }
        let Ok(meta) = fs::metadata(&cached) else { return Ok(self.small.read(digest)?.is_some()) };
        let folder = kept.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::rename(&cached, &kept)?;
        File::open(folder)?.sync_all()?;
        let mut used = self.used();
        *used = used.saturating_sub(meta.len());
        Ok(true)
    }

    /// Opens a blob for reading; gives its length in bytes too. Marks it as used.
    ///
    /// # Errors
    /// When the file system fails; a blob that is not held is `None`.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>, StoreError> {
        let Some(path) = self.file(digest) else {
            let Some(bytes) = self.small.read(digest)? else { return Ok(None) };
            let mut file = File::from(
                rustix::fs::memfd_create(c"blob", MemfdFlags::CLOEXEC).map_err(io::Error::from)?,
            );
            file.write_all(&bytes)?;
            file.seek(SeekFrom::Start(0))?;
            return Ok(Some((file, bytes.len() as u64)));
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            // Evicted between looking and opening.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let now = SystemTime::now();
        // Only a hint for eviction; a read-only file system may refuse it.
        let _ = file.set_times(fs::FileTimes::new().set_accessed(now));
        let bytes = file.metadata()?.len();
        Ok(Some((file, bytes)))
    }

    /// The whole content of a blob of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When it can't be read; `None` if it is not held or is longer.
    pub fn read(&self, digest: &Digest, bytes_max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((mut file, bytes)) = self.open_blob(digest)? else { return Ok(None) };
        if bytes > bytes_max {
            return Ok(None);
        }
        let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        file.read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Stores some bytes.
    ///
    /// # Errors
    /// When there is no room or the file system fails.
    pub fn insert(&self, area: Area, bytes: &[u8]) -> Result<Digest, StoreError> {
        let mut writer = self.writer(area)?;
        writer.write_all(bytes)?;
        Ok(writer.finish()?.0)
    }

    /// Stores what `source` yields.
    ///
    /// # Errors
    /// When there is no room, or reading or writing fails.
    pub fn copy_in(&self, area: Area, source: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        let mut writer = self.writer(area)?;
        io::copy(source, &mut writer)?;
        writer.finish()
    }

    /// A new blob, written piece by piece; not there until finished.
    ///
    /// # Errors
    /// When the part file can't be made.
    pub fn writer(&self, area: Area) -> Result<BlobWriter<'_>, StoreError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let part = self.root.join("part").join(format!("write-{}-{number}", std::process::id()));
        let file = OpenOptions::new().create_new(true).write(true).open(&part)?;
        Ok(BlobWriter {
            blobs: self,
            area,
            part,
            file: io::BufWriter::with_capacity(128 << 10, file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
            done: false,
        })
    }

    /// The part files of a blob that is being fetched, with what an earlier try left in them.
    ///
    /// # Errors
    /// When they can't be opened.
    pub fn partial(&self, digest: &Digest) -> Result<Partial, StoreError> {
        let open = |path: &Path| {
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
        };
        let path = self.part(digest);
        let (file, proof) = (open(&path)?, open(&proof_path(&path))?);
        Ok(Partial { path, file, proof })
    }

    fn part(&self, digest: &Digest) -> PathBuf {
        self.root.join("part").join(digest.to_string())
    }

    /// Turns a part file into a blob, checking every byte of it.
    ///
    /// # Errors
    /// When its digest is another (the part is removed), or there is no room.
    pub fn finish_partial(&self, area: Area, digest: &Digest) -> Result<u64, StoreError> {
        let Partial { path, mut file, .. } = self.partial(digest)?;
        fs::remove_file(proof_path(&path))?;
        file.seek(SeekFrom::Start(0))?;
        let mut hasher = blake3::Hasher::new();
        let bytes = io::copy(&mut file, &mut hasher)?;
        let found = Digest(*hasher.finalize().as_bytes());
        if found != *digest {
            fs::remove_file(&path)?;
            return Err(StoreError::Mismatch { expected: *digest, found });
        }
        self.place(area, &path, &file, digest, bytes)?;
        Ok(bytes)
    }

    /// Moves a complete part to its place; durable when it returns.
    fn place(
        &self,
        area: Area,
        part: &Path,
        file: &File,
        digest: &Digest,
        bytes: u64,
    ) -> Result<(), StoreError> {
        if self
            .file(digest)
            .is_some_and(|held| area == Area::Cache || held.starts_with(self.root.join("kept")))
        {
            fs::remove_file(part)?;
            return Ok(());
        }
        if area == Area::Cache {
            self.make_room(bytes)?;
        }
        file.sync_all()?;
        let path = self.path(area, digest);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        fs::rename(part, &path)?;
        File::open(folder)?.sync_all()?;
        if area == Area::Cache {
            *self.used() += bytes;
        }
        Ok(())
    }

    /// Bounds the cache area anew, and evicts what no longer fits.
    ///
    /// # Errors
    /// When files can't be listed or removed.
    pub fn set_cache_bytes_max(&self, bytes: u64) -> Result<(), StoreError> {
        self.cache_bytes_max.store(bytes, Ordering::Relaxed);
        self.make_room(0)
    }

    /// Evicts the least recently used blobs of the cache until `bytes` more fit.
    fn make_room(&self, bytes: u64) -> Result<(), StoreError> {
        let max = self.cache_bytes_max.load(Ordering::Relaxed);
        if bytes > max {
            let why = format!("the owner allows {max} bytes");
            return Err(StoreError::Full { bytes, why });
        }
        if self.cache_bytes() + bytes <= max {
            return Ok(());
        }
        let mut files = self.cache_files()?;
        files.sort_by_key(|file| file.used);
        let mut held: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if held + bytes <= max {
                break;
            }
            fs::remove_file(&file.path)?;
            held -= file.bytes;
        }
        *self.used() = held;
        Ok(())
    }

    fn cache_files(&self) -> Result<Vec<CacheFile>, StoreError> {
        let mut files = Vec::new();
        for folder in fs::read_dir(self.root.join("cache"))? {
            for entry in fs::read_dir(folder?.path())? {
                let entry = entry?;
                let meta = entry.metadata()?;
                let used = meta.accessed().or_else(|_| meta.modified())?;
                files.push(CacheFile { path: entry.path(), bytes: meta.len(), used });
            }
        }
        Ok(files)
    }
}

struct CacheFile {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The part files of a fetch, open for reading and writing.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    /// The bytes.
    pub file: File,
    /// What proves those that are there; the transport's own format.
    pub proof: File,
}

const PROOF: &str = ".proof";

fn proof_path(part: &Path) -> PathBuf {
    part.with_extension("proof")
}

/// A blob being written.
#[derive(Debug)]
pub struct BlobWriter<'a> {
    blobs: &'a Blobs,
    area: Area,
    part: PathBuf,
    file: io::BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
    done: bool,
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl BlobWriter<'_> {
    /// Makes it a blob; gives its digest and length in bytes.
    ///
    /// # Errors
    /// When there is no room or the file system fails; then nothing is left.
    pub fn finish(mut self) -> Result<(Digest, u64), StoreError> {
        self.file.flush()?;
        let digest = Digest(*self.hasher.finalize().as_bytes());
        self.blobs.place(self.area, &self.part, self.file.get_ref(), &digest, self.bytes)?;
        self.done = true;
        Ok((digest, self.bytes))
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if !self.done {
            // Best effort: what stays is removed when the store is opened next.
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(cache_bytes_max: u64) -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), cache_bytes_max).unwrap();
        (dir, blobs)
    }

    #[test]
    fn what_goes_in_comes_out_and_is_stored_once() {
        let (dir, blobs) = store(100);
        let digest = blobs.insert(Area::Kept, b"hello").unwrap();
        assert_eq!(blobs.insert(Area::Cache, b"hello").unwrap(), digest);
        assert_eq!(blobs.read(&digest, 5).unwrap().unwrap(), b"hello");
        assert_eq!(blobs.read(&digest, 4).unwrap(), None);
        assert_eq!(blobs.cache_bytes(), 0);
        assert_eq!(blobs.read(&Digest([1; 32]), 4).unwrap(), None);
        assert_eq!(fs::read_dir(dir.path().join("part")).unwrap().count(), 0);
    }

    #[test]
    fn the_cache_evicts_what_was_used_longest_ago_and_never_what_is_kept() {
        let (_dir, blobs) = store(10);
        let kept = blobs.insert(Area::Kept, b"kept for good").unwrap();
        let first = blobs.insert(Area::Cache, b"1111").unwrap();
        let second = blobs.insert(Area::Cache, b"2222").unwrap();
        for (digest, second) in [(first, 20), (second, 10)] {
            let file = File::open(blobs.file(&digest).unwrap()).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            file.set_times(fs::FileTimes::new().set_accessed(time)).unwrap();
        }
        let third = blobs.insert(Area::Cache, b"3333").unwrap();
        assert!(blobs.file(&second).is_none());
        assert!(blobs.file(&first).is_some() && blobs.file(&third).is_some());
        assert!(blobs.file(&kept).is_some());
        assert_eq!(blobs.cache_bytes(), 8);
        assert!(blobs.keep(&first).unwrap() && !blobs.keep(&second).unwrap());
        assert_eq!(blobs.cache_bytes(), 4);
        let error = blobs.insert(Area::Cache, b"more than ten").unwrap_err();
        assert!(matches!(error, StoreError::Full { bytes: 13, .. }), "{error}");
    }

    #[test]
    fn a_part_survives_and_is_checked_before_it_counts() {
        let (dir, blobs) = store(100);
        let digest = Digest(*blake3::hash(b"whole").as_bytes());
        blobs.partial(&digest).unwrap().file.write_all(b"who").unwrap();
        drop(blobs);
        let blobs = Blobs::open(dir.path(), 100).unwrap();
        let mut part = blobs.partial(&digest).unwrap().file;
        assert_eq!(part.seek(SeekFrom::End(0)).unwrap(), 3);
        part.write_all(b"le").unwrap();
        assert_eq!(blobs.finish_partial(Area::Cache, &digest).unwrap(), 5);
        assert!(blobs.file(&digest).is_some());

        let wrong = Digest([9; 32]);
        blobs.partial(&wrong).unwrap().file.write_all(b"x").unwrap();
        assert!(matches!(
            blobs.finish_partial(Area::Cache, &wrong),
            Err(StoreError::Mismatch { .. })
        ));
        assert!(blobs.file(&wrong).is_none());
        assert_eq!(fs::read_dir(dir.path().join("part")).unwrap().count(), 0);
    }

    #[test]
    fn small_blobs_are_read_like_any_other() {
        let (dir, blobs) = store(100);
        let digest = blobs.add_small(&[b"12345"]).unwrap()[0];
        blobs.sync_small().unwrap();
        assert_eq!(digest, Digest(*blake3::hash(b"12345").as_bytes()));
        assert_eq!((blobs.size(&digest), blobs.file(&digest)), (Some(5), None));
        assert!(blobs.keep(&digest).unwrap());
        assert_eq!(blobs.read(&digest, 5).unwrap().unwrap(), b"12345");
        assert_eq!(blobs.read(&digest, 4).unwrap(), None);
        drop(blobs);
        let blobs = Blobs::open(dir.path(), 100).unwrap();
        assert_eq!(blobs.open_blob(&digest).unwrap().unwrap().1, 5);
    }

    #[test]
    fn writers_that_a_crash_cut_off_leave_nothing() {
        let (dir, blobs) = store(100);
        std::mem::forget(blobs.writer(Area::Kept).unwrap());
        drop(blobs.writer(Area::Kept).unwrap());
        Blobs::open(dir.path(), 100).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("part")).unwrap().count(), 0);
    }
}
