//! The requester's market: whom we know, what they offer, whom we ask for a lease and what became
//! of it. Every offer that is not used has a reason that can be shown.
//!
//! Deliberately not here: handing out tasks (`schedule`) and judging results (`verify`).

use std::collections::{BTreeMap, BTreeSet};

use ayni_types::{
    Amount, AssignmentId, Digest, EngineId, Fault, FaultKind, Fuel, Lease, LeaseId, Limits, NodeId,
    NodeSignature, Offer, Outcome, PaidBy, Price, TaskId, Time, limits,
};
use ayni_wire::{
    Assign, FullLease, Message, PROTOCOL_VERSION, Query, Refusal, RefusalCode, Signed,
};

use crate::core::Core;
use crate::effect::{FetchId, NoticeKind};
use crate::job::{Job, Place};
use crate::journal::Record;
use crate::patience::Patience;

/// A lease from its asking to its end.
#[derive(Debug)]
pub(crate) struct Hire {
    /// The provider's signature is zero until it grants.
    pub(crate) full: FullLease,
    pub(crate) state: HireState,
    pub(crate) work: BTreeMap<u64, Work>,
    pub(crate) next_number: u64,
    pub(crate) next_batch: u64,
    /// Programs whose code was billed.
    pub(crate) programs: BTreeSet<Digest>,
    /// Assignments that we gave up: what each may still be billed at most, once.
    pub(crate) given_up: BTreeMap<u64, (TaskId, Fuel)>,
    /// Last sign of life.
    pub(crate) heard: Time,
    pub(crate) pinged: Time,
    /// When it last had work.
    pub(crate) busy: Time,
    pub(crate) down_since: Option<Time>,
    pub(crate) faults_in_row: u32,
    pub(crate) rest_until: Time,
    pub(crate) patience: Patience,
    /// Assignments that the provider still works on.
    pub(crate) undelivered: usize,
    /// What its tasks cost.
    pub(crate) pace: Pace,
}

/// How long tasks of a lease usually take a processor: partly what a provider says, so that it only
/// decides how many it is given ahead, within the same bounds for all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    seen: u32,
    /// Sixteenths of a millisecond.
    usual: u64,
}

impl Pace {
    /// Outcomes before it counts.
    const SEEN_MIN: u32 = 16;
    /// Work that lies at a provider's slot, in milliseconds: longer than a message takes to come.
    const AHEAD_MS: u64 = 32;

    /// A task took so long.
    pub(crate) fn took(&mut self, ms: u64) {
        let ms = ms.clamp(1, 1 << 32);
        self.usual = match self.seen {
            0 => ms * 16,
            _ => self.usual - self.usual / 16 + ms,
        };
        self.seen = self.seen.saturating_add(1);
    }

    /// Assignments per slot, if that many wait.
    pub(crate) fn depth(&self, least: usize, slots: usize) -> usize {
        let most = (limits::LEASE_WINDOW_MAX / slots.max(1)).max(least);
        if self.seen < Self::SEEN_MIN {
            return least;
        }
        let ahead = Self::AHEAD_MS / (self.usual / 16).max(1);
        usize::try_from(ahead).unwrap_or(most).clamp(least, most)
    }
}

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HireState {
    Asked,
    Active,
    /// Nothing new; what is in flight is awaited.
    Ending,
}

/// One assignment in flight.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) job: ayni_types::JobId,
    pub(crate) index: u32,
    pub(crate) since: Time,
    /// What the lease's patience had not counted by then, in milliseconds.
    pub(crate) uncounted_ms: u64,
    pub(crate) delivered: Option<Box<(Outcome, Digest)>>,
    pub(crate) delivered_at: Time,
    pub(crate) fetch: Option<FetchId>,
    pub(crate) fetch_tries: u32,
    pub(crate) fetch_at: Option<Time>,
    pub(crate) fetched: bool,
    pub(crate) leaf: Option<(u64, u32, Amount)>,
    /// Its job does not want it any more.
    pub(crate) abandoned: bool,
    /// Assignments of its slot before it, when it was made.
    pub(crate) ahead: u64,
}

