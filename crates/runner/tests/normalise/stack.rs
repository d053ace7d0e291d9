//! Stack depth: the same everywhere, and the native stack never ends before the metered one.

use crate::host::{End, Limits, STACK_BYTES_MAX, run_everywhere};

const LIMIT: Limits = Limits { fuel: 1 << 40, stack: STACK_BYTES_MAX.cast_signed() };

/// The recursion ends because the metered stack does, on every back end. Native overflow would be
/// a `StackOverflow` trap.
#[track_caller]
fn check_exhausts(text: &str) {
    let module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(run_everywhere(&module, LIMIT).end, End::Stack);
}

#[test]
fn plain_recursion_ends_alike() {
    check_exhausts(r#"(module (func $f (export "run") (call $f)))"#);
    check_exhausts(
        r#"(module (func $f (export "run") (result i32) (i32.add (call $f) (i32.const 1))))"#,
    );
}

#[test]
fn depth_is_what_the_table_says() {
    // `deep` costs 48 + one local 8 + two operands 32 + 11 operators / 8; `run` as little.
    let text = |turns: u32| {
        format!(
            r#"(module
            (func $deep (param i32) (result i32)
                (if (result i32) (local.get 0)
                    (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
                    (else (i32.const 7))))
            (func (export "run") (result i32) (call $deep (i32.const {turns}))))"#
        )
    };
    let limits = |stack| Limits { fuel: 1 << 40, stack };
    let frame = 48 + 8 + 2 * 16 + 1;
    let entry = 48 + 16;
    for turns in [0, 1, 50] {
        let module = wat::parse_str(text(turns)).unwrap();
        let need = entry + frame * (turns.cast_signed() + 1);
        assert_eq!(run_everywhere(&module, limits(need)).end, End::Returned(vec![7]));
        assert_eq!(run_everywhere(&module, limits(need - 1)).end, End::Stack);
    }
}

#[test]
fn indirect_and_mutual_recursion_ends_alike() {
    check_exhausts(
        r#"(module (type $t (func)) (table 2 funcref) (elem (i32.const 0) $a $b)
            (func $a (call_indirect (i32.const 1)))
            (func $b (call_indirect (i32.const 0)))
            (func (export "run") (call $a)))"#,
    );
}

#[test]
fn recursion_in_the_start_function_ends_alike() {
    check_exhausts(r#"(module (func $f (call $f)) (start $f) (func (export "run")))"#);
}

#[test]
fn recursion_through_early_returns_leaves_no_debt() {
    // A million calls that return in every way must not use the stack up.
    let text = r#"(module
        (func $f (param i32) (result i32)
            (block (br_if 0 (i32.eqz (local.get 0)))
                (drop (call $g))
                (return (i32.const 1)))
            (block (br_if 1 (i32.const 2) (call $g)) drop)
            (i32.const 3))
        (func $g (result i32) (call $h) (i32.const 1))
        (func $h)
        (func (export "run") (result i32) (local i32 i32)
            (loop
                (local.set 1 (i32.add (local.get 1) (call $f (i32.and (local.get 0) (i32.const 1)))))
                (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000000))))
            (local.get 1)))"#;
    let text = text.replace(
        "(block (br_if 1 (i32.const 2) (call $g)) drop)",
        "(drop (br_if 0 (i32.const 2) (call $g)))",
    );
    let seen =
        run_everywhere(&wat::parse_str(text).unwrap(), Limits { fuel: 1 << 40, stack: 1_000 });
    assert_eq!(seen.end, End::Returned(vec![1_500_000]));
}

/// `count` locals of a type, all alive across the call and all different.
fn many_locals(ty: &str, count: usize, make: impl Fn(usize) -> String, show: &str) -> String {
    let sets: String =
        (0..count).map(|index| format!("(local.set {} {})\n", index + 1, make(index))).collect();
    let uses: String =
        (0..count).map(|index| show.replace('#', &(index + 1).to_string())).collect();
    format!(
        r#"(module (memory 1)
        (func $f (param i32) (local {locals}) {sets}
            (call $f (i32.add (local.get 0) (i32.const 1))) {uses})
        (func (export "run") (call $f (i32.const 1))))"#,
        locals = format!("{ty} ").repeat(count),
    )
}

#[test]
fn frames_with_many_locals_end_alike() {
    for count in [10, 100, 2_000] {
        check_exhausts(&many_locals(
            "i64",
            count,
            |index| {
                format!("(i64.mul (i64.extend_i32_u (local.get 0)) (i64.const {}))", index * 2 + 3)
            },
            "(i64.store (i32.const 0) (local.get #))",
        ));
        check_exhausts(&many_locals(
            "v128",
            count,
            |index| format!("(i32x4.splat (i32.mul (local.get 0) (i32.const {})))", index * 2 + 3),
            "(v128.store (i32.const 0) (local.get #))",
        ));
        check_exhausts(&many_locals(
            "f64",
            count,
            |index| {
                format!("(f64.mul (f64.convert_i32_u (local.get 0)) (f64.const {}))", index * 2 + 3)
            },
            "(f64.store (i32.const 0) (local.get #))",
        ));
    }
}

#[test]
fn frames_with_many_arguments_and_operands_end_alike() {
    for count in [20, 200, 900] {
        let params = "i64 ".repeat(count);
        let arguments: String = (0..count)
            .map(|index| format!("(i64.add (local.get {index}) (i64.const {index}))"))
            .collect();
        let zeros = "(i64.const 0)".repeat(count);
        check_exhausts(&format!(
            r#"(module (func $f (param {params}) (call $f {arguments}))
            (func (export "run") (call $f {zeros})))"#
        ));
    }
}

#[test]
fn frames_with_many_results_end_alike() {
    let results = "i64 ".repeat(60);
    check_exhausts(&format!(
        r#"(module (func $f (result {results}) (call $f))
        (func (export "run") (call $f) {}))"#,
        "drop ".repeat(60)
    ));
}

#[test]
fn deep_nesting_ends_alike() {
    let depth = 3_000;
    check_exhausts(&format!(
        r#"(module (func $f (export "run") {} (call $f) {}))"#,
        "(block (loop ".repeat(depth),
        "))".repeat(depth)
    ));
}

/// Values computed before the call and, as the same expressions, after it: a compiler that shares
/// them keeps them all in the frame, though locals and operands are few.
fn shared_values(wide: bool, count: usize) -> String {
    let value = |index: usize| {
        let constant = index * 2 + 3;
        if wide {
            format!(
                "(v128.store (i32.const 0) (i32x4.splat (i32.mul (local.get 0) (i32.const {constant}))))"
            )
        } else {
            format!(
                "(i64.store (i32.const 0) (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const {constant})))"
            )
        }
    };
    let values: String = (0..count).map(value).collect();
    format!(
        r#"(module (memory 1)
        (func $f (param i32) {values}
            (call $f (i32.add (local.get 0) (i32.const 1))) {values})
        (func (export "run") (call $f (i32.const 1))))"#
    )
}

#[test]
fn frames_full_of_shared_values_end_alike() {
    for wide in [false, true] {
        for count in [10, 300, 3_000] {
            check_exhausts(&shared_values(wide, count));
        }
    }
}
