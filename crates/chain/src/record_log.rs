//! An append-only file of records that survives a kill at any point: each record carries a
//! checksum chained to the one before it, `append` returns when the bytes are on disk, and a torn
//! tail (the last group, cut off before it was acknowledged) is dropped when the file is opened.
//!
//! The ledger's transactions, its receipts and the sender's outbox are such files. Deliberately
//! not here: what a record means.
//!
//! Form: 16 bytes of magic, then records of `length u32 | body | checksum 16`, integers little
//! endian. A checksum is the first 16 bytes of BLAKE3 over the checksum before it (at first: the
//! magic), the length and the body.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 16;

/// What a kind of file is: its magic, and the limits that tell damage from a torn tail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogKind {
    pub(crate) magic: &'static [u8; MAGIC_BYTES],
    /// Longest body, bytes.
    pub(crate) body_max: usize,
    /// Most bytes that one `append` writes; more than this behind a bad record is damage.
    pub(crate) group_max: u64,
}

/// Why a log can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("can't {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file begins with other bytes.
    #[error(
        "{path} is not a file of this kind: it begins with other bytes\nhint: was another file put \
         in its place? restore it from a copy"
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// A record is bad, and too much follows for it to be a torn tail.
    #[error(
        "{path} is damaged at byte {at}: a record's checksum does not hold, and {behind} bytes \
         follow it, more than one write leaves behind\nhint: the disk changed bytes that were \
         acknowledged; restore the file from a copy"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the bad record begins.
        at: u64,
        /// How many bytes there are from there on.
        behind: u64,
    },
    /// Writing failed before; what is on disk is not known any more.
    #[error("{path} takes no more records after a failed write\nhint: free space, then restart")]
    Broken {
        /// Which file.
        path: PathBuf,
    },
    /// A record is longer than its kind allows.
    #[error("a record of {bytes} bytes is longer than the {max} that {path} takes")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// How long.
        bytes: usize,
        /// How long at most.
        max: usize,
    },
    /// The reader of the records refused one.
    #[error("{path}, record {index}: {why}")]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Which record, counted from 0.
        index: u64,
        /// Why.
        why: String,
    },
}

/// An open log.
#[derive(Debug)]
pub(crate) struct RecordLog {
    file: File,
    path: PathBuf,
    kind: LogKind,
    end: u64,
    last: [u8; CHECKSUM_BYTES],
    broken: bool,
}

fn checksum(before: &[u8; CHECKSUM_BYTES], len: [u8; 4], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&len).update(body);
    let mut out = [0; CHECKSUM_BYTES];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM_BYTES]);
    out
}

/// Makes a new name in a folder last.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

