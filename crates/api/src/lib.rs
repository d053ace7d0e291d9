//! The ayni-api crate.
