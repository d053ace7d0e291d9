//! The normaliser against the compilers: what a normalised program does, spends and shows must
//! not depend on who compiles it. One binary, because linking a compiler is dear.

// A test that can't go on may panic; numbers drawn below a bound fit.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod component;
mod fuel;
mod generate;
mod host;
mod nan;
mod refuse;
mod stack;
