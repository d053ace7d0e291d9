//! The one configuration of wasmtime, and how fuel is counted.
//!
//! Compiling and running must agree on all of it; wasmtime refuses an artefact made otherwise.

use ayni_wire::runner::CompileHow;
use wasmtime::{AsContextMut, Config, Engine, Global, OptLevel, Strategy, Val};

/// Native stack a guest may use, in bytes: enough for the largest metered limit on every back end,
/// so that the meter always says stop first.
pub const NATIVE_STACK_BYTES: usize = 512 << 20;
/// Native stack kept for the host's own functions, in bytes.
pub const HOST_STACK_BYTES: usize = 2 << 20;

/// An engine for one way of compiling.
///
/// # Errors
/// When this machine can't have it.
pub fn engine(how: CompileHow) -> wasmtime::Result<Engine> {
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
    config
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .max_wasm_stack(NATIVE_STACK_BYTES)
        .async_stack_size(NATIVE_STACK_BYTES + HOST_STACK_BYTES)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false);
    Meter::configure(&mut config);
    Engine::new(&config)
}

/// Where a guest's fuel is counted.
#[derive(Debug, Clone, Copy)]
pub enum Meter {
    /// In wasmtime.
    Engine,
    /// In a global that the normaliser put into the module.
    Global(Global),
}

impl Meter {
    fn configure(config: &mut Config) {
        config.consume_fuel(true).cranelift_nan_canonicalization(true);
    }

    /// Fuel left.
    ///
    /// # Errors
    /// Never, unless the artefact is not ours.
    pub fn left(self, mut store: impl AsContextMut) -> wasmtime::Result<u64> {
        match self {
            Self::Engine => store.as_context_mut().get_fuel(),
            Self::Global(global) => match global.get(store) {
                Val::I64(left) => Ok(u64::try_from(left).unwrap_or(0)),
                _ => wasmtime::bail!("the fuel counter has another type"),
            },
        }
    }

    /// Sets the fuel that is left.
    ///
    /// # Errors
    /// Never, unless the artefact is not ours.
    pub fn set(self, mut store: impl AsContextMut, left: u64) -> wasmtime::Result<()> {
        match self {
            Self::Engine => store.as_context_mut().set_fuel(left),
            Self::Global(global) => {
                global.set(store, Val::I64(i64::try_from(left).unwrap_or(i64::MAX)))
            }
        }
    }
}
