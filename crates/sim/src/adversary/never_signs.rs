//! Never signs: it delivers outcomes and no receipts.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Desk};

pub(super) struct NeverSigns;

impl Adversary for NeverSigns {
    fn say(&mut self, _to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        if matches!(message, Message::Batch(_)) { Vec::new() } else { vec![message] }
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::bench::{Bench, batch, delivered};

    #[test]
    fn outcomes_go_out_and_batches_do_not() {
        let mut bench = Bench::new("never_signs", 0);
        assert_eq!(bench.say(delivered(1)).len(), 1);
        assert!(bench.say(Message::Batch(batch(1))).is_empty());
    }
}
