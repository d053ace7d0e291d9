//! `wasi:filesystem`.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, WasmList};

use super::types::{
    Advice, Datetime, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    EntryStream, ErrorCode, InputStream, IoError, MetadataHash, NewTimestamp, OpenFlags,
    OutputStream, PathFlags,
};
use super::{enter, func, get, push, resource};
use crate::contract;
use crate::errno::{Errno, HostError, HostResult};
use crate::run::State;
use crate::stop::Stop;
use crate::vfs::{FileKind, NodeId, Place, ROOT, Stat};

type FsResult<T> = Result<T, ErrorCode>;
type Dir = Resource<Descriptor>;

fn fs<T>(result: HostResult<T>) -> Result<FsResult<T>, Stop> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(HostError::Errno(errno)) => Ok(Err(errno.into())),
        Err(HostError::Stop(stop)) => Err(stop),
    }
}

pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut preopens = linker.instance("wasi:filesystem/preopens@0.2.0")?;
    func(&mut preopens, "get-directories", |state, (): ()| {
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        Ok(vec![(open(state, ROOT, flags)?, "/".to_owned())])
    })?;
    let mut types = linker.instance("wasi:filesystem/types@0.2.0")?;
    resource::<Descriptor>(&mut types, "descriptor", |state, descriptor| {
        state.host.vfs.release(descriptor.node);
    })?;
    resource::<EntryStream>(&mut types, "directory-entry-stream", |state, stream| {
        state.host.vfs.release(stream.node);
    })?;
    func(&mut types, "filesystem-error-code", |state, (error,): (Resource<IoError>,)| {
        Ok(Some(get(&mut state.table, &error)?.0))
    })?;
    link_contents(&mut types)?;
    link_metadata(&mut types)?;
    link_paths(&mut types)
}

fn open(state: &mut State, node: NodeId, flags: DescriptorFlags) -> Result<Dir, Stop> {
    state.host.vfs.retain(node);
    push(&mut state.table, Descriptor { node, flags })
}

fn node(state: &mut State, descriptor: &Dir) -> Result<NodeId, Stop> {
    Ok(get(&mut state.table, descriptor)?.node)
}

/// The node of a file, if the descriptor may do that to it.
fn file(state: &mut State, descriptor: &Dir, need: DescriptorFlags) -> HostResult<NodeId> {
    let found = get(&mut state.table, descriptor)?;
    let (node, allowed) = (found.node, found.flags.contains(need));
    match state.host.vfs.kind(node) {
        FileKind::Dir => Err(Errno::IsDir.into()),
        _ if !allowed => Err(Errno::BadFd.into()),
        _ => Ok(node),
    }
}

fn link_contents(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    func(types, "[method]descriptor.read-via-stream", |state, (d, position): (Dir, u64)| {
        let node = match file(state, &d, DescriptorFlags::READ) {
            Ok(node) => node,
            Err(error) => return fs(Err(error)),
        };
        state.host.vfs.retain(node);
        Ok(Ok(push(&mut state.table, InputStream::File { node, position })?))
    })?;
    func(types, "[method]descriptor.write-via-stream", |state, (d, position): (Dir, u64)| {
        writer(state, &d, |node| OutputStream::File { node, position })
    })?;
    func(types, "[method]descriptor.append-via-stream", |state, (d,): (Dir,)| {
        writer(state, &d, |node| OutputStream::Append { node })
    })?;
    func(types, "[method]descriptor.read", |state, (d, len, position): (Dir, u64, u64)| {
        fs(file(state, &d, DescriptorFlags::READ).and_then(|node| {
            let left = state.host.vfs.read(node, position)?.len();
            let len = usize::try_from(len.min(contract::READ_BYTES_MAX)).unwrap_or(0);
            let bytes = left.min(len);
            state.host.charge_bytes(bytes as u64)?;
            let read = state.host.vfs.read(node, position)?[..bytes].to_vec();
            Ok((read, bytes == left))
        }))
    })?;
    types.func_wrap(
        "[method]descriptor.write",
        |mut cx: StoreContextMut<'_, State>, (d, bytes, position): (Dir, WasmList<u8>, u64)| {
            let bytes = bytes.as_le_slice(&cx).to_vec();
            Ok((enter(&mut cx, |state| {
                fs(file(state, &d, DescriptorFlags::WRITE).and_then(|node| {
                    state.host.write_file(node, position, &bytes)?;
                    Ok(bytes.len() as u64)
                }))
            })?,))
        },
    )?;
    func(types, "[method]descriptor.set-size", |state, (d, size): (Dir, u64)| {
        fs(file(state, &d, DescriptorFlags::WRITE)
            .and_then(|node| state.host.resize_file(node, size, true)))
    })?;
    func(
        types,
        "[method]descriptor.advise",
        |state, (d, _from, _len, _advice): (Dir, u64, u64, Advice)| {
            fs(file(state, &d, DescriptorFlags::empty()).map(|_| ()))
        },
    )?;
    for name in ["sync", "sync-data"] {
        func(types, &format!("[method]descriptor.{name}"), |_, (_d,): (Dir,)| {
            Ok(FsResult::Ok(()))
        })?;
    }
    Ok(())
}

