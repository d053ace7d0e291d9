//! Every payment that was settled or was about to be, one line of JSON each, on disk before the chain
//! hears of it. So no payment is taken twice, also not after a restart in the wrong moment, and the
//! seller has its sales.
//!
//! The last line of a payment counts. A torn last line was never acted on, and is dropped.
//! Deliberately not here: transactions (the sender's outbox keeps them).

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Payments kept in memory before those that are over are forgotten: about 300 bytes each.
const KEPT_MAX: usize = 100_000;

/// Where a sale stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaleState {
    /// The outcome is there; the chain is about to hear of the payment.
    Settling,
    /// It is paid.
    Settled,
    /// The chain refused it; nothing was given.
    Refused,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sale {
    /// Names the payment.
    pub payment: String,
    /// Seconds since 1970.
    pub time_s: u64,
    /// What was bought.
    pub offer: String,
    /// For how much.
    pub amount: String,
    /// The payment is good before that moment.
    pub valid_before_s: u64,
    /// Digest of the outcome.
    pub outcome: String,
    /// Where it stands.
    pub state: SaleState,
    /// Its transaction, once settled; why not, once refused.
    pub note: String,
}

/// Why the book can't be read or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BookError {
    #[error("can't {what} {path}: {source}\nhint: is the disk full, or another listener running?")]
    Io { what: &'static str, path: String, source: std::io::Error },
    #[error(
        "line {line} of {path} is no sale: {why}\nhint: restore the file from a backup, or move it \
         away: the chain knows which payments were used"
    )]
    Damaged { line: usize, path: String, why: String },
}

/// See the module.
#[derive(Debug)]
pub struct Book {
    file: File,
    path: PathBuf,
    known: HashMap<String, (u64, SaleState)>,
    open: Vec<Sale>,
}

impl Drop for Book {
    fn drop(&mut self) {
        // Closing the file lets go too, but a program that is just being started has a copy of it.
        let _ = self.file.unlock();
    }
}

impl Book {
    /// Opens or begins one; one process at a time.
    ///
    /// # Errors
    /// If the disk refuses, another process has it, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, BookError> {
        let failed = |what| {
            let path = path.display().to_string();
            move |source| BookError::Io { what, path, source }
        };
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(failed("open"))?;
        file.try_lock().map_err(|e| failed("lock")(e.into()))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed("read"))?;
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(failed("cut"))?;
            file.seek(SeekFrom::End(0)).map_err(failed("read"))?;
        }
        let mut known = HashMap::new();
        let mut open: Vec<Sale> = Vec::new();
        let lines = text[..whole].split(|b| *b == b'\n').filter(|line| !line.is_empty());
        for (line, bytes) in (1..).zip(lines) {
            let sale: Sale = serde_json::from_slice(bytes).map_err(|e| BookError::Damaged {
                line,
                path: path.display().to_string(),
                why: e.to_string(),
            })?;
            open.retain(|other| other.payment != sale.payment);
            known.insert(sale.payment.clone(), (sale.valid_before_s, sale.state));
            if sale.state == SaleState::Settling {
                open.push(sale);
            }
        }
        Ok(Self { file, path: path.to_owned(), known, open })
    }

    /// Sales that were being settled when the process ended. The sender goes on with them by itself.
    #[must_use]
    pub fn unsettled(&self) -> &[Sale] {
        &self.open
    }

    /// Whether a payment was taken.
    #[must_use]
    pub fn knows(&self, payment: &str) -> bool {
        self.known.contains_key(payment)
    }

    /// Writes a line; it is on disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses. What is in memory is then as before.
    pub fn write(&mut self, sale: &Sale) -> Result<(), BookError> {
        let failed =
            |source| BookError::Io { what: "write", path: self.path.display().to_string(), source };
        let mut line = serde_json::to_vec(sale).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        let before = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Half a line would damage the next one.
            let _ = self.file.set_len(before);
            return Err(failed(source));
        }
        if self.known.len() >= KEPT_MAX {
            // What is not good any more is refused for that.
            self.known.retain(|_, (valid_before_s, _)| *valid_before_s >= sale.time_s);
        }
        self.known.insert(sale.payment.clone(), (sale.valid_before_s, sale.state));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(payment: &str, state: SaleState) -> Sale {
        Sale {
            payment: payment.to_owned(),
            time_s: 1,
            offer: "small".to_owned(),
            amount: "5".to_owned(),
            valid_before_s: 100,
            outcome: String::new(),
            state,
            note: String::new(),
        }
    }

    #[test]
    fn what_was_written_is_known_after_a_restart_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sales");
        let mut book = Book::open(&path).expect("new");
        book.write(&sale("a", SaleState::Settling)).expect("written");
        book.write(&sale("b", SaleState::Settling)).expect("written");
        book.write(&sale("a", SaleState::Settled)).expect("written");
        assert!(matches!(Book::open(&path), Err(BookError::Io { what: "lock", .. })));
        drop(book);
        let whole = std::fs::read(&path).expect("there");
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let book = Book::open(&path).expect("a torn line is dropped");
            let lines = whole[..cut].iter().filter(|b| **b == b'\n').count();
            assert_eq!(book.knows("a"), lines > 0);
            let open: Vec<&str> = book.unsettled().iter().map(|s| s.payment.as_str()).collect();
            let expected: &[&str] = [&[][..], &["a"], &["a", "b"], &["b"]][lines];
            assert_eq!(open, expected, "cut at {cut}");
        }
        std::fs::write(&path, b"{}\n").expect("written");
        assert!(matches!(Book::open(&path), Err(BookError::Damaged { line: 1, .. })));
    }
}
