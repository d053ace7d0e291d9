//! Small blobs, many to a file: what tiny tasks print would cost a file, a folder and two waits for the
//! disk each.
//!
//! One file that only grows: `length(4) digest(32) bytes(length)`, little-endian, over and over.
//! Where each begins is kept in memory, about 24 bytes a blob. What a crash left half-written at the
//! end is cut off at the next start; every record is checked against its digest whenever it is read.
//! Deliberately not here: removing them, and anything larger than [`SMALL_BLOB_BYTES_MAX`].

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ayni_types::Digest;

/// Largest blob that is kept here, in bytes.
pub const SMALL_BLOB_BYTES_MAX: usize = 4 << 10;
const HEAD_BYTES: usize = 36;

/// The file and where its records are.
#[derive(Debug)]
pub(crate) struct Small {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// First bytes of the digest, and where the record begins: two digests may begin alike.
    index: BTreeSet<(u64, u64)>,
    end: u64,
    /// Up to here it is on disk.
    synced: u64,
}

impl Small {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let options = OpenOptions::new().read(true).append(true).create(true).clone();
        let file = options.open(path)?;
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let mut state = State::default();
        while let Some((digest, bytes)) = next(&mut reader)? {
            // One that is damaged is lost, and fetched or computed again; those behind it are not.
            if digest == digest_of(&bytes) {
                state.index.insert((key(&digest), state.end));
            }
            state.end += (HEAD_BYTES + bytes.len()) as u64;
        }
        file.set_len(state.end)?;
        state.synced = state.end;
        Ok(Self { file, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds those that are not there yet; gives the digests of all. On disk after [`Small::sync`].
    pub(crate) fn add(&self, blobs: &[&[u8]]) -> io::Result<Vec<Digest>> {
        let digests: Vec<Digest> = blobs.iter().map(|bytes| digest_of(bytes)).collect();
        let mut state = self.state();
        let mut records = Vec::new();
        let mut new: Vec<(Digest, u64)> = Vec::new();
        for (digest, bytes) in digests.iter().zip(blobs) {
            let begun = state.index.range((key(digest), 0)..=(key(digest), u64::MAX));
            let begun: Vec<u64> = begun.map(|(_, at)| *at).collect();
            let there =
                begun.into_iter().any(|at| matches!(self.at(at), Ok((d, _)) if d == *digest));
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            if there || new.iter().any(|(known, _)| known == digest) {
                continue;
            }
            new.push((*digest, state.end + records.len() as u64));
            records.extend_from_slice(&length.to_le_bytes());
            records.extend_from_slice(&digest.0);
            records.extend_from_slice(bytes);
        }
        if let Err(error) = io::Write::write_all(&mut &self.file, &records) {
            // Half a record would hide what follows it.
            self.file.set_len(state.end)?;
            return Err(error);
        }
        state.end += records.len() as u64;
        state.index.extend(new.iter().map(|(digest, at)| (key(digest), *at)));
        Ok(digests)
    }

    /// Returns when all that was added before is on disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let end = {
            let state = self.state();
            if state.synced >= state.end {
                return Ok(());
            }
            state.end
        };
        self.file.sync_data()?;
        let mut state = self.state();
        state.synced = state.synced.max(end);
        Ok(())
    }

    /// The bytes of one, if it is there.
    pub(crate) fn read(&self, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
        let begun: Vec<u64> = {
            let state = self.state();
            let same = state.index.range((key(digest), 0)..=(key(digest), u64::MAX));
            same.map(|(_, at)| *at).collect()
        };
        for at in begun {
            let (found, bytes) = self.at(at)?;
            if found == *digest && digest_of(&bytes) == *digest {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn at(&self, at: u64) -> io::Result<(Digest, Vec<u8>)> {
        let mut head = [0; HEAD_BYTES];
        self.file.read_exact_at(&mut head, at)?;
        let (length, digest) = parse(&head)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at + HEAD_BYTES as u64)?;
        Ok((digest, bytes))
    }
}

fn key(digest: &Digest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = digest.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

fn parse(head: &[u8; HEAD_BYTES]) -> io::Result<(usize, Digest)> {
    let [a, b, c, d, digest @ ..] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > SMALL_BLOB_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a length of {length}")));
    }
    Ok((length, Digest(digest)))
}

/// The next record; `None` at the end, where it is cut off, or where its length can't be.
fn next(reader: &mut impl Read) -> io::Result<Option<(Digest, Vec<u8>)>> {
    let ended = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Ok(None),
        _ => Err(error),
    };
    let mut head = [0; HEAD_BYTES];
    if let Err(error) = reader.read_exact(&mut head) {
        return ended(error);
    }
    let (length, digest) = match parse(&head) {
        Ok(parsed) => parsed,
        Err(error) => return ended(error),
    };
    let mut bytes = vec![0; length];
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some((digest, bytes))),
        Err(error) => ended(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_comes_back_after_a_start_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("small");
        let small = Small::open(&path).unwrap();
        let digests = small.add(&[b"one", b"", b"one"]).unwrap();
        assert_eq!(digests[0], digests[2]);
        assert_eq!(small.add(&[b"one"]).unwrap(), digests[..1]);
        small.sync().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * 36 + 3);
        drop(small);
        let small = Small::open(&path).unwrap();
        assert_eq!(small.read(&digests[0]).unwrap().unwrap(), b"one");
        assert_eq!(small.read(&digests[1]).unwrap().unwrap(), b"");
        assert_eq!(small.read(&Digest([1; 32])).unwrap(), None);
    }

    #[test]
    fn a_damaged_record_takes_no_other_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("small");
        let digests = Small::open(&path).unwrap().add(&[b"one", b"two", b"three"]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        // A bit of the second one's digest, and of its bytes.
        for at in [39 + 4, 39 + 36] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            let small = Small::open(&path).unwrap();
            assert_eq!(small.read(&digests[0]).unwrap().unwrap(), b"one");
            assert_eq!(small.read(&digests[1]).unwrap(), None);
            assert_eq!(small.read(&digests[2]).unwrap().unwrap(), b"three");
            assert_eq!(small.add(&[b"two"]).unwrap(), digests[1..2]);
            assert_eq!(small.read(&digests[1]).unwrap().unwrap(), b"two");
        }
    }

    #[test]
    fn a_record_that_a_crash_cut_off_is_gone_and_the_next_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("small");
        let small = Small::open(&path).unwrap();
        let kept = small.add(&[b"kept"]).unwrap()[0];
        let lost = small.add(&[b"cut off"]).unwrap()[0];
        drop(small);
        for cut in 40..40 + 36 + 7 {
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..cut]).unwrap();
            let small = Small::open(&path).unwrap();
            assert_eq!(small.read(&lost).unwrap(), None, "{cut}");
            assert_eq!(small.add(&[b"cut off"]).unwrap(), [lost]);
            let small = Small::open(&path).unwrap();
            assert_eq!(small.read(&kept).unwrap().unwrap(), b"kept");
            assert_eq!(small.read(&lost).unwrap().unwrap(), b"cut off");
        }
    }
}
