//! Jobs and tasks as their requester keeps them: about 1 KiB per task, everything by index.
//!
//! Deliberately not here: who runs what (`schedule`), and what counts as an outcome (`verify`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ayni_types::{
    Amount, Digest, Fault, FaultKind, JobId, LeaseId, NodeId, Outcome, Price, TaskId, TaskSpec,
    Time,
};
use ayni_wire::ReceiptFile;

use crate::budget::Spending;
use crate::draws::Ledger;
use crate::effect::RunId;
use crate::journal::{JobRecord, ReceiptAt};

/// Durations kept to know what is usual in a job.
const DURATIONS_KEPT: usize = 64;

/// One job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: JobRecord,
    pub(crate) tasks: Vec<Task>,
    /// First task with each id.
    pub(crate) by_id: BTreeMap<TaskId, u32>,
    /// Tasks that end with another of the same id.
    pub(crate) twins: BTreeMap<u32, Vec<u32>>,
    /// Tasks anyone may run.
    pub(crate) queue: BTreeSet<u32>,
    /// Tasks that some must not run any more.
    pub(crate) retry: BTreeSet<u32>,
    /// Accepted tasks to be audited.
    pub(crate) audits: BTreeSet<u32>,
    /// Audits that run now.
    pub(crate) audits_running: u32,
    /// Accepted tasks whose audit has not ended, wherever it is made.
    pub(crate) pending: BTreeSet<u32>,
    /// Those of them that wait for another provider, and since when.
    pub(crate) second: BTreeMap<u32, Time>,
    /// What each provider gave, and how it is audited.
    pub(crate) ledgers: BTreeMap<NodeId, Ledger>,
    /// Providers that others outvoted in this job: nobody knows who is wrong.
    pub(crate) distrusted: BTreeSet<NodeId>,
    /// Pay for second opinions.
    pub(crate) opinions: u128,
    /// Tasks without an end, twins not counted.
    pub(crate) unfinished: u32,
    /// Attempts alive, anywhere.
    pub(crate) in_flight: u32,
    /// The same by provider, so that `providers_max` holds for each job.
    pub(crate) in_flight_by: BTreeMap<NodeId, u32>,
    pub(crate) ended: Option<Ended>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) stats: BTreeMap<Option<NodeId>, Stats>,
    pub(crate) reruns: u32,
    pub(crate) faults: u32,
    pub(crate) audits_agreed: u32,
    pub(crate) audits_given_up: u32,
    pub(crate) stall: String,
    pub(crate) why: BTreeMap<String, String>,
    /// What it cost so far, and may.
    pub(crate) spending: Spending,
    durations_ms: Vec<u64>,
    durations_at: usize,
}

/// How a job ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) time: Time,
    pub(crate) cancelled: bool,
    pub(crate) durable: bool,
}

/// After so many times in a row a provider that lets work run out gets no more of that job.
const STALLS_MAX: u32 = 3;

/// What one provider did for one job.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stats {
    pub(crate) assigned: u32,
    pub(crate) delivered: u32,
    pub(crate) faulted: u32,
    pub(crate) lost: u32,
    /// Times in a row that work ran out there without a word, and when last.
    pub(crate) stalled: (u32, Time),
    pub(crate) fuel: u64,
    pub(crate) busy_ms: u64,
}

/// Proof that a provider signed an outcome that home did not find.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Task index.
    pub index: u32,
    /// Who signed.
    pub provider: NodeId,
    /// When it was found.
    pub time: Time,
    /// What was signed; it stands alone.
    pub claimed: ReceiptFile,
    /// What home found.
    pub found: Outcome,
}

/// One task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) spec: Arc<TaskSpec>,
    pub(crate) phase: Phase,
    /// What was last decided is in the journal.
    pub(crate) durable: bool,
    pub(crate) live: Vec<Live>,
    pub(crate) accepted: Option<Box<Accepted>>,
    pub(crate) history: Option<Box<History>>,
    /// Outcomes of those who answered before the quorum agreed.
    pub(crate) votes: Vec<Contested>,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Queued,
    Running,
    Done,
    Failed(Box<str>),
    /// Ends as the task at this index ends.
    Twin(u32),
}

/// One attempt that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) place: Place,
    pub(crate) since: Time,
    pub(crate) delivered: bool,
}

/// Where an attempt runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Lease { lease: LeaseId, number: u64, provider: NodeId },
    Home(RunId),
}

impl Place {
    pub(crate) fn provider(&self) -> Option<NodeId> {
        match self {
            Self::Lease { provider, .. } => Some(*provider),
            Self::Home(_) => None,
        }
    }
}

