//! Jobs with a budget: never billed more, whatever providers do, and never left hanging.

use ayni_core::{Command, JobSpec, JobState, JobView, Purpose};
use ayni_types::{
    Amount, AssignmentId, BatchHeader, BlobRef, Fault, FaultKind, Fuel, JobId, Outcome, Price,
    Receipt, TaskSpec,
};
use ayni_wire::{
    EvmSigner, Message, SignedBatch, batch_hash, digest, leaf_hash, merkle_root, task_id,
};

use crate::stage::{Script, Stage, fault, honest, job, never, outcome};

const JOB: JobId = JobId([1; 16]);
/// Ann is number 1: a task of hers costs 1,000, and 10,000 if it used all of its fuel.
const COST: u128 = 1_000;
const WORST: u128 = 10_000;

fn spec(number: u8, count: usize, budget: u128) -> JobSpec {
    let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    let mut spec = job(number, &names.iter().map(String::as_str).collect::<Vec<_>>());
    spec.budget = Some(Amount(budget));
    spec.sizes = vec![BlobRef { digest: digest(b"program"), size: 100 }];
    spec
}

fn view(stage: &Stage, id: JobId) -> JobView {
    stage.actors[0].core.job(id).expect("there")
}

/// Lets time pass until the job ends, and looks at the books all the while.
fn watch(stage: &mut Stage, seconds: usize) -> JobView {
    for _ in 0..seconds * 2 {
        stage.pass(500);
        let job = view(stage, JOB);
        if let Some(budget) = job.budget {
            assert!(job.billed.0 + job.reserved.0 <= budget.0, "{job:?}");
        }
        if job.state == JobState::Ended {
            break;
        }
    }
    view(stage, JOB)
}

#[test]
fn a_job_ends_at_its_budget_and_says_why() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, Command::SubmitJob(spec(1, 40, 35_000)));
    let job = watch(&mut stage, 40);
    // At 26,000 what is left does not cover another worst case.
    assert_eq!((job.state, job.counts.accepted, job.counts.failed), (JobState::Ended, 26, 14));
    assert_eq!((job.billed, job.reserved), (Amount(26 * COST), Amount(0)));
    let failure = stage.actors[0].core.task(JOB, 39).expect("there").failure.expect("failed");
    assert!(failure.contains("26000 of 35000 is billed"), "{failure}");
    assert!(failure.contains("up to 10000") && failure.contains("`--budget`"), "{failure}");

    // Run again, what is done costs nothing.
    stage.command(0, Command::SubmitJob(spec(2, 40, 30_000)));
    stage.pass(30_000);
    let again = view(&stage, JobId([2; 16]));
    assert_eq!((again.counts.accepted, again.counts.held), (40, 26));
    assert_eq!(again.billed, Amount(14 * COST));
}

#[test]
fn while_it_waits_for_money_it_says_so() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, Command::SubmitJob(spec(1, 2, WORST - 1)));
    stage.pass(2_000);
    let job = view(&stage, JOB);
    let stall = job.stall.expect("nothing moves");
    assert!(stall.contains("of the job's budget is left") && stall.contains("--budget"), "{stall}");
    let why = stage.actors[0].core.why(Some(JOB));
    assert!(why.iter().any(|line| line.reason.contains("a task may cost up to 10000")), "{why:?}");
    let job = watch(&mut stage, 20);
    assert_eq!((job.state, job.counts.failed, job.billed), (JobState::Ended, 2, Amount(0)));
}

#[test]
fn own_cores_go_on_when_the_budget_is_used_up() {
    let mut stage = Stage::new(&[("ann", honest)]);
    let mut spec = spec(1, 40, 12_000);
    spec.home = true;
    stage.command(0, Command::SubmitJob(spec));
    let job = watch(&mut stage, 60);
    assert_eq!((job.state, job.counts.accepted), (JobState::Ended, 40));
    assert!(job.billed.0 <= 12_000);
}

#[test]
fn a_budget_needs_the_length_of_every_input() {
    let mut stage = Stage::new(&[("ann", honest)]);
    let mut unknown = spec(1, 1, 1_000_000);
    unknown.sizes.clear();
    let reply = stage.command(0, Command::SubmitJob(unknown));
    let refused = stage.replies[&reply].clone().expect_err("unknown program");
    assert!(refused.contains("upload it first"), "{refused}");

    let mut open = spec(1, 1, 1_000_000);
    open.open = true;
    let mut more = open.tasks.clone();
    more[0].stdin = Some(digest(b"input"));
    stage.command(0, Command::SubmitJob(open));
    for (sizes, good) in
        [(vec![], false), (vec![BlobRef { digest: digest(b"input"), size: 5 }], true)]
    {
        let tasks = more.clone();
        let add = Command::AddTasks { job: JOB, first_index: 1, tasks, sizes };
        let reply = stage.command(0, add);
        assert_eq!(stage.replies[&reply].is_ok(), good);
    }
    let huge = stage.command(0, Command::SubmitJob(spec(3, 1, u128::MAX)));
    assert!(stage.replies[&huge].is_err());
}

