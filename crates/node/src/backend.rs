//! What the API asks of a node, carried out: looks at the core, commands to it, blobs, jails.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ayni_api::json::{
    BlobStored, ChannelList, CheckJson, CheckLevel, DisputeList, Doctor, EventJson, EventKind,
    EvidenceList, ExecReport, FaultJson, Identity, JobAccepted, JobDetail, JobList, JobRequest,
    Joined, Lending, NodeAddrJson, ObservedJson, OfferJson, OfferList, OutcomeJson, OwnerLimits,
    PauseReasonJson, PauseRequest, Peer, PeerList, ProofList, ProposalList, ProviderState,
    ProviderStatus, QuoteJson, QuoteRequest, RolesJson, Schema, SlotJson, StakeJson, StakeRequest,
    Status, TaskDetail, TaskFilter, TaskJson, TaskList, TasksAdded, Text, TicketJson, VerifyReport,
    VoteRequest, VoteWord, WalletJson, Warning, Why, WhyReason,
};
use ayni_api::{ApiError, Backend, BlobBody, BlobRead, EventStream, codes};
use ayni_core::{Command, CommandError, Core, Event, JobSpec, Reply};
use ayni_net::Path;
use ayni_store::{Area, StoreError};
use ayni_types::{
    Amount, BlobRef, ChannelId, Digest, Fault, FaultKind, JobId, NodeAddr, NodeId, Price, Roles,
    TaskSpec, Time, Verify,
};
use ayni_wire::{ReceiptFile, Ticket, task_id};
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::io::ReaderStream;

use crate::bank::{BankHandle, StakeStep};
use crate::convert;
use crate::gov;
use crate::owner::{Owner, OwnerError, Paused};
use crate::pump::Stopped;
use crate::start::{Shared, VERSION, read_peer};
use crate::work::once;

/// A longer reason is for elsewhere.
const VOTE_REASON_BYTES_MAX: usize = 1_000;

pub(crate) struct NodeBackend(pub(crate) Arc<Shared>);

fn stopped(_: Stopped) -> ApiError {
    ApiError::new(codes::NODE_SHUTTING_DOWN, "the node is shutting down")
}

fn command_error(error: &CommandError) -> ApiError {
    let code = match error {
        CommandError::UnknownJob(_) => codes::JOB_UNKNOWN,
        CommandError::UnknownChannel(_) => codes::CHANNEL_UNKNOWN,
        CommandError::BadTask { .. } => codes::TASK_BAD,
        CommandError::BadJob(_) => codes::JOB_BAD,
        CommandError::Ended { .. } => codes::JOB_ENDED,
        CommandError::Journal(_) => codes::NODE_JOURNAL,
        CommandError::NotAProvider => codes::PROV_NONE,
    };
    ApiError::new(code, error.to_string())
}

fn store_error(error: &StoreError) -> ApiError {
    match error {
        StoreError::Full { .. } => ApiError::new(codes::BLOB_DISK, error.to_string()),
        StoreError::Mismatch { .. } => ApiError::new(codes::BLOB_BAD, error.to_string()),
        StoreError::Io(_) => ApiError::internal(error),
    }
}

fn owner_error(error: &OwnerError) -> ApiError {
    match error {
        OwnerError::Limit(_) => ApiError::new(codes::PROV_LIMIT, error.to_string()),
        _ => ApiError::internal(error),
    }
}

fn unknown_job(job: JobId) -> ApiError {
    ApiError::new(codes::JOB_UNKNOWN, format!("no job {job} here"))
}

/// What a fault of the sandbox is to a caller of the API.
fn fault_error(fault: &Fault) -> ApiError {
    let code = match fault.kind {
        FaultKind::InvalidProgram => codes::PROGRAM_INVALID,
        FaultKind::InputUnavailable => codes::BLOB_UNKNOWN,
        FaultKind::DiskFull => codes::BLOB_DISK,
        _ => codes::PROGRAM_RUNNER,
    };
    ApiError::new(code, fault.to_string())
}

