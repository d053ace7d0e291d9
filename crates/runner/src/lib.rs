//! The engine behind `ayni-runner`: what a program means under the `wasi1` contract.

pub mod normalise;
