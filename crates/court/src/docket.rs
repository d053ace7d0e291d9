//! Disputes as the chain's events tell them. The events are kept, so that those of blocks that are no
//! more can be taken back.
//!
//! Deliberately not here: what to do about them (`due`).

use std::collections::{BTreeMap, BTreeSet};

use ayni_chain::watcher::{ChainEvent, Notice, Verdict};
use ayni_types::{Account, Amount, Digest, LeaseId, TaskId, Time};

/// A dispute as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// Its number in the contract.
    pub id: u64,
    /// Whose receipt it is about.
    pub provider: Account,
    /// Who says that it is wrong.
    pub requester: Account,
    /// The receipt's lease.
    pub lease: LeaseId,
    /// The receipt's task.
    pub task: TaskId,
    /// The receipt's outcome.
    pub outcome: Digest,
    /// What the requester found.
    pub counter_outcome: Digest,
    /// What the receipt bills.
    pub price: Amount,
    /// Every jury that was called, the last one at the end.
    pub juries: Vec<Jury>,
    /// Who asked for the larger jury.
    pub appellant: Option<Account>,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// A jury, from its calling to its count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jury {
    /// How many were wanted.
    pub size: u8,
    /// The block whose hash draws it.
    pub seed_block: u64,
    /// Who sits in it; nobody until it is drawn.
    pub members: Vec<Account>,
    /// Draws the fuel points.
    pub point_seed: Digest,
    /// By when to commit.
    pub commit_until: Time,
    /// By when to reveal; sooner when all have committed.
    pub reveal_until: Time,
    /// Who has committed.
    pub committed: BTreeSet<Account>,
    /// Who has revealed what.
    pub revealed: BTreeMap<Account, (Verdict, Digest)>,
    /// What it found.
    pub found: Option<(Verdict, Digest)>,
}

impl Jury {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn called() -> Self {
        Self {
            size: 0,
            seed_block: 0,
            members: Vec::new(),
            point_seed: Digest([0; 32]),
            commit_until: Time(0),
            reveal_until: Time(0),
            committed: BTreeSet::new(),
            revealed: BTreeMap::new(),
            found: None,
        }
    }
}

/// How a dispute ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How it was ruled.
    pub verdict: Verdict,
    /// What came out, by the jury.
    pub outcome: Digest,
    /// Taken from the reservation.
    pub slashed: Amount,
    /// Of it, the price that the requester got back.
    pub restitution: Amount,
    /// Of it, and of bonds, what nobody has any more.
    pub burned: Amount,
}

impl Dispute {
    /// The jury that is at work, and its number.
    #[must_use]
    pub fn jury(&self) -> Option<(u64, &Jury)> {
        let last = self.juries.len().checked_sub(1)?;
        Some((last as u64, &self.juries[last]))
    }

    /// Whether an account is of a jury that was ever drawn for it.
    #[must_use]
    pub fn sat(&self, juror: Account) -> bool {
        self.juries.iter().any(|jury| jury.members.contains(&juror))
    }
}

/// All disputes of a contract.
#[derive(Debug, Default)]
pub struct Docket {
    /// With the block of each.
    events: Vec<(u64, ChainEvent)>,
    disputes: BTreeMap<u64, Dispute>,
    frauds: BTreeMap<(LeaseId, u64), Amount>,
}

impl Docket {
    /// Takes note of what a watcher brings.
    pub fn take(&mut self, notice: &Notice) {
        match notice {
            Notice::Event { at, event } if is_of_disputes(event) => {
                self.apply(event);
                self.events.push((at.block, (**event).clone()));
            }
            Notice::Reverted { after } => {
                let mut kept = std::mem::take(&mut self.events);
                kept.retain(|(block, _)| block <= after);
                (self.disputes, self.frauds) = Default::default();
                for (_, event) in &kept {
                    self.apply(event);
                }
                self.events = kept;
            }
            Notice::Event { .. } | Notice::Alarm(_) => {}
        }
    }

    /// In the order of their numbers.
    pub fn disputes(&self) -> impl Iterator<Item = &Dispute> {
        self.disputes.values()
    }

    /// One of them.
    #[must_use]
    pub fn dispute(&self, id: u64) -> Option<&Dispute> {
        self.disputes.get(&id)
    }

