//! Builds the jail around one runner and becomes its warder: see `ayni_sandbox::jail`.
//!
//! A program of its own because the daemon has many threads, and what a process may do between
//! fork and exec in such a program is next to nothing. Nothing to call by hand.

use std::process::ExitCode;

fn main() -> ExitCode {
    ayni_sandbox::jail::main()
}
