//! A password: from a file or a question, wiped when dropped, never shown.

use std::fmt;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::{KeystoreError, read_secret};
use crate::limits::PASSWORD_BYTES_MAX;

/// A password.
pub struct Password(Zeroizing<Vec<u8>>);

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file can't be used.
    #[error(transparent)]
    File(#[from] KeystoreError),
    /// Asking for it failed.
    #[error("nobody could be asked for the password: {0}\nhint: name a password file instead")]
    Ask(io::Error),
    /// It is empty.
    #[error("the password is empty")]
    Empty,
    /// It is too long.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
}

impl Password {
    /// From a text that the caller wipes.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        Self::checked(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// From the first line of a file that only its owner may read.
    ///
    /// # Errors
    /// If the file can't be read, can be read by others, or is empty.
    pub fn from_file(path: &Path) -> Result<Self, PasswordError> {
        let mut bytes = read_secret(path, PASSWORD_BYTES_MAX as u64 + 2)?;
        let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len());
        bytes.truncate(end);
        Self::checked(bytes)
    }

    /// From whoever is asked.
    ///
    /// # Errors
    /// If asking fails, or the answer is empty.
    pub fn ask(
        question: impl FnOnce() -> io::Result<Zeroizing<String>>,
    ) -> Result<Self, PasswordError> {
        Self::new(&question().map_err(PasswordError::Ask)?)
    }

    fn checked(bytes: Zeroizing<Vec<u8>>) -> Result<Self, PasswordError> {
        match bytes.len() {
            0 => Err(PasswordError::Empty),
            n if n > PASSWORD_BYTES_MAX => Err(PasswordError::TooLong),
            _ => Ok(Self(bytes)),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_file_gives_its_first_line_to_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "correct horse\r\nsecond line\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(Password::from_file(&path).unwrap().bytes(), b"correct horse");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Password::from_file(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn no_password_is_an_error() {
        assert!(matches!(Password::new(""), Err(PasswordError::Empty)));
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(matches!(Password::new(&long), Err(PasswordError::TooLong)));
        let nobody = Password::ask(|| Err(io::Error::other("no terminal")));
        assert!(matches!(nobody, Err(PasswordError::Ask(_))));
    }
}
