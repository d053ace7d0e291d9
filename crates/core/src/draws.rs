//! When results are drawn for audits and at what rate: what each provider gave a job so far, what it
//! has at risk, and what this node remembers of it.
//!
//! A result is decided on when it is accepted, unless so little is at risk yet that waiting makes
//! the audit cheaper (pay held back grows with each result) and nobody outside gains by a wrong
//! result meanwhile. When nothing more comes, everything is
//! decided, and a provider that gave fewer results than was thought is drawn from once more.
//! Deliberately not here: the arithmetic (`audit`), and what an audit's end does (`verify`).

use std::collections::{BTreeMap, BTreeSet};

use ayni_types::{Amount, JobId, LeaseId, NodeId, Time};
use ayni_wire::{FullLease, digest};

use crate::audit::{self, Draw, Terms, WHOLE};
use crate::core::Core;
use crate::job::{Audit, Job, Phase};
use crate::journal::{AuditDraw, Record};

/// Undecided results of one provider in one job at most.
const UNDECIDED_MAX: usize = 256;
/// Results looked at in one record at most.
const LOOKED_MAX: usize = 4_096;

/// One provider in one job.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Results accepted from it.
    pub(crate) results: u64,
    /// Pay for them.
    pub(crate) pay: u128,
    /// Rates at which they were looked at, added up, in millionths.
    pub(crate) rates: u64,
    /// Audits that agreed, in thousandths: home's count whole.
    pub(crate) agreed_milli: u64,
    /// Results that may still be drawn.
    pub(crate) undecided: BTreeSet<u32>,
    /// Results when the last look back was taken.
    topped: u64,
}

/// What this node itself has seen of a provider. It fades, and is never told to anyone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trust {
    agreed_milli: u64,
    at: Time,
}

/// A rate and whether it pays to wait.
struct Quote {
    rate: u32,
    wait: bool,
}

impl Ledger {
    /// Audits that agreed, rounded down.
    pub(crate) fn agreed(&self) -> u64 {
        self.agreed_milli / 1_000
    }
}

impl Trust {
    /// Audits that agreed and are not forgotten.
    fn agreed(self, now: Time, half_life_ms: u64) -> u64 {
        let half_life = half_life_ms.max(1);
        let age = now.since_ms(self.at);
        let halved = self.agreed_milli.checked_shr(u32::try_from(age / half_life).unwrap_or(64));
        // Between two halvings it falls in a straight line.
        let halved = halved.unwrap_or(0);
        let rest = u128::from(age % half_life);
        let lost = u128::from(halved) * rest / (2 * u128::from(half_life));
        halved - u64::try_from(lost).unwrap_or(halved)
    }
}

impl Core {
    /// The secret that a lease commits to. Nobody else can make it, and it comes back after a
    /// restart.
    pub(crate) fn audit_seed(&self, lease: LeaseId) -> [u8; 32] {
        let message = [b"ayni audit seed 1\0".as_slice(), &lease.0].concat();
        digest(&self.seal.sign_node(&message).0).0
    }

    fn draw_of(&mut self, lease: LeaseId) -> &mut Draw {
        let seed = self.audit_seed(lease);
        self.draws.entry(lease).or_insert_with(|| Draw::new(seed))
    }

    /// Whether the result that is about to be accepted is audited; `None` leaves it open.
    pub(crate) fn draw_now(
        &mut self,
        id: JobId,
        provider: NodeId,
        lease: LeaseId,
        price: Amount,
    ) -> Option<AuditDraw> {
        let job = self.jobs.get(&id)?;
        if job.record.nondeterministic || job.record.verify.quorum > 1 {
            return Some(AuditDraw::NONE);
        }
        let rate = match job.record.verify.rate {
            Some(fixed) => fixed,
            None => {
                let full = self.leases.get(&lease)?;
                let quote = self.quote(job, provider, full, (1, price.0), false);
                if quote.wait {
                    return None;
                }
                quote.rate
            }
        };
        // The draw itself moves on when the record is applied, live and at recovery alike.
        let drawn = self.draw_of(lease).clone().next(rate);
        Some(AuditDraw { rate, drawn })
    }

