//! What programs spend, to the unit, at every kind of end.

use wasmtime::Trap;

use crate::host::{End, Limits, ROOMY, run_everywhere};

/// A module's text, how it ends, and what it spends.
#[track_caller]
fn check(text: &str, end: End, fuel: i64) {
    let seen = run_everywhere(&wat::parse_str(text).unwrap(), ROOMY);
    assert_eq!((seen.end, seen.fuel), (end, fuel), "{text}");
}

fn returned(value: u128) -> End {
    End::Returned(vec![value])
}

#[test]
fn straight_line_code_costs_the_sum_of_its_operators() {
    check(
        r#"(module (func (export "run") (result i32)
            (i32.add (i32.const 2) (i32.mul (i32.const 3) (i32.const 4)))))"#,
        returned(14),
        5,
    );
}

#[test]
fn dear_operators_cost_more_and_structure_nothing() {
    check(
        r#"(module (func (export "run") (result i64)
            nop block nop end
            (drop (i32.const 1))
            (i64.div_u (i64.const 9) (i64.const 2))))"#,
        returned(4),
        1 + 1 + 1 + 8,
    );
}

#[test]
fn a_loop_costs_its_body_each_time() {
    // 3 constants and sets before (2), then 10 turns of 8.
    check(
        r#"(module (func (export "run") (result i32) (local i32)
            (local.set 0 (i32.const 10))
            (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            local.get 0))"#,
        returned(0),
        2 + 10 * 5 + 1,
    );
}

#[test]
fn only_the_arm_taken_is_paid() {
    check(
        r#"(module (func (export "run") (result i32)
            (if (result i32) (i32.const 0)
              (then (i32.add (i32.const 1) (i32.const 2)))
              (else (i32.const 7)))))"#,
        returned(7),
        2 + 1,
    );
}

#[test]
fn code_after_a_forward_branch_is_not_paid() {
    check(
        r#"(module (func (export "run") (result i32)
            (block (br_if 0 (i32.const 1)) (drop (i32.const 1)) (drop (i32.const 1)))
            (i32.const 3)))"#,
        returned(3),
        2 + 1,
    );
}

#[test]
fn a_br_table_pays_for_what_it_reaches() {
    check(
        r#"(module (func (export "run") (result i32)
            (block (block (block (br_table 0 1 2 (i32.const 1)))
              (return (i32.const 10)))
              (return (i32.const 20)))
            (i32.const 30)))"#,
        returned(20),
        2 + 2,
    );
}

#[test]
fn a_call_pays_for_the_callee() {
    check(
        r#"(module
            (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
            (func (export "run") (result i32) (call $f (call $f (i32.const 1)))))"#,
        returned(3),
        1 + 4 + 4 + 3 + 3,
    );
}

#[test]
fn a_trap_has_paid_for_its_whole_block() {
    let cases = [
        ("unreachable", Trap::UnreachableCodeReached, 2),
        (
            "(drop (i32.load (i32.const -8))) (drop (i32.const 1))",
            Trap::MemoryOutOfBounds,
            2 + 2 + 1,
        ),
        (
            "(i32.store (i32.const -8) (i32.const 1)) (drop (i32.const 1))",
            Trap::MemoryOutOfBounds,
            2 + 3 + 1,
        ),
        (
            "(drop (i32.div_s (i32.const 1) (global.get 0))) (drop (i32.const 1))",
            Trap::IntegerDivisionByZero,
            2 + 10 + 1,
        ),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (global.get 1))) (drop (i32.const 1))",
            Trap::IntegerOverflow,
            2 + 10 + 1,
        ),
        (
            "(drop (i32.rem_u (i32.const 1) (global.get 0))) (drop (i32.const 1))",
            Trap::IntegerDivisionByZero,
            2 + 10 + 1,
        ),
        (
            "(drop (i32.trunc_f64_s (f64.const nan))) (drop (i32.const 1))",
            Trap::BadConversionToInteger,
            2 + 2 + 1,
        ),
        (
            "(drop (i64.trunc_f32_u (f32.const 1e30))) (drop (i32.const 1))",
            Trap::IntegerOverflow,
            2 + 2 + 1,
        ),
        (
            "(call_indirect (i32.const 0)) (drop (i32.const 1))",
            Trap::IndirectCallToNull,
            2 + 1 + 8 + 1,
        ),
        ("(call_indirect (i32.const 1)) (drop (i32.const 1))", Trap::BadSignature, 2 + 1 + 8 + 1),
        (
            "(call_indirect (i32.const 9)) (drop (i32.const 1))",
            Trap::TableOutOfBounds,
            2 + 1 + 8 + 1,
        ),
        (
            "(drop (table.get 0 (i32.const 9))) (drop (i32.const 1))",
            Trap::TableOutOfBounds,
            2 + 2 + 1,
        ),
        (
            "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 160))",
            Trap::MemoryOutOfBounds,
            2 + 3 + 16 + 10,
        ),
        (
            "(memory.copy (i32.const 65530) (i32.const 1) (i32.const 33))",
            Trap::MemoryOutOfBounds,
            2 + 3 + 16 + 2,
        ),
        (
            "(table.fill 0 (i32.const 1) (ref.null func) (i32.const 50))",
            Trap::TableOutOfBounds,
            2 + 3 + 16 + 50,
        ),
        ("(v128.store (i32.const -8) (v128.const i64x2 0 0))", Trap::MemoryOutOfBounds, 2 + 3),
    ];
    for (operators, trap, fuel) in cases {
        let text = format!(
            r#"(module (memory 1 1) (table 3 funcref) (elem (i32.const 1) $other)
                (global (mut i32) (i32.const 0)) (global (mut i32) (i32.const -1))
                (func $other (param i64))
                (func (export "run") (local i32)
                    (local.set 0 (i32.const 1)) {operators}))"#
        );
        check(&text, End::Trapped(trap), fuel);
    }
}

