//! What a task left behind, into the output descriptor.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;

use ayni_types::{Fault, FaultKind};
use ayni_wire::runner::{FileSection, Reply, RunReport, Section};

use crate::run::Finished;
use crate::stop::fault;

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

fn write_all(finished: &Finished, output: File) -> io::Result<Reply> {
    let mut writer = Sections { to: BufWriter::new(output), offset: 0 };
    let mut report = RunReport {
        end: finished.end,
        fuel: finished.fuel,
        stdout: Section::default(),
        stderr: Section::default(),
        files: Vec::new(),
        cpu_ms: finished.cpu_ms,
        state: finished.state,
    };
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
