//! The OpenAPI document held against a running node, by a tool that knows nothing of ours.
//!
//! schemathesis makes requests from the document, fitting ones and broken ones, and judges each
//! answer by it: no server error, no status, type or shape that the document does not have. The
//! node is a real one, with a home of its own, that provides. Left out are what ends or drains the
//! node and streams that never end. Deliberately not here: who is let in (tests of `crates/api`).

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{command, fresh_folder, root, target};
use crate::shell::built;
use crate::{daemon, python};

const FOLDER: &str = "crates/api/tests/document";
/// Routes that end the node, wait for work to end, or go on for ever.
const LEFT_OUT: &str = "/v1/shutdown|/v1/provider/drain|/events";
/// Requests of each kind for a route; a search for more goes by the command line.
const EXAMPLES: &str = "15";

/// Starts a node, tries it out, ends it; returns what was tried. `more` goes to schemathesis.
pub(crate) fn test(more: &[String]) -> Result<String> {
    let python = python::apart("venv-document", FOLDER, "schemathesis, which tries out the API")?;
    let home = target().join("tmp/document");
    fresh_folder(&home)?;
    fs::write(home.join("config.toml"), "provide = true\ncpus = 1\n")?;
    let mut node = daemon::start(&built("ayni"), &home, &[])?;
    let tried = try_out(&python, &home, more);
    let ended = node.try_wait()?;
    let _ = node.kill();
    let _ = node.wait();
    if let Some(status) = ended {
        let log = fs::read_to_string(home.join("daemon.log")).unwrap_or_default();
        bail!("the node ended ({status}): {}", log.trim());
    }
    tried
}

fn try_out(python: &std::path::Path, home: &std::path::Path, more: &[String]) -> Result<String> {
    let endpoint: Value = serde_json::from_slice(&fs::read(home.join("api.json"))?)?;
    let addr = endpoint["addr"].as_str().context("`api.json` names no address")?;
    let token = fs::read_to_string(home.join("api.token"))?;
    let tool = python.with_file_name("schemathesis");
    let mut tool = command(tool);
    tool.current_dir(home)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", root().join(FOLDER))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("run")
        .arg(root().join("docs/openapi.json"))
        .args(["--url", &format!("http://{addr}"), "--no-color", "--generation-deterministic"])
        .args(["-H", &format!("Authorization: Bearer {}", token.trim())])
        .args(["--exclude-path-regex", LEFT_OUT, "--request-timeout", "60"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES])
        .args(["--checks", "not_a_server_error,status_code_conformance"])
        .args(["--checks", "content_type_conformance,response_schema_conformance"])
        .args(more);
    let done = tool.output().context("can't start schemathesis")?;
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        bail!("the node and docs/openapi.json disagree:\n{said}");
    }
    let of = |what: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(what));
        line.map(str::trim).unwrap_or("?").to_owned()
    };
    Ok(format!("{} routes, {}", of("Tested:"), summary(&said)))
}

/// The line that counts requests.
fn summary(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| !line.starts_with("Test cases:")).skip(1);
    lines.next().unwrap_or_default().trim().to_owned()
}

/// Words after the command, for a longer search: `--max-examples 1000`.
pub(crate) fn run(more: &[&str]) -> Result<()> {
    let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
    println!("{}", test(&more)?);
    Ok(())
}
