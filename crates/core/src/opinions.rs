//! Opinions of other providers on a task: quorums, audits made elsewhere, and what becomes of those
//! who disagree. Two that differ prove nothing about either, so nobody is banned here.
//!
//! Deliberately not here: home's word, which ends every doubt (`home`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ayni_types::{Amount, Digest, JobId, NodeId};

use crate::core::Core;
use crate::effect::NoticeKind;
use crate::job::{Accepted, Audit, Job};
use crate::journal::{AcceptRecord, AuditDraw, Record};

/// Who says what of one task: the accepted outcome with those that seconded it, and the rest.
struct Scale {
    stands: usize,
    contested: usize,
    /// The outcome that most others found, and how many.
    best: Option<(Digest, usize)>,
}

impl Scale {
    fn of(accepted: &Accepted) -> Self {
        let mut counts: BTreeMap<Digest, usize> = BTreeMap::new();
        for other in &accepted.contested {
            *counts.entry(other.digest).or_default() += 1;
        }
        Self {
            stands: accepted.seconded_by.len() + 1,
            contested: accepted.contested.len(),
            best: counts.into_iter().max_by_key(|(_, n)| *n),
        }
    }

    /// Everybody but the `n` who agree on the best.
    fn rest(&self, n: usize) -> usize {
        self.stands + self.contested - n
    }
}

