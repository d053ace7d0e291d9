//! The step that is due from a node in a dispute: a function of what the chain says, its clock, and
//! what the node knows. Taken twice or too late a step is refused by the contract, without harm.
//!
//! Deliberately not here: how a step is taken, and how an answer is found.

use ayni_chain::contracts::disputes::Answer;
use ayni_chain::watcher::Verdict;
use ayni_types::{Account, Digest, Time};

use crate::docket::Dispute;

/// The chain's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Number of the last block.
    pub block: u64,
    /// Its time.
    pub time: Time,
}

/// What a node knows and wants of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stance {
    /// What it found as a juror of the jury at work.
    pub answer: Option<Answer>,
    /// It would pay for a larger jury.
    pub appeals: bool,
    /// Until when the ruling may be appealed.
    pub appeal_until: Time,
    /// Blocks come with transactions alone, so that somebody has to send some.
    pub quiet: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Let a block pass.
    Nudge,
    /// Seat the jury.
    Draw,
    /// Commit to an answer.
    Commit(Answer),
    /// Show it.
    Reveal(Answer),
    /// Count the answers.
    Tally,
    /// Ask for the larger jury.
    Appeal,
    /// Do what was ruled.
    Execute,
}

/// What is due from `me`; nothing if others are to move, or nobody.
#[must_use]
pub fn due(dispute: &Dispute, me: Account, stance: &Stance, clock: Clock) -> Option<Step> {
    if dispute.ended.is_some() {
        return None;
    }
    let is_party = me == dispute.provider || me == dispute.requester;
    let (_, jury) = dispute.jury()?;
    let is_member = jury.members.contains(&me);
    if jury.members.is_empty() {
        // The draw itself is in a block after that of the seed.
        return match is_party {
            true if clock.block > jury.seed_block => Some(Step::Draw),
            true if stance.quiet && me == dispute.requester => Some(Step::Nudge),
            _ => None,
        };
    }
    if let Some((verdict, outcome)) = jury.found {
        if verdict == Verdict::None {
            // Another jury is called in the same transaction.
            return None;
        }
        let dissents = jury.revealed.get(&me).is_some_and(|said| *said != (verdict, outcome));
        let may_appeal = dispute.appellant.is_none() && clock.time <= stance.appeal_until;
        return match may_appeal {
            true if stance.appeals && (is_party || dissents) => Some(Step::Appeal),
            true => None,
            false => (is_party || is_member).then_some(Step::Execute),
        };
    }
    let all = jury.members.len();
    let committing_over = jury.committed.len() == all || clock.time > jury.commit_until;
    let is_late = clock.time > jury.reveal_until;
    if is_member && let Some(answer) = stance.answer {
        if !jury.committed.contains(&me) && !committing_over {
            return Some(Step::Commit(answer));
        }
        let may_reveal = jury.committed.contains(&me) && committing_over && !is_late;
        if may_reveal && !jury.revealed.contains_key(&me) {
            return Some(Step::Reveal(answer));
        }
    }
    let is_over = jury.revealed.len() == all || is_late;
    (is_over && (is_party || is_member)).then_some(Step::Tally)
}

