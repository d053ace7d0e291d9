//! The other side of the API: what the command line uses, and any Rust program may.
//!
//! It speaks to the loopback address only, through no proxy, and follows no redirect.

mod sse;

use std::path::Path;
use std::time::Duration;

use ayni_types::{ChannelId, Digest, JobId};
use futures_util::{Stream, StreamExt as _};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::codes;
use crate::endpoint::{Endpoint, EndpointError, Token};
use crate::error::{ApiError, ErrorBody, chain};
use crate::json::{
    AddTasks, BlobStored, ChannelList, CheckJson, CheckRequest, DisputeList, Doctor, Done,
    EvidenceList, ExecReport, ExecRequest, Identity, InviteRequest, JobAccepted, JobDetail,
    JobList, JobRequest, JoinRequest, Joined, LoginLink, MissingReply, MissingRequest, OfferList,
    OwnerLimits, PauseRequest, PeerList, ProofList, ProposalList, ProviderStatus, QuoteJson,
    QuoteRequest, StakeJson, StakeRequest, Status, TaskDetail, TaskFilter, TaskList, TasksAdded,
    Text, TicketJson, VerifyReport, VoteRequest, WalletJson, Why,
};
use crate::limits;

pub use sse::Events;

/// A connection to a node's API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Token,
}

impl Client {
    /// A client of the node at `addr`. Nothing is sent yet.
    #[must_use]
    pub fn new(addr: std::net::SocketAddr, token: Token) -> Self {
        // The API is plain HTTP on loopback, yet the client insists on a TLS provider. A second
        // installation is refused, which is fine: one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()
            .expect("a client without TLS and proxies needs nothing that could fail");
        Self { http, base: format!("http://{addr}"), token }
    }

    /// A client of the daemon that uses `home`, if one answers there.
    ///
    /// # Errors
    /// With [`codes::NODE_UNREACHABLE`] when none answers; otherwise when the token can't be used.
    pub async fn of_home(home: &Path) -> Result<Self, ApiError> {
        let unreachable = |why: String| ApiError::new(codes::NODE_UNREACHABLE, why);
        let endpoint = match Endpoint::load(home) {
            // A daemon writes it anew when it starts.
            Ok(None) | Err(EndpointError::Damaged { .. }) => {
                return Err(unreachable(format!("no daemon runs in {}", home.display())));
            }
            Ok(Some(endpoint)) => endpoint,
            Err(error) => return Err(ApiError::new(codes::NODE_HOME, chain(&error))),
        };
        if !endpoint.addr.ip().is_loopback() {
            // The token must not leave the machine.
            return Err(unreachable(format!(
                "{} is not an address of this machine",
                endpoint.addr
            )));
        }
        let token =
            Token::load(home).map_err(|error| ApiError::new(codes::NODE_HOME, chain(&error)))?;
        let client = Self::new(endpoint.addr, token);
        client.ready().await.map_err(|_| {
            unreachable(format!(
                "the daemon of {} (process {}, {}) does not answer",
                home.display(),
                endpoint.pid,
                endpoint.addr
            ))
        })?;
        Ok(client)
    }

