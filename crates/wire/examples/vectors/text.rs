//! Ids and tickets as text, and the fixed-width heads.

use ayni_types::{Digest, NodeId};
use ayni_wire::frame::{BlobAnswer, BlobRequest, BlobStatus, FrameHead};
use ayni_wire::{Ticket, TicketError};
use serde_json::{Value, json};

use crate::{hex, sample};

pub(crate) fn vectors() -> Value {
    let ids = [sample::requester().id(), sample::provider().id(), NodeId([0; 32])];
    let node = |id: &NodeId| json!({ "bytes": hex(&id.0), "text": id.to_string() });
    let wrong_nodes = ["", "did:key:z", "did:web:example", "did:key:z6Mk0OIl", "z6Mk"];
    assert!(wrong_nodes.iter().all(|text| text.parse::<NodeId>().is_err()));
    let mut wrong_nodes = wrong_nodes.map(str::to_owned).to_vec();
    let mut foreign = [7; 34];
    foreign[..2].copy_from_slice(&[0xe7, 0x01]);
    wrong_nodes.push(format!("did:key:z{}", base58(&foreign)));
    assert!(wrong_nodes.iter().all(|text| text.parse::<NodeId>().is_err()));
    let digest = sample::task().program;
    let upper = digest.to_string().to_uppercase();
    assert_eq!(upper.parse::<Digest>(), Ok(digest));
    let wrong_digests = [String::new(), "ab".repeat(31), "ab".repeat(33), "zz".repeat(32)];
    assert!(wrong_digests.iter().all(|text| text.parse::<Digest>().is_err()));
    json!({
        "about": "Ids and tickets as people pass them on.",
        "nodes": { "valid": ids.iter().map(node).collect::<Vec<_>>(), "invalid": wrong_nodes },
        "digests": {
            "valid": [
                { "bytes": hex(&digest.0), "text": digest.to_string() },
                { "bytes": hex(&digest.0), "text": upper },
            ],
            "invalid": wrong_digests,
        },
        "tickets": tickets(),
    })
}

/// Base58 as Bitcoin has it; for keys of other kinds, which this crate does not write.
fn base58(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits = vec![0_u32];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    digits.iter().rev().map(|digit| char::from(LETTERS[*digit as usize])).collect()
}

fn tickets() -> Value {
    let line = sample::ticket().to_text(&sample::requester());
    let forged = sample::ticket().to_text(&sample::provider());
    let expires = sample::ticket().expires;
    let good: Vec<_> = [line.clone(), format!("  {line}\n")]
        .iter()
        .map(|text| {
            assert_eq!(Ticket::from_text(text, expires), Ok(sample::ticket()));
            json!({ "text": text, "now": expires.0 })
        })
        .collect();
    let (middle, other) = (line.len() / 2, line.as_bytes()[line.len() / 2] == b'a');
    let other = if other { "b" } else { "a" };
    let bent = format!("{}{other}{}", &line[..middle], &line[middle + 1..]);
    let cases = [
        ("signed by somebody else", forged, expires),
        ("expired", line.clone(), expires.after_ms(1)),
        ("cut short", line[..line.len() - 8].to_owned(), expires),
        ("another prefix", line.replace("ayni1", "ayni2"), expires),
        ("wrong characters", line.replace('a', "1"), expires),
        ("altered", bent, expires),
        ("empty", String::new(), expires),
    ];
    let bad: Vec<_> = cases
        .iter()
        .map(|(name, text, now)| {
            let reason = match Ticket::from_text(text, *now).expect_err("it is wrong") {
                TicketError::Malformed(_) => "form",
                TicketError::BadSignature => "signature",
                TicketError::Expired(_) => "expired",
            };
            json!({ "name": name, "text": text, "now": now.0, "reason": reason })
        })
        .collect();
    json!({ "valid": good, "invalid": bad })
}

/// Heads of frames, requests for blobs, heads of answers.
pub(crate) fn frames() -> Value {
    let frame = |length, number| {
        let bytes = FrameHead { length, number }.to_bytes();
        let reason = FrameHead::from_bytes(&bytes).is_err().then_some("limit");
        json!({ "bytes": hex(&bytes), "length": length, "number": number.to_string(), "reason": reason })
    };
    let digest = sample::task().program;
    let request = |start: u64, end: u64| {
        let bytes = BlobRequest { digest, start, end }.to_bytes();
        let reason = BlobRequest::from_bytes(&bytes).is_err().then_some("range");
        let (start, end) = (start.to_string(), end.to_string());
        json!({
            "bytes": hex(&bytes), "digest": digest.to_string(), "start": start, "end": end,
            "reason": reason,
        })
    };
    let answer = |status, size: u64| {
        let bytes = BlobAnswer { status, size }.to_bytes();
        let reason = BlobAnswer::from_bytes(&bytes).is_err().then_some("form");
        let size = size.to_string();
        json!({ "bytes": hex(&bytes), "status": status as u8, "size": size, "reason": reason })
    };
    json!({
        "about": "Fixed-width heads, integers little-endian. `reason` is null where the head is \
                  valid.",
        "frames": [frame(0, 1), frame(1 << 20, 2), frame((1 << 20) + 1, 3), frame(u32::MAX, u64::MAX)],
        "requests": [
            request(0, 0), request(0, u64::MAX), request(16_384, 40_000), request(1, 2),
            request(16_384, 0),
        ],
        "answers": [
            answer(BlobStatus::Here, 40_000), answer(BlobStatus::Here, 0),
            answer(BlobStatus::NotHeld, 0), answer(BlobStatus::Refused, 0),
            answer(BlobStatus::Busy, 0), answer(BlobStatus::Damaged, 0),
            answer(BlobStatus::NotHeld, 1),
        ],
    })
}
