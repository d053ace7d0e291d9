//! From a path to a place, and from a directory to its listing.
//!
//! A walk never leaves the directory it starts in: `..` above it and absolute paths are refused,
//! as WASI demands; the start is `/` for whoever wants everything.

use ayni_types::limits;

use super::{Dir, FileKind, Kind, Listed, NodeId, OUT, ROOT, Vfs};
use crate::contract;
use crate::errno::{Errno, HostResult};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory of the last component; for a path that ends in `.` or `..` the directory
    /// itself, with an empty `name`.
    pub dir: NodeId,
    /// The last component, maybe of nothing that exists.
    pub name: String,
    /// What is there.
    pub node: Option<NodeId>,
    /// The path ended in a slash: it must be a directory.
    pub slash: bool,
}

impl Place {
    /// What is there, checked against a trailing slash.
    ///
    /// # Errors
    /// When nothing is there, or no directory where the path says so.
    pub fn existing(&self, vfs: &Vfs) -> Result<NodeId, Errno> {
        let node = self.node.ok_or(Errno::NoEntry)?;
        if self.slash && vfs.kind(node) != FileKind::Dir {
            return Err(Errno::NotDir);
        }
        Ok(node)
    }
}

impl Vfs {
    /// Walks `path` from `base`; follows a symbolic link at its end if `follow`.
    ///
    /// # Errors
    /// As POSIX and WASI have it.
    pub fn walk(&mut self, base: NodeId, path: &str, follow: bool) -> HostResult<Place> {
        if path.is_empty() {
            return Err(Errno::NoEntry.into());
        }
        if path.len() > limits::GUEST_PATH_BYTES_MAX {
            return Err(Errno::NameTooLong.into());
        }
        if path.starts_with('/') {
            return Err(Errno::NotCapable.into());
        }
        if path.contains('\0') {
            return Err(Errno::Invalid.into());
        }
        if self.dir(base).is_none() {
            return Err(Errno::NotDir.into());
        }
        let mut follows = 0;
        let mut way = vec![base];
        let place = self.walk_on(&mut way, path, follow, &mut follows)?;
        Ok(place)
    }

    fn walk_on(
        &mut self,
        way: &mut Vec<NodeId>,
        path: &str,
        follow: bool,
        follows: &mut usize,
    ) -> HostResult<Place> {
        let slash = path.ends_with('/');
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        for (at, part) in parts.iter().enumerate() {
            self.steps += contract::PATH_STEP_FUEL;
            let here = *way.last().expect("the way holds its base");
            let last = at + 1 == parts.len();
            match *part {
                "." => continue,
                ".." => {
                    if way.len() == 1 {
                        return Err(Errno::NotCapable.into());
                    }
                    way.pop();
                    continue;
                }
                _ => {}
            }
            let dir = self.home(here, part);
            let node = self.entry(dir, part).map(|e| e.node);
            let link = node.and_then(|n| match &self.node(n).kind {
                Kind::Link(target) if !last || follow || slash => Some(target.clone()),
                _ => None,
            });
            if let Some(target) = link {
                *follows += 1;
                if *follows > contract::LINKS_FOLLOWED_MAX {
                    return Err(Errno::Loop.into());
                }
                let mut found = self.walk_on(way, &target, true, follows)?;
                if last {
                    found.slash |= slash;
                    return Ok(found);
                }
                let Some(node) = found.node else { return Err(Errno::NoEntry.into()) };
                if self.dir(node).is_none() {
                    return Err(Errno::NotDir.into());
                }
                if !found.name.is_empty() {
                    way.push(node);
                }
                continue;
            }
            if last {
                return Ok(Place { dir, name: (*part).to_owned(), node, slash });
            }
            let node = node.ok_or(Errno::NoEntry)?;
            if self.dir(node).is_none() {
                return Err(Errno::NotDir.into());
            }
            way.push(node);
        }
        let here = *way.last().expect("the way holds its base");
        Ok(Place { dir: here, name: String::new(), node: Some(here), slash: false })
    }

    /// The directory that really holds `name`: in the root, whatever is not part of it is in
    /// `/out`.
    pub(super) fn home(&self, dir: NodeId, name: &str) -> NodeId {
        if dir == ROOT && self.entry(ROOT, name).is_none() { OUT } else { dir }
    }

    /// Up to `count` entries of `dir` after the entry `after` (a name), sorted by name.
    ///
    /// # Errors
    /// [`Errno::NotDir`].
    pub fn list(
        &mut self,
        dir: NodeId,
        after: Option<&str>,
        count: usize,
    ) -> HostResult<Vec<Listed>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let here = self.dir(dir).ok_or(Errno::NotDir)?;
        let range = |d: &Dir, hidden: Option<&Dir>| -> Vec<(String, super::Entry)> {
            d.entries
                .range::<str, _>((from, Unbounded))
                .filter(|(name, _)| !hidden.is_some_and(|h| h.entries.contains_key(*name)))
                .take(count)
                .map(|(name, entry)| (name.clone(), *entry))
                .collect()
        };
        let mut found = range(here, None);
        if dir == ROOT {
            found.extend(self.dir(OUT).map(|out| range(out, Some(here))).unwrap_or_default());
            found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            found.truncate(count);
        }
        self.steps += found.len() as u64 * contract::ENTRY_FUEL;
        Ok(found
            .into_iter()
            .map(|(name, entry)| {
                let node = self.node(entry.node);
                Listed { serial: entry.serial, name, inode: node.inode, kind: node.file_kind() }
            })
            .collect())
    }

    /// The name of the entry with this serial, for a listing resumed from afar.
    pub fn name_of_serial(&mut self, dir: NodeId, serial: u64) -> Option<String> {
        let mut seen = 0;
        let mut found = None;
        for d in [Some(dir), (dir == ROOT).then_some(OUT)].into_iter().flatten() {
            for (name, entry) in self.dir(d).into_iter().flat_map(|d| &d.entries) {
                seen += 1;
                if entry.serial == serial {
                    found = Some(name.clone());
                    break;
                }
            }
        }
        self.steps += seen * contract::ENTRY_FUEL;
        found
    }

    /// A directory's parent; the root's is itself.
    #[must_use]
    pub fn parent(&self, dir: NodeId) -> NodeId {
        self.dir(dir).map_or(dir, |d| d.parent)
    }

    /// Where a symbolic link points.
    ///
    /// # Errors
    /// [`Errno::Invalid`] when it is none.
    pub fn link_target(&self, id: NodeId) -> Result<&str, Errno> {
        match &self.node(id).kind {
            Kind::Link(target) => Ok(target),
            _ => Err(Errno::Invalid),
        }
    }
}
