//! WASI preview 1 (`wasi_snapshot_preview1`), every function of it, on the virtual [`Host`].
//!
//! [`FUNCTIONS`] is the list with its types; [`link`] binds it. Every call goes through [`enter`],
//! which brings the guest's fuel to the host and back. An address outside memory ends the guest;
//! everything else that is wrong is an error number.

mod fds;
mod files;
mod memory;
mod paths;
mod rest;

use wasmtime::{Caller, Extern, Linker};

use crate::contract;
use crate::errno::{Errno, HostError, HostResult};
use crate::host::Host;
use crate::run::State;
use crate::stop::Stop;

pub use fds::Fds;
use memory::Memory;
use paths::Path;

/// What the functions are imported from.
pub const MODULE: &str = "wasi_snapshot_preview1";

type Reply = HostResult<()>;

/// The guest during one host call.
pub(crate) struct Guest<'a> {
    memory: Memory<'a>,
    host: &'a mut Host,
    fds: &'a mut Fds,
}

fn enter(
    caller: &mut Caller<'_, State>,
    call: impl FnOnce(&mut Guest<'_>) -> Reply,
) -> wasmtime::Result<u32> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => {
                caller.data_mut().memory = Some(memory);
                memory
            }
            // Checked before compilation.
            _ => wasmtime::bail!("the module exports no memory named `memory`"),
        },
    };
    let Some(meter) = caller.data().meter else { wasmtime::bail!("a call before the start") };
    let fuel = u64::try_from(meter.fuel(&mut *caller)).unwrap_or(0);
    let (bytes, state) = memory.data_and_store_mut(&mut *caller);
    let host = &mut state.host;
    host.fuel = fuel;
    let mut result = host.charge(contract::CALL_FUEL).map_err(HostError::from);
    if result.is_ok() {
        result = call(&mut Guest { memory: Memory(bytes), host, fds: &mut state.fds });
        if let Err(stop) = state.host.charge_steps() {
            result = Err(stop.into());
        }
    }
    let left = state.host.fuel;
    meter.set_fuel(&mut *caller, left)?;
    match result {
        Ok(()) => Ok(0),
        Err(HostError::Errno(errno)) => Ok(u32::from(errno as u16)),
        Err(HostError::Stop(stop)) => Err(stop.into()),
    }
}

macro_rules! functions {
    ($($name:literal ($($arg:ident: $ty:ident),*) $guest:ident $body:expr;)*) => {
        /// Name and parameter types (`u32` or `u64`) of each function; each returns one `u32`.
        pub const FUNCTIONS: &[(&str, &[&str])] = &[$(($name, &[$(stringify!($ty)),*])),*];

        fn link_functions(linker: &mut Linker<State>) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    MODULE,
                    $name,
                    |mut caller: Caller<'_, State>, $($arg: $ty),*| -> wasmtime::Result<u32> {
                        enter(&mut caller, |$guest: &mut Guest<'_>| $body)
                    },
                )?;
            )*
            Ok(())
        }
    };
}

