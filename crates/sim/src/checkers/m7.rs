//! M7: no job is billed more than its budget. Counted twice: by what the node shows, and by the
//! receipts in its journal, which no job's books can hide.

use std::collections::BTreeSet;

use ayni_core::{Core, Record, decode_record};
use ayni_types::{Amount, JobId};

use super::Violation;

/// Its name.
pub const PROMISE: &str = "M7 no job costs more than its budget";

/// Looks at one requester all of whose jobs have the same budget.
#[must_use]
pub fn at_end(
    core: &Core,
    jobs: &BTreeSet<JobId>,
    budget: u64,
    journal: impl Iterator<Item = Vec<u8>>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for view in jobs.iter().filter_map(|job| core.job(*job)) {
        let most = view.billed.0.saturating_add(view.reserved.0);
        if view.budget != Some(Amount(budget.into())) || most > budget.into() {
            let text = format!(
                "{}: {} billed and {} reserved of {:?}; {budget} was given",
                view.id, view.billed, view.reserved, view.budget
            );
            found.push(Violation::new(PROMISE, text));
        }
    }
    let mut taken = 0_u128;
    for (at, bytes) in (0..).zip(journal) {
        if let Ok(Record::BatchTaken(batch)) = decode_record(at, &bytes) {
            taken += batch.receipts.iter().map(|receipt| receipt.price.0).sum::<u128>();
        }
    }
    let most = u128::from(budget) * jobs.len() as u128;
    if taken > most {
        let text = format!("receipts of {taken} were taken for {} jobs of {budget}", jobs.len());
        found.push(Violation::new(PROMISE, text));
    }
    found
}
