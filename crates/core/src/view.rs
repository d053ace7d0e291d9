//! What may be seen of a core: plain owned structs, made when asked for.
//!
//! A result is shown as accepted only once it is in the journal. Deliberately not here: JSON, units
//! for people, pages (the faces make those).

use ayni_types::{
    Amount, Digest, Fuel, JobId, LeaseId, NodeAddr, NodeId, Observed, Offer, Outcome, Price, Roles,
    TaskId, Time, Verify,
};
use ayni_wire::ReceiptFile;

use crate::audit;
use crate::core::Core;
use crate::draws::Ledger;
use crate::effect::RunId;
use crate::event::PauseReason;
use crate::job::{Accepted, Attempt, Audit, Evidence, Job, Phase, Task};
use crate::market::HireState;
use crate::provider::TenantState;

/// A job at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// For people.
    pub name: String,
    /// When it was submitted.
    pub submitted: Time,
    /// Where it stands.
    pub state: JobState,
    /// More tasks may come.
    pub open: bool,
    /// Wall clock allowed per task in milliseconds.
    pub timeout_ms: u64,
    /// When what has not ended fails.
    pub deadline: Option<Time>,
    /// How its results are verified.
    pub verify: Verify,
    /// Own cores take part.
    pub home: bool,
    /// Never audited.
    pub nondeterministic: bool,
    /// Tasks by state; they add up.
    pub counts: Counts,
    /// Fuel of accepted outcomes that this job had run (not held before).
    pub fuel_total: Fuel,
    /// Price of the same.
    pub price_total: Amount,
    /// It is never billed more than this.
    pub budget: Option<Amount>,
    /// Everything that was billed for it: outcomes, second opinions, and work that came too late.
    pub billed: Amount,
    /// What else its assignments may be billed at most.
    pub reserved: Amount,
    /// Tasks failed because the budget did not allow them.
    pub short: bool,
    /// Accepted results run again because their provider was caught lying.
    pub reruns: u32,
    /// Attempts that ended without an outcome.
    pub faults: u32,
    /// Audits.
    pub audits: AuditCounts,
    /// How sure its results are.
    pub confidence: Confidence,
    /// By provider, home (`None`) first.
    pub providers: Vec<JobProviderView>,
    /// Why nothing moves, if nothing moves.
    pub stall: Option<String>,
    /// When it ended.
    pub ended: Option<Time>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Work is left, or more may come.
    Running,
    /// Every task has ended.
    Ended,
    /// Its owner stopped it.
    Cancelled,
}

/// Tasks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All.
    pub tasks: u32,
    /// Nobody runs them.
    pub queued: u32,
    /// Handed out.
    pub assigned: u32,
    /// A provisional outcome is here, its receipt is not yet.
    pub delivered: u32,
    /// With an outcome in the journal, those below included.
    pub accepted: u32,
    /// Accepted, and an audit is still to come.
    pub auditing: u32,
    /// Accepted from an earlier job, without new fuel.
    pub held: u32,
    /// Ended without an outcome.
    pub failed: u32,
    /// Never ended, because the job was cancelled.
    pub dropped: u32,
}

/// Audits of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditCounts {
    /// Ended.
    pub made: u32,
    /// Home found the same.
    pub agreed: u32,
    /// Home found something else.
    pub mismatched: u32,
    /// Home could not execute them.
    pub given_up: u32,
    /// Still to come.
    pub pending: u32,
}

/// How sure the results of a job are, by what was checked and what the job supposes. Millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confidence {
    /// Results that home executed, or that an audit agreed with.
    pub checked: u32,
    /// Results that a quorum agreed on.
    pub agreed: u32,
    /// Results backed by the audits of their provider only.
    pub backed: u32,
    /// Results that nothing backs: no audits wanted, a nondeterministic job, a provider caught since,
    /// or a dispute that nobody could judge.
    pub unverified: u32,
    /// Of the backed ones, wrong at most on average, whatever their providers did (millionths of a
    /// result).
    pub wrong_at_most: u64,
    /// Of all but those that home executed, wrong on average if as many providers are hostile as the job
    /// supposes (millionths of a result).
    pub wrong_expected: u64,
}

