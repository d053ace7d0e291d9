//! A requester that signs its first voucher, and from then on no other.

use std::collections::BTreeMap;

use ayni_types::{ChannelId, NodeId};
use ayni_wire::{Message, Voucher};

use super::{Adversary, Desk};

/// See the module.
#[derive(Default)]
pub(super) struct StopsPaying {
    first: BTreeMap<ChannelId, Voucher>,
}

impl Adversary for StopsPaying {
    fn say(&mut self, _to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        match message {
            Message::Voucher(voucher) => {
                let first = *self.first.entry(voucher.channel).or_insert(voucher);
                vec![Message::Voucher(first)]
            }
            other => vec![other],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, voucher};

    #[test]
    fn only_its_first_promise_is_heard() {
        let mut bench = Bench::new("stops_paying", 1);
        assert_eq!(bench.say(voucher(5)), [voucher(5)]);
        assert_eq!(bench.say(voucher(9)), [voucher(5)]);
    }
}
