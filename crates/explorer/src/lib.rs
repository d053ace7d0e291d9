//! Shows to anybody, without a login, what is public of what a node knows: a page and a small API,
//! both to be read only. Opt-in; a process and a listener of its own, beside the node's local API,
//! whose client it is.
//!
//! Public is what strangers can have without it:
//! - offers, because a directory gives them to any peer that asks;
//! - proofs that a provider signed two roots, because nodes pass them on to every peer, and each
//!   proves itself;
//! - of channels and disputes what the chain shows, to who names one by its id: the ids that the
//!   node is part of are not listed;
//! - whether a receipt holds, because that follows from its bytes. It is never executed again.
//!
//! Nothing else is: no job, task, input, output or name of one, no address of a node, ticket, token
//! or path, no balance, limit or check of the machine. What goes out is built field by field from
//! shapes of this crate, so what the node's API learns to say later stays inside until somebody
//! decides otherwise. What the node says when it fails stays inside, too.
//!
//! That a channel or a dispute is found here says that this node is part of it. Whoever minds runs
//! the explorer beside a node without an account.
//!
//! ```text
//! shapes    what is said
//! source    how the node is asked: seldom, whoever asks here and however often
//! door      how many may come at once, and for how long
//! routes    what may be asked
//! ```
//!
//! Deliberately not here: TLS and limits by address (a reverse proxy before it knows both better),
//! cookies, logins, anything that changes something, and votes.

mod door;
mod routes;
mod shapes;
mod source;

pub use routes::{router, serve};
pub use source::Source;
