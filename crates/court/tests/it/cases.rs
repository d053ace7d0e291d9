//! How disputes end: each case is one that somebody would try.

use ayni_court::{Answer, Verdict};
use ayni_types::Digest;
use ayni_wire::outcome_digest;

use crate::stage::{
    DEFENCE, FEE, GRANT, INCIDENT_FEE, JURORS, Juror, PRICE, PROVIDER, REQUESTER, RESERVED, REWARD,
    STAKE, Stage, WEIGHT, outcome,
};

/// Longer than the time to commit, to reveal, or to appeal.
const WINDOW_S: u64 = 3_601;

/// From the accusation to the end.
async fn end(stage: &mut Stage) -> Verdict {
    for _ in 0..6 {
        stage.settle().await;
        if stage.dispute().ended.is_some() {
            break;
        }
        stage.pass(WINDOW_S);
    }
    stage.settle().await;
    stage.check_books().await;
    stage.dispute().ended.expect("it ends").verdict
}

fn made_up(verdict: Verdict, said: &str, root: u8) -> Juror {
    let outcome = outcome_digest(&outcome(said));
    Juror::Says(Answer { verdict, outcome, state_root: Digest([root; 32]) })
}

#[tokio::test]
async fn a_lie_costs_half_of_what_was_reserved_and_makes_the_requester_whole() {
    let mut stage = Stage::new().await;
    stage.accuse("wrong", "right");
    assert_eq!(end(&mut stage).await, Verdict::Overturned);
    let slashed = RESERVED / 2;
    assert_eq!(stage.balance(REQUESTER).await, GRANT + PRICE + REWARD);
    assert_eq!(stage.staked(PROVIDER).await.staked.0, STAKE - slashed);
    for juror in stage.members(0) {
        assert_eq!(stage.balance(juror).await, GRANT - STAKE + FEE);
    }
    let ended = stage.dispute().ended.expect("it ended");
    assert_eq!(ended.burned.0, slashed - 3 * FEE - PRICE - REWARD);
}

#[tokio::test]
async fn a_challenger_that_lies_pays_the_jury_and_the_provider() {
    let mut stage = Stage::new().await;
    stage.accuse("right", "wrong");
    assert_eq!(end(&mut stage).await, Verdict::Upheld);
    assert_eq!(stage.balance(REQUESTER).await, GRANT - 3 * FEE - DEFENCE);
    assert_eq!(stage.balance(PROVIDER).await, GRANT - STAKE + DEFENCE);
    assert_eq!(stage.staked(PROVIDER).await.staked.0, STAKE);
}

#[tokio::test]
async fn a_juror_that_copies_a_public_outcome_earns_nothing() {
    let mut stage = Stage::new().await;
    stage.accuse("wrong", "right");
    // Everybody may read what the requester found; what a machine goes through, nobody.
    for juror in JURORS.step_by(3) {
        stage.jurors.insert(juror, made_up(Verdict::Overturned, "right", juror));
    }
    let verdict = end(&mut stage).await;
    assert_eq!(verdict, Verdict::Overturned);
    for jury in 0..stage.dispute().juries.len() {
        for juror in stage.members(jury) {
            let copies = matches!(stage.jurors[&juror], Juror::Says(_));
            let decided = stage.dispute().juries[jury].found.is_some_and(|f| f.0 == verdict);
            let fee = if decided && !copies { FEE } else { 0 };
            assert_eq!(stage.balance(juror).await, GRANT - STAKE + fee, "juror {juror}");
        }
    }
}

#[tokio::test]
async fn an_absent_juror_loses_a_part_of_its_weight_and_stops_nobody() {
    let mut stage = Stage::new().await;
    stage.accuse("wrong", "right");
    stage.jurors.insert(4, Juror::Absent);
    stage.jurors.insert(7, Juror::Absent);
    let verdict = end(&mut stage).await;
    // Should both be of the first jury, a second one decides.
    assert_eq!(verdict, Verdict::Overturned);
    for juror in [4, 7] {
        let sat = (0..stage.dispute().juries.len()).any(|j| stage.members(j).contains(&juror));
        let lost = if sat { WEIGHT / 100 } else { 0 };
        assert_eq!(stage.staked(juror).await.staked.0, STAKE - lost, "juror {juror}");
        assert_eq!(stage.balance(juror).await, GRANT - STAKE);
    }
}

#[tokio::test]
async fn a_challenger_that_shows_nothing_pays_everybody_for_their_trouble() {
    let mut stage = Stage::new().await;
    stage.shows = false;
    stage.accuse("wrong", "right");
    stage.settle().await;
    // Late, and not too late.
    stage.pass(WINDOW_S - 600);
    assert_eq!(end(&mut stage).await, Verdict::Withheld);
    assert_eq!(stage.balance(REQUESTER).await, GRANT - 3 * INCIDENT_FEE - DEFENCE);
    assert_eq!(stage.staked(PROVIDER).await.staked.0, STAKE);
}

#[tokio::test]
async fn an_honest_node_whose_engine_contradicts_itself_keeps_its_stake() {
    let mut stage = Stage::new().await;
    stage.accuse("as optimised", "right");
    for juror in JURORS {
        stage.jurors.insert(juror, Juror::Executes("as optimised", "right"));
    }
    assert_eq!(end(&mut stage).await, Verdict::EngineIncident);
    assert_eq!(stage.balance(REQUESTER).await, GRANT - 3 * INCIDENT_FEE);
    assert_eq!(stage.staked(PROVIDER).await.staked.0, STAKE);
    assert_eq!(stage.balance(PROVIDER).await, GRANT - STAKE);
}

#[tokio::test]
async fn jurors_that_lie_together_are_overruled_by_the_larger_jury() {
    // Whoever sits in the first jury has agreed on a lie, roots and all.
    let mut stage = Stage::new().await;
    stage.accuse("right", "wrong");
    for juror in JURORS {
        stage.jurors.insert(juror, made_up(Verdict::Overturned, "wrong", 1));
    }
    stage.settle().await;
    let bribed = stage.members(0);
    assert_eq!(bribed.len(), 3);
    for juror in JURORS.filter(|juror| !bribed.contains(juror)) {
        stage.jurors.insert(juror, Juror::Executes("right", "right"));
    }
    stage.appeal(PROVIDER);
    assert_eq!(end(&mut stage).await, Verdict::Upheld);
    assert_eq!(stage.members(1).len(), 7);
    assert_eq!(stage.staked(PROVIDER).await.staked.0, STAKE);
    assert_eq!(stage.balance(PROVIDER).await, GRANT - STAKE + DEFENCE, "its bond is back");
    assert_eq!(stage.balance(REQUESTER).await, GRANT - 7 * FEE - DEFENCE);
    for juror in bribed {
        assert_eq!(stage.balance(juror).await, GRANT - STAKE);
    }
    assert!(stage.bond().await >= 7 * FEE + DEFENCE);
}
