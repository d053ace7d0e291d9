//! What is refused, in which words; and that nothing hostile makes the normaliser panic or hand
//! out a module that does not validate.

use ayni_runner::normalise::{features, normalise};
use proptest::prelude::*;
use wasmparser::Validator;

use crate::generate::{Random, program};

/// A module's text, and how its refusal begins.
#[track_caller]
fn check(text: &str, expected: &str) {
    let module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let error = normalise(&module).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(expected), "{message}");
    assert!(error.hint().is_some(), "{message}");
}

#[test]
fn features_that_the_contract_leaves_out_are_named() {
    let cases = [
        ("(module (func try catch_all end))", "uses legacy exception handling (`try` at offset 0x"),
        ("(module (tag $t) (func (throw $t)))", "uses exception handling (at offset 0x"),
        (
            "(module (func (drop (try_table (result i32) (i32.const 1)))))",
            "uses exception handling (`try_table` at offset 0x",
        ),
        ("(module (memory 1 1 shared))", "uses threads and atomics (at offset 0x"),
        (
            "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
            "uses threads and atomics (`i32_atomic_load` at offset 0x",
        ),
        (
            "(module (func (param v128 v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))))",
            "uses relaxed SIMD (`i8x16_relaxed_swizzle` at offset 0x",
        ),
        ("(module (memory i64 1))", "uses 64-bit memory (at offset"),
        ("(module (memory 1) (memory 1))", "uses several memories (at offset"),
        ("(module (func $f (return_call $f)))", "uses tail calls (`return_call` at offset 0x"),
        (
            "(module (func (param externref)))",
            "uses garbage collection and other reference types than `funcref` (at offset",
        ),
        (
            "(module (type (struct)))",
            "uses garbage collection and other reference types than `funcref` (at offset",
        ),
        (
            "(module (func (param i64 i64 i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)) drop drop))",
            "uses wide arithmetic (`i64_add128` at offset 0x",
        ),
    ];
    for (text, expected) in cases {
        check(text, expected);
    }
}

#[test]
fn limits_are_named_with_both_numbers() {
    let locals = "i32 ".repeat(16_385);
    check(
        &format!("(module (func (local {locals})))"),
        "locals of a function: 16385, wasi1 allows at most 16384",
    );
    let results = "i32 ".repeat(65);
    check(
        &format!("(module (func (result {results}) unreachable))"),
        "results of a function or block: 65, wasi1 allows at most 64",
    );
    check(
        "(module (table 1000001 funcref))",
        "first elements of a table: 1000001, wasi1 allows at most 1000000",
    );
    check(
        &format!("(module {})", "(table 1 funcref)".repeat(17)),
        "tables: 17, wasi1 allows at most 16",
    );
    check(
        &format!("(module (func {} {}))", "block ".repeat(17_000), "end ".repeat(17_000)),
        "nested blocks: 16385, wasi1 allows at most 16384",
    );
    check(
        &format!("(module (func {} unreachable))", "i32.const 1 ".repeat(17_000)),
        "operands on the stack of a function: 16385, wasi1 allows at most 16384",
    );
    check(
        &format!("(module (func {}))", "nop ".repeat(1 << 20)),
        "bytes of a function: 1048578, wasi1 allows at most 1048576",
    );
}

#[test]
fn reserved_names_are_refused() {
    check(
        r#"(module (func (export "ayni:fuel")))"#,
        "uses the name `ayni:fuel`, which is reserved for the meter",
    );
    check(
        r#"(module (import "ayni:meter" "fuel" (global (mut i64))))"#,
        "uses the name `ayni:meter.fuel`",
    );
}

#[test]
fn what_is_no_module_says_so() {
    let message = |bytes: &[u8]| normalise(bytes).unwrap_err().to_string();
    assert!(message(b"").starts_with("not WebAssembly"), "{}", message(b""));
    assert!(message(b"\x7fELF\x02\x01\x01\0").starts_with("not WebAssembly"));
    assert!(message(b"(module)").starts_with("not WebAssembly"));
    let component = wat::parse_str("(component)").unwrap();
    assert!(message(&component).starts_with("not WebAssembly: a component"));
}

#[test]
fn every_truncation_of_a_module_is_refused_and_none_panics() {
    let module = program(7);
    for length in 0..module.len() {
        // A cut between sections can leave a smaller module that is valid.
        if let Ok(normalised) = normalise(&module[..length]) {
            assert_valid(&normalised.module);
        }
    }
}

#[test]
fn every_flipped_byte_is_refused_or_still_valid() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let module = program(seed);
        for _ in 0..500 {
            let mut broken = module.clone();
            let at = usize::try_from(random.below(module.len() as u64)).unwrap();
            broken[at] = random.next().to_le_bytes()[0];
            if let Ok(normalised) = normalise(&broken) {
                assert_valid(&normalised.module);
            }
        }
    }
}

#[test]
fn custom_sections_do_not_matter() {
    let plain = wat::parse_str(r#"(module (func (export "run")))"#).unwrap();
    let named = wat::parse_str(
        r#"(module $name (@custom "x" (after code) "bytes") (func $f (export "run") (local $l i32)))"#,
    )
    .unwrap();
    let plain_again = wat::parse_str(r#"(module (func (export "run") (local i32)))"#).unwrap();
    assert_ne!(plain, named);
    assert_eq!(normalise(&named).unwrap().module, normalise(&plain_again).unwrap().module);
}

#[test]
fn code_and_memory_are_reported() {
    let module = wat::parse_str(r#"(module (memory 3) (func (export "run") nop nop))"#).unwrap();
    let normalised = normalise(&module).unwrap();
    assert_eq!(normalised.memory_bytes_min, 3 << 16);
    assert_eq!(normalised.code_bytes, 4);
}

fn assert_valid(module: &[u8]) {
    Validator::new_with_features(features::CORE).validate_all(module).unwrap();
}

/// What `wasm-smith` may use: the contract and, sometimes, more.
fn smith(bytes: &[u8], more: bool) -> Option<Vec<u8>> {
    let mut source = arbitrary::Unstructured::new(bytes);
    let config = wasm_smith::Config {
        gc_enabled: more,
        exceptions_enabled: more,
        threads_enabled: more,
        tail_call_enabled: more,
        relaxed_simd_enabled: more,
        memory64_enabled: more,
        max_memories: if more { 3 } else { 1 },
        max_tables: 4,
        simd_enabled: true,
        bulk_memory_enabled: true,
        reference_types_enabled: true,
        multi_value_enabled: true,
        ..wasm_smith::Config::default()
    };
    wasm_smith::Module::new(config, &mut source).ok().map(|module| module.to_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn modules_at_random_stay_valid(bytes in prop::collection::vec(any::<u8>(), 200..4_000), more: bool) {
        if let Some(module) = smith(&bytes, more) {
            if let Ok(normalised) = normalise(&module) {
                assert_valid(&normalised.module);
            } else {
                // Only what the contract leaves out may be refused.
                let valid = Validator::new_with_features(features::CORE).validate_all(&module).is_ok();
                prop_assert!(!valid || module.len() > 1_000, "{:?}", normalise(&module).unwrap_err());
            }
        }
    }

    #[test]
    fn bytes_at_random_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend_from_slice(&bytes);
        if let Ok(normalised) = normalise(&module) {
            assert_valid(&normalised.module);
        }
        prop_assert!(normalise(&bytes).is_err());
    }
}
