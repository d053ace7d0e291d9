//! Session keys: the hot keys that sign vouchers and claims, one per channel.
//!
//! They come from a seed of 32 random bytes that has nothing to do with the cold key: who steals
//! the seed can spend what open channels hold, no more; who has the cold key alone can take
//! deposits back after their delay, so a lost seed loses no money. The daemon reads the seed
//! without a password, since it signs while nobody watches.
//!
//! The key of channel `index` is `blake3::derive_key(CONTEXT, seed | use | chain | account | index
//! | round)`, integers big endian; `round` is 0, or more in the one case of 2^128 that the bytes
//! are no key.

use std::path::Path;

use ayni_types::Account;
use ayni_wire::EvmSigner;
use zeroize::Zeroizing;

use super::{KeystoreError, random, read_secret, write_secret};

const CONTEXT: &str = "ayni 2026 session key 1";

/// What a session key is for; keys for different uses are different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionUse {
    /// Signs vouchers (`payer_key` of a channel).
    Pay = 0,
    /// Says for a payee that claims and refunds are good (`payee_key`).
    Receive = 1,
    /// Signs batches of receipts.
    Batches = 2,
}

/// The seed of session keys. Wiped when dropped.
pub struct SessionKeys(Zeroizing<[u8; 32]>);

impl SessionKeys {
    /// From a seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// Reads the seed in a file, or makes one that only its owner may read.
    ///
    /// # Errors
    /// If the file can't be read or made, or others may read it.
    pub fn open(path: &Path) -> Result<Self, KeystoreError> {
        match read_secret(path, 32) {
            Ok(bytes) => {
                let seed = <[u8; 32]>::try_from(bytes.as_slice());
                let seed = seed.map_err(|_| KeystoreError::Malformed {
                    path: path.to_owned(),
                    why: format!("it has {} bytes, not the 32 of a seed", bytes.len()),
                })?;
                Ok(Self::from_seed(seed))
            }
            Err(KeystoreError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let seed = Zeroizing::new(random::<32>()?);
                write_secret(path, &*seed)?;
                Ok(Self(seed))
            }
            Err(other) => Err(other),
        }
    }

    /// The key of an account's channel `index` on a chain.
    #[must_use]
    pub fn key(&self, of: SessionUse, chain: u64, account: Account, index: u64) -> EvmSigner {
        for round in 0_u32.. {
            let mut material = Zeroizing::new(Vec::with_capacity(80));
            material.extend_from_slice(&*self.0);
            material.push(of as u8);
            material.extend_from_slice(&chain.to_be_bytes());
            material.extend_from_slice(&account.0);
            material.extend_from_slice(&index.to_be_bytes());
            material.extend_from_slice(&round.to_be_bytes());
            let secret = Zeroizing::new(blake3::derive_key(CONTEXT, &material));
            if let Some(signer) = EvmSigner::from_secret(&secret) {
                return signer;
            }
        }
        unreachable!("one of 2^32 hashes is a scalar")
    }
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_chain_account_and_channel_has_its_own_key_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.seed");
        let keys = SessionKeys::open(&path).unwrap();
        let key =
            |of, chain, account, index| keys.key(of, chain, Account([account; 20]), index).key();
        let all = [
            key(SessionUse::Pay, 1, 1, 0),
            key(SessionUse::Receive, 1, 1, 0),
            key(SessionUse::Batches, 1, 1, 0),
            key(SessionUse::Pay, 2, 1, 0),
            key(SessionUse::Pay, 1, 2, 0),
            key(SessionUse::Pay, 1, 1, 1),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
        let again = SessionKeys::open(&path).unwrap();
        assert_eq!(again.key(SessionUse::Pay, 1, Account([1; 20]), 0).key(), all[0]);
    }

    // Computed with the Python package blake3 and coincurve from the definition above.
    #[test]
    fn the_derivation_does_not_change() {
        let keys = SessionKeys::from_seed([7; 32]);
        let key = keys.key(SessionUse::Pay, 31_337, Account([1; 20]), 5).key();
        assert_eq!(key.to_string(), "59c50ff23e8aca68d72875bfa998f6c2fc337c6e");
    }
}
