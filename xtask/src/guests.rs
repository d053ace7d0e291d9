//! The guest toolchain: builds the examples, the benchmark's kernels and the receipt page's
//! checker for `wasm32-wasip1`.
//!
//! Built guests are committed beside their source, so nobody needs this to run the examples;
//! [`check_prebuilt`] builds them again and compares, bit for bit when the toolchain is the one that
//! made them. A Rust toolchain that has the target is used as it is. Without it, on Debian, the
//! target's standard library is built once from Debian's sources (`rust-web-src`, `wasi-libc`).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::apt;
use crate::command::{self, command, output, run, say};
use crate::page;

/// Guests that are built together: a workspace of their own.
#[derive(Debug)]
struct Guests {
    /// Where the workspace is, from the project's folder.
    folder: &'static str,
    names: &'static [&'static str],
    /// Whether each has a folder of its own.
    apart: bool,
    /// Whether the same source gives the same bytes in any folder. Where crates outside the
    /// workspace take part, cargo puts their place into the names of symbols, which orders the code:
    /// such a guest is compared by what it does.
    exact: bool,
}

const GUESTS: [Guests; 3] = [
    Guests {
        folder: "examples",
        names: &["demand", "genomes", "grid", "molecules", "traffic", "weather"],
        apart: true,
        exact: true,
    },
    Guests {
        folder: "bench/guests",
        names: &["calls", "nbody", "sha256", "sieve", "sort", "tiny"],
        apart: false,
        exact: true,
    },
    Guests { folder: "web/receipt/checker", names: &["checker"], apart: false, exact: false },
];

const TARGET: &str = "wasm32-wasip1";
const DEBIAN_PACKAGES: [&str; 4] =
    ["rustc-web", "libstd-rust-web-dev", "rust-web-src", "wasi-libc"];
/// Bump to build Debian's standard library anew.
const DEBIAN_RECIPE: &str = "1";

impl Guests {
    fn root(&self) -> PathBuf {
        command::root().join(self.folder)
    }

    fn prebuilt(&self, name: &str) -> PathBuf {
        let folder = if self.apart { self.root().join(name) } else { self.root() };
        folder.join(format!("{name}.wasm"))
    }

    fn note(&self) -> PathBuf {
        self.root().join("prebuilt.json")
    }

    /// Each guest's name, where it is committed and what its source gives now.
    fn build(&self, toolchain: &Toolchain) -> Result<Vec<(&'static str, PathBuf)>> {
        let work = command::target().join("guests/build");
        let mut cargo = command("cargo");
        cargo.current_dir(self.root());
        cargo.args(["build", "--release", "--locked", "--quiet", "--target", TARGET]);
        cargo.env("CARGO_TARGET_DIR", &work);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", path_flags(&self.root())?);
        if let Some(rustc) = &toolchain.rustc {
            cargo.env("RUSTC", rustc);
        }
        run(&mut cargo)?;
        let names = self.names.iter().map(|name| {
            let built = work.join(TARGET).join("release").join(format!("{name}.wasm"));
            let to = command::target().join("guests").join(format!("{name}.wasm"));
            command::place(&built, &to)?;
            Ok((*name, to))
        });
        names.collect()
    }

    /// What the note beside the committed guests says, once it is sure that it speaks of them.
    fn committed_note(&self) -> Result<Value> {
        let path = self.note();
        let text = fs::read_to_string(&path)
            .with_context(|| format!("can't read `{}`", path.display()))?;
        let note: Value = serde_json::from_str(&text)
            .with_context(|| format!("`{}` is damaged", path.display()))?;
        for name in self.names {
            let found = crate::data::digest(&self.prebuilt(name))?;
            if note["blake3"][name] != found.as_str() {
                bail!(
                    "{name}.wasm in `{}` has the digest {found}, its note says {}\nhint: cargo \
                     xtask guests --update",
                    self.folder,
                    note["blake3"][name]
                );
            }
        }
        Ok(note)
    }
}

/// Where a committed guest is, by its name.
#[must_use]
pub fn prebuilt(name: &str) -> PathBuf {
    let home = GUESTS.iter().find(|guests| guests.names.contains(&name)).unwrap_or(&GUESTS[0]);
    home.prebuilt(name)
}

/// A compiler for guests.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// The compiler to name in `RUSTC`; `None` when cargo's own has the target.
    rustc: Option<PathBuf>,
    /// Everything that the built bytes depend on, in words.
    pub identity: String,
}

/// Finds a toolchain that can build guests, or prepares one.
///
/// # Errors
/// When there is none and none can be prepared; the error says what to install.
pub fn toolchain() -> Result<Toolchain> {
    let with_target = command::is_installed("rustup")
        && output(command("rustup").args(["target", "list", "--installed"]))
            .is_ok_and(|list| list.lines().any(|line| line == TARGET));
    if with_target {
        return Ok(Toolchain { rustc: None, identity: identity("rustc")? });
    }
    debian_toolchain()
}

