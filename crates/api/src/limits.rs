//! Limits of the API, each with what it costs.

/// Largest JSON body in bytes: held in memory once while it is read.
pub const JSON_BYTES_MAX: usize = 32 << 20;
/// Tasks in one request; a larger job is submitted open and grows by `POST …/tasks`.
pub const TASKS_PER_REQUEST_MAX: usize = 5_000;
/// Rows in one answer of `GET …/tasks`, about 1 KiB each.
pub const TASK_ROWS_MAX: u32 = 1_000;
/// Digests in one question about which blobs are missing.
pub const DIGESTS_PER_REQUEST_MAX: usize = 10_000;
/// Largest receipt file in bytes (a task with all its arguments, and a proof).
pub const RECEIPT_BYTES_MAX: usize = 4 << 20;
/// Largest blob that may be put, in bytes; it is streamed, never held.
pub const BLOB_BYTES_MAX: u64 = 64 << 30;
/// Largest body of `POST /v1/session`, which anybody on this machine may send.
pub const LOGIN_BYTES_MAX: usize = 1 << 10;
/// Login codes that wait to be exchanged, about 100 bytes each; the oldest makes room.
pub const LOGIN_CODES_MAX: usize = 16;
/// Browsers that are logged in, about 200 bytes each; the oldest is logged out.
pub const SESSIONS_MAX: usize = 64;
