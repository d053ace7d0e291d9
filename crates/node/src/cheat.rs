//! Lies on purpose, so that a development network can show how a liar is caught. Exists only in
//! development builds, and nothing that detects lies knows of it.
//!
//! A strategy spoils what its runner found, or twists what its core says; the core itself stays the
//! honest one. Wrong results depend on the task alone, so that two liars of one strategy agree.

#[cfg(debug_assertions)]
mod lie {
    use std::io::Write;
    use std::sync::{Mutex, PoisonError};

    use ayni_core::Ran;
    use ayni_store::{Area, Blobs, StoreError};
    use ayni_types::{Amount, BlobRef, End, Exhausted, Fuel, Outcome, TaskSpec};
    use ayni_wire::{EvmSigner, Message, batch_hash, digest, leaf_hash, merkle_root, task_id};

    /// How to lie.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Strategy {
        Digit,
        Garbage,
        Stale,
        Truncate,
        Fuel,
        Exhaust,
        Rate(u64),
        After(u64),
        Once(u64),
        Withhold,
        Stall,
        TwoRoots,
        Price,
    }

    impl Strategy {
        fn parse(name: &str) -> Option<Self> {
            let number = |prefix: &str| name.strip_prefix(prefix)?.parse().ok();
            Some(match name {
                "digit" => Self::Digit,
                "garbage" => Self::Garbage,
                "stale" => Self::Stale,
                "truncate" => Self::Truncate,
                "fuel" => Self::Fuel,
                "exhaust" => Self::Exhaust,
                "withhold" => Self::Withhold,
                "stall" => Self::Stall,
                "two-roots" => Self::TwoRoots,
                "price" => Self::Price,
                _ => number("rate-")
                    .map(Self::Rate)
                    .or_else(|| number("after-").map(Self::After))
                    .or_else(|| number("once-").map(Self::Once))?,
            })
        }
    }

    /// A liar.
    pub(crate) struct Cheat {
        strategy: Strategy,
        signer: EvmSigner,
        past: Mutex<Past>,
    }

    /// What it did so far.
    #[derive(Default)]
    struct Past {
        runs: u64,
        last: Option<Outcome>,
    }

    impl Cheat {
        pub(crate) const NAMES: &str = "digit (one digit wrong), garbage, stale (an earlier task's \
             result), truncate, fuel (bills too much), exhaust (claims that a limit was reached), \
             rate-N (a digit in N of 100 tasks), after-N (honest for N tasks), once-N (only the \
             N-th), withhold (never shows the output), stall (never answers), two-roots (signs two \
             roots for one batch), price (bills more than the lease says)";

        pub(crate) fn parse(name: &str, signer: EvmSigner) -> Option<Self> {
            Some(Self { strategy: Strategy::parse(name)?, signer, past: Mutex::default() })
        }

        /// Whether it takes work and never answers.
        pub(crate) fn stalls(&self) -> bool {
            self.strategy == Strategy::Stall
        }

        /// Spoils what the runner found.
        pub(crate) fn spoil(
            &self,
            blobs: &Blobs,
            task: &TaskSpec,
            ran: &mut Ran,
        ) -> Result<(), StoreError> {
            let id = task_id(task).0;
            let (runs, last) = {
                let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
                past.runs += 1;
                (past.runs, past.last.replace(ran.outcome.clone()))
            };
            let draw = u64::from(u16::from_be_bytes([id[0], id[1]])) % 100;
            match self.strategy {
                Strategy::Fuel => ran.outcome.fuel = Fuel(ran.outcome.fuel.0 + 1_000),
                Strategy::Digit => other_digit(blobs, ran)?,
                Strategy::Rate(percent) if draw < percent => other_digit(blobs, ran)?,
                Strategy::After(honest) if runs > honest => other_digit(blobs, ran)?,
                Strategy::Once(which) if runs == which => other_digit(blobs, ran)?,
                Strategy::Garbage => {
                    say(blobs, ran, format!("{:?}\n", &id[..8]).as_bytes())?;
                }
                Strategy::Stale => {
                    if let Some(last) = last {
                        ran.outcome = last;
                    }
                }
                Strategy::Truncate => {
                    let stdout = ran.outcome.stdout.digest;
                    let bytes = blobs.read(&stdout, 64 << 20)?.unwrap_or_default();
                    say(blobs, ran, &bytes[..bytes.len() / 2])?;
                    ran.outcome.files.pop();
                }
                Strategy::Exhaust => {
                    say(blobs, ran, b"")?;
                    let empty = ran.outcome.stdout;
                    ran.outcome.end = End::Exhausted(Exhausted::Fuel);
                    ran.outcome.fuel = task.limits.fuel;
                    ran.outcome.stderr = empty;
                    ran.outcome.files.clear();
                }
                Strategy::Withhold => {
                    let nowhere = digest(&[b"nowhere".as_slice(), &id].concat());
                    ran.outcome.stdout = BlobRef { digest: nowhere, size: 77 };
                }
                _ => {}
            }
            Ok(())
        }

        /// What it says instead of what its core says.
        pub(crate) fn twist(&self, message: Message) -> Vec<Message> {
            let twists = matches!(self.strategy, Strategy::TwoRoots | Strategy::Price);
            let Message::Batch(mut batch) = message else { return vec![message] };
            if !twists {
                return vec![Message::Batch(batch)];
            }
            let honest = batch.clone();
            for receipt in &mut batch.receipts {
                receipt.price = Amount(receipt.price.0 + 1);
            }
            let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
            batch.header.root = merkle_root(&leaves);
            batch.signature = self.signer.sign(&batch_hash(&batch.header));
            match self.strategy {
                Strategy::TwoRoots => vec![Message::Batch(honest), Message::Batch(batch)],
                _ => vec![Message::Batch(batch)],
            }
        }
    }

    fn other_digit(blobs: &Blobs, ran: &mut Ran) -> Result<(), StoreError> {
        let Some(mut bytes) = blobs.read(&ran.outcome.stdout.digest, 64 << 20)? else {
            return Ok(());
        };
        match bytes.iter_mut().rev().find(|byte| byte.is_ascii_digit()) {
            Some(digit) => *digit = b'0' + (*digit - b'0' + 1) % 10,
            None => bytes.push(b'1'),
        }
        say(blobs, ran, &bytes)
    }

    /// Puts other words on its standard output.
    fn say(blobs: &Blobs, ran: &mut Ran, bytes: &[u8]) -> Result<(), StoreError> {
        let mut writer = blobs.writer(Area::Cache)?;
        writer.write_all(bytes)?;
        let (digest, size) = writer.finish()?;
        ran.data_bytes = ran.data_bytes.saturating_sub(ran.outcome.stdout.size) + size;
        ran.outcome.stdout = BlobRef { digest, size };
        Ok(())
    }
}

#[cfg(not(debug_assertions))]
mod lie {
    use ayni_core::Ran;
    use ayni_store::{Blobs, StoreError};
    use ayni_types::TaskSpec;
    use ayni_wire::{EvmSigner, Message};

    /// There is no way to lie in a release build.
    pub(crate) enum Cheat {}

    impl Cheat {
        pub(crate) const NAMES: &str = "none in a release build";

        pub(crate) fn parse(_name: &str, _signer: EvmSigner) -> Option<Self> {
            None
        }

        pub(crate) fn stalls(&self) -> bool {
            match *self {}
        }

        pub(crate) fn spoil(
            &self,
            _blobs: &Blobs,
            _task: &TaskSpec,
            _ran: &mut Ran,
        ) -> Result<(), StoreError> {
            match *self {}
        }

        pub(crate) fn twist(&self, _message: Message) -> Vec<Message> {
            match *self {}
        }
    }
}

pub(crate) use lie::Cheat;
