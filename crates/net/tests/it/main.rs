//! Real nodes on loopback, one binary because linking one is dear. Waits have a generous end so
//! that a hang fails instead of blocking; no test passes or fails by how fast the machine is.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail a test by panicking")]

mod blobs;
mod hostile;
mod messages;
mod namespaces;
mod relay;
mod support;
