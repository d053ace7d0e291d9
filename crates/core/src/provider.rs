//! The provider's side: offers, admission of leases, assignments in slots, receipts in signed
//! batches, pause and drain.
//!
//! A lease is forgotten at a restart, so no batch number is ever signed twice; batches signed
//! before are said again until the requester has them. Deliberately not here: how a task is
//! executed (the shell's runners), and what the requester makes of it.

use std::collections::{BTreeMap, BTreeSet};

use ayni_types::{
    Amount, AssignmentId, BatchHeader, Digest, EngineId, Fault, FaultKind, LeaseId, NodeId, Offer,
    Price, Receipt, Time, limits,
};
use ayni_wire::{
    Assign, Delivered, FullLease, Message, Refusal, RefusalCode, Signed, SignedBatch, batch_hash,
    check_task, leaf_hash, merkle_root, outcome_digest, task_id,
};

use minicbor::bytes::ByteVec;

use crate::config::ProviderConfig;
use crate::core::{Core, FetchOwner};
use crate::effect::{Effect, FetchId, FetchWhat, Purpose, RunId, SlotId};
use crate::event::{CommandError, CommandId, FetchFailure, Lent, PauseReason, Ran, Reply};
use crate::gate::Then;
use crate::journal::Record;
use crate::load::price_at;
use crate::market::{issue_of, too_slow, within};

/// Everything a provider holds.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) config: ProviderConfig,
    pub(crate) tenancies: BTreeMap<LeaseId, Tenancy>,
    pub(crate) runs: BTreeMap<RunId, (LeaseId, u64)>,
    /// Batches of leases that are over, until acknowledged or expired.
    pub(crate) stale: BTreeMap<(LeaseId, u64), Stale>,
    /// Leases granted before the restart, for the batches above.
    past: BTreeMap<LeaseId, (NodeId, Time)>,
    /// What requesters of leases that are not over committed to.
    commitments: BTreeMap<LeaseId, (NodeId, Digest)>,
    /// Requesters that showed another seed than they had committed to.
    pub(crate) broken_words: BTreeMap<NodeId, LeaseId>,
    pub(crate) paused: BTreeSet<PauseReason>,
    pub(crate) draining: bool,
    drains: Vec<CommandId>,
    pub(crate) offer_sequence: u64,
    pub(crate) offer: Option<Signed<Offer>>,
    offer_next: Option<Signed<Offer>>,
    pub(crate) offer_changed: bool,
    offer_at: Time,
    offer_issued: Option<Time>,
    pub(crate) totals: Totals,
}

/// What was signed for, ever.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) tasks: u64,
    pub(crate) fuel: u64,
    pub(crate) earned: Amount,
    /// Processor time of what was executed, and the time that compiling took, as observed here.
    pub(crate) busy_ms: u64,
}

/// A batch whose lease is over.
#[derive(Debug)]
pub(crate) struct Stale {
    requester: NodeId,
    batch: SignedBatch,
    until: Time,
    sent: Time,
}

/// A lease as its provider keeps it.
#[derive(Debug)]
pub(crate) struct Tenancy {
    pub(crate) full: FullLease,
    /// When it ends by our clock.
    until: Time,
    /// Runs that each slot has been given.
    slots: BTreeMap<SlotId, usize>,
    /// Runs in a row that took next to no time: the next ones are given to slots ahead.
    quick: u32,
    pub(crate) work: BTreeMap<u64, TenantWork>,
    /// Answers given, newest 512, so that a repeated assignment gets the same one.
    answered: BTreeMap<u64, Message>,
    due: Vec<Receipt>,
    flush_at: Option<Time>,
    next_batch: u64,
    unacked: BTreeMap<u64, (SignedBatch, Time)>,
    programs: BTreeSet<Digest>,
    /// Takes nothing new.
    ending: bool,
    ending_since: Time,
    down_since: Option<Time>,
    pinged: Time,
    /// Its channel has let nothing more be done since then.
    pub(crate) unpaid_since: Option<Time>,
}

/// One assignment at its provider.
#[derive(Debug)]
pub(crate) struct TenantWork {
    pub(crate) assign: Box<Assign>,
    pub(crate) state: TenantState,
    pub(crate) since: Time,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TenantState {
    Fetching(FetchId),
    Ready,
    Running { run: RunId, slot: SlotId, compiling: bool },
}

/// Leases issued longer ago, or later, than this by our clock are refused.
const ISSUED_WITHIN_MS: u64 = 3 * 3_600_000;
/// Commitments of leases that are remembered.
const COMMITMENTS_MAX: usize = 1_024;
/// Answers kept per lease.
const ANSWERS_KEPT: usize = 512;
/// Batches of past leases kept.
const STALE_MAX: usize = 1_024;
/// Signed batches without acknowledgement before a lease gets no more work.
const UNACKED_MAX: usize = 64;
/// Longest wall clock that an assignment may ask for: a week.
const TIMEOUT_MS_MAX: u64 = 7 * 86_400_000;
/// Longest lease that is granted, in milliseconds: a day.
const LEASE_MS_MAX: u64 = 86_400_000;
/// A run that took no more processor time is a quick one, in milliseconds.
const QUICK_MS: u64 = 2;
/// So many of them in a row make it likely that the next is another.
const QUICK_MIN: u32 = 16;
/// Runs that one slot is given while they are quick.
const RUNS_AHEAD_MAX: usize = 32;
/// Output files of which an outcome surely fits in a message without measuring it.
const FILES_SURE_TO_FIT: usize = 256;

impl Provider {
    pub(crate) fn new(config: ProviderConfig) -> Self {
        Self {
            config,
            tenancies: BTreeMap::new(),
            runs: BTreeMap::new(),
            stale: BTreeMap::new(),
            past: BTreeMap::new(),
            commitments: BTreeMap::new(),
            broken_words: BTreeMap::new(),
            paused: BTreeSet::new(),
            draining: false,
            drains: Vec::new(),
            offer_sequence: 0,
            offer: None,
            offer_next: None,
            offer_changed: true,
            offer_at: Time(0),
            offer_issued: None,
            totals: Totals::default(),
        }
    }

