//! Checks what a runner says of a run against what was ordered and what it wrote.
//!
//! The runner is hostile. What passes here is in bounds, within the task's limits, and named by
//! rules; whether it is *true* is for verification to say. The bytes themselves may still change
//! while the slot lives: whoever stores them hashes what it stores, in one pass.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ayni_types::{End, Fuel, Observed, TaskSpec, TreeEntry, limits::OUTPUT_FILES_MAX};
use ayni_wire::runner::{FileSection, RunReport, Section};

use crate::config::REPORT_BYTES_MAX;

/// What a run yields.
#[derive(Debug)]
pub struct RunResult {
    /// How it ended.
    pub end: End,
    /// Fuel used, at most the task's limit.
    pub fuel: Fuel,
    /// Where the outputs lie. The slot uses the file again once no result holds it.
    pub output: Arc<File>,
    /// Standard output.
    pub stdout: Section,
    /// Standard error.
    pub stderr: Section,
    /// Output files, sorted by path, none inside another.
    pub files: Vec<FileSection>,
    /// What was seen; not verified.
    pub observed: Observed,
    /// The state at the end, as the runner says, if that was asked for.
    pub state: Option<ayni_types::Digest>,
}

impl RunResult {
    /// Reads one section. Hash what you store in the pass that stores it.
    #[must_use]
    pub fn reader(&self, section: Section) -> SectionReader<'_> {
        SectionReader { file: &self.output, at: section.offset, left: section.bytes }
    }
}

/// What a run yields whose outputs are few: they are here.
#[derive(Debug)]
pub struct SmallResult {
    /// How it ended.
    pub end: End,
    /// Fuel used, at most the task's limit.
    pub fuel: Fuel,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Output files, sorted by path, none inside another.
    pub files: Vec<(String, Vec<u8>)>,
    /// What was seen; not verified.
    pub observed: Observed,
}

/// Checks a report that came with its outputs, and takes them apart.
pub(crate) fn small(
    report: RunReport,
    bytes: &[u8],
    task: &TaskSpec,
    observed: Observed,
) -> Result<SmallResult, ReportError> {
    check(&report, bytes.len() as u64, task)?;
    let part = |section: Section| {
        // Checked to lie within.
        let from = usize::try_from(section.offset).unwrap_or(usize::MAX);
        let length = usize::try_from(section.bytes).unwrap_or(usize::MAX);
        bytes.get(from..).and_then(|rest| rest.get(..length)).unwrap_or_default().to_vec()
    };
    Ok(SmallResult {
        end: report.end,
        fuel: report.fuel,
        stdout: part(report.stdout),
        stderr: part(report.stderr),
        files: report.files.into_iter().map(|f| (f.path, part(f.section))).collect(),
        observed,
    })
}

