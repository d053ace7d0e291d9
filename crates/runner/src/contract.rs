//! The `wasi1` contract's numbers on the host's side: what host calls cost, and every limit.
//!
//! Changing any of them changes outcomes, so it needs a new engine id. What operators cost and what
//! a stack frame costs belong to the normaliser's table. Limits on the task itself (memory, fuel,
//! stack, output bytes) come with the task.

/// Fuel of any host call, before what it moves.
pub const CALL_FUEL: u64 = 500;
/// Fuel of each byte a host call reads, writes, copies or zeroes.
pub const BYTE_FUEL: u64 = 1;
/// Fuel of each random byte.
pub const RANDOM_BYTE_FUEL: u64 = 4;
/// Fuel of each buffer in a scattered read or write, and of each subscription of a poll.
pub const ITEM_FUEL: u64 = 50;
/// Fuel of each path component walked, symbolic links included.
pub const PATH_STEP_FUEL: u64 = 200;
/// Fuel of each directory entry listed or searched.
pub const ENTRY_FUEL: u64 = 100;
/// Fuel of the first opening of each input.
pub const BLOB_FUEL: u64 = 50_000;

/// Open descriptors of one task (about 100 bytes each).
pub const OPEN_FILES_MAX: usize = 1_024;
/// Files, directories and links one task may have created at a time (about 300 bytes each).
pub const CREATED_FILES_MAX: usize = 65_536;
/// Files and links a task may have under `/out`, at most as many as may leave it.
pub const OUT_FILES_MAX: usize = ayni_types::limits::OUTPUT_FILES_MAX;
/// Symbolic links followed in one path.
pub const LINKS_FOLLOWED_MAX: usize = 40;
/// Buffers in one scattered read or write.
pub const BUFFERS_MAX: u32 = 1_024;
/// Subscriptions in one poll.
pub const SUBSCRIPTIONS_MAX: u32 = 4_096;
/// Elements of all tables of a task together (8 bytes each).
pub const TABLE_ELEMENTS_MAX: usize = 10_000_000;

/// The virtual clock's start: 2000-01-01T00:00:00Z in nanoseconds since the Unix epoch.
pub const START_NS: u64 = 946_684_800_000_000_000;
/// What each reading of a clock adds to it, in nanoseconds; also the clocks' resolution.
pub const CLOCK_STEP_NS: u64 = 1_000;
/// Bytes that one read of a preview 2 stream returns, and random bytes of one call.
pub const READ_BYTES_MAX: u64 = 16 << 20;
/// Bytes that one write to a preview 2 stream may have.
pub const WRITE_BYTES_MAX: u64 = 1 << 20;
/// Handles of a preview 2 guest (about 100 bytes each).
pub const HANDLES_MAX: usize = 65_536;
