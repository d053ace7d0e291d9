//! One checker per promise. Each sees what a node makes durable, says and shows, and nothing of how
//! it does it.
//!
//! ```text
//! told      what the user of one requester was told (kept for J1 and J2)
//! j1        every accepted task and job ends exactly once
//! j2        no job is lost by a crash, and what was told is still so after it
//! j3        when faults stop, every job settles in bounded time, and nothing is left behind
//! r1        memory and queues stay under their limits
//! v1        a result that counts as verified is right, and only liars are accused
//! evidence  what a third party makes of evidence (used by V1)
//! gate      M6: nothing signed is said, and nothing told, before it is durable
//! books     one node's money, from its journal and its post (used by M1 to M5)
//! m1        money is neither made nor lost
//! m2        no result is paid twice
//! m3        what a provider can lose, and that it claims in time
//! m4        what a requester can lose, and that liars are promised nothing
//! m5        everybody gets out with what is theirs
//! m7        no job is billed more than its budget
//! ```

pub mod books;
pub mod evidence;
pub mod gate;
pub mod j1;
pub mod j2;
pub mod j3;
pub mod m1;
pub mod m2;
pub mod m3;
pub mod m4;
pub mod m5;
pub mod m7;
pub mod r1;
pub mod told;
pub mod v1;

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
