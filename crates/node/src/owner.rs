//! The machine belongs to its owner: what it lends can change at any time, and it rests when its
//! owner said so or needs it.
//!
//! One task reads the machine a few times a second, asks `judge` for reasons to rest and tells the
//! core, which hands everything back. What the owner set lies in `owner.json` of the home and holds
//! until it is set again. Deliberately not here: priorities and limits of running work (`sandbox`).

mod input;
mod judge;
pub(crate) mod limits;
mod mind;
pub(crate) mod senses;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ayni_api::json::OwnerLimits;
use ayni_core::PauseReason;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

pub(crate) use judge::Readings;
use limits::{BadLimit, Has, Limits};
pub(crate) use mind::mind;

/// How long a word of the owner may take to be obeyed before we say that it is not.
const PATIENCE: Duration = Duration::from_secs(10);

/// The owner's word, and what came of it.
pub(crate) struct Owner {
    path: PathBuf,
    /// What the settings say, for whoever takes back what was set since.
    settings: Limits,
    has: Has,
    state: Mutex<State>,
    changed: Notify,
    /// The word that was obeyed last.
    obeyed: watch::Sender<u64>,
}

struct State {
    set: Option<Limits>,
    paused: Option<Paused>,
    transferred: Option<Transferred>,
    rests: BTreeMap<PauseReason, Rest>,
    readings: Readings,
    /// Counts the owner's words.
    word: u64,
}

/// A pause that the owner ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paused {
    /// In milliseconds since 1970; `None` is until told.
    pub(crate) until_ms: Option<u64>,
}

/// Bytes of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transferred {
    /// Such as `2026-11-23`.
    day: String,
    bytes: u64,
}

/// One reason to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) text: String,
    /// In milliseconds since 1970, both.
    pub(crate) since_ms: u64,
    pub(crate) until_ms: Option<u64>,
}

/// What lies in the home.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    limits: Option<OwnerLimits>,
    paused: Option<Paused>,
    transferred: Option<Transferred>,
}

/// Why what the owner set can't be used or kept.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The file can't be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is damaged.
    #[error("`{}`: {source}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        #[source]
        source: serde_json::Error,
    },
    /// A limit that can't be.
    #[error(transparent)]
    Limit(#[from] BadLimit),
    /// The node is stopping, or too busy.
    #[error("it is written down, but nothing came of it within {} s", PATIENCE.as_secs())]
    Late,
}

