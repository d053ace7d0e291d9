//! Two roots: it signs two different roots for one batch number. The dose is how often, in percent.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::wrong_price::dearer;
use super::{Adversary, Desk};

pub(super) struct TwoRoots {
    pub(super) percent: u64,
}

impl Adversary for TwoRoots {
    fn say(&mut self, _to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        match message {
            Message::Batch(batch) if desk.chance.percent(self.percent) => {
                let other = dearer(batch.clone(), &desk.seal);
                vec![Message::Batch(batch), Message::Batch(other)]
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
    fn one_number_has_two_roots() {
        let said = Bench::new("two_roots", 100).say(Message::Batch(batch(1)));
        let [Message::Batch(a), Message::Batch(b)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(a.header.batch, b.header.batch);
        assert_ne!(a.header.root, b.header.root);
    }
}