/// An offer, checked.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) signed: Signed<Offer>,
    /// When it ends by our clock.
    pub(crate) until: Time,
    /// Slots taken by us since the offer was made.
    pub(crate) taken: u32,
}

/// A provider that is left alone for a while.
#[derive(Debug, Clone)]
pub(crate) struct Shun {
    pub(crate) until: Time,
    pub(crate) reason: String,
    pub(crate) hint: String,
    pub(crate) times: u32,
}

/// A provider that is never asked again.
#[derive(Debug, Clone)]
pub(crate) struct Ban {
    pub(crate) reason: String,
    pub(crate) time: Time,
}

/// Why an offer is not used, and what would help.
pub(crate) type Obstacle = (String, String);

/// Leases with one provider at once.
const LEASES_PER_PROVIDER_MAX: usize = 4;
/// Assignments in flight or waiting for their receipt under one lease.
pub(crate) const WORK_PER_LEASE_MAX: usize = 1_024;
/// Queries without an answer that are remembered.
const QUERIES_MAX: usize = 1_024;

impl Hire {
    pub(crate) fn provider(&self) -> NodeId {
        self.full.lease.provider
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.full.lease
    }
}

impl Core {
    /// Whether some job waits for providers.
    pub(crate) fn wants_offers(&self) -> bool {
        self.running
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .any(|job| job.record.providers_max > 0 && (job.waiting() > 0 || job.record.open))
    }

