//! Blobs on their way to the daemon: hashed once, sent only if it does not hold them.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ayni_api::{ApiError, Client, codes};
use ayni_types::{Digest, Tree, TreeEntry, limits};
use futures_util::{StreamExt as _, TryStreamExt as _};

/// Uploads at once: enough to keep a loopback connection busy.
const UPLOADS_AT_ONCE: usize = 4;

/// What a job reads, by digest.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    blobs: BTreeMap<Digest, Source>,
    /// Files of each tree, in bytes.
    trees: BTreeMap<Digest, u64>,
}

#[derive(Debug)]
struct Source {
    size: u64,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// A blob that was added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Sources {
    /// Adds a file.
    pub(crate) fn add_file(&mut self, path: &Path) -> Result<Added, ApiError> {
        let failed = |error: std::io::Error| {
            let shown = path.display();
            ApiError::new(codes::INPUT_FILE, format!("can't read `{shown}`: {error}"))
        };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(std::io::ErrorKind::IsADirectory.into()));
        }
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut size = 0;
        loop {
            let count = file.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            size += count as u64;
        }
        let digest = Digest(*hasher.finalize().as_bytes());
        self.blobs.insert(digest, Source { size, origin: Origin::File(path.to_owned()) });
        Ok(Added { digest, size })
    }

    /// Adds bytes.
    pub(crate) fn add_bytes(&mut self, bytes: Vec<u8>) -> Added {
        let added = Added { digest: ayni_wire::digest(&bytes), size: bytes.len() as u64 };
        let origin = Origin::Bytes(bytes);
        self.blobs.insert(added.digest, Source { size: added.size, origin });
        added
    }

    /// Adds every file of a folder, and the tree that names them.
    pub(crate) fn add_folder(&mut self, folder: &Path) -> Result<Added, ApiError> {
        let mut files = Vec::new();
        walk(folder, "", &mut files)?;
        // In component order, as a tree's canonical form wants it.
        files.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
        let mut tree = Tree::default();
        for (path, host) in files {
            let added = self.add_file(&host)?;
            tree.entries.push(TreeEntry { path, blob: added.digest, size: added.size });
        }
        ayni_wire::check_tree(&tree).map_err(|error| {
            let shown = folder.display();
            ApiError::new(codes::INPUT_PATH, format!("folder `{shown}`: {error}"))
        })?;
        let added = self.add_bytes(ayni_wire::encode(&tree));
        let files = tree.entries.iter().map(|entry| entry.size).sum();
        self.trees.insert(added.digest, files);
        Ok(added)
    }

    /// Bytes that a task has which reads this; of a tree, with all its files.
    pub(crate) fn length(&self, digest: Digest) -> u64 {
        let own = self.blobs.get(&digest).map_or(0, |source| source.size);
        own.saturating_add(self.trees.get(&digest).copied().unwrap_or(0))
    }

    /// Bytes in all.
    pub(crate) fn bytes(&self) -> u64 {
        self.blobs.values().map(|source| source.size).sum()
    }

    /// How many blobs.
    pub(crate) fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Sends what the daemon does not hold, telling `progress` the bytes done and in all.
    pub(crate) async fn upload(
        &self,
        client: &Client,
        progress: impl Fn(u64, u64),
    ) -> Result<u64, ApiError> {
        let digests: Vec<_> = self.blobs.keys().copied().collect();
        let missing = client.missing_blobs(&digests).await?;
        let todo: Vec<_> =
            missing.iter().filter_map(|d| self.blobs.get(d).map(|source| (*d, source))).collect();
        let total: u64 = todo.iter().map(|(_, source)| source.size).sum();
        let mut done = 0;
        let mut uploads = futures_util::stream::iter(todo)
            .map(|(digest, source)| send(client, digest, source))
            .buffer_unordered(UPLOADS_AT_ONCE);
        while let Some(size) = uploads.try_next().await? {
            done += size;
            progress(done, total);
        }
        Ok(total)
    }

    /// Sends one blob if the daemon does not hold it.
    pub(crate) async fn upload_one(&self, client: &Client, digest: Digest) -> Result<(), ApiError> {
        if client.blob_size(digest).await?.is_none()
            && let Some(source) = self.blobs.get(&digest)
        {
            send(client, digest, source).await?;
        }
        Ok(())
    }
}

async fn send(client: &Client, digest: Digest, source: &Source) -> Result<u64, ApiError> {
    let (stored, name) = match &source.origin {
        Origin::Bytes(bytes) => (client.put_blob(bytes.clone()).await?, String::new()),
        Origin::File(path) => {
            let file = tokio::fs::File::open(path).await.map_err(|error| {
                let shown = path.display();
                ApiError::new(codes::INPUT_FILE, format!("can't read `{shown}`: {error}"))
            })?;
            (client.put_blob(file).await?, path.display().to_string())
        }
    };
    if stored.digest.0 != digest {
        let text = format!("`{name}` changed while it was read");
        return Err(ApiError::new(codes::INPUT_FILE, text).hint("run it again once it is still"));
    }
    Ok(source.size)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> Result<(), ApiError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        let shown = path.display();
        ApiError::new(codes::INPUT_FILE, format!("can't read `{shown}`: {error}"))
    };
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            let text = format!("the name of `{}` is not valid UTF-8", path.display());
            return Err(ApiError::new(codes::INPUT_PATH, text));
        };
        let relative = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().map_err(|error| failed(&path, &error))?;
        if kind.is_dir() {
            walk(&path, &relative, files)?;
            continue;
        }
        // Links to files are read through; links to folders could go in circles.
        let target = std::fs::metadata(&path).map_err(|error| failed(&path, &error))?;
        if !target.is_file() {
            let why = if target.is_dir() {
                "it is a link to a folder, which could lead in circles"
            } else {
                "it is neither a file nor a folder"
            };
            return Err(failed(&path, &why));
        }
        files.push((relative, path));
        if files.len() > limits::TREE_FILES_MAX {
            let max = limits::TREE_FILES_MAX;
            let text = format!("`{}` has more than {max} files", folder.display());
            return Err(ApiError::new(codes::INPUT_LIMIT, text).hint("mount an archive instead"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_becomes_a_canonical_tree() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/z", "a.txt", "a/b/c", "B"] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
        }
        let mut sources = Sources::default();
        let added = sources.add_folder(dir.path()).unwrap();
        let Origin::Bytes(bytes) = &sources.blobs[&added.digest].origin else { panic!() };
        let tree: Tree = ayni_wire::decode(bytes).unwrap();
        let paths: Vec<_> = tree.entries.iter().map(|e| &*e.path).collect();
        assert_eq!(paths, ["B", "a/b/c", "a/z", "a.txt"]);
        assert_eq!(sources.len(), 2, "equal files are one blob");
    }

    #[test]
    fn what_cannot_be_mounted_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Sources::default().add_file(&dir.path().join("no")).unwrap_err().to_string();
        assert!(error.contains("/no`"), "{error}");
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        let error = Sources::default().add_folder(dir.path()).unwrap_err().to_string();
        assert!(error.contains("/loop`: it is a link to a folder"), "{error}");
        let error = Sources::default().add_file(dir.path()).unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
    }
}
