//! WASI preview 2 (`wasi:cli/command`, any 0.2 release) on the same virtual [`crate::host::Host`].
//!
//! Written against the same files, clocks and randomness as preview 1, so that a program built
//! either way sees one world. Streams never block: files and captured output are always ready, and
//! waiting moves the virtual clock. Sockets can be imported (toolchains do so needlessly) but
//! every one of their functions says that it is not supported.

mod files;
mod rest;
mod sockets;
mod streams;
mod types;

use ayni_types::{Exhausted, TrapCode};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Component, ComponentNamedList, Lift, Linker, LinkerInstance, Lower, Resource, ResourceTable,
    ResourceType,
};

use crate::contract;
use crate::run::State;
use crate::stop::Stop;

/// Binds every interface that `component` may import.
///
/// # Errors
/// When it imports one of them with other types than WASI gives it.
pub fn link(linker: &mut Linker<State>, component: &Component) -> wasmtime::Result<()> {
    streams::link(linker)?;
    rest::link(linker)?;
    files::link(linker)?;
    sockets::link(linker, component)
}

/// Counts fuel around one host call. The guest's own counter is out of reach here: the host counts
/// apart, and what was used is the sum.
fn enter<R>(
    cx: &mut StoreContextMut<'_, State>,
    call: impl FnOnce(&mut State) -> Result<R, Stop>,
) -> wasmtime::Result<R> {
    let state = cx.data_mut();
    let mut result = state.host.charge(contract::CALL_FUEL).and_then(|()| call(state));
    if let Err(stop) = state.host.charge_steps() {
        result = Err(stop);
    }
    Ok(result?)
}

/// Binds a function that returns something.
fn func<P, R>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    call: fn(&mut State, P) -> Result<R, Stop>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    (R,): ComponentNamedList + Lower + 'static,
{
    instance.func_wrap(name, move |mut cx: StoreContextMut<'_, State>, params: P| {
        Ok((enter(&mut cx, |state| call(state, params))?,))
    })
}

/// Binds a function that returns nothing.
fn action<P>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    call: fn(&mut State, P) -> Result<(), Stop>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
{
    instance.func_wrap(name, move |mut cx: StoreContextMut<'_, State>, params: P| {
        enter(&mut cx, |state| call(state, params))
    })
}

/// Binds a resource; `dropped` is told of each that the guest gives back.
fn resource<T: Send + 'static>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    dropped: fn(&mut State, T),
) -> wasmtime::Result<()> {
    instance.resource(name, ResourceType::host::<T>(), move |mut cx, rep| {
        let state = cx.data_mut();
        let gone = state.table.delete(Resource::<T>::new_own(rep)).map_err(|_| BAD_HANDLE)?;
        dropped(state, gone);
        Ok(())
    })
}

const BAD_HANDLE: Stop = Stop::Trap(TrapCode::CanonicalAbi);

/// A new resource for the guest; past the limit of handles, which has no error to be told with, the
/// guest ends.
fn push<T: Send + 'static>(table: &mut ResourceTable, value: T) -> Result<Resource<T>, Stop> {
    table.push(value).map_err(|_| Stop::Exhausted(Exhausted::Memory))
}

fn get<'a, T: Send + 'static>(
    table: &'a mut ResourceTable,
    handle: &Resource<T>,
) -> Result<&'a mut T, Stop> {
    table.get_mut(handle).map_err(|_| BAD_HANDLE)
}
