//! A requester that says old vouchers again after each new one, and when nothing happens.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Deed, Desk};

/// Old vouchers kept.
const KEPT: usize = 32;

/// See the module.
#[derive(Default)]
pub(super) struct OldVouchers {
    old: Vec<(NodeId, Message)>,
}

impl Adversary for OldVouchers {
    fn say(&mut self, to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        if !matches!(message, Message::Voucher(_)) {
            return vec![message];
        }
        let its = self.old.iter().filter(|(who, _)| *who == to).map(|(_, old)| old.clone());
        let said = [message.clone()].into_iter().chain(its).collect();
        if self.old.len() < KEPT {
            self.old.push((to, message));
        }
        said
    }

    fn idle(&mut self, _desk: &mut Desk<'_>) -> Vec<Deed> {
        self.old.iter().map(|(to, old)| Deed::Say(*to, Box::new(old.clone()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, voucher};

    #[test]
    fn old_promises_follow_new_ones() {
        let mut bench = Bench::new("old_vouchers", 1);
        assert_eq!(bench.say(voucher(5)), [voucher(5)]);
        assert_eq!(bench.say(voucher(9)), [voucher(9), voucher(5)]);
        assert_eq!(bench.idle().len(), 2);
    }
}
