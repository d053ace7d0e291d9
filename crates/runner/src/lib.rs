//! The ayni-runner crate.
