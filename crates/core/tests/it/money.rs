//! Paid leases: channels, vouchers, claims, and what each side can lose.

use ayni_core::{Command, JobState, Purpose};
use ayni_types::{
    Account, Amount, BatchHeader, ChannelId, Fault, FaultKind, JobId, Outcome, Receipt, TaskSpec,
};
use ayni_wire::{EvmSigner, Message, SignedBatch, Voucher, batch_hash, leaf_hash, merkle_root};

use crate::bank::ledger;
use crate::stage::{Stage, honest, job, outcome};

const JOB: JobId = JobId([1; 16]);
const PAYER: Account = Account([0xaa; 20]);
/// Ann is number 1: a task of hers costs 1,000.
const ANN: Account = Account([1; 20]);
const BEN: Account = Account([2; 20]);

fn lies(task: &TaskSpec, purpose: Purpose) -> Result<Outcome, Fault> {
    let mut outcome = outcome(task);
    if matches!(purpose, Purpose::Lease(_)) {
        outcome.fuel.0 += 1;
    }
    Ok(outcome)
}

fn submit(stage: &mut Stage, count: usize) {
    let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    let spec = job(1, &names.iter().map(String::as_str).collect::<Vec<_>>());
    stage.command(0, Command::SubmitJob(spec));
}

fn accepted(stage: &Stage) -> u32 {
    stage.actors[0].core.job(JOB).expect("there").counts.accepted
}

fn only_channel(stage: &Stage) -> ChannelId {
    let mut channels = stage.bank.channels.keys();
    let channel = *channels.next().expect("one channel");
    assert_eq!(channels.next(), None);
    channel
}

#[test]
fn a_job_is_paid_to_the_unit_and_the_rest_comes_back() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    submit(&mut stage, 40);
    stage.pass(60_000);
    assert_eq!(stage.actors[0].core.job(JOB).expect("there").state, JobState::Ended);
    assert_eq!(accepted(&stage), 40);
    let channel = only_channel(&stage);
    stage.command(1, Command::Claim);
    assert_eq!(stage.bank.balance(ANN), 40_000);
    stage.command(0, Command::CloseChannel { channel });
    stage.pass(86_400_000);
    stage.block();
    stage.pass(60_000);
    assert_eq!(stage.bank.balance(PAYER), -40_000, "{:?}", stage.bank.steps);
    assert_eq!(stage.bank.balance(ANN), 40_000);
    assert!(stage.bank.balances());
    let steps = stage.bank.steps.len();
    assert!(steps <= 9, "no step for a task: {:?}", stage.bank.steps);
}

#[test]
fn a_second_job_uses_the_channel_of_the_first() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    submit(&mut stage, 2);
    stage.pass(60_000);
    let mut spec = job(2, &["x", "y"]);
    spec.id = JobId([2; 16]);
    stage.command(0, Command::SubmitJob(spec));
    stage.pass(60_000);
    stage.command(1, Command::Claim);
    assert_eq!(stage.bank.balance(ANN), 4_000);
    assert_eq!(stage.bank.steps, ["deposit 10000", "claim 4000"]);
    only_channel(&stage);
}

#[test]
fn who_is_never_paid_stops_within_a_step() {
    // The requester signs its first voucher and is then never heard to sign another.
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    stage.mute_vouchers_above = Some(2_000);
    submit(&mut stage, 40);
    stage.pass(300_000);
    let done = stage.runs.iter().filter(|run| run.0 == "ann").count();
    // Two thousand were promised; two slots were busy when that was used up.
    assert!((2..=4).contains(&done), "{done} tasks");
    assert!(stage.take(&["LeaseEnd"]).contains("ann → asker"), "she ends the lease");
    stage.command(1, Command::Claim);
    assert_eq!(stage.bank.balance(ANN), 2_000);
}

