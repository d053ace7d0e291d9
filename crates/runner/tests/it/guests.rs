//! Guests written in WebAssembly text, each end and each limit.
