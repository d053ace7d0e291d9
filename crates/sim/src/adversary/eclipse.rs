//! Eclipse: a directory that answers with nobody but the ring, so that its askers work with liars
//! only, or with nobody.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Desk};

pub(super) struct Eclipse;

impl Adversary for Eclipse {
    fn say(&mut self, _to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        match message {
            Message::Offers { query, mut offers } => {
                offers.retain(|offer| desk.ring.members.contains(&offer.body.node));
                vec![Message::Offers { query, offers }]
            }
            other => vec![other],
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_types::{
        Amount, BatchKey, Digest, EngineBuild, NodeAddr, NodeId, NodeSignature, Offer, Price, Time,
    };
    use ayni_wire::{Message, Signed};

    use super::super::bench::{Bench, OTHER};

    fn offer(node: NodeId) -> Signed<Offer> {
        let body = Offer {
            node,
            sequence: 1,
            issued: Time(0),
            expires: Time(1),
            slots: 1,
            slots_free: 1,
            memory_bytes: 1,
            disk_bytes: 1,
            engines: Vec::new(),
            build: EngineBuild { digest: Digest([0; 32]), version: String::new() },
            fuel_per_second: 1,
            price: Price::default(),
            walls: Vec::new(),
            region: None,
            addr: NodeAddr { node, direct: Vec::new(), relay: None },
            batch_key: BatchKey([0; 20]),
            stake: Amount(0),
            hold_back: Amount(0),
            payment: None,
            energy: None,
        };
        Signed { body, signature: NodeSignature([0; 64]) }
    }

    #[test]
    fn only_the_ring_is_named() {
        let mut bench = Bench::new("eclipse", 0);
        let offers = vec![offer(OTHER), offer(bench.me)];
        let said = bench.say(Message::Offers { query: 7, offers });
        let [Message::Offers { query: 7, offers }] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(offers.len(), 1);
        assert_eq!(offers[0].body.node, bench.me);
    }
}