    /// The books of an accepted result.
    pub(crate) fn apply_drawn(
        &mut self,
        id: JobId,
        index: u32,
        provider: NodeId,
        lease: LeaseId,
        price: Amount,
        draw: Option<AuditDraw>,
    ) {
        if let Some(draw) = draw {
            self.draw_of(lease).next(draw.rate);
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let ledger = job.ledgers.entry(provider).or_default();
        ledger.results += 1;
        ledger.pay = ledger.pay.saturating_add(price.0);
        match draw {
            Some(draw) => ledger.rates += u64::from(draw.rate),
            None => {
                ledger.undecided.insert(index);
            }
        }
    }

    fn quote(
        &self,
        job: &Job,
        provider: NodeId,
        full: &FullLease,
        (more, more_pay): (u64, u128),
        closing: bool,
    ) -> Quote {
        let ledger = job.ledgers.get(&provider);
        let results = ledger.map_or(0, |l| l.results) + more;
        let pay = ledger.map_or(0, |l| l.pay).saturating_add(more_pay);
        let active = job.in_flight_by.len().max(1) as u64;
        let expected = match closing {
            true => results,
            false => results + u64::from(job.unfinished) / active,
        };
        let rule = &job.record.verify;
        let mut floor = audit::floor(expected, self.trusted(provider));
        if let Some(share) = rule.error {
            floor = floor.max(audit::for_target(expected, share));
        }
        let price = pay / u128::from(results.max(1));
        let terms = |held: u128| Terms {
            price: Amount(price),
            cost: Amount(price.saturating_mul(u128::from(self.config.tuning.cost_ppm)) / 1_000_000),
            gain: rule.gain,
            stake: self.stake_at_risk(job, full),
            held: Amount(held.min(full.lease.hold_back.0)),
        };
        let deterring = audit::deterring(&terms(pay));
        let undecided = ledger.map_or(0, |l| l.undecided.len());
        // A wrong result that is worth something elsewhere may be used before it is replaced.
        let harmless = rule.gain.0 == 0;
        let wait = harmless && deterring > floor && !closing && expected > results && {
            let later = audit::deterring(&terms(price.saturating_mul(u128::from(expected))));
            later < deterring && undecided < UNDECIDED_MAX
        };
        let mut rate = floor.max(deterring);
        if self.config.home.slots == 0 {
            // Others audit: some of them may be its friends.
            let honest = u64::from(WHOLE.saturating_sub(rule.hostile).max(1));
            rate = u32::try_from(u64::from(rate) * u64::from(WHOLE) / honest).unwrap_or(WHOLE);
        }
        Quote { rate: rate.min(WHOLE), wait }
    }

    /// Audits that this provider passed before and that are not forgotten.
    pub(crate) fn trusted(&self, provider: NodeId) -> u32 {
        let half_life = self.config.tuning.trust_half_life_ms;
        let agreed = self.trust.get(&provider).map_or(0, |t| t.agreed(self.now, half_life));
        u32::try_from(agreed / 1_000).unwrap_or(u32::MAX)
    }

    /// An audit of its result agreed; `milli` thousandths of one by home.
    pub(crate) fn apply_trust(&mut self, provider: NodeId, milli: u64, time: Time) {
        let half_life = self.config.tuning.trust_half_life_ms;
        let before = self.trust.get(&provider).map_or(0, |t| t.agreed(time, half_life));
        let trust = Trust { agreed_milli: before.saturating_add(milli), at: time };
        self.trust.insert(provider, trust);
    }

    /// Decides on what was left open, if it is time.
    pub(crate) fn decide(&mut self, id: JobId, provider: NodeId, closing: bool) {
        let Some(job) = self.jobs.get(&id).filter(|j| j.ended.is_none()) else { return };
        let Some(ledger) = job.ledgers.get(&provider) else { return };
        let Some(first) = ledger.undecided.first() else { return };
        let lease = job.task(*first).and_then(|t| t.accepted.as_ref()?.receipt).map(|r| r.lease);
        let Some(terms) = lease.and_then(|l| self.leases.get(&l)) else { return };
        let quote = self.quote(job, provider, terms, (0, 0), closing);
        if quote.wait {
            return;
        }
        let looked = ledger.undecided.iter().copied().collect();
        self.look(id, provider, quote.rate, looked);
    }

    /// Nothing more comes for this job: everything undecided is decided, and who gave less than was
    /// expected is drawn from again.
    pub(crate) fn close_draws(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.record.nondeterministic {
            return;
        }
        let providers: Vec<NodeId> = job.ledgers.keys().copied().collect();
        for provider in providers {
            self.decide(id, provider, true);
            if !self.banned.contains_key(&provider) {
                self.look_back(id, provider);
            }
        }
    }

    fn look_back(&mut self, id: JobId, provider: NodeId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(ledger) = job.ledgers.get(&provider) else { return };
        let rule = &job.record.verify;
        if rule.rate.is_some() || rule.quorum > 1 || ledger.topped == ledger.results {
            return;
        }
        let own: Vec<(u32, LeaseId)> = (0..)
            .zip(&job.tasks)
            .filter(|(_, t)| t.phase == Phase::Done)
            .filter_map(|(i, t)| Some((i, t.accepted.as_ref()?)))
            .filter(|(_, a)| a.provider == Some(provider) && a.audit == Audit::No && !a.held)
            .filter_map(|(i, a)| Some((i, a.receipt?.lease)))
            .collect();
        let terms = own.first().and_then(|(_, lease)| self.leases.get(lease));
        let (results, rates) = (ledger.results, ledger.rates);
        let rate = terms.map_or(0, |t| self.quote(job, provider, t, (0, 0), true).rate);
        if let Some(ledger) = self.jobs.get_mut(&id).and_then(|j| j.ledgers.get_mut(&provider)) {
            ledger.topped = results;
        }
        let due = u64::from(rate).saturating_mul(results);
        if due <= rates || own.is_empty() {
            return;
        }
        let missing = (due - rates).div_ceil(own.len() as u64);
        let rate = u32::try_from(missing).unwrap_or(WHOLE).min(WHOLE);
        self.look(id, provider, rate, own.into_iter().map(|(index, _)| index).collect());
    }

    fn look(&mut self, job: JobId, provider: NodeId, rate: u32, looked: Vec<u32>) {
        for looked in looked.chunks(LOOKED_MAX) {
            let mut draws: BTreeMap<LeaseId, Draw> = BTreeMap::new();
            let mut drawn = Vec::new();
            for index in looked {
                let Some(lease) = self.lease_of(job, *index) else { continue };
                let known = self.draw_of(lease).clone();
                if draws.entry(lease).or_insert(known).next(rate) {
                    drawn.push(*index);
                }
            }
            let looked = looked.to_vec();
            self.commit(Record::AuditsDrawn { job, provider, rate, looked, drawn });
        }
        self.dirty = true;
    }

    fn lease_of(&self, job: JobId, index: u32) -> Option<LeaseId> {
        let accepted = self.jobs.get(&job)?.task(index)?.accepted.as_ref()?;
        accepted.receipt.map(|r| r.lease)
    }

    pub(crate) fn apply_looked(
        &mut self,
        id: JobId,
        provider: NodeId,
        rate: u32,
        looked: &[u32],
        drawn: &[u32],
    ) {
        for index in looked {
            if let Some(lease) = self.lease_of(id, *index) {
                self.draw_of(lease).next(rate);
            }
        }
        let drawn: BTreeSet<u32> = drawn.iter().copied().collect();
        let mut settled = Vec::new();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for index in looked {
            let ledger = job.ledgers.entry(provider).or_default();
            ledger.rates += u64::from(rate);
            let was_open = ledger.undecided.remove(index);
            let Some(task) = job.tasks.get_mut(*index as usize) else { continue };
            let (task_id, is_done) = (task.id, task.phase == Phase::Done);
            let Some(accepted) = task.accepted.as_mut() else { continue };
            if drawn.contains(index) && accepted.audit == Audit::No {
                accepted.audit = Audit::Pending;
                job.audits.insert(*index);
                job.pending.insert(*index);
                self.outcomes.remove(&task_id);
            } else if was_open && is_done && accepted.audit == Audit::No {
                settled.push((*index, task_id));
            }
        }
        for (index, task) in settled {
            self.hold(id, index, task);
        }
        self.touched.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_halves_and_is_forgotten() {
        let trust = Trust { agreed_milli: 64_000, at: Time(1_000) };
        let cases = [(0, 64_000), (50, 48_000), (100, 32_000), (200, 16_000), (10_000, 0)];
        for (age, left) in cases {
            assert_eq!(trust.agreed(Time(1_000 + age), 100), left, "after {age}");
        }
        assert_eq!(trust.agreed(Time(0), 100), 64_000);
        assert_eq!(trust.agreed(Time(u64::MAX), 1), 0);
    }
}
