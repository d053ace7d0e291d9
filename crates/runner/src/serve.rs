//! The runner's life: say that it is ready, then answer one request after another until the daemon
//! hangs up.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ayni_types::{EngineId, Fault, FaultKind, limits::PROGRAM_BYTES_MAX};
use ayni_wire::runner::{CompileHow, Reply, Request, RunOrder};

use crate::check::check;
use crate::compile::{CompileError, compile};
use crate::mapped::Mapped;
use crate::run::{Loaded, next, run, with_large_stack};
use crate::socket::Socket;
use crate::stop::fault;

/// Largest [`RunOrder`] read: arguments and mounts at their limits, twice.
const ORDER_BYTES_MAX: u64 = 2 << 20;

/// For people: what this runner is.
#[must_use]
pub fn version() -> String {
    format!(
        "ayni-runner {} (wasmtime {}, {})",
        env!("CARGO_PKG_VERSION"),
        WASMTIME_VERSION,
        std::env::consts::ARCH
    )
}

/// The pinned line of wasmtime.
const WASMTIME_VERSION: &str = "48";

/// Answers requests until the daemon hangs up.
///
/// # Errors
/// When the daemon breaks the protocol or the socket fails.
pub fn serve(socket: Socket) -> io::Result<()> {
    with_large_stack(|| answer_all(socket))?
}

fn answer_all(socket: Socket) -> io::Result<()> {
    let socket = Arc::new(socket);
    let mut loaded = Loaded::default();
    socket.send(&Reply::Ready { version: version() })?;
    while let Some((request, fds)) = socket.receive()? {
        let reply = match (request, take(fds)) {
            (Request::Check, [Some(program), None, None]) => answer_check(&program),
            (Request::Compile { engine, how }, [Some(program), Some(artefact), None]) => {
                answer_compile(&program, artefact, &engine, how)
            }
            (Request::Run, [Some(order), Some(artefact), Some(output)]) => {
                answer_run(&order, artefact, output, &mut loaded, &socket)
            }
            (Request::Next(order), [None, None, None]) => {
                next(&order, &loaded, &socket).map(|finished| crate::output::small(&finished))
            }
            (request, _) => {
                return Err(io::Error::other(format!(
                    "{request:?} was not asked for, or came with the wrong descriptors"
                )));
            }
        };
        socket.send(&reply.unwrap_or_else(Reply::Faulted))?;
    }
    Ok(())
}

/// Exactly three places for descriptors; more than three match nothing.
fn take(fds: Vec<OwnedFd>) -> [Option<OwnedFd>; 3] {
    let mut found = fds.into_iter();
    let taken = [found.next(), found.next(), found.next()];
    if found.next().is_some() { [None, None, None] } else { taken }
}

fn answer_check(program: &OwnedFd) -> Result<Reply, Fault> {
    Ok(Reply::Checked(check(&map(program)?)))
}

fn answer_compile(
    program: &OwnedFd,
    artefact: OwnedFd,
    engine: &EngineId,
    how: CompileHow,
) -> Result<Reply, Fault> {
    let compiled = match compile(&map(program)?, engine, how) {
        Ok(compiled) => compiled,
        Err(CompileError::Invalid(report)) => return Ok(Reply::Invalid(report)),
        Err(CompileError::Fault(fault)) => return Err(fault),
    };
    File::from(artefact).write_all(&compiled).map_err(|e| {
        let kind = match e.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge => FaultKind::DiskFull,
            _ => FaultKind::Internal,
        };
        fault(kind, format!("writing {} bytes of compiled code: {e}", compiled.len()))
    })?;
    Ok(Reply::Compiled { artefact_bytes: compiled.len() as u64 })
}

fn answer_run(
    order: &OwnedFd,
    artefact: OwnedFd,
    output: OwnedFd,
    loaded: &mut Loaded,
    socket: &Arc<Socket>,
) -> Result<Reply, Fault> {
    let bad = |why: String| fault(FaultKind::Internal, format!("the order: {why}"));
    let bytes = Mapped::whole(order, ORDER_BYTES_MAX).map_err(|e| bad(e.to_string()))?;
    let order: RunOrder = ayni_wire::decode(&bytes).map_err(|e| bad(e.to_string()))?;
    let finished = run(&order, artefact, loaded, socket)?;
    crate::output::write(&finished, output)
}

fn map(program: &OwnedFd) -> Result<Mapped, Fault> {
    // A little more than the limit, so that the check can say what is wrong.
    Mapped::whole(program, PROGRAM_BYTES_MAX * 16)
        .map_err(|e| fault(FaultKind::Internal, format!("the program: {e}")))
}
