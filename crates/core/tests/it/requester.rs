//! The way of a job, seen from who asks.

use ayni_core::{
    Command, CommandError, FetchWhat, JobState, Lent, PauseReason, Purpose, Reply, TaskState,
};
use ayni_types::{Amount, Fault, FaultKind, Fuel, JobId, Outcome, Price, TaskSpec};

use crate::stage::{Script, Stage, fault, honest, job, never, outcome};

const JOB: JobId = JobId([1; 16]);

#[test]
fn a_job_is_leased_assigned_delivered_signed_and_accepted() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.take(&[]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b", "c"])));
    stage.pass(10_000);
    insta::assert_snapshot!(stage.take(&[]), @r"
    asker tells: 3 tasks, 0 held
    asker → ann: LeaseAsk 2 slots
    ann → asker: LeaseGrant
    asker → ann: Assign a
    asker → ann: Assign b
    ann → asker: Delivered
    ann → asker: Delivered
    asker → ann: Assign c
    ann → asker: Batch 0 of 2
    asker → ann: BatchAck 0
    asker tells: task 0 accepted from ann
    asker tells: task 1 accepted from ann
    ann → asker: Delivered
    ann → asker: Batch 1 of 1
    asker → ann: BatchAck 1
    asker tells: task 2 accepted from ann
    asker tells: ended: 3 accepted, 0 failed, cancelled false
    asker → ann: LeaseEnd
    asker → ann: AuditSeed
    ");
    let view = stage.actors[0].core.job(JOB).expect("it is there");
    assert_eq!(view.state, JobState::Ended);
    assert_eq!(view.fuel_total, Fuel(3_000_000));
    // 10^6 fuel at 1,000,000 per 10^9, three times.
    assert_eq!(view.price_total, Amount(3_000));
    assert_eq!(stage.actors[1].core.provider().totals.tasks, 3);
    assert!(stage.actors[0].core.leases().is_empty() && stage.actors[1].core.leases().is_empty());
}

#[test]
fn outputs_that_came_along_are_kept_and_only_the_others_are_asked_for() {
    let (out, empty, alien) = (b"a".to_vec(), Vec::new(), b"not of it".to_vec());
    let rest = |bytes: &[u8]| (ayni_wire::digest(bytes), bytes.len() as u64);
    let large = vec![b'x'; 4_097];
    for (inline, expected) in [
        (vec![], None),
        (vec![alien.clone()], None),
        (vec![alien, out.clone(), out.clone()], Some((vec![out.clone()], vec![rest(b"")]))),
        (vec![empty.clone(), out.clone()], Some((vec![empty.clone(), out.clone()], vec![]))),
        (vec![large, empty.clone()], Some((vec![empty], vec![rest(b"a")]))),
    ] {
        let mut stage = Stage::new(&[("ann", honest)]);
        stage.inline = inline;
        stage.command(0, Command::SubmitJob(job(1, &["a"])));
        stage.pass(10_000);
        let fetched = stage.fetched.iter().find(|(who, _)| *who == "asker").map(|(_, what)| what);
        match (fetched, expected) {
            (Some(FetchWhat::Blobs(all)), None) => assert_eq!(all.len(), 2),
            (Some(FetchWhat::Outputs { here, rest }), Some(expected)) => {
                assert_eq!((here, rest), (&expected.0, &expected.1));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(stage.actors[0].core.job(JOB).expect("it is there").counts.accepted, 1);
    }
}

#[test]
fn tiny_tasks_are_handed_out_ahead_and_others_are_not() {
    let most_in_flight = |stage: &Stage| {
        let (mut now, mut most) = (0_usize, 0);
        for line in &stage.lines {
            now += usize::from(line.contains(": Assign "));
            now -= usize::from(line.ends_with(": Delivered"));
            most = most.max(now);
        }
        most
    };
    let names: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (cpu_ms, least, most) in [(0, 33, 64), (10, 5, 6), (40, 3, 4)] {
        let mut stage = Stage::new(&[("ann", honest)]);
        stage.cpu_ms = cpu_ms;
        stage.take(&[]);
        stage.command(0, Command::SubmitJob(job(1, &names)));
        stage.pass(60_000);
        let view = stage.actors[0].core.job(JOB).expect("it is there");
        assert_eq!((view.counts.accepted, view.faults), (400, 0), "{cpu_ms} ms");
        let found = most_in_flight(&stage);
        assert!((least..=most).contains(&found), "{cpu_ms} ms: {found} in flight");
    }
}

#[test]
fn what_is_held_is_not_run_again() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b", "b"])));
    stage.pass(10_000);
    assert_eq!(stage.runs.len(), 2, "equal tasks of one job run once: {:?}", stage.runs);
    let again = stage.command(0, Command::SubmitJob(job(2, &["a", "b", "c"])));
    assert_eq!(stage.replies[&again], Ok(Reply::Accepted { job: JobId([2; 16]), held: 2 }));
    stage.pass(10_000);
    assert_eq!(stage.runs.len(), 3);
    let view = stage.actors[0].core.job(JobId([2; 16])).expect("it is there");
    assert_eq!((view.counts.accepted, view.counts.held), (3, 2));
    assert_eq!(view.fuel_total, Fuel(1_000_000), "only the new task");
    // The same job again is answered as the first time and changes nothing.
    let twice = stage.command(0, Command::SubmitJob(job(2, &["x"])));
    assert_eq!(stage.replies[&twice], Ok(Reply::Accepted { job: JobId([2; 16]), held: 2 }));
    assert_eq!(stage.actors[0].core.jobs().len(), 2);
}

fn breaks_on_b(task: &TaskSpec, _: Purpose) -> Result<Outcome, Fault> {
    if task.args[0] == "b" { fault(FaultKind::RunnerCrashed) } else { Ok(outcome(task)) }
}

#[test]
fn a_faulted_task_is_tried_elsewhere_and_never_again_there() {
    let mut stage = Stage::new(&[("ann", breaks_on_b), ("ben", honest)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b", "c", "d"])));
    stage.pass(20_000);
    let at = |who: &str| stage.runs.iter().filter(|r| r.0 == who && r.1 == "b").count();
    assert!(at("ann") <= 1, "{:?}", stage.runs);
    assert_eq!(at("ben"), 1);
    assert_eq!(stage.actors[0].core.job(JOB).expect("there").counts.accepted, 4);
}

#[test]
fn three_machines_with_the_same_fault_end_a_task_and_no_other() {
    let all: [(&str, Script); 4] =
        [("ann", breaks_on_b), ("ben", breaks_on_b), ("cat", breaks_on_b), ("dan", breaks_on_b)];
    let mut stage = Stage::new(&all);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b", "c", "d"])));
    stage.pass(60_000);
    insta::assert_snapshot!(stage.take(&["failed", "ended"]), @r"
    asker tells: task 1 failed: 3 machines gave the same fault: runner crashed: as told
    asker tells: ended: 3 accepted, 1 failed, cancelled false
    ");
    assert_eq!(stage.runs.iter().filter(|r| r.1 == "b").count(), 3);
}

#[test]
fn a_task_that_the_only_provider_faults_fails_with_the_reason() {
    let mut stage = Stage::new(&[("ann", breaks_on_b)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b"])));
    stage.pass(60_000);
    let task = stage.actors[0].core.task(JOB, 1).expect("there");
    assert_eq!(task.state, TaskState::Failed);
    insta::assert_snapshot!(task.failure.unwrap_or_default(), @"no machine in reach is left to try it on; the last: runner crashed: as told");
    assert_eq!(task.attempts.len(), 1);
}

#[test]
fn an_unusable_offer_is_explained() {
    let check = |change: fn(&mut ayni_core::JobSpec), part: &str| {
        let mut stage = Stage::new(&[("ann", honest)]);
        let mut spec = job(1, &["a"]);
        change(&mut spec);
        stage.command(0, Command::SubmitJob(spec));
        stage.pass(5_000);
        let core = &stage.actors[0].core;
        let stall = core.job(JOB).and_then(|j| j.stall).unwrap_or_default();
        assert!(stall.contains(part), "{stall}");
        assert!(
            core.why(Some(JOB)).iter().any(|l| l.reason.contains(part)),
            "{:?}",
            core.why(None)
        );
        assert!(stage.runs.is_empty());
    };
    check(|j| j.tasks[0].limits.memory_bytes = 2 << 30, "bytes of memory; tasks ask 2147483648");
    check(|j| j.tasks[0].limits.fuel = Fuel(1 << 50), "a fuel limit of 1125899906842624 can't");
    check(
        |j| j.price_max = Some(Price { per_gigafuel: Amount(5), ..Price::default() }),
        "the job pays at most 5",
    );
}

#[test]
fn a_pause_refuses_and_a_drain_ends() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(1, Command::Pause { reason: PauseReason::Battery });
    stage.pass(1_000);
    stage.take(&[]);
    stage.command(0, Command::SubmitJob(job(1, &["a"])));
    stage.pass(1_500);
    insta::assert_snapshot!(stage.take(&["Refuse", "stalled", "freezes"]), @r"
    ann → asker: LeaseRefuse it runs on battery
    asker tells: stalled: `1 providers known, none usable: refused: it runs on battery (hint: it works again when it is plugged in)`
    ");
    stage.command(1, Command::Resume { reason: PauseReason::Battery });
    stage.pass(60_000);
    assert_eq!(stage.actors[0].core.job(JOB).expect("there").counts.accepted, 1);
    let drain = stage.command(1, Command::Drain);
    assert_eq!(stage.replies[&drain], Ok(Reply::Drained));
}

#[test]
fn a_machine_is_its_owners_at_once_and_its_tasks_end_elsewhere() {
    let mut stage = Stage::new(&[("ann", never)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b"])));
    stage.pass(500);
    assert_eq!(stage.runs.len(), 2, "{:?}", stage.runs);
    stage.take(&[]);
    stage.command(1, Command::Pause { reason: PauseReason::Busy });
    stage.pass(100);
    insta::assert_snapshot!(stage.take(&["ann"]), @r"
    ann freezes: true
    ann kills RunId(6)
    ann kills RunId(7)
    ann → asker: LeaseEnd
    ann → asker: Faulted provider draining: 
    ann → asker: Faulted provider draining: 
    asker tells: task 0 faulted at ann: provider draining: 
    asker tells: task 1 faulted at ann: provider draining: 
    asker → ann: AuditSeed
    ");
    assert!(stage.actors[1].core.provider().running.is_empty());
    stage.enter("ben", honest, true);
    stage.pass(30_000);
    assert_eq!(stage.actors[0].core.job(JOB).expect("there").counts.accepted, 2);
    // One more reason changes nothing, and work goes on when the last is gone.
    stage.command(1, Command::Pause { reason: PauseReason::Hours });
    stage.command(1, Command::Resume { reason: PauseReason::Busy });
    let paused = &stage.actors[1].core.provider().paused;
    assert_eq!(paused.iter().collect::<Vec<_>>(), [&PauseReason::Hours]);
    stage.command(1, Command::Resume { reason: PauseReason::Hours });
    assert!(stage.actors[1].core.provider().paused.is_empty());
}

#[test]
fn a_task_is_not_given_up_however_often_owners_take_their_machines_back() {
    let mut stage = Stage::new(&[("ann", never)]);
    let mut spec = job(1, &["a"]);
    spec.timeout_ms = 3_600_000;
    stage.command(0, Command::SubmitJob(spec));
    let mut handed_back = 0;
    for _ in 0..200 {
        stage.pass(5_000);
        if stage.actors[1].core.provider().running.is_empty() {
            continue;
        }
        handed_back += 1;
        stage.command(1, Command::Pause { reason: PauseReason::InUse });
        stage.pass(100);
        stage.command(1, Command::Resume { reason: PauseReason::InUse });
    }
    // More often than a task is tried where something goes wrong.
    assert!(handed_back > 25, "{handed_back}");
    stage.enter("ben", honest, true);
    stage.command(1, Command::Pause { reason: PauseReason::InUse });
    stage.pass(60_000);
    let view = stage.actors[0].core.job(JOB).expect("there");
    assert_eq!((view.counts.accepted, view.counts.failed), (1, 0));
}

#[test]
fn what_its_owner_does_is_nobodys_business() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(1, Command::Pause { reason: PauseReason::InUse });
    stage.pass(1_000);
    stage.command(0, Command::SubmitJob(job(1, &["a"])));
    stage.pass(1_500);
    let refused = stage.take(&["Refuse"]);
    assert!(refused.contains("LeaseRefuse it rests, as its owner set it to"), "{refused}");
}

#[test]
fn an_owner_who_lends_less_gets_it_back_and_offers_follow() {
    let mut stage = Stage::new(&[("ann", never)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b", "c", "d"])));
    stage.pass(500);
    let lent = Lent {
        slots: 1,
        memory_bytes: 1 << 30,
        disk_bytes: 1 << 30,
        price: Price { per_gigafuel: Amount(7), ..Price::default() },
        busy_percent: 0,
    };
    let before = stage.actors[1].core.provider().running.len();
    assert!(before > 1, "{before}");
    stage.command(1, Command::Lend(lent));
    stage.pass(3_000);
    let view = stage.actors[1].core.provider();
    let running = view.running.iter().filter(|run| run.phase == "running");
    assert_eq!(running.count(), 1, "{:?}", view.running);
    assert_eq!(view.price.per_gigafuel, Amount(7));
    let offers = stage.actors[0].core.offers();
    let offer = &offers.first().expect("ann's").offer;
    assert_eq!((offer.slots, offer.price.per_gigafuel), (1, Amount(7)));
}

#[test]
fn a_silent_provider_is_given_up_and_its_tasks_move() {
    for cable_cut in [true, false] {
        let mut stage = Stage::new(&[("ann", never)]);
        stage.command(0, Command::SubmitJob(job(1, &["a", "b"])));
        stage.pass(500);
        assert_eq!(stage.runs.len(), 2, "{:?}", stage.runs);
        if cable_cut {
            stage.disconnect(0, 1);
        } else {
            stage.actors[1].deaf = true;
        }
        stage.pass(15_000);
        let lost = stage.take(&["ann lost"]);
        let why = if cable_cut { "no connection for 5 s" } else { "silent for 8 s" };
        assert!(lost.contains(&format!("ann lost, 2 requeued: {why}")), "{lost}");
        stage.enter("ben", honest, true);
        stage.pass(30_000);
        assert_eq!(stage.actors[0].core.job(JOB).expect("there").counts.accepted, 2);
    }
}

#[test]
fn a_full_disk_stops_what_is_signed_and_loses_nothing() {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, Command::SubmitJob(job(1, &["a"])));
    stage.pass(10_000);
    stage.take(&[]);
    stage.actors[0].disk_full = true;
    let first = stage.command(0, Command::SubmitJob(job(2, &["x"])));
    assert!(!stage.replies.contains_key(&first), "no answer before it is durable");
    let second = stage.command(0, Command::SubmitJob(job(3, &["y"])));
    let error = CommandError::Journal("no space left on device".to_owned()).to_string();
    assert_eq!(stage.replies[&second], Err(error));
    stage.pass(10_000);
    assert!(!stage.lines.iter().any(|l| l.contains("LeaseAsk")), "{:?}", stage.lines);
    stage.actors[0].disk_full = false;
    stage.pass(20_000);
    assert_eq!(stage.replies[&first], Ok(Reply::Accepted { job: JobId([2; 16]), held: 0 }));
    assert_eq!(stage.actors[0].core.job(JobId([2; 16])).expect("there").counts.accepted, 1);
}

#[test]
fn a_restarted_requester_keeps_what_it_has_and_goes_on() {
    let mut stage = Stage::new(&[("ann", breaks_on_b)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b"])));
    stage.pass(1_000);
    assert_eq!(stage.actors[0].core.job(JOB).expect("there").counts.accepted, 1);
    let before = stage.actors[0].core.task(JOB, 0);
    stage.restart(0);
    assert_eq!(
        stage.actors[0].core.task(JOB, 0).map(|t| t.outcome_digest),
        before.map(|t| t.outcome_digest)
    );
    stage.enter("ben", honest, true);
    stage.pass(60_000);
    let view = stage.actors[0].core.job(JOB).expect("there");
    assert_eq!((view.state, view.counts.accepted), (JobState::Ended, 2));
    assert_eq!(stage.runs.iter().filter(|r| r.1 == "a").count(), 1, "{:?}", stage.runs);
    assert!(stage.actors[1].core.leases().is_empty(), "the old lease is over");
}

#[test]
fn commands_that_make_no_sense_change_nothing_and_say_why() {
    let mut stage = Stage::new(&[]);
    let mut refused = |command: Command| {
        let id = stage.command(0, command);
        stage.replies[&id].clone().expect_err("refused")
    };
    let submit = |change: fn(&mut ayni_core::JobSpec)| {
        let mut spec = job(1, &["a", "b"]);
        change(&mut spec);
        Command::SubmitJob(spec)
    };
    let mut lines = vec![
        refused(submit(|j| j.tasks.clear())),
        refused(submit(|j| j.timeout_ms = 0)),
        refused(submit(|j| j.verify.rate = Some(1_000_001))),
        refused(submit(|j| j.providers_max = 0)),
        refused(submit(|j| j.tasks[1].args = vec!["a\0b".to_owned()])),
        refused(Command::CloseJob { job: JOB }),
        refused(Command::Pause { reason: PauseReason::Owner }),
    ];
    let gap = {
        stage.command(
            0,
            Command::SubmitJob({
                let mut spec = job(1, &["a"]);
                spec.open = true;
                spec
            }),
        );
        let id = stage.command(
            0,
            Command::AddTasks { job: JOB, first_index: 5, tasks: vec![], sizes: vec![] },
        );
        stage.replies[&id].clone().expect_err("refused")
    };
    lines.push(gap);
    insta::assert_snapshot!(lines.join("\n"), @r"
    the job has no tasks
    a timeout of 0 ms is not between 1 ms and a week
    an audit rate of 1000001 in a million is above 1
    nobody may run the job: no providers and not at home
    task 1: argument `a\u{0}b` has a NUL
    no job 01010101010101010101010101010101 here
    this node does not provide
    tasks from index 5 leave a gap: the job has 1
    ");
}
