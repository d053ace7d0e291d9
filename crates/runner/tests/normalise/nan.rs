//! NaN bits: what a normalised program shows equals what the compiler's canonicalisation shows,
//! and bits that were loaded, given or reinterpreted are kept.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ayni_runner::normalise::normalise;
use wasmtime::Module;

use crate::generate::program;
use crate::host::{
    Back, End, ROOMY, engine, engine_with_flag, on_a_large_stack, run, run_everywhere, run_module,
};

/// Programs that must be compared, each of them able to show a NaN.
const PROGRAMS: usize = 10_000;
/// One in so many is also compiled with optimisation, which is slow.
const OPTIMISED_EVERY: u64 = 8;

#[test]
fn generated_programs_show_what_the_flag_shows() {
    let next = AtomicU64::new(0);
    let exposing = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while exposing.load(Ordering::Relaxed) < PROGRAMS {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if compare(seed) {
                        exposing.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let tried = next.into_inner();
    println!("{} of {tried} programs expose a NaN", exposing.into_inner());
    assert!(tried < 4 * PROGRAMS as u64, "the generator exposes too few");
}

/// True if the program shows NaN bits that differ when nobody canonicalises. On this machine:
/// arithmetic makes NaNs with other bits than the canonical ones, or hands payloads on.
fn compare(seed: u64) -> bool {
    let original = program(seed);
    let flagged = Module::new(engine_with_flag(Back::Plain), &original).unwrap();
    let expected = run_module(&flagged, None);
    let bare = Module::new(engine(Back::Winch), &original).unwrap();
    let exposes = run_module(&bare, None) != expected;
    if !exposes {
        return false;
    }
    let normalised = normalise(&original).unwrap().module;
    let mut fuel = None;
    for back in [Back::Plain, Back::Winch, Back::Optimised] {
        if back == Back::Optimised && !seed.is_multiple_of(OPTIMISED_EVERY) {
            continue;
        }
        let module = Module::new(engine(back), &normalised).unwrap();
        let mut seen = run_module(&module, Some(ROOMY));
        assert_eq!(*fuel.get_or_insert(seen.fuel), seen.fuel, "seed {seed}, {back:?}");
        seen.fuel = 0;
        assert_eq!(seen, expected, "seed {seed}, {back:?}");
    }
    true
}

#[track_caller]
fn check(body: &str, results: &str, expected: &[u128]) {
    let text = format!(
        r#"(module (memory 1)
            (data (i32.const 0) "\01\00\00\00\00\00\f0\7f" "\78\56\34\12\00\00\f4\ff" "\01\00\80\7f")
            (global $zero (mut f64) (f64.const 0))
            (func $same (param f64) (result f64) (local.get 0))
            (func (export "run") (result {results}) (local f64 f64 i32 f32) {body}))"#
    );
    let seen = run_everywhere(&wat::parse_str(&text).unwrap(), ROOMY);
    assert_eq!(seen.end, End::Returned(expected.to_vec()), "{body}");
}

const CANON: u128 = 0x7ff8_0000_0000_0000;

#[test]
fn loaded_bits_are_kept() {
    let signalling = 0x7ff0_0000_0000_0001;
    let boxed = 0xfff4_0000_1234_5678;
    check("(f64.load (i32.const 0))", "f64", &[signalling]);
    check(
        "(f64.store (i32.const 100) (f64.load (i32.const 8))) (i64.load (i32.const 100))",
        "i64",
        &[boxed],
    );
    check("(i32.reinterpret_f32 (f32.load (i32.const 16)))", "i32", &[0x7f80_0001]);
    check("(call $same (f64.load (i32.const 8)))", "f64", &[boxed]);
    check(
        "(local.set 0 (f64.load (i32.const 8)))
         (local.set 0 (select (local.get 0) (f64.div (local.get 1) (local.get 1)) (i32.const 1)))
         (local.get 0)",
        "f64",
        &[boxed],
    );
    check("(f64.reinterpret_i64 (i64.const 0x7ff0000000000bad))", "f64", &[0x7ff0_0000_0000_0bad]);
    check("(f64.const nan:0x4000000000bad)", "f64", &[0x7ff4_0000_0000_0bad]);
    check(
        "(f64.abs (f64.load (i32.const 8))) (f64.neg (f64.load (i32.const 8)))",
        "f64 f64",
        &[0x7ff4_0000_1234_5678, 0x7ff4_0000_1234_5678],
    );
}

#[test]
fn made_nans_are_canonical_wherever_they_become_visible() {
    let nan = "(f64.div (local.get 0) (global.get $zero))";
    let quieted = "(f64.add (f64.load (i32.const 8)) (f64.const 1))";
    for made in [
        nan,
        quieted,
        "(f64.sqrt (f64.const -1))",
        "(f64.min (f64.load (i32.const 8)) (f64.const 1))",
        "(f64.nearest (f64.load (i32.const 0)))",
        "(f64.promote_f32 (f32.load (i32.const 16)))",
        "(f64.promote_f32 (f32.demote_f64 (f64.load (i32.const 8))))",
        "(block (result f64) (br 0 (f64.mul (f64.const inf) (global.get $zero))))",
        "(f64.abs (f64.sub (f64.const inf) (f64.div (f64.const 1) (global.get $zero))))",
    ] {
        check(made, "f64", &[CANON]);
        check(&format!("(i64.reinterpret_f64 {made})"), "i64", &[CANON]);
        check(
            &format!("(f64.store (i32.const 64) {made}) (i64.load (i32.const 64))"),
            "i64",
            &[CANON],
        );
        check(&format!("(call $same {made})"), "f64", &[CANON]);
        check(&format!("(global.set $zero {made}) (global.get $zero)"), "f64", &[CANON]);
        check(&format!("(f64.copysign (f64.const 2) {made})"), "f64", &[0x4000_0000_0000_0000]);
        check(&format!("(f64.neg {made})"), "f64", &[CANON | 1 << 63]);
        check(&format!("(local.set 1 {made}) (local.get 1)"), "f64", &[CANON]);
        check(
            &format!("(local.set 1 (f64.load (i32.const 8))) (local.set 1 {made}) (local.get 1)"),
            "f64",
            &[CANON],
        );
        check(&format!("(return {made} (i32.const 7))"), "f64 i32", &[CANON, 7]);
    }
}

#[test]
fn a_nan_below_other_operands_is_fixed_in_place() {
    let nan = "(f64.div (local.get 0) (global.get $zero))";
    check(&format!("{nan} {nan} (i32.const 3) (br 0)"), "f64 f64 i32", &[CANON, CANON, 3]);
    check(
        &format!(
            "{nan} (i32.const 3) (f64.load (i32.const 8)) (br_if 0 (i32.const 1)) unreachable"
        ),
        "f64 i32 f64",
        &[CANON, 3, 0xfff4_0000_1234_5678],
    );
}

#[test]
fn a_program_that_boxes_values_in_nans_keeps_them() {
    // Tags integers into NaNs, keeps numbers as they are, sums only the numbers.
    let text = r#"(module (memory (export "memory") 1)
        (func $box (param i32) (result f64)
            (f64.reinterpret_i64 (i64.or (i64.const 0xfffc000000000000)
                (i64.extend_i32_u (local.get 0)))))
        (func (export "run") (result i64 f64) (local $i i32) (local $sum f64) (local $v f64) (local $n i64)
            (loop
                (if (i32.and (local.get $i) (i32.const 1))
                    (then (local.set $v (call $box (local.get $i))))
                    (else (local.set $v (f64.div (f64.convert_i32_u (local.get $i)) (f64.const 4)))))
                (f64.store (i32.mul (local.get $i) (i32.const 8)) (local.get $v))
                (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
            (local.set $i (i32.const 0))
            (loop
                (local.set $v (f64.load (i32.mul (local.get $i) (i32.const 8))))
                (if (f64.eq (local.get $v) (local.get $v))
                    (then (local.set $sum (f64.add (local.get $sum) (local.get $v))))
                    (else (local.set $n (i64.add (local.get $n)
                        (i64.and (i64.reinterpret_f64 (local.get $v)) (i64.const 0xffffffff))))))
                (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
            (local.get $n) (local.get $sum)))"#;
    let original = wat::parse_str(text).unwrap();
    let seen = run_everywhere(&original, ROOMY);
    let sum = u128::from((2450.0f64 / 4.0).to_bits());
    assert_eq!(seen.end, End::Returned(vec![2500, sum]));
    let bare = on_a_large_stack(move || {
        let module = Module::new(engine(Back::Optimised), &original).unwrap();
        (run_module(&module, None), run(&original, Back::Optimised, ROOMY))
    });
    assert_eq!(bare.0.memory, bare.1.memory);
}
