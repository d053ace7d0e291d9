//! A provider that puts a receipt of its first bill into every later one again.

use std::collections::BTreeMap;

use ayni_core::Seal as _;
use ayni_types::{LeaseId, NodeId, Receipt};
use ayni_wire::{Message, SignedBatch, batch_hash, leaf_hash, merkle_root};

use super::{Adversary, Desk};

/// See the module.
#[derive(Default)]
pub(super) struct BillsTwice {
    first: BTreeMap<LeaseId, Receipt>,
}

impl Adversary for BillsTwice {
    fn say(&mut self, _to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        let Message::Batch(mut batch) = message else { return vec![message] };
        let (lease, number) = (batch.header.lease, batch.header.batch);
        if number == 0 {
            if let Some(receipt) = batch.receipts.first() {
                self.first.insert(lease, receipt.clone());
            }
            return vec![Message::Batch(batch)];
        }
        if let Some(first) = self.first.get(&lease) {
            let index = u32::try_from(batch.receipts.len()).unwrap_or(0);
            batch.receipts.push(Receipt { batch: number, index, ..first.clone() });
            batch = resigned(batch, desk);
        }
        vec![Message::Batch(batch)]
    }
}

fn resigned(mut batch: SignedBatch, desk: &Desk<'_>) -> SignedBatch {
    let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
    batch.header.count = u32::try_from(leaves.len()).unwrap_or(0);
    batch.header.root = merkle_root(&leaves);
    batch.signature = desk.seal.sign_batch(&batch_hash(&batch.header));
    batch
}

#[cfg(test)]
mod tests {
    use ayni_wire::Message;

    use super::super::bench::{Bench, batch};

    #[test]
    fn what_was_billed_is_in_the_next_bill_too() {
        let mut bench = Bench::new("bills_twice", 1);
        bench.say(Message::Batch(batch(1)));
        let mut next = batch(2);
        next.header.batch = 1;
        let said = bench.say(Message::Batch(next));
        let [Message::Batch(said)] = said.as_slice() else { panic!("{said:?}") };
        let numbers: Vec<u64> = said.receipts.iter().map(|r| r.assignment).collect();
        assert_eq!((numbers, said.header.count), (vec![2, 1], 2));
    }
}