impl Owner {
    /// What was set in this home before, else what the settings say. A machine that has become
    /// smaller lends what is left of it.
    pub(crate) fn open(home: &Path, settings: Limits, has: Has) -> Result<Self, OwnerError> {
        let path = home.join("owner.json");
        let kept = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Kept>(&bytes)
                .map_err(|source| OwnerError::Damaged { path: path.clone(), source })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::default(),
            Err(source) => return Err(OwnerError::File { path, source }),
        };
        let set = kept.limits.map(|mut json| {
            json.cpus = json.cpus.min(has.cpus);
            json.memory_bytes = json.memory_bytes.min(has.memory_bytes);
            Limits::read(&json, has)
        });
        let state = State {
            set: set.transpose()?,
            paused: kept.paused,
            transferred: kept.transferred,
            rests: BTreeMap::new(),
            readings: Readings::default(),
            word: 0,
        };
        let (state, changed) = (Mutex::new(state), Notify::new());
        Ok(Self { path, settings, has, state, changed, obeyed: watch::Sender::new(0) })
    }

    /// Limits in force.
    pub(crate) fn limits(&self) -> Limits {
        self.state().set.clone().unwrap_or_else(|| self.settings.clone())
    }

    /// Why it rests.
    pub(crate) fn rests(&self) -> BTreeMap<PauseReason, Rest> {
        self.state().rests.clone()
    }

    /// What the machine showed last.
    pub(crate) fn readings(&self) -> Readings {
        self.state().readings
    }

    /// Sets limits, or (`None`) goes back to those of the settings. Returns when they are obeyed.
    pub(crate) async fn set(&self, limits: Option<&OwnerLimits>) -> Result<(), OwnerError> {
        let set = limits.map(|json| Limits::read(json, self.has)).transpose()?;
        self.say(|state| state.set = set).await
    }

    /// Rests until then, or (`None`) no longer because the owner said so. Returns when it is so.
    pub(crate) async fn pause(&self, paused: Option<Paused>) -> Result<(), OwnerError> {
        self.say(|state| state.paused = paused).await
    }

    /// Changes the state, writes it down, then waits until it is obeyed.
    async fn say(&self, change: impl FnOnce(&mut State)) -> Result<(), OwnerError> {
        let word = {
            let mut state = self.state();
            let (set, paused) = (state.set.clone(), state.paused);
            change(&mut state);
            if let Err(error) = self.keep(&state) {
                (state.set, state.paused) = (set, paused);
                return Err(error);
            }
            state.word += 1;
            state.word
        };
        self.changed.notify_one();
        let mut obeyed = self.obeyed.subscribe();
        let obeyed = tokio::time::timeout(PATIENCE, obeyed.wait_for(|done| *done >= word)).await;
        obeyed.map(drop).map_err(|_| OwnerError::Late)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what has to be known after a restart.
    fn keep(&self, state: &State) -> Result<(), OwnerError> {
        let failed = |source| OwnerError::File { path: self.path.clone(), source };
        let kept = Kept {
            limits: state.set.as_ref().map(Limits::json),
            paused: state.paused,
            transferred: state.transferred.clone(),
        };
        let bytes = serde_json::to_vec_pretty(&kept).map_err(|e| failed(e.into()))?;
        let part = self.path.with_extension("part");
        let write = || {
            let mut file = std::fs::File::create(&part)?;
            std::io::Write::write_all(&mut file, &bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, &self.path)
        };
        write().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAS: Has = Has { cpus: 8, memory_bytes: 8 << 30 };

    /// Obeys at once, as `mind` would.
    fn obey(owner: &std::sync::Arc<Owner>) {
        let owner = owner.clone();
        tokio::spawn(async move {
            loop {
                owner.changed.notified().await;
                owner.obeyed.send_replace(owner.state().word);
            }
        });
    }

    fn open(home: &Path) -> std::sync::Arc<Owner> {
        std::sync::Arc::new(Owner::open(home, judge::tests::none(), HAS).unwrap())
    }

    #[tokio::test]
    async fn what_an_owner_set_holds_after_a_restart_until_it_is_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let first = open(home.path());
        obey(&first);
        let mut json = first.limits().json();
        json.cpus = 3;
        json.hours = vec!["sat,sun".to_owned()];
        first.set(Some(&json)).await.unwrap();
        first.pause(Some(Paused { until_ms: Some(7) })).await.unwrap();
        let again = open(home.path());
        assert_eq!(again.limits(), first.limits());
        assert_eq!(again.limits().cpus, 3);
        assert_eq!(again.state().paused, Some(Paused { until_ms: Some(7) }));
        obey(&again);
        again.set(None).await.unwrap();
        assert_eq!(open(home.path()).limits(), judge::tests::none());
        assert_eq!(open(home.path()).state().paused, Some(Paused { until_ms: Some(7) }));
    }

    #[tokio::test]
    async fn what_cannot_be_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let owner = open(home.path());
        let mut json = owner.limits().json();
        json.cpus = 33;
        let error = owner.set(Some(&json)).await.unwrap_err().to_string();
        assert_eq!(error, "cpus = `33`: give 1 to 8 (this machine has 8)");
        assert_eq!(owner.limits(), judge::tests::none());
        // Not even written down.
        std::fs::remove_dir_all(home.path()).unwrap();
        json.cpus = 2;
        let error = owner.set(Some(&json)).await.unwrap_err();
        assert!(matches!(error, OwnerError::File { .. }), "{error}");
        assert_eq!(owner.limits(), judge::tests::none());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"limit\":1}"] {
            std::fs::write(home.path().join("owner.json"), text).unwrap();
            let error = Owner::open(home.path(), judge::tests::none(), HAS).err().unwrap();
            assert!(error.to_string().contains("owner.json"), "{error}");
        }
    }
}
