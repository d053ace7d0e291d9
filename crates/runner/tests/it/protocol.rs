//! The socket itself: checks, refusals, and a daemon that misbehaves or leaves.

use std::os::fd::AsFd;

use ayni_wire::runner::{CompileHow, Reply, Request};

use crate::guests::{RUNNER, task};
use crate::harness::{Blobs, Runner, holding};

/// Programs that can't run, and what is said of them.
#[test]
fn programs_that_cannot_run_are_told_why() {
    let text = |wat: &str| wat::parse_str(wat).unwrap();
    let whole = text(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (vec![], &["not WebAssembly", "empty"]),
        (b"\x7fELF\x02".to_vec(), &["native program"]),
        (b"(module)".to_vec(), &["WebAssembly text"]),
        (whole[..whole.len() - 3].to_vec(), &["offset"]),
        (
            text(r#"(module (import "env" "puts" (func (param i32))) (func (export "_start")))"#),
            &["`env.puts`"],
        ),
        (
            text(
                r#"(module (import "wasi_unstable" "fd_write" (func))
                (func (export "_start")))"#,
            ),
            &["`wasi_unstable.fd_write`", "old name"],
        ),
        (
            text(
                r#"(module (import "wasi_snapshot_preview1" "fd_wrote" (func))
                (func (export "_start")))"#,
            ),
            &["`wasi_snapshot_preview1.fd_wrote`"],
        ),
        (
            text(
                r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (param i64)))
                (memory (export "memory") 1) (func (export "_start")))"#,
            ),
            &["sched_yield", "other types"],
        ),
        (text("(module)"), &["`_start`"]),
        (text(r#"(module (func (export "_initialize")))"#), &["reactor"]),
        (text(r#"(module (memory 1 1 shared) (func (export "_start")))"#), &["threads"]),
        (
            text(r#"(module (tag) (func (export "_start") (try_table (catch_all 0))))"#),
            &["exception"],
        ),
        (
            text(r#"(module (tag $e) (func (export "_start") try catch $e end))"#),
            &["legacy exception", "hint"],
        ),
        (text(r#"(module (memory i64 1) (func (export "_start")))"#), &["64-bit memory"]),
    ];
    let mut runner = Runner::start(RUNNER);
    for (program, parts) in cases {
        let report = runner.check(&program);
        let said = report.problems.join("\n");
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said:?}");
        }
        let refused = runner.compile(&program, CompileHow::Plain).unwrap_err();
        assert_eq!(refused.problems, report.problems);
    }
    let report = runner.check(&whole);
    assert_eq!((report.kind.as_str(), report.problems.len()), ("module", 0));
    assert_eq!(report.memory_bytes_min, 65_536);
}

#[test]
fn an_unknown_engine_is_named() {
    let program = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    let mut runner = Runner::start(RUNNER);
    let request = Request::Compile {
        engine: ayni_types::EngineId("wasi9".into()),
        how: CompileHow::Optimised,
    };
    runner.send(&request, &[holding(&program).as_fd(), holding(&[]).as_fd()]);
    match runner.receive() {
        Some(Reply::Invalid(report)) => assert!(report.problems[0].contains("wasi9")),
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn one_runner_serves_many_requests() {
    let mut runner = Runner::start(RUNNER);
    let programs = [1, 2].map(|code| {
        wat::parse_str(format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code}))))"#
        ))
        .unwrap()
    });
    let artefacts = programs.each_ref().map(|p| runner.compile(p, CompileHow::Optimised).unwrap());
    for round in 0..20 {
        let which = round % 2;
        let ran = runner
            .run(
                &task(&programs[which], &[]),
                CompileHow::Optimised,
                &artefacts[which],
                &Blobs::default(),
            )
            .unwrap();
        assert_eq!(ran.end(), ayni_types::End::Exit(u32::try_from(which).unwrap() + 1));
    }
}

#[test]
fn a_runner_leaves_when_the_daemon_does_and_when_it_talks_nonsense() {
    let cases: [&dyn Fn(&mut Runner); 4] = [
        &|runner| runner.send_bytes(b"garbage", &[]),
        &|runner| runner.send(&Request::Run, &[]),
        &|runner| runner.send(&Request::Blob { size: None }, &[]),
        &|runner| runner.send(&Request::Check, &[holding(&[]).as_fd(), holding(&[]).as_fd()]),
    ];
    for nonsense in cases {
        let mut runner = Runner::start(RUNNER);
        nonsense(&mut runner);
        assert!(runner.receive().is_none());
        assert_eq!(runner.wait().code(), Some(2));
    }
    let runner = Runner::start(RUNNER);
    assert_eq!(runner.hang_up().code(), Some(0));
}

#[test]
fn what_is_not_an_artefact_is_a_fault() {
    let mut runner = Runner::start(RUNNER);
    for bytes in [&b""[..], b"garbage", b"\x7fELF"] {
        let fault = runner
            .run(&task(b"p", &[]), CompileHow::Optimised, &holding(bytes), &Blobs::default())
            .unwrap_err();
        assert_eq!(fault.kind, ayni_types::FaultKind::Internal, "{fault}");
    }
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    let run = |args: &[&str]| {
        let output = std::process::Command::new(RUNNER).args(args).output().unwrap();
        let text =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = run(&["--version"]);
    assert!(code == Some(0) && text.starts_with("ayni-runner 0."), "{text}");
    for args in [&[][..], &["--help"], &["x.wasm"]] {
        let (code, text) = run(args);
        assert!(code == Some(64) && text.contains("hint: `ayni-runner` is started by"), "{text}");
    }
}

#[test]
fn the_inner_wall_stands() {
    let runner = Runner::start(RUNNER);
    let status = std::fs::read_to_string(format!("/proc/{}/status", runner.pid())).unwrap();
    let line =
        |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned());
    assert_eq!(line("NoNewPrivs:").as_deref(), Some("1"));
    assert_eq!(line("Seccomp:").as_deref(), Some("2"));
}
