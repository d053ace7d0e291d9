//! A collection of molecules: a CSV with a header; of each molecule its number and its fingerprint.

/// Bits of a fingerprint, in words.
const WORDS: usize = 2048 / 64;

pub struct Molecule {
    /// Its number in the collection's own catalogue.
    pub number: u32,
    bits: [u64; WORDS],
    /// Bits that are set.
    set: u32,
}

impl Molecule {
    /// Parses the file's text.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        if header != "number,smiles,fingerprint" {
            return Err(format!("the molecules begin with `{header}`, which is not their header"));
        }
        let parse = |(line, number): (&str, u32)| {
            Self::parse(line)
                .ok_or_else(|| format!("line {number} of the molecules is no molecule"))
        };
        lines.zip(2..).map(parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.split(',');
        let (number, _, fingerprint) = (cells.next()?, cells.next()?, cells.next()?);
        if fingerprint.len() != 16 * WORDS || cells.next().is_some() {
            return None;
        }
        let mut bits = [0; WORDS];
        for (word, digits) in bits.iter_mut().zip(fingerprint.as_bytes().chunks(16)) {
            *word = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let set = bits.iter().map(|word| word.count_ones()).sum();
        Some(Self { number: number.parse().ok()?, bits, set })
    }

    /// Tanimoto's coefficient: bits that both have over bits that either has. Two molecules without
    /// any are not alike.
    pub fn tanimoto(&self, other: &Self) -> f64 {
        let pairs = self.bits.iter().zip(&other.bits);
        let shared: u32 = pairs.map(|(a, b)| (a & b).count_ones()).sum();
        let all = self.set + other.set - shared;
        if all == 0 { 0.0 } else { f64::from(shared) / f64::from(all) }
    }
}