    pub(crate) fn slots_free(&self) -> u32 {
        let used: u32 = self.tenancies.values().map(|t| t.full.lease.slots).sum();
        self.config.slots.saturating_sub(used)
    }

    /// What it asks at its present load.
    pub(crate) fn price_now(&self) -> Price {
        let used = self.config.slots.saturating_sub(self.slots_free());
        price_at(&self.config.price, self.config.busy_percent, used, self.config.slots)
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.tenancies.is_empty() || !self.stale.is_empty() || !self.drains.is_empty()
    }

    pub(crate) fn serves(&self, requester: NodeId, lease: LeaseId) -> bool {
        self.tenancies.get(&lease).is_some_and(|t| t.full.lease.requester == requester)
    }

    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let flush = self.tenancies.values().filter_map(|t| t.flush_at).min();
        flush.into_iter().chain([self.offer_at]).min()
    }
}

impl Tenancy {
    fn requester(&self) -> NodeId {
        self.full.lease.requester
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    pub(crate) fn unacknowledged(&self) -> usize {
        self.unacked.len()
    }

    /// Done, and not yet in a batch.
    pub(crate) fn unbilled(&self) -> u128 {
        self.due.iter().fold(0, |sum, receipt| sum.saturating_add(receipt.price.0))
    }

    /// One assignment for each program that is being compiled.
    fn compiling(&self) -> impl Iterator<Item = u64> {
        let running = self
            .work
            .iter()
            .filter(|(_, work)| matches!(work.state, TenantState::Running { compiling: true, .. }));
        let first: BTreeMap<Digest, u64> =
            running.rev().map(|(number, work)| (work.assign.task.program, *number)).collect();
        first.into_values()
    }

    /// Runs that can be given to slots now: one each, or several of tasks that take no time.
    fn room(&self) -> usize {
        let most = if self.quick >= QUICK_MIN { RUNS_AHEAD_MAX } else { 1 };
        self.slots.values().map(|runs| most.saturating_sub(*runs)).sum()
    }

    /// The slot for the next run: the one with the least to do.
    fn give(&mut self) -> Option<SlotId> {
        let (slot, runs) = self.slots.iter_mut().min_by_key(|(slot, runs)| (**runs, **slot))?;
        *runs += 1;
        Some(*slot)
    }

    fn answer(&mut self, number: u64, message: Message) {
        self.answered.insert(number, message);
        while self.answered.len() > ANSWERS_KEPT {
            self.answered.pop_first();
        }
    }
}

impl Core {
    // --- offers ---

    pub(crate) fn provider_start(&mut self) {
        let now = self.now;
        if let Some(provider) = &mut self.provider {
            provider.offer_at = now;
        }
        self.write_off_unheard();
    }

    /// Flushes batches and renews the offer when their time has come.
    pub(crate) fn provider_timers(&mut self) {
        let now = self.now;
        let Some(provider) = &mut self.provider else { return };
        let due: Vec<LeaseId> = provider
            .tenancies
            .iter()
            .filter(|(_, t)| t.flush_at.is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        if provider.offer_changed {
            let earliest = provider
                .offer_issued
                .map_or(now, |at| at.after_ms(self.config.tuning.offer_change_ms));
            provider.offer_at = provider.offer_at.min(earliest);
        }
        let renew = provider.offer_at <= now;
        for lease in due {
            self.flush(lease);
        }
        if renew {
            self.issue_offer();
        }
    }

    fn issue_offer(&mut self) {
        let tuning = &self.config.tuning;
        let renew_at = self.now.after_ms(tuning.offer_renew_ms);
        let expires = self.now.after_ms(tuning.offer_ms);
        let resting = self.refusal().is_some();
        let Some(provider) = &mut self.provider else { return };
        provider.offer_at = renew_at;
        if self.gate.failed().is_some() {
            return;
        }
        provider.offer_changed = false;
        provider.offer_issued = Some(self.now);
        let lent = &provider.config;
        let offer = Offer {
            node: self.me,
            sequence: provider.offer_sequence + 1,
            issued: self.now,
            expires,
            slots: lent.slots,
            slots_free: if resting { 0 } else { provider.slots_free() },
            memory_bytes: lent.memory_bytes,
            disk_bytes: lent.disk_bytes,
            engines: vec![EngineId::wasi1()],
            build: lent.build.clone(),
            fuel_per_second: lent.fuel_per_second,
            price: provider.price_now(),
            walls: lent.walls.clone(),
            region: lent.region.clone(),
            addr: self.config.addr.clone(),
            batch_key: self.seal.batch_key(),
            stake: lent.stake,
            hold_back: lent.hold_back,
            payment: lent.payment,
            energy: lent.energy,
        };
        let signature = self.seal.sign_node(&Signed::message(&offer));
        let sequence = offer.sequence;
        provider.offer_next = Some(Signed { body: offer, signature });
        self.commit(Record::OfferIssued { sequence });
        self.gated(Then::OfferDurable(sequence));
    }

    /// The number of the offer is in the journal: it may be shown.
    pub(crate) fn offer_durable(&mut self, sequence: u64) {
        let Some(provider) = &mut self.provider else { return };
        if provider.offer_next.as_ref().is_some_and(|o| o.body.sequence == sequence) {
            provider.offer = provider.offer_next.take();
        }
        // Whose greeting got lost may be one; who is none ignores it.
        let directories: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.up && p.roles.is_none_or(|r| r.directory))
            .map(|(n, _)| *n)
            .collect();
        for node in directories {
            self.publish_to(node);
        }
    }

    // --- admission ---

