//! The ayni-sandbox crate.
