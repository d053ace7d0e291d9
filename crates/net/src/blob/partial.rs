//! What is there of a large blob. The bytes lie at their place in one file, the hash pairs that
//! prove them in another, so that after a break or a restart nothing has to be believed: what
//! verifies is there, the rest is fetched.
//!
//! ```text
//! proof file = "ayniprf1" size(8) hash-pair(64)*     pairs in pre-order, zeros where unknown
//! ```

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use ayni_types::Digest;
use bao_tree::io::BaoContentItem;
use bao_tree::io::sync::{Outboard, valid_ranges};
use bao_tree::{BaoTree, ChunkRanges, TreeNode};

use crate::blob::PartialBlob;
use crate::blob::segment::{bytes_of, root, tree};

const MAGIC: &[u8; 8] = b"ayniprf1";
const HEAD_BYTES: u64 = 16;
const PAIR_BYTES: u64 = 64;

/// A large blob of proven size that is partly there.
pub(crate) struct Partial {
    files: PartialBlob,
    digest: Digest,
    size: u64,
}

/// The size that a proof file records, which was proven when it was written.
pub(crate) fn recorded_size(files: &PartialBlob) -> Option<u64> {
    let mut head = [0; 16];
    files.proof.read_exact_at(&mut head, 0).ok()?;
    let (magic, size) = head.split_at(8);
    if magic != MAGIC {
        return None;
    }
    Some(u64::from_le_bytes(size.try_into().ok()?))
}

impl Partial {
    /// Goes on with files whose recorded size is `size`.
    pub(crate) fn resume(files: PartialBlob, digest: Digest, size: u64) -> io::Result<Self> {
        files.data.set_len(size)?;
        Ok(Self { files, digest, size })
    }

    /// Begins anew, for a size that was proven.
    pub(crate) fn begin(files: PartialBlob, digest: Digest, size: u64) -> io::Result<Self> {
        files.proof.set_len(0)?;
        files.data.set_len(0)?;
        files.data.set_len(size)?;
        let mut head = [0; 16];
        head[..8].copy_from_slice(MAGIC);
        head[8..].copy_from_slice(&size.to_le_bytes());
        files.proof.write_all_at(&head, 0)?;
        Ok(Self { files, digest, size })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Keeps what a segment proved.
    pub(crate) fn save(&self, items: &[BaoContentItem]) -> io::Result<()> {
        for item in items {
            match item {
                BaoContentItem::Leaf(leaf) => {
                    self.files.data.write_all_at(&leaf.data, leaf.offset)?;
                }
                BaoContentItem::Parent(parent) => {
                    if let Some(at) = pair_offset(self.size, parent.node) {
                        let (left, right) = &parent.pair;
                        let pair = [*left.as_bytes(), *right.as_bytes()];
                        self.files.proof.write_all_at(pair.as_flattened(), at)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The ranges that are not there, in order. Reads all that is.
    pub(crate) fn missing(&self) -> io::Result<Vec<Range<u64>>> {
        let proof = ProofFile { file: &self.files.proof, digest: self.digest, size: self.size };
        let mut missing = Vec::new();
        let mut at = 0;
        for range in valid_ranges(proof, &self.files.data, &ChunkRanges::all()) {
            let valid = bytes_of(&range?, self.size);
            if valid.start > at {
                missing.push(at..valid.start);
            }
            at = at.max(valid.end);
        }
        if at < self.size {
            missing.push(at..self.size);
        }
        Ok(missing)
    }
}

fn pair_offset(size: u64, node: TreeNode) -> Option<u64> {
    Some(HEAD_BYTES + tree(size).pre_order_offset(node)? * PAIR_BYTES)
}

/// The proof file as the tree that verification walks.
struct ProofFile<'a> {
    file: &'a File,
    digest: Digest,
    size: u64,
}

impl Outboard for ProofFile<'_> {
    fn root(&self) -> blake3::Hash {
        root(&self.digest)
    }

    fn tree(&self) -> BaoTree {
        tree(self.size)
    }

    fn load(&self, node: TreeNode) -> io::Result<Option<(blake3::Hash, blake3::Hash)>> {
        let Some(at) = pair_offset(self.size, node) else { return Ok(None) };
        let mut pair = [[0; 32]; 2];
        match self.file.read_exact_at(pair.as_flattened_mut(), at) {
            Ok(()) => {}
            // Not written yet: zeros never verify.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => pair = [[0; 32]; 2],
            Err(error) => return Err(error),
        }
        Ok(Some((blake3::Hash::from_bytes(pair[0]), blake3::Hash::from_bytes(pair[1]))))
    }
}
