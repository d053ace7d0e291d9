//! The audit rule in the core: rates, audits at home and elsewhere, quorums, seeds and proofs.

use ayni_core::{Accusation, Command, Core, JobState, Purpose};
use ayni_types::{Amount, Dispute, Fault, JobId, Lease, NodeId, Outcome, TaskSpec, Verify};
use ayni_wire::{
    EvmSigner, Message, NodeKey, Signed, SignedBatch, SignedHeader, TwoRoots, batch_hash, digest,
    verify_receipt,
};

use crate::stage::{Stage, honest, job, outcome};

const JOB: JobId = JobId([1; 16]);

fn lies(task: &TaskSpec, purpose: Purpose) -> Result<Outcome, Fault> {
    let mut outcome = outcome(task);
    if matches!(purpose, Purpose::Lease(_)) {
        outcome.stdout.digest = digest(b"a lie");
    }
    Ok(outcome)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

fn submit(count: usize, verify: Verify) -> Command {
    let names = names(count);
    let mut spec = job(1, &names.iter().map(String::as_str).collect::<Vec<_>>());
    spec.verify = verify;
    Command::SubmitJob(spec)
}

fn is_right(core: &Core, index: u32) -> bool {
    let right = outcome(&core.task_spec(JOB, index).expect("there"));
    core.task(JOB, index).expect("there").outcome == Some(right)
}

#[test]
fn an_unknown_provider_is_audited_by_the_floor() {
    for (tasks, expected) in [(20, 1..=3), (100, 3..=5), (1_000, 19..=21)] {
        let mut stage = Stage::new(&[("ann", honest)]);
        stage.command(0, submit(tasks, Verify::default()));
        stage.pass(60_000);
        let view = stage.actors[0].core.job(JOB).expect("there");
        assert_eq!(view.state, JobState::Ended);
        assert!(expected.contains(&view.audits.agreed), "{tasks}: {:?}", view.audits);
        let audits = stage.runs.iter().filter(|r| r.2 == "audit").count();
        assert_eq!(audits, view.audits.agreed as usize);
        let sure = view.confidence;
        assert_eq!(sure.checked, view.audits.agreed);
        assert_eq!(sure.checked + sure.backed, u32::try_from(tasks).unwrap());
        assert!(sure.wrong_at_most > 0 && sure.wrong_expected > 0, "{sure:?}");
    }
}

#[test]
fn a_declared_gain_and_too_little_stake_buy_more_audits() {
    // Ten prices of outside gain, nothing staked, twenty results held back at most.
    let gain = Amount(10 * 1_000);
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, submit(20, Verify { gain, ..Verify::default() }));
    stage.pass(60_000);
    let view = stage.actors[0].core.job(JOB).expect("there");
    // 2 · 10.7 / (1 + 10 + pay held): all of the first ten, then about eight of ten.
    assert!((16..=20).contains(&view.audits.agreed), "{:?}", view.audits);
}

#[test]
fn stake_saves_audits_only_where_a_jury_can_take_it() {
    let audits = |stake, dispute| {
        let mut stage = Stage::staked(stake, &[("ann", honest)]);
        let gain = Amount(100_000);
        stage.command(0, submit(40, Verify { gain, dispute, ..Verify::default() }));
        stage.pass(60_000);
        let core = &stage.actors[0].core;
        assert_eq!(core.job(JOB).expect("there").counts.accepted, 40);
        core.job(JOB).expect("there").audits.agreed
    };
    // A hundred prices of gain: everything is looked at, unless as much is at risk many times over.
    assert_eq!(audits(0, Dispute::Public), 40);
    assert_eq!(audits(10_000_000, Dispute::None), 40, "nobody may judge it");
    assert!(audits(10_000_000, Dispute::Public) <= 6);
}

