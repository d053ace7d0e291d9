//! Preview 1: functions on paths.

use super::fds::{DIR_RIGHTS, Fd, RIGHT_WRITE};
use super::{Guest, Reply};
use crate::errno::{Errno, HostResult};
use crate::host::text;
use crate::vfs::{FileKind, Place};

const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const EXCLUSIVE: u32 = 4;
const TRUNCATE: u32 = 8;

/// A path argument: where it is in guest memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) dir: u32,
    pub(super) at: u32,
    pub(super) len: u32,
}

impl Guest<'_> {
    fn text(&mut self, at: u32, len: u32) -> HostResult<String> {
        self.host.charge_bytes(u64::from(len))?;
        Ok(text(self.memory.bytes(at, len)?)?.to_owned())
    }

    fn walk(&mut self, path: Path, follow: bool) -> HostResult<Place> {
        let base = self.fds.dir(path.dir)?;
        let name = self.text(path.at, path.len)?;
        self.host.vfs.walk(base, &name, follow)
    }

    pub(super) fn path_open(
        &mut self,
        path: Path,
        lookup: u32,
        how: u32,
        rights: u64,
        flags: u32,
        out: u32,
    ) -> Reply {
        if how > 15 {
            return Err(Errno::Invalid.into());
        }
        let flags = super::files::check_flags(flags)?;
        if !self.fds.has_room() {
            return Err(Errno::TooManyFiles.into());
        }
        let follow = lookup & 1 != 0 && how & EXCLUSIVE == 0;
        let place = self.walk(path, follow)?;
        let write = rights & RIGHT_WRITE != 0;
        let node = match place.node {
            Some(_) if how & CREATE != 0 && how & EXCLUSIVE != 0 => {
                return Err(Errno::Exist.into());
            }
            Some(_) => place.existing(&self.host.vfs)?,
            None if how & CREATE != 0 => {
                if how & DIRECTORY != 0 {
                    return Err(Errno::Invalid.into());
                }
                self.host.vfs.create_file(&place)?
            }
            None => return Err(Errno::NoEntry.into()),
        };
        match self.host.vfs.kind(node) {
            FileKind::Link if how & DIRECTORY != 0 => return Err(Errno::NotDir.into()),
            FileKind::Link => return Err(Errno::Loop.into()),
            FileKind::File if how & DIRECTORY != 0 => return Err(Errno::NotDir.into()),
            FileKind::File if write && !self.host.vfs.writable(node) => {
                return Err(Errno::ReadOnly.into());
            }
            FileKind::Dir if write || how & TRUNCATE != 0 => return Err(Errno::IsDir.into()),
            _ => {}
        }
        if how & TRUNCATE != 0 {
            self.host.resize_file(node, 0, true)?;
        }
        let fd = Fd::open(&mut self.host.vfs, node, rights, flags);
        let fd = self.fds.insert(fd)?;
        Ok(self.memory.set_u32(out, fd)?)
    }

    pub(super) fn path_create_directory(&mut self, path: Path) -> Reply {
        let place = self.walk(path, false)?;
        self.host.vfs.create_dir(&place)?;
        Ok(())
    }

    pub(super) fn path_remove_directory(&mut self, path: Path) -> Reply {
        let place = self.walk(path, false)?;
        self.host.vfs.remove_dir(&place)
    }

    pub(super) fn path_unlink_file(&mut self, path: Path) -> Reply {
        let place = self.walk(path, false)?;
        self.host.vfs.unlink(&place)
    }

    pub(super) fn path_filestat_get(&mut self, path: Path, lookup: u32, out: u32) -> Reply {
        let place = self.walk(path, lookup & 1 != 0)?;
        let node = place.existing(&self.host.vfs)?;
        let stat = self.host.vfs.stat(node)?;
        self.write_stat(out, &stat)
    }

    pub(super) fn path_filestat_set_times(
        &mut self,
        path: Path,
        lookup: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Reply {
        let place = self.walk(path, lookup & 1 != 0)?;
        let node = place.existing(&self.host.vfs)?;
        self.set_times(node, accessed, modified, flags)
    }

    pub(super) fn path_link(&mut self, lookup: u32, from: Path, to: Path) -> Reply {
        let from = self.walk(from, lookup & 1 != 0)?;
        let to = self.walk(to, false)?;
        self.host.vfs.hard_link(&from, &to)
    }

    pub(super) fn path_rename(&mut self, from: Path, to: Path) -> Reply {
        let from = self.walk(from, false)?;
        let to = self.walk(to, false)?;
        self.host.vfs.rename(&from, &to)
    }

    pub(super) fn path_symlink(&mut self, target: (u32, u32), path: Path) -> Reply {
        let target = self.text(target.0, target.1)?;
        let place = self.walk(path, false)?;
        self.host.vfs.create_link(&place, &target)?;
        Ok(())
    }

    pub(super) fn path_readlink(&mut self, path: Path, at: u32, len: u32, out: u32) -> Reply {
        let place = self.walk(path, false)?;
        let node = place.existing(&self.host.vfs)?;
        let target = self.host.vfs.link_target(node)?;
        let bytes = u32::try_from(target.len()).map_err(|_| Errno::Invalid)?.min(len);
        self.memory.write(at, &target.as_bytes()[..bytes as usize])?;
        Ok(self.memory.set_u32(out, bytes)?)
    }
}

const _: () = assert!(DIR_RIGHTS & RIGHT_WRITE == 0);
