//! What a task left behind, into the output descriptor.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;

use ayni_types::{Fault, FaultKind};
use ayni_wire::runner::{FileSection, Reply, RunReport, SMALL_BYTES_MAX, Section};

use crate::run::Finished;
use crate::stop::fault;

/// Output files of a task whose outputs travel in a packet.
const SMALL_FILES_MAX: usize = 64;

/// Writes all sections and, behind them, the report.
///
/// # Errors
/// A fault when the disk is full or fails.
pub fn write(finished: &Finished, output: OwnedFd) -> Result<Reply, Fault> {
    write_all(finished, File::from(output)).map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            fault(FaultKind::DiskFull, format!("writing the outputs: {error}"))
        }
        _ => fault(FaultKind::Internal, format!("writing the outputs: {error}")),
    })
}

/// A task's outputs and report in one packet, or the word that they do not fit.
#[must_use]
pub fn small(finished: &Finished) -> Reply {
    let mut report = report_of(finished);
    let mut bytes = Vec::new();
    if let Some(host) = &finished.host {
        let mut fits = true;
        let mut put = |part: &[u8]| {
            let section = Section { offset: bytes.len() as u64, bytes: part.len() as u64 };
            fits = fits && bytes.len() + part.len() <= SMALL_BYTES_MAX;
            if fits {
                bytes.extend_from_slice(part);
            }
            section
        };
        report.stdout = put(&host.stdout);
        report.stderr = put(&host.stderr);
        let mut names = 0;
        for (path, content) in host.vfs.outputs() {
            names += path.len();
            report.files.push(FileSection { path, section: put(content) });
            if names > SMALL_BYTES_MAX || report.files.len() > SMALL_FILES_MAX {
                return Reply::TooLarge;
            }
        }
        if !fits {
            return Reply::TooLarge;
        }
    }
    Reply::Small { report, bytes }
}

fn report_of(finished: &Finished) -> RunReport {
    RunReport {
        end: finished.end,
        fuel: finished.fuel,
        stdout: Section::default(),
        stderr: Section::default(),
        files: Vec::new(),
        cpu_ms: finished.cpu_ms,
        state: finished.state,
    }
}

fn write_all(finished: &Finished, output: File) -> io::Result<Reply> {
    let mut writer = Sections { to: BufWriter::new(output), offset: 0 };
    let mut report = report_of(finished);
    if let Some(host) = &finished.host {
        report.stdout = writer.put(&host.stdout)?;
        report.stderr = writer.put(&host.stderr)?;
        for (path, bytes) in host.vfs.outputs() {
            report.files.push(FileSection { path, section: writer.put(bytes)? });
        }
    }
    let section = writer.put(&ayni_wire::encode(&report))?;
    writer.to.flush()?;
    Ok(Reply::Done { report_offset: section.offset, report_bytes: section.bytes })
}

struct Sections {
    to: BufWriter<File>,
    offset: u64,
}

impl Sections {
    fn put(&mut self, bytes: &[u8]) -> io::Result<Section> {
        self.to.write_all(bytes)?;
        let section = Section { offset: self.offset, bytes: bytes.len() as u64 };
        self.offset += section.bytes;
        Ok(section)
    }
}
