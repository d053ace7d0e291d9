//! Sells runs over HTTP to whoever speaks x402: a public door to a node, for clients that have never
//! heard of it. Opt-in; a listener of its own, beside the node's local API and its peers.
//!
//! ```text
//! terms     what is sold, for how much, on which chain
//! wire      x402 version 2 in JSON and headers
//! payment   a payment as it came in, judged by itself
//! refusal   why nothing is sold
//! cashier   payments against the chain: good now? then settled
//! book      every payment taken, on disk
//! backend   who runs it: a node, through its public API
//! settings  the file that all this is opened from
//! shop      the routes, and the order of things: check, run, settle, answer
//! ```
//!
//! A run is checked, executed, then charged: who gets no outcome pays nothing, and who can't pay any
//! more gets no outcome. What the seller can lose is the work of one run for each such payment, and
//! only so many are in hand at once. Deliberately not here: TLS (put a reverse proxy before it),
//! scheme `batch-settlement` (the clients there are know one contract address only), accounts,
//! refunds (nothing is charged before there is something to give).

mod backend;
mod book;
mod cashier;
mod payment;
mod refusal;
mod settings;
mod shop;
mod terms;
pub mod wire;

pub use backend::{Backend, Finished, NodeBackend, Order, RunError};
pub use book::{Book, BookError, Sale, SaleState};
pub use cashier::{Cashier, CashierError};
pub use payment::Payment;
pub use refusal::Refusal;
pub use settings::{OfferSettings, OpenError, Settings};
pub use shop::{Shop, router, serve};
pub use terms::{Offer, Terms, TermsError};
