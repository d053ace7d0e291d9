//! Retries free: a requester that takes provisional outcomes and hears no receipts: what is not
//! receipted is not paid, so it ends each lease after its first outcome and asks the next provider.

use std::collections::BTreeSet;

use ayni_types::{LeaseId, NodeId};
use ayni_wire::Message;

use super::{Adversary, Deed, Desk};

#[derive(Default)]
pub(super) struct RetriesFree {
    ended: BTreeSet<LeaseId>,
}

impl Adversary for RetriesFree {
    fn hear(&mut self, from: NodeId, message: &Message, _desk: &mut Desk<'_>) -> Vec<Deed> {
        match message {
            Message::Batch(batch) => {
                let lease = batch.header.lease;
                if self.ended.insert(lease) {
                    vec![Deed::Ignore, Deed::Say(from, Box::new(Message::LeaseEnd { lease }))]
                } else {
                    vec![Deed::Ignore]
                }
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::Deed;
    use super::super::bench::{Bench, batch, delivered};

    #[test]
    fn outcomes_are_heard_and_receipts_are_not() {
        let mut bench = Bench::new("retries_free", 0);
        assert!(bench.hear(&delivered(1)).is_empty());
        let deeds = bench.hear(&Message::Batch(batch(1)));
        assert!(matches!(deeds.as_slice(), [Deed::Ignore, Deed::Say(..)]));
    }
}
