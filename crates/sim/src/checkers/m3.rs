//! M3: what an honest provider can lose. It begins no work that is neither promised and deposited
//! nor held back by agreement, none while a withdrawal is announced, and none for who has let more
//! than a step of it come to nothing. So it loses at most what ran at that moment, what is held
//! back, and that step. And it claims in time: before the money of a channel can leave, it has what
//! it could claim when the withdrawal was announced.

use ayni_types::{ChannelId, LeaseId, NodeId};

use super::Violation;
use super::books::Books;

/// Its name.
pub const PROMISE: &str = "M3 a provider's loss is bounded";

/// An honest provider begins a run for a paid lease.
#[must_use]
pub fn begins(books: &Books, lease: LeaseId, step: u128) -> Option<Violation> {
    let terms = books.lease(lease)?;
    let channel = books.channel(lease)?;
    let wrong = |text: String| Some(Violation::new(PROMISE, text));
    let Some(seen) = books.seen.get(&channel) else {
        return wrong(format!("work for {lease} began before its channel was seen"));
    };
    if seen.latest.withdrawal.is_some() || seen.safe.withdrawal.is_some() {
        return wrong(format!("work for {lease} began while {channel} was being closed"));
    }
    let there = seen.safe.deposit.0.min(seen.latest.deposit.0);
    let secured = there.min(books.ceiling(channel));
    let owed = books.billed(channel) + books.unbilled(channel);
    if owed >= secured.saturating_add(terms.hold_back.0) {
        return wrong(format!(
            "work for {lease} began with {owed} owed, {secured} secured, {} held back",
            terms.hold_back
        ));
    }
    let lost = books.lost_to(terms.requester);
    (lost > step).then(|| {
        let text = format!("work for {lease} began after {lost} were lost, more than {step}");
        Violation::new(PROMISE, text)
    })
}

/// Money has left a channel for good, and its payee had claimed so much.
#[must_use]
pub fn left(books: &Books, channel: ChannelId, claimed: u128, paid_in: u128) -> Option<Violation> {
    let due = books.due_at_notice.get(&channel).copied()?.min(paid_in);
    // What its requester gave up since then is written off, within a step.
    let due = due.min(books.billed(channel));
    (claimed < due).then(|| {
        let text = format!("{channel} was emptied with {claimed} claimed of {due}");
        Violation::new(PROMISE, text)
    })
}

/// All is over: what a channel's honest payee has not got.
#[must_use]
pub fn at_end(
    books: &Books,
    channel: ChannelId,
    requester: NodeId,
    claimed: u128,
    allowed: u128,
) -> Option<Violation> {
    let done = books.billed(channel) + books.lost_to(requester);
    let loss = done.saturating_sub(claimed);
    (loss > allowed).then(|| {
        let text = format!("{loss} of {done} were never paid through {channel}, {allowed} at most");
        Violation::new(PROMISE, text)
    })
}
