//! The runner as the daemon sees it: a process behind a socket.

mod components;
mod corpus;
mod functions;
#[allow(unreachable_pub)]
mod guests;
#[allow(unreachable_pub)]
mod harness;
mod protocol;