/// What one provider did for a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobProviderView {
    /// Who; `None` is home.
    pub provider: Option<NodeId>,
    /// Assignments made, ever.
    pub assigned: u32,
    /// Assignments in flight.
    pub in_flight: u32,
    /// Outcomes delivered.
    pub delivered: u32,
    /// Accepted results that are its own now.
    pub accepted: u32,
    /// Assignments that faulted.
    pub faulted: u32,
    /// Assignments lost with it.
    pub lost: u32,
    /// Its accepted results that are being run again.
    pub rerun: u32,
    /// Of its accepted results, those that an audit agreed with.
    pub audited: u32,
    /// How likely another of its results is wrong, in millionths.
    pub doubt: u32,
    /// Price of its accepted results.
    pub price: Amount,
    /// Fuel accepted from it.
    pub fuel: Fuel,
    /// Fuel per second of the time its assignments took, waiting included.
    pub fuel_per_second: u64,
    /// Why it is not used any more.
    pub banned: Option<String>,
}

/// One task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// Its index.
    pub index: u32,
    /// Its id.
    pub id: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// Attempts so far, those that run last.
    pub attempts: Vec<Attempt>,
    /// What came out.
    pub outcome: Option<Outcome>,
    /// Its digest.
    pub outcome_digest: Option<Digest>,
    /// From whom; `None` is home if there is an outcome.
    pub provider: Option<NodeId>,
    /// What it cost in this job.
    pub price: Amount,
    /// Home found the same, or ran it itself.
    pub audited: bool,
    /// Came from an earlier job.
    pub held: bool,
    /// Equal to the task at this index, and runs with it.
    pub same_as: Option<u32>,
    /// What the result rests on.
    pub verification: Grounds,
    /// How likely it is right, in millionths; `None` where nothing is known.
    pub confidence: Option<u32>,
    /// There is a receipt.
    pub receipt: bool,
    /// Why it failed.
    pub failure: Option<String>,
}

/// What a result rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// There is none.
    Nothing,
    /// Home executed it.
    Home,
    /// Home executed it again and found the same.
    Audited,
    /// An unrelated provider executed it again and found the same.
    AuditedElsewhere,
    /// So many unrelated providers agreed on it as the job asks.
    Quorum,
    /// Others of its provider's results in this job were drawn and audited.
    Backed,
    /// Its provider's signature and nothing else: the job wants no audits.
    Signed,
    /// Its provider was caught lying since.
    Suspect,
    /// Another provider found something else, and nobody could judge.
    Disputed,
    /// The job opted out of determinism.
    Unverified,
}

impl Grounds {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Home => "ran at home",
            Self::Audited => "audited at home",
            Self::AuditedElsewhere => "audited elsewhere",
            Self::Quorum => "agreed by a quorum",
            Self::Backed => "backed by audits of its provider",
            Self::Signed => "signed, not audited",
            Self::Suspect => "suspect: its provider was caught lying",
            Self::Disputed => "disputed: another provider found something else",
            Self::Unverified => "unverified (nondeterministic)",
        }
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TaskState {
    Queued,
    Assigned,
    Delivered,
    /// Accepted, and an audit is still to come.
    Auditing,
    Accepted,
    Failed,
    /// The job was cancelled before it ended.
    Dropped,
}

/// An offer and whether it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferView {
    /// The offer.
    pub offer: Offer,
    /// We have a lease with it.
    pub leased: bool,
    /// Why it is not asked, if it is not.
    pub obstacle: Option<String>,
}

/// A lease, from either side.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseView {
    /// Its id.
    pub id: LeaseId,
    /// The other side.
    pub peer: NodeId,
    /// We are the provider.
    pub we_provide: bool,
    /// `asked`, `active` or `ending`.
    pub state: &'static str,
    /// Slots.
    pub slots: u32,
    /// Assignments in flight.
    pub in_flight: u32,
    /// Prices.
    pub price: Price,
    /// When it was made.
    pub issued: Time,
    /// When it ends.
    pub expires: Time,
}

/// The provider's side at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderView {
    /// Slots lent.
    pub slots: u32,
    /// Slots without a lease.
    pub slots_free: u32,
    /// What it asks at this load.
    pub price: Price,
    /// Why it rests.
    pub paused: Vec<PauseReason>,
    /// It finishes what it has.
    pub draining: bool,
    /// What it has in hand.
    pub running: Vec<RunView>,
    /// What it signed for, ever.
    pub totals: TotalsView,
    /// Batches signed and not yet acknowledged.
    pub batches_unacknowledged: u32,
}

