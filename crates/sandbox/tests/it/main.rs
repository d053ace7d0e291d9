//! The jail under attack, the protocol under lies, and what is left behind.

mod help;
mod lies;
mod lives;
mod walls;
