//! The `ayni` executable as a user meets it: real processes, real sockets, real files.
//!
//! One binary, because each that links costs much. `network` starts networks by `ayni dev`.

mod disputes;
mod everyday;
mod explorer;
mod faults;
mod guides;
mod hostile;
mod jobs;
mod kills;
mod liars;
mod mistakes;
mod network;
mod owner;
mod paid;
