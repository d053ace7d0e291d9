//! Preview 1: functions on open descriptors.

use super::fds::{FLAG_APPEND, RIGHT_READ, RIGHT_WRITE, Target};
use super::memory::{offset, total};
use super::{Guest, Reply};
use crate::contract;
use crate::errno::{Errno, HostResult};
use crate::host::Stream;
use crate::vfs::{FileKind, NodeId, Stat};

/// Entries of a listing that are remembered for resuming it.
const LISTED_KEPT: usize = 4;

pub(super) fn file_type(kind: FileKind) -> u8 {
    match kind {
        FileKind::Dir => 3,
        FileKind::File => 4,
        FileKind::Link => 7,
    }
}

impl Guest<'_> {
    pub(super) fn fd_read(&mut self, fd: u32, at: u32, count: u32, out: u32) -> Reply {
        self.fds.fd(fd)?.need(RIGHT_READ)?;
        let done = match self.fds.fd(fd)?.target {
            Target::Stdin => self.read_stdin(at, count)?,
            Target::File { node, position } => {
                let done = self.read_at(node, position, at, count)?;
                if let Target::File { position, .. } = &mut self.fds.fd(fd)?.target {
                    *position += u64::from(done);
                }
                done
            }
            _ => return Err(Errno::BadFd.into()),
        };
        Ok(self.memory.set_u32(out, done)?)
    }

    pub(super) fn fd_pread(
        &mut self,
        fd: u32,
        at: u32,
        count: u32,
        position: u64,
        out: u32,
    ) -> Reply {
        let (node, fd) = self.fds.file(fd)?;
        fd.need(RIGHT_READ)?;
        let done = self.read_at(node, position, at, count)?;
        Ok(self.memory.set_u32(out, done)?)
    }

    fn read_stdin(&mut self, at: u32, count: u32) -> HostResult<u32> {
        let buffers = self.charged_buffers(at, count)?;
        let left = self.host.stdin()?.len() as u64;
        self.host.charge_bytes(left.min(total(&buffers)))?;
        let done = scatter(&mut self.memory, &buffers, self.host.stdin()?)?;
        self.host.stdin_consume(done as usize);
        Ok(done)
    }

    fn read_at(&mut self, node: NodeId, position: u64, at: u32, count: u32) -> HostResult<u32> {
        let buffers = self.charged_buffers(at, count)?;
        let left = self.host.vfs.read(node, position)?.len() as u64;
        self.host.charge_bytes(left.min(total(&buffers)))?;
        scatter(&mut self.memory, &buffers, self.host.vfs.read(node, position)?)
    }

    fn charged_buffers(&mut self, at: u32, count: u32) -> HostResult<Vec<super::memory::Buffer>> {
        self.host.charge(u64::from(count).saturating_mul(contract::ITEM_FUEL))?;
        self.memory.buffers(at, count)
    }

    pub(super) fn fd_write(&mut self, fd: u32, at: u32, count: u32, out: u32) -> Reply {
        let open = self.fds.fd(fd)?;
        open.need(RIGHT_WRITE)?;
        let append = open.flags & FLAG_APPEND != 0;
        let stream = match open.target {
            Target::Stdout => Stream::Stdout,
            Target::Stderr => Stream::Stderr,
            Target::File { node, position } => {
                let from = if append { self.host.vfs.size(node)? } else { position };
                let done = self.write_at(node, from, at, count)?;
                if let Target::File { position, .. } = &mut self.fds.fd(fd)?.target {
                    *position = from + u64::from(done);
                }
                return Ok(self.memory.set_u32(out, done)?);
            }
            _ => return Err(Errno::BadFd.into()),
        };
        let buffers = self.charged_buffers(at, count)?;
        let done = u32::try_from(total(&buffers)).map_err(|_| Errno::Invalid)?;
        for buffer in buffers {
            self.host.print(stream, self.memory.bytes(buffer.at, buffer.len)?)?;
        }
        Ok(self.memory.set_u32(out, done)?)
    }

    pub(super) fn fd_pwrite(
        &mut self,
        fd: u32,
        at: u32,
        count: u32,
        position: u64,
        out: u32,
    ) -> Reply {
        let (node, fd) = self.fds.file(fd)?;
        fd.need(RIGHT_WRITE)?;
        // As on Linux: a file opened for appending is appended to, whatever the position.
        let append = fd.flags & FLAG_APPEND != 0;
        let from = if append { self.host.vfs.size(node)? } else { position };
        let done = self.write_at(node, from, at, count)?;
        Ok(self.memory.set_u32(out, done)?)
    }

    /// Writes all buffers or nothing.
    fn write_at(&mut self, node: NodeId, from: u64, at: u32, count: u32) -> HostResult<u32> {
        let buffers = self.charged_buffers(at, count)?;
        let bytes = total(&buffers);
        let done = u32::try_from(bytes).map_err(|_| Errno::Invalid)?;
        let end = from.checked_add(bytes).ok_or(Errno::FileTooBig)?;
        if done > 0 {
            self.host.resize_file(node, end, false)?;
        }
        let mut position = from;
        for buffer in buffers {
            let bytes = self.memory.bytes(buffer.at, buffer.len)?;
            self.host.write_file(node, position, bytes)?;
            position += u64::from(buffer.len);
        }
        Ok(done)
    }

    pub(super) fn fd_seek(&mut self, fd: u32, by: i64, whence: u32, out: u32) -> Reply {
        let (node, _) = self.fds.file(fd)?;
        let size = self.host.vfs.size(node)?;
        let Target::File { position, .. } = &mut self.fds.fd(fd)?.target else {
            return Err(Errno::BadFd.into());
        };
        let base = match whence {
            0 => 0,
            1 => *position,
            2 => size,
            _ => return Err(Errno::Invalid.into()),
        };
        let to = base.checked_add_signed(by).ok_or(Errno::Invalid)?;
        if i64::try_from(to).is_err() {
            return Err(Errno::Invalid.into());
        }
        *position = to;
        Ok(self.memory.set_u64(out, to)?)
    }

    pub(super) fn fd_tell(&mut self, fd: u32, out: u32) -> Reply {
        match self.fds.fd(fd)?.target {
            Target::File { position, .. } => Ok(self.memory.set_u64(out, position)?),
            Target::Dir { .. } => Err(Errno::BadFd.into()),
            _ => Err(Errno::NotSeekable.into()),
        }
    }

    pub(super) fn fd_close(&mut self, fd: u32) -> Reply {
        Ok(self.fds.close(&mut self.host.vfs, fd)?)
    }

    pub(super) fn fd_renumber(&mut self, from: u32, to: u32) -> Reply {
        Ok(self.fds.renumber(&mut self.host.vfs, from, to)?)
    }

    pub(super) fn fd_sync(&mut self, fd: u32) -> Reply {
        self.fds.fd(fd)?;
        Ok(())
    }

    pub(super) fn fd_advise(&mut self, fd: u32, advice: u32) -> Reply {
        self.fds.file(fd)?;
        if advice > 5 { Err(Errno::Invalid.into()) } else { Ok(()) }
    }

    pub(super) fn fd_allocate(&mut self, fd: u32, from: u64, bytes: u64) -> Reply {
        let (node, fd) = self.fds.file(fd)?;
        fd.need(RIGHT_WRITE)?;
        let end = from.checked_add(bytes).ok_or(Errno::FileTooBig)?;
        if bytes == 0 {
            return Err(Errno::Invalid.into());
        }
        self.host.resize_file(node, end, false)
    }

    pub(super) fn fd_fdstat_get(&mut self, fd: u32, out: u32) -> Reply {
        let fd = self.fds.fd(fd)?;
        let mut stat = [0; 24];
        stat[0] = fd.file_type();
        stat[2..4].copy_from_slice(&fd.flags.to_le_bytes());
        stat[8..16].copy_from_slice(&fd.rights.to_le_bytes());
        stat[16..24].copy_from_slice(&fd.inheriting.to_le_bytes());
        Ok(self.memory.write(out, &stat)?)
    }

    pub(super) fn fd_fdstat_set_flags(&mut self, fd: u32, flags: u32) -> Reply {
        let fd = self.fds.fd(fd)?;
        fd.flags = check_flags(flags)?;
        Ok(())
    }

    pub(super) fn fd_fdstat_set_rights(&mut self, fd: u32, base: u64, inheriting: u64) -> Reply {
        let fd = self.fds.fd(fd)?;
        if base & !fd.rights != 0 || inheriting & !fd.inheriting != 0 {
            return Err(Errno::NotCapable.into());
        }
        fd.rights = base;
        fd.inheriting = inheriting;
        Ok(())
    }

    pub(super) fn fd_filestat_get(&mut self, fd: u32, out: u32) -> Reply {
        match self.fds.fd(fd)?.target {
            Target::File { node, .. } | Target::Dir { node, .. } => {
                let stat = self.host.vfs.stat(node)?;
                self.write_stat(out, &stat)
            }
            _ => {
                let mut bytes = [0; 64];
                bytes[24] = 1;
                Ok(self.memory.write(out, &bytes)?)
            }
        }
    }

    pub(super) fn write_stat(&mut self, out: u32, stat: &Stat) -> Reply {
        let mut bytes = [0; 64];
        let mut put = |at: usize, value: u64| {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        };
        put(0, 1);
        put(8, stat.inode);
        put(16, u64::from(file_type(stat.kind)));
        put(24, stat.links);
        put(32, stat.size);
        put(40, stat.accessed_ns);
        put(48, stat.modified_ns);
        put(56, stat.changed_ns);
        Ok(self.memory.write(out, &bytes)?)
    }

    pub(super) fn fd_filestat_set_size(&mut self, fd: u32, size: u64) -> Reply {
        let (node, fd) = self.fds.file(fd)?;
        fd.need(RIGHT_WRITE)?;
        self.host.resize_file(node, size, true)
    }

    pub(super) fn fd_filestat_set_times(
        &mut self,
        fd: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Reply {
        match self.fds.fd(fd)?.target {
            Target::File { node, .. } | Target::Dir { node, .. } => {
                self.set_times(node, accessed, modified, flags)
            }
            _ => Err(Errno::BadFd.into()),
        }
    }

    pub(super) fn set_times(
        &mut self,
        node: NodeId,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Reply {
        let now = self.host.vfs.now_ns;
        let pick = |set: bool, set_now: bool, value: u64| match (set, set_now) {
            (true, true) => Err(Errno::Invalid),
            (true, false) => Ok(Some(value)),
            (false, true) => Ok(Some(now)),
            (false, false) => Ok(None),
        };
        if flags > 15 {
            return Err(Errno::Invalid.into());
        }
        let accessed = pick(flags & 1 != 0, flags & 2 != 0, accessed)?;
        let modified = pick(flags & 4 != 0, flags & 8 != 0, modified)?;
        Ok(self.host.vfs.set_times(node, accessed, modified)?)
    }

    pub(super) fn fd_prestat_get(&mut self, fd: u32, out: u32) -> Reply {
        self.preopened(fd)?;
        let mut bytes = [0; 8];
        bytes[4] = 1;
        Ok(self.memory.write(out, &bytes)?)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, fd: u32, at: u32, len: u32) -> Reply {
        self.preopened(fd)?;
        if len < 1 {
            return Err(Errno::NameTooLong.into());
        }
        Ok(self.memory.write(at, b"/")?)
    }

    fn preopened(&mut self, fd: u32) -> Result<(), Errno> {
        match self.fds.fd(fd)?.target {
            Target::Dir { preopened: true, .. } => Ok(()),
            _ => Err(Errno::BadFd),
        }
    }

    pub(super) fn fd_readdir(
        &mut self,
        fd: u32,
        at: u32,
        len: u32,
        cookie: u64,
        out: u32,
    ) -> Reply {
        let dir = self.fds.dir(fd)?;
        self.host.charge_bytes(u64::from(len))?;
        self.memory.bytes(at, len)?;
        let mut room = Listing { at, len, used: 0 };
        let parent = self.host.vfs.parent(dir);
        for (serial, name, node) in [(1, ".", dir), (2, "..", parent)] {
            if cookie < serial {
                let inode = self.host.vfs.stat(node)?.inode;
                room.put(&mut self.memory, serial, name, inode, FileKind::Dir)?;
            }
        }
        let mut listed = Vec::new();
        if !room.full() {
            let after = self.resume_name(fd, dir, cookie)?;
            // No entry is shorter than its header and one byte of name.
            let count = (len - room.used) as usize / 25 + 1;
            for entry in self.host.vfs.list(dir, after.as_deref(), count)? {
                room.put(&mut self.memory, entry.serial, &entry.name, entry.inode, entry.kind)?;
                listed.push((entry.serial, entry.name));
                if room.full() {
                    break;
                }
            }
        }
        if let Target::Dir { listed: last, .. } = &mut self.fds.fd(fd)?.target {
            // A reader goes on after the last entry it has whole, which is one of these.
            *last = listed.split_off(listed.len().saturating_sub(LISTED_KEPT));
        }
        Ok(self.memory.set_u32(out, room.used)?)
    }

    /// The name after which a listing goes on; remembered from the call before, so that removing
    /// what was listed does not skip what was not.
    fn resume_name(&mut self, fd: u32, dir: NodeId, cookie: u64) -> HostResult<Option<String>> {
        if cookie <= 2 {
            return Ok(None);
        }
        if let Target::Dir { listed, .. } = &self.fds.fd(fd)?.target
            && let Some((_, name)) = listed.iter().find(|(serial, _)| *serial == cookie)
        {
            return Ok(Some(name.clone()));
        }
        let name = self.host.vfs.name_of_serial(dir, cookie);
        Ok(Some(name.ok_or(Errno::NoEntry)?))
    }
}

/// A guest's buffer that fills with directory entries; the last may be cut.
struct Listing {
    at: u32,
    len: u32,
    used: u32,
}

impl Listing {
    fn full(&self) -> bool {
        self.used == self.len
    }

    fn put(
        &mut self,
        memory: &mut super::memory::Memory<'_>,
        serial: u64,
        name: &str,
        inode: u64,
        kind: FileKind,
    ) -> HostResult<()> {
        let name_bytes = u32::try_from(name.len()).map_err(|_| Errno::NameTooLong)?;
        let mut bytes = Vec::with_capacity(24 + name.len());
        bytes.extend_from_slice(&serial.to_le_bytes());
        bytes.extend_from_slice(&inode.to_le_bytes());
        bytes.extend_from_slice(&name_bytes.to_le_bytes());
        bytes.extend_from_slice(&[file_type(kind), 0, 0, 0]);
        bytes.extend_from_slice(name.as_bytes());
        let fits = (bytes.len() as u64).min(u64::from(self.len - self.used));
        let fits = u32::try_from(fits).map_err(|_| Errno::Invalid)?;
        memory.write(offset(self.at, self.used, 1)?, &bytes[..fits as usize])?;
        self.used += fits;
        Ok(())
    }
}

/// Copies from `data` into the buffers, in order; how many bytes.
fn scatter(
    memory: &mut super::memory::Memory<'_>,
    buffers: &[super::memory::Buffer],
    data: &[u8],
) -> HostResult<u32> {
    let mut done = 0;
    for buffer in buffers {
        let bytes = (data.len() - done).min(buffer.len as usize);
        memory.write(buffer.at, &data[done..done + bytes])?;
        done += bytes;
    }
    Ok(u32::try_from(done).map_err(|_| Errno::Invalid)?)
}

/// Descriptor flags: append, dsync, nonblock, rsync, sync.
pub(super) fn check_flags(flags: u32) -> Result<u16, Errno> {
    match u16::try_from(flags) {
        Ok(flags) if flags <= 31 => Ok(flags),
        _ => Err(Errno::Invalid),
    }
}
