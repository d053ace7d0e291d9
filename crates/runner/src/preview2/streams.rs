//! `wasi:io`: errors, polling, streams; and the standard streams of `wasi:cli`.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, WasmList};

use super::types::{
    ErrorCode, InputStream, IoError, OutputStream, Pollable, StreamError, TerminalInput,
    TerminalOutput,
};
use super::{action, enter, func, get, push, resource};
use crate::contract;
use crate::errno::{HostError, HostResult};
use crate::host::Stream;
use crate::run::State;
use crate::stop::Stop;

type StreamResult<T> = Result<T, StreamError>;

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut error = linker.instance("wasi:io/error@0.2.0")?;
    resource::<IoError>(&mut error, "error", |_, _| {})?;
    func(&mut error, "[method]error.to-debug-string", |state, (e,): (Resource<IoError>,)| {
        Ok(get(&mut state.table, &e)?.0.text().to_owned())
    })?;

    let mut poll = linker.instance("wasi:io/poll@0.2.0")?;
    resource::<Pollable>(&mut poll, "pollable", |_, _| {})?;
    func(&mut poll, "[method]pollable.ready", |state, (p,): (Resource<Pollable>,)| {
        Ok(get(&mut state.table, &p)?.0 <= state.host.elapsed_ns())
    })?;
    action(&mut poll, "[method]pollable.block", |state, (p,): (Resource<Pollable>,)| {
        let until = get(&mut state.table, &p)?.0;
        state.host.sleep(until.saturating_sub(state.host.elapsed_ns()));
        Ok(())
    })?;
    func(&mut poll, "poll", |state, (list,): (Vec<Resource<Pollable>>,)| poll_list(state, &list))?;

    let mut streams = linker.instance("wasi:io/streams@0.2.0")?;
    link_input(&mut streams)?;
    link_output(&mut streams)?;

    let mut stdin = linker.instance("wasi:cli/stdin@0.2.0")?;
    func(&mut stdin, "get-stdin", |state, (): ()| push(&mut state.table, InputStream::Stdin))?;
    let mut stdout = linker.instance("wasi:cli/stdout@0.2.0")?;
    func(&mut stdout, "get-stdout", |state, (): ()| push(&mut state.table, OutputStream::Stdout))?;
    let mut stderr = linker.instance("wasi:cli/stderr@0.2.0")?;
    func(&mut stderr, "get-stderr", |state, (): ()| push(&mut state.table, OutputStream::Stderr))?;

    let mut terminal = linker.instance("wasi:cli/terminal-input@0.2.0")?;
    resource::<TerminalInput>(&mut terminal, "terminal-input", |_, _| {})?;
    let mut terminal = linker.instance("wasi:cli/terminal-output@0.2.0")?;
    resource::<TerminalOutput>(&mut terminal, "terminal-output", |_, _| {})?;
    let mut terminal = linker.instance("wasi:cli/terminal-stdin@0.2.0")?;
    func(&mut terminal, "get-terminal-stdin", |_, (): ()| Ok(None::<Resource<TerminalInput>>))?;
    for name in ["stdout", "stderr"] {
        let mut terminal = linker.instance(&format!("wasi:cli/terminal-{name}@0.2.0"))?;
        func(&mut terminal, &format!("get-terminal-{name}"), |_, (): ()| {
            Ok(None::<Resource<TerminalOutput>>)
        })?;
    }
    Ok(())
}

/// Indices of what is ready; if nothing is, the clock moves to the first that will be.
fn poll_list(state: &mut State, list: &[Resource<Pollable>]) -> Result<Vec<u32>, Stop> {
    state.host.charge((list.len() as u64).saturating_mul(contract::ITEM_FUEL))?;
    let mut times = Vec::with_capacity(list.len());
    for pollable in list {
        times.push(get(&mut state.table, pollable)?.0);
    }
    // The interface says that an empty list, which would wait forever, is a trap.
    let first = *times.iter().min().ok_or(super::BAD_HANDLE)?;
    state.host.sleep(first.saturating_sub(state.host.elapsed_ns()));
    let now = state.host.elapsed_ns();
    Ok((0_u32..).zip(times).filter(|(_, time)| *time <= now).map(|(index, _)| index).collect())
}

fn link_input(streams: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    resource::<InputStream>(streams, "input-stream", |state, stream| {
        if let InputStream::File { node, .. } = stream {
            state.host.vfs.release(node);
        }
    })?;
    for name in ["read", "blocking-read"] {
        let method = format!("[method]input-stream.{name}");
        func(streams, &method, |state, (s, len): (Resource<InputStream>, u64)| {
            let result = read(state, &s, len, |bytes| bytes.to_vec());
            Ok(stream_result(state, result)?.and_then(at_end(len, Vec::is_empty)))
        })?;
    }
    for name in ["skip", "blocking-skip"] {
        let method = format!("[method]input-stream.{name}");
        func(streams, &method, |state, (s, len): (Resource<InputStream>, u64)| {
            let result = read(state, &s, len, |bytes| bytes.len() as u64);
            Ok(stream_result(state, result)?.and_then(at_end(len, |skipped| *skipped == 0)))
        })?;
    }
    func(streams, "[method]input-stream.subscribe", |state, (_s,): (Resource<InputStream>,)| {
        push(&mut state.table, Pollable(0))
    })
}

