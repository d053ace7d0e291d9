//! The API over a small node in memory: who may call it, what it refuses, and in which shape.
//! What a real node answers is tested with real processes elsewhere.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // a panic is how a test fails

mod login;
mod memory;
mod rules;
mod traffic;
