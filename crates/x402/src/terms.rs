//! What is sold: offers with a fixed price each, which covers the most that the offer's limits let a
//! run cost. So the price stands in the answer to the first request, before anything is known of
//! what will be run.
//!
//! Deliberately not here: prices that follow use (the scheme `exact` charges what it says).

use std::collections::BTreeMap;

use ayni_types::{Account, Amount, Limits};

/// One thing that can be bought: a run of the buyer's own program within limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// In words, for whoever asks.
    pub description: String,
    /// What it costs, in the token's smallest unit.
    pub price: Amount,
    /// What a run may use.
    pub limits: Limits,
    /// Wall clock of a run, seconds; with waiting for a provider.
    pub timeout_s: u64,
    /// Longest program, bytes.
    pub program_bytes_max: usize,
}

/// On which terms everything is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Who is paid.
    pub pay_to: Account,
    /// Which token; it must know EIP-3009.
    pub token: Account,
    /// How this place is called from outside, such as `https://runs.example`; no slash at the end.
    pub public_url: String,
    /// Offers by name: `POST /run/NAME`.
    pub offers: BTreeMap<String, Offer>,
    /// Runs at once; more are asked to come again.
    pub runs_max: usize,
}

/// Why terms are none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TermsError {
    #[error("nothing is sold: there is no offer\nhint: name at least one")]
    NoOffer,
    #[error("{0:?} is no name of an offer\nhint: 1 to 32 of a-z, 0-9 and -")]
    BadName(String),
    #[error("offer {name:?}: {what} is {value}; it must be {least} to {most}")]
    OutOfRange { name: String, what: &'static str, value: u128, least: u128, most: u128 },
    #[error(
        "{0:?} is no address of a place\nhint: such as https://runs.example, no slash at the end"
    )]
    BadUrl(String),
}

/// Longest that a run may take. A payment must be good for longer than that.
pub(crate) const TIMEOUT_S_MAX: u64 = 3_600;
/// Time beyond a run's that a payment must be good for, so that it can be settled.
pub(crate) const SETTLE_S: u64 = 60;
/// What is asked for beyond that, for the way to us and clocks that differ.
pub(crate) const SLACK_S: u64 = 60;
/// Longest program or arguments that any offer takes.
const PROGRAM_BYTES_MAX: usize = 64 << 20;
/// Longest output: it is held in memory, as text.
const OUTPUT_BYTES_MAX: u64 = 16 << 20;

impl Terms {
    /// Whether anything can be sold on them.
    ///
    /// # Errors
    /// What is wrong, with its value.
    pub fn check(&self) -> Result<(), TermsError> {
        let place = self.public_url.strip_prefix("http").map(|u| u.strip_prefix('s').unwrap_or(u));
        let is_place = place.and_then(|u| u.strip_prefix("://")).is_some_and(|host| {
            !host.is_empty() && !host.ends_with('/') && host.bytes().all(|b| b.is_ascii_graphic())
        });
        if !is_place {
            return Err(TermsError::BadUrl(self.public_url.clone()));
        }
        if self.offers.is_empty() {
            return Err(TermsError::NoOffer);
        }
        for (name, offer) in &self.offers {
            let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || name.len() > 32 || !name.bytes().all(good) {
                return Err(TermsError::BadName(name.clone()));
            }
            let runs = (self.runs_max as u128, 1, 10_000);
            let program = (offer.program_bytes_max as u128, 8, PROGRAM_BYTES_MAX as u128);
            let output = (u128::from(offer.limits.output_bytes), 1, u128::from(OUTPUT_BYTES_MAX));
            for (what, (value, least, most)) in [
                ("the price", (offer.price.0, 1, u128::from(u64::MAX))),
                ("the timeout", (offer.timeout_s.into(), 1, TIMEOUT_S_MAX.into())),
                ("the longest program", program),
                ("the longest output", output),
                ("the number of runs at once", runs),
            ] {
                if !(least..=most).contains(&value) {
                    let name = name.clone();
                    return Err(TermsError::OutOfRange { name, what, value, least, most });
                }
            }
        }
        Ok(())
    }
}

impl Offer {
    /// Seconds that a payment is asked to be good for.
    pub(crate) fn good_for_s(&self) -> u64 {
        self.timeout_s + SETTLE_S + SLACK_S
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn terms() -> Terms {
        let offer = Offer {
            description: "a small run".to_owned(),
            price: Amount(1_000),
            limits: Limits { output_bytes: 1 << 20, ..Limits::default() },
            timeout_s: 60,
            program_bytes_max: 1 << 20,
        };
        Terms {
            pay_to: Account([2; 20]),
            token: Account([4; 20]),
            public_url: "http://127.0.0.1:8402".to_owned(),
            offers: BTreeMap::from([("small".to_owned(), offer)]),
            runs_max: 4,
        }
    }

    #[test]
    fn terms_that_nothing_can_be_sold_on_are_refused() {
        assert_eq!(terms().check(), Ok(()));
        type Change = fn(&mut Terms);
        let cases: [(Change, &str); 9] = [
            (|t| t.offers.clear(), "no offer"),
            (|t| t.public_url = "127.0.0.1".to_owned(), "no address"),
            (|t| t.public_url = "http://a/".to_owned(), "no address"),
            (|t| t.runs_max = 0, "runs at once is 0"),
            (|t| small(t).price = Amount(0), "the price is 0"),
            (|t| small(t).timeout_s = 3_601, "the timeout is 3601"),
            (|t| small(t).program_bytes_max = 7, "the longest program is 7"),
            (|t| small(t).limits.output_bytes = 1 << 30, "the longest output"),
            (
                |t| {
                    let offer = small(t).clone();
                    t.offers.insert("../etc".to_owned(), offer);
                },
                "no name",
            ),
        ];
        for (change, why) in cases {
            let mut terms = terms();
            change(&mut terms);
            let error = terms.check().expect_err(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    fn small(terms: &mut Terms) -> &mut Offer {
        terms.offers.get_mut("small").expect("it is there")
    }
}
