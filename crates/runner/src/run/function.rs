//! A component of the world `ayni:function`: one list of bytes in, one out.
//!
//! What it is given is the task's standard input, what it gives back becomes standard output (or,
//! if it is an error, standard error). Both are paid for like any stream's bytes. A component may
//! use files and streams of preview 2 beside that; its result comes behind what it printed.

use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, Instance};
use wasmtime::{Trap, WasmCoreDump};

use ayni_types::{Exhausted, Limits, TrapCode};

use super::State;
use crate::contract;
use crate::host::Stream;
use crate::stop::Stop;

/// Bytes that one call between guest and host may move, whatever the task's own limit.
const MOVED_BYTES_MIN: u64 = 128 << 20;
/// In the error of a result that is longer than what may be moved.
const TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";

/// Calls the function; whether what came back is a result and not an error.
pub(super) fn call(
    store: &mut Store<State>,
    instance: Instance,
    entry: ComponentExportIndex,
    limits: &Limits,
) -> wasmtime::Result<bool> {
    type Answer = Result<Vec<u8>, Vec<u8>>;
    let handle = instance.get_typed_func::<(&[u8],), (Answer,)>(&mut *store, entry)?;
    let moved = limits.output_bytes.max(MOVED_BYTES_MIN);
    store.set_hostcall_fuel(usize::try_from(moved).unwrap_or(usize::MAX));
    let host = &mut store.data_mut().host;
    host.charge(contract::CALL_FUEL)?;
    let input = host.stdin_rest(limits.memory_bytes)?;
    let bytes = input.as_ref().map_or(&[][..], |(data, from)| &data[*from..]);
    let (answer,) = handle.call(&mut *store, (bytes,)).map_err(broken_rule)?;
    let host = &mut store.data_mut().host;
    host.charge(contract::CALL_FUEL)?;
    match answer {
        Ok(ref result) => host.print(Stream::Stdout, result)?,
        Err(ref error) => host.print(Stream::Stderr, error)?,
    }
    Ok(answer.is_ok())
}

/// What has gone wrong when neither the guest's code nor a host function says it: the guest gave
/// the host something that can't be (a list outside its memory), or too much.
fn broken_rule(error: wasmtime::Error) -> wasmtime::Error {
    let said = error.downcast_ref::<Stop>().is_some()
        || error.downcast_ref::<Trap>().is_some()
        || error.downcast_ref::<WasmCoreDump>().is_some()
        || error.downcast_ref::<std::io::Error>().is_some();
    if said {
        return error;
    }
    let too_much = error.chain().any(|cause| cause.to_string().contains(TOO_MUCH));
    let stop = if too_much {
        Stop::Exhausted(Exhausted::Output)
    } else {
        Stop::Trap(TrapCode::CanonicalAbi)
    };
    stop.into()
}
