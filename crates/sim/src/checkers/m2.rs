//! M2: one result is paid at most once: no assignment is in two bills that its requester took, and
//! nothing beyond the bills and the promise is ever claimed.

use std::collections::BTreeSet;

use ayni_types::{ChannelId, LeaseId};
use ayni_wire::SignedBatch;

use super::Violation;

/// Its name.
pub const PROMISE: &str = "M2 nothing is paid twice";

/// A requester takes a bill.
pub(super) fn taken(
    receipts: &mut BTreeSet<(LeaseId, u64)>,
    batch: &SignedBatch,
) -> Result<(), Violation> {
    for receipt in &batch.receipts {
        if !receipts.insert((batch.header.lease, receipt.assignment)) {
            let text = format!(
                "batch {} of lease {} bills assignment {} again",
                batch.header.batch, batch.header.lease, receipt.assignment
            );
            return Err(Violation::new(PROMISE, text));
        }
    }
    Ok(())
}

/// An honest payee claimed so much of a channel, and had billed and done so much.
#[must_use]
pub fn claimed(channel: ChannelId, claimed: u128, billed: u128) -> Option<Violation> {
    (claimed > billed).then(|| {
        let text = format!("{claimed} were claimed from {channel}, for bills of {billed}");
        Violation::new(PROMISE, text)
    })
}
