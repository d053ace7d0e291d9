//! Foreign key: its batches are not signed by the key that its leases name.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Desk};

pub(super) struct ForeignKey;

impl Adversary for ForeignKey {
    fn say(&mut self, _to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        match message {
            Message::Batch(mut batch) => {
                batch.signature.0[0] ^= 1;
                vec![Message::Batch(batch)]
            }
            other => vec![other],
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::bench::{Bench, batch};

    #[test]
    fn the_signature_is_another() {
        let said = Bench::new("foreign_key", 0).say(Message::Batch(batch(1)));
        let [Message::Batch(other)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(other.header, batch(1).header);
        assert_ne!(other.signature, batch(1).signature);
    }
}
