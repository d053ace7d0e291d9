//! Stake behind leases: a provider says for whose reservation it works, a requester finds out from the
//! chain what that reservation is worth, and names what a jury may judge.
//!
//! Deliberately not here: taking the steps on the chain and disputes' course (`ayni-court`).

use ayni_types::{Account, Amount, BatchKey, Dispute, NodeAddr, NodeId, Time};
use ayni_wire::{
    Backing, FullLease, ReceiptFile, SignedBatch, SignedHeader, TwoRoots, outcome_digest,
};

use crate::core::Core;
use crate::effect::Effect;
use crate::job::Job;

/// A reservation lasts so much longer than the lease for which it is made, in milliseconds: the next
/// leases need no transaction.
const RESERVE_MS: u64 = 30 * 86_400_000;
/// One is made anew when less than this would be left after a lease, in milliseconds.
pub(crate) const RESERVE_LEFT_MS: u64 = 86_400_000;
/// Proofs of fraud that are kept to be shown, to a contract or to people.
const PROOFS_MAX: usize = 64;

/// Which stake stands behind the leases of two accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StakeOf {
    /// Whose.
    pub provider: Account,
    /// Which key signs for it.
    pub key: BatchKey,
    /// Reserved for whom.
    pub requester: Account,
}

/// What a contract should hear about a provider.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)]
pub enum Accusation {
    /// Its receipt commits to an outcome that home did not find.
    WrongOutcome {
        /// The receipt.
        receipt: ReceiptFile,
        /// Digest of what home found.
        found: ayni_types::Digest,
    },
    /// It signed two roots for one batch of a lease of ours.
    TwoRoots(TwoRoots),
}

impl Core {
    /// Provider: what stands behind a lease that is about to be granted.
    pub(crate) fn back(&self, lease: &ayni_types::Lease) -> Option<Backing> {
        let disputes = self.provider.as_ref()?.config.disputes?;
        if lease.stake_reserved.0 == 0 {
            return None;
        }
        let hash = Backing::hash(lease, &disputes)?;
        Some(Backing { disputes, signature: self.seal.sign_batch(&hash) })
    }

    /// Provider: has the stake behind a granted lease reserved.
    pub(crate) fn reserve_stake(&mut self, full: &FullLease) {
        let (Some(_), Some(paid_by)) = (full.backing, full.lease.paid_by) else { return };
        self.effects.push_back(Effect::Reserve {
            requester: paid_by.terms.payer,
            amount: full.lease.stake_reserved,
            least_until: full.lease.expires.after_ms(RESERVE_LEFT_MS),
            until: full.lease.expires.after_ms(RESERVE_MS),
        });
    }

    /// Requester: what is wrong with what is said to stand behind a lease.
    pub(crate) fn backing_fault(&self, full: &FullLease) -> Option<&'static str> {
        let backing = full.backing.as_ref()?;
        let Some(hash) = Backing::hash(&full.lease, &backing.disputes) else {
            return Some("granted a lease that is not paid with stake behind it");
        };
        let key = full.lease.batch_key;
        (!self.seal.verify_batch(key, &hash, &backing.signature))
            .then_some("signed with another key what stands behind the lease")
    }

    /// Requester: asks what the stake behind a lease is worth.
    pub(crate) fn watch_stake(&mut self, full: &FullLease) {
        if let Some(stake) = self.stake_of(full) {
            self.effects.push_back(Effect::WatchStake(stake));
        }
    }

    /// Whose stake stands behind a lease, if a contract that we use can take it.
    fn stake_of(&self, full: &FullLease) -> Option<StakeOf> {
        let wallet = self.config.wallet.as_ref()?;
        let (backing, paid_by) = (full.backing?, full.lease.paid_by?);
        let terms = paid_by.terms;
        let ours = backing.disputes == wallet.disputes && paid_by.ledger == wallet.ledger;
        (ours && terms.payer == wallet.account).then_some(StakeOf {
            provider: terms.payee,
            key: full.lease.batch_key,
            requester: terms.payer,
        })
    }

    /// The chain holds this for a pair, and a jury would take so much of it.
    pub(crate) fn stake_seen(&mut self, stake: StakeOf, at_risk: Amount, until: Time) {
        if self.stakes.len() >= self.config.tuning.offers_max {
            self.stakes.pop_first();
        }
        self.stakes.insert(stake, (at_risk, until));
    }

    /// What a provider would lose for a lie in this job under this lease: nothing unless a jury may see
    /// it, can execute it with the provider's build, and a contract holds it.
    pub(crate) fn stake_at_risk(&self, job: &Job, full: &FullLease) -> Amount {
        let judged = job.record.verify.dispute == Dispute::Public;
        if !judged || full.lease.build != self.config.home.build {
            return Amount(0);
        }
        match self.stake_of(full).and_then(|stake| self.stakes.get(&stake)) {
            Some((at_risk, until)) if *until > full.lease.issued => {
                Amount(at_risk.0.min(full.lease.stake_reserved.0))
            }
            _ => Amount(0),
        }
    }

    /// The proof that a batch contradicts the one that was taken under its number.
    pub(crate) fn two_roots(&self, second: &SignedBatch) -> Option<TwoRoots> {
        let header = &second.header;
        let lease = self.leases.get(&header.lease)?.clone();
        let first = self.batches.get(&(header.lease, header.batch))?;
        let signed = |b: &SignedBatch| SignedHeader { header: b.header, signature: b.signature };
        Some(TwoRoots { lease, first: signed(first), second: signed(second) })
    }

    /// Proofs of fraud that hold, of providers that this node has met: found here or shown by others.
    #[must_use]
    pub fn proofs(&self) -> Vec<TwoRoots> {
        self.proofs.clone()
    }

    pub(crate) fn keep_proof(&mut self, proof: TwoRoots) {
        if self.proofs.len() < PROOFS_MAX {
            self.proofs.push(proof);
        }
    }

    /// What contracts should hear of: for each provider the first lie of each job that a jury may see,
    /// and each fraud against us, as far as stake stands behind the lease.
    #[must_use]
    pub fn accusations(&self) -> Vec<Accusation> {
        let mut found = Vec::new();
        let judged = |job: &&Job| job.record.verify.dispute == Dispute::Public;
        for job in self.jobs.values().filter(judged) {
            let mut seen: Vec<NodeId> = Vec::new();
            for evidence in &job.evidence {
                if seen.contains(&evidence.provider)
                    || self.stake_of(&evidence.claimed.lease).is_none()
                {
                    continue;
                }
                seen.push(evidence.provider);
                found.push(Accusation::WrongOutcome {
                    receipt: evidence.claimed.clone(),
                    found: outcome_digest(&evidence.found),
                });
            }
        }
        let ours = self.proofs.iter().filter(|proof| self.stake_of(&proof.lease).is_some());
        found.extend(ours.cloned().map(Accusation::TwoRoots));
        found
    }

    /// Where a node said that it can be reached.
    #[must_use]
    pub fn address_of(&self, node: NodeId) -> Option<NodeAddr> {
        let said = self.peers.get(&node).and_then(|peer| peer.addr.clone());
        said.or_else(|| self.offers.get(&node).map(|known| known.signed.body.addr.clone()))
    }
}
