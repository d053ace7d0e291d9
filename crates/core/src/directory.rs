//! The directory role: keep signed offers, one per node, and answer queries with a random sample.

use ayni_types::{NodeId, Offer, limits};
use ayni_wire::{Message, Query, Signed};

use crate::core::Core;
use crate::market::Known;

impl Core {
    /// Keeps a node's own offer.
    pub(crate) fn published(&mut self, from: NodeId, signed: Signed<Offer>) {
        if !self.config.roles.directory || signed.body.node != from {
            return;
        }
        let known = self.directory.get(&from).map(|k| k.signed.body.sequence);
        if known.is_some_and(|k| k >= signed.body.sequence) {
            return;
        }
        let Some(until) = self.offer_ends(&signed) else { return };
        if known.is_none() && self.directory.len() >= limits::DIRECTORY_OFFERS_MAX {
            let now = self.now;
            self.directory.retain(|_, k| k.until > now);
            if self.directory.len() >= limits::DIRECTORY_OFFERS_MAX {
                return;
            }
        }
        self.directory.insert(from, Known { taken: 0, until, signed: signed.clone() });
        if self.wants_offers() {
            self.learn_offer(signed);
            self.market_dirty = true;
            self.dirty = true;
        }
    }

    /// Answers with own and kept offers that fit; which ones is left to chance when they are many.
    pub(crate) fn queried(&mut self, from: NodeId, query: &Query) {
        let most = (query.count_max as usize).min(limits::OFFERS_ANSWER_MAX);
        let mut offers: Vec<Signed<Offer>> = Vec::new();
        offers.extend(self.own_offer());
        let mut seen = 0;
        if self.config.roles.directory {
            for Known { signed, until, .. } in self.directory.values() {
                let offer = &signed.body;
                if *until <= self.now
                    || offer.node == from
                    || offer.memory_bytes < query.memory_bytes
                    || !offer.engines.contains(&query.engine)
                {
                    continue;
                }
                seen += 1;
                if offers.len() < most {
                    offers.push(signed.clone());
                } else if let Ok(at) = usize::try_from(self.chance.below(seen))
                    && let Some(place) = offers.get_mut(at)
                {
                    *place = signed.clone();
                }
            }
        }
        offers.truncate(most);
        self.send(from, Message::Offers { query: query.id, offers });
    }

    /// Tells one directory our offer.
    pub(crate) fn publish_to(&mut self, node: NodeId) {
        if let Some(offer) = self.own_offer() {
            self.send(node, Message::Publish(offer));
        }
    }

    fn own_offer(&self) -> Option<Signed<Offer>> {
        let offer = self.provider.as_ref()?.offer.clone()?;
        (offer.body.expires > self.now).then_some(offer)
    }
}
