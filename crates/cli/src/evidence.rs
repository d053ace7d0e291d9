//! Shows what contradicts a provider: both digests, and the first bytes that differ side by side.

use ayni_api::json::{BlobJson, Evidence, EvidenceList, OutcomeJson};
use ayni_api::{ApiError, Client};

use crate::ui::escape;

/// So much of a blob is compared.
const COMPARED_BYTES_MAX: usize = 1 << 20;
/// Bytes in one line of a side-by-side view.
const BYTES_PER_LINE: usize = 8;
/// Lines shown.
const LINES: usize = 6;

/// All evidence of a job, in words.
pub(crate) async fn text(client: &Client, list: &EvidenceList) -> Result<String, ApiError> {
    if list.evidence.is_empty() {
        return Ok("no audit of this job contradicted anyone\n".to_owned());
    }
    let mut text = String::new();
    for evidence in &list.evidence {
        text.push_str(&head(evidence));
        text.push_str(&difference(client, &evidence.claimed, &evidence.found).await?);
        text.push('\n');
    }
    Ok(text)
}

fn head(evidence: &Evidence) -> String {
    let signed = match (evidence.lease, evidence.batch) {
        (Some(lease), Some(batch)) => format!(" in batch {batch} of lease {lease}"),
        _ => String::new(),
    };
    format!(
        "task {} ({})\nprovider {}\n  signed  {}{signed}\n  found   {}\n  \
         {} of its other results are run again\n",
        evidence.index,
        evidence.task,
        evidence.provider,
        evidence.claimed.digest,
        evidence.found.digest,
        evidence.rerun
    )
}

async fn difference(
    client: &Client,
    claimed: &OutcomeJson,
    found: &OutcomeJson,
) -> Result<String, ApiError> {
    let mut text = String::new();
    if claimed.end != found.end {
        text.push_str(&format!("  end     signed {}  found {}\n", claimed.end, found.end));
    }
    if claimed.fuel != found.fuel {
        text.push_str(&format!("  fuel    signed {}  found {}\n", claimed.fuel, found.fuel));
    }
    for (name, a, b) in
        [("stdout", claimed.stdout, found.stdout), ("stderr", claimed.stderr, found.stderr)]
    {
        text.push_str(&blobs(client, name, Some(a), Some(b)).await?);
    }
    let mut names: Vec<&str> =
        claimed.files.iter().chain(&found.files).map(|file| &*file.path).collect();
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().take(20) {
        let find = |outcome: &OutcomeJson| {
            let file = outcome.files.iter().find(|file| file.path == name)?;
            Some(BlobJson { digest: file.digest, size: file.size })
        };
        text.push_str(&blobs(client, name, find(claimed), find(found)).await?);
    }
    Ok(text)
}

async fn blobs(
    client: &Client,
    name: &str,
    claimed: Option<BlobJson>,
    found: Option<BlobJson>,
) -> Result<String, ApiError> {
    if claimed == found {
        return Ok(String::new());
    }
    let name = escape(name);
    let (Some(claimed), Some(found)) = (claimed, found) else {
        let side = if claimed.is_some() { "signed" } else { "found" };
        return Ok(format!("  {name}  only in what was {side}\n"));
    };
    let mut text = format!(
        "  {name}  signed {} bytes {}  found {} bytes {}\n",
        claimed.size,
        claimed.digest.0.short(),
        found.size,
        found.digest.0.short()
    );
    let read = async |blob: BlobJson| client.blob_head(blob.digest.0, COMPARED_BYTES_MAX).await;
    match (read(claimed).await, read(found).await) {
        (Ok(a), Ok(b)) => text.push_str(&side_by_side(&a, &b)),
        (Err(error), _) | (_, Err(error)) => {
            text.push_str(&format!("    the bytes can't be shown: {error}\n"));
        }
    }
    Ok(text)
}

/// The first bytes that differ, hex and text; lines that differ are marked.
pub(crate) fn side_by_side(claimed: &[u8], found: &[u8]) -> String {
    let common = claimed.iter().zip(found).take_while(|(a, b)| a == b).count();
    if common == claimed.len() && common == found.len() {
        return format!("    equal in their first {common} bytes\n");
    }
    let from = common / BYTES_PER_LINE * BYTES_PER_LINE;
    let width = BYTES_PER_LINE * 3 + 2 + BYTES_PER_LINE;
    let mut text = format!("    first difference at byte {common}\n");
    text.push_str(&format!("    {:>8}  {:width$}   {}\n", "byte", "signed", "found"));
    for line in 0..LINES {
        let at = from + line * BYTES_PER_LINE;
        let part = |bytes: &[u8]| {
            let end = bytes.len().min(at + BYTES_PER_LINE);
            bytes.get(at..end).unwrap_or_default().to_vec()
        };
        let (a, b) = (part(claimed), part(found));
        if a.is_empty() && b.is_empty() {
            break;
        }
        let mark = if a == b { ' ' } else { '≠' };
        let line = format!("    {at:>8}  {:width$} {mark} {}", dump(&a), dump(&b));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn dump(bytes: &[u8]) -> String {
    let mut hex = String::new();
    let mut ascii = String::new();
    for byte in bytes {
        hex.push_str(&format!("{byte:02x} "));
        ascii.push(if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
    }
    format!("{hex:width$}  {ascii}", width = BYTES_PER_LINE * 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_bytes_stand_side_by_side() {
        insta::assert_snapshot!(side_by_side(b"day,max\n2015-01-01,8.25\n", b"day,max\n2015-01-01,8.19\n"), @r"
        first difference at byte 21
            byte  signed                               found
              16  30 31 2c 38 2e 32 35 0a   01,8.25. ≠ 30 31 2c 38 2e 31 39 0a   01,8.19.
        ");
        insta::assert_snapshot!(side_by_side(b"", b"\x1b[2J"), @r"
        first difference at byte 0
            byte  signed                               found
               0                                     ≠ 1b 5b 32 4a               .[2J
        ");
        insta::assert_snapshot!(side_by_side(b"same", b"same"), @"    equal in their first 4 bytes");
    }
}
