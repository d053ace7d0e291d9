//! The journal: an append-only table of opaque records in one redb file.
//!
//! One append is one transaction, so a batch of records is there whole or not at all, and when
//! [`Journal::append`] returns it is on disk. Appending a batch again (after a failure whose end
//! is unknown) replaces it, so retries are harmless.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// Key: batch sequence and place within the batch.
const RECORDS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("records-1");

/// Pages of the file kept in memory, in bytes: it is written at its end and read from begin to end once,
/// so that more than a few would only stand for what nobody reads.
const CACHE_BYTES: usize = 16 << 20;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    database: Database,
}

/// Why the journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file can't be opened, or is no journal.
    #[error("can't open the journal: {0}")]
    Open(#[source] Box<redb::Error>),
    /// Reading failed.
    #[error("can't read the journal: {0}")]
    Read(#[source] Box<redb::Error>),
    /// Writing failed (disk full, say); nothing of the batch is kept.
    #[error("can't write the journal: {0}")]
    Write(#[source] Box<redb::Error>),
}

fn read(error: impl Into<redb::Error>) -> JournalError {
    JournalError::Read(Box::new(error.into()))
}

fn write(error: impl Into<redb::Error>) -> JournalError {
    JournalError::Write(Box::new(error.into()))
}

impl Journal {
    /// Opens the file, making it if need be; repairs it after a crash.
    ///
    /// # Errors
    /// When it can't be opened or made.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(path)
            .map_err(|e| JournalError::Open(Box::new(e.into())))?;
        let begin = database.begin_write().map_err(write)?;
        begin.open_table(RECORDS).map_err(write)?;
        begin.commit().map_err(write)?;
        Ok(Self { database })
    }

    /// All records in order, each with the sequence of its batch.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn records(&self) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        let begin = self.database.begin_read().map_err(read)?;
        let table = begin.open_table(RECORDS).map_err(read)?;
        let mut records = Vec::new();
        for row in table.iter().map_err(read)? {
            let (key, value) = row.map_err(read)?;
            records.push((key.value().0, value.value().to_vec()));
        }
        Ok(records)
    }

    /// Makes some batches durable in one transaction (group commit).
    ///
    /// # Errors
    /// When it can't; then none of them is kept.
    pub fn append(&self, batches: &[(u64, Vec<Vec<u8>>)]) -> Result<(), JournalError> {
        let begin = self.database.begin_write().map_err(write)?;
        {
            let mut table = begin.open_table(RECORDS).map_err(write)?;
            for (sequence, records) in batches {
                table
                    .retain_in((*sequence, 0)..=(*sequence, u32::MAX), |_, _| false)
                    .map_err(write)?;
                for (place, record) in (0_u32..).zip(records) {
                    table.insert((*sequence, place), record.as_slice()).map_err(write)?;
                }
            }
        }
        begin.commit().map_err(write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_back_in_order_and_a_retry_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.redb");
        let journal = Journal::open(&path).unwrap();
        let record = |text: &str| text.as_bytes().to_vec();
        journal.append(&[(1, vec![record("a"), record("b")]), (2, vec![])]).unwrap();
        journal.append(&[(3, vec![record("old"), record("older")])]).unwrap();
        journal.append(&[(3, vec![record("c")])]).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(
            journal.records().unwrap(),
            vec![(1, record("a")), (1, record("b")), (3, record("c"))]
        );
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.redb");
        std::fs::write(&path, b"not a journal").unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Open(_))));
    }
}
