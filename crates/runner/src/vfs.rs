//! The guest's whole world of files, in memory.
//!
//! ```text
//! /            what programs call the working directory: mounts, /tmp and /out, and, under them,
//!              what lies in /out: creating `/a.png` or `a.png` creates `/out/a.png`
//! /in/…        mounts: read-only; contents come from the daemon when first opened
//! /tmp         scratch, thrown away
//! /out         becomes the task's output files
//! ```
//! Everything is a function of the task: listings are sorted by name, inode numbers count up, times
//! are the virtual clock's. Moving between `/tmp` and `/out` is moving between devices. Both
//! interfaces, preview 1 and 2, stand on this one. Deliberately not here: descriptors (in
//! `host`), fuel (callers charge for [`Vfs::take_steps`]).

mod change;
mod content;
mod walk;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ayni_types::{Digest, FaultKind, GuestPath, Tree, limits};

use crate::contract;
use crate::errno::{Errno, HostResult};
use crate::mapped::Mapped;
use crate::stop::Stop;

pub use walk::Place;

/// Where inputs come from.
pub trait Blobs: Send {
    /// The bytes of an input.
    ///
    /// # Errors
    /// A fault when it can't be had.
    fn open(&mut self, digest: Digest) -> Result<Mapped, Stop>;
}

/// A file, directory or link. Valid while something refers to it: a directory entry or a count of
/// [`Vfs::retain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// The root, `/`.
pub const ROOT: NodeId = NodeId(0);
const TMP: NodeId = NodeId(1);
const OUT: NodeId = NodeId(2);

/// Which part of the world a node belongs to; links and renames stay inside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    ReadOnly,
    Tmp,
    Out,
}

#[derive(Debug)]
struct Node {
    area: Area,
    kind: Kind,
    /// Directory entries that point here.
    links: u32,
    /// Open descriptors that point here.
    opens: u32,
    inode: u64,
    modified_ns: u64,
    accessed_ns: u64,
    changed_ns: u64,
}

#[derive(Debug)]
enum Kind {
    Dir(Dir),
    Blob { digest: Digest, declared: Option<u64>, data: Option<Arc<Mapped>> },
    File(Vec<u8>),
    Link(String),
}

#[derive(Debug)]
struct Dir {
    parent: NodeId,
    /// Length of its name, so that the length of a path is known without searching.
    name_bytes: usize,
    entries: BTreeMap<String, Entry>,
}

/// An entry's serial is its place in listings that are resumed.
#[derive(Debug, Clone, Copy)]
struct Entry {
    node: NodeId,
    serial: u64,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FileKind {
    Dir,
    File,
    Link,
}

/// What can be asked about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Its number, never reused within a task.
    pub inode: u64,
    /// Names it has.
    pub links: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last reading, virtual time.
    pub accessed_ns: u64,
    /// Last writing, virtual time.
    pub modified_ns: u64,
    /// Last change of anything, virtual time.
    pub changed_ns: u64,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where to resume after it.
    pub serial: u64,
    /// Its name.
    pub name: String,
    /// Its inode number.
    pub inode: u64,
    /// What it is.
    pub kind: FileKind,
}

/// The file system of one task.
pub struct Vfs {
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    blobs: Box<dyn Blobs>,
    /// Files opened before, so that each input is asked for once.
    opened: BTreeMap<Digest, Arc<Mapped>>,
    inode_next: u64,
    serial_next: u64,
    /// Names the guest has made, each with what it names.
    created: usize,
    /// Those of them that are files or links under `/out`.
    out_entries: usize,
    bytes_used: u64,
    bytes_max: u64,
    steps: u64,
    /// The virtual clock as last told, for time stamps.
    pub now_ns: u64,
}

impl fmt::Debug for Vfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vfs").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