impl NodeBackend {
    async fn look<T: Send + 'static>(
        &self,
        view: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        self.0.asked();
        self.0.handle.look(view).await.map_err(stopped)
    }

    async fn command(&self, command: Command) -> Result<Reply, ApiError> {
        self.0.asked();
        let result = self.0.handle.command(command).await.map_err(stopped)?;
        result.map_err(|error| command_error(&error))
    }

    fn bank(&self) -> Result<&BankHandle, ApiError> {
        self.0.bank.as_ref().ok_or_else(|| {
            ApiError::new(codes::WALLET_NONE, "no account is configured for this node")
        })
    }

    /// Lengths of what tasks read, as far as it is here.
    async fn sizes(&self, tasks: &[TaskSpec]) -> Result<Vec<BlobRef>, ApiError> {
        let blobs = self.0.blobs.clone();
        let read = crate::inputs::blobs_of(tasks);
        let found = tokio::task::spawn_blocking(move || crate::inputs::sizes(&blobs, &read)).await;
        let found = found.map_err(|error| ApiError::internal(&error))?;
        found.map_err(|error| store_error(&error))
    }

    fn owner(&self) -> Result<&Owner, ApiError> {
        let owner = self.0.owner.as_deref();
        owner.ok_or_else(|| command_error(&CommandError::NotAProvider))
    }

    fn provider_status(&self, core: &Core) -> Option<ProviderStatus> {
        let provide = self.0.config.provide.as_ref()?;
        let owner = self.0.owner.as_ref()?;
        let (limits, rests) = (owner.limits(), owner.rests());
        let view = core.provider();
        let state = match (view.draining, view.running.is_empty(), view.paused.is_empty()) {
            (true, true, _) => ProviderState::Drained,
            (true, false, _) => ProviderState::Draining,
            (false, _, false) => ProviderState::Paused,
            (false, _, true) => ProviderState::Active,
        };
        let sandbox = &self.0.shop.sandbox;
        let missing = sandbox
            .probe()
            .iter()
            .filter_map(|wall| wall.missing.as_ref().map(|why| format!("{}: {why}", wall.wall)));
        Some(ProviderStatus {
            schema: Schema,
            state,
            pauses: view.paused.iter().map(|reason| convert::pause(*reason)).collect(),
            rests: view
                .paused
                .iter()
                .map(|reason| convert::rest(*reason, rests.get(reason)))
                .collect(),
            readings: convert::readings(&owner.readings()),
            lending: Lending {
                slots: limits.cpus,
                memory_bytes: limits.memory_bytes,
                disk_bytes: limits.disk_bytes,
                price: limits.price.into(),
                busy_percent: limits.busy_percent,
                price_now: view.price.into(),
            },
            slots: view
                .running
                .iter()
                // What is only in hand takes no slot yet.
                .filter(|work| work.run.is_some())
                .map(|run| SlotJson {
                    requester: Some(Text(run.requester)),
                    task: Text(run.task),
                    since_ms: run.since.0,
                })
                .collect(),
            leases: u32::try_from(core.leases().iter().filter(|l| l.we_provide).count())
                .unwrap_or(u32::MAX),
            tasks_done: view.totals.tasks,
            fuel: Text(view.totals.fuel.0),
            earned: Text(view.totals.earned.0),
            busy_ms: view.totals.busy_ms,
            power: provide.power.map(|power| convert::power_json(&power, view.totals.busy_ms)),
            walls: sandbox.walls().iter().map(ToString::to_string).collect(),
            walls_missing: missing.collect(),
            build: sandbox.build().version.clone(),
        })
    }

    fn warnings(&self, provider: Option<&ProviderStatus>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |message: String, hint: &str| {
            warnings.push(Warning {
                level: CheckLevel::Warn,
                message,
                hint: Some(hint.to_owned()),
            });
        };
        if let Some(provider) = provider {
            if !provider.pauses.is_empty() {
                let why: Vec<_> = provider.pauses.iter().map(|reason| reason.text()).collect();
                let told = provider.pauses.contains(&PauseReasonJson::Owner);
                let hint = if told { "ayni resume" } else { "ayni limits" };
                warn(format!("nothing runs for others: {}", why.join(", ")), hint);
            }
            for wall in &provider.walls_missing {
                warn(format!("a wall of the sandbox is missing: {wall}"), "ayni doctor");
            }
        }
        warnings
    }

    fn addr_json(&self) -> NodeAddrJson {
        NodeAddrJson::from(&self.0.net.addr())
    }

    fn join(&self, peers: Vec<NodeAddr>) -> Joined {
        let named = peers.iter().map(|peer| Text(peer.node)).collect();
        for peer in peers {
            self.0.handle.event(Event::Discovered(peer));
        }
        Joined { schema: Schema, peers: named }
    }
}

