//! Components of the world `ayni:function`, written in component text: bytes in, bytes out.

use ayni_types::{End, Exhausted, Fuel, TrapCode};

use crate::guests::{RUNNER, run_bytes};
use crate::harness::{Ran, Runner};

const BYTES: &str =
    "(func (param \"input\" (list u8)) (result (result (list u8) (error (list u8)))))";

/// A function whose `handle` is `code`: `$at` and `$len` are its input, the result is where
/// `{u32 is_error, u32 at, u32 len}` lies. Memory up to 16 is free for that.
fn function(code: &str) -> Vec<u8> {
    parse(
        &format!(
            r#"(core module $m
    (memory (export "memory") 16)
    (global $end (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32) (param $n i32) (result i32) (local $at i32)
      (local.set $at (global.get $end))
      (global.set $end (i32.add (global.get $end) (local.get $n)))
      (loop $more
        (if (i32.gt_u (global.get $end) (i32.shl (memory.size) (i32.const 16)))
          (then
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
            (br $more))))
      (local.get $at))
    (func $answer (param $error i32) (param $at i32) (param $len i32) (result i32)
      (i32.store (i32.const 0) (local.get $error))
      (i32.store (i32.const 4) (local.get $at))
      (i32.store (i32.const 8) (local.get $len))
      (i32.const 0))
    (func (export "handle") (param $at i32) (param $len i32) (result i32) {code}))"#
        ),
        BYTES,
    )
}

/// A component around a core module `$m`, which exports `handle` with the type given.
fn parse(module: &str, ty: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component {module}
  (core instance $i (instantiate $m))
  (type $t {ty})
  (func $handle (type $t) (canon lift (core func $i "handle")
    (memory $i "memory") (realloc (func $i "realloc"))))
  (instance $handler (export "handle" (func $handle)))
  (export "ayni:function/handler@1.0.0" (instance $handler)))"#
    ))
    .expect("valid text")
}

fn run(code: &str, input: &[u8]) -> Ran {
    run_bytes(&function(code), |task, blobs| {
        task.stdin = (!input.is_empty()).then(|| blobs.add(input));
        task.limits.fuel = Fuel(50_000_000);
        task.limits.output_bytes = 1 << 20;
        task.limits.memory_bytes = 8 << 20;
    })
    .expect("an outcome")
}

#[test]
fn bytes_go_in_and_come_out() {
    let echo = "(call $answer (i32.const 0) (local.get $at) (local.get $len))";
    for input in [&b""[..], b"x", b"\xff\0\xfe", &[7; 500_000]] {
        let ran = run(echo, input);
        assert_eq!((ran.end(), &ran.stdout[..], &ran.stderr[..]), (End::Exit(0), input, &b""[..]));
    }
}

#[test]
fn an_error_is_exit_code_one_with_its_bytes_on_standard_error() {
    let ran = run("(call $answer (i32.const 1) (local.get $at) (local.get $len))", b"no: \xff");
    assert_eq!(
        (ran.end(), &ran.stdout[..], &ran.stderr[..]),
        (End::Exit(1), &b""[..], &b"no: \xff"[..])
    );
}

#[test]
fn every_byte_in_and_out_is_paid_for() {
    let fuel = |input: &[u8]| {
        let echo = "(call $answer (i32.const 0) (local.get $at) (local.get $len))";
        run(echo, input).outcome.fuel.0
    };
    // Once in, once out; the guest's own code does not depend on the length here.
    assert_eq!(fuel(&[1; 2_000]) - fuel(&[1; 1_000]), 2_000);
    let answer =
        |flag| format!("(call $answer (i32.const {flag}) (local.get $at) (local.get $len))");
    assert_eq!(run(&answer(0), b"abc").outcome.fuel, run(&answer(1), b"abc").outcome.fuel);
}