impl Vfs {
    /// A world with `/tmp` and `/out` in it, that may hold `bytes_max` bytes of output.
    #[must_use]
    pub fn new(blobs: Box<dyn Blobs>, bytes_max: u64) -> Self {
        let mut vfs = Self {
            nodes: Vec::new(),
            free: Vec::new(),
            blobs,
            opened: BTreeMap::new(),
            inode_next: 1,
            serial_next: 3,
            created: 0,
            out_entries: 0,
            bytes_used: 0,
            bytes_max,
            steps: 0,
            now_ns: contract::START_NS,
        };
        let root = vfs.add(Area::ReadOnly, Kind::Dir(Dir::new(ROOT)));
        debug_assert_eq!(root, ROOT);
        for (name, area, id) in [("tmp", Area::Tmp, TMP), ("out", Area::Out, OUT)] {
            let node = vfs.add(area, Kind::Dir(Dir::new(ROOT)));
            debug_assert_eq!(node, id);
            vfs.enter(ROOT, name, node);
        }
        vfs
    }

    /// Makes `digest` visible at `path`. Mounts come before anything the guest does, sorted and
    /// without overlaps, as `check_task` demands.
    pub fn mount_file(&mut self, path: &GuestPath, digest: Digest) {
        self.mount(ROOT, &path.as_str()[1..], Kind::Blob { digest, declared: None, data: None });
    }

    /// Makes the entries of the tree that `digest` names visible under `path`.
    ///
    /// # Errors
    /// A fault when the tree can't be had or is not one.
    pub fn mount_tree(&mut self, path: &GuestPath, digest: Digest) -> Result<(), Stop> {
        let bytes = self.blobs.open(digest)?;
        let bad = |why: String| {
            Stop::fault(FaultKind::InputUnavailable, format!("mount `{path}`: {why}"))
        };
        let tree: Tree = ayni_wire::decode(&bytes).map_err(|e| bad(e.to_string()))?;
        ayni_wire::check_tree(&tree).map_err(|e| bad(e.to_string()))?;
        let base = self.mount(ROOT, &path.as_str()[1..], Kind::Dir(Dir::new(ROOT)));
        for entry in tree.entries {
            let kind = Kind::Blob { digest: entry.blob, declared: Some(entry.size), data: None };
            self.mount(base, &entry.path, kind);
        }
        Ok(())
    }

    fn mount(&mut self, base: NodeId, path: &str, kind: Kind) -> NodeId {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = base;
        for part in parents.split('/').filter(|p| !p.is_empty()) {
            dir = match self.entry(dir, part) {
                Some(entry) => entry.node,
                None => {
                    let made = self.add(Area::ReadOnly, Kind::Dir(Dir::new(dir)));
                    self.enter(dir, part, made);
                    made
                }
            };
        }
        let kind = match kind {
            Kind::Dir(_) => Kind::Dir(Dir::new(dir)),
            other => other,
        };
        let node = self.add(Area::ReadOnly, kind);
        self.enter(dir, name, node);
        node
    }

    /// What a node is, and its size and times.
    ///
    /// # Errors
    /// A fault when its size is known only by fetching it and that fails.
    pub fn stat(&mut self, id: NodeId) -> HostResult<Stat> {
        let size = self.size(id)?;
        let node = self.node(id);
        let kind = node.file_kind();
        Ok(Stat {
            kind,
            inode: node.inode,
            // A directory has its name, its own `.` and each child's `..`: programs expect 2.
            links: if kind == FileKind::Dir { 2 } else { u64::from(node.links) },
            size,
            accessed_ns: node.accessed_ns,
            modified_ns: node.modified_ns,
            changed_ns: node.changed_ns,
        })
    }

    /// What a node is.
    #[must_use]
    pub fn kind(&self, id: NodeId) -> FileKind {
        self.node(id).file_kind()
    }

    /// Whether the guest may write there.
    #[must_use]
    pub fn writable(&self, id: NodeId) -> bool {
        id == ROOT || self.node(id).area != Area::ReadOnly
    }

    /// Counts one more descriptor on a node.
    pub fn retain(&mut self, id: NodeId) {
        self.node_mut(id).opens += 1;
    }

    /// Counts one descriptor less; a node without names and descriptors is gone.
    pub fn release(&mut self, id: NodeId) {
        self.node_mut(id).opens -= 1;
        self.drop_if_unused(id);
    }

    /// Work done since last asked, in fuel: path steps, entries visited, inputs opened.
    pub fn take_steps(&mut self) -> u64 {
        std::mem::take(&mut self.steps)
    }