    /// Asks half of the directories, drawn at random, and every provider we are connected to.
    pub(crate) fn query_now(&mut self) {
        self.queried_at = Some(self.now);
        let mut directories: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.up && p.roles.is_some_and(|r| r.directory))
            .map(|(n, _)| *n)
            .collect();
        let wanted = directories.len().div_ceil(2);
        while directories.len() > wanted {
            let out = self.chance.below(directories.len() as u64);
            directories.swap_remove(usize::try_from(out).unwrap_or(0));
        }
        // Whose greeting got lost may be anything: it is asked like a provider.
        let providers: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, p)| p.up && p.roles.is_none_or(|r| r.provider && !r.directory))
            .map(|(n, _)| *n)
            .take(64)
            .collect();
        for node in directories.into_iter().chain(providers) {
            self.query_peer(node);
        }
        if self.config.roles.directory {
            let own: Vec<_> = self.directory.values().map(|k| k.signed.clone()).collect();
            for offer in own {
                self.learn_offer(offer);
            }
            self.market_dirty = true;
            self.dirty = true;
        }
    }

    pub(crate) fn query_peer(&mut self, node: NodeId) {
        let horizon = self.now;
        if self.queries.len() >= QUERIES_MAX {
            self.queries.retain(|_, (_, at)| horizon.since_ms(*at) < 30_000);
            if self.queries.len() >= QUERIES_MAX {
                return;
            }
        }
        let id = self.fresh_id();
        self.queries.insert(id, (node, self.now));
        let memory_bytes = 0;
        let count_max = u32::try_from(limits::OFFERS_ANSWER_MAX).unwrap_or(u32::MAX);
        let query = Query { id, engine: EngineId::wasi1(), memory_bytes, count_max };
        self.send(node, Message::Query(query));
    }

    pub(crate) fn offers_came(&mut self, from: NodeId, query: u64, offers: Vec<Signed<Offer>>) {
        let asked = self.queries.get(&query).is_some_and(|(who, _)| *who == from);
        if asked {
            self.queries.remove(&query);
        }
        for offer in offers.into_iter().take(limits::OFFERS_ANSWER_MAX) {
            // Unasked, a node may speak for itself only.
            if asked || offer.body.node == from {
                self.learn_offer(offer);
            }
        }
        self.market_dirty = true;
        self.dirty = true;
    }

    /// Keeps an offer if it is newer than what we have, sane, and signed.
    pub(crate) fn learn_offer(&mut self, signed: Signed<Offer>) {
        let offer = &signed.body;
        let known = self.offers.get(&offer.node).map(|k| k.signed.body.sequence);
        if offer.node == self.me || known.is_some_and(|sequence| sequence >= offer.sequence) {
            return;
        }
        let Some(until) = self.offer_ends(&signed) else { return };
        if known.is_none() && self.offers.len() >= self.config.tuning.offers_max {
            let now = self.now;
            self.offers.retain(|_, k| k.until > now);
            if self.offers.len() >= self.config.tuning.offers_max {
                return;
            }
        }
        self.offers.insert(offer.node, Known { taken: 0, until, signed });
    }

    /// When something ends by our clock that another node made at `issued` and ends at `expires`, by
    /// its clock: as long from now as it was to last. `None` if it is over, or its clock is too wrong.
    pub(crate) fn ends_here(&self, issued: Time, expires: Time) -> Option<Time> {
        let lasts_ms = expires.since_ms(issued);
        let error_ms = self.config.tuning.clock_error_ms;
        let over = self.now.since_ms(expires) > error_ms;
        let early = issued.since_ms(self.now) > error_ms;
        (lasts_ms > 0 && !over && !early).then(|| self.now.after_ms(lasts_ms))
    }

    /// When an offer ends by our clock, if it is sane in itself and signed by its node.
    pub(crate) fn offer_ends(&self, signed: &Signed<Offer>) -> Option<Time> {
        let offer = &signed.body;
        let until = self.ends_here(offer.issued, offer.expires)?;
        let sane = offer.expires.since_ms(offer.issued) <= self.config.tuning.offer_horizon_ms
            && offer.addr.node == offer.node
            && offer.addr.direct.len() <= limits::ADDRESSES_MAX
            && offer.addr.relay.as_ref().is_none_or(|r| r.len() <= limits::TEXT_BYTES_MAX)
            && offer.engines.len() <= 16
            && offer.walls.len() <= 32
            && offer.build.version.len() <= limits::TEXT_BYTES_MAX
            && offer.region.as_ref().is_none_or(|r| r.len() <= 16)
            && self.seal.verify_node(offer.node, &Signed::message(offer), &signed.signature);
        sane.then_some(until)
    }

    /// Why a provider is not asked, whatever the job.
    pub(crate) fn offer_obstacle(&self, offer: &Offer) -> Option<Obstacle> {
        let because = |text: String, hint: &str| Some((text, hint.to_owned()));
        if let Some(ban) = self.banned.get(&offer.node) {
            return because(format!("banned: {}", ban.reason), "look at the job's evidence");
        }
        if self.offers.get(&offer.node).is_none_or(|known| known.until <= self.now) {
            return because("its offer has expired".to_owned(), "is it still running?");
        }
        if let Some(shun) = self.shunned.get(&offer.node).filter(|s| s.until > self.now) {
            return Some((shun.reason.clone(), shun.hint.clone()));
        }
        if !offer.engines.iter().any(|e| e.0 == EngineId::WASI1) {
            return because("it does not run engine wasi1".to_owned(), "upgrade that provider");
        }
        if let Some(obstacle) = self.payment_obstacle(offer) {
            return Some(obstacle);
        }
        let version = self.peers.get(&offer.node).and_then(|p| p.version);
        if let Some(version) = version.filter(|v| *v != PROTOCOL_VERSION) {
            return because(
                format!("it speaks protocol {version}, this node {PROTOCOL_VERSION}"),
                "run the same release on both",
            );
        }
        None
    }

    /// Why this job can't use an offer (or the lease made of it), by its first waiting task.
    pub(crate) fn job_obstacle(
        &self,
        job: &Job,
        index: u32,
        price: &Price,
        memory_bytes: u64,
        fuel_per_second: u64,
    ) -> Option<Obstacle> {
        let task = TaskTerms {
            limits: job.task(index)?.spec.limits,
            timeout_ms: job.record.timeout_ms,
            price_max: job.price_max(),
            slack: self.config.tuning.fuel_rate_slack,
        };
        terms_obstacle(&task, price, memory_bytes, fuel_per_second)
    }

    /// Why this job can't use an offer: by its first waiting task that may run there.
    pub(crate) fn offer_obstacle_for(&self, job: &Job, offer: &Offer) -> Option<Obstacle> {
        let may = |index: &&u32| {
            job.task(**index).is_some_and(|task| task.may_run_at(Some(offer.node)))
                && self.worth_asking(job, **index, offer.node)
        };
        if job.has_stalled(offer.node) {
            return Some((
                "let work run out without a word, again and again".to_owned(),
                "another provider would help, or a longer `--timeout`".to_owned(),
            ));
        }
        // Audits that wait for another provider need one hired as much as other tasks do.
        let waiting = job.second.keys().take(64).chain(job.queue.iter().take(64));
        let Some(index) = waiting.chain(job.retry.iter().take(256)).find(may) else {
            return Some((
                "every task that waits has failed there before, or was done there".to_owned(),
                "another provider would help".to_owned(),
            ));
        };
        self.job_obstacle(job, *index, &offer.price, offer.memory_bytes, offer.fuel_per_second)
            .or_else(|| self.budget_obstacle(job, *index, offer.node, &offer.price))
    }

    // --- asking ---

    /// Asks for leases while jobs want more slots than we have.
    pub(crate) fn hire_more(&mut self) {
        let waiting: Vec<&Job> = self
            .running
            .iter()
            .filter_map(|id| self.jobs.get(id))
            .filter(|job| job.record.providers_max > 0 && job.waiting() > 0)
            .collect();
        if waiting.is_empty() {
            return;
        }
        let need: usize = waiting.iter().map(|job| job.waiting()).sum();
        let providers_max =
            waiting.iter().map(|job| job.record.providers_max).max().unwrap_or(0) as usize;
        let mut hired: BTreeMap<NodeId, usize> = BTreeMap::new();
        // Leases that have room have been filled before this: what still waits does not fit them.
        let mut room = 0;
        for hire in self.hires.values().filter(|h| h.state != HireState::Ending) {
            *hired.entry(hire.provider()).or_default() += 1;
            if hire.state == HireState::Asked {
                room += hire.lease().slots as usize;
            }
        }
        if room >= need {
            return;
        }
        let mut usable: Vec<(u128, u64, NodeId, u32)> = Vec::new();
        for (node, known) in &self.offers {
            let offer = &known.signed.body;
            let free = offer.slots_free.saturating_sub(known.taken);
            let leases = hired.get(node).copied().unwrap_or(0);
            if self.offer_obstacle(offer).is_some()
                || leases >= LEASES_PER_PROVIDER_MAX
                || (leases > 0 && free == 0)
                || self
                    .hires
                    .values()
                    .any(|h| h.provider() == *node && h.state != HireState::Active)
            {
                continue;
            }
            let wanted = waiting.iter().any(|job| self.offer_obstacle_for(job, offer).is_none());
            if wanted {
                let rank =
                    offer.price.per_gigafuel.0.saturating_add(offer.price.per_data_mebibyte.0);
                usable.push((rank, 0, *node, free.max(1).min(offer.slots)));
            }
        }
        for entry in &mut usable {
            let drawn = self.chance.number();
            // Among equals, whom we have a channel with: the next one costs another deposit.
            entry.1 = if self.has_purse(entry.2) { 0 } else { drawn };
        }
        usable.sort_unstable();
        let mut distinct = hired.len();
        let mut left = need - room;
        let new = usable.iter().filter(|u| !hired.contains_key(&u.2)).count();
        let mut takers = (new.min(providers_max.saturating_sub(distinct))
            + usable.iter().filter(|u| hired.contains_key(&u.2)).count())
        .max(1);
        for (_, _, node, free) in usable {
            if left == 0 {
                break;
            }
            if !hired.contains_key(&node) && distinct >= providers_max {
                continue;
            }
            let ready = match self.prepare_payment(node) {
                Ok(paid_by) => Some(paid_by),
                Err((reason, hint)) => {
                    self.pay_waits.insert(node, (reason, hint));
                    if !self.is_opening(node) {
                        continue;
                    }
                    // It will take its share when its deposit is there; nobody else is paid in for it.
                    None
                }
            };
            if !hired.contains_key(&node) {
                distinct += 1;
            }
            // Spread over everybody who is there: faster, and no single provider holds the job.
            let share = left.div_ceil(takers).max(1);
            let slots = free.min(u32::try_from(share).unwrap_or(u32::MAX)).max(1);
            takers = takers.saturating_sub(1).max(1);
            left = left.saturating_sub(slots as usize);
            if let Some(paid_by) = ready {
                self.pay_waits.remove(&node);
                self.ask(node, slots, paid_by);
            }
        }
    }

    fn ask(&mut self, node: NodeId, slots: u32, paid_by: Option<PaidBy>) {
        let Some(known) = self.offers.get(&node) else { return };
        let offer = known.signed.body.clone();
        let id = fresh_lease_id(self.chance.id(), self.now);
        let step_max = self.config.wallet.as_ref().map_or(Amount(0), |w| w.step_max);
        let step = offer.payment.map_or(Amount(0), |p| p.step.min(step_max));
        let lease = Lease {
            id,
            requester: self.me,
            provider: node,
            engine: EngineId::wasi1(),
            build: offer.build.clone(),
            slots,
            memory_bytes: offer.memory_bytes,
            price: offer.price,
            fuel_per_second: offer.fuel_per_second,
            voucher_step: step,
            stake_reserved: offer.stake,
            batch_key: offer.batch_key,
            issued: self.now,
            expires: self.now.after_ms(self.config.tuning.lease_ms),
            hold_back: offer.hold_back,
            audit_commitment: crate::audit::commitment(&self.audit_seed(id)),
            paid_by,
        };
        let signature = self.seal.sign_node(&Signed::message(&lease));
        self.connect(&offer.addr);
        self.commit(Record::LeaseAsked(lease.clone()));
        self.send_gated(node, Message::LeaseAsk(Signed { body: lease.clone(), signature }));
        let unsigned = NodeSignature([0; 64]);
        let full = FullLease { lease, requester: signature, provider: unsigned, backing: None };
        self.hires.insert(
            full.lease.id,
            Hire {
                full,
                state: HireState::Asked,
                work: BTreeMap::new(),
                next_number: 0,
                next_batch: 0,
                programs: BTreeSet::new(),
                given_up: BTreeMap::new(),
                heard: self.now,
                pinged: self.now,
                busy: self.now,
                down_since: None,
                faults_in_row: 0,
                rest_until: Time(0),
                patience: Patience::default(),
                undelivered: 0,
                pace: Pace::default(),
            },
        );
    }

    pub(crate) fn lease_granted(&mut self, from: NodeId, full: FullLease) {
        let id = full.lease.id;
        let Some(hire) = self.hires.get(&id) else {
            // Asked before a restart, or given up: nothing will come of it.
            if self.open_asks.get(&id) == Some(&from) || full.lease.requester == self.me {
                self.send(from, Message::LeaseEnd { lease: id });
            }
            return;
        };
        if hire.provider() != from || hire.state != HireState::Asked {
            return;
        }
        let message = Signed::message(&full.lease);
        if full.lease != hire.full.lease
            || full.requester != hire.full.requester
            || !self.seal.verify_node(from, &message, &full.provider)
        {
            self.shun(from, "granted another lease than was asked", "", 60_000);
            self.drop_hire(id, "granted another lease than was asked");
            return;
        }
        if let Some(wrong) = self.backing_fault(&full) {
            self.shun(from, wrong, "", 60_000);
            self.drop_hire(id, wrong);
            return;
        }
        self.watch_stake(&full);
        self.commit(Record::LeaseMade(full.clone()));
        let slots = full.lease.slots;
        let now = self.now;
        if let Some(hire) = self.hires.get_mut(&id) {
            hire.full = full;
            hire.state = HireState::Active;
            hire.heard = now;
            hire.busy = now;
        }
        if let Some(known) = self.offers.get_mut(&from) {
            known.taken = known.taken.saturating_add(slots);
        }
        self.shunned.remove(&from);
        self.pay_lease(id);
        for job in self.running.clone() {
            self.notice(Some(job), NoticeKind::Leased { provider: from, slots });
        }
        self.dirty = true;
        self.market_dirty = true;
    }

    pub(crate) fn lease_refused(&mut self, from: NodeId, lease: LeaseId, refusal: Refusal) {
        let asked = self.hires.get(&lease);
        if !asked.is_some_and(|h| h.provider() == from && h.state == HireState::Asked) {
            return;
        }
        let text: String = refusal.text.chars().take(200).flat_map(char::escape_debug).collect();
        let hint = match refusal.code {
            RefusalCode::NoSlotFree => "it works for others; its slots come free by and by",
            RefusalCode::Paused => "its owner paused it",
            RefusalCode::OnBattery => "it works again when it is plugged in",
            RefusalCode::Draining => "it is shutting down",
            RefusalCode::DiskFull => "its owner must make room",
            RefusalCode::Version => "run the same release on both",
            _ => "its offer is out of date; a new one is asked for",
        };
        let rest = self.config.tuning.refusal_rest_ms;
        self.shun(from, &format!("refused: {text}"), hint, rest);
        for job in self.running.clone() {
            let refusal = Refusal { code: refusal.code, text: text.clone() };
            self.notice(Some(job), NoticeKind::LeaseRefused { provider: from, refusal });
        }
        self.drop_hire(lease, "refused");
    }

    /// Leaves a provider alone for `rest_ms`, longer each time, up to 16 times as long.
    pub(crate) fn shun(&mut self, node: NodeId, reason: &str, hint: &str, rest_ms: u64) {
        let times = self.shunned.get(&node).map_or(0, |s| s.times);
        let until = self.now.after_ms(rest_ms << times.min(4));
        let (reason, hint) = (reason.to_owned(), hint.to_owned());
        self.shunned.insert(node, Shun { until, reason, hint, times: times.saturating_add(1) });
        if self.shunned.len() > self.config.tuning.peers_max {
            let now = self.now;
            self.shunned.retain(|_, s| s.until > now);
        }
    }

    // --- the end of a lease ---

    /// The provider takes nothing new.
    pub(crate) fn hire_ended_by(&mut self, from: NodeId, lease: LeaseId) {
        let Some(hire) = self.hires.get_mut(&lease).filter(|h| h.provider() == from) else {
            return;
        };
        hire.state = HireState::Ending;
        let rest = self.config.tuning.refusal_rest_ms;
        self.shun(from, "it ended its lease", "it is shutting down or paused", rest);
        self.close_if_done(lease);
        self.dirty = true;
        self.market_dirty = true;
    }

    /// The provider does not know the lease any more: it restarted, or gave us up.
    pub(crate) fn hire_died(&mut self, from: NodeId, lease: LeaseId) {
        if self
            .hires
            .get(&lease)
            .is_some_and(|h| h.provider() == from && h.state != HireState::Asked)
        {
            self.lose_hire(lease, "it does not know the lease any more (it restarted)");
        }
    }

    /// Gives a lease up with everything in flight, and says so.
    pub(crate) fn lose_hire(&mut self, lease: LeaseId, reason: &str) {
        let Some(hire) = self.hires.get(&lease) else { return };
        let provider = hire.provider();
        let mut requeued: BTreeMap<ayni_types::JobId, u32> = BTreeMap::new();
        for work in hire.work.values().filter(|w| !w.abandoned) {
            *requeued.entry(work.job).or_default() += 1;
        }
        let rest = self.config.tuning.refusal_rest_ms;
        self.shun(provider, reason, "it is asked again in a moment", rest);
        for (job, requeued) in requeued {
            let reason = reason.to_owned();
            self.notice(Some(job), NoticeKind::ProviderLost { provider, requeued, reason });
        }
        self.send(provider, Message::LeaseEnd { lease });
        self.drop_hire(lease, reason);
    }

    /// Takes a lease out of the books; its unfinished tasks go back to the queue.
    pub(crate) fn drop_hire(&mut self, lease: LeaseId, reason: &str) {
        let Some(hire) = self.hires.remove(&lease) else { return };
        self.release_lease(lease);
        self.commit(Record::LeaseClosed { lease });
        let provider = hire.provider();
        if hire.state != HireState::Asked {
            // All that comes of it has come: the seed may be seen now.
            let seed = Digest(self.audit_seed(lease));
            self.send_gated(provider, Message::AuditSeed { lease, seed });
        }
        if hire.state != HireState::Asked
            && let Some(known) = self.offers.get_mut(&provider)
        {
            known.taken = known.taken.saturating_sub(hire.full.lease.slots);
        }
        for (number, work) in hire.work {
            if let Some(fetch) = work.fetch {
                self.fetches.remove(&fetch);
                self.effects.push_back(crate::effect::Effect::CancelFetch(fetch));
            }
            if !work.abandoned {
                let place = Place::Lease { lease, number, provider };
                let fault = Fault { kind: FaultKind::Lost, detail: reason.to_owned() };
                self.attempt_faulted(work.job, work.index, place, fault);
            }
        }
        self.dirty = true;
        self.market_dirty = true;
    }

    /// Ends a lease that has delivered everything it had to.
    pub(crate) fn close_if_done(&mut self, lease: LeaseId) {
        let done = self
            .hires
            .get(&lease)
            .is_some_and(|h| h.state == HireState::Ending && h.work.is_empty());
        if done {
            self.drop_hire(lease, "ended");
        }
    }

    pub(crate) fn requester_peer_up(&mut self, node: NodeId) {
        let mut again = Vec::new();
        for (id, hire) in &mut self.hires {
            if hire.provider() != node {
                continue;
            }
            hire.down_since = None;
            if hire.state == HireState::Asked {
                continue;
            }
            for (number, work) in &hire.work {
                if work.delivered.is_none() {
                    let id = AssignmentId { lease: *id, number: *number };
                    again.push((id, work.job, work.index, work.abandoned));
                }
            }
        }
        // Whatever was said before may be lost; it is applied once, so saying it again is harmless.
        for (assignment, job, index, abandoned) in again {
            if abandoned {
                self.send(node, Message::Cancel { assignment });
            } else if let Some(assign) = self.assign_message(assignment, job, index) {
                self.send(node, assign);
            }
        }
        let asks: Vec<_> = self
            .hires
            .values()
            .filter(|h| h.provider() == node && h.state == HireState::Asked)
            .map(|h| Signed { body: h.full.lease.clone(), signature: h.full.requester })
            .collect();
        for ask in asks {
            self.send_gated(node, Message::LeaseAsk(ask));
        }
        let old: Vec<LeaseId> = self
            .open_asks
            .iter()
            .filter(|(lease, n)| **n == node && !self.hires.contains_key(lease))
            .map(|(lease, _)| *lease)
            .collect();
        for lease in old {
            self.send(node, Message::LeaseEnd { lease });
            self.commit(Record::LeaseClosed { lease });
        }
    }

    pub(crate) fn assign_message(
        &self,
        id: AssignmentId,
        job: ayni_types::JobId,
        index: u32,
    ) -> Option<Message> {
        let job = self.jobs.get(&job)?;
        Some(Message::Assign(Assign {
            id,
            task: (*job.task(index)?.spec).clone(),
            timeout_ms: job.record.timeout_ms,
            holders: Vec::new(),
        }))
    }
}