    /// Why nothing new is taken, if nothing is.
    fn refusal(&self) -> Option<(RefusalCode, &'static str)> {
        let provider = self.provider.as_ref()?;
        if provider.draining {
            Some((RefusalCode::Draining, "it finishes what it has and stops"))
        } else if self.gate.failed().is_some() {
            Some((RefusalCode::DiskFull, "its journal can't be written"))
        } else {
            match provider.paused.first()? {
                PauseReason::Owner => Some((RefusalCode::Paused, "its owner paused it")),
                PauseReason::Battery => Some((RefusalCode::OnBattery, "it runs on battery")),
                PauseReason::DiskFull => Some((RefusalCode::DiskFull, "its disk is full")),
                // What its owner does at home is nobody's business.
                PauseReason::Hours
                | PauseReason::InUse
                | PauseReason::Busy
                | PauseReason::Memory
                | PauseReason::Hot
                | PauseReason::Metered
                | PauseReason::Transfer => {
                    Some((RefusalCode::Paused, "it rests, as its owner set it to"))
                }
            }
        }
    }

    pub(crate) fn lease_asked(&mut self, from: NodeId, ask: Signed<ayni_types::Lease>) {
        let lease = ask.body.id;
        if let Some(provider) = &self.provider
            && let Some(known) = provider.tenancies.get(&lease)
            && known.requester() == from
        {
            let full = known.full.clone();
            self.send_gated(from, Message::LeaseGrant(full));
            return;
        }
        if let Err(refusal) = self.admit(from, &ask) {
            let stale = matches!(refusal.code, RefusalCode::NoSlotFree | RefusalCode::PriceTooLow);
            self.send(from, Message::LeaseRefuse { lease, refusal });
            // What is true now helps to ask better.
            if stale && let Some(offer) = self.provider.as_ref().and_then(|p| p.offer.clone()) {
                self.send(from, Message::Offers { query: 0, offers: vec![offer] });
            }
            return;
        }
        let signature = self.seal.sign_node(&Signed::message(&ask.body));
        let backing = self.back(&ask.body);
        let full =
            FullLease { lease: ask.body, requester: ask.signature, provider: signature, backing };
        let slots: BTreeMap<SlotId, usize> =
            (0..full.lease.slots).map(|_| (SlotId(self.fresh_id()), 0)).collect();
        self.commit(Record::LeaseGranted(full.clone()));
        self.send_gated(from, Message::LeaseGrant(full.clone()));
        if let Some(paid_by) = full.lease.paid_by {
            self.gated(Then::Watch(paid_by));
        }
        self.reserve_stake(&full);
        let now = self.now;
        let until = self.ends_here(full.lease.issued, full.lease.expires).unwrap_or(now);
        let Some(provider) = &mut self.provider else { return };
        provider.offer_changed = true;
        provider.tenancies.insert(
            lease,
            Tenancy {
                full,
                until,
                slots,
                quick: 0,
                work: BTreeMap::new(),
                answered: BTreeMap::new(),
                due: Vec::new(),
                flush_at: None,
                next_batch: 0,
                unacked: BTreeMap::new(),
                programs: BTreeSet::new(),
                ending: false,
                ending_since: now,
                down_since: None,
                pinged: now,
                unpaid_since: None,
            },
        );
    }

    fn admit(&self, from: NodeId, ask: &Signed<ayni_types::Lease>) -> Result<(), Refusal> {
        let refuse = |code, text: String| Err(Refusal { code, text });
        let Some(provider) = &self.provider else {
            return refuse(RefusalCode::NotAProvider, "this node does not provide".to_owned());
        };
        if let Some((code, text)) = self.refusal() {
            return refuse(code, text.to_owned());
        }
        let (lease, lent) = (&ask.body, &provider.config);
        if lease.engine.0 != EngineId::WASI1 {
            let engine: String = lease.engine.0.chars().take(40).collect();
            return refuse(RefusalCode::UnknownEngine, format!("engine {engine} is not here"));
        }
        if lease.memory_bytes > lent.memory_bytes {
            return refuse(
                RefusalCode::TooMuchMemory,
                format!("{} bytes asked, {} lent", lease.memory_bytes, lent.memory_bytes),
            );
        }
        // What is published holds, also while a changed offer is on its way to the journal.
        let asked = provider.offer.as_ref().map_or(lent.price, |offer| offer.body.price);
        if !within(&asked, &lease.price) {
            return refuse(
                RefusalCode::PriceTooLow,
                format!("{} per 10^9 fuel is asked here", asked.per_gigafuel),
            );
        }
        let wrong = if lease.requester != from || lease.provider != self.me || from == self.me {
            Some("it names other nodes")
        } else if lease.batch_key != self.seal.batch_key() {
            Some("it names another batch key")
        } else if lease.build != lent.build {
            Some("it names another engine build")
        } else if lease.stake_reserved > lent.stake {
            Some("it reserves more stake than is offered")
        } else if lease.hold_back > lent.hold_back {
            Some("it holds back more pay than is offered")
        } else if lease.slots == 0 {
            Some("it asks no slots")
        } else if lease.fuel_per_second > lent.fuel_per_second {
            Some("it asks more fuel per second than is offered")
        } else if self.ends_here(lease.issued, lease.expires).is_none()
            || lease.expires.since_ms(lease.issued) > LEASE_MS_MAX
        {
            Some("it ends before it begins, or too late (are both clocks right?)")
        } else if !self.seal.verify_node(from, &Signed::message(lease), &ask.signature) {
            Some("its signature does not match")
        } else if issue_of(lease.id) != lease.issued {
            Some("its id does not begin with its time of issue")
        } else if lease.issued.0.abs_diff(self.now.0) > ISSUED_WITHIN_MS {
            Some("it was issued at another time (are both clocks right?)")
        } else if provider.past.contains_key(&lease.id) || self.hires.contains_key(&lease.id) {
            Some("its id was used before")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return refuse(RefusalCode::BadLease, wrong.to_owned());
        }
        if let Some(wrong) = self.payment_fault(lease) {
            return refuse(RefusalCode::Payment, wrong.to_owned());
        }
        let free = provider.slots_free();
        if lease.slots > free {
            return refuse(
                RefusalCode::NoSlotFree,
                format!("{} slots asked, {free} of {} free", lease.slots, lent.slots),
            );
        }
        Ok(())
    }

