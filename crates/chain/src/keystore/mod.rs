//! Keys to money: the account's cold key in an encrypted file, session keys from a seed.
//!
//! | file | what |
//! |---|---|
//! | `form` | the encrypted file: Web3 Secret Storage, version 3, as other wallets read it |
//! | `password` | a password, wiped when it is dropped, never shown |
//! | `session` | keys that sign vouchers, one per channel |
//!
//! The cold key funds channels, stakes and withdraws; it is unlocked by a password that comes from
//! a file or a question, never from arguments or the environment. Deliberately not here: hardware
//! wallets, words to write down, pbkdf2.

mod form;
mod password;
mod session;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ayni_types::Account;
use ayni_wire::{EvmSignature, EvmSigner};
use zeroize::Zeroizing;

use crate::limits::KEYSTORE_BYTES_MAX;
use crate::record_log::sync_folder_of;
pub use form::ScryptCost;
pub use password::{Password, PasswordError};
pub use session::{SessionKeys, SessionUse};

/// Why a key can't be made, read or unlocked.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file system refused.
    #[error("can't {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{path} can be read by others (mode {mode:o})\nhint: chmod 600 {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is no such key.
    #[error("there is no key for {account} in {folder}\nhint: `list` names those that are there")]
    Unknown {
        /// Whose.
        account: Account,
        /// Where.
        folder: PathBuf,
    },
    /// There is one already.
    #[error("there is a key for {account} already: {path}\nhint: move the file away first")]
    Exists {
        /// Whose.
        account: Account,
        /// Where.
        path: PathBuf,
    },
    /// The file is no keystore that is taken here.
    #[error("{path} is no keystore that can be used: {why}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The password does not fit.
    #[error("wrong password for {0}, or its file was changed")]
    WrongPassword(Account),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// A folder of encrypted keys.
#[derive(Debug, Clone)]
pub struct Keystore {
    folder: PathBuf,
}

/// An unlocked key of an account. Wiped when it is dropped.
pub struct Wallet {
    account: Account,
    signer: EvmSigner,
}

impl Keystore {
    /// Opens a folder, or makes one that nobody else may enter.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn open(folder: &Path) -> Result<Self, KeystoreError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(io_error("make", folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn create(&self, password: &Password, cost: ScryptCost) -> Result<Account, KeystoreError> {
        loop {
            let secret = Zeroizing::new(random::<32>()?);
            if EvmSigner::from_secret(&secret).is_some() {
                return self.import(&secret, password, cost);
            }
        }
    }

    /// Takes in a key that was made elsewhere.
    ///
    /// # Errors
    /// If the secret is no key, is here already, or can't be written.
    pub fn import(
        &self,
        secret: &[u8; 32],
        password: &Password,
        cost: ScryptCost,
    ) -> Result<Account, KeystoreError> {
        let malformed =
            |why: &str| KeystoreError::Malformed { path: self.folder.clone(), why: why.to_owned() };
        let signer = EvmSigner::from_secret(secret).ok_or_else(|| malformed("no secp256k1 key"))?;
        let account = Account(signer.key().0);
        let path = self.path(account);
        if path.exists() {
            return Err(KeystoreError::Exists { account, path });
        }
        let random = form::Random { salt: random()?, iv: random()?, id: random()? };
        let text =
            form::seal(secret, account, password, cost, &random).map_err(|why| malformed(&why))?;
        write_secret(&path, text.as_bytes())?;
        Ok(account)
    }

    /// Whose keys are here, in order.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn list(&self) -> Result<Vec<Account>, KeystoreError> {
        let entries = fs::read_dir(&self.folder).map_err(io_error("read", &self.folder))?;
        let mut accounts = Vec::new();
        for entry in entries {
            let name = entry.map_err(io_error("read", &self.folder))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
            accounts.extend(stem.and_then(|stem| stem.parse::<Account>().ok()));
        }
        accounts.sort();
        Ok(accounts)
    }

    /// Unlocks a key. Takes a second and 256 MiB by intention.
    ///
    /// # Errors
    /// If there is none, its file is readable by others or malformed, or the password is wrong.
    pub fn unlock(&self, account: Account, password: &Password) -> Result<Wallet, KeystoreError> {
        let path = self.path(account);
        let text = match read_secret(&path, KEYSTORE_BYTES_MAX) {
            Err(KeystoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let folder = self.folder.clone();
                return Err(KeystoreError::Unknown { account, folder });
            }
            other => other?,
        };
        let opened = form::open(&text, password)
            .map_err(|why| KeystoreError::Malformed { path: path.clone(), why })?;
        let secret = opened.ok_or(KeystoreError::WrongPassword(account))?;
        let signer = EvmSigner::from_secret(&secret);
        let signer = signer.filter(|signer| signer.key().0 == account.0);
        let why = "it holds the key of another account".to_owned();
        let signer = signer.ok_or(KeystoreError::Malformed { path, why })?;
        Ok(Wallet { account, signer })
    }

    fn path(&self, account: Account) -> PathBuf {
        self.folder.join(format!("{account}.json"))
    }
}

impl Wallet {
    /// From a secret that needs no file: a test's, or a session's.
    #[must_use]
    pub fn from_signer(signer: EvmSigner) -> Self {
        Self { account: Account(signer.key().0), signer }
    }

