//! The descriptor table of a preview 1 guest.

use crate::contract;
use crate::errno::Errno;
use crate::vfs::{FileKind, NodeId, ROOT, Vfs};

pub(super) const RIGHT_READ: u64 = 1 << 1;
pub(super) const RIGHT_WRITE: u64 = 1 << 6;
const RIGHT_POLL: u64 = 1 << 27;
const RIGHT_FILESTAT_GET: u64 = 1 << 21;

/// datasync, read, seek, set flags, sync, tell, write, advise, allocate, filestat get, set size,
/// set times, poll.
const FILE_RIGHTS: u64 = 0x1ff | (0b111 << 21) | RIGHT_POLL;
/// Everything by path but setting a size, listing, filestat get and set times.
pub(super) const DIR_RIGHTS: u64 =
    (0x3_fe00 | (1 << 18) | (1 << 20) | (1 << 24) | (1 << 25) | (1 << 26))
        | RIGHT_FILESTAT_GET
        | (1 << 23);
pub(super) const DIR_INHERITING: u64 = DIR_RIGHTS | FILE_RIGHTS;

pub(super) const FLAG_APPEND: u16 = 1;

/// What a descriptor stands for.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Stdin,
    Stdout,
    Stderr,
    File { node: NodeId, position: u64 },
    Dir { node: NodeId, preopened: bool, listed: Vec<(u64, String)> },
}

/// An open descriptor.
#[derive(Debug, Clone)]
pub(super) struct Fd {
    pub(super) target: Target,
    pub(super) rights: u64,
    pub(super) inheriting: u64,
    pub(super) flags: u16,
}

/// All descriptors.
#[derive(Debug)]
pub struct Fds(Vec<Option<Fd>>);

impl Fds {
    /// The three standard streams and `/` as descriptor 3.
    pub fn new(vfs: &mut Vfs) -> Self {
        let stream = |target, rights| {
            Some(Fd {
                target,
                rights: rights | RIGHT_POLL | RIGHT_FILESTAT_GET,
                inheriting: 0,
                flags: 0,
            })
        };
        let mut root = Fd::open(vfs, ROOT, 0, 0);
        if let Target::Dir { preopened, .. } = &mut root.target {
            *preopened = true;
        }
        Self(vec![
            stream(Target::Stdin, RIGHT_READ),
            stream(Target::Stdout, RIGHT_WRITE),
            stream(Target::Stderr, RIGHT_WRITE),
            Some(root),
        ])
    }

    pub(super) fn fd(&mut self, fd: u32) -> Result<&mut Fd, Errno> {
        self.0.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BadFd)
    }

    /// A file's node and its descriptor.
    pub(super) fn file(&mut self, fd: u32) -> Result<(NodeId, &mut Fd), Errno> {
        let fd = self.fd(fd)?;
        match fd.target {
            Target::File { node, .. } => Ok((node, fd)),
            Target::Dir { .. } => Err(Errno::BadFd),
            Target::Stdin | Target::Stdout | Target::Stderr => Err(Errno::NotSeekable),
        }
    }

    /// A directory's node.
    pub(super) fn dir(&mut self, fd: u32) -> Result<NodeId, Errno> {
        match self.fd(fd)?.target {
            Target::Dir { node, .. } => Ok(node),
            _ => Err(Errno::NotDir),
        }
    }

    pub(super) fn insert(&mut self, fd: Fd) -> Result<u32, Errno> {
        let at = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if at >= contract::OPEN_FILES_MAX {
            return Err(Errno::TooManyFiles);
        }
        if at == self.0.len() {
            self.0.push(Some(fd));
        } else {
            self.0[at] = Some(fd);
        }
        u32::try_from(at).map_err(|_| Errno::TooManyFiles)
    }

    pub(super) fn has_room(&self) -> bool {
        self.0.len() < contract::OPEN_FILES_MAX || self.0.iter().any(Option::is_none)
    }

    pub(super) fn close(&mut self, vfs: &mut Vfs, fd: u32) -> Result<(), Errno> {
        let slot = self.0.get_mut(fd as usize).ok_or(Errno::BadFd)?;
        let closed = slot.take().ok_or(Errno::BadFd)?;
        if let Target::File { node, .. } | Target::Dir { node, .. } = closed.target {
            vfs.release(node);
        }
        Ok(())
    }

    pub(super) fn renumber(&mut self, vfs: &mut Vfs, from: u32, to: u32) -> Result<(), Errno> {
        self.fd(from)?;
        self.fd(to)?;
        if from != to {
            self.close(vfs, to)?;
            self.0.swap(from as usize, to as usize);
        }
        Ok(())
    }
}

impl Fd {
    /// Opens a node; of what is asked for only reading and writing matter.
    pub(super) fn open(vfs: &mut Vfs, node: NodeId, asked: u64, flags: u16) -> Self {
        vfs.retain(node);
        if vfs.kind(node) == FileKind::Dir {
            let target = Target::Dir { node, preopened: false, listed: Vec::new() };
            return Self { target, rights: DIR_RIGHTS, inheriting: DIR_INHERITING, flags };
        }
        let access = asked & (RIGHT_READ | RIGHT_WRITE);
        let rights = (FILE_RIGHTS & !(RIGHT_READ | RIGHT_WRITE)) | access;
        Self { target: Target::File { node, position: 0 }, rights, inheriting: 0, flags }
    }

    pub(super) fn need(&self, right: u64) -> Result<(), Errno> {
        if self.rights & right == right { Ok(()) } else { Err(Errno::BadFd) }
    }

    /// WASI's number for what it is.
    pub(super) fn file_type(&self) -> u8 {
        match self.target {
            // Neither a terminal nor anything that can be sought in.
            Target::Stdin | Target::Stdout | Target::Stderr => 0,
            Target::Dir { .. } => 3,
            Target::File { .. } => 4,
        }
    }
}