    // --- assignments ---

    pub(crate) fn assigned(&mut self, from: NodeId, assign: Assign) {
        let AssignmentId { lease, number } = assign.id;
        let slack = self.config.tuning.fuel_rate_slack;
        let now = self.now;
        let draining = self.provider.as_ref().is_some_and(|p| p.draining);
        let Some(tenancy) = self
            .provider
            .as_mut()
            .and_then(|p| p.tenancies.get_mut(&lease))
            .filter(|t| t.requester() == from)
        else {
            self.send(from, Message::Pong { dead: vec![lease] });
            return;
        };
        if tenancy.work.contains_key(&number) {
            return;
        }
        if let Some(answer) = tenancy.answered.get(&number) {
            let answer = answer.clone();
            self.send(from, answer);
            return;
        }
        let oldest = tenancy.answered.first_key_value().map_or(0, |(n, _)| *n);
        if number < oldest && tenancy.answered.len() >= ANSWERS_KEPT {
            return;
        }
        let terms = &tenancy.full.lease;
        let limits = assign.task.limits;
        let fault = |kind, detail: String| Some(Fault { kind, detail });
        let refused = if tenancy.ending || draining {
            fault(FaultKind::Draining, "the lease has ended".to_owned())
        } else if tenancy.work.len() >= limits::LEASE_WINDOW_MAX
            || tenancy.unacked.len() >= UNACKED_MAX
        {
            fault(FaultKind::Internal, "more in flight than a lease may have".to_owned())
        } else if let Err(error) = check_task(&assign.task) {
            fault(FaultKind::Internal, format!("the task breaks a rule: {error}"))
        } else if limits.memory_bytes > terms.memory_bytes {
            let lent = terms.memory_bytes;
            fault(
                FaultKind::OutOfMemory,
                format!("{} bytes of memory asked, {lent} leased", limits.memory_bytes),
            )
        } else if assign.timeout_ms == 0 || assign.timeout_ms > TIMEOUT_MS_MAX {
            fault(FaultKind::Internal, format!("a timeout of {} ms", assign.timeout_ms))
        } else if let Some(seconds) =
            too_slow(limits.fuel.0, terms.fuel_per_second, assign.timeout_ms, slack)
        {
            fault(
                FaultKind::Timeout,
                format!("a fuel limit of {} takes up to {seconds} s here", limits.fuel),
            )
        } else {
            None
        };
        if let Some(fault) = refused {
            self.answer_fault(lease, number, fault);
            return;
        }
        let fetch = FetchId(self.fresh_id());
        let mut from_whom = vec![from];
        for holder in assign.holders.iter().take(4) {
            if holder.node != self.me && !from_whom.contains(&holder.node) {
                from_whom.push(holder.node);
                if holder.direct.len() <= limits::ADDRESSES_MAX {
                    self.connect(holder);
                }
            }
        }
        let what = FetchWhat::Inputs(Box::new(assign.task.clone()));
        self.fetches.insert(fetch, FetchOwner::Input(lease, number));
        self.effects.push_back(Effect::Fetch { id: fetch, what, from: from_whom });
        if let Some(tenancy) = self.tenancy(lease) {
            let assign = Box::new(assign);
            let work = TenantWork { assign, state: TenantState::Fetching(fetch), since: now };
            tenancy.work.insert(number, work);
        }
    }

    fn tenancy(&mut self, lease: LeaseId) -> Option<&mut Tenancy> {
        self.provider.as_mut()?.tenancies.get_mut(&lease)
    }

    fn answer_fault(&mut self, lease: LeaseId, number: u64, mut fault: Fault) {
        fault.detail = fault.detail.chars().take(limits::TEXT_BYTES_MAX / 4).collect();
        let Some(tenancy) = self.tenancy(lease) else { return };
        tenancy.work.remove(&number);
        let to = tenancy.requester();
        let assignment = AssignmentId { lease, number };
        let message = Message::Faulted { assignment, fault };
        tenancy.answer(number, message.clone());
        self.send(to, message);
        self.flush_if_idle(lease);
        self.dirty = true;
    }

    pub(crate) fn input_fetched(
        &mut self,
        lease: LeaseId,
        number: u64,
        result: Result<(), FetchFailure>,
    ) {
        let Some(work) = self.tenancy(lease).and_then(|t| t.work.get_mut(&number)) else { return };
        let fault = match result {
            Ok(()) => {
                work.state = TenantState::Ready;
                self.dirty = true;
                return;
            }
            Err(FetchFailure::Unavailable(detail)) => {
                Fault { kind: FaultKind::InputUnavailable, detail }
            }
            Err(FetchFailure::Lied(who)) => Fault {
                kind: FaultKind::InputUnavailable,
                detail: format!("{} sent other bytes", who.short()),
            },
            Err(FetchFailure::DiskFull(detail)) => Fault { kind: FaultKind::DiskFull, detail },
            Err(FetchFailure::Cancelled) => {
                Fault { kind: FaultKind::Cancelled, detail: String::new() }
            }
        };
        self.answer_fault(lease, number, fault);
    }

