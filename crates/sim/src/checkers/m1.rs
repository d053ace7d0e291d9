//! M1: money is neither made nor lost. On the chain: what accounts and channels hold is what there
//! was. In a node's books: what it shows of its channels is the sum of what it signed.

use ayni_core::Core;

use super::Violation;
use super::books::Books;
use crate::chain::State;

/// Its name.
pub const PROMISE: &str = "M1 money is conserved";

/// Looks at the chain after a block.
#[must_use]
pub fn on_chain(state: &State, total: u128) -> Option<Violation> {
    if state.total() != total {
        let text = format!("there were {total}, and there are {}", state.total());
        return Some(Violation::new(PROMISE, text));
    }
    let odd = state.channels.iter().find(|(_, c)| {
        c.funds.claimed > c.funds.deposit || c.paid_in != c.funds.deposit.0 + c.taken_back
    });
    odd.map(|(id, channel)| Violation::new(PROMISE, format!("channel {id} holds {channel:?}")))
}

/// Compares what a node shows with what it wrote, when nothing is under way.
#[must_use]
pub fn in_the_books(core: &Core, books: &Books, at: usize) -> Option<Violation> {
    core.channels().into_iter().find_map(|shown| {
        let written = if shown.we_are_paid {
            (books.billed(shown.id), books.lost(shown.id), books.ceiling(shown.id))
        } else {
            (books.owed(shown.id), 0, books.promised.get(&shown.id).copied().unwrap_or_default())
        };
        let says = (shown.owed.0, shown.lost.0, shown.promised.0);
        (says != written).then(|| {
            let text = format!(
                "node {at} shows (owed, lost, promised) {says:?} of {}, and wrote {written:?}",
                shown.id
            );
            Violation::new(PROMISE, text)
        })
    })
}