/// One assignment in hand.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// The run, once it has begun.
    pub run: Option<RunId>,
    /// For whom.
    pub requester: NodeId,
    /// What.
    pub task: TaskId,
    /// Since when it is in this phase or was assigned.
    pub since: Time,
    /// `fetching`, `waiting`, `compiling` or `running`.
    pub phase: &'static str,
}

/// What a provider signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TotalsView {
    /// Tasks.
    pub tasks: u64,
    /// Fuel.
    pub fuel: Fuel,
    /// Price.
    pub earned: Amount,
    /// Processor time of that, and the time that compiling took, in milliseconds.
    pub busy_ms: u64,
}

/// Another node.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerView {
    /// Who.
    pub node: NodeId,
    /// A connection is up.
    pub up: bool,
    /// Where it says it is.
    pub addr: Option<NodeAddr>,
    /// What it says it does.
    pub roles: Option<Roles>,
    /// What it says it is; hostile until escaped.
    pub agent: String,
    /// Last sign of life.
    pub heard: Time,
    /// Messages dropped because there were too many.
    pub dropped: u64,
    /// Why nobody works with it any more.
    pub banned: Option<String>,
}

/// A provider that nobody works with any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanView {
    /// Who.
    pub node: NodeId,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// How much a core holds: what a limit is put on, and what a metric may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Journal batches and records that are not durable.
    pub journal_backlog: usize,
    /// Effects that nobody asked for yet.
    pub effects: usize,
    /// Peers remembered.
    pub peers: usize,
    /// Offers remembered, as requester and as directory.
    pub offers: usize,
    /// Leases asked or held.
    pub hires: usize,
    /// Assignments under them.
    pub assignments: usize,
    /// Leases granted.
    pub grants: usize,
    /// Assignments in hand for others.
    pub tenant_work: usize,
    /// Fetches that have not ended.
    pub fetches: usize,
    /// Runs at home.
    pub home_runs: usize,
}

/// One reason why something is not as it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyLine {
    /// About what: a provider, a job, this node.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// What would help; may be empty.
    pub hint: String,
}

