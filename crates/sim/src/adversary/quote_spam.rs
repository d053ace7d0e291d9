//! Quote spam: a requester that asks everybody it hears from for offers and for leases that it will
//! never use, many times a second. The dose is how many times.

use std::collections::BTreeSet;

use ayni_types::{EngineId, NodeId};
use ayni_wire::{Message, Query};

use super::{Adversary, Deed, Desk};

pub(super) struct QuoteSpam {
    times: u64,
    known: BTreeSet<NodeId>,
    asks: Vec<(NodeId, Message)>,
}

impl QuoteSpam {
    pub(super) fn new(times: u64) -> Self {
        Self { times: times.max(10), known: BTreeSet::new(), asks: Vec::new() }
    }
}

impl Adversary for QuoteSpam {
    fn say(&mut self, to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        if matches!(message, Message::LeaseAsk(_)) && self.asks.len() < 4 {
            self.asks.push((to, message.clone()));
        }
        vec![message]
    }

    fn hear(&mut self, from: NodeId, _message: &Message, _desk: &mut Desk<'_>) -> Vec<Deed> {
        self.known.insert(from);
        Vec::new()
    }

    fn idle(&mut self, desk: &mut Desk<'_>) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for node in &self.known {
            for _ in 0..self.times {
                let id = desk.chance.number();
                let query =
                    Query { id, engine: EngineId::wasi1(), memory_bytes: 0, count_max: u32::MAX };
                deeds.push(Deed::Say(*node, Box::new(Message::Query(query))));
            }
        }
        for (node, ask) in &self.asks {
            deeds.push(Deed::Say(*node, Box::new(ask.clone())));
        }
        deeds
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::bench::Bench;

    #[test]
    fn it_asks_and_asks() {
        let mut bench = Bench::new("quote_spam", 80);
        assert!(bench.idle().is_empty(), "it knows nobody");
        bench.hear(&Message::Ping { leases: Vec::new() });
        assert_eq!(bench.idle().len(), 80);
    }
}
