//! The job file: a job as TOML, so that it can be kept beside its program and data.

use std::collections::BTreeMap;
use std::path::Path;

use ayni_api::json::DisputeJson;
use ayni_api::{ApiError, codes};
use serde::Deserialize;

use crate::quantity;

/// A job file as written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JobFile {
    pub(crate) name: Option<String>,
    pub(crate) program: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) mounts: Vec<MountEntry>,
    pub(crate) range: Option<RangeEntry>,
    pub(crate) map: Option<String>,
    pub(crate) params: Option<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) stdin: Option<String>,
    pub(crate) memory: Option<Quantity>,
    pub(crate) fuel: Option<Quantity>,
    pub(crate) timeout: Option<Quantity>,
    pub(crate) deadline: Option<Quantity>,
    pub(crate) audit: Option<Quantity>,
    pub(crate) error_rate: Option<Quantity>,
    pub(crate) quorum: Option<u32>,
    pub(crate) outside_gain: Option<u64>,
    pub(crate) hostile: Option<Quantity>,
    pub(crate) dispute: Option<DisputeJson>,
    pub(crate) providers: Option<u32>,
    pub(crate) pilot: Option<u32>,
    pub(crate) home_cores: bool,
    pub(crate) nondeterministic: bool,
}

/// A file or folder for the guest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MountEntry {
    pub(crate) host: String,
    pub(crate) guest: String,
}

/// A range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RangeEntry {
    #[serde(default)]
    pub(crate) from: i64,
    pub(crate) to: i64,
    #[serde(default = "one")]
    pub(crate) step: u64,
}

fn one() -> u64 {
    1
}

/// A quantity as a number or with its unit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Quantity {
    Integer(u64),
    Float(f64),
    Text(String),
}

impl Quantity {
    /// Reads it as the option of the same name is read.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ApiError> {
        let text = match self {
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        };
        parse(&text).map_err(|why| {
            ApiError::new(codes::INPUT_JOBFILE, format!("`{key}` in the job file: {why}"))
        })
    }
}

impl JobFile {
    /// Reads a job file.
    pub(crate) fn load(path: &Path) -> Result<Self, ApiError> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            ApiError::new(codes::INPUT_FILE, format!("can't read the job file `{shown}`: {error}"))
        })?;
        Self::parse(&text).map_err(|error| {
            ApiError::new(error.code, format!("job file `{shown}`: {}", error.message))
        })
    }

    /// Reads the text of a job file.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text[..span.start.min(text.len())].bytes().filter(|b| *b == b'\n').count() + 1
            });
            let why = format!("line {line}: {}", error.message());
            ApiError::new(codes::INPUT_JOBFILE, why)
        })?;
        let splits = [file.range.is_some(), file.map.is_some(), file.params.is_some()];
        if splits.iter().filter(|given| **given).count() > 1 {
            return Err(ApiError::new(
                codes::INPUT_JOBFILE,
                "`range`, `map` and `params` exclude each other",
            ));
        }
        Ok(file)
    }
}

/// Reads `--range A..B`.
pub(crate) fn range(text: &str, step: u64) -> Result<RangeEntry, ApiError> {
    let wrong = |why: String| ApiError::new(codes::INPUT_RANGE, why);
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| wrong(format!("range `{text}` is not of the form A..B")))?;
    let number = |part: &str| {
        part.trim()
            .replace('_', "")
            .parse::<i64>()
            .map_err(|_| wrong(format!("`{part}` in range `{text}` is not a whole number")))
    };
    RangeEntry { from: number(from)?, to: number(to)?, step }.checked()
}

impl RangeEntry {
    /// Refuses ranges that make no task.
    pub(crate) fn checked(self) -> Result<Self, ApiError> {
        let Self { from, to, step } = self;
        if step == 0 {
            return Err(ApiError::new(codes::INPUT_RANGE, "a step of 0 never gets anywhere"));
        }
        if from >= to {
            let text = format!("range {from}..{to} is empty: its end must be above its start");
            return Err(ApiError::new(codes::INPUT_RANGE, text));
        }
        Ok(self)
    }
}

