//! The geometry of a blob, and what a segment of it proves.
//!
//! A segment is encoded in the bao format: pre-order, groups of 16 KiB, hash pairs before what they
//! prove, starting at the root, so that each can be verified by itself. Pure: bytes in, verdict out.

use std::io;
use std::ops::Range;

use ayni_types::Digest;
use ayni_wire::frame::BlobRequest;
use bao_tree::io::BaoContentItem;
use bao_tree::io::sync::DecodeResponseIter;
use bao_tree::{BaoTree, BlockSize, ChunkNum, ChunkRanges};

use crate::limits::SEGMENT_BYTES;

/// Bytes proven by one leaf of the tree.
pub(crate) const GROUP_BYTES: u64 = BlobRequest::GROUP_BYTES;
/// The same for the tree: 16 chunks of 1 KiB.
pub(crate) const GROUP: BlockSize = BlockSize::from_chunk_log(4);
const CHUNK_BYTES: u64 = 1 << 10;
/// Hash pairs: at most one for each group, and a path from the root.
pub(crate) const ENCODING_BYTES_MAX: u64 = SEGMENT_BYTES + 64 * (SEGMENT_BYTES / GROUP_BYTES + 64);

/// The cuts of a range of a blob.
pub(crate) fn segments(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = ((start / SEGMENT_BYTES + 1) * SEGMENT_BYTES).min(range.end);
        let segment = start..end;
        start = end;
        (!segment.is_empty()).then_some(segment)
    })
}

/// A range of bytes, its start at a group, as chunks.
pub(crate) fn chunks(range: &Range<u64>) -> ChunkRanges {
    ChunkRanges::from(
        ChunkNum(range.start / CHUNK_BYTES)..ChunkNum(range.end.div_ceil(CHUNK_BYTES)),
    )
}

/// A range of chunks as bytes.
pub(crate) fn bytes_of(range: &Range<ChunkNum>, size: u64) -> Range<u64> {
    range.start.0 * CHUNK_BYTES..(range.end.0 * CHUNK_BYTES).min(size)
}

pub(crate) fn tree(size: u64) -> BaoTree {
    BaoTree::new(size, GROUP)
}

pub(crate) fn root(digest: &Digest) -> blake3::Hash {
    blake3::Hash::from_bytes(digest.0)
}

/// The last group of a blob: its proof proves the size too.
pub(crate) fn tail(size: u64) -> Range<u64> {
    size.saturating_sub(1) / GROUP_BYTES * GROUP_BYTES..size
}

/// What a segment proves: everything before the first lie, and where that is.
pub(crate) struct Decoded {
    pub(crate) items: Vec<BaoContentItem>,
    /// Offset up to which the range is there.
    pub(crate) verified: u64,
    pub(crate) lied: bool,
}

