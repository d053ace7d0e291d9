//! A requester that takes results and says of every bill that its lease was given up before.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Desk};

/// See the module.
pub(super) struct Disowns;

impl Adversary for Disowns {
    fn say(&mut self, _to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        match message {
            Message::BatchAck { lease, batch, .. } => {
                vec![Message::BatchAck { lease, batch, taken: false }]
            }
            other => vec![other],
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::bench::{Bench, LEASE};

    #[test]
    fn it_took_nothing() {
        let ack = |taken| Message::BatchAck { lease: LEASE, batch: 3, taken };
        assert_eq!(Bench::new("disowns", 1).say(ack(true)), [ack(false)]);
    }
}
