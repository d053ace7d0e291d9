//! A limit on everything, with what it can cost. One place, so that the sum can be read.

/// Longest engine id in bytes.
pub const ENGINE_ID_BYTES_MAX: usize = 32;
/// Largest program accepted, in bytes (the largest real one measured is 76 MB).
pub const PROGRAM_BYTES_MAX: u64 = 128 << 20;
/// Arguments and environment together, in bytes: cost per task held in memory.
pub const ARGS_ENV_BYTES_MAX: usize = 128 << 10;
/// Arguments per task.
pub const ARGS_MAX: usize = 4_096;
/// Environment variables per task.
pub const ENV_MAX: usize = 1_024;
/// Mounts per task.
pub const MOUNTS_MAX: usize = 256;
/// Files in one mounted tree, and files a task may create.
pub const TREE_FILES_MAX: usize = 65_536;
/// Longest guest path in bytes.
pub const GUEST_PATH_BYTES_MAX: usize = 1_024;
/// Longest component of a guest path in bytes.
pub const GUEST_NAME_BYTES_MAX: usize = 255;
/// Linear memory a task may ask for, in bytes.
pub const TASK_MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Stack a task may ask for, in metered bytes.
pub const TASK_STACK_BYTES_MAX: u32 = 64 << 20;
/// stdout, stderr and files of one task together, in bytes.
pub const TASK_OUTPUT_BYTES_MAX: u64 = 4 << 30;
/// Output files of one task that may leave it.
pub const OUTPUT_FILES_MAX: usize = 4_096;
/// One message between nodes, in bytes: buffered once per peer.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// One frame between daemon and runner, in bytes.
pub const RUNNER_FRAME_BYTES_MAX: usize = 1 << 20;
/// Tasks in one job: about 1 KiB of memory each at the requester.
pub const JOB_TASKS_MAX: usize = 1_000_000;
/// Assignments in flight under one lease.
pub const LEASE_WINDOW_MAX: usize = 64;
/// Blobs that come with an outcome: more would not all be small.
pub const INLINE_BLOBS_MAX: usize = 4;
/// Largest blob that comes with an outcome, in bytes.
pub const INLINE_BLOB_BYTES_MAX: usize = 4 << 10;
/// Receipts in one batch; a proof has at most 10 hashes.
pub const BATCH_RECEIPTS_MAX: usize = 1_024;
/// Free text in a message (fault details, reasons), in bytes.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// Offers held by a directory, about 1 KiB each.
pub const DIRECTORY_OFFERS_MAX: usize = 100_000;
/// Offers in one answer.
pub const OFFERS_ANSWER_MAX: usize = 256;
/// Socket addresses in one hint.
pub const ADDRESSES_MAX: usize = 16;
