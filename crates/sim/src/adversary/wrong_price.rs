//! Wrong price: it bills one unit more than the lease says, and signs that.

use ayni_core::Seal as _;
use ayni_types::{Amount, NodeId};
use ayni_wire::{Message, SignedBatch, batch_hash, leaf_hash, merkle_root};

use super::{Adversary, Desk};
use crate::seal::SimSeal;

pub(super) struct WrongPrice;

/// The same receipts, each one unit dearer, signed.
pub(super) fn dearer(mut batch: SignedBatch, seal: &SimSeal) -> SignedBatch {
    for receipt in &mut batch.receipts {
        receipt.price = Amount(receipt.price.0 + 1);
    }
    let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
    batch.header.root = merkle_root(&leaves);
    batch.signature = seal.sign_batch(&batch_hash(&batch.header));
    batch
}

impl Adversary for WrongPrice {
    fn say(&mut self, _to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        match message {
            Message::Batch(batch) => vec![Message::Batch(dearer(batch, &desk.seal))],
            other => vec![other],
        }
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::{Message, leaf_hash, merkle_root};

    use super::super::bench::{Bench, batch};

    #[test]
    fn each_receipt_is_one_unit_dearer_and_well_signed() {
        let said = Bench::new("wrong_price", 0).say(Message::Batch(batch(1)));
        let [Message::Batch(dear)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(dear.receipts[0].price.0, batch(1).receipts[0].price.0 + 1);
        assert_eq!(dear.header.root, merkle_root(&[leaf_hash(&dear.receipts[0])]));
    }
}
