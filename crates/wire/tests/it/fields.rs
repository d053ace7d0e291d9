//! The fields of what is signed, by name, and where each lies in the canonical bytes. A field that
//! is added to a type and not here fails the walk, so nothing escapes the tests over all fields.

use std::ops::Range;

/// What a value is made of.
pub(crate) enum Shape {
    /// One number, text, byte string, truth value, or nothing.
    One,
    /// An array of named parts.
    Of(&'static [(&'static str, Shape)]),
    /// An array of any length.
    Many(&'static Shape),
}

use Shape::{Many, Of, One};

const BUILD: Shape = Of(&[("digest", One), ("version", One)]);
const PRICE: Shape =
    Of(&[("per_gigafuel", One), ("per_code_mebibyte", One), ("per_data_mebibyte", One)]);
const BLOB: Shape = Of(&[("digest", One), ("size", One)]);
const SOCKET: Shape = Of(&[("family", One), ("at", Of(&[("ip", One), ("port", One)]))]);
const ADDR: Shape = Of(&[("node", One), ("direct", Many(&SOCKET)), ("relay", One)]);

const LEDGER: Shape = Of(&[("chain", One), ("channels", One)]);
const PAYMENT: Shape = Of(&[
    ("ledger", LEDGER),
    ("token", One),
    ("payee", One),
    ("payee_key", One),
    ("withdraw_delay_s", One),
    ("step", One),
]);
const CHANNEL: Shape = Of(&[
    ("payer", One),
    ("payer_key", One),
    ("payee", One),
    ("payee_key", One),
    ("token", One),
    ("withdraw_delay_s", One),
    ("salt", One),
]);
const PAID_BY: Shape = Of(&[("ledger", LEDGER), ("terms", CHANNEL)]);

/// A task.
pub(crate) const TASK: Shape = Of(&[
    ("engine", One),
    ("program", One),
    ("args", Many(&One)),
    ("env", Many(&Of(&[("name", One), ("value", One)]))),
    ("stdin", One),
    ("mounts", Many(&Of(&[("path", One), ("kind", One), ("blob", One)]))),
    (
        "limits",
        Of(&[("memory_bytes", One), ("fuel", One), ("stack_bytes", One), ("output_bytes", One)]),
    ),
    ("blind", One),
]);

/// An outcome.
pub(crate) const OUTCOME: Shape = Of(&[
    ("end", Of(&[("kind", One), ("value", One)])),
    ("fuel", One),
    ("stdout", BLOB),
    ("stderr", BLOB),
    ("files", Many(&Of(&[("path", One), ("blob", BLOB)]))),
]);

/// An offer.
pub(crate) const OFFER: Shape = Of(&[
    ("node", One),
    ("sequence", One),
    ("issued", One),
    ("expires", One),
    ("slots", One),
    ("slots_free", One),
    ("memory_bytes", One),
    ("disk_bytes", One),
    ("engines", Many(&One)),
    ("build", BUILD),
    ("fuel_per_second", One),
    ("price", PRICE),
    ("walls", Many(&One)),
    ("region", One),
    ("addr", ADDR),
    ("batch_key", One),
    ("stake", One),
    ("hold_back", One),
    ("payment", PAYMENT),
    ("energy", Of(&[("slot_milliwatts", One), ("grams_per_kwh", One)])),
]);

/// A signed offer.
pub(crate) const SIGNED_OFFER: Shape = Of(&[("body", OFFER), ("signature", One)]);

/// A lease.
pub(crate) const LEASE: Shape = Of(&[
    ("id", One),
    ("requester", One),
    ("provider", One),
    ("engine", One),
    ("build", BUILD),
    ("slots", One),
    ("memory_bytes", One),
    ("price", PRICE),
    ("fuel_per_second", One),
    ("voucher_step", One),
    ("stake_reserved", One),
    ("batch_key", One),
    ("issued", One),
    ("expires", One),
    ("hold_back", One),
    ("audit_commitment", One),
    ("paid_by", PAID_BY),
]);

/// A lease with both signatures.
pub(crate) const FULL_LEASE: Shape = Of(&[
    ("lease", LEASE),
    ("requester", One),
    ("provider", One),
    ("backing", Of(&[("disputes", One), ("signature", One)])),
]);

