//! The ayni-sim crate.
