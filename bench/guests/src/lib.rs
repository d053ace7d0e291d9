//! What the kernels share: their one argument. No kernel reads anything else.

/// How often to do the work: the first argument, or else `usual`.
///
/// # Errors
/// When the argument is not a number.
pub fn rounds(usual: u64) -> Result<u64, String> {
    match std::env::args().nth(1) {
        None => Ok(usual),
        Some(text) => {
            text.parse().map_err(|_| format!("error: `{text}` is not a number of rounds"))
        }
    }
}