impl JobFile {
    /// The limits that it sets, in bytes, fuel and milliseconds.
    pub(crate) fn limits(&self) -> Result<[Option<u64>; 4], ApiError> {
        let read = |value: &Option<Quantity>, key, parse: fn(&str) -> Result<u64, String>| {
            value.as_ref().map(|value| value.read(key, parse)).transpose()
        };
        Ok([
            read(&self.memory, "memory", quantity::bytes)?,
            read(&self.fuel, "fuel", quantity::count)?,
            read(&self.timeout, "timeout", quantity::duration_ms)?,
            read(&self.deadline, "deadline", quantity::duration_ms)?,
        ])
    }

    /// Audit rate, share of wrong results and share of hostile providers, in millionths.
    pub(crate) fn shares(&self) -> Result<[Option<u32>; 3], ApiError> {
        let read = |value: &Option<Quantity>, key| {
            value.as_ref().map(|share| share.read(key, quantity::rate_ppm)).transpose()
        };
        Ok([
            read(&self.audit, "audit")?,
            read(&self.error_rate, "error_rate")?,
            read(&self.hostile, "hostile")?,
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = r#"
            program = "grid.wasm"
            args = ["--from", "{start}", "--to", "{end}"]
            mounts = [{ host = "GBreducednetwork.json", guest = "/in/grid.json" }]
            range = { from = 0, to = 99, step = 3 }
            env = { A = "1" }
            stdin = "file"
            memory = "256MiB"
            fuel = 50_000_000_000
            timeout = "60s"
            audit = 0.1
            providers = 5
        "#;
        let file = JobFile::parse(text).unwrap();
        assert_eq!(file.range, Some(RangeEntry { from: 0, to: 99, step: 3 }));
        assert_eq!(
            file.limits().unwrap(),
            [Some(256 << 20), Some(50_000_000_000), Some(60_000), None]
        );
        assert_eq!(file.shares().unwrap(), [Some(100_000), None, None]);
        assert_eq!(JobFile::parse("audit = 1").unwrap().shares().unwrap()[0], Some(1_000_000));
    }

    #[test]
    fn faults_name_the_line_and_the_key() {
        let check = |text: &str| {
            match JobFile::parse(text) {
                Err(error) => error,
                Ok(file) => match (file.limits(), file.shares()) {
                    (Err(error), _) | (_, Err(error)) => error,
                    _ => panic!("accepted"),
                },
            }
            .to_string()
        };
        insta::assert_snapshot!(check("program = \"a\"\nprogramm = 1"), @"line 2: unknown field `programm`, expected one of `name`, `program`, `args`, `mounts`, `range`, `map`, `params`, `env`, `stdin`, `memory`, `fuel`, `timeout`, `deadline`, `audit`, `error_rate`, `quorum`, `outside_gain`, `hostile`, `dispute`, `providers`, `pilot`, `home_cores`, `nondeterministic`");
        insta::assert_snapshot!(check("map = \"a\"\nparams = \"b\""), @"`range`, `map` and `params` exclude each other");
        insta::assert_snapshot!(check("memory = \"12 potatoes\""), @"`memory` in the job file: `potatoes` is no unit of size; write 512MiB or 2GB");
        insta::assert_snapshot!(check("audit = 3"), @"`audit` in the job file: `3` is more than all of them; write 0.1 or 10%");
    }

    #[test]
    fn ranges_with_wrong_bounds_are_refused() {
        let check = |text, step| range(text, step).unwrap_err().to_string();
        assert_eq!(range("-5..1_000", 3).unwrap(), RangeEntry { from: -5, to: 1_000, step: 3 });
        insta::assert_snapshot!(check("5..5", 1), @"range 5..5 is empty: its end must be above its start");
        insta::assert_snapshot!(check("9..1", 1), @"range 9..1 is empty: its end must be above its start");
        insta::assert_snapshot!(check("0..9", 0), @"a step of 0 never gets anywhere");
        insta::assert_snapshot!(check("0-9", 1), @"range `0-9` is not of the form A..B");
        insta::assert_snapshot!(check("a..9", 1), @"`a` in range `a..9` is not a whole number");
    }
}
