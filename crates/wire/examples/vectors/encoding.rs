//! Canonical bytes of every type, other spellings of them, and tasks that break a rule.

use ayni_types::{
    EngineId, EnvVar, Fuel, GuestPath, Lease, Mount, MountKind, Offer, Outcome, TaskSpec, Tree,
};
use ayni_wire::{
    FullLease, Message, ReceiptFile, Signed, SignedBatch, TaskError, Ticket, TwoRoots, check_task,
    check_tree, decode, digest, encode,
};
use serde_json::{Value, json};

use crate::{hex, sample};

/// Whether `bytes` are a value of the type that the CDDL calls `rule`.
fn accepts(rule: &str, bytes: &[u8]) -> bool {
    match rule {
        "message" => decode::<Message>(bytes).is_ok(),
        "task" => decode::<TaskSpec>(bytes).is_ok(),
        "tree" => decode::<Tree>(bytes).is_ok(),
        "outcome" => decode::<Outcome>(bytes).is_ok(),
        "signed-offer" => decode::<Signed<Offer>>(bytes).is_ok(),
        "signed-lease" => decode::<Signed<Lease>>(bytes).is_ok(),
        "full-lease" => decode::<FullLease>(bytes).is_ok(),
        "signed-batch" => decode::<SignedBatch>(bytes).is_ok(),
        "receipt-file" => decode::<ReceiptFile>(bytes).is_ok(),
        "two-roots" => decode::<TwoRoots>(bytes).is_ok(),
        "signed-ticket" => decode::<Signed<Ticket>>(bytes).is_ok(),
        _ => unreachable!("no such rule: {rule}"),
    }
}

fn samples() -> Vec<(&'static str, String, Vec<u8>)> {
    let (requester, provider) = (sample::requester(), sample::provider());
    let named = |rule, name: &str, bytes| (rule, name.to_owned(), bytes);
    let mut all = vec![
        named("task", "something in every field", encode(&sample::task())),
        named("task", "the smallest", encode(&sample::small_task())),
        named("tree", "three files", encode(&sample::tree())),
        named("signed-offer", "offer", encode(&provider.seal(sample::offer()))),
        named("signed-lease", "as asked", encode(&requester.seal(sample::lease()))),
        named("full-lease", "as granted", encode(&sample::full_lease())),
        named("signed-batch", "three receipts", encode(&sample::batch(3))),
        named("receipt-file", "the fourth of five", encode(&sample::receipt_file(5, 3))),
        named("two-roots", "a proof of fraud", encode(&sample::two_roots())),
        named("signed-ticket", "two peers", encode(&requester.seal(sample::ticket()))),
    ];
    let outcomes = sample::outcomes();
    all.extend(outcomes.iter().map(|(name, value)| named("outcome", name, encode(value))));
    let messages = sample::messages();
    all.extend(messages.iter().map(|(name, value)| named("message", name, encode(value))));
    all
}

