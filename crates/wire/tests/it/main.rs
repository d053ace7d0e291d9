//! The wire from outside: what is signed can't be altered, and nothing is left out of that.

mod fields;
mod flip;
// The vectors and the fuzz targets use the rest of it.
#[allow(dead_code)]
mod sample;