    /// What was taken for two roots of a lease's batch; nothing if they were not shown.
    #[must_use]
    pub fn fraud(&self, lease: LeaseId, batch: u64) -> Option<Amount> {
        self.frauds.get(&(lease, batch)).copied()
    }

    /// The dispute about a task of a lease.
    #[must_use]
    pub fn about(&self, lease: LeaseId, task: TaskId) -> Option<&Dispute> {
        self.disputes.values().find(|d| d.lease == lease && d.task == task)
    }

    fn jury(&mut self, dispute: u64, jury: u64) -> Option<&mut Jury> {
        let all = &mut self.disputes.get_mut(&dispute)?.juries;
        let at = usize::try_from(jury).ok()?;
        // The contract counts them from 0, each once; one with a lost seed is called again.
        if at == all.len() {
            all.push(Jury::called());
        }
        all.get_mut(at)
    }

    fn apply(&mut self, event: &ChainEvent) {
        match event {
            ChainEvent::DisputeOpened {
                dispute,
                provider,
                requester,
                lease,
                task,
                outcome,
                counter_outcome,
                price,
            } => {
                let new = Dispute {
                    id: *dispute,
                    provider: *provider,
                    requester: *requester,
                    lease: *lease,
                    task: *task,
                    outcome: *outcome,
                    counter_outcome: *counter_outcome,
                    price: *price,
                    juries: Vec::new(),
                    appellant: None,
                    ended: None,
                };
                self.disputes.insert(*dispute, new);
            }
            ChainEvent::JuryCalled { dispute, jury, size, seed_block } => {
                if let Some(jury) = self.jury(*dispute, *jury) {
                    (jury.size, jury.seed_block) = (*size, *seed_block);
                }
            }
            ChainEvent::JuryDrawn {
                dispute,
                jury,
                members,
                point_seed,
                commit_until,
                reveal_until,
            } => {
                if let Some(jury) = self.jury(*dispute, *jury) {
                    jury.members.clone_from(members);
                    jury.point_seed = *point_seed;
                    (jury.commit_until, jury.reveal_until) = (*commit_until, *reveal_until);
                }
            }
            ChainEvent::JurorCommitted { dispute, jury, juror } => {
                if let Some(jury) = self.jury(*dispute, *jury) {
                    jury.committed.insert(*juror);
                }
            }
            ChainEvent::JurorRevealed { dispute, jury, juror, verdict, outcome } => {
                if let Some(jury) = self.jury(*dispute, *jury) {
                    jury.revealed.insert(*juror, (*verdict, *outcome));
                }
            }
            ChainEvent::JuryTallied { dispute, jury, verdict, outcome } => {
                if let Some(jury) = self.jury(*dispute, *jury) {
                    jury.found = Some((*verdict, *outcome));
                }
            }
            ChainEvent::Appealed { dispute, appellant } => {
                if let Some(dispute) = self.disputes.get_mut(dispute) {
                    dispute.appellant = Some(*appellant);
                }
            }
            ChainEvent::DisputeEnded {
                dispute,
                verdict,
                outcome,
                slashed,
                restitution,
                burned,
            } => {
                if let Some(dispute) = self.disputes.get_mut(dispute) {
                    dispute.ended = Some(Ended {
                        verdict: *verdict,
                        outcome: *outcome,
                        slashed: *slashed,
                        restitution: *restitution,
                        burned: *burned,
                    });
                }
            }
            ChainEvent::TwoRootsProven { lease, batch, slashed, .. } => {
                self.frauds.insert((*lease, *batch), *slashed);
            }
            _ => {}
        }
    }
}

fn is_of_disputes(event: &ChainEvent) -> bool {
    matches!(
        event,
        ChainEvent::DisputeOpened { .. }
            | ChainEvent::JuryCalled { .. }
            | ChainEvent::JuryDrawn { .. }
            | ChainEvent::JurorCommitted { .. }
            | ChainEvent::JurorRevealed { .. }
            | ChainEvent::JuryTallied { .. }
            | ChainEvent::Appealed { .. }
            | ChainEvent::DisputeEnded { .. }
            | ChainEvent::TwoRootsProven { .. }
    )
}
