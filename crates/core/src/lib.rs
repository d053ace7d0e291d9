//! The ayni-core crate.