#[test]
fn a_trap_in_a_callee_has_paid_for_the_caller() {
    check(
        r#"(module
            (func $f (drop (i32.const 1)) unreachable)
            (func (export "run") (call $f) (drop (i32.const 1)) (drop (i32.const 1))))"#,
        End::Trapped(Trap::UnreachableCodeReached),
        4 + 2 + 1,
    );
}

#[test]
fn a_trap_late_in_a_loop_without_memory_has_paid_for_all_turns() {
    check(
        r#"(module (func (export "run") (local i32)
            (loop
              (local.set 0 (i32.add (local.get 0) (i32.const 1)))
              (br_if 0 (i32.lt_u (local.get 0) (i32.const 1000))))
            (if (i32.eq (local.get 0) (i32.const 1000)) (then unreachable))))"#,
        End::Trapped(Trap::UnreachableCodeReached),
        1000 * 8 + 4,
    );
}

#[test]
fn bulk_operators_pay_by_size() {
    check(
        r#"(module (memory 1) (func (export "run")
            (memory.fill (i32.const 0) (i32.const 7) (i32.const 60000))))"#,
        End::Returned(vec![]),
        3 + 16 + 3750,
    );
}

#[test]
fn growing_pays_only_when_it_succeeds() {
    check(
        r#"(module (memory 1 3) (func (export "run") (result i32)
            (i32.add (memory.grow (i32.const 2)) (memory.grow (i32.const 60000)))))"#,
        returned(0),
        2 + 2 * 256 + 1 + 2 * 1024,
    );
    check(
        r#"(module (table 1 30 funcref) (func (export "run") (result i32)
            (table.grow (ref.null func) (i32.const 20))))"#,
        returned(1),
        2 + 256 + 20,
    );
}

#[test]
fn the_start_function_is_paid_for() {
    check(
        r#"(module (global $g (mut i32) (i32.const 0))
            (func $s (global.set $g (i32.const 5)))
            (start $s)
            (func (export "run") (result i32) (global.get $g)))"#,
        returned(5),
        2 + 1,
    );
}

#[test]
fn running_out_ends_the_run_everywhere_alike() {
    let cases = [
        r#"(module (func (export "run") (loop (br 0))))"#,
        r#"(module (func $f (call $f)) (func (export "run") (call $f)))"#,
        r#"(module (memory 1) (func (export "run")
            (loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br 0))))"#,
        r#"(module (memory 1) (func (export "run")
            (loop (block (br_if 0 (i32.const 1)) (br 1)) (br 0))))"#,
        // Ends by itself or by a trap, but has spent more than it may.
        r#"(module (func (export "run") (drop (i32.const 0)) (drop (i32.const 0))
            (drop (i64.div_u (i64.const 1) (i64.const 1)))
            (drop (i64.div_u (i64.const 1) (i64.const 1)))
            (drop (i64.div_u (i64.const 1) (i64.const 1)))))"#,
        r#"(module (func (export "run") (drop (i64.div_u (i64.const 1) (i64.const 1)))
            (drop (i64.div_u (i64.const 1) (i64.const 1)))
            (drop (i64.div_u (i64.const 1) (i64.const 0)))))"#,
    ];
    for text in cases {
        let limits = Limits { fuel: 29, stack: 1 << 20 };
        let seen = run_everywhere(&wat::parse_str(text).unwrap(), limits);
        assert_eq!(seen.end, End::Fuel, "{text}");
    }
}

#[test]
fn the_limit_itself_is_enough() {
    let text = r#"(module (func (export "run") (drop (i32.const 0)) (drop (i32.const 0))))"#;
    let module = wat::parse_str(text).unwrap();
    let limits = |fuel| Limits { fuel, stack: 1 << 20 };
    assert_eq!(run_everywhere(&module, limits(2)).end, End::Returned(vec![]));
    assert_eq!(run_everywhere(&module, limits(1)).end, End::Fuel);
}
