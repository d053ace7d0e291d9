//! A second reader of canonical CBOR, written from the rules in `spec/protocol.md` and sharing no
//! code with the decoder: whatever the decoder accepts must be canonical by this one too.

use ayni_wire::{decode, encode};
use minicbor::{Decode, Encode};

/// Arrays inside arrays; nothing that travels goes deeper.
const DEPTH_MAX: u32 = 16;

/// Reads a value strictly. What is accepted must have one spelling, and what is accepted loosely
/// must survive being written and read again.
///
/// # Panics
/// When the decoder accepts what is not canonical, or does not read what it wrote.
pub fn strict<T>(bytes: &[u8]) -> Option<T>
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug,
{
    if let Ok(loose) = minicbor::decode::<T>(bytes) {
        let written = encode(&loose);
        assert_eq!(item(&written, 0), Some(written.len()), "what is written is not canonical");
        assert_eq!(decode::<T>(&written).expect("what was written is read"), loose);
    }
    let value: T = decode(bytes).ok()?;
    assert_eq!(item(bytes, 0), Some(bytes.len()), "accepted, though not canonical");
    Some(value)
}

/// Length of the canonical item that `bytes` begin with.
fn item(bytes: &[u8], depth: u32) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (major, value, head) = head(bytes)?;
    let rest = &bytes[head..];
    match major {
        0 => Some(head),
        2 | 3 => {
            let length = usize::try_from(value).ok()?;
            let content = rest.get(..length)?;
            if major == 3 {
                std::str::from_utf8(content).ok()?;
            }
            head.checked_add(length)
        }
        4 => {
            let mut at = head;
            for _ in 0..value {
                at += item(&bytes[at..], depth + 1)?;
            }
            Some(at)
        }
        // false, true, null
        7 if (20..=22).contains(&value) && head == 1 => Some(1),
        _ => None,
    }
}

/// Major type, argument, and length of the head; only the shortest form.
fn head(bytes: &[u8]) -> Option<(u8, u64, usize)> {
    let first = *bytes.first()?;
    let (major, small) = (first >> 5, first & 31);
    let number = |length: usize| -> Option<u64> {
        Some(bytes.get(1..=length)?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    let (value, head, least) = match small {
        0..=23 => (u64::from(small), 1, 0),
        24 => (number(1)?, 2, 24),
        25 => (number(2)?, 3, 1 << 8),
        26 => (number(4)?, 5, 1 << 16),
        27 => (number(8)?, 9, 1 << 32),
        _ => return None,
    };
    (value >= least).then_some((major, value, head))
}
