//! Keeps outputs that came along with their outcomes: one thread, one wait for the disk for as many as
//! came meanwhile (group commit). What it says afterwards is what a fetch says.
//!
//! Deliberately not here: outputs that have to be asked for (`fetch`).

use std::sync::{Arc, mpsc};

use ayni_core::{Event, FetchFailure, FetchId};
use ayni_store::Blobs;

use crate::fetch::failure;
use crate::pump::Handle;

/// Outputs of one outcome.
pub(crate) type Came = (FetchId, Vec<Vec<u8>>);

/// Outcomes whose outputs are kept at once, at most.
const GROUP_MAX: usize = 1_024;

/// Starts the thread; it ends when the sender is dropped.
///
/// # Errors
/// When there can be no thread.
pub(crate) fn start(blobs: Arc<Blobs>, handle: Handle) -> std::io::Result<mpsc::Sender<Came>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("outputs".to_owned())
        .spawn(move || keep_all(&blobs, &handle, &receiver))?;
    Ok(sender)
}

fn keep_all(blobs: &Blobs, handle: &Handle, came: &mpsc::Receiver<Came>) {
    while let Ok(first) = came.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = came.try_recv()
        {
            group.push(next);
        }
        let result = keep(blobs, group.iter().flat_map(|(_, all)| all));
        for (fetch, _) in group {
            handle.event(Event::Fetched { fetch, result: result.clone() });
        }
    }
}

/// Keeps small blobs, and returns when they are on disk.
pub(crate) fn keep<'a>(
    blobs: &Blobs,
    all: impl Iterator<Item = &'a Vec<u8>>,
) -> Result<(), FetchFailure> {
    let bytes: Vec<&[u8]> = all.map(Vec::as_slice).collect();
    blobs.add_small(&bytes).and_then(|_| blobs.sync_small()).map_err(failure)
}
