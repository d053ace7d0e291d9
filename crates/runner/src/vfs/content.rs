//! Reading and writing what files hold.

use std::sync::Arc;

use super::{Area, Kind, NodeId, Vfs};
use crate::contract;
use crate::errno::{Errno, HostResult};
use crate::mapped::Mapped;
use crate::stop::Stop;

impl Vfs {
    /// Opens an input on its own, without a name (standard input).
    ///
    /// # Errors
    /// A fault when it can't be had.
    pub fn open_blob(&mut self, digest: ayni_types::Digest) -> Result<Arc<Mapped>, Stop> {
        if let Some(data) = self.opened.get(&digest) {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(self.blobs.open(digest)?);
        self.opened.insert(digest, Arc::clone(&data));
        Ok(data)
    }

    /// A file's length; of a directory or link something fixed.
    ///
    /// # Errors
    /// A fault when it is known only by fetching and that fails.
    pub fn size(&mut self, id: NodeId) -> HostResult<u64> {
        match &self.node(id).kind {
            Kind::Dir(_) => Ok(0),
            Kind::Link(target) => Ok(target.len() as u64),
            Kind::File(data) => Ok(data.len() as u64),
            Kind::Blob { declared: Some(size), .. } => Ok(*size),
            Kind::Blob { .. } => Ok(self.content(id)?.len() as u64),
        }
    }

    /// All bytes of a file from `offset` on; empty past its end.
    ///
    /// # Errors
    /// [`Errno::IsDir`], [`Errno::Invalid`]; a fault when an input can't be had.
    pub fn read(&mut self, id: NodeId, offset: u64) -> HostResult<&[u8]> {
        let bytes = self.content(id)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(&bytes[from..])
    }

    fn content(&mut self, id: NodeId) -> HostResult<&[u8]> {
        if let Kind::Blob { digest, declared, data: None } = &self.node(id).kind {
            let (digest, declared) = (*digest, *declared);
            self.steps += contract::BLOB_FUEL;
            let loaded = self.open_blob(digest)?;
            // A tree that declares another size than its file has reads as broken on every machine.
            if declared.is_some_and(|d| d != loaded.len() as u64) {
                return Err(Errno::Io.into());
            }
            if let Kind::Blob { data, .. } = &mut self.node_mut(id).kind {
                *data = Some(loaded);
            }
        }
        match &self.node(id).kind {
            Kind::Dir(_) => Err(Errno::IsDir.into()),
            Kind::Link(_) => Err(Errno::Invalid.into()),
            Kind::File(data) => Ok(data),
            Kind::Blob { data, .. } => Ok(data.as_deref().map_or(&[], |d| d)),
        }
    }

    /// Bytes that writing `bytes` at `offset` would add between the end and `offset`: zeroes that
    /// are charged for like data.
    pub fn gap(&mut self, id: NodeId, offset: u64) -> u64 {
        match &self.node(id).kind {
            Kind::File(data) => offset.saturating_sub(data.len() as u64),
            _ => 0,
        }
    }

    /// Writes `bytes` at `offset`: all of them or none.
    ///
    /// # Errors
    /// [`Errno::NoSpace`] past the task's limit, [`Errno::ReadOnly`], [`Errno::IsDir`].
    pub fn write(&mut self, id: NodeId, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::FileTooBig)?;
        if bytes.is_empty() {
            return self.file_len(id).map(|_| ());
        }
        self.grow_to(id, end)?;
        let now = self.now_ns;
        let node = self.node_mut(id);
        node.touch(now);
        if let Kind::File(data) = &mut node.kind {
            let from = usize::try_from(offset).map_err(|_| Errno::FileTooBig)?;
            data[from..from + bytes.len()].copy_from_slice(bytes);
        }
        Ok(())
    }

    /// Makes a file at least `end` bytes long, with zeroes.
    ///
    /// # Errors
    /// As [`Vfs::write`].
    pub fn grow_to(&mut self, id: NodeId, end: u64) -> Result<(), Errno> {
        let len = self.file_len(id)?;
        if end <= len {
            return Ok(());
        }
        self.take_bytes(end - len)?;
        let now = self.now_ns;
        let node = self.node_mut(id);
        node.touch(now);
        if let Kind::File(data) = &mut node.kind {
            // The limit above is below the address space on every supported machine.
            data.resize(usize::try_from(end).map_err(|_| Errno::FileTooBig)?, 0);
        }
        Ok(())
    }

    /// Makes a file exactly `size` bytes long.
    ///
    /// # Errors
    /// As [`Vfs::write`].
    pub fn truncate(&mut self, id: NodeId, size: u64) -> Result<(), Errno> {
        let len = self.file_len(id)?;
        if size >= len {
            return self.grow_to(id, size);
        }
        self.bytes_used -= len - size;
        let now = self.now_ns;
        let node = self.node_mut(id);
        node.touch(now);
        if let Kind::File(data) = &mut node.kind {
            data.truncate(usize::try_from(size).map_err(|_| Errno::FileTooBig)?);
            data.shrink_to_fit();
        }
        Ok(())
    }

    /// Sets times, virtual like all others.
    ///
    /// # Errors
    /// [`Errno::ReadOnly`].
    pub fn set_times(
        &mut self,
        id: NodeId,
        accessed_ns: Option<u64>,
        modified_ns: Option<u64>,
    ) -> Result<(), Errno> {
        if self.node(id).area == Area::ReadOnly {
            return Err(Errno::ReadOnly);
        }
        let now = self.now_ns;
        let node = self.node_mut(id);
        node.accessed_ns = accessed_ns.unwrap_or(node.accessed_ns);
        node.modified_ns = modified_ns.unwrap_or(node.modified_ns);
        node.changed_ns = now;
        Ok(())
    }

    fn file_len(&self, id: NodeId) -> Result<u64, Errno> {
        match &self.node(id).kind {
            Kind::File(data) => Ok(data.len() as u64),
            Kind::Dir(_) => Err(Errno::IsDir),
            Kind::Blob { .. } => Err(Errno::ReadOnly),
            Kind::Link(_) => Err(Errno::Invalid),
        }
    }
}
