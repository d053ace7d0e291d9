//! Gets blobs from peers into the store: whatever a task reads, or the outputs of one.
//!
//! A blob wanted twice at once is fetched once. What is fetched to work for others goes to the
//! cache; what the owner's jobs yielded is kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ayni_core::{FetchFailure, FetchWhat};
use ayni_net::{BlobHost, BlobSink, FetchError, HolderError, Net};
use ayni_store::{Area, Blobs, StoreError};
use ayni_types::{Digest, NodeId, TaskSpec, limits};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::inputs::{InputsError, inputs};
use crate::keep::keep;

/// Blobs of one task fetched at once.
const PARALLEL: usize = 8;

pub(crate) struct Fetcher {
    net: Arc<Net>,
    blobs: Arc<Blobs>,
    /// One lock per blob that is being fetched.
    under_way: Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Fetcher {
    pub(crate) fn new(net: Arc<Net>, blobs: Arc<Blobs>) -> Self {
        Self { net, blobs, under_way: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) async fn fetch(
        &self,
        what: FetchWhat,
        from: Vec<NodeId>,
    ) -> Result<(), FetchFailure> {
        match what {
            FetchWhat::Blobs(wanted) => {
                let wanted = wanted.into_iter().map(|(digest, size)| (digest, Some(size)));
                self.all(Area::Kept, wanted.collect(), &from).await
            }
            FetchWhat::Inputs(task) => self.inputs(&task, &from).await,
            FetchWhat::Outputs { here, rest } => {
                let blobs = self.blobs.clone();
                let kept = tokio::task::spawn_blocking(move || keep(&blobs, here.iter())).await;
                kept.map_err(|error| FetchFailure::Unavailable(error.to_string()))??;
                let rest = rest.into_iter().map(|(digest, size)| (digest, Some(size)));
                self.all(Area::Kept, rest.collect(), &from).await
            }
        }
    }

    /// Whether a task reads nothing but a program that is held here.
    pub(crate) fn holds_all(&self, task: &TaskSpec) -> bool {
        task.stdin.is_none() && task.mounts.is_empty() && self.blobs.size(&task.program).is_some()
    }

    /// Fetches what is missing until nothing is: first what the task names, then what its trees
    /// name.
    async fn inputs(&self, task: &TaskSpec, from: &[NodeId]) -> Result<(), FetchFailure> {
        for _ in 0..2 {
            match self.missing(task).await? {
                missing if missing.is_empty() => return Ok(()),
                missing => {
                    let wanted = missing.into_iter().map(|digest| (digest, None)).collect();
                    self.all(Area::Cache, wanted, from).await?;
                }
            }
        }
        match self.missing(task).await? {
            missing if missing.is_empty() => Ok(()),
            _ => Err(FetchFailure::DiskFull(
                "the inputs of one task do not fit into the cache together".to_owned(),
            )),
        }
    }

    async fn missing(&self, task: &TaskSpec) -> Result<Vec<Digest>, FetchFailure> {
        let (blobs, task) = (self.blobs.clone(), task.clone());
        let listed = tokio::task::spawn_blocking(move || inputs(&blobs, &task)).await;
        match listed {
            Ok(Ok(_)) => Ok(Vec::new()),
            Ok(Err(InputsError::Missing(missing))) => Ok(missing),
            Ok(Err(error)) => Err(FetchFailure::Unavailable(error.to_string())),
            Err(error) => Err(FetchFailure::Unavailable(error.to_string())),
        }
    }

    async fn all(
        &self,
        area: Area,
        wanted: Vec<(Digest, Option<u64>)>,
        from: &[NodeId],
    ) -> Result<(), FetchFailure> {
        stream::iter(wanted)
            .map(|(digest, size)| self.one(area, digest, size, from))
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await
    }

    async fn one(
        &self,
        area: Area,
        digest: Digest,
        size: Option<u64>,
        from: &[NodeId],
    ) -> Result<(), FetchFailure> {
        let lock = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.retain(|_, lock| lock.strong_count() > 0);
            let known = under_way.get(&digest).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                under_way.insert(digest, Arc::downgrade(&lock));
                lock
            })
        };
        let _alone = lock.lock().await;
        let held = match area {
            Area::Kept => self.blobs.keep(&digest).map_err(failure)?,
            Area::Cache => self.blobs.size(&digest).is_some(),
        };
        if held {
            return Ok(());
        }
        let sink = Arc::new(Sink { blobs: self.blobs.clone(), area });
        let fetched = self.net.fetch_blob(digest, size, from, sink, &|_| {}).await;
        fetched.map(|_| ()).map_err(|error| match error {
            FetchError::Store { source, .. } => failure(source.into()),
            FetchError::NoHolder { failures, .. } => {
                let liar = failures
                    .iter()
                    .find(|(_, error)| matches!(error, HolderError::Lied { .. }))
                    .map(|(node, _)| *node);
                match liar {
                    Some(node) if failures.len() == 1 => FetchFailure::Lied(node),
                    _ => FetchFailure::Unavailable(
                        FetchError::NoHolder { digest, failures }.to_string(),
                    ),
                }
            }
        })
    }
}

pub(crate) fn failure(error: StoreError) -> FetchFailure {
    match error {
        StoreError::Full { .. } => FetchFailure::DiskFull(error.to_string()),
        other => FetchFailure::Unavailable(other.to_string()),
    }
}

/// Where fetched blobs go.
struct Sink {
    blobs: Arc<Blobs>,
    area: Area,
}

impl BlobSink for Sink {
    fn held(&self, digest: &Digest) -> Option<u64> {
        self.blobs.size(digest)
    }

    fn put(&self, _digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        self.blobs.insert(self.area, bytes).map(|_| ()).map_err(into_io)
    }

    fn partial(&self, digest: &Digest, size: u64) -> io::Result<ayni_net::PartialBlob> {
        if size > limits::TASK_OUTPUT_BYTES_MAX {
            return Err(io::Error::other(format!("a blob of {size} bytes is more than allowed")));
        }
        let part = self.blobs.partial(digest).map_err(into_io)?;
        Ok(ayni_net::PartialBlob { data: part.file, proof: part.proof })
    }

    fn finish(&self, digest: &Digest, _size: u64) -> io::Result<()> {
        self.blobs.finish_partial(self.area, digest).map(|_| ()).map_err(into_io)
    }
}

fn into_io(error: StoreError) -> io::Error {
    match error {
        StoreError::Io(error) => error,
        full @ StoreError::Full { .. } => {
            io::Error::new(io::ErrorKind::StorageFull, full.to_string())
        }
        other => io::Error::other(other.to_string()),
    }
}

/// What this node gives to others: any blob it holds, to whoever knows the digest.
pub(crate) struct Host(pub(crate) Arc<Blobs>);

impl BlobHost for Host {
    fn open(&self, digest: &Digest) -> io::Result<Option<ayni_net::HostedBlob>> {
        let opened = self.0.open_blob(digest).map_err(into_io)?;
        Ok(opened.map(|(file, size): (File, u64)| ayni_net::HostedBlob { file, size }))
    }

    fn may_fetch(&self, _peer: NodeId, _digest: &Digest) -> bool {
        true
    }
}
