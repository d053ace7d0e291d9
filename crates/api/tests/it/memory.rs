//! A node that keeps blobs, jobs' names and a few events in memory, and refuses the rest.

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Bytes;
use ayni_api::json::{
    BlobStored, ChannelList, CheckJson, ConfidenceJson, DisputeList, Doctor, EventJson, EventKind,
    EvidenceList, ExecReport, Identity, JobAccepted, JobCounts, JobDetail, JobList, JobRequest,
    JobState, JobSummary, Joined, NodeAddrJson, OfferList, OwnerLimits, PauseRequest, PeerList,
    ProofList, ProposalList, ProviderStatus, QuoteJson, QuoteRequest, Schema, StakeJson,
    StakeRequest, Status, TaskDetail, TaskFilter, TaskList, TasksAdded, Text, TicketJson,
    VerifyJson, VerifyReport, VoteRequest, WalletJson, Why,
};
use ayni_api::{ApiError, Backend, BlobBody, BlobRead, EventStream, codes};
use ayni_types::{ChannelId, Digest, JobId, NodeAddr, NodeId, TaskSpec};
use ayni_wire::ReceiptFile;
use futures_util::StreamExt as _;

/// Events that are remembered: ids 5 to 7.
const REMEMBERED: std::ops::RangeInclusive<u64> = 5..=7;

#[derive(Default)]
pub(crate) struct Memory {
    blobs: Mutex<BTreeMap<Digest, Bytes>>,
    jobs: Mutex<BTreeMap<JobId, (String, u32)>>,
}

fn unknown<T>(job: JobId) -> Result<T, ApiError> {
    Err(ApiError::new(codes::JOB_UNKNOWN, format!("no job {job} here")))
}

