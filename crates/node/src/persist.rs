//! The journal's thread: takes batches from the core, commits as many as wait in one transaction,
//! and says when they are on disk.
//!
//! After a failure everything is refused until the batch that failed is given again, so that the
//! journal never has a hole.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use ayni_store::Journal;

/// What the thread says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PersistNews {
    /// Everything up to here is on disk.
    Persisted(u64),
    /// This batch, and all after it, are not.
    Failed {
        /// First batch that is not durable.
        sequence: u64,
        /// For people.
        reason: String,
    },
}

/// A batch of records.
pub(crate) type Batch = (u64, Vec<Vec<u8>>);

/// Batches committed at once at most: bounds memory and latency.
const GROUP_MAX: usize = 256;

/// Starts the thread; it ends when the sender is dropped.
pub(crate) fn start(
    journal: Journal,
    path: PathBuf,
    news: impl Fn(PersistNews) + Send + 'static,
) -> std::io::Result<(mpsc::Sender<Batch>, std::thread::JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || write_all(journal, &path, &receiver, &news))?;
    Ok((sender, thread))
}

fn write_all(
    journal: Journal,
    path: &Path,
    batches: &mpsc::Receiver<Batch>,
    news: &dyn Fn(PersistNews),
) {
    let mut journal = Some(journal);
    let mut failed: Option<u64> = None;
    while let Ok(first) = batches.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = batches.try_recv()
        {
            group.push(next);
        }
        if let Some(sequence) = failed {
            // What was sent before the failure was known is dropped; it will be sent again.
            let Some(at) = group.iter().position(|(s, _)| *s == sequence) else { continue };
            group.drain(..at);
        }
        let (Some((begin, _)), Some((end, _))) = (group.first(), group.last()) else { continue };
        // A database that has failed once refuses everything until it is opened anew.
        let written = match journal.take() {
            Some(open) => Ok(open),
            None => Journal::open(path),
        }
        .and_then(|open| open.append(&group).map(|()| open));
        match written {
            Ok(open) => {
                journal = Some(open);
                failed = None;
                news(PersistNews::Persisted(*end));
            }
            Err(error) => {
                failed = Some(*begin);
                news(PersistNews::Failed { sequence: *begin, reason: error.to_string() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_durable_when_announced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.redb");
        let (tell, told) = mpsc::channel();
        let journal = Journal::open(&path).unwrap();
        let (sender, thread) =
            start(journal, path.clone(), move |news| tell.send(news).unwrap()).unwrap();
        for sequence in 0..1_000_u64 {
            sender.send((sequence, vec![sequence.to_be_bytes().to_vec()])).unwrap();
        }
        let last = std::iter::from_fn(|| told.recv().ok())
            .find(|news| *news == PersistNews::Persisted(999));
        assert!(last.is_some());
        drop(sender);
        thread.join().unwrap();
        assert_eq!(Journal::open(&path).unwrap().records().unwrap().len(), 1_000);
    }
}
