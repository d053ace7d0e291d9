//! Who runs what was bought: a node, through its public API, with limits that can't be argued with.
//!
//! An outcome is sold, whatever the program did in it: a trap or an exhausted limit is one. A fault of
//! the network is none, and is not charged. Deliberately not here: money.

use std::future::Future;
use std::time::Duration;

use ayni_api::json::{
    JobRequest, JobState, LimitsJson, OutcomeJson, TaskJson, TaskState, Text, Verification,
    VerifyJson,
};
use ayni_api::{ApiError, Client, codes};
use ayni_types::{Digest, JobId, Limits};

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// A WebAssembly module or component.
    pub program: Vec<u8>,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// What it may use.
    pub limits: Limits,
    /// Wall clock, with waiting for a provider.
    pub timeout: Duration,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// As every task's.
    pub outcome: OutcomeJson,
    /// The bytes of its standard output.
    pub stdout: Vec<u8>,
    /// The bytes of its standard error.
    pub stderr: Vec<u8>,
    /// Files it wrote: path and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// Who ran it, if another node did.
    pub provider: Option<String>,
    /// What the outcome rests on.
    pub verification: Option<Verification>,
    /// A receipt file, if another node ran it.
    pub receipt: Option<Vec<u8>>,
}

/// Why nothing came out. Nothing is charged then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// It can't be run, wherever.
    #[error("{0}")]
    Refused(String),
    /// Nobody ran it.
    #[error("{0}")]
    Failed(String),
    /// Not in time.
    #[error("it was not over after {0} s")]
    TimedOut(u64),
}

/// Runs programs.
pub trait Backend: Send + Sync + 'static {
    /// Runs one. A future that is dropped stops it.
    fn run(&self, order: Order) -> impl Future<Output = Result<Finished, RunError>> + Send;
}

/// A node and how it is asked to run things.
#[derive(Debug, Clone)]
pub struct NodeBackend {
    client: Client,
    home: bool,
    verify: VerifyJson,
}

/// Between two looks at a job.
const LOOK: Duration = Duration::from_millis(100);

impl NodeBackend {
    /// A node that may run things on its own cores too, if `home`.
    #[must_use]
    pub fn new(client: Client, home: bool, verify: VerifyJson) -> Self {
        Self { client, home, verify }
    }

    async fn submit(&self, order: &Order) -> Result<JobId, RunError> {
        let stored = self.client.put_blob(order.program.clone()).await.map_err(|e| failed(&e))?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            RunError::Failed(format!("the system gives no random bytes: {error}"))
        })?;
        let mut args = vec!["program".to_owned()];
        args.extend(order.args.iter().cloned());
        let task = TaskJson {
            engine: ayni_types::EngineId::WASI1.to_owned(),
            program: stored.digest,
            args,
            env: std::collections::BTreeMap::new(),
            stdin: None,
            mounts: Vec::new(),
            limits: LimitsJson::from(order.limits),
            blind: None,
        };
        let timeout_ms = u64::try_from(order.timeout.as_millis()).unwrap_or(u64::MAX);
        let request = JobRequest {
            id: Text(JobId(id)),
            name: "x402".to_owned(),
            tasks: vec![task],
            open: false,
            timeout_ms,
            deadline_ms: Some(timeout_ms),
            verify: self.verify.clone(),
            providers_max: 1,
            home: self.home,
            nondeterministic: false,
            price_max: None,
            budget: None,
        };
        let accepted = self.client.submit(&request).await.map_err(|error| {
            if error.retryable { failed(&error) } else { RunError::Refused(error.to_string()) }
        })?;
        Ok(accepted.id.0)
    }

    async fn finish(&self, job: JobId) -> Result<Finished, RunError> {
        let row = loop {
            let task = self.client.task(job, 0).await.map_err(|e| failed(&e))?;
            match task.row.state {
                TaskState::Accepted => break task.row,
                TaskState::Failed => {
                    let why = task.row.error.unwrap_or_else(|| "nobody said why".to_owned());
                    return Err(RunError::Failed(why));
                }
                _ => {}
            }
            let detail = self.client.job(job).await.map_err(|e| failed(&e))?;
            if detail.summary.state == JobState::Cancelled {
                return Err(RunError::Failed("somebody cancelled it".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        };
        let outcome = row.outcome.ok_or_else(|| {
            RunError::Failed("its node accepted an outcome and does not show it".to_owned())
        })?;
        let mut files = Vec::new();
        for file in &outcome.files {
            files.push((file.path.clone(), self.bytes(file.digest.0, file.size).await?));
        }
        let receipt = match row.receipt {
            true => self.client.receipt(job, 0).await.map_err(|e| failed(&e))?,
            false => None,
        };
        Ok(Finished {
            stdout: self.bytes(outcome.stdout.digest.0, outcome.stdout.size).await?,
            stderr: self.bytes(outcome.stderr.digest.0, outcome.stderr.size).await?,
            files,
            provider: row.provider.map(|node| node.0.to_string()),
            verification: row.verification,
            receipt,
            outcome,
        })
    }

    async fn bytes(&self, digest: Digest, size: u64) -> Result<Vec<u8>, RunError> {
        if size == 0 {
            return Ok(Vec::new());
        }
        self.client.blob_bytes(digest, size).await.map_err(|e| failed(&e))
    }
}

fn failed(error: &ApiError) -> RunError {
    RunError::Failed(error.to_string())
}

/// Cancels a job when whoever waits for it goes away.
struct Cancels(Option<(Client, JobId)>);

impl Drop for Cancels {
    fn drop(&mut self) {
        let Some((client, job)) = self.0.take() else { return };
        tokio::spawn(async move {
            // It may have ended by itself, or its node stopped.
            if let Err(error) = client.cancel(job).await
                && error.code != codes::JOB_UNKNOWN
            {
                tracing::debug!(%job, %error, "a job that nobody waits for was not cancelled");
            }
        });
    }
}

impl Backend for NodeBackend {
    async fn run(&self, order: Order) -> Result<Finished, RunError> {
        let timeout = order.timeout;
        let job = self.submit(&order).await?;
        let mut cancels = Cancels(Some((self.client.clone(), job)));
        let finished = tokio::time::timeout(timeout, self.finish(job)).await;
        let Ok(finished) = finished else {
            return Err(RunError::TimedOut(timeout.as_secs()));
        };
        if finished.is_ok() {
            cancels.0 = None;
        }
        finished
    }
}
