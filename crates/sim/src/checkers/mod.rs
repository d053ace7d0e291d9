//! One checker per promise. Each sees what a node makes durable, says and shows, and nothing of how
//! it does it.

pub mod gate;
pub mod jobs;
pub mod limits;
pub mod truth;

/// What a checker found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise is broken.
    pub promise: &'static str,
    /// How.
    pub text: String,
}

impl Violation {
    /// A violation.
    #[must_use]
    pub fn new(promise: &'static str, text: String) -> Self {
        Self { promise, text }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {}", self.promise, self.text)
    }
}