#[test]
fn a_lie_backed_by_stake_is_told_once_with_what_a_contract_needs() {
    let mut stage = Stage::staked(10_000_000, &[("ann", lies), ("ben", honest)]);
    let rule = Verify { rate: Some(1_000_000), dispute: Dispute::Public, ..Verify::default() };
    stage.command(0, submit(6, rule));
    stage.pass(60_000);
    let told = stage.actors[0].core.accusations();
    let [Accusation::WrongOutcome { receipt, found }] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_ne!(receipt.receipt.outcome, *found);
    let backing = receipt.lease.backing.expect("it is backed");
    assert_eq!(backing.signer(&receipt.lease.lease), Some(receipt.lease.lease.batch_key));
    assert!(verify_receipt(receipt).iter().all(|check| check.failure.is_none()));
}

#[test]
fn a_target_share_of_wrong_results_is_bought_with_audits() {
    for (share, least) in [(50_000, 6), (10_000, 25), (1, 99)] {
        let mut stage = Stage::new(&[("ann", honest)]);
        let rule = Verify { error: Some(share), ..Verify::default() };
        stage.command(0, submit(100, rule));
        stage.pass(60_000);
        let view = stage.actors[0].core.job(JOB).expect("there");
        assert!(view.audits.agreed >= least, "{share}: {:?}", view.audits);
        let allowed = 100 * u64::from(share);
        // One audit more or less than planned moves the bound a little.
        assert!(view.confidence.wrong_at_most <= allowed * 6 / 5, "{:?}", view.confidence);
    }
}

#[test]
fn a_job_survives_a_restart_in_the_middle_of_its_audits() {
    let mut stage = Stage::new(&[("ann", honest), ("ben", honest)]);
    stage.command(0, submit(60, Verify { gain: Amount(3_000), ..Verify::default() }));
    for _ in 0..6 {
        stage.pass(20);
        stage.restart(0);
    }
    stage.pass(60_000);
    let view = stage.actors[0].core.job(JOB).expect("there");
    assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 60));
    assert!(view.audits.agreed >= 5, "{:?}", view.audits);
    let before = view.confidence;
    stage.restart(0);
    assert_eq!(stage.actors[0].core.job(JOB).expect("there").confidence, before);
}

#[test]
fn without_own_cores_others_audit_and_a_lie_among_them_is_outvoted() {
    let providers: [(&str, crate::stage::Script); 4] =
        [("ann", lies), ("ben", honest), ("cyd", honest), ("dan", honest)];
    let mut stage = Stage::with_home(0, &providers);
    stage.command(0, submit(12, Verify { rate: Some(1_000_000), ..Verify::default() }));
    stage.pass(120_000);
    let core = &stage.actors[0].core;
    let view = core.job(JOB).expect("there");
    assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 12));
    assert!((0..12).all(|i| is_right(core, i)));
    assert!(stage.runs.iter().all(|r| r.2 == "lease"));
    // Two against one prove nothing: its work is done again, and nobody is banned.
    assert!(core.bans().is_empty());
    let task = core.task(JOB, 0).expect("there");
    assert!(
        ["audited elsewhere"].contains(&task.verification.text()),
        "{}",
        task.verification.text()
    );
}

#[test]
fn a_ring_of_two_is_not_counted_twice_and_a_dispute_is_called_one() {
    // Ann's lie is seconded by Bob, of her ring, and only by him; Cyd is honest, and alone.
    let mut stage = Stage::with_home(0, &[("ann", lies), ("bob", lies), ("cyd", honest)]);
    stage.command(0, submit(6, Verify { rate: Some(1_000_000), ..Verify::default() }));
    stage.pass(300_000);
    let core = &stage.actors[0].core;
    let view = core.job(JOB).expect("there");
    assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 6));
    // Each provider runs each task once at most.
    for index in 0..6 {
        let name = index.to_string();
        let runs: Vec<_> = stage.runs.iter().filter(|r| r.1 == name).map(|r| r.0).collect();
        let distinct: std::collections::BTreeSet<_> = runs.iter().collect();
        assert_eq!(runs.len(), distinct.len(), "{runs:?}");
    }
    // Every execution is paid for, whoever's outcome stands.
    let price: u128 = stage
        .runs
        .iter()
        .map(|r| {
            if r.0 == "ann" {
                1
            } else if r.0 == "bob" {
                2
            } else {
                3
            }
        })
        .sum();
    assert_eq!(view.price_total, Amount(price * 1_000));
    let before = (view.price_total, view.confidence);
    stage.restart(0);
    let view = stage.actors[0].core.job(JOB).expect("there");
    assert_eq!((view.price_total, view.confidence), before);
}