    /// Starts whatever has its inputs and a free slot.
    pub(crate) fn start_tenants(&mut self) {
        let journal_failed = self.gate.failed().is_some();
        let mut paid = self.paid_starts();
        let Some(provider) = &mut self.provider else { return };
        if !provider.paused.is_empty() || journal_failed {
            return;
        }
        let mut started = Vec::new();
        for (lease, tenancy) in &mut provider.tenancies {
            let room = tenancy.room();
            if room == 0 {
                continue;
            }
            let ready: Vec<u64> = tenancy
                .work
                .iter()
                .filter(|(_, w)| w.state == TenantState::Ready)
                .map(|(n, _)| *n)
                .take(room)
                .collect();
            for number in ready {
                // Leases of one channel share its room, so one may take a little more than is left.
                if let Some(left) = paid.get_mut(lease) {
                    let Some(fewer) = left.checked_sub(1) else { break };
                    *left = fewer;
                }
                let Some(slot) = tenancy.give() else { break };
                started.push((*lease, number, slot));
            }
        }
        for (lease, number, slot) in started {
            let run = RunId(self.fresh_id());
            let now = self.now;
            let Some(provider) = &mut self.provider else { return };
            let Some(tenancy) = provider.tenancies.get_mut(&lease) else { continue };
            let Some(work) = tenancy.work.get_mut(&number) else { continue };
            work.state = TenantState::Running { run, slot, compiling: false };
            work.since = now;
            provider.runs.insert(run, (lease, number));
            self.effects.push_back(Effect::Run {
                id: run,
                slot,
                task: work.assign.task.clone(),
                timeout_ms: work.assign.timeout_ms,
                purpose: Purpose::Lease(lease),
            });
        }
    }

    pub(crate) fn tenant_run_started(&mut self, run: RunId, is_compiling: bool) {
        let Some(provider) = &mut self.provider else { return };
        let Some((lease, number)) = provider.runs.get(&run).copied() else { return };
        let Some(tenancy) = provider.tenancies.get_mut(&lease) else { return };
        let Some(work) = tenancy.work.get_mut(&number) else { return };
        if let TenantState::Running { compiling, .. } = &mut work.state {
            *compiling = is_compiling;
        }
        if is_compiling {
            let to = tenancy.requester();
            self.send(to, Message::Compiling { assignment: AssignmentId { lease, number } });
        }
    }

    pub(crate) fn tenant_ran(&mut self, run: RunId, result: Result<Ran, Fault>) {
        let now = self.now;
        let batch_ms = self.config.tuning.batch_ms;
        let Some(provider) = &mut self.provider else { return };
        let Some((lease, number)) = provider.runs.remove(&run) else { return };
        self.dirty = true;
        let Some(tenancy) = provider.tenancies.get_mut(&lease) else { return };
        let Some(work) = tenancy.work.get(&number) else { return };
        if let TenantState::Running { slot, .. } = work.state
            && let Some(runs) = tenancy.slots.get_mut(&slot)
        {
            *runs = runs.saturating_sub(1);
        }
        tenancy.quick = match &result {
            Ok(ran) if ran.observed.cpu_ms <= QUICK_MS => tenancy.quick.saturating_add(1),
            _ => 0,
        };
        let ran = match result {
            Ok(ran) => ran,
            Err(fault) => return self.answer_fault(lease, number, fault),
        };
        let assignment = AssignmentId { lease, number };
        let many = ran.outcome.files.len() > FILES_SURE_TO_FIT;
        let delivered = Message::Delivered(Delivered {
            assignment,
            outcome: ran.outcome.clone(),
            observed: ran.observed,
            inline: inline(ran.inline),
        });
        if many && ayni_wire::encode(&delivered).len() > limits::MESSAGE_BYTES_MAX - 1_024 {
            let detail = "the names of its output files do not fit in a message".to_owned();
            return self.answer_fault(lease, number, Fault { kind: FaultKind::Internal, detail });
        }
        let Some(work) = tenancy.work.remove(&number) else { return };
        let program = work.assign.task.program;
        let first_use = tenancy.programs.insert(program);
        let code_bytes = if first_use { ran.code_bytes } else { 0 };
        let price = tenancy.full.lease.price.of(ran.outcome.fuel, code_bytes, ran.data_bytes);
        tenancy.due.push(Receipt {
            lease,
            batch: 0,
            index: 0,
            assignment: number,
            task: task_id(&work.assign.task),
            outcome: outcome_digest(&ran.outcome),
            fuel: ran.outcome.fuel,
            code_bytes,
            data_bytes: ran.data_bytes,
            price,
            observed: ran.observed,
        });
        tenancy.flush_at.get_or_insert(now.after_ms(batch_ms));
        tenancy.answer(number, delivered.clone());
        let to = tenancy.requester();
        let full = tenancy.due.len() >= self.config.tuning.batch_receipts;
        self.send(to, delivered);
        if full {
            self.flush(lease);
        } else {
            self.flush_if_idle(lease);
        }
    }

    // --- batches ---

    fn flush_if_idle(&mut self, lease: LeaseId) {
        if self.tenancy(lease).is_some_and(|t| t.work.is_empty() && !t.due.is_empty()) {
            self.flush(lease);
        }
    }

    /// Signs what is due as one batch; it is sent once it is durable.
    fn flush(&mut self, lease: LeaseId) {
        let Some(tenancy) = self.tenancy(lease) else { return };
        tenancy.flush_at = None;
        if tenancy.due.is_empty() {
            return;
        }
        let rest = tenancy.due.split_off(tenancy.due.len().min(limits::BATCH_RECEIPTS_MAX));
        let mut receipts = std::mem::replace(&mut tenancy.due, rest);
        let batch = tenancy.next_batch;
        tenancy.next_batch += 1;
        for (index, receipt) in (0..).zip(&mut receipts) {
            receipt.batch = batch;
            receipt.index = index;
        }
        let leaves: Vec<_> = receipts.iter().map(leaf_hash).collect();
        let count = u32::try_from(receipts.len()).expect("a batch has at most 1,024 receipts");
        let header = BatchHeader { lease, batch, count, root: merkle_root(&leaves) };
        let to = tenancy.requester();
        let signature = self.seal.sign_batch(&batch_hash(&header));
        let signed = SignedBatch { header, signature, receipts };
        let now = self.now;
        if let Some(tenancy) = self.tenancy(lease) {
            tenancy.unacked.insert(batch, (signed.clone(), now));
        }
        self.commit(Record::BatchSigned(signed.clone()));
        self.send_gated(to, Message::Batch(signed));
    }

