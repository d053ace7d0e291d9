//! The holder's side: answers requests, within limits, and checks what it reads before it sends it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use ayni_types::NodeId;
use ayni_wire::frame::{BlobRequest, BlobStatus};
use bao_tree::io::EncodeError;
use bao_tree::io::sync::encode_ranges_validated;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::blob::HostedBlob;
use crate::blob::proof::{Proof, Proofs};
use crate::blob::protocol::{head, read_request};
use crate::blob::segment::{chunks, segments};
use crate::frame::{Close, close};
use crate::limits::{
    ANSWER_TIMEOUT, BLOB_BYTES_MAX, BLOB_CONNECTIONS_PER_PEER_MAX, BLOB_IDLE, SEGMENT_TIMEOUT,
    SERVE_BYTES_MAX,
};
use crate::lock;
use crate::net::Inner;

/// What serving needs and may use.
pub(crate) struct Serving {
    proofs: Proofs,
    /// In KiB: reserved before a segment is read.
    memory: Arc<Semaphore>,
    connections: Mutex<HashMap<NodeId, usize>>,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            proofs: Proofs::default(),
            memory: Arc::new(Semaphore::new(SERVE_BYTES_MAX >> 10)),
            connections: Mutex::default(),
        }
    }
}

/// Why an answer was cut short.
enum Cut {
    /// The other side went away or does not read.
    Gone,
    /// It does not speak the protocol.
    Protocol(&'static str),
    /// Our own copy is bad or can't be read.
    Ours(io::Error),
}

/// Answers requests on a connection until it is idle or broken.
pub(crate) async fn serve(net: &Arc<Inner>, connection: Connection, node: NodeId) {
    let Some(_place) = Place::take(&net.serving.connections, node) else {
        return close(&connection, Close::Busy, "too many blob connections");
    };
    let mut answers = JoinSet::new();
    loop {
        tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok((send, receive)) => {
                    answers.spawn(answer(Arc::clone(net), node, send, receive));
                }
                Err(_) => return,
            },
            Some(answered) = answers.join_next() => match answered {
                Ok(Ok(()) | Err(Cut::Gone)) => {}
                Ok(Err(Cut::Ours(error))) => tracing::error!("can't serve a blob: {error}"),
                Ok(Err(Cut::Protocol(what))) => {
                    net.conduct.strike(node, what);
                    return close(&connection, Close::Malformed, what);
                }
                Err(error) => tracing::error!("serving failed: {error}"),
            },
            () = tokio::time::sleep(BLOB_IDLE), if answers.is_empty() => {
                return close(&connection, Close::Bye, "idle");
            }
        }
    }
}

/// A counted connection.
struct Place<'a>(&'a Mutex<HashMap<NodeId, usize>>, NodeId);

impl<'a> Place<'a> {
    fn take(counts: &'a Mutex<HashMap<NodeId, usize>>, node: NodeId) -> Option<Self> {
        let mut taken = lock(counts);
        let count = taken.entry(node).or_insert(0);
        if *count >= BLOB_CONNECTIONS_PER_PEER_MAX {
            return None;
        }
        *count += 1;
        Some(Self(counts, node))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = lock(self.0);
        if let Some(count) = taken.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

async fn answer(
    net: Arc<Inner>,
    node: NodeId,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), Cut> {
    let request = timeout(ANSWER_TIMEOUT, read_request(&mut receive)).await;
    let request = request.map_err(|_| Cut::Gone)?.map_err(Cut::Protocol)?;
    let blob = match find(&net, node, request).await {
        Ok(blob) => blob,
        Err(status) => {
            send.write_all(&head(status, 0)).await.map_err(|_| Cut::Gone)?;
            send.finish().map_err(|_| Cut::Gone)?;
            return Ok(());
        }
    };
    let written =
        timeout(SEGMENT_TIMEOUT, send.write_all(&head(BlobStatus::Here, blob.size))).await;
    written.map_err(|_| Cut::Gone)?.map_err(|_| Cut::Gone)?;
    let end = request.end.min(blob.size);
    // One segment is read and checked while the one before it is on its way.
    let mut next = None;
    for range in segments(request.start.min(end)..end) {
        let ready = read_ahead(&net, &blob, range).await;
        if let Some(segment) = next.replace(ready) {
            write(&net, request, &mut send, segment).await?;
        }
    }
    if let Some(segment) = next {
        write(&net, request, &mut send, segment).await?;
    }
    send.finish().map_err(|_| Cut::Gone)
}

/// A blob being served.
struct Blob {
    file: Arc<File>,
    proof: Arc<Proof>,
    size: u64,
}

async fn find(net: &Arc<Inner>, node: NodeId, request: BlobRequest) -> Result<Blob, BlobStatus> {
    let (blobs, digest) = (Arc::clone(&net.blobs), request.digest);
    let open = move || blobs.may_fetch(node, &digest).then(|| blobs.open(&digest));
    let opened = tokio::task::spawn_blocking(open).await.map_err(|_| BlobStatus::Busy)?;
    let HostedBlob { file, size } = match opened {
        None => return Err(BlobStatus::Refused),
        Some(Ok(None)) => return Err(BlobStatus::NotHeld),
        Some(Ok(Some(blob))) if blob.size > BLOB_BYTES_MAX => return Err(BlobStatus::NotHeld),
        Some(Ok(Some(blob))) => blob,
        Some(Err(error)) => {
            tracing::error!("can't open blob {digest}: {error}");
            return Err(BlobStatus::Damaged);
        }
    };
    let file = Arc::new(file);
    match net.serving.proofs.of(digest, size, &file).await {
        Ok(Some(proof)) => Ok(Blob { file, proof, size }),
        Ok(None) => {
            net.blobs.damaged(&digest);
            Err(BlobStatus::Damaged)
        }
        Err(error) => {
            tracing::error!("can't read blob {digest}: {error}");
            Err(BlobStatus::Damaged)
        }
    }
}

/// A segment being read, with the memory reserved for it.
type Segment = (OwnedSemaphorePermit, tokio::task::JoinHandle<Result<Vec<u8>, EncodeError>>);

async fn read_ahead(net: &Inner, blob: &Blob, range: Range<u64>) -> Option<Segment> {
    let kib = u32::try_from((range.end - range.start).div_ceil(1 << 10)).ok()?;
    let memory = Arc::clone(&net.serving.memory).acquire_many_owned(kib).await.ok()?;
    let (file, proof) = (Arc::clone(&blob.file), Arc::clone(&blob.proof));
    let reading = tokio::task::spawn_blocking(move || {
        let mut encoded = vec![0; 4];
        encode_ranges_validated(&*file, &*proof, &chunks(&range), &mut encoded)?;
        let length = u32::try_from(encoded.len() - 4).unwrap_or(u32::MAX);
        encoded[..4].copy_from_slice(&length.to_le_bytes());
        Ok(encoded)
    });
    Some((memory, reading))
}

async fn write(
    net: &Inner,
    request: BlobRequest,
    send: &mut SendStream,
    segment: Option<Segment>,
) -> Result<(), Cut> {
    let (_memory, reading) = segment.ok_or(Cut::Gone)?;
    let encoded = reading.await.map_err(|e| Cut::Ours(io::Error::other(e)))?.map_err(|error| {
        net.serving.proofs.forget(&request.digest);
        if !matches!(error, EncodeError::Io(_)) {
            net.blobs.damaged(&request.digest);
        }
        Cut::Ours(error.into())
    })?;
    let written = timeout(SEGMENT_TIMEOUT, send.write_all(&encoded)).await;
    written.map_err(|_| Cut::Gone)?.map_err(|_| Cut::Gone)
}
