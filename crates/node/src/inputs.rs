//! Everything a task reads: its program, standard input, mounts, and the files of mounted trees.

use std::collections::{BTreeMap, BTreeSet};

use ayni_store::{Blobs, StoreError};
use ayni_types::{BlobRef, Digest, MountKind, TaskSpec, Tree, limits};

/// The inputs of a task, by digest, with their lengths in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Without the program.
    pub(crate) data: BTreeMap<Digest, u64>,
    /// Length of the program.
    pub(crate) program_bytes: u64,
}

impl Inputs {
    /// Declared bytes: each input once, the program not counted.
    pub(crate) fn bytes(&self) -> u64 {
        self.data.values().sum()
    }
}

/// Why the inputs can't be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputsError {
    /// These are not held here.
    #[error("{} input blobs are not held here, first {}", .0.len(), .0[0])]
    Missing(Vec<Digest>),
    /// A mounted tree is no tree.
    #[error("tree {0} is not valid: {1}")]
    BadTree(Digest, String),
    /// Reading failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Largest tree description read, in bytes.
const TREE_BYTES_MAX: u64 = 16 << 20;

/// Reads a tree.
pub(crate) fn read_tree(blobs: &Blobs, digest: &Digest) -> Result<Tree, InputsError> {
    let bad = |why: String| InputsError::BadTree(*digest, why);
    let Some(bytes) = blobs.read(digest, TREE_BYTES_MAX)? else {
        return Err(if blobs.size(digest).is_none() {
            InputsError::Missing(vec![*digest])
        } else {
            bad(format!("it is longer than {TREE_BYTES_MAX} bytes"))
        });
    };
    let tree: Tree = ayni_wire::decode(&bytes).map_err(|error| bad(error.to_string()))?;
    ayni_wire::check_tree(&tree).map_err(|error| bad(error.to_string()))?;
    Ok(tree)
}

/// Lists the inputs of a task; all of them must be held here.
pub(crate) fn inputs(blobs: &Blobs, task: &TaskSpec) -> Result<Inputs, InputsError> {
    let mut missing = Vec::new();
    let mut size = |digest: &Digest| -> Result<u64, StoreError> {
        match blobs.size(digest) {
            Some(bytes) => Ok(bytes),
            None => {
                missing.push(*digest);
                Ok(0)
            }
        }
    };
    let program_bytes = size(&task.program)?.min(limits::PROGRAM_BYTES_MAX);
    let mut data = BTreeMap::new();
    if let Some(stdin) = task.stdin {
        data.insert(stdin, size(&stdin)?);
    }
    for mount in &task.mounts {
        data.insert(mount.blob, size(&mount.blob)?);
        if mount.kind == MountKind::Tree && blobs.size(&mount.blob).is_some() {
            for entry in read_tree(blobs, &mount.blob)?.entries {
                let bytes = size(&entry.blob)?;
                if bytes != entry.size && blobs.size(&entry.blob).is_some() {
                    let why = format!("`{}` has {bytes} bytes, not {}", entry.path, entry.size);
                    return Err(InputsError::BadTree(mount.blob, why));
                }
                data.insert(entry.blob, bytes);
            }
        }
    }
    if missing.is_empty() {
        Ok(Inputs { data, program_bytes })
    } else {
        Err(InputsError::Missing(missing))
    }
}

/// What tasks read, each once, and whether it is a tree.
pub(crate) fn blobs_of(tasks: &[TaskSpec]) -> BTreeSet<(Digest, MountKind)> {
    let mounts = tasks.iter().flat_map(|task| task.mounts.iter().map(|m| (m.blob, m.kind)));
    let files = tasks.iter().flat_map(|task| task.stdin.into_iter().chain([task.program]));
    mounts.chain(files.map(|digest| (digest, MountKind::File))).collect()
}

/// Lengths of those that are held here; a tree's with all its files. What is no tree has no length.
pub(crate) fn sizes(
    blobs: &Blobs,
    read: &BTreeSet<(Digest, MountKind)>,
) -> Result<Vec<BlobRef>, StoreError> {
    let mut sizes: BTreeMap<Digest, u64> = BTreeMap::new();
    for (digest, kind) in read {
        let Some(mut size) = blobs.size(digest) else { continue };
        if *kind == MountKind::Tree {
            size = match read_tree(blobs, digest) {
                Ok(tree) => tree.entries.iter().fold(size, |sum, e| sum.saturating_add(e.size)),
                Err(InputsError::Store(error)) => return Err(error),
                Err(_) => continue,
            };
        }
        // One blob may be read both ways.
        let known = sizes.entry(*digest).or_default();
        *known = size.max(*known);
    }
    Ok(sizes.into_iter().map(|(digest, size)| BlobRef { digest, size }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_store::Area;
    use ayni_types::{EngineId, GuestPath, Limits, Mount, TreeEntry};

    #[test]
    fn every_file_of_a_tree_is_an_input_and_what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), 0).unwrap();
        let put = |bytes: &[u8]| blobs.insert(Area::Kept, bytes).unwrap();
        let tree = |size| Tree {
            entries: vec![TreeEntry { path: "a/b".into(), blob: ayni_wire::digest(b"xyz"), size }],
        };
        let task = |tree: &Tree| TaskSpec {
            engine: EngineId::wasi1(),
            program: put(b"program"),
            args: vec!["p".into()],
            env: vec![],
            stdin: Some(put(b"in")),
            mounts: vec![Mount {
                path: GuestPath::new("/d").unwrap(),
                kind: MountKind::Tree,
                blob: put(&ayni_wire::encode(tree)),
            }],
            limits: Limits::default(),
            blind: None,
        };
        let good = task(&tree(3));
        match inputs(&blobs, &good) {
            Err(InputsError::Missing(missing)) => assert_eq!(missing, [ayni_wire::digest(b"xyz")]),
            other => panic!("{other:?}"),
        }
        put(b"xyz");
        let found = inputs(&blobs, &good).unwrap();
        assert_eq!(found.program_bytes, 7);
        assert_eq!(found.data.len(), 3);
        let tree_bytes = ayni_wire::encode(&tree(3)).len() as u64;
        let lengths = sizes(&blobs, &blobs_of(std::slice::from_ref(&good))).unwrap();
        let length = |digest| lengths.iter().find(|b| b.digest == digest).map(|b| b.size);
        assert_eq!(length(good.program), Some(7));
        assert_eq!(length(good.mounts[0].blob), Some(tree_bytes + 3));
        assert_eq!(lengths.iter().map(|b| b.size).sum::<u64>(), found.bytes() + 7);
        assert!(matches!(inputs(&blobs, &task(&tree(4))), Err(InputsError::BadTree(..))));
        let climbing = Tree {
            entries: vec![TreeEntry { path: "../b".into(), blob: ayni_wire::digest(b""), size: 0 }],
        };
        assert!(matches!(inputs(&blobs, &task(&climbing)), Err(InputsError::BadTree(..))));
    }
}