    pub(crate) fn batch_acked(&mut self, from: NodeId, lease: LeaseId, batch: u64, taken: bool) {
        let Some(provider) = &mut self.provider else { return };
        let was_stale = provider.stale.get(&(lease, batch)).is_some_and(|s| s.requester == from);
        let live = provider
            .tenancies
            .get(&lease)
            .is_some_and(|t| t.requester() == from && t.unacked.contains_key(&batch));
        if was_stale || live {
            if let Some(tenancy) = provider.tenancies.get_mut(&lease) {
                tenancy.unacked.remove(&batch);
            }
            self.commit(Record::BatchAcked { lease, batch, taken });
            self.close_tenancy_if_done(lease);
        }
    }

    // --- the end of a lease ---

    pub(crate) fn cancelled(&mut self, from: NodeId, id: AssignmentId) {
        let Some(tenancy) = self.tenancy(id.lease).filter(|t| t.requester() == from) else {
            return;
        };
        let Some(work) = tenancy.work.get(&id.number) else {
            // Ended, or never arrived: say (again) how.
            let detail = "by its requester, before it arrived".to_owned();
            let assignment = id;
            let fault = Fault { kind: FaultKind::Cancelled, detail };
            let answer = tenancy.answered.get(&id.number).cloned();
            let answer = answer.unwrap_or(Message::Faulted { assignment, fault });
            return self.send(from, answer);
        };
        match work.state {
            TenantState::Running { run, .. } => self.effects.push_back(Effect::Kill(run)),
            TenantState::Fetching(_) | TenantState::Ready => {
                if let TenantState::Fetching(fetch) = work.state {
                    self.fetches.remove(&fetch);
                    self.effects.push_back(Effect::CancelFetch(fetch));
                }
                let detail = "by its requester".to_owned();
                let fault = Fault { kind: FaultKind::Cancelled, detail };
                self.answer_fault(id.lease, id.number, fault);
            }
        }
    }

    /// The requester gives no more work under this lease.
    pub(crate) fn tenancy_ended_by(&mut self, from: NodeId, lease: LeaseId) {
        let now = self.now;
        let Some(tenancy) = self.tenancy(lease).filter(|t| t.requester() == from) else { return };
        if !tenancy.ending {
            tenancy.ending = true;
            tenancy.ending_since = now;
        }
        self.flush_if_idle(lease);
        self.close_tenancy_if_done(lease);
    }

    /// The requester does not know the lease: nobody waits for its work.
    pub(crate) fn tenancy_died(&mut self, from: NodeId, lease: LeaseId) {
        if self.tenancy(lease).is_some_and(|t| t.requester() == from) {
            self.close_tenancy(lease);
        }
    }

    fn close_tenancy_if_done(&mut self, lease: LeaseId) {
        let done = self.tenancy(lease).is_some_and(|t| {
            t.ending && t.work.is_empty() && t.due.is_empty() && t.unacked.is_empty()
        });
        if done {
            self.close_tenancy(lease);
        }
    }

    /// Whether a batch is still said again until its requester acknowledges it.
    pub(crate) fn awaits_ack(&self, lease: LeaseId, batch: u64) -> bool {
        self.provider.as_ref().is_some_and(|p| {
            p.stale.contains_key(&(lease, batch))
                || p.tenancies.get(&lease).is_some_and(|t| t.unacked.contains_key(&batch))
        })
    }

    /// Frees everything a lease holds; what was done is billed, and kept until acknowledged.
    fn close_tenancy(&mut self, lease: LeaseId) {
        // Who ends a lease between an outcome and its bill is billed all the same.
        while self.tenancy(lease).is_some_and(|t| !t.due.is_empty()) {
            self.flush(lease);
        }
        let Some(provider) = &mut self.provider else { return };
        let Some(tenancy) = provider.tenancies.remove(&lease) else { return };
        provider.offer_changed = true;
        let requester = tenancy.requester();
        for (number, work) in &tenancy.work {
            match work.state {
                TenantState::Fetching(fetch) => {
                    self.fetches.remove(&fetch);
                    self.effects.push_back(Effect::CancelFetch(fetch));
                }
                TenantState::Running { run, .. } => {
                    provider.runs.remove(&run);
                    self.effects.push_back(Effect::Kill(run));
                }
                TenantState::Ready => {}
            }
            if provider.draining {
                let assignment = AssignmentId { lease, number: *number };
                let fault = Fault { kind: FaultKind::Draining, detail: String::new() };
                let message = Message::Faulted { assignment, fault };
                self.effects.push_back(Effect::Send { to: requester, message });
            }
        }
        for slot in tenancy.slots.into_keys() {
            self.effects.push_back(Effect::CloseSlot(slot));
        }
        let until = tenancy.until.max(self.now.after_ms(self.config.tuning.lease_ms));
        for (number, (batch, sent)) in tenancy.unacked {
            if provider.stale.len() < STALE_MAX {
                provider.stale.insert((lease, number), Stale { requester, batch, until, sent });
            }
        }
        self.write_off_unheard();
        self.commit(Record::GrantClosed { lease });
        self.dirty = true;
    }

    // --- connections and time ---

    pub(crate) fn provider_peer_up(&mut self, node: NodeId) {
        let now = self.now;
        let Some(provider) = &mut self.provider else { return };
        let mut again = Vec::new();
        for tenancy in provider.tenancies.values_mut().filter(|t| t.requester() == node) {
            tenancy.down_since = None;
            for receipt in &tenancy.due {
                again.extend(tenancy.answered.get(&receipt.assignment).cloned());
            }
            for (batch, sent) in tenancy.unacked.values_mut() {
                *sent = now;
                for receipt in &batch.receipts {
                    again.extend(tenancy.answered.get(&receipt.assignment).cloned());
                }
                again.push(Message::Batch(batch.clone()));
            }
        }
        for stale in provider.stale.values_mut().filter(|s| s.requester == node) {
            stale.sent = now;
            again.push(Message::Batch(stale.batch.clone()));
        }
        for message in again {
            self.send_gated(node, message);
        }
    }

