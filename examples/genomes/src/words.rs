//! The words of a genome: every run of 21 bases, read on whichever strand makes it smaller, so that a
//! genome and its reverse complement have the same words.
//!
//! A word is a number of 42 bits, two a base. Runs do not cross from one sequence to the next, nor
//! anything that is not one of the four bases.

/// Bases in a word.
const LENGTH: u32 = 21;
const MASK: u64 = (1 << (2 * LENGTH)) - 1;

/// The distinct words of a FASTA file that belong to one part of `parts`, in ascending order.
pub fn read(text: &[u8], part: u64, parts: u64) -> Vec<u64> {
    let mut words = Vec::new();
    let (mut forward, mut backward, mut bases) = (0_u64, 0_u64, 0_u32);
    for line in text.split(|byte| *byte == b'\n') {
        if line.first() == Some(&b'>') {
            bases = 0;
            continue;
        }
        for byte in line.trim_ascii_end() {
            let base = match byte.to_ascii_uppercase() {
                b'A' => 0,
                b'C' => 1,
                b'G' => 2,
                b'T' => 3,
                _ => {
                    bases = 0;
                    continue;
                }
            };
            forward = (forward << 2 | base) & MASK;
            backward = backward >> 2 | (3 - base) << (2 * (LENGTH - 1));
            bases += 1;
            let word = forward.min(backward);
            if bases >= LENGTH && mix(word) % parts == part {
                words.push(word);
            }
        }
    }
    words.sort_unstable();
    words.dedup();
    words
}

/// How many words two ascending lists share.
pub fn shared(a: &[u64], b: &[u64]) -> usize {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        shared += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    shared
}

/// Spreads words evenly over the parts, whatever bases they begin or end with (the finaliser of
/// `SplitMix64`).
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}