/// What a task asks of whoever runs it.
pub(crate) struct TaskTerms {
    pub(crate) limits: Limits,
    pub(crate) timeout_ms: u64,
    pub(crate) price_max: Option<Price>,
    /// As in [`crate::Tuning::fuel_rate_slack`].
    pub(crate) slack: u64,
}

/// Why a task can't be run on some terms.
pub(crate) fn terms_obstacle(
    task: &TaskTerms,
    price: &Price,
    memory_bytes: u64,
    fuel_per_second: u64,
) -> Option<Obstacle> {
    if let Some(max) = task.price_max.filter(|max| !within(price, max)) {
        let hint = "raise the job's `--max-price`".to_owned();
        return Some((dearer(price, &max), hint));
    }
    let (limits, timeout_ms) = (&task.limits, task.timeout_ms);
    if limits.memory_bytes > memory_bytes {
        return Some((
            format!("offers {memory_bytes} bytes of memory; tasks ask {}", limits.memory_bytes),
            "lower the job's memory, or have the provider lend more".to_owned(),
        ));
    }
    let seconds = too_slow(limits.fuel.0, fuel_per_second, timeout_ms, task.slack)?;
    Some((
        format!(
            "does {fuel_per_second} fuel per second: a fuel limit of {} can't be reached within \
             {timeout_ms} ms",
            limits.fuel
        ),
        format!("raise the timeout to {seconds} s or lower the fuel limit"),
    ))
}