#[test]
fn the_code_is_reserved_once_for_all_that_use_it() {
    // A mebibyte of code costs 500 beside 10,000 for each task.
    for (budget, at_once) in [(2 * WORST + 500, 2), (2 * WORST + 499, 1), (WORST + 499, 0)] {
        let mut stage = Stage::new(&[]);
        stage.per_mebibyte = (500, 0);
        stage.enter("ann", never, true);
        let mut spec = spec(1, 4, budget);
        spec.sizes[0].size = 1 << 20;
        stage.command(0, Command::SubmitJob(spec));
        stage.pass(3_000);
        assert_eq!(stage.runs.len(), at_once, "{budget}");
    }
}

#[test]
fn code_and_data_count_and_are_billed_once() {
    let mut stage = Stage::new(&[]);
    stage.per_mebibyte = (500, 7);
    stage.bytes = (1 << 20, 3 << 20);
    stage.enter("ann", honest, true);
    let mut spec = spec(1, 6, 1_000_000);
    spec.sizes[0].size = 1 << 20;
    stage.command(0, Command::SubmitJob(spec));
    let job = watch(&mut stage, 20);
    assert_eq!((job.counts.accepted, job.billed), (6, Amount(6 * (COST + 21) + 500)));
}

#[test]
fn bills_for_bytes_that_nobody_gave_are_refused() {
    let most = 256 << 20;
    for (bytes, known, good) in [
        ((100, most), true, true),
        ((100, most + 1), true, false),
        ((101, 10), true, false),
        ((101, most), false, true),
    ] {
        let mut stage = Stage::new(&[]);
        stage.per_mebibyte = (1, 1);
        stage.bytes = bytes;
        stage.enter("ann", honest, true);
        let mut spec = spec(1, 1, 1_000_000);
        if !known {
            (spec.budget, spec.sizes) = (None, Vec::new());
        }
        stage.command(0, Command::SubmitJob(spec));
        stage.pass(3_000);
        let job = view(&stage, JOB);
        assert_eq!(job.counts.accepted == 1, good, "{bytes:?}");
        if !good {
            assert_eq!(job.billed, Amount(0));
            let said = stage.take(&["ann lost"]);
            assert!(said.contains("bytes of"), "{said}");
        }
    }
}

fn stuck_on_three(task: &TaskSpec, purpose: Purpose) -> Result<Outcome, Fault> {
    if task.args == ["3"] { never(task, purpose) } else { honest(task, purpose) }
}

#[test]
fn work_given_up_is_billed_within_its_worst_case_and_no_code_twice() {
    // Fuel, code and data of the bill for the one that was given up; what it adds, if it is taken.
    for (fuel, code, data, adds) in [
        (1_000_000, 0, 10, Some(COST)),
        (10_000_000, 0, 256 << 20, Some(WORST)),
        (1_000_000, 100, 10, None),
        (10_000_001, 0, 10, None),
        (1_000_000, 0, (256 << 20) + 1, None),
    ] {
        let mut stage = Stage::new(&[("ann", stuck_on_three)]);
        let mut spec = job(1, &["a", "3"]);
        spec.budget = Some(Amount(100_000));
        spec.sizes = vec![BlobRef { digest: digest(b"program"), size: 100 }];
        stage.command(0, Command::SubmitJob(spec));
        stage.pass(1_000);
        let file = stage.actors[0].core.receipt(JOB, 0).expect("it is accepted");
        assert_eq!(file.receipt.code_bytes, 100, "the program was billed");
        let (lease, ann) = (file.lease.lease.id, stage.actors[1].id);
        stage.command(0, Command::CancelJob { job: JOB });
        assert_eq!(view(&stage, JOB).reserved, Amount(WORST));
        let assignment = AssignmentId { lease, number: 1 - file.receipt.assignment };
        let fault = Fault { kind: FaultKind::Cancelled, detail: String::new() };
        stage.says(ann, 0, Message::Faulted { assignment, fault });
        let before = view(&stage, JOB);
        assert_eq!((before.billed, before.reserved), (Amount(COST), Amount(WORST)));

        let price = file.lease.lease.price.of(Fuel(fuel), code, data);
        let receipt = Receipt {
            batch: file.header.batch + 1,
            index: 0,
            assignment: assignment.number,
            task: task_id(&crate::stage::task("3")),
            fuel: Fuel(fuel),
            code_bytes: code,
            data_bytes: data,
            price,
            ..file.receipt
        };
        let root = merkle_root(&[leaf_hash(&receipt)]);
        let header = BatchHeader { lease, batch: receipt.batch, count: 1, root };
        let signer = EvmSigner::from_secret(&[2; 32]).expect("a scalar");
        let signature = signer.sign(&batch_hash(&header));
        let batch = SignedBatch { header, signature, receipts: vec![receipt] };
        stage.says(ann, 0, Message::Batch(batch));
        let after = view(&stage, JOB);
        let case = format!("{fuel} fuel, {code} code, {data} data");
        assert_eq!(after.billed, Amount(COST + adds.unwrap_or(0)), "{case}");
        assert_eq!(after.reserved, Amount(0), "{case}: nothing more is owed");
    }
}

