//! Cancels late: a requester that cancels every assignment just before it would end, having learnt
//! how long they take. The dose is at how much of the usual time, in percent.

use std::collections::BTreeMap;

use ayni_types::{AssignmentId, NodeId};
use ayni_wire::Message;

use super::{Adversary, Deed, Desk};

pub(super) struct CancelsLate {
    percent: u64,
    usual_ms: u64,
    running: BTreeMap<AssignmentId, (NodeId, u64)>,
}

impl CancelsLate {
    pub(super) fn new(percent: u64) -> Self {
        Self { percent, usual_ms: 0, running: BTreeMap::new() }
    }
}

impl Adversary for CancelsLate {
    fn say(&mut self, to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        if let Message::Assign(assign) = &message {
            self.running.insert(assign.id, (to, desk.now_ms));
        }
        vec![message]
    }

    fn hear(&mut self, _from: NodeId, message: &Message, desk: &mut Desk<'_>) -> Vec<Deed> {
        if let Message::Delivered(delivered) = message
            && let Some((_, since)) = self.running.remove(&delivered.assignment)
        {
            self.usual_ms = (self.usual_ms + desk.now_ms.saturating_sub(since)) / 2;
        }
        Vec::new()
    }

    fn idle(&mut self, desk: &mut Desk<'_>) -> Vec<Deed> {
        let late = self.usual_ms * self.percent / 100;
        let due = |since: u64| late > 0 && desk.now_ms >= since + late;
        let over: Vec<_> = self.running.iter().filter(|(_, (_, since))| due(*since)).collect();
        let deeds: Vec<Deed> = over
            .into_iter()
            .map(|(id, (to, _))| Deed::Say(*to, Box::new(Message::Cancel { assignment: *id })))
            .collect();
        self.running.retain(|_, (_, since)| !due(*since));
        deeds
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::Deed;
    use super::super::bench::{Bench, assign, delivered};

    #[test]
    fn it_cancels_when_the_usual_time_is_almost_over() {
        let mut bench = Bench::new("cancels_late", 99);
        bench.say(assign(1));
        bench.now_ms += 20_000;
        bench.hear(&delivered(1));
        bench.say(assign(2));
        let before = (0..).take_while(|_| bench.idle().is_empty()).count();
        assert!((8..10).contains(&before), "{before} of 10 seconds");
        bench.say(assign(3));
        bench.now_ms += 20_000;
        let deeds = bench.idle();
        assert!(matches!(&deeds[..], [Deed::Say(_, m)] if matches!(**m, Message::Cancel { .. })));
    }
}
