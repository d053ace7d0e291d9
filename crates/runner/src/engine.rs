//! The one configuration of wasmtime, and the guest's counters.
//!
//! Compiling and running must agree on all of it; wasmtime refuses an artefact made otherwise. Its
//! own fuel is off: the normaliser's counters say what a guest used.

use ayni_types::Exhausted;
use ayni_wire::runner::CompileHow;
use wasmtime::{
    AsContextMut, Config, Engine, Global, Instance, OptLevel, Strategy, Val, WasmCoreDump,
};

use crate::check::ProgramKind;
use crate::normalise::{self, FUEL_EXPORT, STACK_EXPORT};

/// Native stack kept for the host's own functions, in bytes.
pub const HOST_STACK_BYTES: usize = 2 << 20;

/// Native stack a guest may use, in bytes, so that the meter always says stop first.
///
/// # Errors
/// When this machine can't address so much.
pub fn native_stack_bytes(metered_bytes: u32) -> wasmtime::Result<usize> {
    Ok(usize::try_from(normalise::native_stack_bytes(metered_bytes))?)
}

/// An engine for one way of compiling, whose guests may use `stack_bytes` metered bytes of stack
/// (which does not matter for compiling).
///
/// # Errors
/// When this machine can't have it.
pub fn engine(how: CompileHow, kind: ProgramKind, stack_bytes: u32) -> wasmtime::Result<Engine> {
    Engine::new(&config(how, kind, stack_bytes)?)
}

/// What [`engine`] is made from.
///
/// # Errors
/// When this machine can't address the stack.
pub fn config(how: CompileHow, kind: ProgramKind, stack_bytes: u32) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    match how {
        CompileHow::Optimised => {
            config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
        }
        CompileHow::Plain => {
            config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::None);
        }
        CompileHow::Baseline => {
            config.strategy(Strategy::Winch);
        }
    }
    let native_stack_bytes = native_stack_bytes(stack_bytes)?;
    config
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .max_wasm_stack(native_stack_bytes)
        .async_stack_size(native_stack_bytes + HOST_STACK_BYTES)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false);
    if kind == ProgramKind::Component {
        // How the counters are found after a trap.
        config.coredump_on_trap(true);
    }
    Ok(config)
}

/// The counters that the normaliser put into a guest.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    fuel: Global,
    stack: Global,
}

impl Meter {
    /// Counters that no module exports, for a guest that nothing was put into.
    #[must_use]
    pub fn apart(fuel: Global, stack: Global) -> Self {
        Self { fuel, stack }
    }

    /// The counters among a core instance's exports.
    pub fn of(instance: &Instance, mut store: impl AsContextMut) -> Option<Self> {
        let fuel = instance.get_global(&mut store, FUEL_EXPORT)?;
        let stack = instance.get_global(&mut store, STACK_EXPORT)?;
        Some(Self { fuel, stack })
    }

    /// The counters of a component that has trapped: found in the core dump that comes with the
    /// error, since no function of it can be called any more.
    pub fn after_trap(error: &wasmtime::Error, mut store: impl AsContextMut) -> Option<Self> {
        let dump = error.downcast_ref::<WasmCoreDump>()?;
        dump.instances().iter().find_map(|instance| Self::of(instance, &mut store))
    }

    /// Fuel left; below zero when exhausted.
    pub fn fuel(self, store: impl AsContextMut) -> i64 {
        self.fuel.get(store).i64().unwrap_or(-1)
    }

    /// Sets the fuel that is left.
    ///
    /// # Errors
    /// When the artefact is not one of ours.
    pub fn set_fuel(self, store: impl AsContextMut, left: u64) -> wasmtime::Result<()> {
        self.fuel.set(store, Val::I64(i64::try_from(left).unwrap_or(i64::MAX)))
    }

    /// Gives the guest its whole stack, as is due before each call from outside.
    ///
    /// # Errors
    /// When the artefact is not one of ours.
    pub fn set_stack(self, store: impl AsContextMut, bytes: u32) -> wasmtime::Result<()> {
        self.stack.set(store, Val::I32(i32::try_from(bytes).unwrap_or(i32::MAX)))
    }

    /// Which counter ran out, whatever else the end looks like.
    pub fn exhausted(self, mut store: impl AsContextMut) -> Option<Exhausted> {
        if self.fuel(&mut store) < 0 {
            return Some(Exhausted::Fuel);
        }
        let stack = self.stack.get(store).i32().unwrap_or(-1);
        (stack < 0).then_some(Exhausted::Stack)
    }
}
