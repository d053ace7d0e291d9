//! Lies on purpose, so that a development network can show how a liar is caught. Exists only in
//! development builds, and nothing that detects lies knows of it.

#[cfg(debug_assertions)]
mod lie {
    use std::io::Write;

    use ayni_core::Ran;
    use ayni_store::{Area, Blobs, StoreError};
    use ayni_types::{BlobRef, Fuel};

    /// How to lie.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Cheat {
        /// Standard output with one digit changed.
        Digit,
        /// More fuel than was used.
        Fuel,
    }

    impl Cheat {
        pub(crate) const NAMES: &str = "digit, fuel";

        pub(crate) fn parse(name: &str) -> Option<Self> {
            match name {
                "digit" => Some(Self::Digit),
                "fuel" => Some(Self::Fuel),
                _ => None,
            }
        }

        pub(crate) fn apply(self, blobs: &Blobs, ran: &mut Ran) -> Result<(), StoreError> {
            match self {
                Self::Fuel => ran.outcome.fuel = Fuel(ran.outcome.fuel.0 + 1_000),
                Self::Digit => {
                    let stdout = ran.outcome.stdout.digest;
                    let Some(mut bytes) = blobs.read(&stdout, 64 << 20)? else { return Ok(()) };
                    match bytes.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
                        Some(digit) => *digit = b'0' + (*digit - b'0' + 1) % 10,
                        None => bytes.push(b'1'),
                    }
                    let mut writer = blobs.writer(Area::Cache)?;
                    writer.write_all(&bytes)?;
                    let (digest, size) = writer.finish()?;
                    ran.data_bytes = ran.data_bytes - ran.outcome.stdout.size + size;
                    ran.outcome.stdout = BlobRef { digest, size };
                }
            }
            Ok(())
        }
    }
}

#[cfg(not(debug_assertions))]
mod lie {
    use ayni_core::Ran;
    use ayni_store::{Blobs, StoreError};

    /// There is no way to lie in a release build.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Cheat {}

    impl Cheat {
        pub(crate) const NAMES: &str = "none in a release build";

        pub(crate) fn parse(_name: &str) -> Option<Self> {
            None
        }

        pub(crate) fn apply(self, _blobs: &Blobs, _ran: &mut Ran) -> Result<(), StoreError> {
            match self {}
        }
    }
}

pub(crate) use lie::Cheat;