#[test]
fn a_hostile_function_comes_to_a_defined_end() {
    let answer = |flag, at: &str, len: &str| {
        format!("(call $answer (i32.const {flag}) (i32.const {at}) (i32.const {len}))")
    };
    let cases = [
        ("(loop $l (br $l)) (unreachable)".to_owned(), End::Exhausted(Exhausted::Fuel)),
        ("(unreachable)".to_owned(), End::Trap(TrapCode::Unreachable)),
        ("(i32.load (i32.const -1))".to_owned(), End::Trap(TrapCode::MemoryOutOfBounds)),
        // Longer than the output limit, and all of a memory.
        (answer(0, "0", "0x100000"), End::Exit(0)),
        (
            "(drop (memory.grow (i32.const 16)))".to_owned() + &answer(0, "0", "0x100001"),
            End::Exhausted(Exhausted::Output),
        ),
        (
            "(drop (memory.grow (i32.const 16)))".to_owned() + &answer(1, "0", "0x200000"),
            End::Exhausted(Exhausted::Output),
        ),
        // Not in its memory.
        (answer(0, "0", "-1"), End::Trap(TrapCode::CanonicalAbi)),
        (answer(1, "-8", "16"), End::Trap(TrapCode::CanonicalAbi)),
        // Neither result nor error.
        (answer(2, "0", "0"), End::Trap(TrapCode::CanonicalAbi)),
        // A result that begins outside, and one that is not aligned.
        ("(i32.const -4)".to_owned(), End::Trap(TrapCode::CanonicalAbi)),
        ("(i32.const 2)".to_owned(), End::Trap(TrapCode::CanonicalAbi)),
    ];
    for (code, end) in cases {
        assert_eq!(run(&code, b"input").end(), end, "{code}");
    }
}

#[test]
fn work_before_a_broken_rule_is_paid_for() {
    let fuel = |loops: u32| {
        let code = format!(
            "(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i)
             (i32.const 1))) (i32.const {loops})))) (i32.const -4)"
        );
        let ran = run(&code, b"");
        assert_eq!(ran.end(), End::Trap(TrapCode::CanonicalAbi));
        ran.outcome.fuel.0
    };
    assert!(fuel(2_001) - fuel(1_001) >= 1_000, "{} {}", fuel(1_001), fuel(2_001));
}

#[test]
fn an_input_that_does_not_fit_is_the_end_of_memory() {
    let ends = [9 << 20, 8 << 20].map(|bytes| run("(unreachable)", &vec![1; bytes]).end());
    assert_eq!(ends[0], End::Exhausted(Exhausted::Memory));
    // Its own allocator finds no room and gives up.
    assert_eq!(ends[1], End::Trap(TrapCode::Unreachable));
}

#[test]
fn a_result_larger_than_what_is_moved_at_once_is_the_end_of_output() {
    let code = "(if (i32.eq (memory.grow (i32.const 3000)) (i32.const -1)) (then (unreachable)))
        (call $answer (i32.const 0) (i32.const 0) (i32.const 0x0b000000))";
    let ran = run_bytes(&function(code), |task, _| task.limits.output_bytes = 1 << 20).unwrap();
    assert_eq!(ran.end(), End::Exhausted(Exhausted::Output));
}

#[test]
fn a_function_is_recognised_and_one_of_another_type_refused() {
    let mut runner = Runner::start(RUNNER);
    let good = function("(unreachable)");
    let report = runner.check(&good);
    assert_eq!((report.kind.as_str(), report.problems), ("component (function)", vec![]));

    let module = |params: &str| {
        format!(
            r#"(core module $m (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (unreachable))
          (func (export "handle") {params} (result i32) (unreachable)))"#
        )
    };
    let two = "(param i32 i32)";
    for (params, ty) in [
        (two, "(func (param \"input\" string) (result (result (list u8) (error (list u8)))))"),
        (two, "(func (param \"input\" (list u8)) (result (list u8)))"),
        (two, "(func (param \"input\" (list u8)) (result (result (list u8) (error string))))"),
        (two, "(func (param \"input\" (list s8)) (result (result (list u8) (error (list u8)))))"),
        ("", "(func (result (result (list u8) (error (list u8)))))"),
        (
            "(param i32 i32 i32 i32)",
            "(func (param \"a\" (list u8)) (param \"b\" (list u8)) (result (result (list u8) (error (list u8)))))",
        ),
    ] {
        let report = runner.check(&parse(&module(params), ty));
        assert_eq!(report.problems.len(), 1, "{ty}: {:?}", report.problems);
        assert!(
            report.problems[0].contains("of another type than `func(input: list<u8>)"),
            "{ty}: {:?}",
            report.problems
        );
    }
    let other = wat::parse_str(
        r#"(component
      (component $c (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func (export "other") (canon lift (core func $i "f"))))
      (instance $i (instantiate $c)))"#,
    )
    .unwrap();
    assert!(
        runner
            .check(&other)
            .problems
            .iter()
            .any(|p| p.contains("neither a command nor a function"))
    );
    let empty = wat::parse_str(
        r#"(component (instance $i)
      (export "ayni:function/handler@1.0.0" (instance $i)))"#,
    )
    .unwrap();
    assert!(runner.check(&empty).problems[0].contains("without a function `handle`"));
}
