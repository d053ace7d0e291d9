//! Oracles for the fuzz targets: each takes hostile bytes and panics when a promise is broken.
//!
//! ```text
//! cbor        an independent reader of canonical CBOR        statements  signed by nodes
//! messages    what travels between nodes                     receipts    batches and proofs
//! runner      what comes out of a jail                       text        what people and files say
//! programs    WebAssembly                                    seeds       where the fuzzer starts
//! ```
//!
//! `targets/` is glue, one file for each target. Parsers that live in crates with a heavy dependency
//! (iroh, wasmtime) are included here by path: the very files that ship. Deliberately not here: what
//! is behind those dependencies (QUIC, TLS, HTTP, wasmtime's compiler), which their own projects fuzz.

pub mod cbor;
pub mod messages;
pub mod programs;
pub mod receipts;
pub mod runner;
pub mod seeds;
pub mod statements;
pub mod text;

/// One valid value of everything, as the tests of `ayni-wire` have it.
#[allow(dead_code)]
#[path = "../../crates/wire/tests/it/sample.rs"]
mod sample;

// From the runner. The list of host functions is bound to wasmtime there; a few stand for it here.
#[path = "../../crates/runner/src/check.rs"]
pub mod check;
pub use runner_source::{normalise, world};
#[path = "../../crates/runner/src"]
mod runner_source {
    pub mod normalise;
    pub mod world;
}
#[allow(missing_docs)]
mod preview1 {
    pub const MODULE: &str = "wasi_snapshot_preview1";
    pub const EXIT: &str = "proc_exit";
    pub const FUNCTIONS: &[(&str, &[&str])] = &[
        ("clock_time_get", &["u32", "u64", "u32"]),
        ("fd_write", &["u32", "u32", "u32", "u32"]),
        ("sched_yield", &[]),
    ];
}

// From the sandbox: what the daemon reads of a runner and of the jail maker.
#[allow(dead_code)]
#[path = "../../crates/sandbox/src/config.rs"]
mod config;
#[allow(dead_code)]
#[path = "../../crates/sandbox/src/order.rs"]
mod order;
#[allow(dead_code)]
#[path = "../../crates/sandbox/src/report.rs"]
mod report;

// From the network: verified segments of blobs.
#[allow(dead_code)]
#[path = "../../crates/net/src/limits.rs"]
mod limits;
#[allow(dead_code)]
#[path = "../../crates/net/src/blob/segment.rs"]
mod segment;

// From the command line and the daemon: files that people write.
#[allow(dead_code)]
#[path = "../../crates/cli/src/expand.rs"]
mod expand;
#[allow(dead_code)]
#[path = "../../crates/cli/src/jobfile.rs"]
mod jobfile;
#[allow(dead_code)]
#[path = "../../crates/node/src/config.rs"]
mod node_config;
#[allow(dead_code)]
#[path = "../../crates/node/src/owner"]
mod owner {
    pub(crate) mod limits;
}
#[allow(dead_code)]
#[path = "../../crates/cli/src/params.rs"]
mod params;
#[allow(dead_code)]
#[path = "../../crates/cli/src/quantity.rs"]
mod quantity;
#[allow(dead_code)]
#[path = "../../crates/cli/src/template.rs"]
mod template;
