//! False mismatch: a requester that does not want its providers to be believed. Its own machine
//! reports something else for every audit, and it shows the world receipts that it has changed, or
//! signed itself, as evidence, and tells everybody that they signed two roots.

use std::collections::{BTreeMap, BTreeSet};

use ayni_core::{Evidence, Purpose, Seal as _};
use ayni_types::{LeaseId, NodeId};
use ayni_wire::{
    FullLease, Message, ReceiptFile, SignedHeader, TwoRoots, batch_hash, digest, leaf_hash,
    merkle_root, outcome_digest,
};

use super::{Adversary, Deed, Desk, RunSeen, Went, wrong};
use crate::seal::SimSeal;

#[derive(Default)]
pub(super) struct FalseMismatch {
    known: BTreeSet<NodeId>,
    leases: BTreeMap<LeaseId, FullLease>,
    proofs: Vec<TwoRoots>,
}

impl Adversary for FalseMismatch {
    fn hear(&mut self, from: NodeId, message: &Message, desk: &mut Desk<'_>) -> Vec<Deed> {
        self.known.insert(from);
        match message {
            Message::LeaseGrant(full) => {
                self.leases.insert(full.lease.id, full.clone());
            }
            Message::Batch(batch) if self.proofs.len() < 8 => {
                if let Some(lease) = self.leases.get(&batch.header.lease) {
                    // A second root that the provider never signed.
                    let mut header = batch.header;
                    header.root = digest(b"another root");
                    let signature = desk.seal.sign_batch(&batch_hash(&header));
                    self.proofs.push(TwoRoots {
                        lease: lease.clone(),
                        first: SignedHeader { header: batch.header, signature: batch.signature },
                        second: SignedHeader { header, signature },
                    });
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn idle(&mut self, _desk: &mut Desk<'_>) -> Vec<Deed> {
        let Some(proof) = self.proofs.pop() else { return Vec::new() };
        let say =
            |node: &NodeId| Deed::Say(*node, Box::new(Message::TwoRoots(Box::new(proof.clone()))));
        self.known.iter().map(say).collect()
    }

    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, _desk: &mut Desk<'_>) -> Went {
        match honest {
            (ms, Ok(ran)) if seen.purpose == Purpose::Audit => {
                (ms, Ok(wrong(ran, b"what I say I found")))
            }
            honest => honest,
        }
    }

    fn exhibits(
        &mut self,
        mut evidence: Vec<Evidence>,
        receipts: Vec<ReceiptFile>,
        desk: &mut Desk<'_>,
    ) -> Vec<Evidence> {
        for (index, honest) in (0..).zip(receipts) {
            evidence.extend([changed(index, honest.clone()), forged(index, honest, &desk.seal)]);
        }
        evidence
    }
}

fn exhibit(index: u32, claimed: ReceiptFile, found: ReceiptFile) -> Evidence {
    Evidence {
        index,
        provider: claimed.lease.lease.provider,
        time: claimed.lease.lease.issued,
        found: found.outcome,
        claimed,
    }
}

fn lie(file: &mut ReceiptFile) {
    file.outcome.stdout.digest = digest(b"a lie that nobody told");
    file.receipt.outcome = outcome_digest(&file.outcome);
}

/// Another outcome in a receipt that was signed as it was.
fn changed(index: u32, honest: ReceiptFile) -> Evidence {
    let mut claimed = honest.clone();
    lie(&mut claimed);
    exhibit(index, claimed, honest)
}

/// A batch of one, signed by the accuser.
fn forged(index: u32, honest: ReceiptFile, seal: &SimSeal) -> Evidence {
    let mut claimed = honest.clone();
    lie(&mut claimed);
    claimed.receipt.index = 0;
    claimed.header.count = 1;
    claimed.header.root = merkle_root(&[leaf_hash(&claimed.receipt)]);
    claimed.proof = Vec::new();
    claimed.signature = seal.sign_batch(&batch_hash(&claimed.header));
    exhibit(index, claimed, honest)
}

#[cfg(test)]
mod tests {
    use ayni_core::Purpose;
    use ayni_wire::Message;

    use super::super::Deed;
    use super::super::bench::{Bench, batch, is_right, lease, task};

    #[test]
    fn it_tells_of_roots_that_nobody_signed() {
        let mut bench = Bench::new("false_mismatch", 0);
        bench.hear(&Message::LeaseGrant(lease()));
        bench.hear(&Message::Batch(batch(1)));
        let deeds = bench.idle();
        let [Deed::Say(_, said)] = deeds.as_slice() else { panic!("{deeds:?}") };
        let Message::TwoRoots(proof) = &**said else { panic!("{said:?}") };
        assert_ne!(proof.first.header.root, proof.second.header.root);
        assert!(proof.culprit().is_err());
    }

    #[test]
    fn its_audits_find_what_is_not_so() {
        let mut bench = Bench::new("false_mismatch", 0);
        assert!(!is_right(1, &bench.run_as(&task(1), Purpose::Audit, true)));
        assert!(is_right(1, &bench.run_as(&task(1), Purpose::Home, true)));
    }
}
