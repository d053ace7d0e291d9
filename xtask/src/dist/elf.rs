//! What an executable asks of the machine that it is installed on: shared libraries, and versions of
//! the C library's symbols. Read by `objdump`, which comes with the linker.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::command::{command, output};

/// Libraries that a wheel may expect of any machine with that C library (PEP 600).
const EVERYWHERE: [&str; 9] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "librt.so.1",
    "libpthread.so.0",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "linux-vdso.so.1",
];

/// The newest version of the GNU C library that any of these asks for.
pub(super) fn glibc(executables: &[PathBuf]) -> Result<(u32, u32)> {
    let mut newest = None;
    for path in executables {
        let told =
            output(command("objdump").arg("-p").arg(path)).context("hint: apt install binutils")?;
        let foreign: Vec<_> =
            needed(&told).into_iter().filter(|lib| !EVERYWHERE.contains(&lib.as_str())).collect();
        if !foreign.is_empty() {
            bail!("`{}` needs {}, which not every machine has", path.display(), foreign.join(", "));
        }
        newest = newest.max(versions(&told).last().copied());
    }
    newest.context("no executable asks for the GNU C library\nhint: build for a gnu target")
}

fn needed(told: &str) -> BTreeSet<String> {
    let lines = told.lines().filter_map(|line| line.trim().strip_prefix("NEEDED"));
    lines.map(|name| name.trim().to_owned()).collect()
}

fn versions(told: &str) -> BTreeSet<(u32, u32)> {
    let words = told.split_whitespace().filter_map(|word| word.strip_prefix("GLIBC_"));
    let pairs = words.filter_map(|word| {
        let mut parts = word.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let told = "  NEEDED               libgcc_s.so.1\n  NEEDED   libc.so.6\n\
                    required from libc.so.6:\n    0x069691b4 0x00 07 GLIBC_2.34\n\
                    0x0d696919 0x00 06 GLIBC_2.9\n 0x09691972 0x00 03 GLIBC_2.3.4\n GLIBC_PRIVATE\n";
        assert_eq!(versions(told).last(), Some(&(2, 34)));
        let needed: Vec<_> = needed(told).into_iter().collect();
        assert_eq!(needed, ["libc.so.6", "libgcc_s.so.1"]);
    }

    #[test]
    fn this_test_itself_asks_for_a_c_library_that_is_installed() {
        let own = std::env::current_exe().unwrap();
        assert!(glibc(&[own]).unwrap() >= (2, 2));
        assert!(glibc(&[]).unwrap_err().to_string().contains("hint:"));
    }
}