    pub(crate) fn provider_heartbeat(&mut self) {
        let now = self.now;
        let tuning = self.config.tuning.clone();
        let Some(provider) = &mut self.provider else { return };
        self.dirty = true;
        let mut dead = Vec::new();
        let mut again: Vec<(NodeId, Message)> = Vec::new();
        let mut pings: BTreeMap<NodeId, Vec<LeaseId>> = BTreeMap::new();
        let mut compiling: Vec<(NodeId, Message)> = Vec::new();
        for (id, tenancy) in &mut provider.tenancies {
            let node = tenancy.requester();
            let (up, heard) = self.peers.get(&node).map_or((false, Time(0)), |p| (p.up, p.heard));
            tenancy.down_since = if up { None } else { tenancy.down_since.or(Some(now)) };
            let gone_ms = tenancy
                .down_since
                .map_or(0, |at| now.since_ms(at))
                .max(now.since_ms(heard).saturating_sub(tuning.silence_ms));
            let unwanted = tenancy.ending
                && tenancy.work.is_empty()
                && now.since_ms(tenancy.ending_since) >= tuning.requester_grace_ms;
            if gone_ms >= tuning.requester_grace_ms || unwanted {
                dead.push(*id);
                continue;
            }
            // Nothing new from then on; what was taken before is finished.
            if now >= tenancy.until && !tenancy.ending {
                tenancy.ending = true;
                tenancy.ending_since = now;
            }
            for (batch, sent) in tenancy.unacked.values_mut() {
                if up && now.since_ms(*sent) >= tuning.batch_resend_ms {
                    *sent = now;
                    for receipt in &batch.receipts {
                        if let Some(answer) = tenancy.answered.get(&receipt.assignment) {
                            again.push((node, answer.clone()));
                        }
                    }
                    again.push((node, Message::Batch(batch.clone())));
                }
            }
            if up && now.since_ms(tenancy.pinged) >= tuning.ping_ms {
                tenancy.pinged = now;
                pings.entry(node).or_default().push(*id);
                compiling.extend(tenancy.compiling().map(|number| {
                    (node, Message::Compiling { assignment: AssignmentId { lease: *id, number } })
                }));
            }
        }
        let before = provider.stale.len();
        provider.stale.retain(|_, s| s.until > now);
        let expired = provider.stale.len() < before;
        provider.past.retain(|_, (_, until)| *until > now);
        for stale in provider.stale.values_mut() {
            let up = self.peers.get(&stale.requester).is_some_and(|p| p.up);
            if up && now.since_ms(stale.sent) >= tuning.batch_resend_ms {
                stale.sent = now;
                again.push((stale.requester, Message::Batch(stale.batch.clone())));
            }
        }
        if expired {
            self.write_off_unheard();
        }
        for lease in dead {
            self.close_tenancy(lease);
        }
        for (node, message) in again {
            self.send_gated(node, message);
        }
        for (node, leases) in pings {
            self.send(node, Message::Ping { leases });
        }
        for (node, message) in compiling {
            self.send(node, message);
        }
        self.drain_step();
    }

    // --- the owner ---

    pub(crate) fn pause(&mut self, id: CommandId, reason: PauseReason) {
        let Some(provider) = &mut self.provider else {
            return self.gated(Then::Reply(id, Err(CommandError::NotAProvider)));
        };
        let first = provider.paused.is_empty();
        provider.paused.insert(reason);
        provider.offer_changed = true;
        if first {
            // Before anything else: the machine is its owner's from here on.
            self.effects.push_back(Effect::Freeze(true));
            self.hand_back(true, |_, _| true);
        }
        self.effects.push_back(Effect::Reply { id, result: Ok(Reply::Done) });
    }

    /// Lends more or less from now on. Leases that no longer fit end, the newest first.
    pub(crate) fn lend(&mut self, id: CommandId, lent: Lent) {
        let Some(provider) = &mut self.provider else {
            return self.gated(Then::Reply(id, Err(CommandError::NotAProvider)));
        };
        provider.config.slots = lent.slots;
        provider.config.memory_bytes = lent.memory_bytes;
        provider.config.disk_bytes = lent.disk_bytes;
        provider.config.price = lent.price;
        provider.config.busy_percent = lent.busy_percent;
        provider.offer_changed = true;
        let mut newest: Vec<(Time, LeaseId)> =
            provider.tenancies.iter().map(|(id, t)| (t.full.lease.issued, *id)).collect();
        newest.sort_unstable();
        let mut slots = lent.slots;
        let mut over = BTreeSet::new();
        for (_, lease) in newest {
            let Some(tenancy) = provider.tenancies.get(&lease) else { continue };
            let terms = &tenancy.full.lease;
            match slots.checked_sub(terms.slots) {
                Some(left) if terms.memory_bytes <= lent.memory_bytes => slots = left,
                _ => {
                    over.insert(lease);
                }
            }
        }
        if !over.is_empty() {
            self.hand_back(true, |lease, _| over.contains(&lease));
        }
        self.dirty = true;
        self.effects.push_back(Effect::Reply { id, result: Ok(Reply::Done) });
    }

    /// Ends the leases that are meant. What has not begun goes back to its requester, and what runs
    /// if it is killed; what is done is still delivered and billed.
    fn hand_back(&mut self, kill: bool, meant: impl Fn(LeaseId, &Tenancy) -> bool) {
        let now = self.now;
        let Some(provider) = &mut self.provider else { return };
        let mut back = Vec::new();
        let mut ends = Vec::new();
        let mut touched = Vec::new();
        for (lease, tenancy) in &mut provider.tenancies {
            if !meant(*lease, tenancy) {
                continue;
            }
            touched.push(*lease);
            if !tenancy.ending {
                tenancy.ending = true;
                tenancy.ending_since = now;
                ends.push((tenancy.requester(), *lease));
            }
            for (number, work) in &tenancy.work {
                match work.state {
                    TenantState::Running { .. } if !kill => continue,
                    TenantState::Running { run, .. } => {
                        provider.runs.remove(&run);
                        self.effects.push_back(Effect::Kill(run));
                    }
                    TenantState::Fetching(fetch) => {
                        self.fetches.remove(&fetch);
                        self.effects.push_back(Effect::CancelFetch(fetch));
                    }
                    TenantState::Ready => {}
                }
                back.push((*lease, *number));
            }
        }
        for (node, lease) in ends {
            self.send(node, Message::LeaseEnd { lease });
        }
        for (lease, number) in back {
            let fault = Fault { kind: FaultKind::Draining, detail: String::new() };
            self.answer_fault(lease, number, fault);
        }
        for lease in touched {
            self.flush_if_idle(lease);
            self.close_tenancy_if_done(lease);
        }
    }