impl Core {
    /// Who we are.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.me
    }

    /// Every job, newest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        let mut views: Vec<_> = self.jobs.values().map(|job| self.job_view(job)).collect();
        views.sort_by_key(|v| (std::cmp::Reverse(v.submitted), v.id));
        views
    }

    /// One job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobView> {
        self.jobs.get(&id).map(|job| self.job_view(job))
    }

    /// One task.
    #[must_use]
    pub fn task(&self, id: JobId, index: u32) -> Option<TaskView> {
        task_view(self.jobs.get(&id)?, index)
    }

    /// Tasks by index, from `from` on, at most `count`.
    #[must_use]
    pub fn tasks(&self, id: JobId, from: u32, count: u32) -> Vec<TaskView> {
        let Some(job) = self.jobs.get(&id) else { return Vec::new() };
        let end = u32::try_from(job.tasks.len()).unwrap_or(u32::MAX);
        (from..from.saturating_add(count).min(end)).filter_map(|i| task_view(job, i)).collect()
    }

    /// The spec of a task.
    #[must_use]
    pub fn task_spec(&self, id: JobId, index: u32) -> Option<ayni_types::TaskSpec> {
        Some((*self.jobs.get(&id)?.task(index)?.spec).clone())
    }

    /// The receipt of an accepted task, if somebody else ran it.
    #[must_use]
    pub fn receipt(&self, id: JobId, index: u32) -> Option<ReceiptFile> {
        let job = self.jobs.get(&id)?;
        let task = job.task(job.leader(index))?;
        let accepted = task.accepted.as_ref().filter(|_| task.durable)?;
        self.receipt_file((*task.spec).clone(), accepted.outcome.clone(), accepted.receipt?)
    }

    /// What was seen while an accepted task ran; not verified.
    #[must_use]
    pub fn observed(&self, id: JobId, index: u32) -> Option<Observed> {
        let job = self.jobs.get(&id)?;
        let task = job.task(job.leader(index))?;
        let at = task.accepted.as_ref().filter(|_| task.durable)?.receipt?;
        let batch = self.batches.get(&(at.lease, at.batch))?;
        Some(batch.receipts.get(at.leaf as usize)?.observed)
    }

    /// How many tasks a job has, if it is known.
    #[must_use]
    pub fn tasks_of(&self, id: JobId) -> Option<u32> {
        self.jobs.get(&id).map(|job| count(job.tasks.len()))
    }

    /// What was found against providers in a job.
    #[must_use]
    pub fn evidence(&self, id: JobId) -> Vec<Evidence> {
        self.jobs.get(&id).map(|job| job.evidence.clone()).unwrap_or_default()
    }

    /// Every offer known, cheapest first.
    #[must_use]
    pub fn offers(&self) -> Vec<OfferView> {
        let mut views: Vec<_> = self
            .offers
            .values()
            .map(|known| {
                let offer = known.signed.body.clone();
                OfferView {
                    leased: self.has_lease_with(offer.node),
                    obstacle: self.offer_obstacle(&offer).map(|(reason, _)| reason),
                    offer,
                }
            })
            .collect();
        views.sort_by_key(|v| (v.offer.price.per_gigafuel, v.offer.node));
        views
    }

    /// Every lease, ours first.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseView> {
        let hired = self.hires.iter().map(|(id, hire)| {
            let terms = hire.lease();
            LeaseView {
                id: *id,
                peer: terms.provider,
                we_provide: false,
                state: match hire.state {
                    HireState::Asked => "asked",
                    HireState::Active => "active",
                    HireState::Ending => "ending",
                },
                slots: terms.slots,
                in_flight: count(hire.undelivered),
                price: terms.price,
                issued: terms.issued,
                expires: terms.expires,
            }
        });
        let granted = self.provider.iter().flat_map(|p| &p.tenancies).map(|(id, tenancy)| {
            let terms = &tenancy.full.lease;
            LeaseView {
                id: *id,
                peer: terms.requester,
                we_provide: true,
                state: if tenancy.is_ending() { "ending" } else { "active" },
                slots: terms.slots,
                in_flight: count(tenancy.work.len()),
                price: terms.price,
                issued: terms.issued,
                expires: terms.expires,
            }
        });
        hired.chain(granted).collect()
    }

    /// The provider's side; all zero if this node does not provide.
    #[must_use]
    pub fn provider(&self) -> ProviderView {
        let Some(provider) = &self.provider else {
            return ProviderView {
                slots: 0,
                slots_free: 0,
                price: Price::default(),
                paused: Vec::new(),
                draining: false,
                running: Vec::new(),
                totals: TotalsView::default(),
                batches_unacknowledged: 0,
            };
        };
        let running = provider.tenancies.values().flat_map(|tenancy| {
            tenancy.work.values().map(|work| {
                let (run, phase) = match work.state {
                    TenantState::Fetching(_) => (None, "fetching"),
                    TenantState::Ready => (None, "waiting"),
                    TenantState::Running { run, compiling: true, .. } => (Some(run), "compiling"),
                    TenantState::Running { run, .. } => (Some(run), "running"),
                };
                RunView {
                    run,
                    requester: tenancy.full.lease.requester,
                    task: ayni_wire::task_id(&work.assign.task),
                    since: work.since,
                    phase,
                }
            })
        });
        let unacked: usize = provider.tenancies.values().map(|t| t.unacknowledged()).sum();
        ProviderView {
            slots: provider.config.slots,
            slots_free: provider.slots_free(),
            price: provider.price_now(),
            paused: provider.paused.iter().copied().collect(),
            draining: provider.draining,
            running: running.collect(),
            totals: TotalsView {
                tasks: provider.totals.tasks,
                fuel: Fuel(provider.totals.fuel),
                earned: provider.totals.earned,
                busy_ms: provider.totals.busy_ms,
            },
            batches_unacknowledged: count(unacked + provider.stale.len()),
        }
    }

    /// Every node known.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerView> {
        let view = |(node, peer): (&NodeId, &crate::core::Peer)| PeerView {
            node: *node,
            up: peer.up,
            addr: peer.addr.clone(),
            roles: peer.roles,
            agent: peer.agent.clone(),
            heard: peer.heard,
            dropped: peer.dropped,
            banned: self.banned.get(node).map(|b| b.reason.clone()),
        };
        self.peers.iter().map(view).collect()
    }

    /// Providers caught lying.
    #[must_use]
    pub fn bans(&self) -> Vec<BanView> {
        let view = |(node, ban): (&NodeId, &crate::market::Ban)| BanView {
            node: *node,
            reason: ban.reason.clone(),
            since: ban.time,
        };
        self.banned.iter().map(view).collect()
    }

    /// How much it holds.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let tenancies = self.provider.as_ref().map(|p| &p.tenancies);
        Sizes {
            journal_backlog: self.gate.backlog(),
            effects: self.effects.len(),
            peers: self.peers.len(),
            offers: self.offers.len() + self.directory.len(),
            hires: self.hires.len(),
            assignments: self.hires.values().map(|h| h.work.len()).sum(),
            grants: tenancies.map_or(0, |t| t.len()),
            tenant_work: tenancies.map_or(0, |t| t.values().map(|t| t.work.len()).sum()),
            fetches: self.fetches.len(),
            home_runs: self.home_runs.len(),
        }
    }

    /// Why things are not as they could be: of one job, or of everything.
    #[must_use]
    pub fn why(&self, job: Option<JobId>) -> Vec<WhyLine> {
        let mut lines = Vec::new();
        let mut line = |subject: String, reason: String, hint: &str| {
            lines.push(WhyLine { subject, reason, hint: hint.to_owned() });
        };
        if let Some(reason) = self.gate.failed() {
            let reason = format!("the journal can't be written: {reason}");
            line("this node".to_owned(), reason, "make room on its disk; it goes on by itself");
        }
        let jobs = self.running.iter().filter(|id| job.is_none_or(|j| j == **id));
        for job in jobs.filter_map(|id| self.jobs.get(id)) {
            let subject = format!("job {}", job.record.name);
            if !job.stall.is_empty() {
                line(subject.clone(), job.stall.clone(), "");
            }
            for (about, reason) in &job.why {
                line(format!("{subject}, {about}"), reason.clone(), "");
            }
            if job.waiting() == 0 {
                continue;
            }
            for known in self.offers.values() {
                let offer = &known.signed.body;
                let obstacle = self.offer_obstacle_for(job, offer);
                if let Some((reason, hint)) = obstacle {
                    line(format!("{subject}, provider {}", offer.node), reason, &hint);
                }
            }
        }
        if self.offers.is_empty() && !self.running.is_empty() {
            let (reason, hint) = self.no_offers();
            line("market".to_owned(), reason, &hint);
        }
        for known in self.offers.values() {
            let offer = &known.signed.body;
            let subject = format!("provider {}", offer.node);
            if let Some((reason, hint)) = self.offer_obstacle(offer) {
                line(subject, reason, &hint);
            } else if let Some((reason, hint)) = self.pay_waits.get(&offer.node) {
                line(subject, reason.clone(), hint);
            } else if !self.has_lease_with(offer.node) {
                let waiting = self.running.iter().filter_map(|id| self.jobs.get(id));
                let reason = if waiting.map(Job::waiting).sum::<usize>() == 0 {
                    "not needed: no task waits"
                } else {
                    "not asked: enough others are, or the job's limit of providers is reached"
                };
                line(subject, reason.to_owned(), "");
            }
        }
        for (node, shun) in &self.shunned {
            if shun.until > self.now && !self.offers.contains_key(node) {
                line(format!("provider {node}"), shun.reason.clone(), &shun.hint);
            }
        }
        let broken = self.provider.iter().flat_map(|p| &p.broken_words);
        for (node, lease) in broken {
            let reason = format!("showed another audit seed than lease {lease} commits to");
            line(format!("requester {node}"), reason, "its audits may not have been by chance");
        }
        for (node, ban) in &self.banned {
            if !self.offers.contains_key(node) {
                line(format!("provider {node}"), format!("banned: {}", ban.reason), "");
            }
        }
        lines
    }

    /// Why a job does not move; `None` while it moves.
    pub(crate) fn stall_reason(&self, id: JobId) -> Option<String> {
        let job = self.jobs.get(&id)?;
        if let Some(reason) = self.gate.failed() {
            return Some(format!("the journal can't be written: {reason}"));
        }
        if let Some(reason) = job.why.get(crate::verify::NO_ROOM) {
            return Some(format!("{reason} (hint: make room on this node's disk)"));
        }
        if job.in_flight > 0 || job.audits_running > 0 || !job.audits.is_empty() {
            return None;
        }
        if job.waiting() == 0 {
            return job.record.open.then(|| "waiting for more tasks".to_owned());
        }
        let asked = self.hires.values().filter(|h| h.state == HireState::Asked).count();
        if self.offers.is_empty() {
            let (reason, hint) = self.no_offers();
            return Some(format!("{reason} (hint: {hint})"));
        }
        let mut obstacles: std::collections::BTreeMap<(String, String), u32> =
            std::collections::BTreeMap::new();
        let mut usable = 0;
        for known in self.offers.values() {
            let offer = &known.signed.body;
            let obstacle =
                self.offer_obstacle(offer).or_else(|| self.offer_obstacle_for(job, offer));
            match obstacle {
                Some(obstacle) => *obstacles.entry(obstacle).or_default() += 1,
                None => usable += 1,
            }
        }
        if usable > 0 {
            return (asked > 0)
                .then(|| format!("waiting for {asked} providers to answer"))
                .or_else(|| Some(format!("{usable} providers fit, none has a free slot yet")));
        }
        let most = obstacles.into_iter().max_by_key(|(_, times)| *times);
        most.map(|((reason, hint), times)| {
            format!("{times} providers known, none usable: {reason} (hint: {hint})")
        })
    }

    fn no_offers(&self) -> (String, String) {
        let up = self.peers.values().filter(|p| p.up).count();
        if up == 0 {
            (
                "no other node is connected".to_owned(),
                "start `ayni provide` somewhere and join it with its ticket".to_owned(),
            )
        } else {
            (
                format!("{up} nodes are connected, none offers slots"),
                "start `ayni provide` on one of them".to_owned(),
            )
        }
    }

    fn has_lease_with(&self, node: NodeId) -> bool {
        self.hires.values().any(|h| h.provider() == node && h.state != HireState::Asked)
    }

    fn job_view(&self, job: &Job) -> JobView {
        let mut counts = Counts { tasks: count(job.tasks.len()), ..Counts::default() };
        let mut fuel = 0_u64;
        let mut price = 0_u128;
        let mut accepted_by: std::collections::BTreeMap<Option<NodeId>, (u32, u32, u64)> =
            std::collections::BTreeMap::new();
        let mut checked_by: std::collections::BTreeMap<Option<NodeId>, (u32, u128)> =
            std::collections::BTreeMap::new();
        for index in 0..counts.tasks {
            let Some(task) = job.task(job.leader(index)) else { continue };
            let is_twin = job.leader(index) != index;
            match task_state(job, task) {
                TaskState::Queued => counts.queued += 1,
                TaskState::Assigned => counts.assigned += 1,
                TaskState::Delivered => counts.delivered += 1,
                TaskState::Failed => counts.failed += 1,
                TaskState::Dropped => counts.dropped += 1,
                state @ (TaskState::Accepted | TaskState::Auditing) => {
                    counts.accepted += 1;
                    counts.auditing += u32::from(state == TaskState::Auditing);
                    let Some(accepted) = &task.accepted else { continue };
                    counts.held += u32::from(accepted.held);
                    if !is_twin && !accepted.held {
                        fuel = fuel.saturating_add(accepted.outcome.fuel.0);
                        price = price.saturating_add(accepted.price.0);
                        let entry = accepted_by.entry(accepted.provider).or_default();
                        entry.0 += 1;
                        entry.2 = entry.2.saturating_add(accepted.outcome.fuel.0);
                        let checked = checked_by.entry(accepted.provider).or_default();
                        checked.0 += u32::from(accepted.audit == Audit::Agreed);
                        checked.1 = checked.1.saturating_add(accepted.price.0);
                    }
                }
            }
            if let Some(accepted) = task.accepted.as_ref().filter(|a| a.suspect && !is_twin) {
                accepted_by.entry(accepted.provider).or_default().1 += 1;
            }
        }
        for provider in job.stats.keys() {
            accepted_by.entry(*provider).or_default();
        }
        let providers = accepted_by
            .into_iter()
            .map(|(provider, (accepted, rerun, fuel))| {
                let stats = job.stats.get(&provider).copied().unwrap_or_default();
                let in_flight = match provider {
                    Some(node) => job.in_flight_by.get(&node).copied().unwrap_or(0),
                    None => job.in_flight.saturating_sub(job.in_flight_by.values().sum()),
                };
                let (audited, price) = checked_by.get(&provider).copied().unwrap_or_default();
                JobProviderView {
                    provider,
                    audited,
                    doubt: provider.map_or(0, |p| doubt_of(job, p)),
                    price: Amount(price),
                    assigned: stats.assigned,
                    in_flight,
                    delivered: stats.delivered,
                    accepted,
                    faulted: stats.faulted,
                    lost: stats.lost,
                    rerun,
                    fuel: Fuel(fuel),
                    fuel_per_second: stats.fuel.saturating_mul(1_000) / stats.busy_ms.max(1),
                    banned: provider
                        .and_then(|p| self.banned.get(&p))
                        .map(|ban| ban.reason.clone()),
                }
            })
            .collect();
        let mismatched = count(job.evidence.len());
        let pending = count(job.pending.len());
        let ended = job.ended.filter(|e| e.durable);
        JobView {
            id: job.id(),
            name: job.record.name.clone(),
            submitted: job.record.submitted,
            state: match ended {
                None => JobState::Running,
                Some(end) if end.cancelled => JobState::Cancelled,
                Some(_) => JobState::Ended,
            },
            open: job.record.open,
            timeout_ms: job.record.timeout_ms,
            deadline: job.record.deadline,
            verify: job.record.verify,
            home: job.record.home,
            nondeterministic: job.record.nondeterministic,
            counts,
            fuel_total: Fuel(fuel),
            price_total: Amount(price.saturating_add(job.opinions)),
            budget: job.record.budget,
            billed: Amount(job.spending.billed),
            reserved: Amount(job.spending.reserved),
            short: job.tasks.iter().any(is_short),
            reruns: job.reruns,
            faults: job.faults,
            audits: AuditCounts {
                made: job.audits_agreed + mismatched,
                agreed: job.audits_agreed,
                mismatched,
                given_up: job.audits_given_up,
                pending,
            },
            confidence: confidence(job),
            providers,
            stall: (!job.stall.is_empty() && ended.is_none()).then(|| job.stall.clone()),
            ended: ended.map(|e| e.time),
        }
    }
}

