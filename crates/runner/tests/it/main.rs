//! The runner as the daemon sees it: a process behind a socket.

mod guests;
mod harness;
