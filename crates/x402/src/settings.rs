//! The file that a listener is opened from, and opening it: chain, account, book, node.
//!
//! ```toml
//! listen = "127.0.0.1:8402"              # a reverse proxy with TLS stands before it
//! public_url = "https://runs.example"    # how buyers call it
//! rpc = "http://127.0.0.1:8545/"         # a node of the chain
//! contracts = "contracts.toml"           # of a deployment: chain and token
//! account = "0x…"                        # brings payments to the chain; not the node's own account
//! password_file = "keys/password"
//! pay_to = "0x…"                         # who is paid
//! home = true                            # the node's own cores may run what is bought
//! runs_max = 4
//!
//! [offers.small]
//! description = "up to 10,000,000,000 fuel, 256 MiB, in a minute"
//! price = 20_000                         # the token's smallest unit
//! fuel = 10_000_000_000
//! memory_bytes = 268_435_456
//! output_bytes = 1_048_576
//! timeout_s = 60
//! program_bytes_max = 4_194_304
//! ```
//!
//! Unknown fields are refused. Deliberately not here: flags and signals (the command line's).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ayni_api::json::VerifyJson;
use ayni_chain::contracts::{Addresses, AddressesError};
use ayni_chain::embedded::system_clock;
use ayni_chain::keystore::{Keystore, KeystoreError, Password, PasswordError};
use ayni_chain::sender::{FileOutbox, OutboxError, SendError, SendTerms, Sender};
use ayni_chain::{Client, ClientError};
use ayni_types::{Account, Amount, Fuel, Limits};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::backend::NodeBackend;
use crate::book::{Book, BookError};
use crate::cashier::{Cashier, CashierError};
use crate::shop::Shop;
use crate::terms::{Offer, Terms, TermsError};

/// See the module. Paths are relative to the node's home.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Settings {
    pub listen: SocketAddr,
    pub public_url: String,
    pub rpc: String,
    pub contracts: PathBuf,
    pub account: String,
    pub password_file: PathBuf,
    pub pay_to: String,
    #[serde(default)]
    pub home: bool,
    pub runs_max: usize,
    pub offers: BTreeMap<String, OfferSettings>,
}

/// An offer in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct OfferSettings {
    pub description: String,
    pub price: u64,
    pub fuel: u64,
    pub memory_bytes: u64,
    pub output_bytes: u64,
    pub timeout_s: u64,
    pub program_bytes_max: usize,
}

/// Why a listener can't be opened.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum OpenError {
    #[error("the settings can't be read: {0}")]
    Settings(#[from] toml::de::Error),
    #[error("{field} is {text:?}, which is no account\nhint: 0x and 40 hex digits")]
    Account { field: &'static str, text: String },
    #[error("can't listen on {at}: {source}\nhint: is another program there?")]
    Listen { at: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Terms(#[from] TermsError),
    #[error(transparent)]
    Addresses(#[from] AddressesError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(
        "{source}\nhint: the account that settles is the listener's alone; a node's own account won't do"
    )]
    Outbox { source: OutboxError },
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Cashier(#[from] CashierError),
    #[error(transparent)]
    Book(#[from] BookError),
}

impl Settings {
    /// From TOML.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn from_toml(text: &str) -> Result<Self, OpenError> {
        Ok(toml::from_str(text)?)
    }

    fn terms(&self, token: Account) -> Result<Terms, OpenError> {
        let offer = |from: &OfferSettings| Offer {
            description: from.description.clone(),
            price: Amount(from.price.into()),
            limits: Limits {
                fuel: Fuel(from.fuel),
                memory_bytes: from.memory_bytes,
                output_bytes: from.output_bytes,
                ..Limits::default()
            },
            timeout_s: from.timeout_s,
            program_bytes_max: from.program_bytes_max,
        };
        let terms = Terms {
            pay_to: account("pay_to", &self.pay_to)?,
            token,
            public_url: self.public_url.clone(),
            offers: self.offers.iter().map(|(name, from)| (name.clone(), offer(from))).collect(),
            runs_max: self.runs_max,
        };
        terms.check()?;
        Ok(terms)
    }

    /// Opens a listener that sells what a node runs; the node is reached by its API. Settings are
    /// checked before anything is opened.
    ///
    /// # Errors
    /// If the settings are bad, the chain does not answer, the account can't be unlocked or is in
    /// use, the book is damaged, or the port is taken.
    pub async fn open(
        &self,
        home: &Path,
        node: ayni_api::Client,
    ) -> Result<(Shop<NodeBackend>, TcpListener), OpenError> {
        let settler = account("account", &self.account)?;
        let contracts = Addresses::read(&home.join(&self.contracts))?;
        let terms = self.terms(contracts.token)?;
        let client = Client::connect(&self.rpc, contracts.chain).await?;
        let password = Password::from_file(&home.join(&self.password_file))?;
        let keystore = Keystore::open(&home.join("keys").join("accounts"))?;
        let unlocking = tokio::task::spawn_blocking(move || keystore.unlock(settler, &password));
        let wallet = match unlocking.await {
            Ok(unlocked) => unlocked?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let outbox = FileOutbox::open(&home.join("chain"), contracts.chain, settler)
            .map_err(|source| OpenError::Outbox { source })?;
        let send = if client.is_local_ledger() { SendTerms::LOCAL } else { SendTerms::REMOTE };
        let sender = Sender::new(client, wallet, send, Box::new(outbox))?;
        let cashier = Cashier::open(sender, contracts.token).await?;
        let book = Book::open(&home.join("x402.sales"))?;
        let backend = NodeBackend::new(node, self.home, VerifyJson::default());
        let shop = Shop::new(terms, cashier, book, backend, system_clock())?;
        let listening = TcpListener::bind(self.listen).await;
        let listener = listening.map_err(|source| OpenError::Listen { at: self.listen, source })?;
        Ok((shop, listener))
    }
}

fn account(field: &'static str, text: &str) -> Result<Account, OpenError> {
    text.parse().map_err(|_| OpenError::Account { field, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample of this module's comment.
    fn sample() -> String {
        let source = include_str!("settings.rs");
        let mut fences = source.split("//! ```");
        let toml = fences.nth(1).expect("a fence").trim_start_matches("toml\n");
        let lines = toml.lines().map(|line| line.trim_start_matches("//!").trim_start());
        let text = lines.collect::<Vec<_>>().join("\n");
        text.replace("0x…", "0x0101010101010101010101010101010101010101")
    }

    #[test]
    fn the_sample_is_a_shop() {
        let settings = Settings::from_toml(&sample()).expect("it is good");
        let terms = settings.terms(Account([4; 20])).expect("it sells");
        assert_eq!(terms.offers["small"].price, Amount(20_000));
        assert_eq!(terms.pay_to, Account([1; 20]));
    }

    #[test]
    fn what_is_not_good_is_named() {
        let cases = [
            ("runs_max = 4", "runs_max = 0", "runs at once is 0"),
            ("runs_max = 4", "runs_max = 4\nextra = 1", "extra"),
            ("price = 20_000", "price = -1", "price"),
            ("[offers.small]", "[offers.Small]", "no name"),
            ("pay_to = \"0x01", "pay_to = \"01", "pay_to"),
            ("https://runs.example", "runs.example", "runs.example"),
        ];
        for (good, bad, why) in cases {
            let text = sample().replacen(good, bad, 1);
            assert_ne!(text, sample(), "{good}");
            let settings = Settings::from_toml(&text);
            let error = settings.and_then(|s| s.terms(Account([4; 20]))).expect_err(why);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