/// A lease's id begins with the time of its issue (48 bits of milliseconds), so that a provider need
/// not remember for ever which ids were used.
fn fresh_lease_id(mut drawn: [u8; 16], issued: Time) -> LeaseId {
    drawn[..6].copy_from_slice(&issued.0.to_be_bytes()[2..]);
    LeaseId(drawn)
}

/// The time of issue that an id carries.
pub(crate) fn issue_of(id: LeaseId) -> Time {
    let mut bytes = [0; 8];
    bytes[2..].copy_from_slice(&id.0[..6]);
    Time(u64::from_be_bytes(bytes))
}

/// Whether every part of `price` is at most that of `max`.
pub(crate) fn within(price: &Price, max: &Price) -> bool {
    price.per_gigafuel <= max.per_gigafuel
        && price.per_code_mebibyte <= max.per_code_mebibyte
        && price.per_data_mebibyte <= max.per_data_mebibyte
}

/// Which parts of `price` are above those of `max`.
fn dearer(price: &Price, max: &Price) -> String {
    let parts = [
        (price.per_gigafuel, max.per_gigafuel, "10^9 fuel"),
        (price.per_code_mebibyte, max.per_code_mebibyte, "MiB of code"),
        (price.per_data_mebibyte, max.per_data_mebibyte, "MiB of data"),
    ];
    let above = parts.iter().filter(|(asked, most, _)| asked > most);
    let above = above
        .map(|(asked, most, what)| format!("asks {asked} per {what}; the job pays at most {most}"));
    above.collect::<Vec<_>>().join(", and ")
}

/// Seconds that a fuel limit takes at `slack` times a rate, if that is more than the timeout.
pub(crate) fn too_slow(fuel: u64, per_second: u64, timeout_ms: u64, slack: u64) -> Option<u64> {
    let per_second = per_second.saturating_mul(slack).max(1);
    let possible = u128::from(per_second) * u128::from(timeout_ms) / 1_000;
    (slack > 0 && u128::from(fuel) > possible).then(|| fuel.div_ceil(per_second))
}
