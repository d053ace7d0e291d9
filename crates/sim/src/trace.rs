//! A hash over everything that happened, so that two runs of one seed can be compared, and the last
//! lines for people.

use std::collections::VecDeque;

/// Lines kept for people.
const LINES_KEPT: usize = 50_000;

/// See the module.
#[derive(Debug)]
pub struct Trace {
    hasher: blake3::Hasher,
    lines: Option<VecDeque<String>>,
    /// Events so far.
    pub events: u64,
}

impl Trace {
    /// An empty trace; `verbose` keeps lines.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), lines: verbose.then(VecDeque::new), events: 0 }
    }

    /// Something happened at a node.
    pub fn add(&mut self, at_ms: u64, node: usize, kind: u8, bytes: &[u8]) {
        self.events += 1;
        self.hasher.update(&at_ms.to_be_bytes());
        self.hasher.update(&(node as u64).to_be_bytes());
        self.hasher.update(&[kind]);
        self.hasher.update(&(bytes.len() as u64).to_be_bytes());
        self.hasher.update(bytes);
    }

    /// The same in words; `line` is made only if somebody will read it.
    pub fn say(&mut self, at_ms: u64, node: usize, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES_KEPT {
                lines.pop_front();
            }
            lines.push_back(format!(
                "{:>9} ms  node {node}  {}",
                at_ms - crate::world::EPOCH_MS,
                line()
            ));
        }
    }

    /// The last lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.iter().flatten().cloned().collect()
    }

    /// The hash so far.
    #[must_use]
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}
