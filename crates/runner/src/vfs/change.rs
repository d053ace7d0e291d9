//! Creating, removing and moving.

use ayni_types::limits;

use super::{Area, Dir, FileKind, Kind, NodeId, OUT, Place, ROOT, TMP, Vfs, check_name};
use crate::contract;
use crate::errno::{Errno, HostResult};

impl Vfs {
    /// An empty file at a place where nothing is.
    ///
    /// # Errors
    /// As POSIX has it; [`Errno::NoSpace`] past the limit of files.
    pub fn create_file(&mut self, at: &Place) -> HostResult<NodeId> {
        if at.slash {
            return Err(Errno::IsDir.into());
        }
        self.create(at, Kind::File(Vec::new()))
    }

    /// An empty directory.
    ///
    /// # Errors
    /// As [`Vfs::create_file`].
    pub fn create_dir(&mut self, at: &Place) -> HostResult<NodeId> {
        self.create(at, Kind::Dir(Dir::new(at.dir)))
    }

    /// A symbolic link; its target must be relative.
    ///
    /// # Errors
    /// As [`Vfs::create_file`].
    pub fn create_link(&mut self, at: &Place, target: &str) -> HostResult<NodeId> {
        if target.starts_with('/') {
            return Err(Errno::NotCapable.into());
        }
        if target.is_empty() || (at.slash && at.node.is_none()) {
            return Err(Errno::NoEntry.into());
        }
        if at.slash && at.node.is_some_and(|n| self.kind(n) != FileKind::Dir) {
            return Err(Errno::NotDir.into());
        }
        if target.len() > limits::GUEST_PATH_BYTES_MAX {
            return Err(Errno::NameTooLong.into());
        }
        if target.contains('\0') {
            return Err(Errno::Invalid.into());
        }
        self.create(at, Kind::Link(target.to_owned()))
    }

    fn create(&mut self, at: &Place, kind: Kind) -> HostResult<NodeId> {
        if at.node.is_some() {
            return Err(Errno::Exist.into());
        }
        let area = self.room_for_entry(at)?;
        self.room_for_name(area)?;
        let node = self.add(area, kind);
        self.enter_counted(at.dir, &at.name, node);
        Ok(node)
    }

    /// Checks that an entry may be made there, and says in which area.
    fn room_for_entry(&self, at: &Place) -> Result<Area, Errno> {
        let area = self.node(at.dir).area;
        if area == Area::ReadOnly {
            return Err(Errno::ReadOnly);
        }
        let top = matches!(at.dir, ROOT | TMP | OUT);
        if !top && self.node(at.dir).links == 0 {
            return Err(Errno::NoEntry);
        }
        check_name(&at.name)?;
        if self.path_bytes(at.dir) + 1 + at.name.len() >= limits::GUEST_PATH_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        Ok(area)
    }

    /// Checks that one more name fits.
    fn room_for_name(&self, area: Area) -> Result<(), Errno> {
        let out_full = area == Area::Out && self.out_entries >= contract::OUT_FILES_MAX;
        let full = self.created >= contract::CREATED_FILES_MAX;
        if out_full || full { Err(Errno::NoSpace) } else { Ok(()) }
    }

    fn enter_counted(&mut self, dir: NodeId, name: &str, node: NodeId) {
        self.created += 1;
        if self.node(dir).area == Area::Out && self.kind(node) != FileKind::Dir {
            self.out_entries += 1;
        }
        self.enter(dir, name, node);
    }

