//! What a node has to be able to do for this API. The node implements it; tests have a small one
//! of their own.

use std::future::Future;
use std::pin::Pin;

use axum::body::Bytes;
use ayni_types::{ChannelId, Digest, JobId, NodeAddr, TaskSpec};
use ayni_wire::ReceiptFile;
use futures_util::Stream;

use crate::error::ApiError;
use crate::json::{
    BlobStored, ChannelList, CheckJson, DisputeList, Doctor, EventJson, EvidenceList, ExecReport,
    Identity, JobAccepted, JobDetail, JobList, JobRequest, Joined, OfferList, OwnerLimits,
    PauseRequest, PeerList, ProofList, ProposalList, ProviderStatus, QuoteJson, QuoteRequest,
    StakeJson, StakeRequest, Status, TaskDetail, TaskFilter, TaskList, TasksAdded, TicketJson,
    VerifyReport, VoteRequest, WalletJson, Why,
};

/// Bytes on their way in or out, in pieces.
pub type BlobBody = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// A blob to be read.
pub struct BlobRead {
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes.
    pub body: BlobBody,
}

/// News as it comes. Ends when the node shuts down.
pub type EventStream = Pin<Box<dyn Stream<Item = EventJson> + Send>>;

/// A node, as seen by its owner. Methods may be called at once from many requests; write them as
/// `async fn`. Ids and tasks that arrive here are parsed and checked.
pub trait Backend: Send + Sync + 'static {
    /// Whether the node has read its journal and takes requests.
    fn ready(&self) -> bool;

    /// How it is.
    fn status(&self) -> impl Future<Output = Result<Status, ApiError>> + Send;
    /// Who it is.
    fn identity(&self) -> impl Future<Output = Result<Identity, ApiError>> + Send;
    /// Whom it knows.
    fn peers(&self) -> impl Future<Output = Result<PeerList, ApiError>> + Send;
    /// Contact the nodes that a ticket names. The ticket's text is not yet checked.
    fn join_ticket(&self, ticket: String) -> impl Future<Output = Result<Joined, ApiError>> + Send;
    /// Contact a node.
    fn join_addr(&self, addr: NodeAddr) -> impl Future<Output = Result<Joined, ApiError>> + Send;
    /// Make a ticket.
    fn invite(&self, valid_ms: u64) -> impl Future<Output = Result<TicketJson, ApiError>> + Send;
    /// Offers known now; asks directories first if `refresh`.
    fn offers(&self, refresh: bool) -> impl Future<Output = Result<OfferList, ApiError>> + Send;
    /// Proofs of fraud that it holds.
    fn proofs(&self) -> impl Future<Output = Result<ProofList, ApiError>> + Send;
    /// Why a job, or matching in general, goes as it goes.
    fn why(&self, job: Option<JobId>) -> impl Future<Output = Result<Why, ApiError>> + Send;
    /// Looks at itself and its machine.
    fn doctor(&self) -> impl Future<Output = Result<Doctor, ApiError>> + Send;
    /// Its account.
    fn wallet(&self) -> impl Future<Output = Result<WalletJson, ApiError>> + Send;
    /// What a job would cost now.
    fn quote(
        &self,
        request: QuoteRequest,
    ) -> impl Future<Output = Result<QuoteJson, ApiError>> + Send;
    /// Its channels.
    fn channels(&self) -> impl Future<Output = Result<ChannelList, ApiError>> + Send;
    /// Take back what a channel that it pays from still holds.
    fn close_channel(
        &self,
        channel: ChannelId,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// What its account has at stake.
    fn stake(&self) -> impl Future<Output = Result<StakeJson, ApiError>> + Send;
    /// Takes a step with stake, and waits until the chain has it.
    fn change_stake(
        &self,
        request: StakeRequest,
    ) -> impl Future<Output = Result<StakeJson, ApiError>> + Send;
    /// Disputes that it is a party or a juror of.
    fn disputes(&self) -> impl Future<Output = Result<DisputeList, ApiError>> + Send;
    /// Asks for a larger jury.
    fn appeal(&self, dispute: u64) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Votes on parameters.
    fn proposals(&self) -> impl Future<Output = Result<ProposalList, ApiError>> + Send;
    /// Votes; returns when the chain has it.
    fn vote(
        &self,
        proposal: String,
        request: VoteRequest,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Claim everything that is earned and promised.
    fn claim(&self) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Stop soon; answered before it does.
    fn shutdown(&self) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// Keep these bytes.
    fn put_blob(&self, body: BlobBody)
    -> impl Future<Output = Result<BlobStored, ApiError>> + Send;
    /// The length of a blob that is held in full, else `None`.
    fn blob_size(
        &self,
        digest: Digest,
    ) -> impl Future<Output = Result<Option<u64>, ApiError>> + Send;
    /// A blob that is held in full, else `None`.
    fn blob(
        &self,
        digest: Digest,
    ) -> impl Future<Output = Result<Option<BlobRead>, ApiError>> + Send;

    /// Run a job. Submitting the same id again is answered as the first time. `request.tasks` is
    /// empty: the tasks come parsed beside it.
    fn submit(
        &self,
        request: JobRequest,
        tasks: Vec<TaskSpec>,
    ) -> impl Future<Output = Result<JobAccepted, ApiError>> + Send;
    /// More tasks for an open job.
    fn add_tasks(
        &self,
        job: JobId,
        first_index: u32,
        tasks: Vec<TaskSpec>,
    ) -> impl Future<Output = Result<TasksAdded, ApiError>> + Send;
    /// No more tasks will come.
    fn close(&self, job: JobId) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Stop a job; accepted outcomes are kept.
    fn cancel(&self, job: JobId) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// All jobs, newest first.
    fn jobs(&self) -> impl Future<Output = Result<JobList, ApiError>> + Send;
    /// One job.
    fn job(&self, job: JobId) -> impl Future<Output = Result<JobDetail, ApiError>> + Send;
    /// Tasks of a job; `filter.count` is set and within its limit.
    fn tasks(
        &self,
        job: JobId,
        filter: TaskFilter,
    ) -> impl Future<Output = Result<TaskList, ApiError>> + Send;
    /// One task.
    fn task(
        &self,
        job: JobId,
        index: u32,
    ) -> impl Future<Output = Result<TaskDetail, ApiError>> + Send;
    /// The receipt of a task's accepted outcome; `None` if there is none.
    fn receipt(
        &self,
        job: JobId,
        index: u32,
    ) -> impl Future<Output = Result<Option<ReceiptFile>, ApiError>> + Send;
    /// What contradicts providers in a job.
    fn evidence(&self, job: JobId) -> impl Future<Output = Result<EvidenceList, ApiError>> + Send;
    /// News from now on, or from the one after `after` if it is still remembered, else a
    /// [`Resync`](crate::json::EventKind::Resync) first. Of one job, or of everything.
    fn events(
        &self,
        job: Option<JobId>,
        after: Option<u64>,
    ) -> impl Future<Output = Result<EventStream, ApiError>> + Send;

    /// Run one task here, in a jail, without the network.
    fn exec(
        &self,
        task: TaskSpec,
        timeout_ms: u64,
    ) -> impl Future<Output = Result<ExecReport, ApiError>> + Send;
    /// Look at a program without running it.
    fn check(&self, program: Digest) -> impl Future<Output = Result<CheckJson, ApiError>> + Send;
    /// Check a receipt, and execute its task again here if `re_execute`; or check a proof of fraud.
    /// The bytes are not yet looked at.
    fn verify(
        &self,
        receipt: Bytes,
        re_execute: bool,
    ) -> impl Future<Output = Result<VerifyReport, ApiError>> + Send;

    /// What this node lends.
    fn provider(&self) -> impl Future<Output = Result<ProviderStatus, ApiError>> + Send;
    /// The owner's limits.
    fn limits(&self) -> impl Future<Output = Result<OwnerLimits, ApiError>> + Send;
    /// Sets them, or goes back to the settings; answers what holds then.
    fn set_limits(
        &self,
        limits: Option<OwnerLimits>,
    ) -> impl Future<Output = Result<OwnerLimits, ApiError>> + Send;
    /// Rest; answered when what others gave is handed back.
    fn pause(&self, how: PauseRequest) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Go on.
    fn resume(&self) -> impl Future<Output = Result<(), ApiError>> + Send;
    /// Finish what runs, take nothing new; answered when nothing runs for others any more.
    fn drain(&self) -> impl Future<Output = Result<(), ApiError>> + Send;
}