/// An accepted outcome.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) outcome: Outcome,
    pub(crate) digest: Digest,
    pub(crate) provider: Option<NodeId>,
    pub(crate) price: Amount,
    pub(crate) receipt: Option<ReceiptAt>,
    pub(crate) audit: Audit,
    /// Taken from an earlier job: no new fuel.
    pub(crate) held: bool,
    /// Its provider lied elsewhere; it is being run again.
    pub(crate) suspect: bool,
    /// Other outcomes signed for the same task, until home decides.
    pub(crate) contested: Vec<Contested>,
    pub(crate) audit_faults: u32,
    /// Unrelated providers that agreed before it was accepted, its own included.
    pub(crate) agreed_by: u32,
    /// Who audited it; `None` is home.
    pub(crate) audited_by: Option<NodeId>,
    /// Other providers that found the same.
    pub(crate) seconded_by: Vec<NodeId>,
    /// Others found something else, and nobody could judge.
    pub(crate) disputed: bool,
}

/// Another outcome signed for an accepted task.
#[derive(Debug, Clone)]
pub(crate) struct Contested {
    pub(crate) outcome: Outcome,
    pub(crate) digest: Digest,
    pub(crate) provider: NodeId,
    pub(crate) receipt: ReceiptAt,
}

/// Where the audit of an accepted outcome stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audit {
    No,
    Pending,
    Agreed,
    GivenUp,
}

/// What went wrong with a task before.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) attempts: u32,
    pub(crate) ended: Vec<Attempt>,
    /// Where it must not run again, and why not.
    pub(crate) faulted: Vec<(Option<NodeId>, FaultKind)>,
    pub(crate) last_fault: Option<(Time, Fault)>,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Where; `None` is home.
    pub provider: Option<NodeId>,
    /// When it was handed out.
    pub assigned: Time,
    /// When it ended; `None` while it runs.
    pub ended: Option<Time>,
    /// Digest of the outcome, if it delivered one.
    pub outcome: Option<Digest>,
    /// Why it gave none.
    pub fault: Option<Fault>,
}

/// Attempts remembered per task.
const ATTEMPTS_KEPT: usize = 24;

impl Task {
    pub(crate) fn new(id: TaskId, spec: TaskSpec) -> Self {
        Self {
            id,
            spec: Arc::new(spec),
            phase: Phase::Queued,
            durable: false,
            live: Vec::new(),
            accepted: None,
            history: None,
            votes: Vec::new(),
        }
    }

    /// Who has signed an outcome for it.
    pub(crate) fn signers(&self) -> impl Iterator<Item = NodeId> + '_ {
        let accepted = self.accepted.as_ref();
        let contested = accepted.into_iter().flat_map(|a| &a.contested);
        let seconded = accepted.into_iter().flat_map(|a| a.seconded_by.iter().copied());
        let voted = self.votes.iter().chain(contested).map(|v| v.provider);
        voted.chain(seconded).chain(accepted.and_then(|a| a.provider))
    }

    /// Whether it may run there (`None` is home).
    pub(crate) fn may_run_at(&self, place: Option<NodeId>) -> bool {
        let faulted = self.history.as_ref().is_some_and(|h| h.faulted.iter().any(|f| f.0 == place));
        let signed = place.is_some_and(|node| self.signers().any(|signer| signer == node));
        !faulted && !signed && self.live.iter().all(|l| l.place.provider() != place)
    }

    pub(crate) fn has_history(&self) -> bool {
        self.history.as_ref().is_some_and(|h| !h.faulted.is_empty())
    }

    pub(crate) fn history(&mut self) -> &mut History {
        self.history.get_or_insert_default()
    }

    pub(crate) fn remember(&mut self, attempt: Attempt) {
        let history = self.history();
        if history.ended.len() < ATTEMPTS_KEPT {
            history.ended.push(attempt);
        }
    }
}

impl Job {
    /// Whether work given to a provider of this job ran out again and again without a word.
    pub(crate) fn has_stalled(&self, provider: NodeId) -> bool {
        self.stalls(provider) >= STALLS_MAX
    }

    /// How often in a row that was so.
    pub(crate) fn stalls(&self, provider: NodeId) -> u32 {
        self.stats.get(&Some(provider)).map_or(0, |s| s.stalled.0)
    }

    /// Work begun at `since` ran out without a word. What ran side by side counts once.
    pub(crate) fn stalled_at(&mut self, provider: NodeId, since: Time, now: Time) {
        let (times, last) = &mut self.stats.entry(Some(provider)).or_default().stalled;
        if *times == 0 || since >= *last {
            (*times, *last) = (*times + 1, now);
        }
    }

