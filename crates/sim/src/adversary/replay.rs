//! Replay: it says again, to whom it said them and to others, messages that it said or heard long
//! ago. The dose is how often, in percent of the seconds.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Deed, Desk};

/// Messages kept.
const KEPT: usize = 64;

pub(super) struct Replay {
    percent: u64,
    kept: Vec<(NodeId, Message)>,
}

impl Replay {
    pub(super) fn new(percent: u64) -> Self {
        Self { percent, kept: Vec::new() }
    }

    fn keep(&mut self, node: NodeId, message: &Message, desk: &mut Desk<'_>) {
        let entry = (node, message.clone());
        if self.kept.len() < KEPT {
            self.kept.push(entry);
        } else if desk.chance.percent(10) {
            let at = usize::try_from(desk.chance.below(KEPT as u64)).unwrap_or(0);
            self.kept[at] = entry;
        }
    }
}

impl Adversary for Replay {
    fn say(&mut self, to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        self.keep(to, &message, desk);
        vec![message]
    }

    fn hear(&mut self, from: NodeId, message: &Message, desk: &mut Desk<'_>) -> Vec<Deed> {
        self.keep(from, message, desk);
        Vec::new()
    }

    fn idle(&mut self, desk: &mut Desk<'_>) -> Vec<Deed> {
        let mut deeds = Vec::new();
        while !self.kept.is_empty() && deeds.len() < 8 && desk.chance.percent(self.percent) {
            let mut any = || {
                let at = desk.chance.below(self.kept.len() as u64);
                &self.kept[usize::try_from(at).unwrap_or(0)]
            };
            let (to, message) = (any().0, any().1.clone());
            deeds.push(Deed::Say(to, Box::new(message)));
        }
        deeds
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, delivered};

    #[test]
    fn old_messages_come_again() {
        let mut bench = Bench::new("replay", 100);
        assert!(bench.idle().is_empty());
        bench.say(delivered(1));
        assert_eq!(bench.idle().len(), 8);
    }
}
