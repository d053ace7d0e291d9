//! A requester whose vouchers are for another chain, another channel, or more than they are signed
//! for; after its first, which is good.

use ayni_core::Seal as _;
use ayni_types::{Amount, ChannelId, Ledger, NodeId};
use ayni_wire::{Message, Voucher, voucher_hash};

use super::{Adversary, Desk};
use crate::chain::ledger;

/// See the module.
#[derive(Default)]
pub(super) struct ForeignVouchers {
    said: u64,
}

impl Adversary for ForeignVouchers {
    fn say(&mut self, _to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        let Message::Voucher(voucher) = message else { return vec![message] };
        self.said += 1;
        let own = desk.ring.channels.values().find(|paid_by| {
            ayni_wire::channel_id(&paid_by.ledger, &paid_by.terms) == voucher.channel
        });
        let salt = own.map_or([0; 32], |paid_by| paid_by.terms.salt);
        let bad = match self.said % 4 {
            1 => voucher,
            2 => {
                let abroad = Ledger { chain: ledger().chain + 1, ..ledger() };
                let hash = voucher_hash(&abroad, voucher.channel, voucher.ceiling);
                Voucher { signature: desk.seal.sign_voucher(&salt, &hash), ..voucher }
            }
            3 => Voucher { channel: ChannelId([7; 32]), ..voucher },
            _ => Voucher { ceiling: Amount(u128::MAX), ..voucher },
        };
        vec![Message::Voucher(bad)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, voucher};

    #[test]
    fn only_every_fourth_is_good() {
        let mut bench = Bench::new("foreign_vouchers", 1);
        let good = (0..8).filter(|_| bench.say(voucher(5)) == [voucher(5)]).count();
        assert_eq!(good, 2);
    }
}
