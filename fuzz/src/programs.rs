//! WebAssembly as strangers send it, and as a generator makes it.

use arbitrary::Unstructured;
use wasmparser::Validator;

use crate::check::{ProgramKind, check_and_normalise};
use crate::normalise::{Normalised, features, normalise, normalise_component};

/// Any bytes: judged without a panic; what is accepted comes out valid and the same each time, and
/// is not accepted again, as nobody may bring a meter of their own.
pub fn program(data: &[u8]) {
    let (report, ready) = check_and_normalise(data);
    assert_eq!(report.problems.is_empty(), ready.is_some());
    assert!(report.imports.len() <= 200 && report.problems.len() <= 50);
    let is_module = ProgramKind::of(data) != Some(ProgramKind::Component);
    let done = if is_module { normalise(data) } else { normalise_component(data) };
    let Ok(done) = done else { return assert!(ready.is_none()) };
    // A program may be fit for the contract and still no command.
    assert!(ready.is_none_or(|ready| ready == done), "normalised twice, and not the same");
    holds(&done, data, is_module);
}

/// A valid module from a generator, with or without what the contract leaves out.
pub fn smith(data: &[u8]) {
    let mut source = Unstructured::new(data);
    let more = source.arbitrary().unwrap_or(false);
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
        // Small modules: what matters is how many, not how large.
        max_types: 8,
        max_imports: 6,
        max_funcs: 6,
        max_globals: 6,
        max_exports: 6,
        max_element_segments: 4,
        max_data_segments: 4,
        max_instructions: 60,
        ..wasm_smith::Config::default()
    };
    let Ok(module) = wasm_smith::Module::new(config, &mut source) else { return };
    program(&module.to_bytes());
}

fn holds(done: &Normalised, from: &[u8], is_module: bool) {
    let set = if is_module { features::CORE } else { features::COMPONENT };
    if let Err(error) = Validator::new_with_features(set).validate_all(&done.module) {
        panic!("the normalised program is not valid: {error}");
    }
    assert!(done.code_bytes <= from.len() as u64);
    assert!(done.memory_bytes_min <= 4 << 30);
    if is_module {
        assert!(normalise(&done.module).is_err(), "a meter of one's own was accepted");
    }
}
