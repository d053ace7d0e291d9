//! Every parameter that a vote may change, by a name that a person can write, with its value now.
//!
//! The contracts change some of them together: what is not named keeps its value. Deliberately not
//! here: bounds (the contracts refuse what is beyond them).

use ayni_types::Amount;

use super::{Addresses, Change};
use crate::client::{Client, ClientError};
use crate::contracts::bindings::{Channels, Disputes, Registry};
use crate::contracts::deploy::DisputeTerms;

/// Names and values. Times are in seconds, amounts in the token's smallest unit, shares in hundredths
/// of a percent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters(Vec<(&'static str, u128)>);

/// Why a parameter can't be set.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// There is none of that name.
    #[error("there is no parameter {0:?}\nhint: `ayni gov parameters` lists them")]
    Unknown(String),
    /// It is not written as `NAME=VALUE`.
    #[error("{0:?} is not NAME=VALUE with a whole number")]
    Malformed(String),
    /// The number is too large for its place.
    #[error("{name} can't be {value}: its place in the contract is smaller")]
    TooLarge {
        /// Which.
        name: &'static str,
        /// What was wanted.
        value: u128,
    },
}

impl Parameters {
    /// As they are now.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn read(client: &Client, at: &Addresses) -> Result<Self, ClientError> {
        let (registry, channels) = (at.registry, at.channels);
        let unstake = client.view(registry, &Registry::unstakeDelayCall {}).await?;
        let window = client.view(registry, &Registry::disputeWindowCall {}).await?;
        let reservation = client.view(registry, &Registry::reservationMaxCall {}).await?;
        let weight = client.view(registry, &Registry::juryWeightMinCall {}).await?;
        let least = client.view(channels, &Channels::withdrawDelayMinCall {}).await?;
        let most = client.view(channels, &Channels::withdrawDelayMaxCall {}).await?;
        let t = client.view(at.disputes, &Disputes::termsCall {}).await?;
        Ok(Self(vec![
            ("registry.unstake_s", unstake.into()),
            ("registry.dispute_window_s", window.into()),
            ("registry.reservation_max_s", reservation.into()),
            ("registry.jury_weight_min", weight),
            ("channels.withdraw_delay_min_s", least.to::<u64>().into()),
            ("channels.withdraw_delay_max_s", most.to::<u64>().into()),
            ("disputes.juror_fee", t.jurorFee.to()),
            ("disputes.incident_fee", t.incidentFee.to()),
            ("disputes.defence_fee", t.defenceFee.to()),
            ("disputes.challenger_reward", t.challengerReward.to()),
            ("disputes.commit_s", t.commitWindow.into()),
            ("disputes.reveal_s", t.revealWindow.into()),
            ("disputes.appeal_s", t.appealWindow.into()),
            ("disputes.slash_bps", t.slashBps.into()),
            ("disputes.equivocation_bps", t.equivocationBps.into()),
            ("disputes.absence_bps", t.absenceBps.into()),
            ("disputes.jury_size", t.jurySize.into()),
            ("disputes.seed_delay", t.seedDelay.into()),
        ]))
    }

    /// In the order of the contracts.
    #[must_use]
    pub fn all(&self) -> &[(&'static str, u128)] {
        &self.0
    }

    /// Takes `NAME=VALUE`.
    ///
    /// # Errors
    /// If there is no such parameter or the value is no number.
    pub fn set(&mut self, text: &str) -> Result<(), ParameterError> {
        let malformed = || ParameterError::Malformed(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(malformed)?;
        let value = value.trim().replace('_', "").parse().map_err(|_| malformed())?;
        let found = self.0.iter_mut().find(|(known, _)| *known == name.trim());
        found.ok_or_else(|| ParameterError::Unknown(name.trim().to_owned()))?.1 = value;
        Ok(())
    }

    fn get<T: TryFrom<u128>>(&self, name: &'static str) -> Result<T, ParameterError> {
        let value = self.0.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value);
        T::try_from(value).map_err(|_| ParameterError::TooLarge { name, value })
    }

    /// What has to be proposed so that these hold instead of those before.
    ///
    /// # Errors
    /// If a value does not fit into its place.
    pub fn changes_since(&self, before: &Self) -> Result<Vec<Change>, ParameterError> {
        let differs = |prefix: &str| {
            let pairs = self.0.iter().zip(&before.0);
            pairs.filter(|(new, old)| new != old).any(|(new, _)| new.0.starts_with(prefix))
        };
        let mut changes = Vec::new();
        let delays = ["registry.unstake", "registry.dispute", "registry.reservation"];
        if delays.into_iter().any(differs) {
            changes.push(Change::RegistryDelays {
                unstake_s: self.get("registry.unstake_s")?,
                dispute_window_s: self.get("registry.dispute_window_s")?,
                reservation_max_s: self.get("registry.reservation_max_s")?,
            });
        }
        if differs("registry.jury_weight_min") {
            changes.push(Change::JuryWeightMin(Amount(self.get("registry.jury_weight_min")?)));
        }
        if differs("channels.") {
            changes.push(Change::WithdrawDelays {
                min_s: self.get("channels.withdraw_delay_min_s")?,
                max_s: self.get("channels.withdraw_delay_max_s")?,
            });
        }
        if differs("disputes.") {
            changes.push(Change::DisputeTerms(DisputeTerms {
                juror_fee: self.get("disputes.juror_fee")?,
                incident_fee: self.get("disputes.incident_fee")?,
                defence_fee: self.get("disputes.defence_fee")?,
                challenger_reward: self.get("disputes.challenger_reward")?,
                commit_s: self.get("disputes.commit_s")?,
                reveal_s: self.get("disputes.reveal_s")?,
                appeal_s: self.get("disputes.appeal_s")?,
                slash_bps: self.get("disputes.slash_bps")?,
                equivocation_bps: self.get("disputes.equivocation_bps")?,
                absence_bps: self.get("disputes.absence_bps")?,
                jury_size: self.get("disputes.jury_size")?,
                seed_delay: self.get("disputes.seed_delay")?,
            }));
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Parameters {
        Parameters(vec![
            ("registry.unstake_s", 1),
            ("registry.jury_weight_min", 2),
            ("channels.withdraw_delay_min_s", 3),
            ("disputes.jury_size", 3),
        ])
    }

    #[test]
    fn what_is_named_is_changed_and_nothing_else() {
        let mut new = some();
        new.set("registry.jury_weight_min = 5_000").unwrap();
        assert_eq!(new.changes_since(&some()).unwrap(), [Change::JuryWeightMin(Amount(5_000))]);
        assert_eq!(some().changes_since(&some()).unwrap(), []);
        new.set("disputes.jury_size=5").unwrap();
        assert_eq!(new.changes_since(&some()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_parameter_is_named() {
        for (text, said) in [
            ("jury=5", "no parameter \"jury\""),
            ("disputes.jury_size", "NAME=VALUE"),
            ("disputes.jury_size=five", "NAME=VALUE"),
        ] {
            let error = some().set(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let mut large = some();
        large.set("disputes.jury_size=300").unwrap();
        let error = large.changes_since(&some()).unwrap_err().to_string();
        assert!(error.contains("disputes.jury_size can't be 300"), "{error}");
    }
}
