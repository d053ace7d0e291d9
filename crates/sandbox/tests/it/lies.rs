//! What a runner says is not believed.

use std::time::{Duration, Instant};

use ayni_types::{EngineId, FaultKind};
use ayni_wire::runner::CompileHow;
use std::io::Write;

use crate::help::{Bench, stdout};

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
