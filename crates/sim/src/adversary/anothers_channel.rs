//! A requester that shows another's channel as its own: they are all on the chain for anybody to see.

use ayni_core::Seal as _;
use ayni_types::NodeId;
use ayni_wire::{Message, Signed};

use super::{Adversary, Desk};

/// See the module.
pub(super) struct AnothersChannel;

impl Adversary for AnothersChannel {
    fn say(&mut self, _to: NodeId, message: Message, desk: &mut Desk<'_>) -> Vec<Message> {
        let Message::LeaseAsk(mut ask) = message else { return vec![message] };
        let Some(own) = ask.body.paid_by else { return vec![Message::LeaseAsk(ask)] };
        let mut others = desk.ring.channels.iter().filter(|(_, other)| {
            other.terms.payee == own.terms.payee && other.terms.salt[..16] != desk.me.0[..16]
        });
        if let Some((_, other)) = others.next_back() {
            ask.body.paid_by = Some(*other);
            let signature = desk.seal.sign_node(&Signed::message(&ask.body));
            ask = Signed { body: ask.body, signature };
        }
        vec![Message::LeaseAsk(ask)]
    }
}

#[cfg(test)]
mod tests {
    use ayni_types::NodeSignature;
    use ayni_wire::{Message, Signed};

    use super::super::bench::{Bench, lease, paid_by};

    #[test]
    fn it_shows_what_somebody_else_paid_in() {
        let mut bench = Bench::new("anothers_channel", 1);
        let mut body = lease().lease;
        body.paid_by = Some(paid_by());
        let ask =
            || Message::LeaseAsk(Signed { body: body.clone(), signature: NodeSignature([0; 64]) });
        assert_eq!(bench.say(ask()), [ask()], "there is no other");
        let mut other = paid_by();
        other.terms.salt = [8; 32];
        bench.ring.channels.insert(other.terms.salt, other);
        let said = bench.say(ask());
        let [Message::LeaseAsk(shown)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!(shown.body.paid_by, Some(other));
    }
}