    /// Takes an entry out of its directory; the node lives on if it has other names or is open.
    fn leave(&mut self, dir: NodeId, name: &str) {
        let now = self.now_ns;
        let Some(entry) = self.dir_mut(dir).entries.remove(name) else { return };
        self.created -= 1;
        self.node_mut(dir).touch(now);
        if self.node(dir).area == Area::Out && self.kind(entry.node) != FileKind::Dir {
            self.out_entries -= 1;
        }
        let node = self.node_mut(entry.node);
        node.links -= 1;
        node.changed_ns = now;
        if let Kind::Dir(dir) = &mut node.kind {
            // A removed directory that is still open must not point at what may go too.
            dir.parent = ROOT;
        }
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// As POSIX has it.
    pub fn unlink(&mut self, at: &Place) -> HostResult<()> {
        let node = at.node.ok_or(Errno::NoEntry)?;
        if self.kind(node) == FileKind::Dir {
            return Err(Errno::IsDir.into());
        }
        if at.slash {
            return Err(Errno::NotDir.into());
        }
        self.writable_entry(at)?;
        self.leave(at.dir, &at.name);
        self.drop_if_unused(node);
        Ok(())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// As POSIX has it.
    pub fn remove_dir(&mut self, at: &Place) -> HostResult<()> {
        let node = at.node.ok_or(Errno::NoEntry)?;
        let Some(dir) = self.dir(node) else { return Err(Errno::NotDir.into()) };
        let empty = dir.entries.is_empty();
        self.writable_entry(at)?;
        if !empty {
            return Err(Errno::NotEmpty.into());
        }
        self.leave(at.dir, &at.name);
        self.drop_if_unused(node);
        Ok(())
    }

    fn writable_entry(&self, at: &Place) -> Result<(), Errno> {
        if at.name.is_empty() {
            return Err(Errno::Invalid);
        }
        if at.dir == ROOT && at.node.is_some_and(|n| n == TMP || n == OUT) {
            return Err(Errno::Busy);
        }
        if self.node(at.dir).area == Area::ReadOnly { Err(Errno::ReadOnly) } else { Ok(()) }
    }

    /// A second name for a file.
    ///
    /// # Errors
    /// As POSIX has it.
    pub fn hard_link(&mut self, from: &Place, to: &Place) -> HostResult<()> {
        let node = from.existing(self)?;
        if self.kind(node) == FileKind::Dir {
            return Err(Errno::NotPermitted.into());
        }
        if to.node.is_some() {
            return Err(Errno::Exist.into());
        }
        if to.slash {
            return Err(Errno::NoEntry.into());
        }
        let area = self.room_for_entry(to)?;
        if self.node(node).area != area {
            return Err(Errno::OtherDevice.into());
        }
        self.room_for_name(area)?;
        self.enter_counted(to.dir, &to.name, node);
        Ok(())
    }

    /// Moves a file or directory, replacing what is at its new place if that is of the same kind.
    ///
    /// # Errors
    /// As POSIX has it.
    pub fn rename(&mut self, from: &Place, to: &Place) -> HostResult<()> {
        let node = from.existing(self)?;
        self.writable_entry(from)?;
        let moved_dir = self.kind(node) == FileKind::Dir;
        if to.slash && !moved_dir {
            return Err(Errno::NotDir.into());
        }
        if to.name.is_empty() {
            return Err(Errno::Busy.into());
        }
        if to.node.is_some() {
            self.writable_entry(to)?;
        }
        let area = self.node(to.dir).area;
        if area == Area::ReadOnly {
            return Err(Errno::ReadOnly.into());
        }
        if area != self.node(node).area {
            return Err(Errno::OtherDevice.into());
        }
        if to.node == Some(node) {
            return Ok(());
        }
        if let Some(old) = to.node {
            match (moved_dir, self.dir(old)) {
                (true, None) => return Err(Errno::NotDir.into()),
                (false, Some(_)) => return Err(Errno::IsDir.into()),
                (true, Some(dir)) if !dir.entries.is_empty() => {
                    return Err(Errno::NotEmpty.into());
                }
                _ => {}
            }
        } else {
            self.room_for_entry(to)?;
        }
        if moved_dir {
            self.check_dir_move(node, to)?;
        }
        if let Some(old) = to.node {
            self.leave(to.dir, &to.name);
            self.drop_if_unused(old);
        }
        // Held, so that taking its only name away does not end it.
        self.node_mut(node).opens += 1;
        self.leave(from.dir, &from.name);
        self.enter_counted(to.dir, &to.name, node);
        self.node_mut(node).opens -= 1;
        Ok(())
    }

    /// A directory must not move into itself, nor its paths become too long.
    fn check_dir_move(&mut self, node: NodeId, to: &Place) -> HostResult<()> {
        let mut up = to.dir;
        while up != ROOT {
            if up == node {
                return Err(Errno::Invalid.into());
            }
            self.steps += contract::PATH_STEP_FUEL;
            up = self.parent(up);
        }
        let base = self.path_bytes(to.dir) + 1 + to.name.len();
        let mut todo = vec![(node, base)];
        while let Some((id, len)) = todo.pop() {
            if len >= limits::GUEST_PATH_BYTES_MAX {
                return Err(Errno::NameTooLong.into());
            }
            if let Some(dir) = self.dir(id) {
                let entries = dir.entries.len() as u64;
                todo.extend(dir.entries.iter().map(|(n, e)| (e.node, len + 1 + n.len())));
                self.steps += entries * contract::ENTRY_FUEL;
            }
        }
        Ok(())
    }

    /// Length of a directory's path below its area's root.
    fn path_bytes(&self, dir: NodeId) -> usize {
        let mut bytes = 0;
        let mut at = dir;
        while !matches!(at, ROOT | TMP | OUT) {
            let Some(here) = self.dir(at) else { break };
            bytes += here.name_bytes + 1;
            at = here.parent;
        }
        bytes
    }
}
