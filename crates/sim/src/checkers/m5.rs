//! M5: an honest requester that closes its channels gets everything back but what it owes, whoever
//! else is there or not; and between two honest sides the payee has been paid to the unit.

use ayni_types::ChannelId;

use super::Violation;
use super::books::Books;
use crate::chain::Channel;

/// Its name.
pub const PROMISE: &str = "M5 everybody gets out with what is theirs";

/// The time for it is over.
#[must_use]
pub fn not_home(channel: ChannelId, held: &Channel, after_s: u64) -> Option<Violation> {
    let left = held.funds.deposit.0 - held.funds.claimed.0;
    (left > 0).then(|| {
        let text = format!("{left} are still in {channel} {after_s} s after it was closed");
        Violation::new(PROMISE, text)
    })
}

/// A channel between two honest sides is closed and empty: what was claimed is what was owed.
#[must_use]
pub fn between_honest(
    channel: ChannelId,
    requester: &Books,
    provider: &Books,
    held: &Channel,
) -> Option<Violation> {
    if requester.owed(channel) != provider.billed(channel) {
        let text = format!(
            "of {channel}, its payer acknowledged {}, and its payee billed {}",
            requester.owed(channel),
            provider.billed(channel)
        );
        return Some(Violation::new(PROMISE, text));
    }
    let owed = requester.owed(channel).min(held.paid_in);
    let claimed = held.funds.claimed.0;
    // A payee may have claimed, under a promise that it holds, bills that its payer then gave up.
    let most = owed + provider.lost(channel);
    (claimed < owed || claimed > most).then(|| {
        let text = format!(
            "{claimed} were claimed from {channel}; its payer acknowledged {owed}, its payee billed \
             {} and wrote off {}, promised were {}",
            provider.billed(channel),
            provider.lost(channel),
            provider.ceiling(channel),
        );
        Violation::new(PROMISE, text)
    })
}
