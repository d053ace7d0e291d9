//! How the node is asked. Each of four questions is asked at most once in a while and by one at a
//! time, and a receipt goes on only so often; so what strangers cost the node does not grow with
//! them. A question that was begun is ended even if nobody waits for its answer.
//!
//! Deliberately not here: what is public of an answer (`shapes`).

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use ayni_api::json::{ChannelList, DisputeList, OfferList, ProofList, Schema, VerifyReport};
use ayni_api::{ApiError, Client, codes};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// An answer is good for so long.
const KEEP: Duration = Duration::from_secs(2);
/// The node has so long for an answer.
const ASK_MAX: Duration = Duration::from_secs(10);
/// Receipts that may come at once, and that may come each second from then on.
const CHECKS_AT_ONCE: u32 = 20;
const CHECKS_PER_SECOND: u32 = 5;

/// A node, as this process may ask it. Clones are the same.
#[derive(Debug, Clone)]
pub struct Source(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    home: PathBuf,
    /// The node as it was last found; a node that starts again has another port.
    client: StdMutex<Option<Client>>,
    offers: Kept<OfferList>,
    proofs: Kept<ProofList>,
    channels: Kept<ChannelList>,
    disputes: Kept<DisputeList>,
    checks: StdMutex<Bucket>,
}

impl Source {
    /// The node that uses `home`.
    ///
    /// # Errors
    /// When none answers there, or its token can't be read.
    pub async fn open(home: &Path) -> Result<Self, ApiError> {
        let client = Client::of_home(home).await?;
        Ok(Self(Arc::new(Inner {
            home: home.to_owned(),
            client: StdMutex::new(Some(client)),
            offers: Kept::default(),
            proofs: Kept::default(),
            channels: Kept::default(),
            disputes: Kept::default(),
            checks: StdMutex::new(Bucket { left: CHECKS_AT_ONCE, counted: Instant::now() }),
        })))
    }

    pub(crate) async fn offers(&self) -> Result<Arc<OfferList>, ApiError> {
        self.kept(|inner| &inner.offers, |client| async move { client.offers(false).await }).await
    }

    pub(crate) async fn proofs(&self) -> Result<Arc<ProofList>, ApiError> {
        self.kept(|inner| &inner.proofs, |client| async move { client.proofs().await }).await
    }

    pub(crate) async fn channels(&self) -> Result<Arc<ChannelList>, ApiError> {
        self.kept(|inner| &inner.channels, |client| async move { client.channels().await }).await
    }

    pub(crate) async fn disputes(&self) -> Result<Arc<DisputeList>, ApiError> {
        let ask = |client: Client| async move {
            match client.disputes().await {
                Err(error) if error.code == codes::WALLET_NONE => {
                    Ok(DisputeList { schema: Schema, disputes: Vec::new() })
                }
                other => other,
            }
        };
        self.kept(|inner| &inner.disputes, ask).await
    }

    /// Has the node look at a receipt or a proof. Nothing is executed.
    pub(crate) async fn verify(&self, bytes: Vec<u8>) -> Result<VerifyReport, ApiError> {
        if !lock(&self.0.checks).take(Instant::now()) {
            let text =
                format!("more than {CHECKS_PER_SECOND} receipts a second came to be checked");
            return Err(ApiError::new(codes::API_BUSY, text));
        }
        let ask = |client: Client| async move { client.verify(bytes, false).await };
        self.0.ask(ask).await.ok_or_else(silent)
    }

    async fn kept<T, F>(
        &self,
        of: impl FnOnce(&Inner) -> &Kept<T> + Send + 'static,
        ask: impl FnOnce(Client) -> F + Send + 'static,
    ) -> Result<Arc<T>, ApiError>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T, ApiError>> + Send,
    {
        let inner = self.0.clone();
        let asking = tokio::spawn(async move { of(&inner).get(|| inner.ask(ask)).await });
        asking.await.ok().flatten().ok_or_else(silent)
    }
}

/// The node's own words may name what is private, such as its address or its home.
fn silent() -> ApiError {
    ApiError::new(codes::NODE_UNREACHABLE, "the node behind this explorer does not answer")
        .hint("try again in a minute; its operator finds the reason in the explorer's log")
}

impl Inner {
    async fn ask<T, F>(&self, of: impl FnOnce(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let known = lock(&self.client).clone();
        let asking = async {
            let client = match known {
                Some(client) => client,
                None => Client::of_home(&self.home).await?,
            };
            let answer = of(client.clone()).await?;
            Ok::<_, ApiError>((client, answer))
        };
        let failed = match tokio::time::timeout(ASK_MAX, asking).await {
            Ok(Ok((client, answer))) => {
                *lock(&self.client) = Some(client);
                return Some(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} s", ASK_MAX.as_secs()),
        };
        tracing::warn!(error = failed, "the node could not be asked");
        *lock(&self.client) = None;
        None
    }
}

/// What is known behind a lock stays usable when somebody who held it panicked.
fn lock<T>(of: &StdMutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer for a while, no answer too.
#[derive(Debug)]
struct Kept<T>(Mutex<Option<(Instant, Option<Arc<T>>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// The answer; asks if there is none or it is old, and whoever comes meanwhile waits for it.
    async fn get<F: Future<Output = Option<T>>>(&self, ask: impl FnOnce() -> F) -> Option<Arc<T>> {
        let mut kept = self.0.lock().await;
        if let Some((since, answer)) = &*kept
            && since.elapsed() < KEEP
        {
            return answer.clone();
        }
        let answer = ask().await.map(Arc::new);
        *kept = Some((Instant::now(), answer.clone()));
        answer
    }
}

/// How many more may come now.
#[derive(Debug)]
struct Bucket {
    left: u32,
    counted: Instant,
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / CHECKS_PER_SECOND;
        while self.left < CHECKS_AT_ONCE && now.duration_since(self.counted) >= each {
            self.left += 1;
            self.counted += each;
        }
        if self.left == CHECKS_AT_ONCE {
            self.counted = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn thousands_who_ask_are_one_question_in_a_while() {
        let (kept, asked) = (Arc::new(Kept::default()), Arc::new(AtomicU32::new(0)));
        let ask = || {
            let (kept, asked) = (kept.clone(), asked.clone());
            tokio::spawn(async move {
                let answer = kept.get(|| async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    Some(asked.fetch_add(1, Ordering::SeqCst))
                });
                answer.await.map(|answer| *answer)
            })
        };
        for round in 0..3 {
            let all: Vec<_> = (0..5_000).map(|_| ask()).collect();
            for one in all {
                assert_eq!(one.await.unwrap(), Some(round));
            }
            tokio::time::advance(KEEP).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
        // That nobody answered is kept as well.
        let failed = AtomicU32::new(0);
        for _ in 0..1_000 {
            let none = Kept::<u32>::default().get(|| async { None }).await;
            assert_eq!(none, None);
            let ask = || async {
                failed.fetch_add(1, Ordering::SeqCst);
                None
            };
            assert_eq!(kept.get(ask).await, None);
        }
        assert_eq!(failed.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn receipts_come_as_often_as_is_allowed() {
        let mut bucket = Bucket { left: CHECKS_AT_ONCE, counted: Instant::now() };
        let mut take = |count: u32| (0..count).filter(|_| bucket.take(Instant::now())).count();
        assert_eq!(take(1_000), CHECKS_AT_ONCE as usize);
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!(take(1_000), 4);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(take(1_000), 1, "what is left of a second counts");
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(take(1_000), CHECKS_AT_ONCE as usize, "a quiet hour is not saved up");
    }
}
