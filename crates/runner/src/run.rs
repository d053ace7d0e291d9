//! One task, from a fresh store to its end.
//!
//! The guest runs on a thread of its own with a stack so large that the metered limit is always
//! reached first. Deliberately not here: how the outcome travels (in `output`).

mod limiter;
mod load;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ayni_types::{End, Exhausted, Fault, FaultKind, Fuel, TaskSpec, TrapCode};
use ayni_wire::runner::{CompileHow, RunOrder};
use wasmtime::{Engine, Linker, Memory, Store, Trap};

use crate::cpu::thread_cpu_ns;
use crate::engine::{HOST_STACK_BYTES, Meter, NATIVE_STACK_BYTES};
use crate::host::Host;
use crate::preview1::{self, Fds};
use crate::socket::Socket;
use crate::stop::{Stop, fault};

pub use limiter::Limiter;
pub use load::{Loaded, Program};

/// Everything a store holds beside the guest.
#[derive(Debug)]
pub struct State {
    /// The world.
    pub host: Host,
    /// Preview 1 descriptors.
    pub fds: Fds,
    /// The guest's memory, once found.
    pub memory: Option<Memory>,
    /// Where fuel is counted.
    pub meter: Meter,
    /// Memory and table limits.
    pub limiter: Limiter,
}

/// A task that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub end: End,
    /// Fuel used.
    pub fuel: Fuel,
    /// What it left behind; `None` when exhausted.
    pub host: Option<Host>,
    /// CPU milliseconds it took.
    pub cpu_ms: u64,
}

/// Runs the task that `order` describes.
///
/// # Errors
/// When the machine fails; a guest that fails is an outcome.
pub fn run(
    order: &RunOrder,
    artefact: OwnedFd,
    loaded: &mut Loaded,
    socket: &Arc<Socket>,
) -> Result<Finished, Fault> {
    let task = &order.task;
    ayni_wire::check_task(task)
        .map_err(|e| fault(FaultKind::InvalidProgram, format!("the task is not valid: {e}")))?;
    let program = loaded.program(task.program, order.how, artefact)?;
    let thread = std::thread::Builder::new()
        .name("guest".to_owned())
        .stack_size(NATIVE_STACK_BYTES + HOST_STACK_BYTES);
    std::thread::scope(|scope| {
        let guest = thread
            .spawn_scoped(scope, || run_here(task, program, Arc::clone(socket)))
            .map_err(|e| fault(FaultKind::OutOfMemory, format!("no thread for the guest: {e}")))?;
        guest
            .join()
            .unwrap_or_else(|_| Err(fault(FaultKind::Internal, "the runner's own code panicked")))
    })
}

fn run_here(task: &TaskSpec, program: &Program, socket: Arc<Socket>) -> Result<Finished, Fault> {
    let began = thread_cpu_ns();
    let mut host = match Host::new(task, Box::new(socket)) {
        Ok(host) => host,
        Err(Stop::Fault(fault)) => return Err(fault),
        Err(other) => return Err(fault(FaultKind::Internal, other.to_string())),
    };
    let fds = Fds::new(&mut host.vfs);
    let state = State {
        host,
        fds,
        memory: None,
        meter: Meter::Engine,
        limiter: Limiter::new(task.limits.memory_bytes),
    };
    let internal = |e: wasmtime::Error| fault(FaultKind::Internal, format!("{e:#}"));
    let mut store = Store::new(program.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.data().meter.set(&mut store, task.limits.fuel.0).map_err(internal)?;
    let result = match program {
        Program::Module(_, module) => run_module(&mut store, module),
    };
    let meter = store.data().meter;
    let left = meter.left(&mut store).map_err(internal)?;
    let state = store.into_data();
    let end = match result {
        Ok(()) => End::Exit(0),
        Err(error) => end_of(&error, &state.limiter)?,
    };
    let cpu_ms = thread_cpu_ns().saturating_sub(began) / 1_000_000;
    if matches!(end, End::Exhausted(_)) {
        return Ok(Finished { end, fuel: task.limits.fuel, host: None, cpu_ms });
    }
    let fuel = Fuel(task.limits.fuel.0.saturating_sub(left));
    Ok(Finished { end, fuel, host: Some(state.host), cpu_ms })
}

fn run_module(store: &mut Store<State>, module: &wasmtime::Module) -> wasmtime::Result<()> {
    let mut linker = Linker::new(store.engine());
    preview1::link(&mut linker)?;
    let instance = linker.instantiate(&mut *store, module)?;
    store.data_mut().limiter.started();
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    start.call(store, ())
}

/// What an error of wasmtime means for the task.
fn end_of(error: &wasmtime::Error, limiter: &Limiter) -> Result<End, Fault> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Exit(code) => Ok(End::Exit(*code)),
            Stop::Exhausted(what) => Ok(End::Exhausted(*what)),
            Stop::Trap(code) => Ok(End::Trap(*code)),
            Stop::Fault(fault) => Err(fault.clone()),
        };
    }
    if limiter.machine_refused() {
        return Err(fault(FaultKind::OutOfMemory, format!("{error:#}")));
    }
    if limiter.first_memory_refused() {
        return Ok(End::Exhausted(Exhausted::Memory));
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => end_of_trap(*trap),
        None => Err(fault(FaultKind::Internal, format!("{error:#}"))),
    }
}

fn end_of_trap(trap: Trap) -> Result<End, Fault> {
    let code = match trap {
        Trap::OutOfFuel => return Ok(End::Exhausted(Exhausted::Fuel)),
        Trap::StackOverflow => return Ok(End::Exhausted(Exhausted::Stack)),
        Trap::UnreachableCodeReached => TrapCode::Unreachable,
        Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
        Trap::BadSignature => TrapCode::BadSignature,
        Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
        Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
        Trap::HeapMisaligned => TrapCode::HeapMisaligned,
        Trap::CannotEnterComponent
        | Trap::CannotLeaveComponent
        | Trap::InvalidChar
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::InvalidDiscriminant
        | Trap::UnalignedPointer => TrapCode::CanonicalAbi,
        other => return Err(fault(FaultKind::Internal, format!("an unforeseen trap: {other}"))),
    };
    Ok(End::Trap(code))
}

/// One engine for each way of compiling, made when first needed.
#[derive(Debug, Default)]
pub struct Engines([Option<Engine>; 3]);

impl Engines {
    /// The engine that runs what was compiled so.
    ///
    /// # Errors
    /// When this machine can't have it.
    pub fn engine(&mut self, how: CompileHow) -> Result<Engine, Fault> {
        let slot = &mut self.0[how as usize];
        if slot.is_none() {
            let made = crate::engine::engine(how)
                .map_err(|e| fault(FaultKind::Internal, format!("no engine for {how:?}: {e:#}")))?;
            *slot = Some(made);
        }
        slot.clone().ok_or_else(|| fault(FaultKind::Internal, "no engine"))
    }
}