/// Nothing read where something was asked for: the end.
fn at_end<T>(len: u64, nothing: fn(&T) -> bool) -> impl FnOnce(T) -> StreamResult<T> {
    move |read| if len > 0 && nothing(&read) { Err(StreamError::Closed) } else { Ok(read) }
}

fn read<T>(
    state: &mut State,
    stream: &Resource<InputStream>,
    len: u64,
    take: impl FnOnce(&[u8]) -> T,
) -> HostResult<T> {
    let len = len.min(contract::READ_BYTES_MAX);
    let host = &mut state.host;
    match get(&mut state.table, stream)? {
        InputStream::Stdin => {
            let bytes = host.stdin()?.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            host.charge_bytes(bytes as u64)?;
            let taken = take(&host.stdin()?[..bytes]);
            host.stdin_consume(bytes);
            Ok(taken)
        }
        InputStream::File { node, position } => {
            let left = host.vfs.read(*node, *position)?.len();
            let bytes = left.min(usize::try_from(len).unwrap_or(usize::MAX));
            host.charge_bytes(bytes as u64)?;
            let taken = take(&host.vfs.read(*node, *position)?[..bytes]);
            *position += bytes as u64;
            Ok(taken)
        }
    }
}

fn link_output(streams: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    resource::<OutputStream>(streams, "output-stream", |state, stream| match stream {
        OutputStream::File { node, .. } | OutputStream::Append { node } => {
            state.host.vfs.release(node);
        }
        OutputStream::Stdout | OutputStream::Stderr => {}
    })?;
    func(streams, "[method]output-stream.check-write", |_, (_s,): (Resource<OutputStream>,)| {
        Ok(StreamResult::Ok(contract::WRITE_BYTES_MAX))
    })?;
    for name in ["write", "blocking-write-and-flush"] {
        streams.func_wrap(
            &format!("[method]output-stream.{name}"),
            |mut cx: StoreContextMut<'_, State>,
             (s, bytes): (Resource<OutputStream>, WasmList<u8>)| {
                let bytes = bytes.as_le_slice(&cx).to_vec();
                Ok((enter(&mut cx, |state| {
                    let result = write(state, &s, &bytes);
                    stream_result(state, result)
                })?,))
            },
        )?;
    }
    for name in ["write-zeroes", "blocking-write-zeroes-and-flush"] {
        let method = format!("[method]output-stream.{name}");
        func(streams, &method, |state, (s, len): (Resource<OutputStream>, u64)| {
            let len = usize::try_from(len.min(contract::WRITE_BYTES_MAX)).unwrap_or(0);
            let result = write(state, &s, &vec![0; len]);
            stream_result(state, result)
        })?;
    }
    for name in ["flush", "blocking-flush"] {
        let method = format!("[method]output-stream.{name}");
        func(streams, &method, |_, (_s,): (Resource<OutputStream>,)| Ok(StreamResult::Ok(())))?;
    }
    for name in ["splice", "blocking-splice"] {
        let method = format!("[method]output-stream.{name}");
        func(
            streams,
            &method,
            |state, (to, from, len): (Resource<OutputStream>, Resource<InputStream>, u64)| {
                let len = len.min(contract::WRITE_BYTES_MAX);
                let result = read(state, &from, len, <[u8]>::to_vec);
                let bytes = match stream_result(state, result)?.and_then(at_end(len, Vec::is_empty))
                {
                    Ok(bytes) => bytes,
                    Err(error) => return Ok(Err(error)),
                };
                let result = write(state, &to, &bytes).map(|()| bytes.len() as u64);
                stream_result(state, result)
            },
        )?;
    }
    func(streams, "[method]output-stream.subscribe", |state, (_s,): (Resource<OutputStream>,)| {
        push(&mut state.table, Pollable(0))
    })
}

fn write(state: &mut State, stream: &Resource<OutputStream>, bytes: &[u8]) -> HostResult<()> {
    let host = &mut state.host;
    match get(&mut state.table, stream)? {
        OutputStream::Stdout => Ok(host.print(Stream::Stdout, bytes)?),
        OutputStream::Stderr => Ok(host.print(Stream::Stderr, bytes)?),
        OutputStream::File { node, position } => {
            host.write_file(*node, *position, bytes)?;
            *position += bytes.len() as u64;
            Ok(())
        }
        OutputStream::Append { node } => {
            let end = host.vfs.size(*node)?;
            host.write_file(*node, end, bytes)
        }
    }
}

fn stream_result<T>(state: &mut State, result: HostResult<T>) -> Result<StreamResult<T>, Stop> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(HostError::Stop(stop)) => Err(stop),
        Err(HostError::Errno(errno)) => {
            let error = push(&mut state.table, IoError(ErrorCode::from(errno)))?;
            Ok(Err(StreamError::Failed(error)))
        }
    }
}
