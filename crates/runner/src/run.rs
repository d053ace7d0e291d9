//! One task, from a fresh store to its end.
//!
//! The guest runs on a thread with a stack so large that the metered limit is always reached first:
//! the runner's only one, unless the task asks for more than the usual limit. Deliberately not here: how the outcome travels (in `output`).

mod function;
mod limiter;
mod load;
mod witness;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ayni_types::{Digest, End, Exhausted, Fault, FaultKind, Fuel, Limits, TaskSpec, TrapCode};
use ayni_wire::runner::RunOrder;
use wasmtime::component::{self, Component, ResourceTable};
use wasmtime::{InstancePre, Memory, Store, Trap};

use crate::contract;
use crate::cpu::thread_cpu_ns;
use crate::engine::{HOST_STACK_BYTES, Meter, native_stack_bytes};
use crate::host::Host;
use crate::normalise::{
    COMPONENT_FUEL_IMPORT, COMPONENT_LEFT_EXPORT, COMPONENT_STACK_IMPORT, START_EXPORT,
};
use crate::preview1::Fds;
use crate::preview2;
use crate::socket::Socket;
use crate::stop::{Stop, fault};
use crate::world::World;

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
    /// Where fuel and stack are counted, once the guest is there.
    pub meter: Option<Meter>,
    /// Preview 2 handles.
    pub table: ResourceTable,
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
    /// The state in which it ended, if that was asked for.
    pub state: Option<Digest>,
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
    check(order)?;
    let task = &order.task;
    let program = loaded.program(task.program, order.how, task.limits.stack_bytes, artefact)?;
    on_stack(order, program, socket)
}

/// Runs one more task of the program that was run last: one without inputs.
///
/// # Errors
/// As [`run`]; also when it is another program, or has inputs.
pub fn next(order: &RunOrder, loaded: &Loaded, socket: &Arc<Socket>) -> Result<Finished, Fault> {
    check(order)?;
    let task = &order.task;
    if task.stdin.is_some() || !task.mounts.is_empty() {
        return Err(fault(FaultKind::Internal, "a task with inputs comes with descriptors"));
    }
    let program = loaded.last(task.program, order.how, task.limits.stack_bytes)?;
    on_stack(order, program, socket)
}

fn check(order: &RunOrder) -> Result<(), Fault> {
    ayni_wire::check_task(&order.task)
        .map_err(|e| fault(FaultKind::InvalidProgram, format!("the task is not valid: {e}")))
}

/// Runs a guest where the metered limit of its stack is reached first: on this thread if
/// [`with_large_stack`] made it large enough, else on one of its own.
fn on_stack(order: &RunOrder, program: &Program, socket: &Arc<Socket>) -> Result<Finished, Fault> {
    let task = &order.task;
    let native = native_stack_bytes(task.limits.stack_bytes)
        .map_err(|e| fault(FaultKind::OutOfMemory, format!("{e:#}")))?;
    let panicked = |_| Err(fault(FaultKind::Internal, "the runner's own code panicked"));
    let here = || run_here(task, program, Arc::clone(socket), order.witness);
    if native <= ROOM.get() {
        return std::panic::catch_unwind(std::panic::AssertUnwindSafe(here))
            .unwrap_or_else(panicked);
    }
    let thread =
        std::thread::Builder::new().name("guest".to_owned()).stack_size(native + HOST_STACK_BYTES);
    std::thread::scope(|scope| {
        let guest = thread
            .spawn_scoped(scope, here)
            .map_err(|e| fault(FaultKind::OutOfMemory, format!("no thread for the guest: {e}")))?;
        guest.join().unwrap_or_else(panicked)
    })
}

thread_local! {
    /// Native stack that guests may use on this thread, in bytes.
    static ROOM: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Calls `work` on a thread with so much stack that guests with the usual limit run on it, without a
/// thread each.
///
/// # Errors
/// When this machine can't have such a thread.
pub fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    let room = native_stack_bytes(Limits::default().stack_bytes).map_err(std::io::Error::other)?;
    let thread = std::thread::Builder::new().name("serve".to_owned());
    std::thread::scope(|scope| {
        let all = move || {
            ROOM.set(room);
            work()
        };
        let serving = thread.stack_size(room + HOST_STACK_BYTES).spawn_scoped(scope, all)?;
        serving.join().map_err(|_| std::io::Error::other("the runner's own code panicked"))
    })
}

fn run_here(
    task: &TaskSpec,
    program: &Program,
    socket: Arc<Socket>,
    witness: bool,
) -> Result<Finished, Fault> {
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
        table: handles(),
        memory: None,
        meter: None,
        limiter: Limiter::new(task.limits.memory_bytes),
    };
    let mut store = Store::new(program.engine(), state);
    store.limiter(|state| &mut state.limiter);
    let ran = match program {
        Program::Module(_, linked) => run_module(&mut store, linked, task),
        Program::Component(_, component) => run_component(&mut store, component, task),
    };
    let limit = task.limits.fuel.0;
    let seen = witness.then(|| witness::digest(&store, ran.result.as_ref().err()));
    let state = store.into_data();
    let end = match (ran.result, ran.exhausted) {
        (Err(error), _) if is_fault(&error) => end_of(&error, &state.limiter)?,
        (_, Some(what)) => End::Exhausted(what),
        _ if ran.used > limit => End::Exhausted(Exhausted::Fuel),
        (Ok(()), None) => End::Exit(0),
        (Err(error), None) => end_of(&error, &state.limiter)?,
    };
    let cpu_ms = thread_cpu_ns().saturating_sub(began) / 1_000_000;
    if matches!(end, End::Exhausted(_)) {
        return Ok(Finished { end, fuel: task.limits.fuel, host: None, state: seen, cpu_ms });
    }
    let fuel = Fuel(ran.used);
    Ok(Finished { end, fuel, host: Some(state.host), state: seen, cpu_ms })
}

