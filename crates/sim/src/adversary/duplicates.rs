//! Duplicates: a requester that hands each task out many times over, under numbers of its own, and
//! cancels the copies when the first has delivered.

use std::collections::BTreeMap;

use ayni_types::{AssignmentId, NodeId};
use ayni_wire::Message;

use super::{Adversary, Deed, Desk};

/// Copies of each assignment.
const COPIES: u64 = 3;
/// Their numbers begin here; the core's own stay far below.
const NUMBERS: u64 = 1 << 40;

#[derive(Default)]
pub(super) struct Duplicates {
    next: u64,
    copies: BTreeMap<AssignmentId, Vec<AssignmentId>>,
}

impl Adversary for Duplicates {
    fn say(&mut self, _to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        let Message::Assign(assign) = &message else { return vec![message] };
        let (id, assign) = (assign.id, assign.clone());
        let mut said = vec![message];
        for _ in 0..COPIES {
            self.next += 1;
            let mut copy = assign.clone();
            copy.id.number = NUMBERS + self.next;
            self.copies.entry(id).or_default().push(copy.id);
            said.push(Message::Assign(copy));
        }
        said
    }

    fn hear(&mut self, from: NodeId, message: &Message, _desk: &mut Desk<'_>) -> Vec<Deed> {
        let Message::Delivered(delivered) = message else { return Vec::new() };
        let copies = self.copies.remove(&delivered.assignment).into_iter().flatten();
        copies.map(|assignment| Deed::Say(from, Box::new(Message::Cancel { assignment }))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, assign, delivered};

    #[test]
    fn copies_go_out_and_are_cancelled() {
        let mut bench = Bench::new("duplicates", 0);
        assert_eq!(bench.say(assign(1)).len(), 4);
        assert_eq!(bench.hear(&delivered(1)).len(), 3);
        assert!(bench.hear(&delivered(1)).is_empty());
    }
}
