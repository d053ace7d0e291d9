//! The normaliser: from a program as its author shipped it to the program that runs.
//!
//! It checks a module against the `wasi1` contract and rewrites it so that fuel, stack depth and
//! the bits of NaNs no longer depend on the compiler or the machine. A pure function: no files,
//! no clock, no compiler. What is deliberately not here: what imported functions do, and the
//! limits of a task, which the host sets on the result:
//!
//! - Before anything of the module runs, set the global [`FUEL_EXPORT`] (`i64`) to the fuel limit
//!   and [`STACK_EXPORT`] (`i32`) to the stack limit in bytes. Then call [`START_EXPORT`] if it
//!   exists, then the entry. Set the stack again before each call from outside.
//!   A fuel limit above `i64::MAX` is set as `i64::MAX`.
//! - Fuel used is the limit minus the counter, at any end, traps included. A counter below zero
//!   means exhausted fuel, whatever else was reported; else a stack below zero means exhausted
//!   stack (both end in an `unreachable` trap); else the end is what it says.
//! - An imported function finds the counter current and may lower it (charges by byte); it must
//!   refuse to work if that takes it below zero.
//! - Native stack needed: [`native_stack_bytes`].
//!
//! For components see [`normalise_component`].
//!
//! Map: [`cost`] has every number of the contract, [`features`] what it takes of WebAssembly;
//! `module` rewrites sections, `body` functions; `float` and `flow` say which NaNs need fixing.

use wasmparser::{Encoding, Parser, Payload};

mod body;
mod code;
mod component;
pub mod cost;
mod error;
pub mod features;
mod float;
mod flow;
mod module;

pub use error::NormaliseError;

/// Exports of a module may not begin with this.
pub const RESERVED_PREFIX: &str = "ayni:";
/// The fuel left: a mutable `i64` global.
pub const FUEL_EXPORT: &str = "ayni:fuel";
/// The stack left: a mutable `i32` global.
pub const STACK_EXPORT: &str = "ayni:stack";
/// The program's start function, if it has one: to be called once, before anything else.
pub const START_EXPORT: &str = "ayni:start";
/// Module under which core modules of a component import the two globals.
pub const METER_MODULE: &str = "ayni:meter";

/// Import of a normalised component: `func() -> s64`, the fuel limit.
pub const COMPONENT_FUEL_IMPORT: &str = "ayni-fuel";
/// Import of a normalised component: `func() -> s32`, the stack limit in bytes.
pub const COMPONENT_STACK_IMPORT: &str = "ayni-stack";
/// Export of a normalised component: `func() -> s64`, the fuel left after an end without a trap.
pub const COMPONENT_LEFT_EXPORT: &str = "ayni-left";

/// What a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A core module.
    Module,
    /// A component.
    Component,
}

/// A program that is ready to be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The rewritten program.
    pub module: Vec<u8>,
    /// Bytes of code in the original: what compilation is billed by.
    pub code_bytes: u64,
    /// Linear memory that it starts with, in bytes.
    pub memory_bytes_min: u64,
    /// What the original imports: module and name, in order (of a component: name and nothing).
    pub imports: Vec<(String, String)>,
}

/// What the first bytes say that a program is.
///
/// # Errors
/// If it is neither a module nor a component.
pub fn kind(program: &[u8]) -> Result<Kind, NormaliseError> {
    match Parser::new(0).parse_all(program).next() {
        Some(Ok(Payload::Version { encoding, .. })) => Ok(match encoding {
            Encoding::Module => Kind::Module,
            Encoding::Component => Kind::Component,
        }),
        Some(Err(error)) => Err(NormaliseError::NotWasm(error.message().into())),
        _ => Err(NormaliseError::NotWasm("no bytes".into())),
    }
}

/// Check a core module against the contract and put the meter in.
///
/// # Errors
/// Why the contract does not have such a program; the same on every machine.
pub fn normalise(module: &[u8]) -> Result<Normalised, NormaliseError> {
    match kind(module)? {
        Kind::Module => module::rewrite(module, 0, module::Meter::Own).map(Normalised::from),
        Kind::Component => {
            Err(NormaliseError::NotWasm("a component, where a module is expected".into()))
        }
    }
}

/// The same for a component. All its core modules share one counter.
///
/// The host provides the imports [`COMPONENT_FUEL_IMPORT`] and [`COMPONENT_STACK_IMPORT`], which
/// are called once, before anything of the component runs. Fuel left is what
/// [`COMPONENT_LEFT_EXPORT`] returns after an end without a trap. After a trap it is the global
/// [`FUEL_EXPORT`] (beside [`STACK_EXPORT`]) of the one instance of the store that exports it,
/// found through the runtime's core dump (`coredump_on_trap`). Host functions can't reach the
/// counter: what they charge the host counts, and the sum is what was used.
///
/// # Errors
/// Why the contract does not have such a program; the same on every machine.
pub fn normalise_component(component: &[u8]) -> Result<Normalised, NormaliseError> {
    match kind(component)? {
        Kind::Component => component::rewrite_component(component).map(Normalised::from),
        Kind::Module => {
            Err(NormaliseError::NotWasm("a module, where a component is expected".into()))
        }
    }
}

impl From<module::Rewritten> for Normalised {
    fn from(rewritten: module::Rewritten) -> Self {
        Self {
            module: rewritten.module,
            code_bytes: rewritten.code_bytes,
            memory_bytes_min: rewritten.memory_bytes_min,
            imports: rewritten.imports,
        }
    }
}

/// Native stack that a limit in metered bytes can need at most, on every back end.
#[must_use]
pub fn native_stack_bytes(limit_bytes: u32) -> u64 {
    u64::from(limit_bytes) * cost::NATIVE_STACK_PER_METERED_BYTE + cost::NATIVE_STACK_BYTES_BASE
}