impl Backend for Memory {
    fn ready(&self) -> bool {
        true
    }
    async fn status(&self) -> Result<Status, ApiError> {
        Err(ApiError::internal(&std::io::Error::other("a bug")))
    }
    async fn identity(&self) -> Result<Identity, ApiError> {
        let node = Text(NodeId([7; 32]));
        Ok(Identity {
            schema: Schema,
            node,
            addr: NodeAddrJson { node, direct: vec![], relay: None },
        })
    }
    async fn peers(&self) -> Result<PeerList, ApiError> {
        Ok(PeerList { schema: Schema, peers: vec![] })
    }
    async fn wallet(&self) -> Result<WalletJson, ApiError> {
        Err(ApiError::new(codes::WALLET_NONE, "no account is configured"))
    }
    async fn channels(&self) -> Result<ChannelList, ApiError> {
        Ok(ChannelList { schema: Schema, channels: vec![] })
    }
    async fn close_channel(&self, channel: ChannelId) -> Result<(), ApiError> {
        Err(ApiError::new(codes::CHANNEL_UNKNOWN, format!("no channel {channel}")))
    }
    async fn quote(&self, request: QuoteRequest) -> Result<QuoteJson, ApiError> {
        Err(ApiError::new(codes::JOB_BAD, format!("{} tasks", request.tasks)))
    }
    async fn claim(&self) -> Result<(), ApiError> {
        Ok(())
    }
    async fn stake(&self) -> Result<StakeJson, ApiError> {
        Err(ApiError::new(codes::WALLET_NONE, "no account is configured"))
    }
    async fn change_stake(&self, request: StakeRequest) -> Result<StakeJson, ApiError> {
        Err(ApiError::new(codes::STAKE_REFUSED, format!("{request:?}")))
    }
    async fn disputes(&self) -> Result<DisputeList, ApiError> {
        Ok(DisputeList { schema: Schema, disputes: vec![] })
    }
    async fn appeal(&self, dispute: u64) -> Result<(), ApiError> {
        Err(ApiError::new(codes::DISPUTE_UNKNOWN, format!("no dispute {dispute}")))
    }
    async fn proposals(&self) -> Result<ProposalList, ApiError> {
        Err(ApiError::new(codes::WALLET_NONE, "no account is configured"))
    }
    async fn vote(&self, proposal: String, _: VoteRequest) -> Result<(), ApiError> {
        Err(ApiError::new(codes::PROPOSAL_UNKNOWN, format!("no proposal {proposal}")))
    }
    async fn join_ticket(&self, ticket: String) -> Result<Joined, ApiError> {
        Err(ApiError::new(codes::NET_TICKET, format!("not a join ticket: {ticket}")))
    }
    async fn join_addr(&self, addr: NodeAddr) -> Result<Joined, ApiError> {
        Ok(Joined { schema: Schema, peers: vec![Text(addr.node)] })
    }
    async fn invite(&self, valid_ms: u64) -> Result<TicketJson, ApiError> {
        Ok(TicketJson { schema: Schema, ticket: "ayni1".into(), expires_ms: valid_ms })
    }
    async fn offers(&self, _: bool) -> Result<OfferList, ApiError> {
        Ok(OfferList { schema: Schema, offers: vec![] })
    }
    async fn proofs(&self) -> Result<ProofList, ApiError> {
        Ok(ProofList { schema: Schema, proofs: vec![] })
    }
    async fn why(&self, job: Option<JobId>) -> Result<Why, ApiError> {
        let job = job.map(Text);
        Ok(Why { schema: Schema, job, summary: "all is well".into(), reasons: vec![] })
    }
    async fn doctor(&self) -> Result<Doctor, ApiError> {
        Ok(Doctor { schema: Schema, checks: vec![] })
    }
    async fn shutdown(&self) -> Result<(), ApiError> {
        Ok(())
    }
    async fn put_blob(&self, mut body: BlobBody) -> Result<BlobStored, ApiError> {
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.map_err(|e| ApiError::internal(&e))?);
        }
        let (digest, size) = (ayni_wire::digest(&bytes), bytes.len() as u64);
        self.blobs.lock().unwrap().insert(digest, bytes.into());
        Ok(BlobStored { schema: Schema, digest: Text(digest), size })
    }
    async fn blob_size(&self, digest: Digest) -> Result<Option<u64>, ApiError> {
        Ok(self.blobs.lock().unwrap().get(&digest).map(|bytes| bytes.len() as u64))
    }
    async fn blob(&self, digest: Digest) -> Result<Option<BlobRead>, ApiError> {
        let bytes = self.blobs.lock().unwrap().get(&digest).cloned();
        Ok(bytes.map(|bytes| BlobRead {
            size: bytes.len() as u64,
            body: Box::pin(futures_util::stream::iter([Ok(bytes)])),
        }))
    }
    async fn submit(
        &self,
        request: JobRequest,
        tasks: Vec<TaskSpec>,
    ) -> Result<JobAccepted, ApiError> {
        let count = u32::try_from(tasks.len()).unwrap();
        self.jobs.lock().unwrap().insert(request.id.0, (request.name, count));
        Ok(JobAccepted { schema: Schema, id: request.id, held: 0 })
    }
    async fn add_tasks(
        &self,
        job: JobId,
        _: u32,
        tasks: Vec<TaskSpec>,
    ) -> Result<TasksAdded, ApiError> {
        match self.jobs.lock().unwrap().get_mut(&job) {
            None => unknown(job),
            Some((_, count)) => {
                *count += u32::try_from(tasks.len()).unwrap();
                Ok(TasksAdded { schema: Schema, held: 0 })
            }
        }
    }
    async fn close(&self, job: JobId) -> Result<(), ApiError> {
        unknown(job)
    }
    async fn cancel(&self, job: JobId) -> Result<(), ApiError> {
        unknown(job)
    }
    async fn jobs(&self) -> Result<JobList, ApiError> {
        Ok(JobList { schema: Schema, jobs: vec![] })
    }
    async fn job(&self, job: JobId) -> Result<JobDetail, ApiError> {
        let Some((name, tasks)) = self.jobs.lock().unwrap().get(&job).cloned() else {
            return unknown(job);
        };
        Ok(JobDetail {
            schema: Schema,
            summary: JobSummary {
                id: Text(job),
                name,
                state: JobState::Running,
                counts: JobCounts { tasks, queued: tasks, ..JobCounts::default() },
                created_ms: 1,
                ended_ms: None,
                billed: Text(0),
            },
            fuel: Text(u64::MAX),
            price: Text(u128::MAX),
            budget: None,
            reserved: Text(0),
            budget_used_up: false,
            audited: 0,
            mismatches: 0,
            retried: 0,
            providers: vec![],
            stalled: None,
            timeout_ms: 1,
            deadline_ms: None,
            verify: VerifyJson::default(),
            confidence: ConfidenceJson::default(),
            nondeterministic: false,
            phases: vec![],
        })
    }
    async fn tasks(&self, _: JobId, filter: TaskFilter) -> Result<TaskList, ApiError> {
        Ok(TaskList { schema: Schema, tasks: vec![], next: filter.count })
    }
    async fn task(&self, job: JobId, _: u32) -> Result<TaskDetail, ApiError> {
        unknown(job)
    }
    async fn receipt(&self, _: JobId, _: u32) -> Result<Option<ReceiptFile>, ApiError> {
        Ok(None)
    }
    async fn evidence(&self, job: JobId) -> Result<EvidenceList, ApiError> {
        Ok(EvidenceList { schema: Schema, job: Text(job), evidence: vec![] })
    }
    async fn events(
        &self,
        job: Option<JobId>,
        after: Option<u64>,
    ) -> Result<EventStream, ApiError> {
        let job = job.map(Text);
        let event = move |id, kind| EventJson { id, time_ms: 1, job, kind };
        let first = after.map_or(8, |after| after + 1);
        let mut events = Vec::new();
        if first < *REMEMBERED.start() {
            events.push(event(4, EventKind::Resync));
        }
        for id in first.max(*REMEMBERED.start())..=*REMEMBERED.end() {
            events.push(event(id, EventKind::Stalled { reason: format!("line\n{id}") }));
        }
        Ok(Box::pin(futures_util::stream::iter(events)))
    }
    async fn exec(&self, _: TaskSpec, _: u64) -> Result<ExecReport, ApiError> {
        Err(ApiError::new(codes::PROGRAM_RUNNER, "no runner here"))
    }
    async fn check(&self, _: Digest) -> Result<CheckJson, ApiError> {
        Err(ApiError::new(codes::PROGRAM_RUNNER, "no runner here"))
    }
    async fn verify(&self, receipt: Bytes, re_execute: bool) -> Result<VerifyReport, ApiError> {
        let text = format!("{} bytes, {re_execute}", receipt.len());
        Err(ApiError::new(codes::RECEIPT_FORM, text))
    }
    async fn provider(&self) -> Result<ProviderStatus, ApiError> {
        Err(ApiError::new(codes::PROV_NONE, "this node does not provide"))
    }
    async fn limits(&self) -> Result<OwnerLimits, ApiError> {
        Err(ApiError::new(codes::PROV_NONE, "this node does not provide"))
    }
    async fn set_limits(&self, limits: Option<OwnerLimits>) -> Result<OwnerLimits, ApiError> {
        limits.ok_or_else(|| ApiError::new(codes::PROV_NONE, "this node does not provide"))
    }
    async fn pause(&self, _: PauseRequest) -> Result<(), ApiError> {
        Ok(())
    }
    async fn resume(&self) -> Result<(), ApiError> {
        Ok(())
    }
    async fn drain(&self) -> Result<(), ApiError> {
        Ok(())
    }
}
