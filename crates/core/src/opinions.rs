//! Opinions of other providers on a task: quorums, audits made elsewhere, and what becomes of those
//! who disagree. Two that differ prove nothing about either, so nobody is banned here.
//!
//! Deliberately not here: home's word, which ends every doubt (`home`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use ayni_types::{JobId, NodeId};

use crate::core::Core;
use crate::effect::NoticeKind;
use crate::job::{Audit, Job};
use crate::journal::{AcceptRecord, AuditDraw, Record, digest_of};

impl Core {
    /// Whether more unrelated providers must agree before `digest` is accepted.
    pub(crate) fn lacks_votes(&self, id: JobId, index: u32, digest: ayni_types::Digest) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        let votes = job.task(index).map_or(&[][..], |t| &t.votes);
        let agree = votes.iter().filter(|v| v.digest == digest).count() + 1;
        agree < job.record.verify.quorum as usize
    }

    /// With a quorum reached: home judges those who said something else, if it can.
    pub(crate) fn judge_votes(
        &self,
        id: JobId,
        index: u32,
        digest: ayni_types::Digest,
    ) -> Option<AuditDraw> {
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
    pub(crate) fn seconded(&mut self, id: JobId, index: u32, by: Option<NodeId>) {
        let home = self.config.home.slots > 0;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        let (audit, provider) = (accepted.audit, accepted.provider);
        // Where home can judge it does; and each who said something else asks for one more.
        if audit != Audit::Pending || home || job.audits.contains(&index) {
            return;
        }
        let dissent = accepted.contested.len();
        let seconds = job.seconds.entry(index).or_default();
        *seconds += 1;
        if *seconds <= dissent {
            let now = self.now;
            job.second.insert(index, now);
            return;
        }
        let time = self.now;
        self.commit(Record::AuditAgreed { job: id, index, time, by });
        if let Some(provider) = provider {
            self.notice_gated(id, NoticeKind::AuditAgreed { index, provider });
        }
        self.dirty = true;
    }

    /// Another provider found something else. Home decides; without home, ever more others do.
    pub(crate) fn contest(&mut self, record: AcceptRecord) {
        let (id, index) = (record.job, record.index);
        let Some(job) = self.jobs.get(&id).filter(|j| !j.record.nondeterministic) else { return };
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        if accepted.provider.is_none() && self.config.home.slots == 0 {
            return;
        }
        let digest = digest_of(&record.outcome);
        let price = record.price.0;
        self.commit(Record::Contested(record));
        if self.config.home.slots > 0 {
            return;
        }
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.opinions = job.opinions.saturating_add(price);
        job.audits.remove(&index);
        let seconds = job.seconds.get(&index).copied().unwrap_or(0);
        let Some(accepted) = job.task(index).and_then(|t| t.accepted.as_ref()) else { return };
        let against = accepted.contested.iter().filter(|c| c.digest == digest).count();
        let others = accepted.contested.len() - against;
        // The accepted one counts as one voice beside those that seconded it.
        if against > others + seconds + 1 {
            self.commit(Record::Outvoted { job: id, index, digest, time: now });
            if let Some(task) = self.jobs.get(&id).and_then(|j| j.task(index))
                && let Some(accepted) = task.accepted.as_ref()
            {
                let (outcome, provider, price) =
                    (accepted.outcome.clone(), accepted.provider, accepted.price);
                self.announce(id, index, true, &outcome, provider, price);
            }
        } else {
            job.second.insert(index, now);
        }
        self.dirty = true;
        self.market_dirty = true;
    }

    /// Without own cores (or enough memory) audits are made by other providers.
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
        for job in self.running.iter().filter_map(|id| self.jobs.get(id)) {
            for (index, since) in job.second.iter().take(256) {
                let can = |node: NodeId| {
                    job.task(*index).is_some_and(|t| t.may_run_at(Some(node)))
                        && self.may_judge(job, *index, node)
                };
                let offered = self
                    .offers
                    .values()
                    .map(|k| &k.signed.body)
                    .filter(|o| self.offer_obstacle(o).is_none());
                let hired = self.hires.values().map(crate::market::Hire::provider);
                let somebody = offered.map(|o| o.node).chain(hired).any(can);
                if !somebody && now.since_ms(*since) >= grace {
                    over.push((job.id(), *index));
                }
            }
        }
        for (job, index) in over {
            let reason = "no unrelated provider is in reach to execute it again (hint: give this \
                          node home slots)"
                .to_owned();
            self.commit(Record::AuditGivenUp { job, index, reason });
        }
    }

    /// Whether a provider's opinion on a task is worth something: nothing ties it to those who have
    /// signed already, and it was not outvoted in this job.
    pub(crate) fn may_judge(&self, job: &Job, index: u32, provider: NodeId) -> bool {
        !job.distrusted.contains(&provider)
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