/// Builds all guests into `target/guests/NAME.wasm`; returns their paths.
///
/// # Errors
/// When there is no toolchain or a guest does not compile.
pub fn build() -> Result<Vec<PathBuf>> {
    let toolchain = toolchain()?;
    let mut paths = Vec::new();
    for guests in &GUESTS {
        say_what_builds(&toolchain, guests);
        paths.extend(guests.build(&toolchain)?.into_iter().map(|(_, path)| path));
    }
    Ok(paths)
}

fn say_what_builds(toolchain: &Toolchain, guests: &Guests) {
    say(&format!("building the guests in `{}` with {}…", guests.folder, toolchain.identity));
}

/// Builds the guests and puts them beside their source, with a note of what built them.
///
/// # Errors
/// As [`build`].
pub fn update_prebuilt() -> Result<()> {
    let toolchain = toolchain()?;
    for guests in &GUESTS {
        say_what_builds(&toolchain, guests);
        let mut digests = serde_json::Map::new();
        for (name, built) in guests.build(&toolchain)? {
            let to = guests.prebuilt(name);
            command::place(&built, &to)?;
            // Data to everyone but the linker, which marks it executable.
            fs::set_permissions(to, fs::Permissions::from_mode(0o644))?;
            digests.insert(name.to_owned(), json!(crate::data::digest(&built)?));
        }
        let note = json!({ "toolchain": toolchain.identity, "blake3": digests });
        let text = serde_json::to_string_pretty(&note)? + "\n";
        let path = guests.note();
        fs::write(&path, text).with_context(|| format!("can't write `{}`", path.display()))?;
    }
    Ok(())
}

/// What a comparison of the committed guests with their source found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prebuilt {
    /// Built again, and every byte is the same.
    Same,
    /// They compile, but another toolchain made the committed ones, so bytes can't be compared.
    OtherToolchain,
}

/// Builds the guests again and compares them with the committed ones.
///
/// # Errors
/// When a committed guest is not what its source gives, or not what its note says.
pub fn check_prebuilt() -> Result<Prebuilt> {
    let toolchain = toolchain()?;
    let mut verdict = Prebuilt::Same;
    for guests in &GUESTS {
        let note = guests.committed_note()?;
        say_what_builds(&toolchain, guests);
        let built = guests.build(&toolchain)?;
        if note["toolchain"] != toolchain.identity.as_str() {
            let (by, here) = (&note["toolchain"], &toolchain.identity);
            say(&format!("the committed guests were built by {by}, not {here}"));
            verdict = Prebuilt::OtherToolchain;
            continue;
        }
        for (name, built) in built {
            if !guests.exact {
                page::test_build(&built)
                    .with_context(|| format!("{name}.wasm is not what its source gives"))?;
                continue;
            }
            if fs::read(&built)? != fs::read(guests.prebuilt(name))? {
                bail!(
                    "{name}.wasm in `{}` is not what its source gives\nhint: cargo xtask guests \
                     --update",
                    guests.folder
                );
            }
        }
    }
    Ok(verdict)
}