/// `bytes` with `from` replaced by `to` at its first place.
fn spelled(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|part| part == from).expect("the part is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

pub(crate) fn vectors() -> Value {
    let samples = samples();
    let valid: Vec<_> = samples
        .iter()
        .map(|(rule, name, bytes)| {
            assert!(accepts(rule, bytes), "{rule}: {name}");
            json!({ "type": rule, "name": name, "bytes": hex(bytes) })
        })
        .collect();
    let (task, end, ping) = (
        encode(&sample::small_task()),
        encode(&sample::outcome()),
        encode(&Message::Pong { dead: vec![sample::lease().id] }),
    );
    let climbing = TaskSpec {
        mounts: vec![Mount {
            path: GuestPath::new("/in/..x").expect("a path"),
            kind: MountKind::File,
            blob: digest(b""),
        }],
        ..sample::small_task()
    };
    let mut invalid: Vec<(&str, &str, Vec<u8>)> = vec![
        ("task", "empty", vec![]),
        ("task", "an array of indefinite length", {
            let mut bytes = task.clone();
            bytes[0] = 0x9f;
            bytes.push(0xff);
            bytes
        }),
        ("task", "an array with its length in two bytes", spelled(&task, &[0x87], &[0x98, 7])),
        (
            "task",
            "a text with its length in two bytes",
            spelled(&task, b"\x65wasi1", b"\x78\x05wasi1"),
        ),
        ("task", "a text in pieces", spelled(&task, b"\x65wasi1", b"\x7f\x65wasi1\xff")),
        ("task", "a byte string where a text belongs", spelled(&task, b"\x65wasi1", b"\x45wasi1")),
        ("task", "a text that is not UTF-8", spelled(&task, b"\x65wasi1", b"\x65wasi\xff")),
        ("task", "undefined where null belongs", spelled(&task, &[0xf6, 0x80], &[0xf7, 0x80])),
        ("task", "null where a last field is left out", {
            let mut bytes = task.clone();
            bytes[0] = 0x88;
            bytes.push(0xf6);
            bytes
        }),
        ("task", "a tag before the value", [&[0xc1], &task[..]].concat()),
        ("task", "a map where an array belongs", spelled(&task, &[0x87], &[0xa7])),
        ("task", "a path that climbs", spelled(&encode(&climbing), b"/in/..x", b"/in/../")),
        ("task", "a digest of 31 bytes", spelled(&task, &[0x58, 32], &[0x58, 31])),
        (
            "outcome",
            "a number in more bytes than it needs",
            spelled(&end, &[0x00, 0x1a], &[0x18, 0, 0x1a]),
        ),
        ("outcome", "a float", spelled(&end, &[0x00, 0x1a], &[0xf9, 0, 0, 0x1a])),
        ("outcome", "a negative number", spelled(&end, &[0x00, 0x1a], &[0x20, 0x1a])),
        (
            "outcome",
            "a way to end that does not exist",
            spelled(&end, &[0x82, 0, 0], &[0x82, 3, 0]),
        ),
        ("message", "a kind that does not exist", spelled(&ping, &[0x82, 15], &[0x82, 18])),
        (
            "message",
            "a field that does not exist",
            spelled(&ping, &[0x81, 0x81], &[0x82, 0xf6, 0x81]),
        ),
    ];
    let follow: Vec<_> =
        samples.iter().map(|(rule, _, b)| (*rule, [&b[..], &[0]].concat())).collect();
    let short: Vec<_> =
        samples.iter().map(|(rule, _, b)| (*rule, b[..b.len() - 1].to_vec())).collect();
    for (rule, bytes) in follow.into_iter().take(10) {
        invalid.push((rule, "a byte follows", bytes));
    }
    for (rule, bytes) in short.into_iter().take(10) {
        invalid.push((rule, "the last byte is missing", bytes));
    }
    let invalid: Vec<_> = invalid
        .into_iter()
        .map(|(rule, name, bytes)| {
            assert!(!accepts(rule, &bytes), "{rule}: {name}");
            json!({ "type": rule, "name": name, "bytes": hex(&bytes), "reason": "encoding" })
        })
        .collect();
    json!({
        "about": "Canonical CBOR. `type` is a rule of spec/ayni.cddl.",
        "valid": valid,
        "invalid": invalid,
    })
}

fn reason(error: &TaskError) -> &'static str {
    match error {
        TaskError::UnknownEngine(_) => "engine",
        TaskError::TooMuch { .. } => "limit",
        TaskError::BadText { .. } => "text",
        TaskError::NotSorted { .. } => "order",
        TaskError::Overlap(_) => "overlap",
    }
}

