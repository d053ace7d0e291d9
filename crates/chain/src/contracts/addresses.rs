//! Where a deployment is: what a node must know to use it, and what it may show to others.

use std::path::Path;

use ayni_types::{Account, Ledger};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The contracts of one deployment on one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// EIP-155 number of the chain.
    pub chain: u64,
    /// The block before which nothing happened: a watcher begins here.
    pub since_block: u64,
    /// What is paid with.
    #[serde(with = "text")]
    pub token: Account,
    /// Payment channels.
    #[serde(with = "text")]
    pub channels: Account,
    /// Nodes, keys and stake.
    #[serde(with = "text")]
    pub registry: Account,
    /// Disputes.
    #[serde(with = "text")]
    pub disputes: Account,
    /// Who decides on parameters.
    #[serde(with = "text")]
    pub governor: Account,
    /// Who owns the contracts, and does what was decided after a delay.
    #[serde(with = "text")]
    pub timelock: Account,
    /// What is voted with.
    #[serde(with = "text")]
    pub votes: Account,
}

/// Why addresses can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AddressesError {
    /// The file system refused.
    #[error("can't {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The text is something else.
    #[error("these are no addresses of a deployment: {0}")]
    Malformed(String),
}

impl Addresses {
    /// The domain of signatures about money.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger { chain: self.chain, channels: self.channels }
    }

    /// From TOML, as configuration has it.
    ///
    /// # Errors
    /// If a field is missing, unknown or no address.
    pub fn from_toml(text: &str) -> Result<Self, AddressesError> {
        toml::from_str(text).map_err(|e| AddressesError::Malformed(e.to_string()))
    }

    /// As TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("chain ids are below 2^63")
    }

    /// From JSON.
    ///
    /// # Errors
    /// If a field is missing, unknown or no address.
    pub fn from_json(text: &str) -> Result<Self, AddressesError> {
        let found: Self =
            serde_json::from_str(text).map_err(|e| AddressesError::Malformed(e.to_string()))?;
        // TOML has no greater numbers, and no chain has (EIP-2294).
        if i64::try_from(found.chain).is_err() {
            let why = format!("chain id {} is greater than any chain's", found.chain);
            return Err(AddressesError::Malformed(why));
        }
        Ok(found)
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and text are JSON")
    }

    /// Reads a TOML or JSON file, by its name.
    ///
    /// # Errors
    /// If it can't be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, AddressesError> {
        let text = std::fs::read_to_string(path).map_err(|source| AddressesError::Io {
            what: "read",
            path: path.display().to_string(),
            source,
        })?;
        let json = path.extension().is_some_and(|extension| extension == "json");
        if json { Self::from_json(&text) } else { Self::from_toml(&text) }
    }
}

mod text {
    use super::{Account, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(account: &Account, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(account)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Account, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Addresses {
        let account = |n| Account([n; 20]);
        Addresses {
            chain: 31_337,
            since_block: 4,
            token: account(1),
            channels: account(2),
            registry: account(3),
            disputes: account(4),
            governor: account(5),
            timelock: account(6),
            votes: account(7),
        }
    }

    #[test]
    fn addresses_survive_toml_and_json() {
        assert_eq!(Addresses::from_toml(&sample().to_toml()).unwrap(), sample());
        assert_eq!(Addresses::from_json(&sample().to_json()).unwrap(), sample());
    }

    #[test]
    fn a_chain_id_that_no_chain_has_is_refused() {
        let text = sample().to_json().replace("31337", "9223372036854775808");
        let error = Addresses::from_json(&text).unwrap_err().to_string();
        assert!(error.contains("9223372036854775808"), "{error}");
    }

    #[test]
    fn a_field_too_many_too_few_or_malformed_is_named() {
        let text = sample().to_toml();
        for (bad, name) in [
            (text.replace("registry", "registrar"), "registrar"),
            (text.replace("0x0101", "0x01"), "an account"),
            (text.replace("votes", "#votes"), "votes"),
        ] {
            let error = Addresses::from_toml(&bad).unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }
}