fn is_short(task: &Task) -> bool {
    matches!(&task.phase, Phase::Failed(why) if why.starts_with(crate::budget::USED_UP))
}

fn count(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn task_state(job: &Job, task: &Task) -> TaskState {
    match &task.phase {
        Phase::Done if !task.durable => TaskState::Delivered,
        Phase::Done
            if job.ended.is_none()
                && task.accepted.as_ref().is_some_and(|a| a.audit == Audit::Pending) =>
        {
            TaskState::Auditing
        }
        Phase::Done => TaskState::Accepted,
        Phase::Failed(_) if task.durable => TaskState::Failed,
        _ if job.ended.is_some() => TaskState::Dropped,
        Phase::Running if task.live.iter().any(|l| l.delivered) => TaskState::Delivered,
        Phase::Running | Phase::Failed(_) => TaskState::Assigned,
        Phase::Queued | Phase::Twin(_) => TaskState::Queued,
    }
}

/// What is known of a result, in words and in millionths.
fn sureness(job: &Job, accepted: &Accepted) -> (Grounds, Option<u32>) {
    let whole = audit::WHOLE;
    let rule = &job.record.verify;
    if job.record.nondeterministic {
        return (Grounds::Unverified, None);
    }
    let Some(provider) = accepted.provider else { return (Grounds::Home, Some(whole)) };
    if accepted.audit == Audit::Agreed {
        return match accepted.audited_by {
            None => (Grounds::Audited, Some(whole)),
            Some(_) => (Grounds::AuditedElsewhere, Some(whole - agreed_doubt(2, rule.hostile))),
        };
    }
    if accepted.suspect {
        return (Grounds::Suspect, None);
    }
    if accepted.disputed {
        return (Grounds::Disputed, None);
    }
    if accepted.agreed_by > 1 {
        return (Grounds::Quorum, Some(whole - agreed_doubt(accepted.agreed_by, rule.hostile)));
    }
    if rule.rate == Some(0) {
        return (Grounds::Signed, None);
    }
    (Grounds::Backed, Some(whole - doubt_of(job, provider)))
}

/// How likely an outcome is wrong on which so many unrelated providers agree, in millionths: all of
/// them are hostile and of one ring, or all are honest.
fn agreed_doubt(agreed: u32, hostile: u32) -> u32 {
    let hostile = u128::from(hostile.min(audit::WHOLE - 1));
    let honest = u128::from(audit::WHOLE) - hostile;
    let whole = u128::from(audit::WHOLE);
    let odds = (0..agreed).fold(whole * whole, |odds, _| odds * hostile / honest);
    u32::try_from((odds * whole).div_ceil(odds + whole * whole)).unwrap_or(audit::WHOLE)
}

fn doubt_of(job: &Job, provider: NodeId) -> u32 {
    let agreed = job.ledgers.get(&provider).map_or(0, Ledger::agreed);
    audit::doubt(agreed, job.record.verify.hostile)
}

fn confidence(job: &Job) -> Confidence {
    let mut sure = Confidence::default();
    let mut backed: std::collections::BTreeMap<NodeId, u64> = std::collections::BTreeMap::new();
    for index in 0..count(job.tasks.len()) {
        let Some(task) = job.task(job.leader(index)).filter(|t| t.phase == Phase::Done) else {
            continue;
        };
        let Some(accepted) = task.accepted.as_ref() else { continue };
        match (sureness(job, accepted).1, accepted.provider) {
            (None, _) => sure.unverified += 1,
            (Some(_), None) => sure.checked += 1,
            (Some(ppm), Some(_)) if accepted.audit == Audit::Agreed => {
                sure.checked += 1;
                sure.wrong_expected += u64::from(audit::WHOLE - ppm);
            }
            (Some(ppm), Some(_)) if accepted.agreed_by > 1 => {
                sure.agreed += 1;
                sure.wrong_expected += u64::from(audit::WHOLE - ppm);
            }
            (Some(ppm), Some(provider)) => {
                sure.backed += 1;
                sure.wrong_expected += u64::from(audit::WHOLE - ppm);
                *backed.entry(provider).or_default() += 1;
            }
        }
    }
    for (provider, backed) in backed {
        let agreed = job.ledgers.get(&provider).map_or(0, Ledger::agreed);
        let bound = audit::wrong_at_most(backed + agreed, agreed).min(backed * 1_000_000);
        sure.wrong_at_most = sure.wrong_at_most.saturating_add(bound);
    }
    sure
}

fn task_view(job: &Job, index: u32) -> Option<TaskView> {
    let leader = job.leader(index);
    let own = job.task(index)?;
    let task = job.task(leader)?;
    let state = task_state(job, task);
    let settled = matches!(state, TaskState::Accepted | TaskState::Auditing);
    let accepted = task.accepted.as_ref().filter(|_| settled);
    let running = task.live.iter().filter(|l| !l.delivered).map(|live| Attempt {
        provider: live.place.provider(),
        assigned: live.since,
        ended: None,
        outcome: None,
        fault: None,
    });
    let ended = task.history.iter().flat_map(|h| h.ended.iter().cloned());
    let audited = accepted.is_some_and(|a| {
        !job.record.nondeterministic && (a.provider.is_none() || a.audit == Audit::Agreed)
    });
    let (verification, confidence) =
        accepted.map_or((Grounds::Nothing, None), |a| sureness(job, a));
    Some(TaskView {
        index,
        id: own.id,
        state,
        attempts: ended.chain(running).collect(),
        outcome: accepted.map(|a| a.outcome.clone()),
        outcome_digest: accepted.map(|a| a.digest),
        provider: accepted.and_then(|a| a.provider),
        price: accepted.filter(|a| !a.held && leader == index).map_or(Amount(0), |a| a.price),
        audited,
        held: accepted.is_some_and(|a| a.held),
        same_as: (leader != index).then_some(leader),
        verification,
        confidence,
        receipt: accepted.is_some_and(|a| a.receipt.is_some()),
        failure: match &task.phase {
            Phase::Failed(reason) if task.durable => Some(reason.to_string()),
            _ => None,
        },
    })
}