#[test]
fn a_liar_gets_what_was_promised_before_it_was_found_out_and_no_more() {
    for hold_back in [0, 1_000_000] {
        let mut stage = Stage::paid(hold_back, &[("ann", lies), ("ben", honest)]);
        let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let mut spec = job(1, &names.iter().map(String::as_str).collect::<Vec<_>>());
        spec.verify.rate = Some(500_000);
        stage.command(0, Command::SubmitJob(spec));
        stage.pass(120_000);
        assert_eq!(accepted(&stage), 40);
        stage.command(1, Command::Claim);
        stage.command(2, Command::Claim);
        let got = stage.bank.balance(ANN);
        // One step at most with everything held back.
        let most = if hold_back > 0 { 2_000 } else { 8_000 };
        assert!(got <= most, "{got} with {hold_back} held back");
        stage.pass(86_400_000);
        stage.block();
        stage.pass(60_000);
        assert!(stage.bank.steps.iter().any(|s| s.starts_with("withdrawn")), "left by itself");
        assert!(stage.bank.balance(BEN) > 0 && stage.bank.balances());
    }
}

#[test]
fn what_is_held_back_is_paid_when_the_job_is_done() {
    let mut stage = Stage::paid(1_000_000, &[("ann", honest)]);
    submit(&mut stage, 10);
    stage.pass(120_000);
    stage.command(1, Command::Claim);
    assert_eq!(stage.bank.balance(ANN), 10_000);
}

#[test]
fn work_waits_for_the_chain_and_goes_on_when_it_is_back() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    stage.bank.closed = true;
    submit(&mut stage, 4);
    stage.pass(120_000);
    assert_eq!(accepted(&stage), 0);
    let why = stage.actors[0].core.why(Some(JOB));
    assert!(why.iter().any(|line| line.reason.contains("chain")), "{why:?}");
    stage.bank.closed = false;
    stage.look_again();
    stage.pass(120_000);
    assert_eq!(accepted(&stage), 4);
}

#[test]
fn a_withdrawal_stops_work_and_everything_earned_is_claimed_first() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    submit(&mut stage, 3);
    stage.pass(60_000);
    let channel = only_channel(&stage);
    assert_eq!(stage.bank.balance(ANN), 0, "too little to be worth a claim");
    stage.command(0, Command::CloseChannel { channel });
    stage.pass(60_000);
    assert_eq!(stage.bank.balance(ANN), 3_000, "{:?}", stage.bank.steps);
}

#[test]
fn both_sides_remember_everything_they_signed() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    submit(&mut stage, 10);
    for ms in [1, 7, 300, 2_000] {
        stage.pass(ms);
        stage.restart(0);
        stage.pass(ms);
        stage.restart(1);
    }
    stage.pass(300_000);
    assert_eq!(accepted(&stage), 10);
    stage.command(1, Command::Claim);
    let billed: u128 = stage.actors[0].core.channels().iter().map(|c| c.owed.0).sum();
    assert_eq!(stage.bank.balance(ANN).unsigned_abs(), billed);
    assert!((10_000..=14_000).contains(&billed), "{billed}");
    only_channel(&stage);
}

#[test]
fn vouchers_that_are_not_the_payers_or_say_nothing_new_are_ignored() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    submit(&mut stage, 2);
    stage.pass(60_000);
    let channel = only_channel(&stage);
    let before = stage.actors[1].core.channels();
    let thief = EvmSigner::from_secret(&[9; 32]).expect("a scalar");
    let from = stage.actors[0].id;
    for (channel, ceiling) in
        [(channel, u128::MAX), (channel, 0), (ChannelId([1; 32]), 5_000), (channel, 9_000)]
    {
        let voucher = Voucher::sign(&ledger(), channel, Amount(ceiling), &thief);
        stage.says(from, 1, Message::Voucher(voucher));
    }
    assert_eq!(stage.actors[1].core.channels(), before);
}

/// Its machine never gets done with one of the tasks.
fn stuck_on_three(task: &TaskSpec, _: Purpose) -> Result<Outcome, Fault> {
    if task.args == ["3"] { fault(FaultKind::Timeout, "never") } else { Ok(outcome(task)) }
}

fn fault(kind: FaultKind, detail: &str) -> Result<Outcome, Fault> {
    Err(Fault { kind, detail: detail.to_owned() })
}