#[test]
fn one_against_one_is_a_dispute() {
    let mut stage = Stage::with_home(0, &[("ann", lies), ("ben", honest)]);
    stage.command(0, submit(4, Verify { rate: Some(1_000_000), ..Verify::default() }));
    stage.pass(120_000);
    let core = &stage.actors[0].core;
    assert_eq!(core.job(JOB).expect("there").confidence.unverified, 4);
    let task = core.task(JOB, 0).expect("there");
    assert_eq!(task.verification.text(), "disputed: another provider found something else");
    assert_eq!(task.confidence, None);
}

#[test]
fn an_audit_that_nobody_unrelated_can_make_is_given_up_by_name() {
    let mut stage = Stage::with_home(0, &[("ann", honest)]);
    stage.command(0, submit(4, Verify { rate: Some(1_000_000), ..Verify::default() }));
    stage.pass(60_000);
    let view = stage.actors[0].core.job(JOB).expect("there");
    assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 4));
    assert_eq!((view.audits.agreed, view.audits.given_up), (0, 4));
}

#[test]
fn a_quorum_accepts_only_what_so_many_agree_on() {
    for (home, banned) in [(1, 1), (0, 0)] {
        let providers: [(&str, crate::stage::Script); 4] =
            [("ann", lies), ("ben", honest), ("cyd", honest), ("dan", honest)];
        let mut stage = Stage::with_home(home, &providers);
        stage.command(0, submit(9, Verify { quorum: 2, ..Verify::default() }));
        stage.pass(120_000);
        let core = &stage.actors[0].core;
        let view = core.job(JOB).expect("there");
        assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 9), "home {home}");
        assert!((0..9).all(|i| is_right(core, i)));
        assert_eq!(core.bans().len(), banned, "home {home}");
        let sure = view.confidence;
        assert_eq!(sure.checked + sure.agreed, 9, "{sure:?}");
        // Two of two among a fifth of liars: 1 - 0.04 / (0.04 + 0.64), once home did not judge.
        let seen: Vec<_> = (0..9).filter_map(|i| core.task(JOB, i)?.confidence).collect();
        assert!(seen.iter().all(|c| [941_176, 1_000_000].contains(c)), "{seen:?}");
        stage.restart(0);
        assert_eq!(stage.actors[0].core.job(JOB).expect("there").confidence, sure);
    }
}

#[test]
fn a_quorum_that_cannot_be_had_fails_with_its_reason() {
    let mut stage = Stage::new(&[("ann", honest), ("ben", honest)]);
    stage.command(0, submit(2, Verify { quorum: 3, ..Verify::default() }));
    stage.pass(60_000);
    // Whoever is away may come back.
    assert_eq!(stage.actors[0].core.job(JOB).expect("there").counts.failed, 0);
    stage.pass(120_000);
    let core = &stage.actors[0].core;
    assert_eq!(core.job(JOB).expect("there").counts.failed, 2);
    let failure = core.task(JOB, 0).expect("there").failure.unwrap_or_default();
    assert!(failure.contains("2 of 3 unrelated providers"), "{failure}");
}

