//! From executions to an answer. A juror executes the task on two back ends of its engine; where both
//! agree, it adds the state in which the guest stands at fuel points that were drawn after the jury,
//! so that a public outcome is of no use to who did not execute.
//!
//! Deliberately not here: executing, and what an answer does.

use ayni_chain::contracts::disputes::Answer;
use ayni_chain::watcher::Verdict;
use ayni_types::{Digest, EngineBuild, Fault, Outcome};
use ayni_wire::{ReceiptFile, outcome_digest, verify_receipt};
use sha3::{Digest as _, Keccak256};

use crate::docket::Dispute;

/// Points at which the state is looked at: each costs half an execution on average.
const POINTS: u8 = 3;

/// What executing on one back end gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// What came out.
    pub outcome: Outcome,
    /// The state at each of the points asked for.
    pub states: Vec<Digest>,
}

/// Executes tasks for a juror.
pub trait Engine {
    /// What it is.
    fn build(&self) -> EngineBuild;
    /// Executes the receipt's task, on the second back end if asked to; then looks at the state at each
    /// of the [`points`] that `seed` draws for the fuel that it used.
    fn execute(
        &self,
        case: &ReceiptFile,
        second: bool,
        seed: &Digest,
    ) -> impl Future<Output = Result<Execution, Fault>> + Send;
}

/// Why a juror has no answer.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// What it was shown is not what the dispute is about.
    #[error("what was shown for dispute {dispute} is something else: {why}")]
    OtherCase {
        /// Which.
        dispute: u64,
        /// What is wrong.
        why: String,
    },
    /// Its machine failed.
    #[error("dispute {dispute} could not be executed: {fault}")]
    Fault {
        /// Which.
        dispute: u64,
        /// Why.
        fault: Fault,
    },
}

fn keccak(parts: &[&[u8]]) -> Digest {
    let mut hasher = Keccak256::new();
    parts.iter().for_each(|part| hasher.update(part));
    Digest(hasher.finalize().into())
}

/// The fuel at which the state of an execution that used `fuel` is looked at, ascending. Every juror of
/// a jury has the same.
#[must_use]
pub fn points(seed: &Digest, fuel: u64) -> Vec<u64> {
    if fuel == 0 {
        return Vec::new();
    }
    let drawn = |n: u8| {
        let Digest(hash) = keccak(&[&seed.0, &[n]]);
        let mut number = [0; 16];
        number.copy_from_slice(&hash[..16]);
        u64::try_from(u128::from_be_bytes(number) % u128::from(fuel)).unwrap_or(0)
    };
    let mut points: Vec<u64> = (0..POINTS).map(drawn).collect();
    points.sort_unstable();
    points.dedup();
    points
}

fn state_root(seed: &Digest, execution: &Execution) -> Digest {
    let mut parts: Vec<&[u8]> = vec![&seed.0];
    parts.extend(execution.states.iter().map(|state| &state.0[..]));
    keccak(&parts)
}

/// Whether a receipt is the one that a dispute is about, and all that is signed in it holds.
pub(crate) fn is_case(dispute: &Dispute, case: &ReceiptFile) -> Result<(), String> {
    let receipt = &case.receipt;
    if receipt.lease != dispute.lease || receipt.task != dispute.task {
        return Err("it is a receipt for another task".to_owned());
    }
    if receipt.outcome != dispute.outcome || receipt.price != dispute.price {
        return Err("it is another receipt for this task".to_owned());
    }
    let failed = verify_receipt(case).into_iter().find_map(|check| {
        check.failure.map(|why| format!("\"{}\" does not hold: {why}", check.statement))
    });
    failed.map_or(Ok(()), Err)
}

/// What a juror says: the engine is to blame if its back ends disagree, or if the receipt's build is
/// not the juror's and another outcome came out; a receipt is overturned by its own build alone.
///
/// # Errors
/// When the case is another one, or the machine fails.
pub async fn judge(
    engine: &impl Engine,
    dispute: &Dispute,
    seed: &Digest,
    case: &ReceiptFile,
) -> Result<Answer, JudgeError> {
    let id = dispute.id;
    is_case(dispute, case).map_err(|why| JudgeError::OtherCase { dispute: id, why })?;
    let failed = |fault| JudgeError::Fault { dispute: id, fault };
    let first = engine.execute(case, false, seed).await.map_err(failed)?;
    let second = engine.execute(case, true, seed).await.map_err(failed)?;
    let outcome = outcome_digest(&first.outcome);
    let is_right = outcome == dispute.outcome;
    let incident = Answer {
        verdict: Verdict::EngineIncident,
        outcome: Digest([0; 32]),
        state_root: Digest([0; 32]),
    };
    if first != second || (!is_right && engine.build() != case.lease.lease.build) {
        return Ok(incident);
    }
    let verdict = if is_right { Verdict::Upheld } else { Verdict::Overturned };
    Ok(Answer { verdict, outcome, state_root: state_root(seed, &first) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_drawn_by_the_seed_and_lie_before_the_end() {
        let seed = Digest([7; 32]);
        for fuel in [1, 2, 1_000, u64::MAX] {
            let drawn = points(&seed, fuel);
            assert!(drawn.iter().all(|point| *point < fuel) && !drawn.is_empty(), "{fuel}");
            assert_eq!(drawn, points(&seed, fuel));
        }
        assert_eq!(points(&seed, 1_000_000_000).len(), usize::from(POINTS));
        assert_ne!(points(&seed, 1 << 40), points(&Digest([8; 32]), 1 << 40));
        assert!(points(&seed, 0).is_empty());
    }
}
