//! The ayni-store crate.
