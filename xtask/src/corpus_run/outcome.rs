//! What an execution of a case left behind, and whether several are of one task with one outcome.
//!
//! Read from the folder that `ayni exec` and `ayni run` write, as anyone could. Deliberately not
//! here: digests of our own making; those told are compared, the outputs are looked at.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::corpus::{CorpusCase, Expect};

/// What one execution left behind.
pub(super) struct Run {
    pub(super) task: String,
    pub(super) digest: String,
    pub(super) fuel: String,
    pub(super) held: bool,
    pub(super) provider: String,
    pub(super) compile_ms: u64,
    pub(super) wall_ms: u64,
}

impl Run {
    /// Reads a task's folder and checks that what the case promises is there.
    pub(super) fn read(folder: &Path, case: &CorpusCase) -> Result<Self> {
        let path = folder.join("outcome.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("there is no `{}`", path.display()))?;
        let told: Value = serde_json::from_str(&text)?;
        let outcome = &told["outcome"];
        let end = &outcome["end"];
        ensure!(
            end["kind"] == "exit" && end["code"] == 0,
            "`{}` ended with {end}, not with exit code 0",
            folder.display()
        );
        promised(folder, case)?;
        let word = |value: &Value, what: &str| {
            let text = value.as_str().map(str::to_owned);
            text.with_context(|| format!("`{}` gives no {what}", path.display()))
        };
        let number = |key: &str| told["observed"][key].as_u64().unwrap_or(0);
        let digest = word(&outcome["digest"], "outcome digest")?;
        ensure!(digest.len() >= 12, "`{digest}` is not an outcome digest");
        Ok(Self {
            task: word(&told["task"], "task id")?,
            digest,
            fuel: word(&outcome["fuel"], "fuel")?,
            held: told["held"] == true,
            provider: told["provider"].as_str().unwrap_or_default().to_owned(),
            compile_ms: number("compile_ms"),
            wall_ms: number("wall_ms"),
        })
    }
}

/// Whether everything that a case promises is in a folder.
pub(super) fn promised(folder: &Path, case: &CorpusCase) -> Result<()> {
    for expect in &case.expect {
        let (name, starts, whole) = match expect {
            Expect::Stdout(text) => ("stdout".to_owned(), text.as_bytes(), true),
            Expect::File { path, starts } => (format!("files/{path}"), *starts, false),
        };
        let path = folder.join(name);
        let bytes = fs::read(&path).with_context(|| format!("there is no `{}`", path.display()))?;
        ensure!(
            bytes.starts_with(starts) && (!whole || bytes == starts),
            "`{}` is not what it should be",
            path.display()
        );
    }
    Ok(())
}

/// Whether all runs are executions of one task with one outcome.
pub(super) fn judge(here: &Run, runs: &[Run]) -> Result<()> {
    for (number, run) in runs.iter().enumerate() {
        let number = number + 1;
        ensure!(
            run.task == here.task,
            "run {number} was of task {}, exec of {}",
            run.task,
            here.task
        );
        ensure!(!run.held, "run {number} gave an outcome that was held already");
        ensure!(
            (&run.digest, &run.fuel) == (&here.digest, &here.fuel),
            "run {number} gave {} with {} fuel, exec {} with {}",
            run.digest,
            run.fuel,
            here.digest,
            here.fuel
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_run() -> Run {
        Run {
            task: "task".to_owned(),
            digest: "digest".to_owned(),
            fuel: "7".to_owned(),
            held: false,
            provider: String::new(),
            compile_ms: 0,
            wall_ms: 0,
        }
    }

    #[test]
    fn only_five_executions_of_one_task_with_one_outcome_are_equal() {
        let other = || "other".to_owned();
        let fourths = [
            ("", a_run()),
            ("", Run { wall_ms: 99, ..a_run() }),
            ("of task other", Run { task: other(), ..a_run() }),
            ("gave other with 7", Run { digest: other(), ..a_run() }),
            ("gave digest with 8", Run { fuel: "8".to_owned(), ..a_run() }),
            ("held already", Run { held: true, ..a_run() }),
        ];
        for (complaint, fourth) in fourths {
            let runs = [a_run(), a_run(), a_run(), fourth, a_run()];
            let said = judge(&a_run(), &runs).map_err(|error| error.to_string());
            if complaint.is_empty() {
                assert_eq!(said, Ok(()));
            } else {
                let said = said.unwrap_err();
                assert!(said.starts_with("run 4 ") && said.contains(complaint), "{said}");
            }
        }
    }

    #[test]
    fn a_run_without_its_promised_output_is_not_read() {
        let dir = crate::command::target().join("corpus/tests/outcome");
        crate::command::fresh_folder(&dir).unwrap();
        fs::create_dir(dir.join("files")).unwrap();
        let case = CorpusCase {
            name: "case",
            program: "case.wasm".into(),
            args: Vec::new(),
            mounts: Vec::new(),
            expect: vec![
                Expect::Stdout("told\n".to_owned()),
                Expect::File { path: "a.bin", starts: b"AB" },
            ],
            memory_mib: 64,
            heavy: false,
        };
        let tell = |code: u8| {
            let text = format!(
                r#"{{"task": "t", "outcome": {{"digest": "0123456789abcdef", "fuel": "7",
                   "end": {{"kind": "exit", "code": {code}}}}}, "held": false}}"#
            );
            fs::write(dir.join("outcome.json"), text).unwrap();
        };
        let complaint = || Run::read(&dir, &case).err().map(|error| error.to_string());
        assert!(complaint().unwrap().contains("there is no"));
        tell(3);
        fs::write(dir.join("stdout"), "told\n").unwrap();
        assert!(complaint().unwrap().contains("not with exit code 0"));
        tell(0);
        assert!(complaint().unwrap().contains("a.bin"));
        fs::write(dir.join("files/a.bin"), "BA").unwrap();
        assert!(complaint().unwrap().contains("a.bin` is not what it should be"));
        fs::write(dir.join("files/a.bin"), "ABC").unwrap();
        assert_eq!(complaint(), None);
        fs::write(dir.join("stdout"), "told\nmore\n").unwrap();
        assert!(complaint().unwrap().contains("stdout` is not what it should be"));
    }
}