/// A receipt.
pub(crate) const RECEIPT: Shape = Of(&[
    ("lease", One),
    ("batch", One),
    ("index", One),
    ("assignment", One),
    ("task", One),
    ("outcome", One),
    ("fuel", One),
    ("code_bytes", One),
    ("data_bytes", One),
    ("price", One),
    (
        "observed",
        Of(&[("wall_ms", One), ("compile_ms", One), ("cpu_ms", One), ("memory_bytes_peak", One)]),
    ),
]);

const HEADER: Shape = Of(&[("lease", One), ("batch", One), ("count", One), ("root", One)]);

/// A signed batch.
pub(crate) const BATCH: Shape =
    Of(&[("header", HEADER), ("signature", One), ("receipts", Many(&RECEIPT))]);

const SIGNED_HEADER: Shape = Of(&[("header", HEADER), ("signature", One)]);

/// A proof of fraud.
pub(crate) const TWO_ROOTS: Shape =
    Of(&[("lease", FULL_LEASE), ("first", SIGNED_HEADER), ("second", SIGNED_HEADER)]);

/// A receipt that stands alone.
pub(crate) const RECEIPT_FILE: Shape = Of(&[
    ("version", One),
    ("task", TASK),
    ("outcome", OUTCOME),
    ("receipt", RECEIPT),
    ("proof", Many(&One)),
    ("header", HEADER),
    ("signature", One),
    ("lease", FULL_LEASE),
]);

/// A field that is one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// `lease.lease.price.per_gigafuel`, `task.args[1]`.
    pub(crate) name: String,
    /// The whole item.
    pub(crate) item: Range<usize>,
    /// What it says: the bytes after the head, or of a number the item itself.
    pub(crate) content: Range<usize>,
    major: u8,
}

/// Every field of `bytes`, in order.
///
/// # Panics
/// When `bytes` are not of this shape: a field is missing here.
pub(crate) fn leaves(bytes: &[u8], shape: &Shape) -> Vec<Leaf> {
    let mut found = Vec::new();
    let end = walk(bytes, 0, shape, String::new(), &mut found);
    assert_eq!(end, bytes.len(), "bytes follow the last field");
    found
}

fn walk(bytes: &[u8], at: usize, shape: &Shape, name: String, found: &mut Vec<Leaf>) -> usize {
    let (major, value, start) = head(bytes, at);
    let part =
        |more: &str| if name.is_empty() { more.to_owned() } else { format!("{name}.{more}") };
    match shape {
        One => {
            let length = if matches!(major, 2 | 3) { value } else { 0 };
            assert!(matches!(major, 0 | 2 | 3 | 7), "`{name}` has parts that have no name here");
            let end = start + length;
            let content = if length > 0 { start..end } else { at..end };
            found.push(Leaf { name, item: at..end, content, major });
            end
        }
        Of(parts) => {
            assert_eq!((major, value), (4, parts.len()), "`{name}` has other fields than here");
            parts.iter().fold(start, |at, (more, shape)| walk(bytes, at, shape, part(more), found))
        }
        Many(shape) => {
            assert_eq!(major, 4, "`{name}` is not a list");
            assert!(value > 0, "`{name}` is empty: the sample leaves it untested");
            (0..value).fold(start, |at, n| walk(bytes, at, shape, format!("{name}[{n}]"), found))
        }
    }
}

/// Major type, argument, and where the content begins.
fn head(bytes: &[u8], at: usize) -> (u8, usize, usize) {
    let (major, small) = (bytes[at] >> 5, bytes[at] & 31);
    let long = match small {
        0..=23 => 0,
        24..=27 => 1 << (small - 24),
        _ => panic!("not canonical at {at}"),
    };
    let start = at + 1 + long;
    let argument = &bytes[at + 1..start];
    let value = argument.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let value = if long == 0 { u64::from(small) } else { value };
    // Large numbers are not lengths.
    (major, usize::try_from(value).unwrap_or(usize::MAX), start)
}

impl Leaf {
    /// `bytes` with the lowest bit of this field's value flipped, as canonical as before.
    pub(crate) fn flipped(&self, bytes: &[u8]) -> Vec<u8> {
        let mut flipped = bytes.to_vec();
        if self.major == 0 {
            // The lowest bit of the last byte of a number; 23 and 24 differ in length.
            let last = self.item.end - 1;
            assert!(!matches!(bytes[self.item.clone()], [23] | [24, 24]), "choose another sample");
            flipped[last] ^= 1;
        } else {
            flipped[self.content.end - 1] ^= 1;
        }
        flipped
    }
}
