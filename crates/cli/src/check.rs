//! `ayni check`: will a program run, with what, and why not.

use std::path::Path;
use std::process::ExitCode;

use ayni_api::json::CheckJson;
use ayni_api::{ApiError, codes};

use crate::daemon;
use crate::quantity::show_bytes;
use crate::script;
use crate::table::facts;
use crate::ui::{self, Ui, escape};
use crate::upload::Sources;

/// Looks at a program; for a script, at the guest that runs it.
pub(crate) async fn run(program: &Path, home: &Path, ui: &Ui) -> anyhow::Result<ExitCode> {
    let mut sources = Sources::default();
    let guest = script::guest(program)?;
    let added = sources.add_file(guest.as_deref().unwrap_or(program))?;
    let client = daemon::ensure(home).await?;
    sources.upload_one(&client, added.digest).await?;
    let report = client.check(added.digest).await?;
    ui.show(&report, |report| text(program, report, added.size));
    if !report.runs && !ui.json {
        ui.hint(codes::PROGRAM_INVALID.hint);
    }
    Ok(ui::code(report.runs))
}

fn text(program: &Path, report: &CheckJson, size: u64) -> String {
    let verdict = if report.runs { "will run" } else { "can't run" };
    let mut text = format!("{}: {verdict}\n", program.display());
    text.push_str(&facts(&[
        ("kind", report.kind.clone()),
        ("size", show_bytes(size)),
        ("code", show_bytes(report.code_bytes)),
        ("memory at start", show_bytes(report.memory_bytes_min)),
        ("imports", report.imports.len().to_string()),
    ]));
    for problem in &report.problems {
        text.push_str(&format!("problem: {}\n", escape(problem)));
    }
    for remark in &report.remarks {
        text.push_str(&format!("remark: {}\n", escape(remark)));
    }
    for import in &report.imports {
        text.push_str(&format!("  {}\n", escape(import)));
    }
    text
}

/// The error of a program that can't run.
pub(crate) fn refusal(program: &str, report: &CheckJson) -> ApiError {
    let mut text = format!("`{program}` can't run");
    match report.problems.as_slice() {
        [] => {}
        [only] => text.push_str(&format!(": {only}")),
        several => {
            for problem in several.iter().take(5) {
                text.push_str(&format!("\n  {problem}"));
            }
            if several.len() > 5 {
                text.push_str(&format!("\n  and {} more", several.len() - 5));
            }
        }
    }
    ApiError::new(codes::PROGRAM_INVALID, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_api::json::Schema;

    #[test]
    fn a_program_that_cannot_run_is_refused_with_its_reasons() {
        let report = |problems: &[&str]| CheckJson {
            schema: Schema,
            runs: problems.is_empty(),
            kind: "module".into(),
            imports: vec!["env.f".into()],
            problems: problems.iter().map(ToString::to_string).collect(),
            remarks: vec![],
            code_bytes: 2_048,
            memory_bytes_min: 65_536,
        };
        let check = |problems: &[&str]| refusal("p.wasm", &report(problems)).to_string();
        insta::assert_snapshot!(check(&["unexpected end at byte 12"]), @"`p.wasm` can't run: unexpected end at byte 12");
        insta::assert_snapshot!(check(&["a", "b"]), @r"
        `p.wasm` can't run
          a
          b
        ");
        insta::assert_snapshot!(text(Path::new("p.wasm"), &report(&["threads are off"]), 4_096), @r"
        p.wasm: can't run
        kind             module
        size             4.0 KiB
        code             2.0 KiB
        memory at start  64.0 KiB
        imports          1
        problem: threads are off
          env.f
        ");
    }
}