    /// Where the node is, as a URL.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether the node takes requests.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ready(&self) -> Result<(), ApiError> {
        let request = self.request(Method::GET, "/readyz").timeout(Duration::from_secs(5));
        send(request).await.map(drop)
    }

    /// How the node is.
    ///
    /// # Errors
    /// As the API says; so for all that follow.
    pub async fn status(&self) -> Result<Status, ApiError> {
        self.get("/v1/status").await
    }

    /// Who the node is.
    #[allow(clippy::missing_errors_doc)]
    pub async fn identity(&self) -> Result<Identity, ApiError> {
        self.get("/v1/id").await
    }

    /// The node's account.
    #[allow(clippy::missing_errors_doc)]
    pub async fn wallet(&self) -> Result<WalletJson, ApiError> {
        self.get("/v1/wallet").await
    }

    /// What a job would cost now.
    #[allow(clippy::missing_errors_doc)]
    pub async fn quote(&self, request: &QuoteRequest) -> Result<QuoteJson, ApiError> {
        self.post("/v1/quote", request).await
    }

    /// The node's channels.
    #[allow(clippy::missing_errors_doc)]
    pub async fn channels(&self) -> Result<ChannelList, ApiError> {
        self.get("/v1/channels").await
    }

    /// Take back what a channel still holds.
    #[allow(clippy::missing_errors_doc)]
    pub async fn close_channel(&self, channel: ChannelId) -> Result<Done, ApiError> {
        self.post_empty(&format!("/v1/channels/{channel}/close")).await
    }

    /// Claim everything that is earned and promised.
    #[allow(clippy::missing_errors_doc)]
    pub async fn claim(&self) -> Result<Done, ApiError> {
        self.post_empty("/v1/claims").await
    }

    /// What the node's account has at stake.
    #[allow(clippy::missing_errors_doc)]
    pub async fn stake(&self) -> Result<StakeJson, ApiError> {
        self.get("/v1/stake").await
    }

    /// Take a step with stake.
    #[allow(clippy::missing_errors_doc)]
    pub async fn change_stake(&self, request: &StakeRequest) -> Result<StakeJson, ApiError> {
        self.post("/v1/stake", request).await
    }

    /// Disputes that the node is a party or a juror of.
    #[allow(clippy::missing_errors_doc)]
    pub async fn disputes(&self) -> Result<DisputeList, ApiError> {
        self.get("/v1/disputes").await
    }

    /// Ask for a larger jury.
    #[allow(clippy::missing_errors_doc)]
    pub async fn appeal(&self, dispute: u64) -> Result<Done, ApiError> {
        self.post_empty(&format!("/v1/disputes/{dispute}/appeal")).await
    }

    /// Votes on parameters, and what the node's account can say in them.
    #[allow(clippy::missing_errors_doc)]
    pub async fn proposals(&self) -> Result<ProposalList, ApiError> {
        self.get("/v1/proposals").await
    }

    /// Votes; returns when the chain has it.
    #[allow(clippy::missing_errors_doc)]
    pub async fn vote(&self, proposal: &str, request: &VoteRequest) -> Result<Done, ApiError> {
        self.post(&format!("/v1/proposals/{proposal}/vote"), request).await
    }

    /// Whom the node knows.
    #[allow(clippy::missing_errors_doc)]
    pub async fn peers(&self) -> Result<PeerList, ApiError> {
        self.get("/v1/peers").await
    }

    /// Contact other nodes.
    #[allow(clippy::missing_errors_doc)]
    pub async fn join(&self, request: &JoinRequest) -> Result<Joined, ApiError> {
        self.post("/v1/peers", request).await
    }

    /// Make a ticket.
    #[allow(clippy::missing_errors_doc)]
    pub async fn invite(&self, request: &InviteRequest) -> Result<TicketJson, ApiError> {
        self.post("/v1/invites", request).await
    }

    /// Offers that the node knows; `refresh` asks directories first.
    #[allow(clippy::missing_errors_doc)]
    pub async fn offers(&self, refresh: bool) -> Result<OfferList, ApiError> {
        self.get(&format!("/v1/offers?refresh={refresh}")).await
    }

    /// Proofs of fraud that the node holds.
    #[allow(clippy::missing_errors_doc)]
    pub async fn proofs(&self) -> Result<ProofList, ApiError> {
        self.get("/v1/proofs").await
    }

    /// Why things go as they go.
    #[allow(clippy::missing_errors_doc)]
    pub async fn why(&self, job: Option<JobId>) -> Result<Why, ApiError> {
        match job {
            Some(job) => self.get(&format!("/v1/why?job={job}")).await,
            None => self.get("/v1/why").await,
        }
    }

    /// What the node finds when it looks at itself.
    #[allow(clippy::missing_errors_doc)]
    pub async fn doctor(&self) -> Result<Doctor, ApiError> {
        self.get("/v1/doctor").await
    }

    /// What the node counts, in Prometheus' text format.
    #[allow(clippy::missing_errors_doc)]
    pub async fn metrics(&self) -> Result<String, ApiError> {
        let response = send(self.request(Method::GET, "/metrics")).await?;
        response.text().await.map_err(|error| transport(&error))
    }

    /// Stop the node.
    #[allow(clippy::missing_errors_doc)]
    pub async fn shutdown(&self) -> Result<Done, ApiError> {
        self.post_empty("/v1/shutdown").await
    }

    /// Of these blobs, those that the node does not hold. Any number may be asked.
    #[allow(clippy::missing_errors_doc)]
    pub async fn missing_blobs(&self, digests: &[Digest]) -> Result<Vec<Digest>, ApiError> {
        let mut missing = Vec::new();
        for part in digests.chunks(limits::DIGESTS_PER_REQUEST_MAX) {
            let request = MissingRequest { digests: part.iter().copied().map(Text).collect() };
            let reply: MissingReply = self.post("/v1/blobs/missing", &request).await?;
            missing.extend(reply.missing.into_iter().map(|digest| digest.0));
        }
        Ok(missing)
    }

    /// Put a blob.
    #[allow(clippy::missing_errors_doc)]
    pub async fn put_blob(&self, body: impl Into<reqwest::Body>) -> Result<BlobStored, ApiError> {
        read(send(self.request(Method::POST, "/v1/blobs").body(body)).await?).await
    }

    /// The length of a blob that the node holds.
    #[allow(clippy::missing_errors_doc)]
    pub async fn blob_size(&self, digest: Digest) -> Result<Option<u64>, ApiError> {
        let request = self.request(Method::HEAD, &format!("/v1/blobs/{digest}"));
        let response = request.send().await.map_err(|error| transport(&error))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let length = response.headers().get(reqwest::header::CONTENT_LENGTH);
                let length = length.and_then(|v| v.to_str().ok()?.parse().ok());
                length.map(Some).ok_or_else(|| unreadable("a blob without its length"))
            }
            status => Err(unreadable(&format!("status {status} for a blob"))),
        }
    }

    /// The bytes of a blob of at most `bytes_max` bytes.
    #[allow(clippy::missing_errors_doc)]
    pub async fn blob_bytes(&self, digest: Digest, bytes_max: u64) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        let mut pieces = self.blob_pieces(digest).await?;
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() as u64 > bytes_max {
                let text = format!("blob {digest} is larger than {bytes_max} bytes");
                return Err(ApiError::new(codes::API_SIZE, text));
            }
        }
        Ok(bytes)
    }

    /// The first bytes of a blob, at most `count`.
    #[allow(clippy::missing_errors_doc)]
    pub async fn blob_head(&self, digest: Digest, count: usize) -> Result<Vec<u8>, ApiError> {
        let mut bytes = Vec::new();
        let mut pieces = self.blob_pieces(digest).await?;
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece?);
            if bytes.len() >= count {
                break;
            }
        }
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Writes a blob to `out`; how many bytes it had.
    ///
    /// # Errors
    /// As the API says, or with [`codes::OUTPUT_WRITE`] when `out` fails.
    pub async fn blob_to(
        &self,
        digest: Digest,
        out: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, ApiError> {
        let failed = |e: std::io::Error| ApiError::new(codes::OUTPUT_WRITE, e.to_string());
        let mut pieces = self.blob_pieces(digest).await?;
        let mut size = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            out.write_all(&piece).await.map_err(failed)?;
            size += piece.len() as u64;
        }
        out.flush().await.map_err(failed)?;
        Ok(size)
    }

    async fn blob_pieces(
        &self,
        digest: Digest,
    ) -> Result<impl Stream<Item = Result<axum::body::Bytes, ApiError>> + Unpin, ApiError> {
        let response = send(self.request(Method::GET, &format!("/v1/blobs/{digest}"))).await?;
        let pieces = response.bytes_stream();
        Ok(Box::pin(pieces.map(|piece| piece.map_err(|error| transport(&error)))))
    }

    /// Submit a job.
    #[allow(clippy::missing_errors_doc)]
    pub async fn submit(&self, request: &JobRequest) -> Result<JobAccepted, ApiError> {
        self.post("/v1/jobs", request).await
    }

    /// More tasks for an open job.
    #[allow(clippy::missing_errors_doc)]
    pub async fn add_tasks(&self, job: JobId, request: &AddTasks) -> Result<TasksAdded, ApiError> {
        self.post(&format!("/v1/jobs/{job}/tasks"), request).await
    }

    /// No more tasks will come.
    #[allow(clippy::missing_errors_doc)]
    pub async fn close(&self, job: JobId) -> Result<Done, ApiError> {
        self.post_empty(&format!("/v1/jobs/{job}/close")).await
    }

    /// Stop a job.
    #[allow(clippy::missing_errors_doc)]
    pub async fn cancel(&self, job: JobId) -> Result<Done, ApiError> {
        self.post_empty(&format!("/v1/jobs/{job}/cancel")).await
    }

    /// All jobs, newest first.
    #[allow(clippy::missing_errors_doc)]
    pub async fn jobs(&self) -> Result<JobList, ApiError> {
        self.get("/v1/jobs").await
    }

    /// One job.
    #[allow(clippy::missing_errors_doc)]
    pub async fn job(&self, job: JobId) -> Result<JobDetail, ApiError> {
        self.get(&format!("/v1/jobs/{job}")).await
    }

    /// Tasks of a job.
    #[allow(clippy::missing_errors_doc)]
    pub async fn tasks(&self, job: JobId, filter: TaskFilter) -> Result<TaskList, ApiError> {
        let mut path = format!("/v1/jobs/{job}/tasks?from={}", filter.from);
        if let Some(count) = filter.count {
            path.push_str(&format!("&count={count}"));
        }
        if let Some(state) = filter.state {
            path.push_str(&format!("&state={}", state.text()));
        }
        if filter.spec {
            path.push_str("&spec=true");
        }
        self.get(&path).await
    }

    /// One task.
    #[allow(clippy::missing_errors_doc)]
    pub async fn task(&self, job: JobId, index: u32) -> Result<TaskDetail, ApiError> {
        self.get(&format!("/v1/jobs/{job}/tasks/{index}")).await
    }

    /// The receipt of a task, as the bytes of a receipt file; `None` if there is none.
    #[allow(clippy::missing_errors_doc)]
    pub async fn receipt(&self, job: JobId, index: u32) -> Result<Option<Vec<u8>>, ApiError> {
        let path = format!("/v1/jobs/{job}/tasks/{index}/receipt");
        match send(self.request(Method::GET, &path)).await {
            Ok(response) => {
                let bytes = response.bytes().await.map_err(|error| transport(&error))?;
                Ok(Some(bytes.to_vec()))
            }
            Err(error) if error.code == codes::TASK_NO_RECEIPT => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What contradicts providers in a job.
    #[allow(clippy::missing_errors_doc)]
    pub async fn evidence(&self, job: JobId) -> Result<EvidenceList, ApiError> {
        self.get(&format!("/v1/jobs/{job}/evidence")).await
    }

    /// News of a job, or of everything, after the event `after` or from now on. Ends with an error
    /// when the connection breaks; call again with the last id seen.
    #[allow(clippy::missing_errors_doc)]
    pub async fn events(&self, job: Option<JobId>, after: Option<u64>) -> Result<Events, ApiError> {
        let path = job.map_or("/v1/events".to_owned(), |job| format!("/v1/jobs/{job}/events"));
        let mut request = self.request(Method::GET, &path).header("accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let response = send(request).await?;
        let pieces = response.bytes_stream().map(|piece| piece.map_err(|e| transport(&e)));
        Ok(Events::new(Box::pin(pieces)))
    }

    /// Run one task there.
    #[allow(clippy::missing_errors_doc)]
    pub async fn exec(&self, request: &ExecRequest) -> Result<ExecReport, ApiError> {
        self.post("/v1/exec", request).await
    }

    /// Look at a program.
    #[allow(clippy::missing_errors_doc)]
    pub async fn check(&self, program: Digest) -> Result<CheckJson, ApiError> {
        self.post("/v1/check", &CheckRequest { program: Text(program) }).await
    }

    /// Check a receipt, or a proof of fraud.
    #[allow(clippy::missing_errors_doc)]
    pub async fn verify(
        &self,
        receipt: Vec<u8>,
        re_execute: bool,
    ) -> Result<VerifyReport, ApiError> {
        let path = format!("/v1/verify?re_execute={re_execute}");
        let request = self.request(Method::POST, &path).body(receipt);
        read(send(request.header("content-type", "application/cbor")).await?).await
    }

    /// What the node lends.
    #[allow(clippy::missing_errors_doc)]
    pub async fn provider(&self) -> Result<ProviderStatus, ApiError> {
        self.get("/v1/provider").await
    }

    /// The owner's limits.
    #[allow(clippy::missing_errors_doc)]
    pub async fn limits(&self) -> Result<OwnerLimits, ApiError> {
        self.get("/v1/provider/limits").await
    }

    /// Sets them; answers what holds then.
    #[allow(clippy::missing_errors_doc)]
    pub async fn set_limits(&self, limits: &OwnerLimits) -> Result<OwnerLimits, ApiError> {
        let request = self.request(Method::PUT, "/v1/provider/limits").json(limits);
        read(send(request).await?).await
    }

    /// Goes back to what the settings say; answers what holds then.
    #[allow(clippy::missing_errors_doc)]
    pub async fn reset_limits(&self) -> Result<OwnerLimits, ApiError> {
        read(send(self.request(Method::DELETE, "/v1/provider/limits")).await?).await
    }

    /// Rest.
    #[allow(clippy::missing_errors_doc)]
    pub async fn pause(&self, how: &PauseRequest) -> Result<Done, ApiError> {
        self.post("/v1/provider/pause", how).await
    }

    /// Go on.
    #[allow(clippy::missing_errors_doc)]
    pub async fn resume(&self) -> Result<Done, ApiError> {
        self.post_empty("/v1/provider/resume").await
    }

    /// Finish what runs for others, take nothing new.
    #[allow(clippy::missing_errors_doc)]
    pub async fn drain(&self) -> Result<Done, ApiError> {
        self.post_empty("/v1/provider/drain").await
    }

    /// Make a link that logs a browser in.
    #[allow(clippy::missing_errors_doc)]
    pub async fn login_link(&self) -> Result<LoginLink, ApiError> {
        self.post_empty("/v1/login-links").await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.token.text())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        read(send(self.request(Method::GET, path)).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ApiError> {
        read(send(self.request(Method::POST, path).json(body)).await?).await
    }

    async fn post_empty<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        read(send(self.request(Method::POST, path)).await?).await
    }
}

/// Sends a request; an answer that is not a success becomes the error that it carries.
async fn send(request: RequestBuilder) -> Result<Response, ApiError> {
    let response = request.send().await.map_err(|error| transport(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    Err(match serde_json::from_str::<ErrorBody>(&text) {
        Ok(body) => body.error.into(),
        Err(_) if status == StatusCode::SERVICE_UNAVAILABLE => {
            ApiError::new(codes::NODE_UNREACHABLE, "the daemon is still starting")
        }
        Err(_) => unreadable(&format!("status {status} without a reason")),
    })
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, ApiError> {
    let bytes = response.bytes().await.map_err(|error| transport(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(&error.to_string()))
}

fn transport(error: &reqwest::Error) -> ApiError {
    let code = if error.is_connect() || error.is_timeout() || error.is_request() || error.is_body()
    {
        codes::NODE_UNREACHABLE
    } else {
        codes::NODE_ANSWER
    };
    ApiError::new(code, chain(error))
}

fn unreadable(why: &str) -> ApiError {
    ApiError::new(codes::NODE_ANSWER, format!("the daemon's answer can't be read: {why}"))
}