impl RecordLog {
    /// Opens or creates a log and hands every good record to `visit`, oldest first.
    ///
    /// # Errors
    /// If the file can't be read, is of another kind, is damaged before its tail, or `visit`
    /// refuses a record.
    pub(crate) fn open(
        path: &Path,
        kind: LogKind,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Self, LogError> {
        let io = |what: &'static str| {
            let path = path.to_owned();
            move |source| LogError::Io { what, path, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open"))?;
        let length = file.metadata().map_err(io("read"))?.len();
        let mut magic = Vec::with_capacity(MAGIC_BYTES);
        (&file).take(MAGIC_BYTES as u64).read_to_end(&mut magic).map_err(io("read"))?;
        if !kind.magic.starts_with(&magic) {
            return Err(LogError::Foreign { path: path.to_owned() });
        }
        if magic.len() < MAGIC_BYTES {
            // New, or killed while it was being made.
            file.set_len(0).map_err(io("clear"))?;
            file.rewind().map_err(io("clear"))?;
            file.write_all(kind.magic).map_err(io("write"))?;
            file.sync_all().map_err(io("flush"))?;
            sync_folder_of(path).map_err(io("flush"))?;
        }
        let mut log = Self {
            file,
            path: path.to_owned(),
            kind,
            end: MAGIC_BYTES as u64,
            last: *kind.magic,
            broken: false,
        };
        log.read_all(length, visit)?;
        Ok(log)
    }

    fn read_all(
        &mut self,
        length: u64,
        visit: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), LogError> {
        let io_at =
            |path: &Path, what, source| LogError::Io { what, path: path.to_owned(), source };
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let mut index = 0;
        let mut body = Vec::new();
        loop {
            let step = read_record(&mut reader, self.kind.body_max, &self.last, &mut body)
                .map_err(|e| io_at(&self.path, "read", e))?;
            let Some(sum) = step else { break };
            visit(&body).map_err(|why| LogError::Refused {
                path: self.path.clone(),
                index,
                why,
            })?;
            self.last = sum;
            self.end += (4 + body.len() + CHECKSUM_BYTES) as u64;
            index += 1;
        }
        drop(reader);
        let behind = length.saturating_sub(self.end);
        if behind > self.kind.group_max {
            return Err(LogError::Damaged { path: self.path.clone(), at: self.end, behind });
        }
        if behind > 0 {
            tracing::warn!(path = %self.path.display(), bytes = behind, at = self.end,
                "dropped a torn tail: it was never acknowledged");
            self.file.set_len(self.end).map_err(|e| io_at(&self.path, "cut", e))?;
            self.file.sync_all().map_err(|e| io_at(&self.path, "flush", e))?;
        }
        self.file.seek(SeekFrom::Start(self.end)).map_err(|e| io_at(&self.path, "seek in", e))?;
        Ok(())
    }

    /// Appends records as one group; they are on disk when this returns.
    ///
    /// # Errors
    /// If they can't be written whole; after a failed write the log takes no more.
    pub(crate) fn append<B: AsRef<[u8]>>(&mut self, bodies: &[B]) -> Result<(), LogError> {
        if self.broken {
            return Err(LogError::Broken { path: self.path.clone() });
        }
        let mut bytes = Vec::new();
        let mut last = self.last;
        for body in bodies.iter().map(AsRef::as_ref) {
            let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= self.kind.body_max);
            let Some(len) = len else {
                let (path, max) = (self.path.clone(), self.kind.body_max);
                return Err(LogError::TooLong { path, bytes: body.len(), max });
            };
            last = checksum(&last, len.to_le_bytes(), body);
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(&last);
        }
        if bytes.len() as u64 > self.kind.group_max {
            let max = usize::try_from(self.kind.group_max).unwrap_or(usize::MAX);
            return Err(LogError::TooLong { path: self.path.clone(), bytes: bytes.len(), max });
        }
        // After an error nobody knows which pages are on disk; the next start finds out.
        self.broken = true;
        let io = |what, source| LogError::Io { what, path: self.path.clone(), source };
        (&self.file).write_all(&bytes).map_err(|e| io("write", e))?;
        self.file.sync_data().map_err(|e| io("flush", e))?;
        self.broken = false;
        self.last = last;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// The next record's checksum, with its body in `body`; nothing at the end or at a bad record.
fn read_record(
    reader: &mut impl Read,
    body_max: usize,
    before: &[u8; CHECKSUM_BYTES],
    body: &mut Vec<u8>,
) -> io::Result<Option<[u8; CHECKSUM_BYTES]>> {
    let mut len = [0; 4];
    if !fill(reader, &mut len)? {
        return Ok(None);
    }
    let bytes = u32::from_le_bytes(len) as usize;
    if bytes > body_max {
        return Ok(None);
    }
    body.resize(bytes, 0);
    let mut sum = [0; CHECKSUM_BYTES];
    if !fill(reader, body)? || !fill(reader, &mut sum)? {
        return Ok(None);
    }
    Ok((checksum(before, len, body) == sum).then_some(sum))
}

/// Whether there were enough bytes.
fn fill(reader: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(to) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: LogKind = LogKind { magic: b"ayni test log 1\n", body_max: 64, group_max: 512 };

    fn read(path: &Path) -> Result<Vec<Vec<u8>>, LogError> {
        let mut seen = Vec::new();
        RecordLog::open(path, KIND, &mut |body| {
            seen.push(body.to_vec());
            Ok(())
        })?;
        Ok(seen)
    }

    fn written(path: &Path, groups: &[&[&[u8]]]) {
        let mut log = RecordLog::open(path, KIND, &mut |_| Ok(())).unwrap();
        for group in groups {
            log.append(group).unwrap();
        }
    }

    #[test]
    fn a_log_cut_at_any_byte_keeps_its_whole_records_and_takes_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        written(&path, &[&[b"one", b""], &[b"three"]]);
        let whole = std::fs::read(&path).unwrap();
        let ends = [16, 16 + 23, 16 + 23 + 20, 16 + 23 + 20 + 25];
        assert_eq!(whole.len(), ends[3]);
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let kept = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            assert_eq!(read(&path).unwrap().len(), kept, "cut at {cut}");
            written(&path, &[&[b"after"]]);
            assert_eq!(read(&path).unwrap().len(), kept + 1, "appended after a cut at {cut}");
            assert_eq!(read(&path).unwrap()[kept], b"after");
        }
    }

    #[test]
    fn no_flipped_bit_is_read_as_a_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        written(&path, &[&[b"one"], &[b"two"]]);
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            match read(&path) {
                Ok(records) => assert!(records.len() < 2, "bit {bit}"),
                Err(LogError::Foreign { .. }) => assert!(bit < 16 * 8, "bit {bit}"),
                Err(other) => panic!("bit {bit}: {other}"),
            }
        }
    }

    #[test]
    fn damage_before_the_last_group_is_an_error_not_a_torn_tail() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let body: &[u8] = &[7; 60];
        written(&path, &[&[body; 6], &[body; 6]]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[30] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(read(&path), Err(LogError::Damaged { at: 16, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "and nothing is cut off");
    }

    #[test]
    fn too_long_a_record_is_refused_and_leaves_the_log_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = RecordLog::open(&path, KIND, &mut |_| Ok(())).unwrap();
        assert!(matches!(log.append(&[[0; 65]]), Err(LogError::TooLong { bytes: 65, .. })));
        log.append(&[[0; 64]]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
    }
}