fn writer(
    state: &mut State,
    descriptor: &Dir,
    stream: impl FnOnce(NodeId) -> OutputStream,
) -> Result<FsResult<Resource<OutputStream>>, Stop> {
    match file(state, descriptor, DescriptorFlags::WRITE) {
        Ok(node) => {
            state.host.vfs.retain(node);
            Ok(Ok(push(&mut state.table, stream(node))?))
        }
        Err(error) => fs(Err(error)),
    }
}

fn link_metadata(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    func(types, "[method]descriptor.get-flags", |state, (d,): (Dir,)| {
        Ok(FsResult::Ok(get(&mut state.table, &d)?.flags))
    })?;
    func(types, "[method]descriptor.get-type", |state, (d,): (Dir,)| {
        let node = node(state, &d)?;
        Ok(FsResult::Ok(DescriptorType::from(state.host.vfs.kind(node))))
    })?;
    func(types, "[method]descriptor.stat", |state, (d,): (Dir,)| {
        let node = node(state, &d)?;
        fs(state.host.vfs.stat(node).map(|stat| shown(&stat)))
    })?;
    func(
        types,
        "[method]descriptor.stat-at",
        |state, (d, how, path): (Dir, PathFlags, String)| {
            fs(existing(state, &d, how, &path)
                .and_then(|node| Ok(shown(&state.host.vfs.stat(node)?))))
        },
    )?;
    func(
        types,
        "[method]descriptor.set-times",
        |state, (d, accessed, modified): (Dir, NewTimestamp, NewTimestamp)| {
            let node = node(state, &d)?;
            fs(set_times(state, node, accessed, modified))
        },
    )?;
    func(
        types,
        "[method]descriptor.set-times-at",
        |state,
         (d, how, path, accessed, modified): (
            Dir,
            PathFlags,
            String,
            NewTimestamp,
            NewTimestamp,
        )| {
            fs(existing(state, &d, how, &path)
                .and_then(|node| set_times(state, node, accessed, modified)))
        },
    )?;
    func(types, "[method]descriptor.is-same-object", |state, (a, b): (Dir, Dir)| {
        Ok(node(state, &a)? == node(state, &b)?)
    })?;
    func(types, "[method]descriptor.metadata-hash", |state, (d,): (Dir,)| {
        let node = node(state, &d)?;
        fs(state.host.vfs.stat(node).map(|stat| hash(&stat)))
    })?;
    func(
        types,
        "[method]descriptor.metadata-hash-at",
        |state, (d, how, path): (Dir, PathFlags, String)| {
            fs(existing(state, &d, how, &path)
                .and_then(|node| Ok(hash(&state.host.vfs.stat(node)?))))
        },
    )
}

fn shown(stat: &Stat) -> DescriptorStat {
    DescriptorStat {
        kind: stat.kind.into(),
        link_count: stat.links,
        size: stat.size,
        accessed: Some(Datetime::from_ns(stat.accessed_ns)),
        modified: Some(Datetime::from_ns(stat.modified_ns)),
        changed: Some(Datetime::from_ns(stat.changed_ns)),
    }
}

/// Changes when the file is replaced or written.
fn hash(stat: &Stat) -> MetadataHash {
    MetadataHash { lower: stat.inode, upper: stat.changed_ns ^ stat.size.rotate_left(32) }
}

fn set_times(
    state: &mut State,
    node: NodeId,
    accessed: NewTimestamp,
    modified: NewTimestamp,
) -> HostResult<()> {
    let now = state.host.vfs.now_ns;
    let time = |new| match new {
        NewTimestamp::NoChange => None,
        NewTimestamp::Now => Some(now),
        NewTimestamp::Timestamp(time) => Some(Datetime::ns(time)),
    };
    Ok(state.host.vfs.set_times(node, time(accessed), time(modified))?)
}

fn walk(state: &mut State, dir: &Dir, path: &str, follow: bool) -> HostResult<Place> {
    let base = node(state, dir)?;
    state.host.charge_bytes(path.len() as u64)?;
    state.host.vfs.walk(base, path, follow)
}

fn existing(state: &mut State, dir: &Dir, how: PathFlags, path: &str) -> HostResult<NodeId> {
    let place = walk(state, dir, path, how.contains(PathFlags::SYMLINK_FOLLOW))?;
    Ok(place.existing(&state.host.vfs)?)
}