/// What a juror says that was shown nothing.
pub(crate) const WITHHELD: Answer = Answer {
    verdict: Verdict::Withheld,
    outcome: Digest([0; 32]),
    state_root: Digest([0; 32]),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docket::{Ended, Jury};
    use ayni_types::{Amount, LeaseId, TaskId};

    const REQUESTER: Account = Account([1; 20]);
    const PROVIDER: Account = Account([2; 20]);
    const JUROR: Account = Account([3; 20]);
    const OTHER: Account = Account([4; 20]);
    const STRANGER: Account = Account([9; 20]);
    const RIGHT: Digest = Digest([7; 32]);
    const SAID: Answer =
        Answer { verdict: Verdict::Overturned, outcome: RIGHT, state_root: Digest([8; 32]) };

    fn dispute(change: impl FnOnce(&mut Dispute)) -> Dispute {
        let jury = Jury {
            size: 2,
            seed_block: 10,
            members: vec![JUROR, OTHER],
            commit_until: Time(100),
            reveal_until: Time(200),
            ..Jury::called()
        };
        let mut dispute = Dispute {
            id: 0,
            provider: PROVIDER,
            requester: REQUESTER,
            lease: LeaseId([0; 16]),
            task: TaskId([0; 32]),
            outcome: Digest([5; 32]),
            counter_outcome: RIGHT,
            price: Amount(1),
            juries: vec![jury],
            appellant: None,
            ended: None,
        };
        change(&mut dispute);
        dispute
    }

    fn committed(dispute: &mut Dispute, who: &[Account]) {
        dispute.juries[0].committed.extend(who);
    }

    fn revealed(dispute: &mut Dispute, who: &[Account]) {
        committed(dispute, &[JUROR, OTHER]);
        let said = who.iter().map(|juror| (*juror, (Verdict::Overturned, RIGHT)));
        dispute.juries[0].revealed.extend(said);
    }

    fn found(dispute: &mut Dispute) {
        revealed(dispute, &[JUROR]);
        dispute.juries[0].revealed.insert(OTHER, (Verdict::Upheld, Digest([5; 32])));
        dispute.juries[0].found = Some((Verdict::Overturned, RIGHT));
    }

    /// What each of requester, provider, juror and stranger is to do.
    fn steps(dispute: &Dispute, stance: Stance, block: u64, time: u64) -> [Option<Step>; 4] {
        let clock = Clock { block, time: Time(time) };
        [REQUESTER, PROVIDER, JUROR, STRANGER].map(|me| due(dispute, me, &stance, clock))
    }

    #[test]
    fn a_jury_is_drawn_by_the_parties_once_its_block_has_come() {
        let called = dispute(|d| d.juries[0].members.clear());
        let quiet = Stance { quiet: true, ..Stance::default() };
        assert_eq!(steps(&called, Stance::default(), 10, 0), [None; 4]);
        assert_eq!(steps(&called, quiet, 10, 0), [Some(Step::Nudge), None, None, None]);
        let draw = Some(Step::Draw);
        assert_eq!(steps(&called, quiet, 11, 0), [draw, draw, None, None]);
    }

    #[test]
    fn jurors_commit_then_reveal_and_the_count_waits_for_them_or_the_clock() {
        let knows = Stance { answer: Some(SAID), ..Stance::default() };
        let commit = Some(Step::Commit(SAID));
        let reveal = Some(Step::Reveal(SAID));
        let tally = Some(Step::Tally);
        let fresh = dispute(|_| {});
        assert_eq!(steps(&fresh, knows, 20, 100), [None, None, commit, None]);
        assert_eq!(steps(&fresh, Stance::default(), 20, 100), [None; 4], "it knows nothing yet");
        // Too late to commit: nothing to reveal, and nobody is counted before the end.
        assert_eq!(steps(&fresh, knows, 20, 101), [None; 4]);
        assert_eq!(steps(&fresh, knows, 20, 201), [tally, tally, tally, None]);
        let one = dispute(|d| committed(d, &[JUROR]));
        assert_eq!(steps(&one, knows, 20, 100), [None; 4], "the other may still commit");
        assert_eq!(steps(&one, knows, 20, 101), [None, None, reveal, None]);
        let both = dispute(|d| committed(d, &[JUROR, OTHER]));
        assert_eq!(steps(&both, knows, 20, 50), [None, None, reveal, None]);
        let shown = dispute(|d| revealed(d, &[JUROR]));
        assert_eq!(steps(&shown, knows, 20, 50), [None; 4]);
        let all = dispute(|d| revealed(d, &[JUROR, OTHER]));
        assert_eq!(steps(&all, knows, 20, 50), [tally, tally, tally, None]);
    }

    #[test]
    fn a_ruling_is_done_when_nobody_may_appeal_any_more() {
        let ruled = dispute(found);
        let stance = Stance { appeal_until: Time(300), ..Stance::default() };
        let execute = Some(Step::Execute);
        assert_eq!(steps(&ruled, stance, 20, 300), [None; 4]);
        assert_eq!(steps(&ruled, stance, 20, 301), [execute, execute, execute, None]);
        let appeals = Stance { appeals: true, ..stance };
        let appeal = Some(Step::Appeal);
        assert_eq!(steps(&ruled, appeals, 20, 300), [appeal, appeal, None, None]);
        let clock = Clock { block: 20, time: Time(300) };
        assert_eq!(due(&ruled, OTHER, &appeals, clock), appeal, "it said something else");
        let again = dispute(|d| {
            found(d);
            d.appellant = Some(PROVIDER);
        });
        assert_eq!(steps(&again, appeals, 20, 0), [execute, execute, execute, None]);
        let none = dispute(|d| {
            found(d);
            d.juries[0].found = Some((Verdict::None, Digest([0; 32])));
        });
        assert_eq!(steps(&none, stance, 20, 301), [None; 4]);
        let over = dispute(|d| {
            found(d);
            d.ended = Some(Ended {
                verdict: Verdict::Overturned,
                outcome: RIGHT,
                slashed: Amount(1),
                restitution: Amount(1),
                burned: Amount(0),
            });
        });
        assert_eq!(steps(&over, appeals, 99, 999), [None; 4]);
    }
}
