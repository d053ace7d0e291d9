//! What travels between nodes: heads, messages, tasks, outcomes, segments of blobs, the journal.

use std::sync::OnceLock;

use ayni_types::{Digest, GuestPath, NodeId, Outcome, TaskSpec, Tree, TreeEntry};
use ayni_wire::frame::{BlobAnswer, BlobRequest, FrameHead};
use ayni_wire::{Message, check_task, check_tree, outcome_digest, task_id};

use crate::cbor::strict;
use crate::{limits, segment};

/// A stream of frames, a request for a blob and the head of an answer.
pub fn frame(data: &[u8]) {
    let mut rest = data;
    while let Some((head, after)) = rest.split_first_chunk() {
        let Ok(parsed) = FrameHead::from_bytes(head) else { break };
        assert_eq!(parsed.to_bytes(), *head);
        assert!(parsed.length as usize <= ayni_types::limits::MESSAGE_BYTES_MAX);
        let Some((message, next)) = after.split_at_checked(parsed.length as usize) else { break };
        let _ = strict::<Message>(message);
        rest = next;
    }
    if let Ok(request) = BlobRequest::from_bytes(data) {
        assert_eq!(request.to_bytes(), data);
        assert!(request.start <= request.end && request.start % BlobRequest::GROUP_BYTES == 0);
    }
    if let Some(bytes) = data.first_chunk()
        && let Ok(answer) = BlobAnswer::from_bytes(bytes)
    {
        assert_eq!(answer.to_bytes(), *bytes);
    }
}

/// Any message.
pub fn message(data: &[u8]) {
    let _ = strict::<Message>(data);
}

/// A task and a tree: what the checks let pass obeys the rules, by another reading of them.
pub fn task(data: &[u8]) {
    if let Some(task) = strict::<TaskSpec>(data)
        && check_task(&task).is_ok()
    {
        assert!(task.env.is_sorted_by(|a, b| a.name < b.name));
        let inside = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}/"));
        for (at, mount) in task.mounts.iter().enumerate() {
            let path = mount.path.as_str();
            assert!(safe_path(path.strip_prefix('/').expect("absolute")), "{path:?}");
            for other in task.mounts[at + 1..].iter().map(|m| m.path.as_str()) {
                assert!(path < other && !inside(path, other) && !inside(other, path));
            }
            assert!(["/tmp", "/out"].iter().all(|own| !inside(path, own) && !inside(own, path)));
        }
        let json = ayni_api::json::TaskJson::from(&task);
        let again = TaskSpec::try_from(json).expect("what was checked passes again");
        assert_eq!(task_id(&again), task_id(&task));
        assert_eq!(again, task);
    }
    if let Some(tree) = strict::<Tree>(data)
        && check_tree(&tree).is_ok()
    {
        let mut seen = std::collections::HashSet::new();
        for entry in &tree.entries {
            assert!(safe_path(&entry.path), "{:?}", entry.path);
            assert!(seen.insert(entry.path.as_str()), "{:?} is there twice", entry.path);
        }
        for path in &seen {
            let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            assert!(parents.all(|parent| !seen.contains(parent)), "{path:?} lies inside a file");
        }
    }
}

/// A relative path that stays where it is.
pub fn safe_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() < 1_024
        && !path.chars().any(char::is_control)
        && path.split('/').all(|name| !matches!(name, "" | "." | "..") && name.len() <= 255)
}

/// An outcome; equal digests mean equal bytes.
pub fn outcome(data: &[u8]) {
    if let Some(outcome) = strict::<Outcome>(data) {
        assert_eq!(outcome_digest(&outcome), outcome_digest(&outcome.clone()));
        let json = ayni_api::json::OutcomeJson::from(&outcome);
        assert_eq!(json.digest.0, outcome_digest(&outcome));
    }
}

/// Ids, keys and paths in text, and a journal record's bytes.
pub fn ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    macro_rules! hex {
        ($($id:ident),*) => {$(
            if let Ok(id) = text.parse::<ayni_types::$id>() {
                assert_eq!(id.to_string(), text.to_ascii_lowercase());
            }
        )*};
    }
    hex!(Digest, TaskId, JobId, LeaseId, BatchKey, NodeSignature);
    if let Ok(node) = text.parse::<NodeId>() {
        assert_eq!(node.to_string(), text);
    }
    assert_eq!(TreeEntry::path_fault(text).is_none(), safe_path(text));
    let absolute = text.strip_prefix('/').is_some_and(safe_path);
    assert_eq!(GuestPath::new(text).is_ok(), absolute);
}

/// A record of the journal.
pub fn journal(data: &[u8]) {
    if let Ok(record) = ayni_core::decode_record(0, data) {
        assert_eq!(ayni_core::encode_record(&record), data);
        let _ = strict::<ayni_core::Record>(&data[1..]);
    }
}

/// The blobs that [`segment()`] is about: of one group, of a few, of more than one segment.
pub(crate) fn blobs() -> &'static [(Vec<u8>, Digest)] {
    static BLOBS: OnceLock<Vec<(Vec<u8>, Digest)>> = OnceLock::new();
    BLOBS.get_or_init(|| {
        let blob = |size: usize| {
            let mut bytes = vec![0; size];
            blake3::Hasher::new().update(&size.to_le_bytes()).finalize_xof().fill(&mut bytes);
            let digest = ayni_wire::digest(&bytes);
            (bytes, digest)
        };
        let segment = usize::try_from(limits::SEGMENT_BYTES).expect("small");
        vec![blob(1_000), blob(20_000), blob(100_000), blob(segment + 70_000)]
    })
}

/// A segment of a blob as a holder sends it: what is taken as proven are the blob's own bytes.
/// Two bytes say which blob, which segment, and whether the holder lies about the size.
pub fn segment(data: &[u8]) {
    let [which, how, encoded @ ..] = data else { return };
    let (bytes, digest) = &blobs()[usize::from(*which) % blobs().len()];
    let honest = bytes.len() as u64;
    let size = match how >> 4 {
        0..=7 => honest,
        more => honest + u64::from(more - 7) * 5_000,
    };
    let ranges: Vec<_> =
        segment::segments(0..size).chain(std::iter::once(segment::tail(size))).collect();
    let range = ranges[usize::from(how & 15) % ranges.len()].clone();
    let decoded = segment::decode(digest, size, &range, encoded);
    for item in &decoded.items {
        if let bao_tree::io::BaoContentItem::Leaf(leaf) = item {
            let at = usize::try_from(leaf.offset).expect("an offset in the blob");
            assert!(bytes[at..][..leaf.data.len()] == leaf.data[..], "a false byte was proven");
        }
    }
    assert!(decoded.verified <= range.end);
    assert!(decoded.lied || size == honest, "a false size was proven");
}