/// Reads a range of the output; an end before its stated length is an error.
#[derive(Debug)]
pub struct SectionReader<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for SectionReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the runner shortened its output",
            ));
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// What is wrong with a report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("the report lies at {offset}+{bytes} in an output of {size} bytes")]
    NotThere { offset: u64, bytes: u64, size: u64 },
    #[error("the report can't be read")]
    Unreadable(#[from] io::Error),
    #[error("the report is malformed")]
    Malformed(#[from] ayni_wire::DecodeError),
    #[error("{what} lies at {offset}+{bytes} in an output of {size} bytes")]
    OutOfBounds { what: String, offset: u64, bytes: u64, size: u64 },
    #[error("outputs have {bytes} bytes together; the task allows {max}")]
    TooMuch { bytes: u64, max: u64 },
    #[error("{count} output files; at most {OUTPUT_FILES_MAX} are allowed")]
    TooManyFiles { count: usize },
    #[error("output path `{path}` {why}")]
    BadPath { path: String, why: &'static str },
    #[error("fuel {fuel} is not what `{end}` with a limit of {limit} can use")]
    BadFuel { fuel: Fuel, end: End, limit: Fuel },
    #[error("outputs of an exhausted task are discarded; this one has some")]
    OutputsKept,
}

fn in_bounds(offset: u64, bytes: u64, size: u64) -> bool {
    offset.checked_add(bytes).is_some_and(|end| end <= size)
}

/// Reads the report at the given place of `output` and checks it against `task`.
pub(crate) fn read(
    output: &File,
    offset: u64,
    bytes: u64,
    task: &TaskSpec,
) -> Result<RunReport, ReportError> {
    let size = output.metadata()?.len();
    if bytes > REPORT_BYTES_MAX || !in_bounds(offset, bytes, size) {
        return Err(ReportError::NotThere { offset, bytes, size });
    }
    // Within REPORT_BYTES_MAX, so the cast is exact.
    let mut text = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    output.read_exact_at(&mut text, offset)?;
    let report: RunReport = ayni_wire::decode(&text)?;
    check(&report, size, task)?;
    Ok(report)
}

fn check(report: &RunReport, size: u64, task: &TaskSpec) -> Result<(), ReportError> {
    let limit = task.limits.fuel;
    let exhausted = matches!(report.end, End::Exhausted(_));
    if report.fuel > limit || (exhausted && report.fuel != limit) {
        return Err(ReportError::BadFuel { fuel: report.fuel, end: report.end, limit });
    }
    if report.files.len() > OUTPUT_FILES_MAX {
        return Err(ReportError::TooManyFiles { count: report.files.len() });
    }
    let mut total = 0_u64;
    let named = report.files.iter().map(|f| (f.path.as_str(), f.section));
    for (what, section) in
        [("stdout", report.stdout), ("stderr", report.stderr)].into_iter().chain(named)
    {
        let Section { offset, bytes } = section;
        if !in_bounds(offset, bytes, size) {
            return Err(ReportError::OutOfBounds { what: what.to_owned(), offset, bytes, size });
        }
        // Sections may overlap, so their sum is not bounded by the size: it is what will be read.
        total = total.saturating_add(bytes);
    }
    if total > task.limits.output_bytes {
        return Err(ReportError::TooMuch { bytes: total, max: task.limits.output_bytes });
    }
    if exhausted && (total > 0 || !report.files.is_empty()) {
        return Err(ReportError::OutputsKept);
    }
    check_paths(&report.files)
}

fn check_paths(files: &[FileSection]) -> Result<(), ReportError> {
    let bad =
        |path: &str, why| ReportError::BadPath { path: path.chars().take(200).collect(), why };
    let mut seen = std::collections::HashSet::new();
    let mut before: Option<&str> = None;
    for file in files {
        let path = file.path.as_str();
        if let Some(why) = TreeEntry::path_fault(path) {
            return Err(bad(path, why));
        }
        if before.is_some_and(|b| b >= path) {
            return Err(bad(path, "is out of order or there twice"));
        }
        // A folder sorts before what is in it, though not always right before it.
        let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        if parents.any(|parent| seen.contains(parent)) {
            return Err(bad(path, "lies inside another file"));
        }
        seen.insert(path);
        before = Some(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_types::{Digest, EngineId, Exhausted, Limits, TrapCode};

    const LIMITS: Limits = Limits {
        memory_bytes: 1 << 20,
        fuel: Fuel(1_000),
        stack_bytes: 1 << 16,
        output_bytes: 100,
    };

    fn task() -> TaskSpec {
        TaskSpec {
            engine: EngineId::wasi1(),
            program: Digest([0; 32]),
            args: Vec::new(),
            env: Vec::new(),
            stdin: None,
            mounts: Vec::new(),
            limits: LIMITS,
            blind: None,
        }
    }

    fn report(change: impl FnOnce(&mut RunReport)) -> RunReport {
        let mut report = RunReport {
            end: End::Exit(0),
            fuel: Fuel(5),
            stdout: Section { offset: 0, bytes: 10 },
            stderr: Section::default(),
            files: Vec::new(),
            cpu_ms: 1,
            state: None,
        };
        change(&mut report);
        report
    }

    fn file(path: &str) -> FileSection {
        FileSection { path: path.into(), section: Section { offset: 0, bytes: 1 } }
    }

    #[test]
    fn honest_reports_pass_and_false_ones_are_named() {
        let files = |paths: &[&str]| {
            let files = paths.iter().map(|p| file(p)).collect();
            report(|r| r.files = files)
        };
        let cases: Vec<(RunReport, Option<&str>)> = vec![
            (report(|_| ()), None),
            (report(|r| r.end = End::Trap(TrapCode::Unreachable)), None),
            (files(&["a", "a.txt", "b/c", "b/d/e"]), None),
            (report(|r| r.stdout.offset = u64::MAX), Some("stdout lies at")),
            (report(|r| r.stdout.bytes = u64::MAX), Some("stdout lies at")),
            (report(|r| r.stderr = Section { offset: 91, bytes: 10 }), Some("stderr lies at")),
            (report(|r| r.fuel = Fuel(1_001)), Some("fuel 1001")),
            (report(|r| r.end = End::Exhausted(Exhausted::Fuel)), Some("fuel 5")),
            (
                report(|r| {
                    r.end = End::Exhausted(Exhausted::Fuel);
                    r.fuel = Fuel(1_000);
                }),
                Some("discarded"),
            ),
            (
                report(|r| {
                    r.end = End::Exhausted(Exhausted::Fuel);
                    r.fuel = Fuel(1_000);
                    r.stdout.bytes = 0;
                }),
                None,
            ),
            (report(|r| r.files = (0..99).map(|_| file("x")).collect()), Some("109 bytes")),
            (report(|r| r.files = vec![file("x"); OUTPUT_FILES_MAX + 1]), Some("4097 output")),
            (files(&["b", "a"]), Some("out of order")),
            (files(&["a", "a"]), Some("out of order")),
            (files(&["a", "a.txt", "a/b"]), Some("inside another")),
            (files(&["../x"]), Some("`..`")),
            (files(&["/etc/passwd"]), Some("empty component")),
            (files(&["a\u{1b}[2J"]), Some("control character")),
            (files(&[""]), Some("is empty")),
        ];
        for (report, expected) in cases {
            let found = check(&report, 100, &task()).err().map(|e| e.to_string());
            match (expected, &found) {
                (None, None) => {}
                (Some(part), Some(text)) if text.contains(part) => {}
                _ => panic!("{report:?}: expected {expected:?}, found {found:?}"),
            }
        }
    }

    #[test]
    fn a_report_outside_the_output_is_refused() {
        let output = tempfile::tempfile().unwrap();
        output.set_len(50).unwrap();
        for (offset, bytes) in [(0, 51), (51, 0), (u64::MAX, 2), (0, u64::MAX)] {
            let error = read(&output, offset, bytes, &task()).unwrap_err().to_string();
            assert!(error.contains("lies at"), "{error}");
        }
        assert!(matches!(read(&output, 0, 50, &task()), Err(ReportError::Malformed(_))));
    }

    #[test]
    fn output_that_shrinks_under_the_reader_is_an_error() {
        let output = tempfile::tempfile().unwrap();
        output.set_len(5).unwrap();
        let section = Section { offset: 0, bytes: 9 };
        let mut reader = SectionReader { file: &output, at: section.offset, left: section.bytes };
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