impl Backend for NodeBackend {
    fn ready(&self) -> bool {
        !self.0.stop.is_cancelled()
    }

    async fn status(&self) -> Result<Status, ApiError> {
        let shared = self.0.clone();
        let this = Self(shared.clone());
        let (jobs, offers, provider) = self
            .look(move |core| (core.jobs(), core.offers().len(), this.provider_status(core)))
            .await?;
        let running =
            jobs.iter().filter(|job| !convert::is_final(job)).map(convert::job_summary).collect();
        Ok(Status {
            schema: Schema,
            node: Text(shared.key.id()),
            version: VERSION.to_owned(),
            pid: std::process::id(),
            home: shared.config.home.display().to_string(),
            roles: RolesJson::from(Roles {
                provider: shared.config.provide.is_some(),
                directory: shared.config.directory,
                relay: shared.config.serve_relay.is_some(),
            }),
            uptime_ms: u64::try_from(shared.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            addr: self.addr_json(),
            peers: u32::try_from(shared.net.peers().len()).unwrap_or(u32::MAX),
            offers: u32::try_from(offers).unwrap_or(u32::MAX),
            jobs_running: running,
            jobs: u32::try_from(jobs.len()).unwrap_or(u32::MAX),
            warnings: self.warnings(provider.as_ref()),
            provider,
        })
    }

    async fn identity(&self) -> Result<Identity, ApiError> {
        self.0.asked();
        Ok(Identity { schema: Schema, node: Text(self.0.key.id()), addr: self.addr_json() })
    }

    async fn peers(&self) -> Result<PeerList, ApiError> {
        let known = self.look(|core| core.peers()).await?;
        let connected = self.0.net.peers();
        let now = self.0.clock.now();
        let mut peers: Vec<Peer> = known
            .into_iter()
            .map(|peer| {
                let link = connected.iter().find(|status| status.node == peer.node);
                let path = match link.map(|status| &status.path) {
                    Some(Path::Direct(_)) => "direct",
                    Some(Path::Relay(_)) => "relayed",
                    Some(Path::Unknown) => "mixed",
                    None => "none",
                };
                Peer {
                    node: Text(peer.node),
                    connected: link.is_some(),
                    path: path.to_owned(),
                    direct: peer.addr.map(|addr| addr.direct).unwrap_or_default(),
                    rtt_ms: link.map(|status| u64::from(status.rtt_ms)),
                    roles: peer.roles.map(RolesJson::from),
                    agent: (!peer.agent.is_empty()).then_some(peer.agent),
                    seen_ms: (peer.heard > Time(0)).then_some(peer.heard.0.min(now.0)),
                    connected_ms: link
                        .map(|status| u64::try_from(status.since.as_millis()).unwrap_or(u64::MAX)),
                    bytes_in: link.map(|status| status.bytes_in),
                    bytes_out: link.map(|status| status.bytes_out),
                }
            })
            .collect();
        peers.sort_by_key(|peer| !peer.connected);
        Ok(PeerList { schema: Schema, peers })
    }

    async fn join_ticket(&self, ticket: String) -> Result<Joined, ApiError> {
        self.0.asked();
        let peers = read_peer(&ticket, Some(self.0.clock.now()))
            .map_err(|why| ApiError::new(codes::NET_TICKET, why))?;
        Ok(self.join(peers))
    }

    async fn join_addr(&self, addr: NodeAddr) -> Result<Joined, ApiError> {
        self.0.asked();
        Ok(self.join(vec![addr]))
    }

    async fn invite(&self, valid_ms: u64) -> Result<TicketJson, ApiError> {
        self.0.asked();
        let expires = self.0.clock.now().after_ms(valid_ms);
        let own = self.0.net.addr();
        let ticket = Ticket { issuer: self.0.key.id(), peers: vec![own], expires };
        Ok(TicketJson {
            schema: Schema,
            ticket: ticket.to_text(&self.0.key),
            expires_ms: expires.0,
        })
    }

    async fn offers(&self, refresh: bool) -> Result<OfferList, ApiError> {
        let mut offers = self.look(|core| core.offers()).await?;
        if refresh || offers.is_empty() {
            self.command(Command::RefreshOffers).await?;
            // Answers come as they come; a local network needs a fraction of this.
            tokio::time::sleep(Duration::from_millis(500)).await;
            offers = self.look(|core| core.offers()).await?;
        }
        let offers = offers.iter().map(|view| OfferJson::from(&view.offer)).collect();
        Ok(OfferList { schema: Schema, offers })
    }

    async fn proofs(&self) -> Result<ProofList, ApiError> {
        let proofs = self.look(|core| core.proofs()).await?;
        let proofs = proofs.iter().map(convert::proof_json).collect();
        Ok(ProofList { schema: Schema, proofs })
    }

    async fn why(&self, job: Option<JobId>) -> Result<Why, ApiError> {
        let (lines, offers, known) = self
            .look(move |core| {
                (core.why(job), core.offers(), job.is_none_or(|id| core.job(id).is_some()))
            })
            .await?;
        if let (Some(id), false) = (job, known) {
            return Err(unknown_job(id));
        }
        let usable = offers.iter().filter(|view| view.obstacle.is_none()).count();
        let summary = match (offers.len(), usable) {
            (0, _) => "no provider is known".to_owned(),
            (all, 0) => format!("{all} providers are known, none can be used now"),
            (all, usable) => format!("{usable} of {all} known providers can be used"),
        };
        let reasons = lines
            .into_iter()
            .map(|line| {
                let subject = line.subject.strip_prefix("provider ").unwrap_or(&line.subject);
                let provider = subject.parse::<NodeId>().ok().map(Text);
                let reason = match provider {
                    Some(_) => line.reason,
                    None => format!("{}: {}", line.subject, line.reason),
                };
                let hint = (!line.hint.is_empty()).then_some(line.hint);
                WhyReason { provider, ok: false, reason, hint }
            })
            .collect();
        Ok(Why { schema: Schema, job: job.map(Text), summary, reasons })
    }

    async fn doctor(&self) -> Result<Doctor, ApiError> {
        self.0.asked();
        Ok(Doctor { schema: Schema, checks: crate::doctor::checks(&self.0).await })
    }

    async fn shutdown(&self) -> Result<(), ApiError> {
        let stop = self.0.stop.clone();
        tokio::spawn(async move {
            // So that the answer goes out first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.cancel();
        });
        Ok(())
    }

    async fn put_blob(&self, mut body: BlobBody) -> Result<BlobStored, ApiError> {
        self.0.asked();
        let blobs = self.0.blobs.clone();
        let (pieces, mut taken) = tokio::sync::mpsc::channel::<bytes::Bytes>(16);
        let writing = tokio::task::spawn_blocking(move || {
            let mut writer = blobs.writer(Area::Kept)?;
            while let Some(piece) = taken.blocking_recv() {
                if piece.is_empty() {
                    return writer.finish().map(Some);
                }
                writer.write_all(&piece)?;
            }
            // The body broke off: nothing is kept.
            Ok(None)
        });
        let mut broken = None;
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => {
                    if pieces.send(piece).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        if broken.is_none() {
            // An empty piece ends it well.
            let _ = pieces.send(bytes::Bytes::new()).await;
        }
        drop(pieces);
        match writing.await {
            Ok(Ok(Some((digest, size)))) => {
                Ok(BlobStored { schema: Schema, digest: Text(digest), size })
            }
            Ok(Ok(None)) => {
                Err(ApiError::new(codes::BLOB_BAD, broken.unwrap_or_else(|| "broke off".into())))
            }
            Ok(Err(error)) => Err(store_error(&error)),
            Err(error) => Err(ApiError::internal(&error)),
        }
    }

    async fn blob_size(&self, digest: Digest) -> Result<Option<u64>, ApiError> {
        self.0.asked();
        let opened = self.0.blobs.open_blob(&digest).map_err(|error| store_error(&error))?;
        Ok(opened.map(|(_, size)| size))
    }

    async fn blob(&self, digest: Digest) -> Result<Option<BlobRead>, ApiError> {
        self.0.asked();
        let opened = self.0.blobs.open_blob(&digest).map_err(|error| store_error(&error))?;
        Ok(opened.map(|(file, size)| {
            let reader = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 64 << 10);
            BlobRead { size, body: Box::pin(reader) }
        }))
    }

    async fn submit(
        &self,
        request: JobRequest,
        tasks: Vec<TaskSpec>,
    ) -> Result<JobAccepted, ApiError> {
        let sizes = self.sizes(&tasks).await?;
        let spec = JobSpec {
            id: request.id.0,
            name: request.name,
            tasks,
            open: request.open,
            timeout_ms: request.timeout_ms,
            deadline: request.deadline_ms.map(|ms| self.0.clock.now().after_ms(ms)),
            verify: Verify::from(&request.verify),
            providers_max: request.providers_max,
            home: request.home,
            nondeterministic: request.nondeterministic,
            price_max: request.price_max.map(Price::from),
            budget: request.budget.map(|budget| Amount(budget.0)),
            sizes,
        };
        match self.command(Command::SubmitJob(spec)).await? {
            Reply::Accepted { job, held } => {
                Ok(JobAccepted { schema: Schema, id: Text(job), held })
            }
            other => Err(ApiError::new(codes::NODE_INTERNAL, format!("answered {other:?}"))),
        }
    }

    async fn add_tasks(
        &self,
        job: JobId,
        first_index: u32,
        tasks: Vec<TaskSpec>,
    ) -> Result<TasksAdded, ApiError> {
        let sizes = self.sizes(&tasks).await?;
        match self.command(Command::AddTasks { job, first_index, tasks, sizes }).await? {
            Reply::Accepted { held, .. } => Ok(TasksAdded { schema: Schema, held }),
            Reply::Done | Reply::Drained => Ok(TasksAdded { schema: Schema, held: 0 }),
        }
    }

    async fn close(&self, job: JobId) -> Result<(), ApiError> {
        self.command(Command::CloseJob { job }).await.map(drop)
    }

    async fn cancel(&self, job: JobId) -> Result<(), ApiError> {
        self.command(Command::CancelJob { job }).await.map(drop)
    }

    async fn jobs(&self) -> Result<JobList, ApiError> {
        let jobs = self.look(|core| core.jobs()).await?;
        Ok(JobList { schema: Schema, jobs: jobs.iter().map(convert::job_summary).collect() })
    }

    async fn job(&self, job: JobId) -> Result<JobDetail, ApiError> {
        let (view, leases, evidence) =
            self.look(move |core| (core.job(job), core.leases(), core.evidence(job))).await?;
        let view = view.ok_or_else(|| unknown_job(job))?;
        let phases = {
            let news = self.0.news.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            news.phases(job)
        };
        Ok(convert::job_detail(&view, &leases, &evidence, phases))
    }

    async fn tasks(&self, job: JobId, filter: TaskFilter) -> Result<TaskList, ApiError> {
        let count = filter.count.unwrap_or(100);
        let (rows, next) = self
            .look(move |core| {
                let tasks = core.tasks_of(job)?;
                let evidence = core.evidence(job);
                let (mut rows, mut at) = (Vec::new(), filter.from);
                // A filter that fits few tasks must not make one look too long.
                let looked_max = at.saturating_add(20_000);
                while at < tasks && at < looked_max && rows.len() < count as usize {
                    let Some(task) = core.task(job, at) else { break };
                    let observed = if task.receipt { core.observed(job, at) } else { None };
                    let replaced = convert::is_replaced(&task, &evidence);
                    let mut row = convert::task_row(&task, observed, replaced);
                    if filter.spec {
                        row.spec = core.task_spec(job, at).map(|spec| TaskJson::from(&spec));
                    }
                    if filter.state.is_none_or(|state| state == row.state) {
                        rows.push(row);
                    }
                    at += 1;
                }
                Some((rows, (at < tasks).then_some(at)))
            })
            .await?
            .ok_or_else(|| unknown_job(job))?;
        Ok(TaskList { schema: Schema, tasks: rows, next })
    }

    async fn task(&self, job: JobId, index: u32) -> Result<TaskDetail, ApiError> {
        let found = self
            .look(move |core| {
                let view = core.job(job)?;
                let task = core.task(job, index).zip(core.task_spec(job, index));
                let receipt = core.receipt(job, index);
                Some((view, task, receipt, core.evidence(job)))
            })
            .await?;
        let (view, task, receipt, evidence) = found.ok_or_else(|| unknown_job(job))?;
        let Some((task, spec)) = task else {
            let tasks = view.counts.tasks;
            let text = format!("job {job} has {tasks} tasks, none with index {index}");
            return Err(ApiError::new(codes::TASK_UNKNOWN, text));
        };
        let replaced = convert::is_replaced(&task, &evidence);
        Ok(TaskDetail {
            schema: Schema,
            row: convert::task_row(&task, receipt.as_ref().map(|r| r.receipt.observed), replaced),
            spec: TaskJson::from(&spec),
            faults: convert::faults(&task),
        })
    }

    async fn receipt(&self, job: JobId, index: u32) -> Result<Option<ReceiptFile>, ApiError> {
        self.look(move |core| core.receipt(job, index)).await
    }

    async fn evidence(&self, job: JobId) -> Result<EvidenceList, ApiError> {
        let (view, evidence) = self.look(move |core| (core.job(job), core.evidence(job))).await?;
        let view = view.ok_or_else(|| unknown_job(job))?;
        let evidence = evidence.iter().map(|one| convert::evidence(one, view.reruns)).collect();
        Ok(EvidenceList { schema: Schema, job: Text(job), evidence })
    }

    async fn events(
        &self,
        job: Option<JobId>,
        after: Option<u64>,
    ) -> Result<EventStream, ApiError> {
        if let Some(id) = job
            && !self.look(move |core| core.job(id).is_some()).await?
        {
            return Err(unknown_job(id));
        }
        let (past, newest, live) = {
            let news = self.0.news.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let newest = news.newest();
            let (past, live) = news.watch(after.unwrap_or(newest));
            (past, newest, live)
        };
        let now = self.0.clock.now();
        let resync = move || EventJson {
            id: newest,
            time_ms: now.0,
            job: job.map(Text),
            kind: EventKind::Resync,
        };
        let past: Vec<EventJson> = match past {
            Some(past) => past.iter().map(convert::event).collect(),
            None => vec![resync()],
        };
        let shared = self.0.clone();
        let live = stream::unfold(live, move |mut live| {
            let shared = shared.clone();
            async move {
                tokio::select! {
                    () = shared.stop.cancelled() => None,
                    next = live.recv() => match next {
                        Ok(numbered) => Some((convert::event(&numbered), live)),
                        // The watcher is too slow; it reads the job again.
                        Err(RecvError::Lagged(_)) => Some((resync(), live)),
                        Err(RecvError::Closed) => None,
                    },
                }
            }
        });
        let wanted = move |event: &EventJson| {
            job.is_none()
                || event.job.as_ref().map(|id| id.0) == job
                || matches!(event.kind, EventKind::Resync)
        };
        let events = stream::iter(past).chain(live);
        Ok(Box::pin(events.filter(move |event| std::future::ready(wanted(event)))))
    }

    async fn exec(&self, task: TaskSpec, timeout_ms: u64) -> Result<ExecReport, ApiError> {
        self.0.asked();
        let ran = once(&self.0.shop, &task, Duration::from_millis(timeout_ms)).await;
        self.0.asked();
        let (outcome, observed, fault) = match &ran {
            Ok(ran) => (
                Some(OutcomeJson::from(&ran.outcome)),
                Some(ObservedJson::from(ran.observed)),
                None,
            ),
            Err(fault) if fault.kind == FaultKind::InvalidProgram => {
                return Err(fault_error(fault));
            }
            Err(fault) => (None, None, Some(FaultJson::from(fault))),
        };
        Ok(ExecReport { schema: Schema, task: Text(task_id(&task)), outcome, fault, observed })
    }

    async fn check(&self, program: Digest) -> Result<CheckJson, ApiError> {
        self.0.asked();
        let report = self.0.shop.programs.check(&program).await;
        report.map(CheckJson::from).map_err(|fault| fault_error(&fault))
    }

    async fn verify(
        &self,
        receipt: bytes::Bytes,
        re_execute: bool,
    ) -> Result<VerifyReport, ApiError> {
        self.0.asked();
        crate::receipts::verify(&self.0, &receipt, re_execute).await
    }

    async fn provider(&self) -> Result<ProviderStatus, ApiError> {
        let this = Self(self.0.clone());
        let status = self.look(move |core| this.provider_status(core)).await?;
        status.ok_or_else(|| command_error(&CommandError::NotAProvider))
    }

    async fn wallet(&self) -> Result<WalletJson, ApiError> {
        let bank = self.bank()?;
        let held = bank.balances().await.ok_or_else(|| stopped(Stopped))?;
        let held = held.map_err(|error| ApiError::new(codes::CHAIN_SILENT, error.to_string()))?;
        let (channels, at_risk) = self.look(|core| (core.channels(), core.at_risk())).await?;
        let sum = |of: &dyn Fn(&ayni_core::ChannelView) -> u128| {
            Text(channels.iter().map(of).fold(0_u128, u128::saturating_add))
        };
        Ok(WalletJson {
            schema: Schema,
            account: Text(bank.account),
            chain: bank.contracts.chain,
            local_ledger: bank.is_local,
            rpc: bank.rpc.clone(),
            block: held.block,
            token: Text(bank.contracts.token),
            balance: Text(held.token.0),
            gas_wei: Text(held.gas_wei.0),
            in_channels: sum(&|c| match c.we_are_paid {
                true => 0,
                false => c.deposit.0.saturating_sub(c.owed.0.max(c.claimed.0)),
            }),
            to_claim: sum(&|c| match c.we_are_paid {
                true => c.owed.0.saturating_sub(c.claimed.0),
                false => 0,
            }),
            at_risk: Text(at_risk.0),
        })
    }

    async fn stake(&self) -> Result<StakeJson, ApiError> {
        let bank = self.bank()?;
        let staked = bank.staked().await.ok_or_else(|| stopped(Stopped))?;
        let staked =
            staked.map_err(|error| ApiError::new(codes::CHAIN_SILENT, error.to_string()))?;
        Ok(convert::stake_json(bank.account, &staked))
    }

    async fn change_stake(&self, request: StakeRequest) -> Result<StakeJson, ApiError> {
        let step = match request {
            StakeRequest::Add { amount } => StakeStep::Add(Amount(amount.0)),
            StakeRequest::Leave { amount } => StakeStep::Leave(Amount(amount.0)),
            StakeRequest::Take => StakeStep::Take,
            StakeRequest::Jury { weight } => StakeStep::Jury(Amount(weight.0)),
        };
        let done = self.bank()?.stake(step).await.ok_or_else(|| stopped(Stopped))?;
        done.map_err(|why| ApiError::new(codes::STAKE_REFUSED, why))?;
        self.stake().await
    }

    async fn disputes(&self) -> Result<DisputeList, ApiError> {
        let bank = self.bank()?;
        let calls = bank.disputes().await.ok_or_else(|| stopped(Stopped))?;
        let disputes = calls.iter().map(|call| convert::dispute_json(bank.account, call));
        Ok(DisputeList { schema: Schema, disputes: disputes.collect() })
    }

    async fn appeal(&self, dispute: u64) -> Result<(), ApiError> {
        let bank = self.bank()?;
        let calls = bank.disputes().await.ok_or_else(|| stopped(Stopped))?;
        if !calls.iter().any(|call| call.dispute.id == dispute) {
            let why = format!("no dispute {dispute} that this node is part of");
            return Err(ApiError::new(codes::DISPUTE_UNKNOWN, why));
        }
        bank.appeal(dispute);
        Ok(())
    }

    async fn proposals(&self) -> Result<ProposalList, ApiError> {
        let bank = self.bank()?;
        let seen = gov::seen(&bank.client, &bank.contracts, bank.account).await;
        seen.map_err(|error| gov::refused(&error))
    }

    async fn vote(&self, proposal: String, request: VoteRequest) -> Result<(), ApiError> {
        let bank = self.bank()?;
        let id: gov::ProposalId = proposal.parse().map_err(|error| gov::refused(&error))?;
        if request.reason.len() > VOTE_REASON_BYTES_MAX {
            let why = format!("a reason of {} bytes", request.reason.len());
            let hint = format!("at most {VOTE_REASON_BYTES_MAX}: every node of the chain keeps it");
            return Err(ApiError::new(codes::VOTE_REFUSED, why).hint(hint));
        }
        gov::may_vote(&bank.client, &bank.contracts, bank.account, id).await?;
        let vote = match request.vote {
            VoteWord::For => gov::Vote::For,
            VoteWord::Against => gov::Vote::Against,
            VoteWord::Abstain => gov::Vote::Abstain,
        };
        let data = ayni_chain::contracts::gov::vote(id, vote, &request.reason);
        let done = bank.vote(data).await.ok_or_else(|| stopped(Stopped))?;
        done.map_err(|why| ApiError::new(codes::VOTE_REFUSED, why))
    }

    async fn quote(&self, request: QuoteRequest) -> Result<QuoteJson, ApiError> {
        self.command(Command::RefreshOffers).await?;
        // As for `offers`.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let ask = convert::quote_ask(&request);
        let quote = self.look(move |core| core.quote_job(&ask)).await?;
        Ok(convert::quote_json(quote))
    }

    async fn channels(&self) -> Result<ChannelList, ApiError> {
        let channels = self.look(|core| core.channels()).await?;
        let channels = channels.into_iter().map(convert::channel_json).collect();
        Ok(ChannelList { schema: Schema, channels })
    }

    async fn close_channel(&self, channel: ChannelId) -> Result<(), ApiError> {
        self.command(Command::CloseChannel { channel }).await.map(drop)
    }

    async fn claim(&self) -> Result<(), ApiError> {
        self.owner()?;
        self.command(Command::Claim).await.map(drop)
    }

    async fn limits(&self) -> Result<OwnerLimits, ApiError> {
        Ok(self.owner()?.limits().json())
    }

    async fn set_limits(&self, limits: Option<OwnerLimits>) -> Result<OwnerLimits, ApiError> {
        let owner = self.owner()?;
        self.0.asked();
        owner.set(limits.as_ref()).await.map_err(|error| owner_error(&error))?;
        Ok(owner.limits().json())
    }

    async fn pause(&self, how: PauseRequest) -> Result<(), ApiError> {
        let owner = self.owner()?;
        self.0.asked();
        let until =
            |seconds: u64| self.0.clock.now().0.saturating_add(seconds.saturating_mul(1_000));
        let paused = Paused { until_ms: how.for_s.map(until) };
        owner.pause(Some(paused)).await.map_err(|error| owner_error(&error))
    }

    async fn resume(&self) -> Result<(), ApiError> {
        let owner = self.owner()?;
        self.0.asked();
        owner.pause(None).await.map_err(|error| owner_error(&error))
    }

    async fn drain(&self) -> Result<(), ApiError> {
        self.owner()?;
        self.command(Command::Drain).await.map(drop)
    }
}
