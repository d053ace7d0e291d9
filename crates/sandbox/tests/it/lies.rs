//! What a runner says is not believed.

use std::future::pending;
use std::time::{Duration, Instant};

use ayni_sandbox::Ahead;
use ayni_types::{Digest, EngineId, FaultKind};
use ayni_wire::runner::{CompileHow, RunOrder};
use std::io::Write;

use crate::help::{Bench, order, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn each_lie_ends_its_slot_and_nothing_else() {
    use FaultKind::{Internal, OutOfMemory, RunnerCrashed, Timeout};
    let _ = OutOfMemory;
    let cases = [
        ("huge packet", RunnerCrashed, "more than 65536 bytes"),
        ("empty packet", RunnerCrashed, "closed its socket"),
        ("garbage", RunnerCrashed, "malformed packet"),
        ("not canonical", RunnerCrashed, "malformed packet"),
        ("descriptors", RunnerCrashed, "sent descriptors"),
        ("wrong answer", RunnerCrashed, "out of turn with Checked"),
        ("ready again", RunnerCrashed, "out of turn with Ready"),
        ("report out of bounds", RunnerCrashed, "the report lies at"),
        ("report of 1 TiB", RunnerCrashed, "the report lies at"),
        ("report is garbage", RunnerCrashed, "malformed"),
        ("section out of bounds", RunnerCrashed, "stdout lies at"),
        ("fuel above the limit", RunnerCrashed, "fuel 18446744073709551615"),
        ("exhausted with output", RunnerCrashed, "discarded"),
        ("path climbs", RunnerCrashed, "`..`"),
        ("absolute path", RunnerCrashed, "empty component"),
        ("one range many times", RunnerCrashed, "bytes together"),
        ("ask for blobs without end", Timeout, "after 1500 ms"),
        ("ask and read without end", Timeout, "after 1500 ms"),
        ("says nothing", Timeout, "after 1500 ms"),
        ("spins", Timeout, "after 1500 ms"),
        ("floods stderr", Timeout, "after 1500 ms"),
        ("exits", RunnerCrashed, "exited with code 3"),
        ("last words", RunnerCrashed, "the disk of the machine is odd"),
        ("crashes", RunnerCrashed, "signal 11"),
        ("claims to be cancelled", Internal, "\u{1b}"),
    ];
    let bench = Bench::new().await;
    let mut honest = bench.slot().await;
    for (lie, kind, detail) in cases {
        let mut slot = bench.slot().await;
        let limit =
            if kind == Timeout { Duration::from_millis(1_500) } else { Duration::from_secs(60) };
        let fault = bench.run_for(&mut slot, &format!("forge: {lie}"), limit).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{lie}: {fault}");
        assert!(fault.detail.contains(detail), "{lie}: {fault}");
        assert!(fault.detail.len() <= ayni_types::limits::TEXT_BYTES_MAX, "{lie}");
        // Escaped when shown: no terminal is at the mercy of a runner.
        assert!(!fault.to_string().contains('\u{1b}'), "{lie}: {fault}");
        assert!(!slot.is_alive());
        let again = bench.run(&mut slot, "forge: none").await.unwrap_err();
        assert!(again.detail.contains("the slot is dead since"), "{again}");
        bench.run(&mut honest, "forge: none").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_given_in_advance_does_not_pass_for_the_next_task() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    assert_eq!(bench.run(&mut slot, "forge: answers twice").await.unwrap(), "first");
    let fault = bench.run(&mut slot, "forge: none").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::RunnerCrashed, "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_of_others_are_not_handed_out() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let said = bench.run(&mut slot, "forge: ask for another's blob").await.unwrap();
    assert_eq!(said, "Blob { size: None } 0 fds");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_about_the_machine_are_bounded() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let result = bench.run_for(&mut slot, "forge: none", Duration::from_secs(60)).await.unwrap();
    assert!(result.observed.cpu_ms <= (result.observed.wall_ms + 1) * 1_024);
    assert_eq!(stdout(&result), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artefact_of_another_length_is_refused() {
    let bench = Bench::new().await;
    let mut program = tempfile::tempfile().unwrap();
    program.write_all(b"forge: wrong length").unwrap();
    let compiled =
        bench.sandbox.compile(program.into(), EngineId::wasi1(), CompileHow::Optimised).await;
    let fault = compiled.unwrap_err();
    assert!(fault.detail.contains("the runner says 18"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_kills_promptly() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let began = Instant::now();
    let fault = bench.run_for(&mut slot, "forge: spins", Duration::from_millis(300)).await;
    assert_eq!(fault.unwrap_err().kind, FaultKind::Timeout);
    // Generous: what is tested is that it ends at all; the figure is printed.
    println!("killed and cleaned up {:?} after the start", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_tasks_that_were_sent_ahead_end_the_slot_and_keep_what_ended_before() {
    let bench = Bench::new().await;
    let minute = Duration::from_secs(60);
    for (lie, said) in [
        ("out of bounds", "stdout lies at"),
        ("too much", "out of turn with Small"),
        ("done", "out of turn with Done"),
        ("asks", "out of turn with NeedBlob"),
    ] {
        let mut slot = bench.slot().await;
        let named = |name: &str| {
            let mut order = order();
            order.task.args.push(name.to_owned());
            order
        };
        assert!(!slot.may_follow(&named("honest")), "nothing was run before it");
        bench.run(&mut slot, "forge: none").await.unwrap();
        let orders = [named("honest"), named(lie), named("honest")];
        let (ended, fault) = slot.run_ahead(&orders, minute, pending()).await;
        let [Ahead::Ended(first)] = ended.as_slice() else { panic!("{lie}: {ended:?}") };
        assert_eq!((first.stdout.as_slice(), first.fuel.0), (&b"honest"[..], 1));
        let fault = fault.unwrap();
        assert_eq!(fault.kind, FaultKind::RunnerCrashed, "{lie}: {fault}");
        assert!(fault.detail.contains(said), "{lie}: {fault}");
        assert!(!slot.is_alive() && !slot.may_follow(&named("honest")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tasks_without_inputs_of_the_same_program_are_sent_ahead() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    bench.run(&mut slot, "forge: none").await.unwrap();
    assert!(slot.may_follow(&order()));
    let changes: [fn(&mut RunOrder); 7] = [
        |o| o.task.program = Digest([2; 32]),
        |o| o.task.stdin = Some(Digest([2; 32])),
        |o| o.task.limits.stack_bytes += 1,
        |o| o.task.limits.memory_bytes = u64::MAX,
        |o| o.how = CompileHow::Plain,
        |o| o.witness = true,
        |o| o.task.args.push("x".repeat(1 << 10)),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut other = order();
        change(&mut other);
        assert!(!slot.may_follow(&other), "change {at}");
        let (ended, fault) = slot.run_ahead(&[other], Duration::from_secs(60), pending()).await;
        assert!(ended.is_empty() && fault.is_some() && slot.is_alive(), "change {at}");
    }
    let many = vec![order(); ayni_sandbox::AHEAD_MAX];
    let (ended, fault) = slot.run_ahead(&many, Duration::from_secs(60), pending()).await;
    assert_eq!((ended.len(), fault), (many.len(), None));
}
