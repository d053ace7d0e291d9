//! Preview 2 command components, written in component text.

use ayni_types::{End, Exhausted, Fuel, TrapCode};

use crate::guests::run_bytes;
use crate::harness::Ran;

/// A command whose `run` is `body`, with printing, exit, the clock and randomness lowered.
fn command(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/streams@0.2.2" (instance $streams
    (export "output-stream" (type $out (sub resource)))
    (alias outer 1 $io-error (type $e))
    (export "error" (type $error (eq $e)))
    (type $stream-error (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $se (eq $stream-error)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $se)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $o))
    (export "output-stream" (type $out (eq $o)))
    (export "get-stdout" (func (result (own $out))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
    (export "now" (func (result u64)))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (core module $memory (memory (export "memory") 2))
  (core instance $memory (instantiate $memory))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory "memory")))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $exit' (canon lower (func $exit "exit")))
  (core func $now (canon lower (func $clock "now")))
  (core func $random' (canon lower (func $random "get-random-u64")))
  (core module $main
    (import "host" "memory" (memory 2))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "now" (func $now (result i64)))
    (import "host" "random" (func $random (result i64)))
    (func $print (param $at i32) (param $len i32)
      (call $write (call $get-stdout) (local.get $at) (local.get $len) (i32.const 5000)))
    {body})
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $memory "memory"))
    (export "write" (func $write))
    (export "get-stdout" (func $get-stdout))
    (export "exit" (func $exit'))
    (export "now" (func $now))
    (export "random" (func $random'))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#
    ))
    .expect("valid text")
}

fn run(code: &str) -> Ran {
    let body = format!(r#"(func (export "run") (result i32) {code})"#);
    run_bytes(&command(&body), |_, _| {}).expect("an outcome")
}

const PRINT: &str = "(i32.store (i32.const 100) (i32.const 0x0a216968))
    (call $print (i32.const 100) (i32.const 4))";

#[test]
fn a_component_prints_and_says_how_it_went() {
    for (code, end) in [
        ("(i32.const 0)", End::Exit(0)),
        ("(i32.const 1)", End::Exit(1)),
        ("(call $exit (i32.const 0)) (unreachable)", End::Exit(0)),
        ("(call $exit (i32.const 1)) (unreachable)", End::Exit(1)),
        ("(unreachable)", End::Trap(TrapCode::Unreachable)),
        ("(i32.load (i32.const -1))", End::Trap(TrapCode::MemoryOutOfBounds)),
        ("(i32.div_s (i32.const 1) (i32.const 0))", End::Trap(TrapCode::IntegerDivisionByZero)),
    ] {
        let ran = run(&format!("{PRINT} {code}"));
        assert_eq!((ran.end(), ran.text().as_str()), (end, "hi!\n"), "{code}");
        assert!(ran.outcome.fuel.0 > 1_000, "{code}: {}", ran.outcome.fuel);
    }
}

#[test]
fn what_a_component_computes_is_counted_at_every_end() {
    let spend = |loops: u32, code: &str| {
        let body = format!(
            r#"(func (export "run") (result i32) (local $i i32)
              (loop $l (br_if $l (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {loops}))))
              {code})"#
        );
        run_bytes(&command(&body), |_, _| {}).unwrap().outcome.fuel.0
    };
    let ends = [
        "(i32.const 0)",
        "(i32.const 1)",
        "(call $exit (i32.const 1)) (unreachable)",
        "(unreachable)",
    ];
    let more = ends.map(|code| spend(2_001, code) - spend(1_001, code));
    assert!(more[0] >= 1_000, "{more:?}");
    assert_eq!(more, [more[0]; 4]);
}

#[test]
fn a_component_meets_its_limits() {
    let end = |body: &str| {
        run_bytes(&command(body), |task, _| task.limits.fuel = Fuel(50_000_000)).unwrap().end()
    };
    let cases = [
        (r#"(func (export "run") (result i32) (loop $l (br $l)) (i32.const 0))"#, Exhausted::Fuel),
        (
            r#"(func (export "run") (result i32) (loop $l (drop (call $random)) (br $l)) (i32.const 0))"#,
            Exhausted::Fuel,
        ),
        (
            r#"(func $f (export "run") (result i32) (i32.add (i32.const 1) (call $f)))"#,
            Exhausted::Stack,
        ),
    ];
    for (body, what) in cases {
        assert_eq!(end(body), End::Exhausted(what), "{body}");
    }
}

#[test]
fn a_component_sees_the_virtual_clock() {
    let ran = run("(i64.store (i32.const 100) (call $now)) (i64.store (i32.const 108) (call $now))
        (call $print (i32.const 100) (i32.const 16)) (i32.const 0)");
    let times: Vec<u64> =
        ran.stdout.chunks(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect();
    assert_eq!(times, [0, 1_000]);
}

#[test]
fn a_component_that_looks_up_a_host_is_refused_and_goes_on() {
    let program = wat::parse_str(
        r#"(component
  (import "wasi:sockets/network@0.2.0" (instance $net
    (export "network" (type $n (sub resource)))
    (type $codes (enum "unknown" "access-denied" "not-supported"))
    (export "error-code" (type (eq $codes)))))
  (alias export $net "network" (type $network))
  (alias export $net "error-code" (type $code))
  (import "wasi:sockets/instance-network@0.2.0" (instance $one
    (alias outer 1 $network (type $n'))
    (export "network" (type $n (eq $n')))
    (export "instance-network" (func (result (own $n))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $lookup
    (alias outer 1 $network (type $n'))
    (alias outer 1 $code (type $c'))
    (export "network" (type $n (eq $n')))
    (export "error-code" (type $c (eq $c')))
    (export "resolve-address-stream" (type $s (sub resource)))
    (export "resolve-addresses" (func (param "network" (borrow $n)) (param "name" string)
      (result (result (own $s) (error $c)))))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 8) "host"))
  (core instance $memory (instantiate $memory))
  (core func $instance-network (canon lower (func $one "instance-network")))
  (core func $resolve (canon lower (func $lookup "resolve-addresses")
    (memory $memory "memory")))
  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "network" (func $network (result i32)))
    (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
    (func (export "run") (result i32) (local $network i32)
      (local.set $network (call $network))
      ;; The handle is good for a second call: the first gave back what it had borrowed.
      (call $resolve (local.get $network) (i32.const 8) (i32.const 4) (i32.const 16))
      (call $resolve (local.get $network) (i32.const 8) (i32.const 4) (i32.const 32))
      (i32.ne (i32.const 0x0201_0201) (i32.or
        (i32.or (i32.load8_u (i32.const 16))
          (i32.shl (i32.load8_u (i32.const 20)) (i32.const 8)))
        (i32.or (i32.shl (i32.load8_u (i32.const 32)) (i32.const 16))
          (i32.shl (i32.load8_u (i32.const 36)) (i32.const 24)))))))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $memory "memory"))
    (export "network" (func $instance-network))
    (export "resolve" (func $resolve))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#,
    )
    .expect("valid text");
    assert_eq!(run_bytes(&program, |_, _| {}).expect("an outcome").end(), End::Exit(0));
}
