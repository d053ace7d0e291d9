//! Checks receipts, and executes their tasks again when asked; checks proofs of fraud.

use std::sync::Arc;
use std::time::Duration;

use ayni_api::json::{OutcomeJson, Schema, VerifyReport, VerifyStep};
use ayni_api::{ApiError, codes};
use ayni_types::Outcome;
use ayni_wire::{ReceiptFile, TwoRoots, decode, outcome_digest, verify_receipt};

use crate::inputs::inputs;
use crate::start::Shared;
use crate::work::once;

/// Wall clock for executing a task again.
const RE_EXECUTE_MAX: Duration = Duration::from_secs(3_600);

fn step(name: &str, failure: Option<String>, detail: impl Into<String>) -> VerifyStep {
    let ok = failure.is_none();
    VerifyStep { name: name.to_owned(), ok, detail: failure.unwrap_or_else(|| detail.into()) }
}

/// Checks `bytes` as a receipt, or as a proof of two roots; every step is reported, up to the first that fails to parse.
///
/// # Errors
/// When the receipt holds, but its task can't be executed here: that says nothing about it.
pub(crate) async fn verify(
    shared: &Arc<Shared>,
    bytes: &[u8],
    re_execute: bool,
) -> Result<VerifyReport, ApiError> {
    let mut report = VerifyReport {
        schema: Schema,
        ok: false,
        steps: Vec::new(),
        outcome: None,
        re_executed: None,
    };
    let file: ReceiptFile = match decode(bytes) {
        Ok(file) => file,
        Err(error) => {
            if let Ok(proof) = decode::<TwoRoots>(bytes) {
                report.steps = proof_steps(&proof);
                report.ok = report.steps.iter().all(|step| step.ok);
                return Ok(report);
            }
            report.steps.push(step("it is a receipt", Some(error.to_string()), ""));
            return Ok(report);
        }
    };
    report.steps.push(step("it is a receipt", None, format!("{} bytes", bytes.len())));
    report.outcome = Some(OutcomeJson::from(&file.outcome));
    for check in verify_receipt(&file) {
        let detail = detail(&file, check.statement);
        report.steps.push(step(check.statement, check.failure, detail));
    }
    report.ok = report.steps.iter().all(|step| step.ok);
    if re_execute && report.ok {
        again(shared, &file, &mut report).await?;
        report.ok = report.steps.iter().all(|step| step.ok);
    }
    Ok(report)
}

fn proof_steps(proof: &TwoRoots) -> Vec<VerifyStep> {
    let terms = &proof.lease.lease;
    let culprit = proof.culprit().err().map(|error| error.to_string());
    let header = &proof.first.header;
    let roots = format!(
        "{} and {} for batch {} of lease {}",
        header.root, proof.second.header.root, header.batch, header.lease
    );
    vec![
        step("it is a proof of fraud", None, format!("against {}", terms.provider)),
        step("the provider signed two roots for one batch", culprit, roots),
    ]
}

/// What is worth seeing beside a statement that holds.
fn detail(file: &ReceiptFile, statement: &str) -> String {
    let receipt = &file.receipt;
    match statement {
        "the receipt is for this task" => format!("task {}", receipt.task),
        "the receipt commits to this outcome" => format!("outcome {}", receipt.outcome),
        "the receipt bills the outcome's fuel" => format!("{} fuel", receipt.fuel),
        "the price follows from the lease" => format!(
            "{} for {} fuel, {} code bytes, {} data bytes",
            receipt.price, receipt.fuel, receipt.code_bytes, receipt.data_bytes
        ),
        "receipt, batch and lease belong together" => format!(
            "receipt {} of {} in batch {} of lease {}",
            receipt.index, file.header.count, receipt.batch, receipt.lease
        ),
        "the batch is signed with the lease's key" => format!("0x{}", file.lease.lease.batch_key),
        "the provider signed the lease" => file.lease.lease.provider.to_string(),
        "the requester signed the lease" => file.lease.lease.requester.to_string(),
        _ => String::new(),
    }
}

async fn again(
    shared: &Arc<Shared>,
    file: &ReceiptFile,
    report: &mut VerifyReport,
) -> Result<(), ApiError> {
    const RAN: &str = "the task was executed again here";
    let unable = |why: String| {
        let text =
            format!("the receipt's signatures hold, but its task can't be executed here: {why}");
        ApiError::new(codes::BLOB_UNKNOWN, text)
            .hint("verify on the node that ran the job, which holds the program and the inputs")
    };
    let (blobs, task) = (shared.blobs.clone(), file.task.clone());
    match tokio::task::spawn_blocking(move || inputs(&blobs, &task)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(unable(error.to_string())),
        Err(error) => return Err(unable(error.to_string())),
    }
    report.steps.push(step("program and inputs are held here", None, ""));
    match once(&shared.shop, &file.task, RE_EXECUTE_MAX).await {
        Err(fault) => return Err(unable(fault.to_string())),
        Ok(ran) => {
            let detail = format!("in {} ms", ran.observed.wall_ms);
            report.steps.push(step(RAN, None, detail));
            compare(&file.outcome, &ran.outcome, report);
            let data = file.receipt.data_bytes;
            let wrong = (data != ran.data_bytes)
                .then(|| format!("billed {data}, {} are in and out", ran.data_bytes));
            report.steps.push(step(
                "the data billed is what went in and out",
                wrong,
                format!("{data} bytes"),
            ));
            let code = file.receipt.code_bytes;
            let wrong = (code != 0 && code != ran.code_bytes)
                .then(|| format!("billed {code}, the program has {}", ran.code_bytes));
            let detail = if code == 0 {
                "billed with an earlier task".to_owned()
            } else {
                format!("{code} bytes")
            };
            report.steps.push(step(
                "the code billed is the program's length, or nothing",
                wrong,
                detail,
            ));
            report.re_executed = Some(OutcomeJson::from(&ran.outcome));
        }
    }
    Ok(())
}

fn compare(claimed: &Outcome, found: &Outcome, report: &mut VerifyReport) {
    let mut same = |what: &str, claimed: String, found: String| {
        let wrong = (claimed != found).then(|| format!("{found}; the receipt says {claimed}"));
        report.steps.push(step(what, wrong, claimed));
    };
    same("it ended in the same way", claimed.end.to_string(), found.end.to_string());
    same("it used the same fuel, to the unit", claimed.fuel.to_string(), found.fuel.to_string());
    let digest = |outcome: &Outcome| outcome_digest(outcome).to_string();
    same("the outcome is the same, bit for bit", digest(claimed), digest(found));
}