#[test]
fn an_audit_that_the_budget_does_not_pay_is_given_up_and_said() {
    let mut stage = Stage::with_home(0, &[("ann", honest), ("ben", honest)]);
    let mut spec = spec(1, 1, WORST + COST);
    spec.verify.rate = Some(1_000_000);
    stage.command(0, Command::SubmitJob(spec));
    let job = watch(&mut stage, 40);
    assert_eq!((job.state, job.counts.accepted), (JobState::Ended, 1));
    assert_eq!((job.audits.given_up, job.billed), (1, Amount(COST)));
}

#[test]
fn what_was_billed_is_known_after_a_restart() {
    let mut stage = Stage::new(&[("ann", honest), ("ben", honest)]);
    stage.command(0, Command::SubmitJob(spec(1, 60, 50_000)));
    for ms in [1, 90, 250, 400, 2_000, 9_000] {
        stage.pass(ms);
        let before = view(&stage, JOB).billed;
        stage.restart(0);
        assert_eq!(view(&stage, JOB).billed, before);
    }
    let job = watch(&mut stage, 60);
    assert_eq!(job.state, JobState::Ended);
    assert!(job.counts.accepted >= 15 && job.counts.failed > 0, "{:?}", job.counts);
}

#[test]
fn a_provider_dearer_than_the_highest_price_is_not_used_and_why_says_so() {
    let unbounded = Amount(u128::MAX);
    for (code, data, part) in
        [(9, unbounded.0, "9 per MiB of code"), (u128::MAX, 3, "3 per MiB of data")]
    {
        let mut stage = Stage::new(&[]);
        stage.per_mebibyte = (10, 4);
        stage.enter("ann", honest, true);
        let mut spec = job(1, &["a"]);
        spec.price_max = Some(Price {
            per_gigafuel: unbounded,
            per_code_mebibyte: Amount(code),
            per_data_mebibyte: Amount(data),
        });
        stage.command(0, Command::SubmitJob(spec));
        stage.pass(5_000);
        assert!(stage.runs.is_empty());
        let why = stage.actors[0].core.why(Some(JOB));
        let told = why.iter().map(|line| line.reason.as_str()).collect::<Vec<_>>().join("\n");
        let most = part.split(' ').next().expect("a number");
        assert!(told.contains(&part[most.len()..]) && told.contains(most), "{told}");
    }
}

fn lies(task: &TaskSpec, purpose: Purpose) -> Result<Outcome, Fault> {
    let mut outcome = outcome(task);
    if matches!(purpose, Purpose::Lease(_)) {
        outcome.fuel = task.limits.fuel;
    }
    Ok(outcome)
}

fn times_out(_: &TaskSpec, _: Purpose) -> Result<Outcome, Fault> {
    fault(FaultKind::Timeout)
}

#[test]
fn nothing_that_providers_do_makes_it_cost_more() {
    let casts: &[&[(&'static str, Script)]] = &[
        &[("ann", honest), ("ben", honest), ("cat", honest)],
        &[("ann", lies), ("ben", honest)],
        &[("ann", lies), ("ben", lies), ("cat", honest)],
        &[("ann", never), ("ben", honest)],
        &[("ann", times_out), ("ben", honest), ("cat", lies)],
    ];
    for (at, cast) in casts.iter().enumerate() {
        for budget in [0, WORST - 1, WORST, 2 * WORST + 1, 70_000, 10_000_000] {
            for (home_slots, rate, quorum) in [(1, 500_000, 1), (0, 500_000, 1), (0, 0, 2)] {
                let mut stage = Stage::with_home(home_slots, cast);
                let mut spec = spec(1, 12, budget);
                (spec.verify.rate, spec.verify.quorum) = (Some(rate), quorum);
                spec.timeout_ms = 5_000;
                stage.command(0, Command::SubmitJob(spec));
                let job = watch(&mut stage, 6_000);
                let case = format!("cast {at}, {budget}, {home_slots} at home, quorum {quorum}");
                assert!(job.billed.0 <= budget, "{case}");
                assert_eq!(job.state, JobState::Ended, "{case}: {:?}", job.stall);
            }
        }
    }
}
