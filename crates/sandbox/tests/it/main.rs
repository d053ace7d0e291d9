//! The jail under attack, the protocol under lies, and what is left behind.

#![allow(clippy::unwrap_used)]

mod help;
mod lies;
mod lives;
mod walls;
