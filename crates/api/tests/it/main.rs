//! The API over a small node in memory: who may call it, what it refuses, and in which shape.
//! What a real node answers is tested with real processes elsewhere.

mod memory;
mod rules;
mod traffic;
