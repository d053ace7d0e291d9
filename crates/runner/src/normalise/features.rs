//! The parts of WebAssembly that `wasi1` has, and the names of those that it leaves out.
//!
//! The validator refuses what is not in the set but says so in its own words; here they become
//! the name under which the program's author knows the feature, and how to build without it.

use wasmparser::{BinaryReaderError, Operator, WasmFeatures};

use super::error::NormaliseError;

/// What a core module may use. `externref` is not in it: nothing hands one out.
pub const CORE: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::EXTENDED_CONST);

/// What a component may use; its core modules may use [`CORE`].
pub const COMPONENT: WasmFeatures = CORE.union(WasmFeatures::COMPONENT_MODEL);

/// Words of the validator, the feature they speak of, and how to do without. First match wins.
const NAMES: &[(&str, &str, &str)] = &[
    (
        "legacy exceptions",
        "legacy exception handling",
        "build without exceptions: -fno-exceptions, or for Rust `panic = \"abort\"`",
    ),
    (
        "exception",
        "exception handling",
        "build without exceptions: -fno-exceptions, or for Rust `panic = \"abort\"`",
    ),
    ("shared-everything-threads", "shared-everything threads", "build without threads"),
    (
        "threads",
        "threads and atomics",
        "build for a target without threads (wasm32-wasip1, not wasm32-wasip1-threads; no -pthread)",
    ),
    (
        "relaxed simd",
        "relaxed SIMD",
        "build with -mno-relaxed-simd, or for Rust -C target-feature=-relaxed-simd",
    ),
    ("memory64", "64-bit memory", "build for wasm32 instead of wasm64"),
    ("64-bit", "64-bit memory", "build for wasm32 instead of wasm64"),
    ("custom page sizes", "custom page sizes", "build with the usual 64 KiB pages"),
    ("multi-memory", "several memories", "build with a single memory"),
    ("multiple memories", "several memories", "build with a single memory"),
    ("tail call", "tail calls", "build with -mno-tail-call"),
    ("stack switching", "stack switching", "build without stack switching"),
    ("continuation", "stack switching", "build without stack switching"),
    ("wide arithmetic", "wide arithmetic", "build with -mno-wide-arithmetic"),
    ("memory control", "memory control", "build without memory control"),
    ("function references", "typed function references", "build without typed function references"),
    ("function-references", "typed function references", "build without typed function references"),
    ("custom descriptors", "custom descriptors", "build without garbage-collected types"),
    (
        "gc",
        "garbage collection and other reference types than `funcref`",
        "build for linear memory, without reference types",
    ),
    ("component model async", "component model async", "build for WASI 0.2, not 0.3"),
    (
        "component model",
        "a part of the component model that is still a proposal",
        "build for WASI 0.2",
    ),
];

/// Words that say that the validator speaks of a feature and not of a mistake.
const MARKS: &[&str] = &[
    "not enabled",
    "must be enabled",
    "to be enabled",
    "requires the",
    "require the",
    "required for",
    "is disabled",
    "are disabled",
    "are disallowed",
    "not supported without",
    "multiple memories",
];

/// What the validator refused, in the contract's words.
pub(super) fn refusal(
    error: &BinaryReaderError,
    operator: Option<&Operator<'_>>,
) -> NormaliseError {
    let message = error.message();
    let lower = message.to_ascii_lowercase();
    if MARKS.iter().any(|mark| lower.contains(mark)) {
        for (words, feature, hint) in NAMES {
            if lower.contains(words) {
                return NormaliseError::Feature {
                    feature,
                    operator: operator.map(operator_name),
                    offset: error.offset(),
                    hint,
                };
            }
        }
    }
    NormaliseError::Malformed { offset: error.offset(), message: message.to_owned() }
}

/// `MemoryAtomicNotify { .. }` as `memory_atomic_notify`: near enough to the text format to be
/// found by the author.
fn operator_name(operator: &Operator<'_>) -> String {
    let debug = format!("{operator:?}");
    let mut name = String::new();
    for letter in debug.chars().take_while(|letter| letter.is_ascii_alphanumeric()) {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