    /// Whose key it is.
    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }

    /// Signs a 32-byte hash.
    #[must_use]
    pub fn sign(&self, hash: &[u8; 32]) -> EvmSignature {
        self.signer.sign(hash)
    }

    /// The key itself.
    #[must_use]
    pub fn signer(&self) -> &EvmSigner {
        &self.signer
    }
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet").field("account", &self.account).finish_non_exhaustive()
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeystoreError {
    let path = path.to_owned();
    move |source| KeystoreError::Io { what, path, source }
}

fn random<const N: usize>() -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeystoreError::Randomness)?;
    Ok(bytes)
}

/// Writes a new file that only its owner may read, whole or not at all. What is there already is
/// never written over: it may be the only copy of a secret.
///
/// # Errors
/// If it is there already, or can't be written.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let part = path.with_extension("part");
    let write = || -> io::Result<()> {
        let mut file: File =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        // A part that a kill left behind keeps the mode that it had.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // Unlike a rename, a link fails if the name is taken.
        let linked = fs::hard_link(&part, path);
        fs::remove_file(&part)?;
        linked?;
        sync_folder_of(path)
    };
    write().map_err(io_error("write", path))
}

/// Reads a file that only its owner may read.
fn read_secret(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let file = File::open(path).map_err(io_error("read", path))?;
    let mode = file.metadata().map_err(io_error("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::Open { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > bytes_max {
        let why = format!("it is longer than {bytes_max} bytes");
        return Err(KeystoreError::Malformed { path: path.to_owned(), why });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keystore() -> (tempfile::TempDir, Keystore) {
        let folder = tempfile::tempdir().unwrap();
        let keystore = Keystore::open(&folder.path().join("keys")).unwrap();
        (folder, keystore)
    }

    #[test]
    fn a_key_opens_with_its_password_and_no_other() {
        let (_folder, keystore) = keystore();
        let right = Password::new("open sesame").unwrap();
        let account = keystore.create(&right, ScryptCost::CHEAP).unwrap();
        assert_eq!(keystore.list().unwrap(), [account]);
        let wallet = keystore.unlock(account, &right).unwrap();
        assert_eq!(wallet.account(), account);
        let wrong = Password::new("open sesame ").unwrap();
        let error = keystore.unlock(account, &wrong).unwrap_err();
        assert!(matches!(error, KeystoreError::WrongPassword(of) if of == account));
        assert!(!format!("{error} {error:?} {right:?} {wallet:?}").contains("sesame"));
    }

    #[test]
    fn only_the_owner_may_read_a_key() {
        let (_folder, keystore) = keystore();
        let password = Password::new("x").unwrap();
        let account = keystore.create(&password, ScryptCost::CHEAP).unwrap();
        let path = keystore.path(account);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&keystore.folder)), (0o600, 0o700));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = keystore.unlock(account, &password).unwrap_err();
        assert!(matches!(error, KeystoreError::Open { mode: 0o640, .. }), "{error}");
    }

    #[test]
    fn a_key_is_never_written_over_and_a_missing_one_is_named() {
        let (_folder, keystore) = keystore();
        let password = Password::new("x").unwrap();
        let account = keystore.import(&[7; 32], &password, ScryptCost::CHEAP).unwrap();
        let again = keystore.import(&[7; 32], &password, ScryptCost::CHEAP).unwrap_err();
        assert!(matches!(again, KeystoreError::Exists { account: of, .. } if of == account));
        let missing = keystore.unlock(Account([1; 20]), &password).unwrap_err();
        assert!(matches!(missing, KeystoreError::Unknown { .. }), "{missing}");
    }

    #[test]
    fn a_secret_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_secret(&path, b"first").unwrap();
        let error = write_secret(&path, b"second").unwrap_err();
        assert!(error.to_string().contains("exists"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_file_that_was_changed_or_asks_for_too_much_is_refused() {
        let (_folder, keystore) = keystore();
        let password = Password::new("x").unwrap();
        let account = keystore.import(&[7; 32], &password, ScryptCost::CHEAP).unwrap();
        let path = keystore.path(account);
        let good = fs::read_to_string(&path).unwrap();
        let other = keystore.import(&[8; 32], &password, ScryptCost::CHEAP).unwrap();
        let others = fs::read_to_string(keystore.path(other)).unwrap();
        let n = format!("\"n\": {}", 1 << ScryptCost::CHEAP.log_n);
        for (changed, why) in [
            (String::new(), "EOF"),
            (good.replace("aes-128-ctr", "aes-128-cbc"), "cipher"),
            (good.replace("\"scrypt\"", "\"pbkdf2\""), "kdf"),
            (good.replace(&n, "\"n\": 1073741824"), "memory"),
            (good.replace(&n, "\"n\": 17"), "power of two"),
            (good.replace("\"p\": 1", "\"p\": 4294967295"), "memory or time"),
            (good.replace("\"version\": 3", "\"version\": 1"), "version"),
            (others, "another account"),
        ] {
            assert_ne!(changed, good, "{why}");
            fs::write(&path, &changed).unwrap();
            let error = keystore.unlock(account, &password).unwrap_err();
            assert!(matches!(error, KeystoreError::Malformed { .. }), "{why}: {error}");
            assert!(error.to_string().contains(why), "{why}: {error}");
        }
    }
}
