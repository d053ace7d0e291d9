//! The ayni-net crate.
