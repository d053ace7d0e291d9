//! Fetching: a small blob in one round trip, a large one in spans from several holders at once.
//! Nothing is kept that is not proven; a holder that lies is named and left.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ayni_types::{Digest, NodeId};
use ayni_wire::frame::BlobRequest;
use bao_tree::io::BaoContentItem;
use futures_util::future::join_all;
use iroh::endpoint::RecvStream;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::timeout;

use crate::blob::partial::{Partial, recorded_size};
use crate::blob::protocol::{read_head, read_segment};
use crate::blob::segment::{Decoded, GROUP_BYTES, decode, segments, tail};
use crate::blob::{BlobSink, Holders, PartialBlob};
use crate::error::{FetchError, HolderError};
use crate::limits::{
    ANSWER_TIMEOUT, BLOB_BYTES_MAX, HOLDER_ATTEMPTS_MAX, HOLDERS_AT_ONCE_MAX, SEGMENT_BYTES,
    SEGMENT_TIMEOUT, SPAN_BYTES,
};
use crate::lock;
use crate::net::Inner;

/// How a blob was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOutcome {
    /// Its size in bytes.
    pub size: u64,
    /// Bytes received for it, proofs and lies included; less than `size` if part was there before.
    pub received_bytes: u64,
    /// Holders that failed on the way, and how.
    pub failures: Vec<(NodeId, HolderError)>,
}

type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// One fetch. It may be dropped at any time; what was verified stays.
struct Fetch<'a> {
    /// Held by work on the disk too, as that goes on to its end when the fetch is dropped.
    turn: Arc<OwnedMutexGuard<()>>,
    net: &'a Arc<Inner>,
    digest: Digest,
    sink: Arc<dyn BlobSink>,
    progress: Progress<'a>,
    received: AtomicU64,
    verified: AtomicU64,
    /// The last byte was verified: nobody has to be waited for any more.
    whole: Notify,
}

/// Why an attempt at a holder ended.
enum Stop {
    Holder(HolderError),
    Store(io::Error),
}

impl From<HolderError> for Stop {
    fn from(error: HolderError) -> Self {
        Self::Holder(error)
    }
}

/// Fetches a blob; see [`crate::Net::fetch_blob`].
pub(crate) async fn fetch(
    net: &Arc<Inner>,
    digest: Digest,
    size: Option<u64>,
    from: &[NodeId],
    sink: Arc<dyn BlobSink>,
    progress: Progress<'_>,
) -> Result<FetchOutcome, FetchError> {
    let turn = net.holders.turn(digest).lock_owned().await;
    let fetch = Fetch {
        turn: Arc::new(turn),
        net,
        digest,
        sink,
        progress,
        received: AtomicU64::new(0),
        verified: AtomicU64::new(0),
        whole: Notify::new(),
    };
    let mut failures = Vec::new();
    let fetched = fetch.run(size, from, &mut failures).await;
    for (node, error) in &failures {
        if error.is_dishonest() {
            net.conduct.strike(*node, &format!("blob {}: {error}", digest.short()));
        }
    }
    match fetched {
        Ok(Some(size)) => Ok(FetchOutcome {
            size,
            received_bytes: fetch.received.load(Ordering::Relaxed),
            failures,
        }),
        Ok(None) => Err(FetchError::NoHolder { digest, failures }),
        Err(source) => Err(FetchError::Store { digest, source }),
    }
}

type Failures = Vec<(NodeId, HolderError)>;