/// Tasks and trees that are well encoded, and break a rule.
pub(crate) fn tasks() -> Value {
    type Change = fn(&mut TaskSpec);
    fn mounts(task: &mut TaskSpec, paths: &[&str]) {
        let mount = |path: &&str| Mount {
            path: GuestPath::new(*path).expect("a path"),
            kind: MountKind::File,
            blob: digest(b""),
        };
        task.mounts = paths.iter().map(mount).collect();
    }
    fn env(task: &mut TaskSpec, pairs: &[(&str, &str)]) {
        let pair = |(n, v): &(&str, &str)| EnvVar { name: (*n).into(), value: (*v).into() };
        task.env = pairs.iter().map(pair).collect();
    }
    let changes: [(&str, Change); 22] = [
        ("the smallest", |_| {}),
        ("mounts beside each other", |t| mounts(t, &["/a", "/a.b", "/b/c"])),
        ("the most memory", |t| t.limits.memory_bytes = 4 << 30),
        ("the most stack", |t| t.limits.stack_bytes = 64 << 20),
        ("the most fuel", |t| t.limits.fuel = Fuel(i64::MAX as u64)),
        ("an empty value", |t| env(t, &[("A", ""), ("B", "=")])),
        ("another engine", |t| t.engine = EngineId("wasi2".into())),
        ("more memory than can be", |t| t.limits.memory_bytes = (4 << 30) + 1),
        ("more stack than can be", |t| t.limits.stack_bytes = (64 << 20) + 1),
        ("more output than can be", |t| t.limits.output_bytes = (4 << 30) + 1),
        ("more fuel than can be", |t| t.limits.fuel = Fuel(1 << 63)),
        ("a NUL in an argument", |t| t.args = vec!["a\0b".into()]),
        ("a variable without a name", |t| env(t, &[("", "x")])),
        ("an equals sign in a name", |t| env(t, &[("A=", "x")])),
        ("a NUL in a value", |t| env(t, &[("A", "\0")])),
        ("variables out of order", |t| env(t, &[("B", ""), ("A", "")])),
        ("a variable twice", |t| env(t, &[("A", "1"), ("A", "2")])),
        ("mounts out of order", |t| mounts(t, &["/b", "/a"])),
        ("a mount twice", |t| mounts(t, &["/a", "/a"])),
        ("a mount in another", |t| mounts(t, &["/a", "/a/b"])),
        ("a mount in /out", |t| mounts(t, &["/out/x"])),
        ("a mount over /tmp", |t| mounts(t, &["/tmp"])),
    ];
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for (name, change) in changes {
        let mut task = sample::small_task();
        change(&mut task);
        let vector = json!({ "type": "task", "name": name, "bytes": hex(&encode(&task)) });
        sort(vector, check_task(&task), &mut valid, &mut invalid);
    }
    let trees = [
        ("no file", &[][..]),
        ("folders and files", &["a/b", "a/c", "a.txt", "b"]),
        ("out of order", &["b", "a"]),
        ("one twice", &["a", "a"]),
        ("one inside a file", &["a", "a/b"]),
        ("one that climbs", &["../a"]),
        ("an absolute one", &["/a"]),
        ("an empty one", &[""]),
        ("a control character", &["a\nb"]),
    ];
    for (name, paths) in trees {
        let entry = |path: &&str| ayni_types::TreeEntry {
            path: (*path).into(),
            blob: digest(b""),
            size: 0,
        };
        let tree = Tree { entries: paths.iter().map(entry).collect() };
        let vector = json!({ "type": "tree", "name": name, "bytes": hex(&encode(&tree)) });
        sort(vector, check_tree(&tree), &mut valid, &mut invalid);
    }
    json!({
        "about": "Tasks and trees: well encoded, and by the rules or not. `reason` is the first \
                  rule broken.",
        "valid": valid,
        "invalid": invalid,
    })
}

fn sort(
    mut vector: Value,
    checked: Result<(), TaskError>,
    valid: &mut Vec<Value>,
    invalid: &mut Vec<Value>,
) {
    match checked {
        Ok(()) => valid.push(vector),
        Err(error) => {
            vector["reason"] = reason(&error).into();
            vector["said"] = error.to_string().into();
            invalid.push(vector);
        }
    }
}
