//! Clocks, randomness, arguments, environment and exit.

use wasmtime::component::{Linker, Resource};

use super::types::{Datetime, Pollable};
use super::{action, func, push};
use crate::contract;
use crate::host::wall_ns;
use crate::run::State;
use crate::stop::Stop;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_clocks(linker)?;
    link_random(linker)?;
    let mut environment = linker.instance("wasi:cli/environment@0.2.0")?;
    func(&mut environment, "get-environment", |state, (): ()| {
        let env = state.host.env.clone();
        let bytes: usize = env.iter().map(|(name, value)| name.len() + value.len() + 16).sum();
        state.host.charge_bytes(bytes as u64)?;
        Ok(env)
    })?;
    func(&mut environment, "get-arguments", |state, (): ()| {
        let args = state.host.args.clone();
        let bytes: usize = args.iter().map(|arg| arg.len() + 8).sum();
        state.host.charge_bytes(bytes as u64)?;
        Ok(args)
    })?;
    func(&mut environment, "initial-cwd", |_, (): ()| Ok(Some("/".to_owned())))?;
    let mut exit = linker.instance("wasi:cli/exit@0.2.0")?;
    action(&mut exit, "exit", |_, (status,): (Result<(), ()>,)| {
        Err(Stop::Exit(u32::from(status.is_err())))
    })?;
    action(&mut exit, "exit-with-code", |_, (code,): (u8,)| Err(Stop::Exit(code.into())))
}

fn link_clocks(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut monotonic = linker.instance("wasi:clocks/monotonic-clock@0.2.0")?;
    func(&mut monotonic, "now", |state, (): ()| Ok(state.host.read_clock()))?;
    func(&mut monotonic, "resolution", |_, (): ()| Ok(contract::CLOCK_STEP_NS))?;
    func(&mut monotonic, "subscribe-instant", |state, (when,): (u64,)| {
        push(&mut state.table, Pollable(when))
    })?;
    func(&mut monotonic, "subscribe-duration", |state, (ns,): (u64,)| -> Result<Resource<_>, _> {
        let when = state.host.elapsed_ns().saturating_add(ns);
        push(&mut state.table, Pollable(when))
    })?;
    let mut wall = linker.instance("wasi:clocks/wall-clock@0.2.0")?;
    func(&mut wall, "now", |state, (): ()| {
        Ok(Datetime::from_ns(wall_ns(state.host.read_clock())))
    })?;
    func(&mut wall, "resolution", |_, (): ()| Ok(Datetime::from_ns(contract::CLOCK_STEP_NS)))
}

fn link_random(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut random = linker.instance("wasi:random/random@0.2.0")?;
    func(&mut random, "get-random-bytes", bytes)?;
    func(&mut random, "get-random-u64", number)?;
    let mut insecure = linker.instance("wasi:random/insecure@0.2.0")?;
    func(&mut insecure, "get-insecure-random-bytes", bytes)?;
    func(&mut insecure, "get-insecure-random-u64", number)?;
    let mut seed = linker.instance("wasi:random/insecure-seed@0.2.0")?;
    func(&mut seed, "insecure-seed", |state, (): ()| Ok((number(state, ())?, number(state, ())?)))
}

fn bytes(state: &mut State, (len,): (u64,)) -> Result<Vec<u8>, Stop> {
    if len > contract::READ_BYTES_MAX {
        // Nothing less than what is asked for may be returned, and no error.
        return Err(super::BAD_HANDLE);
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    state.host.random(&mut bytes)?;
    Ok(bytes)
}

fn number(state: &mut State, (): ()) -> Result<u64, Stop> {
    let mut bytes = [0; 8];
    state.host.random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