#[test]
fn who_takes_the_rest_back_pays_what_was_held_back_first() {
    let mut stage = Stage::paid(1_000_000, &[("ann", stuck_on_three)]);
    submit(&mut stage, 6);
    stage.pass(20_000);
    let channel = only_channel(&stage);
    let owed = stage.actors[0].core.channels()[0].owed.0;
    let promised = stage.actors[0].core.channels()[0].promised.0;
    assert!(owed > promised, "{owed} owed, {promised} promised: some is held back");
    stage.command(0, Command::CloseChannel { channel });
    stage.pass(60_000);
    assert_eq!(stage.bank.balance(ANN).unsigned_abs(), owed, "{:?}", stage.bank.steps);
}

#[test]
fn an_assignment_is_billed_once_and_one_that_was_not_made_never() {
    for twist in ["again", "more fuel", "never made"] {
        let mut stage = Stage::paid(0, &[("ann", stuck_on_three)]);
        submit(&mut stage, 4);
        stage.pass(20_000);
        let before = stage.actors[0].core.channels()[0].owed;
        assert_eq!(before, Amount(3_000));
        let file = stage.actors[0].core.receipt(JOB, 0).expect("it is accepted");
        // A number that she has used would be fraud of another kind.
        let used =
            (0..3).filter_map(|n| stage.actors[0].core.receipt(JOB, n)).map(|f| f.header.batch);
        let batch = used.max().expect("three are accepted") + 1;
        let mut receipt = Receipt { batch, index: 0, ..file.receipt };
        match twist {
            "more fuel" => receipt.fuel.0 = 10_000_000,
            "never made" => receipt.assignment = 77,
            _ => {}
        }
        let price = file.lease.lease.price;
        receipt.price = price.of(receipt.fuel, receipt.code_bytes, receipt.data_bytes);
        let (from, lease) = (stage.actors[1].id, file.lease.lease.id);
        let root = merkle_root(&[leaf_hash(&receipt)]);
        let header = BatchHeader { lease, batch, count: 1, root };
        let ann = EvmSigner::from_secret(&[2; 32]).expect("a scalar");
        let signature = ann.sign(&batch_hash(&header));
        let receipts = vec![receipt];
        stage.says(from, 0, Message::Batch(SignedBatch { header, signature, receipts }));
        assert_eq!(stage.actors[0].core.channels()[0].owed, before, "{twist}");
    }
}

#[test]
fn a_bill_of_a_lease_that_its_requester_lost_is_answered() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    submit(&mut stage, 2);
    stage.pass(60_000);
    let file = stage.actors[0].core.receipt(JOB, 0).expect("it is accepted");
    let lease = ayni_types::LeaseId([7; 16]);
    let root = merkle_root(&[leaf_hash(&file.receipt)]);
    let header = BatchHeader { lease, batch: 0, count: 1, root };
    let batch =
        SignedBatch { header, signature: file.signature, receipts: vec![file.receipt.clone()] };
    let from = stage.actors[1].id;
    stage.take(&[]);
    stage.says(from, 0, Message::Batch(batch));
    assert!(stage.take(&["BatchAck"]).contains("asker → ann"), "nobody waits for ever");
}

#[test]
fn who_ends_a_lease_before_its_bill_comes_owes_it_all_the_same() {
    let mut stage = Stage::paid(0, &[("ann", stuck_on_three)]);
    submit(&mut stage, 4);
    // Outcomes are delivered at once; their bill follows a moment later, while task 3 runs on.
    let lease = stage.actors[1].core.leases()[0].id;
    let from = stage.actors[0].id;
    assert_eq!(stage.actors[1].core.channels()[0].owed, Amount(2_000), "one is not billed yet");
    stage.says(from, 1, Message::Pong { dead: vec![lease] });
    let shown = &stage.actors[1].core.channels()[0];
    assert_eq!(shown.owed.0 + shown.lost.0, 3_000);
}

#[test]
fn one_task_takes_one_deposit_however_many_would_do_it() {
    let mut stage = Stage::paid(0, &[("ann", honest), ("ben", honest), ("cat", honest)]);
    stage.bank.closed = true;
    submit(&mut stage, 1);
    stage.pass(5_000);
    let opened = stage.actors[0].core.channels().len();
    stage.bank.closed = false;
    stage.look_again();
    stage.pass(120_000);
    assert_eq!((accepted(&stage), opened, stage.bank.channels.len()), (1, 1, 1));
}