/// Flags that keep this machine's folders out of the built bytes.
fn path_flags(workspace: &Path) -> Result<String> {
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let name = workspace.file_name().unwrap_or_default().to_string_lossy();
    let mut flags = vec![format!("--remap-path-prefix={}=/{name}", workspace.display())];
    let crates = command::root().join("crates");
    flags.push(format!("--remap-path-prefix={}=/ayni", crates.display()));
    let sources = cargo_home.context("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    // One folder per registry, its name a matter of the machine.
    for registry in fs::read_dir(&sources).into_iter().flatten().flatten() {
        flags.push(format!("--remap-path-prefix={}=/crates", registry.path().display()));
    }
    flags.sort();
    Ok(flags.join("\x1f"))
}

/// Release and commit of a compiler.
fn identity(rustc: &str) -> Result<String> {
    let words = output(command(rustc).arg("-vV"))?;
    let of = |key: &str| {
        let line = words.lines().find_map(|line| line.strip_prefix(key));
        line.map(str::trim).with_context(|| format!("`{rustc} -vV` says no {key}"))
    };
    Ok(format!("rustc {} ({})", of("release:")?, of("commit-hash:")?))
}

/// Debian's compiler with a standard library for the target, built once from Debian's source.
fn debian_toolchain() -> Result<Toolchain> {
    if !command::is_installed("apt-get") {
        bail!(
            "no Rust toolchain here can build for {TARGET}\nhint: rustup target add {TARGET} (or \
             use Debian 12, where this prepares one)"
        );
    }
    apt::install(&DEBIAN_PACKAGES, "they build the example programs")?;
    let libc = output(command("dpkg-query").args(["-W", "-f", "${Version}", "wasi-libc"]))?;
    let linker = linker()?;
    let identity = format!(
        "{}, std from rust-web-src, wasi-libc {}, linked by the rust-lld of {}",
        identity("/usr/bin/rustc")?,
        libc.trim(),
        identity("rustc")?
    );
    let folder = command::target().join("guests/toolchain");
    let rustc = folder.join("bin/rustc");
    let stamp = format!("{identity}, recipe {DEBIAN_RECIPE}, {}\n", folder.display());
    let stamped = folder.join("stamp");
    if fs::read_to_string(&stamped).is_ok_and(|found| found == stamp) {
        return Ok(Toolchain { rustc: Some(rustc), identity });
    }
    say("building the standard library for WebAssembly from Debian's source (once, 1–2 minutes)…");
    command::fresh_folder(&folder)?;
    assemble(&folder, &linker)?;
    fs::write(&stamped, stamp).with_context(|| format!("can't write `{}`", stamped.display()))?;
    Ok(Toolchain { rustc: Some(rustc), identity })
}

/// The linker that comes with the Rust toolchain in use.
fn linker() -> Result<PathBuf> {
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    let words = output(command("rustc").arg("-vV"))?;
    let host = words.lines().find_map(|line| line.strip_prefix("host:")).unwrap_or_default().trim();
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    if !linker.is_file() {
        bail!("the Rust toolchain has no rust-lld\nhint: install Rust with rustup");
    }
    Ok(linker)
}

/// Lays out a sysroot: Debian's host libraries, the target's libraries built here, the C library
/// and the linker.
fn assemble(folder: &Path, linker: &Path) -> Result<()> {
    let seed = folder.join("seed");
    fs::create_dir_all(seed.join("src"))?;
    fs::write(seed.join("src/lib.rs"), "#![no_std]\n")?;
    fs::write(
        seed.join("Cargo.toml"),
        "[package]\nname = \"seed\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n",
    )?;
    let mut cargo = command("cargo");
    cargo.current_dir(&seed).env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
    cargo
        .env("CARGO_TARGET_DIR", seed.join("target"))
        .env("CARGO_ENCODED_RUSTFLAGS", path_flags(&command::root().join("examples"))?);
    cargo.args(["build", "--release", "--quiet", "--target", TARGET]);
    run(cargo.arg("-Zbuild-std=std,panic_abort,proc_macro"))
        .context("can't build the standard library for WebAssembly")?;

    let rustlib = folder.join("lib/rustlib");
    let lib = rustlib.join(TARGET).join("lib");
    fs::create_dir_all(lib.join("self-contained"))?;
    for entry in fs::read_dir(seed.join("target").join(TARGET).join("release/deps"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libseed-") {
            fs::copy(&path, lib.join(name))?;
        }
    }
    for name in ["libc.a", "crt1-command.o", "crt1-reactor.o"] {
        fs::copy(
            Path::new("/usr/lib/wasm32-wasi").join(name),
            lib.join("self-contained").join(name),
        )
        .with_context(|| format!("wasi-libc holds no `{name}`"))?;
    }
    let words = output(command("/usr/bin/rustc").arg("-vV"))?;
    let host = words.lines().find_map(|line| line.strip_prefix("host:")).unwrap_or_default().trim();
    run(command("cp").arg("-a").arg(Path::new("/usr/lib/rustlib").join(host)).arg(&rustlib))?;
    let tools = rustlib.join(host).join("bin");
    fs::create_dir_all(&tools)?;
    let _ = fs::remove_file(tools.join("rust-lld"));
    std::os::unix::fs::symlink(linker, tools.join("rust-lld"))?;
    fs::create_dir_all(folder.join("bin"))?;
    let rustc = folder.join("bin/rustc");
    let script =
        format!("#!/bin/sh\nexec /usr/bin/rustc --sysroot \"{}\" \"$@\"\n", folder.display());
    fs::write(&rustc, script)?;
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755))?;
    fs::remove_dir_all(&seed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_guests_are_those_of_their_note() {
        for guests in &GUESTS {
            let note = guests.committed_note().unwrap();
            assert!(note["toolchain"].as_str().is_some_and(|words| words.starts_with("rustc ")));
        }
    }

    #[test]
    fn committed_guests_hold_no_path_of_the_machine_that_built_them() {
        let here = command::root().display().to_string();
        for name in GUESTS.iter().flat_map(|guests| guests.names) {
            let bytes = fs::read(prebuilt(name)).unwrap();
            for path in [here.as_str(), "/home/", "/.cargo/", "/target/", "/tmp/"] {
                // The guest's own `/tmp` and `/out` may lie side by side.
                let parts = bytes.windows(path.len() + 3);
                let found = parts
                    .filter(|part| part.starts_with(path.as_bytes()))
                    .any(|part| part != b"/tmp/out");
                assert!(!found, "{name}.wasm holds `{path}`");
            }
        }
    }
}