#[test]
fn a_proof_of_two_roots_bans_everywhere_and_a_false_one_nowhere() {
    let mut stage = Stage::new(&[("ann", honest), ("ben", honest), ("cyd", honest)]);
    stage.command(0, submit(4, Verify::default()));
    stage.pass(20_000);
    let file = (0..4)
        .filter_map(|i| stage.actors[0].core.receipt(JOB, i))
        .find(|f| f.lease.lease.provider == stage.actors[1].id)
        .expect("ann did some");
    // Ann's own key signs a second root for the same number.
    let signer = EvmSigner::from_secret(&[2; 32]).expect("a scalar");
    assert_eq!(signer.key(), file.lease.lease.batch_key);
    let first = SignedHeader { header: file.header, signature: file.signature };
    let mut header = file.header;
    header.root.0[0] ^= 1;
    let second = SignedHeader { header, signature: signer.sign(&batch_hash(&header)) };
    let proof = TwoRoots { lease: file.lease.clone(), first, second };
    let mut forged = proof.clone();
    forged.second.signature.0[3] ^= 1;
    let (cyd, ben): (NodeId, usize) = (stage.actors[3].id, 2);
    stage.says(cyd, ben, Message::TwoRoots(Box::new(forged)));
    assert!(stage.actors[ben].core.bans().is_empty());
    stage.says(cyd, ben, Message::TwoRoots(Box::new(proof)));
    let banned = |core: &Core| core.bans().iter().map(|b| b.node).collect::<Vec<NodeId>>();
    let bans: Vec<_> = stage.actors.iter().map(|a| banned(&a.core)).collect();
    let ann = vec![stage.actors[1].id];
    // Ben told the asker, and whoever told him hears it from the asker; Ann does not ban herself.
    assert_eq!(bans, [ann.clone(), Vec::new(), ann.clone(), ann]);
    stage.restart(0);
    assert_eq!(stage.actors[0].core.bans().len(), 1);
}

#[test]
fn who_is_sent_two_roots_keeps_the_proof_of_it() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, submit(4, Verify::default()));
    stage.pass(20_000);
    let file = stage.actors[0].core.receipt(JOB, 0).expect("ann did it");
    let mut header = file.header;
    header.root.0[0] ^= 1;
    let signer = EvmSigner::from_secret(&[2; 32]).expect("a scalar");
    let signature = signer.sign(&batch_hash(&header));
    let ann = stage.actors[1].id;
    let second = SignedBatch { header, signature, receipts: Vec::new() };
    stage.says(ann, 0, Message::Batch(second));
    let proofs = stage.actors[0].core.proofs();
    assert_eq!(proofs.iter().map(TwoRoots::culprit).collect::<Vec<_>>(), [Ok(ann)]);
    assert_eq!((proofs[0].first.header, proofs[0].second.header), (file.header, header));
    stage.restart(0);
    assert_eq!(stage.actors[0].core.proofs(), proofs);
}

#[test]
fn a_seed_that_was_not_committed_to_is_noticed() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, submit(2, Verify::default()));
    stage.pass(100);
    let lease = stage.actors[1].core.leases().first().expect("a lease").id;
    let asker = stage.actors[0].id;
    let seed = digest(b"another");
    stage.says(asker, 1, Message::AuditSeed { lease, seed });
    let why = stage.actors[1].core.why(None);
    assert!(why.iter().any(|w| w.reason.contains("another audit seed")), "{why:?}");
    // An honest requester's is what it said.
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, submit(2, Verify::default()));
    stage.pass(20_000);
    assert!(stage.lines.iter().any(|l| l == "asker → ann: AuditSeed"));
    let why = stage.actors[1].core.why(None);
    assert!(!why.iter().any(|w| w.reason.contains("another audit seed")), "{why:?}");
}

#[test]
fn an_id_of_a_lease_is_never_granted_twice() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, submit(2, Verify::default()));
    stage.pass(20_000);
    let used = stage.actors[0].core.receipt(JOB, 0).expect("ann did it").lease.lease;
    let key = NodeKey::from_secret(&[1; 32]);
    let ask = |stage: &mut Stage, lease: &Lease| {
        stage.lines.clear();
        let signature = key.sign(&Signed::message(lease));
        let ask = Signed { body: lease.clone(), signature };
        stage.says(key.id(), 1, Message::LeaseAsk(ask));
        let said = stage.lines.iter().find(|l| l.contains("Lease")).cloned();
        said.unwrap_or_default()
    };
    let day = 86_400_000;
    for (passes, issued, expected) in [
        (0, used.issued, "its id was used before"),
        (day, used.issued, "(are both clocks right?)"),
        (0, used.issued.after_ms(day), "its id does not begin with its time of issue"),
    ] {
        stage.pass(passes);
        if passes > 0 {
            stage.restart(1);
        }
        let lease = Lease { issued, expires: stage.now.after_ms(60_000), ..used.clone() };
        let said = ask(&mut stage, &lease);
        assert!(said.contains("LeaseRefuse") && said.contains(expected), "{said}");
    }
}