impl Core {
    /// Whether more unrelated providers must agree before `digest` is accepted.
    pub(crate) fn lacks_votes(&self, id: JobId, index: u32, digest: Digest) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        let votes = job.task(index).map_or(&[][..], |t| &t.votes);
        let agree = votes.iter().filter(|v| v.digest == digest).count() + 1;
        agree < job.record.verify.quorum as usize
    }

    /// With a quorum reached: home judges those who said something else, if it can.
    pub(crate) fn judge_votes(&self, id: JobId, index: u32, digest: Digest) -> Option<AuditDraw> {
        let votes = &self.jobs.get(&id)?.task(index)?.votes;
        let dissent = votes.iter().any(|v| v.digest != digest);
        (dissent && self.config.home.slots > 0).then_some(AuditDraw { rate: 0, drawn: true })
    }

    /// A quorum needs nobody else any more.
    pub(crate) fn end_other_attempts(&mut self, id: JobId, index: u32) {
        let quorum = self.jobs.get(&id).is_some_and(|j| j.record.verify.quorum > 1);
        if quorum {
            self.stop_attempts(id, Some(index));
        }
    }

    /// Another provider found the accepted outcome too.
    pub(crate) fn seconded(&mut self, id: JobId, index: u32, by: NodeId, price: Amount) {
        self.commit(Record::Seconded { job: id, index, by, price });
        self.weigh(id, index);
    }

    /// Another provider found something else. Home decides; without home, ever more others do.
    pub(crate) fn contest(&mut self, record: AcceptRecord) {
        let (id, index) = (record.job, record.index);
        let Some(job) = self.jobs.get(&id).filter(|j| !j.record.nondeterministic) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        if accepted.provider.is_none() && self.config.home.slots == 0 {
            return;
        }
        self.commit(Record::Contested(record));
        self.weigh(id, index);
    }

    /// Without home: what stands must be two opinions ahead of everything else where anybody
    /// dissents; without dissent, one that agrees is enough. Until then one more is asked for.
    fn weigh(&mut self, id: JobId, index: u32) {
        if self.config.home.slots > 0 {
            return;
        }
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        if accepted.audit != Audit::Pending {
            return;
        }
        let scale = Scale::of(accepted);
        let by = accepted.seconded_by.last().copied();
        if scale.contested == 0 && by.is_some() || scale.stands >= scale.contested + 2 {
            self.uphold(id, index, by);
        } else if let Some((digest, _)) = scale.best.filter(|(_, n)| *n >= scale.rest(*n) + 2) {
            self.overturn(id, index, digest);
        } else {
            job.audits.remove(&index);
            job.second.insert(index, now);
        }
        self.dirty = true;
        self.market_dirty = true;
    }

    fn uphold(&mut self, id: JobId, index: u32, by: Option<NodeId>) {
        let time = self.now;
        let author = self.jobs.get(&id).and_then(|j| j.task(index)?.accepted.as_ref()?.provider);
        self.commit(Record::AuditAgreed { job: id, index, time, by });
        if let Some(provider) = author {
            self.notice_gated(id, NoticeKind::AuditAgreed { index, provider });
        }
    }

    fn overturn(&mut self, id: JobId, index: u32, digest: Digest) {
        self.commit(Record::Outvoted { job: id, index, digest, time: self.now });
        let task = self.jobs.get(&id).and_then(|j| j.task(index));
        if let Some(accepted) = task.and_then(|t| t.accepted.as_ref()) {
            let (outcome, provider, price) =
                (accepted.outcome.clone(), accepted.provider, accepted.price);
            self.announce(id, index, true, &outcome, provider, price);
        }
    }

    /// Without own cores audits are made by other providers.
    pub(crate) fn hand_audits_out(&mut self) {
        if self.config.home.slots > 0 {
            return;
        }
        let now = self.now;
        for id in &self.running {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            for index in std::mem::take(&mut job.audits) {
                job.second.insert(index, now);
                self.market_dirty = true;
            }
        }
    }

    /// Gives up audits that nobody unrelated is there to make.
    pub(crate) fn give_up_seconds(&mut self) {
        let (now, grace) = (self.now, self.config.tuning.exhausted_ms);
        let mut over = Vec::new();
        let reachable = self.reachable();
        for job in self.running.iter().filter_map(|id| self.jobs.get(id)) {
            for (index, since) in job.second.iter().take(256) {
                let willing = |node: &NodeId| {
                    job.task(*index).is_some_and(|t| t.may_run_at(Some(*node)))
                        && self.worth_asking(job, *index, *node)
                };
                let can = |node: &NodeId| willing(node) && self.affords_ever(job, *index, *node);
                if !reachable.iter().any(can) && now.since_ms(*since) >= grace {
                    let accepted = job.task(*index).and_then(|t| t.accepted.as_ref());
                    let short = reachable.iter().any(willing);
                    over.push((job.id(), *index, accepted.map(|a| Scale::of(a)), short));
                }
            }
        }
        for (job, index, scale, short) in over {
            let reason = match short {
                true => "what is left of the job's budget does not pay for another execution",
                false => {
                    "no unrelated provider is in reach to execute it again (hint: give this \
                          node home slots)"
                }
            };
            let reason = reason.to_owned();
            // Nobody else will come: a plain majority is all that can be had.
            match scale.map(|s| (s.best.filter(|(_, n)| *n > s.rest(*n)), s)) {
                Some((Some((digest, _)), _)) => self.overturn(job, index, digest),
                Some((None, s)) if s.stands > s.contested && s.contested > 0 => {
                    let task = self.jobs.get(&job).and_then(|j| j.task(index));
                    let by = task.and_then(|t| t.accepted.as_ref()?.seconded_by.last().copied());
                    self.uphold(job, index, by);
                }
                _ => self.commit(Record::AuditGivenUp { job, index, reason }),
            }
        }
    }

    /// Whether a provider's answer to a task can be had and is worth something: it answers, nothing
    /// ties it to those who have signed already, and it was not outvoted in this job.
    pub(crate) fn worth_asking(&self, job: &Job, index: u32, provider: NodeId) -> bool {
        !job.distrusted.contains(&provider)
            && !job.has_stalled(provider)
            && job
                .task(index)
                .is_some_and(|task| task.signers().all(|other| !self.related(provider, other)))
    }

    /// Whether two providers are reached under one network prefix of the public internet.
    fn related(&self, one: NodeId, other: NodeId) -> bool {
        let prefixes = |node: &NodeId| {
            let offer = self.offers.get(node).map(|k| &k.signed.body.addr);
            let peer = self.peers.get(node).and_then(|p| p.addr.as_ref());
            let direct = offer.into_iter().chain(peer).flat_map(|a| a.direct.iter());
            direct.filter_map(|a| public_prefix(a.ip())).collect::<BTreeSet<_>>()
        };
        one == other || !prefixes(&one).is_disjoint(&prefixes(&other))
    }
}

/// The network that an address of the public internet belongs to; nothing for those of a LAN, where
/// everybody is a neighbour.
fn public_prefix(ip: IpAddr) -> Option<[u8; 6]> {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local();
            (!local && !v4.is_unspecified()).then_some([4, a, b, c, 0, 0])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            let local = v6.is_loopback() || v6.is_unspecified() || a & 0xfe00 == 0xfc00;
            let [b0, b1] = b.to_be_bytes();
            let [c0, c1] = c.to_be_bytes();
            let [a0, a1] = a.to_be_bytes();
            (!local && a & 0xffc0 != 0xfe80).then_some([a0, a1, b0, b1, c0, c1])
        }
    }
}
