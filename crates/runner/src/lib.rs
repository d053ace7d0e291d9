//! The runner: a process that holds no keys and executes strangers' WebAssembly.
//!
//! ```text
//! serve      one request after another from the daemon's socket
//! check      what a program is, why it can't run
//! normalise  program → metered program, the same meaning on every machine
//! compile    program → artefact              engine   the one wasmtime configuration
//! run        artefact + task → outcome       output   outcome → descriptor
//! preview1   WASI functions for modules      preview2 the same for components
//! host       what they act on                vfs      its files
//! world      which export of a component is called
//! wall       what the runner takes away from itself
//! ```
//! The only crate that knows wasmtime; never linked into the daemon. Everything here may be taken
//! over by a guest that breaks wasmtime: the daemon trusts no word of it (`ayni_wire::runner`).

pub mod check;
pub mod compile;
pub mod contract;
pub mod cpu;
pub mod engine;
pub mod errno;
pub mod host;
pub mod mapped;
pub mod normalise;
pub mod output;
pub mod preview1;
pub mod preview2;
pub mod run;
pub mod serve;
pub mod socket;
pub mod stop;
pub mod vfs;
pub mod wall;
pub mod world;
