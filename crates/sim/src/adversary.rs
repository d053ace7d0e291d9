//! What a dishonest provider does: to its runner's results before its core sees them, or to its
//! messages after its core made them. Its core itself is the one that ships.

use ayni_core::Ran;
use ayni_core::Seal as _;
use ayni_types::Amount;
use ayni_wire::{Message, batch_hash, digest, leaf_hash, merkle_root};

use crate::prng::Prng;
use crate::seal::SimSeal;

/// A strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Signs a wrong outcome now and then.
    WrongOutcome {
        /// How often, in percent.
        percent: u64,
    },
    /// Bills too much.
    WrongPrice,
    /// Signs two different roots for one batch number.
    TwoRoots,
    /// Delivers, and never signs.
    NeverSigns,
    /// Signs with a key that is not its own.
    ForeignKey,
}

impl Strategy {
    /// What the runner of such a provider reports instead of `ran`.
    #[must_use]
    pub fn spoil(self, mut ran: Ran, chance: &mut Prng) -> Ran {
        if let Self::WrongOutcome { percent } = self
            && chance.percent(percent)
        {
            let wrong = [b"wrong".as_slice(), &ran.outcome.stdout.digest.0].concat();
            ran.outcome.stdout.digest = digest(&wrong);
        }
        ran
    }

    /// What it says instead of `message`.
    #[must_use]
    pub fn twist(self, message: Message, seal: &SimSeal, chance: &mut Prng) -> Vec<Message> {
        let Message::Batch(mut batch) = message else { return vec![message] };
        match self {
            Self::WrongOutcome { .. } => vec![Message::Batch(batch)],
            Self::NeverSigns => Vec::new(),
            Self::ForeignKey => {
                batch.signature.0[0] ^= 1;
                vec![Message::Batch(batch)]
            }
            Self::WrongPrice | Self::TwoRoots => {
                let honest = Message::Batch(batch.clone());
                let both = self == Self::TwoRoots && chance.percent(50);
                for receipt in &mut batch.receipts {
                    receipt.price = Amount(receipt.price.0 + 1);
                }
                let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
                batch.header.root = merkle_root(&leaves);
                batch.signature = seal.sign_batch(&batch_hash(&batch.header));
                match (self, both) {
                    (Self::TwoRoots, false) => vec![honest],
                    (Self::TwoRoots, true) => vec![honest, Message::Batch(batch)],
                    _ => vec![Message::Batch(batch)],
                }
            }
        }
    }
}
