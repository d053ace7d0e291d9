//! Receipts, audits and evidence, with the real signatures.

use ayni_core::{Command, JobState, Purpose};
use ayni_types::{Fault, JobId, Outcome, TaskSpec};
use ayni_wire::{batch_hash, digest, leaf_hash, outcome_digest, recover_batch_key, verify_proof};

use crate::stage::{Stage, honest, job, outcome};

const JOB: JobId = JobId([1; 16]);

fn lies(task: &TaskSpec, purpose: Purpose) -> Result<Outcome, Fault> {
    let mut outcome = outcome(task);
    if matches!(purpose, Purpose::Lease(_)) {
        outcome.stdout.digest = digest(b"a lie");
    }
    Ok(outcome)
}

fn lies_about_a(task: &TaskSpec, purpose: Purpose) -> Result<Outcome, Fault> {
    if task.args[0] == "a" { lies(task, purpose) } else { Ok(outcome(task)) }
}

fn audited(number: u8, tasks: &[&str], ppm: u32) -> Command {
    let mut spec = job(number, tasks);
    spec.verify.rate = Some(ppm);
    Command::SubmitJob(spec)
}

#[test]
fn a_receipt_stands_alone() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, audited(1, &["a", "b", "c"], 0));
    stage.pass(10_000);
    for index in 0..3 {
        let file = stage.actors[0].core.receipt(JOB, index).expect("accepted from ann");
        assert_eq!(file.receipt.outcome, outcome_digest(&file.outcome));
        assert_eq!(
            recover_batch_key(&batch_hash(&file.header), &file.signature),
            Some(file.lease.lease.batch_key)
        );
        assert!(verify_proof(leaf_hash(&file.receipt), &file.proof, file.header.root));
        let price = file.lease.lease.price;
        let receipt = &file.receipt;
        assert_eq!(receipt.price, price.of(receipt.fuel, receipt.code_bytes, receipt.data_bytes));
    }
    let task = stage.actors[0].core.task(JOB, 0).expect("there");
    assert_eq!((task.verification.text(), task.audited), ("signed, not audited", false));
}

#[test]
fn every_result_audited_means_every_result_right() {
    let mut stage = Stage::new(&[("ann", lies), ("ben", honest)]);
    stage.command(0, audited(1, &["a", "b", "c", "d", "e", "f"], 1_000_000));
    stage.pass(60_000);
    let core = &stage.actors[0].core;
    let view = core.job(JOB).expect("there");
    assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 6));
    for index in 0..6 {
        let task = core.task(JOB, index).expect("there");
        assert_eq!(
            task.outcome.as_ref(),
            Some(&outcome(&core.task_spec(JOB, index).expect("there")))
        );
        assert!(task.audited, "{}", task.verification.text());
    }
    assert!(view.audits.mismatched >= 1);
    let evidence = core.evidence(JOB);
    assert!(evidence.iter().all(|e| e.provider == stage.actors[1].id));
    assert!(evidence.iter().all(|e| e.claimed.receipt.outcome != outcome_digest(&e.found)));
    assert_eq!(core.bans().len(), 1);
    // Nobody asks a liar again, not even after a restart.
    stage.restart(0);
    stage.runs.clear();
    stage.command(0, audited(2, &["x", "y", "z"], 0));
    stage.pass(60_000);
    assert!(stage.runs.iter().all(|r| r.0 == "ben"), "{:?}", stage.runs);
    assert_eq!(stage.actors[0].core.evidence(JOB), evidence);
}

#[test]
fn one_lie_puts_the_unaudited_rest_in_doubt() {
    // A low rate: find a job of which `a` is audited and others are not.
    let mut stage = Stage::new(&[("ann", lies_about_a)]);
    let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let mut tasks: Vec<&str> = names.iter().map(String::as_str).collect();
    tasks.insert(0, "a");
    let caught = (1..=40).find(|number| {
        let number = *number;
        let mut spec = job(number, &tasks);
        spec.verify.rate = Some(200_000);
        for task in &mut spec.tasks {
            task.args.push(format!("{number}"));
        }
        stage.command(0, Command::SubmitJob(spec));
        stage.pass(100);
        stage.pass(5_000);
        let view = stage.actors[0].core.job(JobId([number; 16])).expect("there");
        view.audits.mismatched == 1
    });
    let number = caught.expect("a rate of one in five finds a lie within forty jobs");
    let job = JobId([number; 16]);
    let view = stage.actors[0].core.job(job).expect("there");
    assert!(view.reruns > 0);
    assert_eq!(view.state, JobState::Running, "it does not end on doubtful results");
    // Somebody else appears and runs them again.
    stage.enter("ben", honest, true);
    stage.pass(60_000);
    let core = &stage.actors[0].core;
    let view = core.job(job).expect("there");
    assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 21));
    for index in 0..21 {
        let task = core.task(job, index).expect("there");
        let right = outcome(&core.task_spec(job, index).expect("there"));
        assert_eq!(task.outcome, Some(right));
    }
}

#[test]
fn nondeterministic_jobs_are_neither_audited_nor_called_verified() {
    let mut stage = Stage::new(&[("ann", lies)]);
    let mut spec = job(1, &["a"]);
    spec.nondeterministic = true;
    spec.verify.rate = Some(1_000_000);
    stage.command(0, Command::SubmitJob(spec));
    stage.pass(10_000);
    let task = stage.actors[0].core.task(JOB, 0).expect("there");
    assert_eq!((task.verification.text(), task.audited), ("unverified (nondeterministic)", false));
    assert!(stage.runs.iter().all(|r| r.2 == "lease"));
    // And what it yielded is not taken for another job's.
    stage.command(0, audited(2, &["a"], 0));
    assert_eq!(stage.actors[0].core.job(JobId([2; 16])).expect("there").counts.held, 0);
}

#[test]
fn home_takes_part_when_asked() {
    let mut stage = Stage::new(&[]);
    let mut spec = job(1, &["a", "b", "c"]);
    spec.home = true;
    spec.providers_max = 0;
    stage.command(0, Command::SubmitJob(spec));
    stage.pass(1_000);
    let core = &stage.actors[0].core;
    assert_eq!(core.job(JOB).expect("there").state, JobState::Ended);
    let task = core.task(JOB, 0).expect("there");
    assert_eq!((task.verification.text(), task.receipt), ("ran at home", false));
}
