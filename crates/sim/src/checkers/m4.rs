//! M4: what an honest requester can lose. It promises at most what it acknowledged and one step, and
//! from the moment that a provider is known to lie, it promises it nothing more. What it promised
//! is the most that can be claimed, so it loses a step, and what it had acknowledged to a liar.

use std::collections::BTreeMap;

use ayni_core::Core;
use ayni_types::ChannelId;
use ayni_wire::Voucher;

use super::Violation;
use super::books::Books;

/// Its name.
pub const PROMISE: &str = "M4 a requester's loss is bounded";

/// A voucher is on its way out.
#[must_use]
pub fn says(books: &Books, voucher: &Voucher) -> Option<Violation> {
    let (owed, step) = (books.owed(voucher.channel), books.step(voucher.channel));
    (voucher.ceiling.0 > owed.saturating_add(step)).then(|| {
        let text = format!(
            "{} are promised of {}; {owed} are acknowledged, a step is {step}",
            voucher.ceiling, voucher.channel
        );
        Violation::new(PROMISE, text)
    })
}

/// Looks at the promises to those who are known to lie. `frozen` remembers them.
#[must_use]
pub fn to_liars(core: &Core, frozen: &mut BTreeMap<ChannelId, u128>) -> Option<Violation> {
    let bans = core.bans();
    if bans.is_empty() {
        return None;
    }
    core.channels().into_iter().find_map(|channel| {
        if channel.we_are_paid || !bans.iter().any(|ban| ban.node == channel.peer) {
            return None;
        }
        let before = *frozen.entry(channel.id).or_insert(channel.promised.0);
        (channel.promised.0 > before).then(|| {
            let text = format!("{} was promised more after it was found out", channel.peer);
            Violation::new(PROMISE, text)
        })
    })
}

/// All is over: what was claimed of a channel that an honest requester opened.
#[must_use]
pub fn at_end(books: &Books, channel: ChannelId, claimed: u128) -> Option<Violation> {
    let promised = books.promised.get(&channel).copied().unwrap_or_default();
    (claimed > promised).then(|| {
        let text = format!("{claimed} were claimed from {channel}, and {promised} promised");
        Violation::new(PROMISE, text)
    })
}