    pub(crate) fn resume(&mut self, id: CommandId, reason: PauseReason) {
        let Some(provider) = &mut self.provider else {
            return self.gated(Then::Reply(id, Err(CommandError::NotAProvider)));
        };
        let was_paused = !provider.paused.is_empty();
        provider.paused.remove(&reason);
        if was_paused && provider.paused.is_empty() {
            self.effects.push_back(Effect::Freeze(false));
        }
        provider.offer_changed = true;
        self.dirty = true;
        self.effects.push_back(Effect::Reply { id, result: Ok(Reply::Done) });
    }

    /// Finishes what runs, gives back the rest, then says so.
    pub(crate) fn drain(&mut self, id: CommandId) {
        let Some(provider) = &mut self.provider else {
            self.effects.push_back(Effect::Reply { id, result: Ok(Reply::Drained) });
            return;
        };
        provider.drains.push(id);
        if !provider.draining {
            provider.draining = true;
            provider.offer_changed = true;
            self.hand_back(false, |_, _| true);
        }
        self.drain_step();
    }

    fn drain_step(&mut self) {
        let Some(provider) = &self.provider else { return };
        if !provider.draining {
            return;
        }
        for lease in provider.tenancies.keys().copied().collect::<Vec<_>>() {
            self.flush_if_idle(lease);
            self.close_tenancy_if_done(lease);
        }
        let grace = self.config.tuning.down_grace_ms;
        let now = self.now;
        let Some(provider) = &mut self.provider else { return };
        let unacknowledged: Vec<LeaseId> = provider
            .tenancies
            .iter()
            .filter(|(_, t)| {
                t.work.is_empty() && t.due.is_empty() && now.since_ms(t.ending_since) >= grace
            })
            .map(|(id, _)| *id)
            .collect();
        for lease in unacknowledged {
            self.close_tenancy(lease);
        }
        let Some(provider) = &mut self.provider else { return };
        if provider.tenancies.is_empty() {
            for id in std::mem::take(&mut provider.drains) {
                self.gated(Then::Reply(id, Ok(Reply::Drained)));
            }
        }
    }

    // --- records ---

    pub(crate) fn apply_granted(&mut self, full: FullLease) {
        let error_ms = self.config.tuning.clock_error_ms;
        if self.provider.is_some() {
            self.apply_till(&full.lease);
        }
        if let Some(provider) = &mut self.provider {
            let lease = &full.lease;
            // As long as its id could be asked for again, whatever the requester's clock says: two
            // leases of one id would make two honest batches look like two roots for one number.
            let until = lease.expires.after_ms(error_ms);
            let until = until.max(lease.issued.after_ms(2 * ISSUED_WITHIN_MS));
            provider.past.insert(lease.id, (lease.requester, until));
            if provider.commitments.len() >= COMMITMENTS_MAX {
                provider.commitments.pop_first();
            }
            let commitment = (lease.requester, lease.audit_commitment);
            provider.commitments.insert(lease.id, commitment);
        }
    }

    /// The lease is over, and its requester shows by what its audits were drawn.
    pub(crate) fn seed_shown(&mut self, from: NodeId, lease: LeaseId, seed: Digest) {
        let Some(provider) = &mut self.provider else { return };
        let known = provider.commitments.get(&lease).filter(|(who, _)| *who == from);
        let Some((_, commitment)) = known else { return };
        if crate::audit::commitment(&seed.0) != *commitment
            && (provider.broken_words.len() < COMMITMENTS_MAX
                || provider.broken_words.contains_key(&from))
        {
            provider.broken_words.insert(from, lease);
        }
        provider.commitments.remove(&lease);
    }

    pub(crate) fn apply_batch_signed(&mut self, batch: SignedBatch) {
        let now = self.now;
        let recovering = self.recovering;
        self.apply_earned(&batch);
        let Some(provider) = &mut self.provider else { return };
        let totals = &mut provider.totals;
        for receipt in &batch.receipts {
            totals.tasks += 1;
            totals.fuel = totals.fuel.saturating_add(receipt.fuel.0);
            totals.earned = Amount(totals.earned.0.saturating_add(receipt.price.0));
            let seen = &receipt.observed;
            // A slot that waits for a processor draws nothing.
            let busy_ms = seen.cpu_ms.saturating_add(seen.compile_ms);
            totals.busy_ms = totals.busy_ms.saturating_add(busy_ms);
        }
        if recovering
            && let Some((requester, until)) = provider.past.get(&batch.header.lease).copied()
            && until > now
        {
            let key = (batch.header.lease, batch.header.batch);
            provider.stale.insert(key, Stale { requester, batch, until, sent: now });
        }
    }

    pub(crate) fn apply_batch_acked(&mut self, lease: LeaseId, batch: u64) {
        if let Some(provider) = &mut self.provider {
            provider.stale.remove(&(lease, batch));
        }
    }
}

/// What goes along with an outcome, within the limits.
fn inline(blobs: Vec<Vec<u8>>) -> Vec<ByteVec> {
    let small = blobs.into_iter().filter(|b| b.len() <= limits::INLINE_BLOB_BYTES_MAX);
    small.take(limits::INLINE_BLOBS_MAX).map(ByteVec::from).collect()
}