functions! {
    "args_get"(list: u32, at: u32) g g.args_get(list, at);
    "args_sizes_get"(count: u32, bytes: u32) g g.args_sizes_get(count, bytes);
    "environ_get"(list: u32, at: u32) g g.environ_get(list, at);
    "environ_sizes_get"(count: u32, bytes: u32) g g.environ_sizes_get(count, bytes);
    "clock_res_get"(clock: u32, out: u32) g g.clock_res_get(clock, out);
    "clock_time_get"(clock: u32, _precision: u64, out: u32) g g.clock_time_get(clock, out);
    "fd_advise"(fd: u32, _from: u64, _len: u64, advice: u32) g g.fd_advise(fd, advice);
    "fd_allocate"(fd: u32, from: u64, len: u64) g g.fd_allocate(fd, from, len);
    "fd_close"(fd: u32) g g.fd_close(fd);
    "fd_datasync"(fd: u32) g g.fd_sync(fd);
    "fd_fdstat_get"(fd: u32, out: u32) g g.fd_fdstat_get(fd, out);
    "fd_fdstat_set_flags"(fd: u32, flags: u32) g g.fd_fdstat_set_flags(fd, flags);
    "fd_fdstat_set_rights"(fd: u32, base: u64, inheriting: u64) g
        g.fd_fdstat_set_rights(fd, base, inheriting);
    "fd_filestat_get"(fd: u32, out: u32) g g.fd_filestat_get(fd, out);
    "fd_filestat_set_size"(fd: u32, size: u64) g g.fd_filestat_set_size(fd, size);
    "fd_filestat_set_times"(fd: u32, accessed: u64, modified: u64, flags: u32) g
        g.fd_filestat_set_times(fd, accessed, modified, flags);
    "fd_pread"(fd: u32, at: u32, count: u32, position: u64, out: u32) g
        g.fd_pread(fd, at, count, position, out);
    "fd_prestat_get"(fd: u32, out: u32) g g.fd_prestat_get(fd, out);
    "fd_prestat_dir_name"(fd: u32, at: u32, len: u32) g g.fd_prestat_dir_name(fd, at, len);
    "fd_pwrite"(fd: u32, at: u32, count: u32, position: u64, out: u32) g
        g.fd_pwrite(fd, at, count, position, out);
    "fd_read"(fd: u32, at: u32, count: u32, out: u32) g g.fd_read(fd, at, count, out);
    "fd_readdir"(fd: u32, at: u32, len: u32, cookie: u64, out: u32) g
        g.fd_readdir(fd, at, len, cookie, out);
    "fd_renumber"(from: u32, to: u32) g g.fd_renumber(from, to);
    "fd_seek"(fd: u32, by: u64, whence: u32, out: u32) g
        g.fd_seek(fd, by.cast_signed(), whence, out);
    "fd_sync"(fd: u32) g g.fd_sync(fd);
    "fd_tell"(fd: u32, out: u32) g g.fd_tell(fd, out);
    "fd_write"(fd: u32, at: u32, count: u32, out: u32) g g.fd_write(fd, at, count, out);
    "path_create_directory"(dir: u32, at: u32, len: u32) g
        g.path_create_directory(Path { dir, at, len });
    "path_filestat_get"(dir: u32, lookup: u32, at: u32, len: u32, out: u32) g
        g.path_filestat_get(Path { dir, at, len }, lookup, out);
    "path_filestat_set_times"(
        dir: u32, lookup: u32, at: u32, len: u32, accessed: u64, modified: u64, flags: u32
    ) g g.path_filestat_set_times(Path { dir, at, len }, lookup, accessed, modified, flags);
    "path_link"(
        dir: u32, lookup: u32, at: u32, len: u32, new_dir: u32, new_at: u32, new_len: u32
    ) g g.path_link(
        lookup,
        Path { dir, at, len },
        Path { dir: new_dir, at: new_at, len: new_len },
    );
    "path_open"(
        dir: u32, lookup: u32, at: u32, len: u32, how: u32, rights: u64, _inheriting: u64,
        flags: u32, out: u32
    ) g g.path_open(Path { dir, at, len }, lookup, how, rights, flags, out);
    "path_readlink"(dir: u32, at: u32, len: u32, into: u32, into_len: u32, out: u32) g
        g.path_readlink(Path { dir, at, len }, into, into_len, out);
    "path_remove_directory"(dir: u32, at: u32, len: u32) g
        g.path_remove_directory(Path { dir, at, len });
    "path_rename"(dir: u32, at: u32, len: u32, new_dir: u32, new_at: u32, new_len: u32) g
        g.path_rename(Path { dir, at, len }, Path { dir: new_dir, at: new_at, len: new_len });
    "path_symlink"(target: u32, target_len: u32, dir: u32, at: u32, len: u32) g
        g.path_symlink((target, target_len), Path { dir, at, len });
    "path_unlink_file"(dir: u32, at: u32, len: u32) g
        g.path_unlink_file(Path { dir, at, len });
    "poll_oneoff"(subs: u32, events: u32, count: u32, out: u32) g
        g.poll_oneoff(subs, events, count, out);
    "proc_raise"(_signal: u32) _g Err(Errno::NotSupported.into());
    "random_get"(at: u32, len: u32) g g.random_get(at, len);
    "sched_yield"() _g Ok(());
    "sock_accept"(fd: u32, _flags: u32, _out: u32) g g.no_socket(fd);
    "sock_recv"(fd: u32, _at: u32, _count: u32, _flags: u32, _out: u32, _out_flags: u32) g
        g.no_socket(fd);
    "sock_send"(fd: u32, _at: u32, _count: u32, _flags: u32, _out: u32) g g.no_socket(fd);
    "sock_shutdown"(fd: u32, _how: u32) g g.no_socket(fd);
}

/// The one function that returns nothing.
pub const EXIT: &str = "proc_exit";

/// Binds every function.
///
/// # Errors
/// When wasmtime refuses, which is our bug.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    link_functions(linker)?;
    linker.func_wrap(
        MODULE,
        EXIT,
        |mut caller: Caller<'_, State>, code: u32| -> wasmtime::Result<()> {
            enter(&mut caller, |_| Err(Stop::Exit(code).into())).map(|_| ())
        },
    )?;
    Ok(())
}
