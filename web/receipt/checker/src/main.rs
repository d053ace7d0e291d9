//! Reads a receipt from standard input, writes every check and its result to standard output, as
//! JSON. An ordinary WASI command: the page `web/receipt` runs it in the browser, and Ayni can too.

use std::io::{Read as _, Write as _};

use ayni_wire::{ReceiptFile, decode, verify_receipt};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    std::io::stdout().write_all(judge(&bytes).to_string().as_bytes())
}

fn judge(bytes: &[u8]) -> Value {
    let file: ReceiptFile = match decode(bytes) {
        Ok(file) => file,
        Err(error) => {
            let why = match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            };
            return json!({ "ok": false, "form": why, "checks": [], "facts": {} });
        }
    };
    let checks = verify_receipt(&file);
    let ok = checks.iter().all(|check| check.failure.is_none());
    let checks: Vec<_> = checks
        .into_iter()
        .map(|check| json!({ "statement": check.statement, "failure": check.failure }))
        .collect();
    json!({ "ok": ok, "form": null, "checks": checks, "facts": facts(&file) })
}

/// What the receipt says, for people. True only if every check holds.
fn facts(file: &ReceiptFile) -> Value {
    let ReceiptFile { outcome, receipt, lease, header, .. } = file;
    json!({
        "task": receipt.task.to_string(),
        "program": file.task.program.to_string(),
        "arguments": file.task.args,
        "outcome": receipt.outcome.to_string(),
        "end": outcome.end.to_string(),
        "stdout": format!("{} bytes, {}", outcome.stdout.size, outcome.stdout.digest),
        "files": outcome.files.len(),
        "fuel": receipt.fuel.to_string(),
        "price": receipt.price.to_string(),
        "requester": lease.lease.requester.to_string(),
        "provider": lease.lease.provider.to_string(),
        "lease": receipt.lease.to_string(),
        "batch": format!("{}, receipt {} of {}", receipt.batch, receipt.index, header.count),
    })
}
