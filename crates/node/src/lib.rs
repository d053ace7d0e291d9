//! The ayni-node crate.
