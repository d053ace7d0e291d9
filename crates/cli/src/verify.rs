//! `ayni verify`: a receipt or a proof of fraud, step by step.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use ayni_api::json::VerifyReport;
use ayni_api::{ApiError, codes, limits};

use crate::daemon;
use crate::ui::{self, Ui, escape};

/// Checks a receipt.
pub(crate) async fn run(
    receipt: &Path,
    re_execute: bool,
    home: &Path,
    ui: &Ui,
) -> anyhow::Result<ExitCode> {
    let shown = receipt.display();
    let failed = |error: &dyn std::fmt::Display| {
        ApiError::new(codes::INPUT_FILE, format!("can't read the receipt `{shown}`: {error}"))
    };
    let file = std::fs::File::open(receipt).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    let most = limits::RECEIPT_BYTES_MAX as u64;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > most {
        let text = format!("`{shown}` has over {most} bytes, more than any receipt");
        return Err(ApiError::new(codes::RECEIPT_FORM, text).into());
    }
    let client = daemon::ensure(home).await?;
    let report = client.verify(bytes, re_execute).await?;
    ui.show(&report, text);
    if !report.ok && !ui.json {
        ui.hint(codes::RECEIPT_BAD.hint);
    } else if !re_execute && report.outcome.is_some() {
        ui.hint("--re-execute runs the task again here and compares");
    }
    Ok(ui::code(report.ok))
}

fn text(report: &VerifyReport) -> String {
    let mut text = String::new();
    for step in &report.steps {
        let mark = if step.ok { "ok    " } else { "FAILED" };
        text.push_str(&format!("{mark}  {}: {}\n", step.name, escape(&step.detail)));
    }
    if let Some(outcome) = &report.outcome {
        text.push_str(&format!(
            "        the receipt says: {}, {} fuel, outcome {}\n",
            outcome.end, outcome.fuel, outcome.digest
        ));
    }
    if let Some(outcome) = &report.re_executed {
        text.push_str(&format!(
            "        executed again:   {}, {} fuel, outcome {}\n",
            outcome.end, outcome.fuel, outcome.digest
        ));
    }
    text.push_str(match (report.ok, &report.outcome) {
        (true, Some(_)) => "the receipt holds\n",
        (true, None) => "the proof of fraud holds\n",
        (false, _) => "the receipt does NOT hold\n",
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_api::json::{Schema, VerifyStep};

    #[test]
    fn steps_are_shown_in_order_and_the_failed_one_stands_out() {
        let step = |name: &str, ok, detail: &str| VerifyStep {
            name: name.into(),
            ok,
            detail: detail.into(),
        };
        let report = VerifyReport {
            schema: Schema,
            ok: false,
            steps: vec![
                step("form", true, "canonical"),
                step("batch signature", false, "signed by \u{1b}[31mabc, not by the lease's key"),
            ],
            outcome: None,
            re_executed: None,
        };
        insta::assert_snapshot!(text(&report), @r"
        ok      form: canonical
        FAILED  batch signature: signed by \u{1b}[31mabc, not by the lease's key
        the receipt does NOT hold
        ");
    }
}