/// How a guest's functions ended, and what its counters say.
struct Ran {
    result: wasmtime::Result<()>,
    exhausted: Option<Exhausted>,
    used: u64,
}

fn run_module(store: &mut Store<State>, linked: &InstancePre<State>, task: &TaskSpec) -> Ran {
    let result = call_module(store, linked, task);
    let limit = task.limits.fuel.0;
    match store.data().meter {
        Some(meter) => {
            let left = u64::try_from(meter.fuel(&mut *store)).unwrap_or(0);
            let exhausted = meter.exhausted(&mut *store);
            Ran { result, exhausted, used: limit.saturating_sub(left) }
        }
        // It ended before it began and has used nothing.
        None => Ran { result, exhausted: None, used: 0 },
    }
}

fn call_module(
    store: &mut Store<State>,
    linked: &InstancePre<State>,
    task: &TaskSpec,
) -> wasmtime::Result<()> {
    let instance = linked.instantiate(&mut *store)?;
    let meter = Meter::of(&instance, &mut *store)
        .ok_or_else(|| wasmtime::format_err!("the artefact has no counters"))?;
    store.data_mut().meter = Some(meter);
    store.data_mut().memory = instance.get_memory(&mut *store, "memory");
    store.data_mut().limiter.started();
    meter.set_fuel(&mut *store, task.limits.fuel.0)?;
    for name in [START_EXPORT, "_start"] {
        if let Some(entry) = instance.get_func(&mut *store, name) {
            meter.set_stack(&mut *store, task.limits.stack_bytes)?;
            entry.typed::<(), ()>(&mut *store)?.call(&mut *store, ())?;
        }
    }
    Ok(())
}

fn run_component(store: &mut Store<State>, component: &Component, task: &TaskSpec) -> Ran {
    let limit = task.limits.fuel.0;
    store.data_mut().host.fuel = limit;
    let (result, exhausted, left) = match call_component(store, component, task) {
        // Asking what is left costs a unit too: below zero it was not there.
        Ok(left) if left < 0 => (Ok(()), Some(Exhausted::Fuel), 0),
        Ok(left) => (Ok(()), None, u64::try_from(left).unwrap_or(0)),
        Err(CallError { error, left }) => {
            let meter = Meter::after_trap(&error, &mut *store);
            let in_dump = meter.map(|m| m.fuel(&mut *store));
            let said = left.filter(|left| *left < 0).map(|_| Exhausted::Fuel);
            let exhausted = said.or_else(|| meter.and_then(|m| m.exhausted(&mut *store)));
            let left = left.or(in_dump).unwrap_or(i64::MAX);
            (Err(error), exhausted, u64::try_from(left).unwrap_or(0))
        }
    };
    let by_guest = limit.saturating_sub(left);
    let by_host = limit.saturating_sub(store.data().host.fuel);
    Ran { result, exhausted, used: by_guest.saturating_add(by_host) }
}

/// Why a component did not end well, and the fuel it had left where that could be asked for.
struct CallError {
    error: wasmtime::Error,
    left: Option<i64>,
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        Self { error, left: None }
    }
}

/// Runs a command or calls a function; the fuel that the guest's own code had left.
fn call_component(
    store: &mut Store<State>,
    component: &Component,
    task: &TaskSpec,
) -> Result<i64, CallError> {
    let engine = store.engine().clone();
    let mut linker = component::Linker::new(&engine);
    preview2::link(&mut linker, component)?;
    let fuel = i64::try_from(task.limits.fuel.0).unwrap_or(i64::MAX);
    let stack = i32::try_from(task.limits.stack_bytes).unwrap_or(i32::MAX);
    linker.root().func_wrap(COMPONENT_FUEL_IMPORT, move |_, (): ()| Ok((fuel,)))?;
    linker.root().func_wrap(COMPONENT_STACK_IMPORT, move |_, (): ()| Ok((stack,)))?;
    let instance = linker.instantiate(&mut *store, component)?;
    store.data_mut().limiter.started();
    let ty = component.component_type();
    let exports: Vec<&str> = ty.exports(&engine).map(|(name, _)| name).collect();
    let (world, entry) = World::find(exports.into_iter())
        .and_then(|(world, name)| {
            let interface = instance.get_export_index(&mut *store, None, name)?;
            let entry =
                instance.get_export_index(&mut *store, Some(&interface), world.function())?;
            Some((world, entry))
        })
        .ok_or_else(|| wasmtime::format_err!("the artefact is neither command nor function"))?;
    let left = instance.get_typed_func::<(), (i64,)>(&mut *store, COMPONENT_LEFT_EXPORT)?;
    let went_well = match world {
        World::Command => {
            let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, entry)?;
            run.call(&mut *store, ())?.0.is_ok()
        }
        World::Function => match function::call(store, instance, entry, &task.limits) {
            Ok(went_well) => went_well,
            // Where the guest's code did not trap itself, it can still be asked.
            Err(error) => {
                let left = left.call(&mut *store, ()).ok().map(|(left,)| left);
                return Err(CallError { error, left });
            }
        },
    };
    let (left,) = left.call(&mut *store, ())?;
    if went_well {
        Ok(left)
    } else {
        Err(CallError { error: Stop::Exit(1).into(), left: Some(left) })
    }
}

fn handles() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(contract::HANDLES_MAX);
    table
}

fn is_fault(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref::<Stop>(), Some(Stop::Fault(_)))
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
        // The last of the chain: those around it say where in the guest, at length.
        None => Err(fault(FaultKind::Internal, error.root_cause().to_string())),
    }
}

fn end_of_trap(trap: Trap) -> Result<End, Fault> {
    let code = match trap {
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
