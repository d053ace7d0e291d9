//! One outcome, fuel included, whatever compiled the program.
//!
//! The programs are those below and every `.wasm` in a folder: the committed kernels, or the folder
//! that `AYNI_CORPUS` names. They run without arguments or with the words in a file `NAME.args`
//! beside them.

use ayni_types::{End, Exhausted, Fuel, TrapCode};

use crate::guests::run_bytes;

/// Computes for a while, writes its memory's first 4,096 bytes to standard output.
fn printing(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func $print
    (i32.store (i32.const 65528) (i32.const 0)) (i32.store (i32.const 65532) (i32.const 4096))
    (drop (call $w (i32.const 1) (i32.const 65528) (i32.const 1) (i32.const 65520))))
  {body})"#
    ))
    .expect("valid text")
}

/// Fills a table of results of one float operator over awkward operands, NaNs with payloads among
/// them.
fn float_table(ty: &str, bytes: u32, operator: &str, unary: bool) -> Vec<u8> {
    let operands: &[u64] = if ty == "f32" {
        &[
            0,
            0x8000_0000,
            0x3f80_0000,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0xffc0_1234,
            0x7f80_0001,
            0xffbf_ffff,
            0x0000_0001,
            0x7f7f_ffff,
            0x4b80_0001,
        ]
    } else {
        &[
            0,
            1 << 63,
            0x3ff0 << 48,
            0x7ff0 << 48,
            0xfff0 << 48,
            0x7ff8 << 48,
            0xfff8_0000_dead_beef,
            0x7ff0_0000_0000_0001,
            0xfff7_ffff_ffff_ffff,
            1,
            0x7fef_ffff_ffff_ffff,
            0x4340_0000_0000_0001,
        ]
    };
    let data: String = operands
        .iter()
        .flat_map(|bits| bits.to_le_bytes().into_iter().take(bytes as usize))
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let count = operands.len();
    let load = |index: &str| {
        format!(
            "({ty}.load (i32.add (i32.const 32768) (i32.mul (local.get ${index}) (i32.const {bytes}))))"
        )
    };
    let value = if unary { load("i") } else { format!("{} {}", load("i"), load("j")) };
    printing(&format!(
        r#"(data (i32.const 32768) "{data}")
  (func (export "_start") (local $i i32) (local $j i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        ({ty}.store (i32.mul (i32.const {bytes})
            (i32.add (i32.mul (local.get $i) (i32.const {count})) (local.get $j)))
          ({operator} {value}))
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1)))
          (i32.const {count}))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
        (i32.const {count}))))
    (call $print))"#
    ))
}

#[test]
fn float_operators_give_the_same_bits() {
    for (ty, bytes) in [("f32", 4), ("f64", 8)] {
        for operator in ["add", "sub", "mul", "div", "min", "max", "copysign"] {
            let program = float_table(ty, bytes, &format!("{ty}.{operator}"), false);
            let ran = run_bytes(&program, |_, _| {}).unwrap();
            assert_eq!((ran.end(), ran.stdout.len()), (End::Exit(0), 4096), "{ty}.{operator}");
        }
        for operator in ["sqrt", "ceil", "floor", "trunc", "nearest", "neg", "abs"] {
            let program = float_table(ty, bytes, &format!("{ty}.{operator}"), true);
            let ran = run_bytes(&program, |_, _| {}).unwrap();
            assert_eq!(ran.end(), End::Exit(0), "{ty}.{operator}");
        }
    }
}

#[test]
fn memory_and_tables_and_bulk_operators_agree() {
    let cases: [(&str, End); 6] = [
        (
            "(func (export \"_start\")
               (memory.fill (i32.const 0) (i32.const 7) (i32.const 5000))
               (memory.copy (i32.const 100) (i32.const 0) (i32.const 3000))
               (drop (memory.grow (i32.const 3))) (call $print))",
            End::Exit(0),
        ),
        (
            "(func (export \"_start\")
               (memory.fill (i32.const 131000) (i32.const 7) (i32.const 5000)))",
            End::Trap(TrapCode::MemoryOutOfBounds),
        ),
        (
            "(table $t 4 20 funcref) (elem (i32.const 0) $a $b) (func $a) (func $b)
             (func (export \"_start\")
               (i32.store (i32.const 0) (table.grow $t (ref.func $a) (i32.const 10)))
               (i32.store (i32.const 4) (table.grow $t (ref.func $a) (i32.const 10)))
               (table.fill $t (i32.const 2) (ref.func $b) (i32.const 3))
               (table.copy (i32.const 6) (i32.const 0) (i32.const 4))
               (call_indirect (i32.const 9)) (call $print))",
            End::Exit(0),
        ),
        (
            "(table $t 4 funcref)
             (func (export \"_start\") (table.fill $t (i32.const 2) (ref.null func) (i32.const 3)))",
            End::Trap(TrapCode::TableOutOfBounds),
        ),
        (
            "(global $g (mut i64) (i64.const 1))
             (func $fib (param i32) (result i64)
               (if (result i64) (i32.lt_u (local.get 0) (i32.const 2))
                 (then (i64.const 1))
                 (else (i64.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                   (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
             (func (export \"_start\") (i64.store (i32.const 0) (call $fib (i32.const 20)))
               (call $print))",
            End::Exit(0),
        ),
        (
            "(func $f (param f64) (result f64) (local f64 f64 i32)
               (local.set 1 (f64.mul (local.get 0) (f64.const 1.5)))
               (f64.add (local.get 1) (call $f (f64.sqrt (local.get 1)))))
             (func (export \"_start\") (drop (call $f (f64.const 3))))",
            End::Exhausted(Exhausted::Stack),
        ),
    ];
    for (body, end) in cases {
        let ran = run_bytes(&printing(body), |task, _| {
            task.limits.fuel = Fuel(20_000_000_000);
        });
        assert_eq!(ran.unwrap().end(), end, "{body}");
    }
}

#[test]
fn programs_of_a_folder_agree() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/guests");
    let folder = std::env::var_os("AYNI_CORPUS").unwrap_or_else(|| committed.into());
    let mut programs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    programs.sort();
    assert!(!programs.is_empty(), "no programs to compare");
    for path in programs {
        let args = std::fs::read_to_string(path.with_extension("args")).unwrap_or_default();
        let ran = run_bytes(&std::fs::read(&path).unwrap(), |task, _| {
            task.args.extend(args.split_whitespace().map(str::to_owned));
            task.limits.fuel = Fuel(1_000_000_000_000);
        });
        let ran = ran.unwrap();
        println!(
            "{}: {}, fuel {}, {}",
            path.display(),
            ran.end(),
            ran.outcome.fuel,
            ayni_wire::outcome_digest(&ran.outcome).short()
        );
    }
}