fn link_paths(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    func(
        types,
        "[method]descriptor.open-at",
        |state,
         (d, how, path, open_how, flags): (
            Dir,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            match open_node(state, &d, how, &path, open_how, flags) {
                Ok(node) => Ok(Ok(open(state, node, flags)?)),
                Err(error) => fs(Err(error)),
            }
        },
    )?;
    func(types, "[method]descriptor.create-directory-at", |state, (d, path): (Dir, String)| {
        fs(walk(state, &d, &path, false)
            .and_then(|place| state.host.vfs.create_dir(&place).map(|_| ())))
    })?;
    func(types, "[method]descriptor.remove-directory-at", |state, (d, path): (Dir, String)| {
        fs(walk(state, &d, &path, false).and_then(|place| state.host.vfs.remove_dir(&place)))
    })?;
    func(types, "[method]descriptor.unlink-file-at", |state, (d, path): (Dir, String)| {
        fs(walk(state, &d, &path, false).and_then(|place| state.host.vfs.unlink(&place)))
    })?;
    func(
        types,
        "[method]descriptor.link-at",
        |state, (d, how, path, new, new_path): (Dir, PathFlags, String, Dir, String)| {
            let follow = how.contains(PathFlags::SYMLINK_FOLLOW);
            fs(walk(state, &d, &path, follow).and_then(|from| {
                let to = walk(state, &new, &new_path, false)?;
                state.host.vfs.hard_link(&from, &to)
            }))
        },
    )?;
    func(
        types,
        "[method]descriptor.rename-at",
        |state, (d, path, new, new_path): (Dir, String, Dir, String)| {
            fs(walk(state, &d, &path, false).and_then(|from| {
                let to = walk(state, &new, &new_path, false)?;
                state.host.vfs.rename(&from, &to)
            }))
        },
    )?;
    func(
        types,
        "[method]descriptor.symlink-at",
        |state, (d, target, path): (Dir, String, String)| {
            fs(walk(state, &d, &path, false)
                .and_then(|place| state.host.vfs.create_link(&place, &target).map(|_| ())))
        },
    )?;
    func(types, "[method]descriptor.readlink-at", |state, (d, path): (Dir, String)| {
        fs(existing(state, &d, PathFlags::empty(), &path)
            .and_then(|node| Ok(state.host.vfs.link_target(node)?.to_owned())))
    })?;
    func(types, "[method]descriptor.read-directory", |state, (d,): (Dir,)| {
        let node = node(state, &d)?;
        if state.host.vfs.kind(node) != FileKind::Dir {
            return Ok(Err(ErrorCode::NotDirectory));
        }
        state.host.vfs.retain(node);
        Ok(Ok(push(&mut state.table, EntryStream { node, after: None })?))
    })?;
    func(
        types,
        "[method]directory-entry-stream.read-directory-entry",
        |state, (stream,): (Resource<EntryStream>,)| {
            let stream = get(&mut state.table, &stream)?;
            let after = stream.after.clone();
            let listed = match fs(state.host.vfs.list(stream.node, after.as_deref(), 1))? {
                Ok(mut listed) => listed.pop(),
                Err(error) => return Ok(Err(error)),
            };
            Ok(Ok(listed.map(|entry| {
                stream.after = Some(entry.name.clone());
                DirectoryEntry { kind: entry.kind.into(), name: entry.name }
            })))
        },
    )
}

fn open_node(
    state: &mut State,
    dir: &Dir,
    how: PathFlags,
    path: &str,
    open_how: OpenFlags,
    flags: DescriptorFlags,
) -> HostResult<NodeId> {
    let exclusive = open_how.contains(OpenFlags::EXCLUSIVE);
    let follow = how.contains(PathFlags::SYMLINK_FOLLOW) && !exclusive;
    let place = walk(state, dir, path, follow)?;
    let vfs = &mut state.host.vfs;
    let create = open_how.contains(OpenFlags::CREATE);
    let node = match place.node {
        Some(_) if create && exclusive => return Err(Errno::Exist.into()),
        Some(_) => place.existing(vfs)?,
        None if create && open_how.contains(OpenFlags::DIRECTORY) => {
            return Err(Errno::Invalid.into());
        }
        None if create => vfs.create_file(&place)?,
        None => return Err(Errno::NoEntry.into()),
    };
    let write = flags.contains(DescriptorFlags::WRITE);
    let truncate = open_how.contains(OpenFlags::TRUNCATE);
    match vfs.kind(node) {
        FileKind::Link => return Err(Errno::Loop.into()),
        FileKind::File if open_how.contains(OpenFlags::DIRECTORY) => {
            return Err(Errno::NotDir.into());
        }
        FileKind::File if write && !vfs.writable(node) => return Err(Errno::ReadOnly.into()),
        FileKind::Dir if write || truncate => return Err(Errno::IsDir.into()),
        _ => {}
    }
    if truncate {
        state.host.resize_file(node, 0, true)?;
    }
    Ok(node)
}