impl Fetch<'_> {
    /// The size when it is there, `None` when no holder is left.
    async fn run(
        &self,
        size: Option<u64>,
        from: &[NodeId],
        failures: &mut Failures,
    ) -> io::Result<Option<u64>> {
        let digest = self.digest;
        if let Some(held) = self.on_disk(move |sink| Ok(sink.held(&digest))).await? {
            return Ok(Some(held));
        }
        if digest.0 == *blake3::hash(&[]).as_bytes() {
            self.on_disk(move |sink| sink.put(&digest, &[])).await?;
            return Ok(Some(0));
        }
        let mut holders: VecDeque<NodeId> = VecDeque::new();
        for holder in from {
            if !holders.contains(holder) {
                holders.push_back(*holder);
            }
        }
        // Who is connected answers at once; others may cost the time of a dial that fails.
        holders.make_contiguous().sort_by_key(|holder| !self.net.is_connected(*holder));
        // The first holder that has it tells the size, or, if it is small, everything.
        let large = loop {
            let Some(holder) = holders.front().copied() else { return Ok(None) };
            let opened = match size {
                Some(size) if size > SEGMENT_BYTES => self.open_large(holder, size).await,
                _ => self.open(holder, size).await,
            };
            match opened {
                Ok(Opened::Whole(size)) => return Ok(Some(size)),
                Ok(Opened::Large(partial)) => break partial,
                Err(Stop::Store(error)) => return Err(error),
                Err(Stop::Holder(error)) => {
                    failures.push((holder, error));
                    holders.pop_front();
                }
            }
        };
        self.fill(Arc::new(large), holders.into(), failures).await
    }

    async fn open(&self, holder: NodeId, expected: Option<u64>) -> Result<Opened, Stop> {
        let (size, mut stream) = self.ask(holder, 0..SEGMENT_BYTES).await?;
        if let Some(expected) = expected.filter(|expected| *expected != size) {
            return Err(HolderError::WrongSize { said: size, expected }.into());
        }
        if size > SEGMENT_BYTES {
            // Not so small: what is on its way is let go.
            let _ = stream.stop(0_u32.into());
            return self.open_large(holder, size).await;
        }
        if size == 0 {
            return Err(HolderError::Lied { offset: 0 }.into());
        }
        let decoded = self.take_segment(&mut stream, size, 0..size).await?;
        if decoded.lied {
            return Err(HolderError::Lied { offset: decoded.verified }.into());
        }
        let digest = self.digest;
        let put = move |sink: &dyn BlobSink| {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            for item in &decoded.items {
                if let BaoContentItem::Leaf(leaf) = item {
                    bytes.extend_from_slice(&leaf.data);
                }
            }
            sink.put(&digest, &bytes)
        };
        self.on_disk(put).await.map_err(Stop::Store)?;
        (self.progress)(size);
        Ok(Opened::Whole(size))
    }

    /// Goes on with what is there, or proves the size by the last group before a byte is reserved.
    async fn open_large(&self, holder: NodeId, size: u64) -> Result<Opened, Stop> {
        if size > BLOB_BYTES_MAX {
            return Err(HolderError::TooLarge { said: size, max: BLOB_BYTES_MAX }.into());
        }
        let digest = self.digest;
        let there = self.on_disk(move |sink| {
            let files = sink.partial(&digest, size)?;
            match recorded_size(&files) {
                Some(recorded) if recorded == size => {
                    Partial::resume(files, digest, size).map(Earlier::Some)
                }
                _ => Ok(Earlier::None(files)),
            }
        });
        let files = match there.await.map_err(Stop::Store)? {
            Earlier::Some(partial) => return Ok(Opened::Large(partial)),
            Earlier::None(files) => files,
        };
        let (said, mut stream) = self.ask(holder, tail(size)).await?;
        if said != size {
            return Err(HolderError::WrongSize { said, expected: size }.into());
        }
        let decoded = self.take_segment(&mut stream, size, tail(size)).await?;
        if decoded.lied {
            return Err(HolderError::Lied { offset: decoded.verified }.into());
        }
        let begin = move |_: &dyn BlobSink| {
            let partial = Partial::begin(files, digest, size)?;
            partial.save(&decoded.items)?;
            Ok(partial)
        };
        Ok(Opened::Large(self.on_disk(begin).await.map_err(Stop::Store)?))
    }

    /// Fetches what is missing from all holders, until it is whole or none is left.
    async fn fill(
        &self,
        partial: Arc<Partial>,
        mut holders: Vec<NodeId>,
        failures: &mut Failures,
    ) -> io::Result<Option<u64>> {
        let (size, digest) = (partial.size(), self.digest);
        let of_partial = Arc::clone(&partial);
        let missing = self.on_disk(move |_| of_partial.missing()).await?;
        let spans: VecDeque<_> = missing.into_iter().flat_map(cut).collect();
        let lacking: u64 = spans.iter().map(|span| span.end - span.start).sum();
        self.verified.store(size - lacking, Ordering::Relaxed);
        (self.progress)(size - lacking);
        let spans = Mutex::new(spans);
        while !lock(&spans).is_empty() {
            if holders.is_empty() {
                return Ok(None);
            }
            let at_once = holders.iter().take(HOLDERS_AT_ONCE_MAX);
            let draining = at_once.map(|holder| self.drain(*holder, &partial, &spans));
            let ended = tokio::select! {
                ended = join_all(draining) => ended,
                () = self.whole.notified() => break,
            };
            for end in ended {
                if let Some((holder, error)) = end? {
                    holders.retain(|other| *other != holder);
                    failures.push((holder, error));
                }
            }
        }
        drop(partial);
        self.on_disk(move |sink| sink.finish(&digest, size)).await?;
        Ok(Some(size))
    }

    /// Takes spans for one holder until none are left or it fails for good.
    async fn drain(
        &self,
        holder: NodeId,
        partial: &Arc<Partial>,
        spans: &Mutex<VecDeque<Range<u64>>>,
    ) -> io::Result<Option<(NodeId, HolderError)>> {
        let mut attempts = 0;
        loop {
            let Some(mut span) = lock(spans).pop_front() else { return Ok(None) };
            let before = span.start;
            let stopped = self.stream_span(holder, partial, &mut span).await;
            if !span.is_empty() {
                lock(spans).push_front(span.clone());
            }
            match stopped {
                Ok(()) => attempts = 0,
                Err(Stop::Store(error)) => return Err(error),
                Err(Stop::Holder(error)) => {
                    attempts = if span.start > before { 1 } else { attempts + 1 };
                    if !error.is_passing() || attempts >= HOLDER_ATTEMPTS_MAX {
                        return Ok(Some((holder, error)));
                    }
                    tokio::time::sleep(Duration::from_millis(200) * attempts).await;
                }
            }
        }
    }

    /// Streams one span; its start moves with what is verified and kept.
    async fn stream_span(
        &self,
        holder: NodeId,
        partial: &Arc<Partial>,
        span: &mut Range<u64>,
    ) -> Result<(), Stop> {
        let size = partial.size();
        let (said, mut stream) = self.ask(holder, span.clone()).await?;
        if said != size {
            return Err(HolderError::WrongSize { said, expected: size }.into());
        }
        for range in segments(span.clone()) {
            let decoded = self.take_segment(&mut stream, size, range.clone()).await?;
            let (verified, lied) = (decoded.verified, decoded.lied);
            let partial = Arc::clone(partial);
            self.on_disk(move |_| partial.save(&decoded.items)).await.map_err(Stop::Store)?;
            // A lie in the middle of a group leaves the group to be fetched again.
            span.start = if lied { verified / GROUP_BYTES * GROUP_BYTES } else { verified };
            let kept = span.start - range.start;
            let total = self.verified.fetch_add(kept, Ordering::Relaxed) + kept;
            (self.progress)(total);
            if total == size {
                self.whole.notify_one();
            }
            if lied {
                let _ = stream.stop(0_u32.into());
                return Err(HolderError::Lied { offset: verified }.into());
            }
        }
        Ok(())
    }

    /// Asks a holder for a range: the size it says the blob has, and the stream of segments.
    async fn ask(
        &self,
        holder: NodeId,
        range: Range<u64>,
    ) -> Result<(u64, RecvStream), HolderError> {
        let connection = Holders::connection(self.net, holder).await?;
        let request = BlobRequest { digest: self.digest, start: range.start, end: range.end };
        let asked = async {
            let broken = |error: &dyn std::error::Error| HolderError::Broken(error.to_string());
            let (mut send, mut receive) = connection.open_bi().await.map_err(|e| broken(&e))?;
            send.write_all(&request.to_bytes()).await.map_err(|e| broken(&e))?;
            send.finish().map_err(|e| broken(&e))?;
            let size = read_head(&mut receive).await?;
            Ok((size, receive))
        };
        let silent = |_| HolderError::Silent(ANSWER_TIMEOUT.as_secs());
        timeout(ANSWER_TIMEOUT, asked).await.map_err(silent)?
    }

    async fn take_segment(
        &self,
        stream: &mut RecvStream,
        size: u64,
        range: Range<u64>,
    ) -> Result<Decoded, Stop> {
        let silent = |_| HolderError::Silent(SEGMENT_TIMEOUT.as_secs());
        let encoded = timeout(SEGMENT_TIMEOUT, read_segment(stream)).await.map_err(silent)??;
        self.received.fetch_add(encoded.len() as u64, Ordering::Relaxed);
        let digest = self.digest;
        let decoded = tokio::task::spawn_blocking(move || decode(&digest, size, &range, &encoded));
        decoded.await.map_err(|error| Stop::Store(io::Error::other(error)))
    }

    /// Does something with the sink where blocking is allowed.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn BlobSink) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (sink, turn) = (Arc::clone(&self.sink), Arc::clone(&self.turn));
        let work = move || {
            let done = work(&*sink);
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

enum Opened {
    /// It was small and is there.
    Whole(u64),
    /// Its size is proven; the rest is to be fetched.
    Large(Partial),
}

enum Earlier {
    Some(Partial),
    None(PartialBlob),
}

/// A missing range in spans.
fn cut(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = ((start / SPAN_BYTES + 1) * SPAN_BYTES).min(range.end);
        let span = start..end;
        start = end;
        (!span.is_empty()).then_some(span)
    })
}