/// Verifies an encoded segment.
pub(crate) fn decode(digest: &Digest, size: u64, range: &Range<u64>, encoded: &[u8]) -> Decoded {
    let ranges = chunks(range);
    let mut rest = io::Cursor::new(encoded);
    let mut decoded = Decoded { items: Vec::new(), verified: range.start, lied: false };
    for item in DecodeResponseIter::new(root(digest), tree(size), &mut rest, &ranges) {
        let Ok(item) = item else {
            decoded.lied = true;
            return decoded;
        };
        if let BaoContentItem::Leaf(leaf) = &item {
            decoded.verified = leaf.offset + leaf.data.len() as u64;
        }
        decoded.items.push(item);
    }
    decoded.lied = decoded.verified != range.end || rest.position() != encoded.len() as u64;
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use bao_tree::io::outboard::PreOrderMemOutboard;
    use bao_tree::io::sync::encode_ranges_validated;

    fn blob(size: u64) -> (Vec<u8>, Digest) {
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        blake3::Hasher::new().update(&size.to_le_bytes()).finalize_xof().fill(&mut bytes);
        let digest = Digest(*blake3::hash(&bytes).as_bytes());
        (bytes, digest)
    }

    fn encode(bytes: &[u8], range: &Range<u64>) -> Vec<u8> {
        let proof = PreOrderMemOutboard::create(bytes, GROUP);
        let mut encoded = Vec::new();
        encode_ranges_validated(bytes, &proof, &chunks(range), &mut encoded).unwrap();
        encoded
    }

    #[test]
    fn every_segment_of_every_size_verifies_by_itself() {
        for size in [1, 1_023, 16_384, 16_385, 40_000, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 << 20] {
            let (bytes, digest) = blob(size);
            let mut whole = Vec::new();
            for range in segments(0..size) {
                let encoded = encode(&bytes, &range);
                assert!(encoded.len() as u64 <= ENCODING_BYTES_MAX);
                let decoded = decode(&digest, size, &range, &encoded);
                assert!(!decoded.lied, "{size} {range:?}");
                assert_eq!(decoded.verified, range.end);
                for item in decoded.items {
                    if let BaoContentItem::Leaf(leaf) = item {
                        whole.extend_from_slice(&leaf.data);
                    }
                }
            }
            assert!(whole == bytes, "{size}");
        }
    }

    #[test]
    fn a_lie_is_found_at_its_group_and_what_came_before_is_kept() {
        let (bytes, digest) = blob(SEGMENT_BYTES);
        let range = 0..SEGMENT_BYTES;
        let good = encode(&bytes, &range);
        for (what, at) in [("first pair", 0), ("middle", good.len() / 2), ("end", good.len() - 1)] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let decoded = decode(&digest, SEGMENT_BYTES, &range, &bad);
            assert!(decoded.lied, "{what}");
            let kept: u64 = decoded.items.iter().filter(|i| i.is_leaf()).count() as u64;
            assert_eq!(decoded.verified, kept * GROUP_BYTES);
            assert!(
                decoded.verified <= at as u64 && at as u64 <= decoded.verified + 2 * GROUP_BYTES
            );
        }
        assert!(decode(&digest, SEGMENT_BYTES, &range, &good[..good.len() - 1]).lied);
        assert!(decode(&digest, SEGMENT_BYTES, &range, &[&good[..], &[0]].concat()).lied);
        assert!(decode(&digest, SEGMENT_BYTES, &range, &[]).lied);
    }

    #[test]
    fn no_altered_encoding_passes_and_none_panics() {
        let size = 100_000;
        let (bytes, digest) = blob(size);
        let whole = encode(&bytes, &(0..size));
        for seed in 0..300_u64 {
            let draw = blake3::hash(&seed.to_le_bytes());
            let draw = |at: usize| {
                usize::from(draw.as_bytes()[at]) << 8 | usize::from(draw.as_bytes()[at + 1])
            };
            let mut altered = whole.clone();
            match seed % 3 {
                0 => altered.truncate(draw(0) * 3 % whole.len()),
                1 => altered[draw(0) * 3 % whole.len()] ^= 1 << (draw(2) % 8),
                _ => altered.rotate_left(1 + draw(0) % 1_000),
            }
            let decoded = decode(&digest, size, &(0..size), &altered);
            assert!(decoded.lied, "{seed}");
            for item in decoded.items {
                let BaoContentItem::Leaf(leaf) = item else { continue };
                let at = usize::try_from(leaf.offset).unwrap();
                assert!(bytes[at..][..leaf.data.len()] == leaf.data, "{seed}");
            }
            for size in [1, size - 1, size * 2, crate::limits::BLOB_BYTES_MAX] {
                let range = tail(size);
                assert!(decode(&digest, size, &range, &altered).lied, "{seed} {size}");
            }
        }
    }

    #[test]
    fn the_tail_proves_the_size() {
        for size in [1, 16_384, 16_385, 3 << 20, (3 << 20) + 5] {
            let (bytes, digest) = blob(size);
            let encoded = encode(&bytes, &tail(size));
            assert!(!decode(&digest, size, &tail(size), &encoded).lied, "{size}");
            for wrong in [size - 1, size + 1, size + GROUP_BYTES, size * 2] {
                let lie = decode(&digest, wrong, &tail(wrong), &encoded).lied;
                assert!(lie || wrong == 0, "{size} {wrong}");
            }
        }
    }
}