    pub(crate) fn new(record: JobRecord) -> Self {
        Self {
            record,
            tasks: Vec::new(),
            by_id: BTreeMap::new(),
            twins: BTreeMap::new(),
            queue: BTreeSet::new(),
            retry: BTreeSet::new(),
            audits: BTreeSet::new(),
            audits_running: 0,
            pending: BTreeSet::new(),
            second: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            distrusted: BTreeSet::new(),
            opinions: 0,
            unfinished: 0,
            in_flight: 0,
            in_flight_by: BTreeMap::new(),
            ended: None,
            evidence: Vec::new(),
            stats: BTreeMap::new(),
            reruns: 0,
            faults: 0,
            audits_agreed: 0,
            audits_given_up: 0,
            stall: String::new(),
            why: BTreeMap::new(),
            spending: Spending::default(),
            durations_ms: Vec::new(),
            durations_at: 0,
        }
    }

    pub(crate) fn id(&self) -> JobId {
        self.record.id
    }

    pub(crate) fn price_max(&self) -> Option<Price> {
        self.record.price_max
    }

    /// The task whose end decides about `index`.
    pub(crate) fn leader(&self, index: u32) -> u32 {
        match self.task(index).map(|t| &t.phase) {
            Some(Phase::Twin(leader)) => *leader,
            _ => index,
        }
    }

    pub(crate) fn task(&self, index: u32) -> Option<&Task> {
        self.tasks.get(index as usize)
    }

    pub(crate) fn task_mut(&mut self, index: u32) -> Option<&mut Task> {
        self.tasks.get_mut(index as usize)
    }

    /// Puts a task where the next free slot finds it.
    pub(crate) fn enqueue(&mut self, index: u32) {
        let Some(task) = self.tasks.get_mut(index as usize) else { return };
        task.phase = Phase::Queued;
        self.line_up(index);
    }

    /// Puts a task into one of the two lists, and out of the other: it may have got a history since.
    fn line_up(&mut self, index: u32) {
        if self.task(index).is_some_and(Task::has_history) {
            self.queue.remove(&index);
            self.retry.insert(index);
        } else {
            self.retry.remove(&index);
            self.queue.insert(index);
        }
    }

    pub(crate) fn dequeue(&mut self, index: u32) {
        self.queue.remove(&index);
        self.retry.remove(&index);
    }

    pub(crate) fn attempt_began(&mut self, index: u32, live: Live) {
        self.dequeue(index);
        self.in_flight += 1;
        if let Some(provider) = live.place.provider() {
            *self.in_flight_by.entry(provider).or_default() += 1;
        }
        self.stats.entry(live.place.provider()).or_default().assigned += 1;
        self.second.remove(&index);
        if let Some(task) = self.task_mut(index) {
            task.live.push(live);
            task.history.get_or_insert_default().attempts += 1;
            if task.phase == Phase::Queued {
                task.phase = Phase::Running;
            }
        }
        self.want_more(index);
    }

    /// A task that needs several opinions waits for the next provider while others work on it.
    pub(crate) fn want_more(&mut self, index: u32) {
        let quorum = self.record.verify.quorum as usize;
        let Some(task) = self.tasks.get(index as usize) else { return };
        let open = matches!(task.phase, Phase::Queued | Phase::Running);
        if !open || task.live.iter().any(|l| l.place.provider().is_none()) {
            return;
        }
        // Enough for as many as agree at best.
        let most = task.votes.iter().map(|v| task.votes.iter().filter(|o| o.digest == v.digest));
        let most = most.map(Iterator::count).max().unwrap_or(0);
        if quorum > 1 && most + task.live.len() < quorum {
            self.line_up(index);
        }
    }

    /// Takes an attempt out of the books; `None` if it was not in them.
    pub(crate) fn attempt_ended(&mut self, index: u32, place: Place) -> Option<Live> {
        let task = self.task_mut(index)?;
        let at = task.live.iter().position(|l| l.place == place)?;
        let live = task.live.swap_remove(at);
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(provider) = place.provider()
            && let Some(count) = self.in_flight_by.get_mut(&provider)
        {
            *count -= 1;
            if *count == 0 {
                self.in_flight_by.remove(&provider);
            }
        }
        Some(live)
    }

    pub(crate) fn took(&mut self, duration_ms: u64) {
        if self.durations_ms.len() < DURATIONS_KEPT {
            self.durations_ms.push(duration_ms);
        } else {
            self.durations_ms[self.durations_at % DURATIONS_KEPT] = duration_ms;
        }
        self.durations_at = (self.durations_at + 1) % DURATIONS_KEPT;
    }

    /// The usual duration of its tasks, once any has ended.
    pub(crate) fn median_ms(&self) -> Option<u64> {
        let mut sorted = self.durations_ms.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// Tasks that nobody runs.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len() + self.retry.len() + self.second.len()
    }

    /// Nothing is left to do and nothing more will come.
    pub(crate) fn is_settled(&self) -> bool {
        !self.record.open
            && self.unfinished == 0
            && self.pending.is_empty()
            && self.audits_running == 0
            && self.ledgers.values().all(|l| l.undecided.is_empty())
    }
}