    /// Counts bytes of standard output and error against the same limit as files.
    ///
    /// # Errors
    /// [`Errno::NoSpace`] when they do not fit.
    pub fn take_bytes(&mut self, bytes: u64) -> Result<(), Errno> {
        let used = self.bytes_used.checked_add(bytes).ok_or(Errno::NoSpace)?;
        if used > self.bytes_max {
            return Err(Errno::NoSpace);
        }
        self.bytes_used = used;
        Ok(())
    }

    /// The regular files under `/out` with their relative paths, sorted by path.
    #[must_use]
    pub fn outputs(&self) -> Vec<(String, &[u8])> {
        let mut found = Vec::new();
        let mut todo = vec![(String::new(), OUT)];
        while let Some((prefix, dir)) = todo.pop() {
            let Kind::Dir(dir) = &self.node(dir).kind else { continue };
            for (name, entry) in &dir.entries {
                let path = format!("{prefix}{name}");
                match &self.node(entry.node).kind {
                    Kind::Dir(_) => todo.push((format!("{path}/"), entry.node)),
                    Kind::File(data) => found.push((path, data.as_slice())),
                    Kind::Link(_) | Kind::Blob { .. } => {}
                }
            }
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes[id.0 as usize].as_ref().expect("ids are held only while the node lives")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id.0 as usize].as_mut().expect("ids are held only while the node lives")
    }

    fn dir(&self, id: NodeId) -> Option<&Dir> {
        match &self.node(id).kind {
            Kind::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    fn dir_mut(&mut self, id: NodeId) -> &mut Dir {
        match &mut self.node_mut(id).kind {
            Kind::Dir(dir) => dir,
            _ => unreachable!("only directories are walked into"),
        }
    }

    fn entry(&self, dir: NodeId, name: &str) -> Option<Entry> {
        self.dir(dir).and_then(|d| d.entries.get(name)).copied()
    }

    fn add(&mut self, area: Area, kind: Kind) -> NodeId {
        let node = Node {
            area,
            kind,
            links: 0,
            opens: 0,
            inode: self.inode_next,
            modified_ns: self.now_ns,
            accessed_ns: self.now_ns,
            changed_ns: self.now_ns,
        };
        self.inode_next += 1;
        if let Some(id) = self.free.pop() {
            self.nodes[id.0 as usize] = Some(node);
            return id;
        }
        let id = u32::try_from(self.nodes.len()).expect("mounts and created files are limited");
        self.nodes.push(Some(node));
        NodeId(id)
    }

    fn enter(&mut self, dir: NodeId, name: &str, node: NodeId) {
        let serial = self.serial_next;
        self.serial_next += 1;
        let now = self.now_ns;
        self.dir_mut(dir).entries.insert(name.to_owned(), Entry { node, serial });
        self.node_mut(dir).touch(now);
        let node = self.node_mut(node);
        node.links += 1;
        node.changed_ns = now;
        if let Kind::Dir(entered) = &mut node.kind {
            entered.parent = dir;
            entered.name_bytes = name.len();
        }
    }

    fn drop_if_unused(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.links > 0 || node.opens > 0 {
            return;
        }
        if let Kind::File(data) = &node.kind {
            self.bytes_used -= data.len() as u64;
        }
        self.nodes[id.0 as usize] = None;
        self.free.push(id);
    }
}

impl Node {
    fn file_kind(&self) -> FileKind {
        match self.kind {
            Kind::Dir(_) => FileKind::Dir,
            Kind::Link(_) => FileKind::Link,
            Kind::Blob { .. } | Kind::File(_) => FileKind::File,
        }
    }

    fn touch(&mut self, now_ns: u64) {
        self.modified_ns = now_ns;
        self.changed_ns = now_ns;
    }
}

impl Dir {
    fn new(parent: NodeId) -> Self {
        Self { parent, name_bytes: 0, entries: BTreeMap::new() }
    }
}

/// Whether a name may be created: what a name in an output must obey.
fn check_name(name: &str) -> Result<(), Errno> {
    if name.len() > limits::GUEST_NAME_BYTES_MAX {
        return Err(Errno::NameTooLong);
    }
    if name.chars().any(char::is_control) {
        return Err(Errno::IllegalBytes);
    }
    Ok(())
}
