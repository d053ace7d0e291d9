//! Which crates are built without coverage for fuzzing: those that no hostile byte is parsed by.
//!
//! Arithmetic on curves, hashing and the generator of modules run millions of edges for each input,
//! all of which libFuzzer would count, compare and chase. Cargo can't give a crate flags of its own,
//! but it calls a wrapper instead of the compiler: this program, which leaves the flags out.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Without any coverage, as the compiler calls them.
const UNSEEN: [&str; 15] = [
    // The generator: what matters is what is made of its modules.
    "wasm_smith",
    // Arithmetic and hashing. How keys and signatures are read (`sec1`, `ecdsa`, `ed25519_dalek`) stays.
    "k256",
    "elliptic_curve",
    "crypto_bigint",
    "primeorder",
    "ff",
    "group",
    "curve25519_dalek",
    "subtle",
    "generic_array",
    "hybrid_array",
    "sha2",
    "sha3",
    "keccak",
    "blake3",
];
/// With edges, but without comparisons: each reader of CSV builds its automaton anew, of thousands.
const UNCOMPARED: [&str; 1] = ["csv_core"];
/// How the flags begin that ask for coverage, and the one that asks for comparisons.
const COVERAGE: [&str; 2] = ["-Cpasses=sancov", "-Cllvm-args=-sanitizer-coverage"];
const COMPARES: &str = "-Cllvm-args=-sanitizer-coverage-trace-compares";
/// Set where cargo is to call this program.
const MARK: &str = "AYNI_XTASK_IS_RUSTC";

/// Makes a cargo command build these crates so. Answers a flag for all crates, which does nothing
/// but tell cargo that what was built with other lists is stale.
///
/// What is called is a copy in `folder`: cargo may have built this program anew since it started,
/// and so removed its file.
pub(crate) fn wrap(cargo: &mut Command, folder: &Path) -> std::io::Result<String> {
    let copy = folder.join("wrapper");
    let itself = std::fs::read("/proc/self/exe")?;
    // Cargo asks the compiler everything again when its wrapper's date changes.
    if std::fs::read(&copy).ok().as_ref() != Some(&itself) {
        std::fs::create_dir_all(folder)?;
        let part = folder.join("wrapper.part");
        std::fs::write(&part, itself)?;
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o755))?;
        std::fs::rename(&part, &copy)?;
    }
    cargo.env("RUSTC_WRAPPER", copy).env(MARK, "1");
    let lists = [UNSEEN.join(" "), UNCOMPARED.join(" ")].join(", ");
    Ok(format!("--cfg=built_apart=\"{lists}\""))
}

/// Calls the compiler, if that is why this program was started: its first argument is the compiler.
pub(crate) fn compile() -> Option<ExitCode> {
    std::env::var_os(MARK)?;
    let mut arguments = std::env::args_os().skip(1);
    let mut rustc = Command::new(arguments.next()?);
    let arguments: Vec<_> = arguments.collect();
    let text: Vec<_> = arguments.iter().map(|argument| argument.to_string_lossy()).collect();
    rustc.args(arguments.iter().zip(kept(&text)).filter(|(_, keep)| *keep).map(|(one, _)| one));
    let code = match rustc.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => {
            eprintln!("error: can't start {}: {error}", rustc.get_program().display());
            1
        }
    };
    Some(ExitCode::from(code))
}

/// For each argument of the compiler, whether it stays.
fn kept(arguments: &[impl AsRef<str>]) -> Vec<bool> {
    let mut names = arguments.iter().skip_while(|one| one.as_ref() != "--crate-name").skip(1);
    let name = names.next().map_or("", AsRef::as_ref);
    let (unseen, uncompared) = (UNSEEN.contains(&name), UNCOMPARED.contains(&name));
    let stays = |one: &str| {
        !(unseen && COVERAGE.iter().any(|flag| one.starts_with(flag))
            || uncompared && one == COMPARES)
    };
    arguments.iter().map(|one| stays(one.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_coverage_is_left_out_and_only_where_it_is_named() {
        let check = |name: &str| {
            let flags = ["-Cpasses=sancov-module", "-Cllvm-args=-sanitizer-coverage-level=4"];
            let rest = [COMPARES, "--cfg=fuzzing", "-Copt-level=3"];
            let all = [&["--crate-name", name][..], &flags, &rest].concat();
            kept(&all).into_iter().filter(|keep| !keep).count()
        };
        let names = ["k256", "wasm_smith", "csv_core", "ayni_wire", "ed25519_dalek"];
        assert_eq!(names.map(check), [3, 3, 1, 0, 0]);
        assert_eq!(kept(&["-vV"]), [true]);
    }

    #[test]
    fn the_flags_are_those_that_the_fuzz_targets_are_built_with() {
        let flags = crate::fuzz::FLAGS;
        assert!(flags.contains(&COMPARES));
        assert!(COVERAGE.iter().all(|start| flags.iter().any(|flag| flag.starts_with(start))));
    }
}
