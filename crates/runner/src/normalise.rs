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
//! - Fuel used is the limit minus the counter, at any end, traps included. A counter below zero
//!   means exhausted fuel, whatever else was reported; else a stack below zero means exhausted
//!   stack (both end in an `unreachable` trap); else the end is what it says.
//! - An imported function finds the counter current and may lower it (charges by byte); it must
//!   refuse to work if that takes it below zero.
//! - Native stack needed: [`native_stack_bytes`].
//!
//! Map: [`cost`] has every number of the contract, [`features`] what it takes of WebAssembly;
//! `module` rewrites sections, `body` functions; `float` and `flow` say which NaNs need fixing.

use wasmparser::{Encoding, Parser, Payload};

mod body;
mod code;
pub mod cost;
mod error;
pub mod features;
mod float;
mod flow;
mod module;

pub use error::NormaliseError;

/// Exports of a program may not begin with this.
pub const RESERVED_PREFIX: &str = "ayni:";
/// The fuel left: a mutable `i64` global.
pub const FUEL_EXPORT: &str = "ayni:fuel";
/// The stack left: a mutable `i32` global.
pub const STACK_EXPORT: &str = "ayni:stack";
/// The program's start function, if it has one: to be called once, before anything else.
pub const START_EXPORT: &str = "ayni:start";
/// Module under which core modules of a component import the two globals.
pub const METER_MODULE: &str = "ayni:meter";

/// A program that is ready to be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normalised {
    /// The rewritten program.
    pub module: Vec<u8>,
    /// Bytes of code in the original: what compilation is billed by.
    pub code_bytes: u64,
    /// Linear memory that it starts with, in bytes.
    pub memory_bytes_min: u64,
    /// What the original imports: module and name, in order.
    pub imports: Vec<(String, String)>,
}

/// Check a core module against the contract and put the meter in.
///
/// # Errors
/// Why the contract does not have such a program; the same on every machine.
pub fn normalise(module: &[u8]) -> Result<Normalised, NormaliseError> {
    match Parser::new(0).parse_all(module).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => {}
        Some(Ok(Payload::Version { .. })) => {
            return Err(NormaliseError::NotWasm("a component, where a module is expected".into()));
        }
        Some(Err(error)) => return Err(NormaliseError::NotWasm(error.message().into())),
        _ => return Err(NormaliseError::NotWasm("no bytes".into())),
    }
    let rewritten = module::rewrite(module, 0, module::Meter::Own)?;
    Ok(Normalised {
        module: rewritten.module,
        code_bytes: rewritten.code_bytes,
        memory_bytes_min: rewritten.memory_bytes_min,
        imports: rewritten.imports,
    })
}

/// Native stack that a limit in metered bytes can need at most, on every back end.
#[must_use]
pub fn native_stack_bytes(limit_bytes: u32) -> u64 {
    u64::from(limit_bytes) * cost::NATIVE_STACK_PER_METERED_BYTE + cost::NATIVE_STACK_BYTES_BASE
}
