//! What nodes sign: offers, leases, tickets. The fuzzer has no keys, so whatever verifies must be
//! what was signed here, word for word.

use std::sync::OnceLock;

use ayni_types::{Lease, NodeId, Offer};
use ayni_wire::{Domain, FullLease, Signed, Ticket, TwoRoots, verify_node};
use minicbor::Decode;

use crate::cbor::strict;
use crate::sample;

fn holds<T>(data: &[u8], signer: impl Fn(&T) -> NodeId) -> Option<T>
where
    T: Domain + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug,
{
    let signed = strict::<Signed<T>>(data)?;
    let message = Signed::message(&signed.body);
    verify_node(signer(&signed.body), &message, &signed.signature).ok()?;
    Some(signed.body)
}

/// A signed offer, a signed lease, a lease with both signatures, a proof of fraud.
pub fn signed(data: &[u8]) {
    fraud(data);
    // Anybody may sign as themselves, so only these two names are at stake.
    let honest = |node: NodeId| node == sample::provider().id() || node == sample::requester().id();
    if let Some(offer) = holds::<Offer>(data, |offer| offer.node)
        && honest(offer.node)
    {
        assert_eq!(offer, sample::offer());
    }
    if let Some(lease) = holds::<Lease>(data, |lease| lease.requester)
        && honest(lease.requester)
    {
        assert_eq!(lease, sample::lease());
    }
    if let Some(full) = strict::<FullLease>(data) {
        let message = Signed::message(&full.lease);
        let by = |node, signature| verify_node(node, &message, signature).is_ok();
        if by(full.lease.requester, &full.requester) && by(full.lease.provider, &full.provider) {
            let named = honest(full.lease.requester) || honest(full.lease.provider);
            let known = sample::full_lease();
            let bare = |full: &FullLease| FullLease { backing: None, ..full.clone() };
            assert!(!named || bare(&full) == bare(&known));
            // Neither covers what stands behind it; the lease's batch key signs that apart.
            if let Some(backing) = full.backing.as_ref().filter(|_| named)
                && backing.signer(&full.lease) == Some(full.lease.batch_key)
            {
                assert_eq!(Some(backing), known.backing.as_ref());
            }
        }
    }
}

/// A proof of fraud: nobody who signed one root for each batch can be accused. The sample's
/// provider signed two, for one batch of one lease, and nothing else may be shown against it.
fn fraud(data: &[u8]) {
    let Some(proof) = strict::<TwoRoots>(data) else { return };
    if proof.culprit().is_ok_and(|culprit| culprit == sample::provider().id()) {
        let honest = sample::two_roots();
        let said = [&proof.first, &proof.second];
        assert_eq!(proof.lease.lease, honest.lease.lease);
        assert!(proof.first != proof.second);
        assert!(said.iter().all(|header| [&honest.first, &honest.second].contains(header)));
    }
}

/// A ticket's line of text: one spelling but for case and surrounding space.
pub fn ticket(data: &[u8]) {
    static LINE: OnceLock<String> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(ticket) = Ticket::from_text(text, sample::NOW) else { return };
    if ticket.issuer == sample::requester().id() {
        assert_eq!(ticket, sample::ticket());
        let line = LINE.get_or_init(|| sample::ticket().to_text(&sample::requester()));
        assert_eq!(text.trim().to_ascii_lowercase(), *line);
    }
}
