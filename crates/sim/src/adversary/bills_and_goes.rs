//! A provider that hears and says nothing any more after so many bills, as its dose says; what it can
//! claim it claims.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Deed, Desk};

/// See the module.
pub(super) struct BillsAndGoes {
    bills: u64,
    left: u64,
}

impl BillsAndGoes {
    pub(super) fn new(dose: u64) -> Self {
        Self { bills: 0, left: 1 + dose / 20 }
    }

    fn is_gone(&self) -> bool {
        self.bills >= self.left
    }
}

impl Adversary for BillsAndGoes {
    fn say(&mut self, _to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        if self.is_gone() {
            return Vec::new();
        }
        self.bills += u64::from(matches!(message, Message::Batch(_)));
        vec![message]
    }

    fn hear(&mut self, _from: NodeId, message: &Message, _desk: &mut Desk<'_>) -> Vec<Deed> {
        let deaf = self.is_gone() && !matches!(message, Message::Voucher(_));
        if deaf { vec![Deed::Ignore] } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::Deed;
    use super::super::bench::{Bench, assign, batch, delivered};

    #[test]
    fn after_its_bill_nobody_is_there() {
        let mut bench = Bench::new("bills_and_goes", 1);
        assert_eq!(bench.say(delivered(1)).len(), 1);
        assert!(bench.hear(&assign(1)).is_empty());
        assert_eq!(bench.say(Message::Batch(batch(1))).len(), 1);
        assert!(bench.say(delivered(2)).is_empty());
        assert!(matches!(bench.hear(&assign(2)).as_slice(), [Deed::Ignore]));
    }
}
