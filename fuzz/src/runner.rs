//! What comes out of a jail: the runner's packets and reports, the jail maker's orders and notices.

use std::fs::File;
use std::io::{Seek as _, Write as _};

use ayni_wire::runner::{Reply, Request, RunOrder, RunReport};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::cbor::strict;
use crate::messages::safe_path;
use crate::order::{JailOrder, NOTICE_BYTES_MAX, Notice};
use crate::{report, sample};

/// Packets of both sides, the order for a run, and its report.
pub fn packets(data: &[u8]) {
    let _ = strict::<Request>(data);
    let _ = strict::<Reply>(data);
    let _ = strict::<RunOrder>(data);
    let _ = strict::<RunReport>(data);
}

thread_local! {
    static OUTPUT: File = File::from(
        memfd_create("output", MemfdFlags::CLOEXEC).expect("memory can be a file"),
    );
}

/// An output with a report in it, as a runner leaves it: two bytes say where the report begins.
/// A report that passes is within the output, within the task's limits, and names safe paths.
pub fn output(data: &[u8]) {
    let Some((place, content)) = data.split_first_chunk() else { return };
    let offset = u64::from(u16::from_le_bytes(*place));
    let task = sample::task();
    OUTPUT.with(|mut file| {
        let mut write = || {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(content)
        };
        write().expect("memory can be written");
        let size = content.len() as u64;
        let Ok(report) = report::read(file, offset, size.saturating_sub(offset), &task) else {
            return;
        };
        let mut total = 0_u64;
        let sections = [report.stdout, report.stderr];
        for section in sections.iter().chain(report.files.iter().map(|f| &f.section)) {
            let end = section.offset.checked_add(section.bytes).expect("an end");
            assert!(end <= size);
            total += section.bytes;
        }
        assert!(total <= task.limits.output_bytes && report.fuel <= task.limits.fuel);
        assert!(report.files.is_sorted_by(|a, b| a.path < b.path));
        assert!(report.files.iter().all(|f| safe_path(&f.path)));
    });
}

/// What the daemon and the jail maker say to each other: a notice is one line, and means itself.
pub fn jail(data: &[u8]) {
    let _ = strict::<JailOrder>(data);
    let Ok(line) = std::str::from_utf8(data) else { return };
    if let Some(notice) = Notice::parse(line) {
        let said = notice.line();
        assert!(!said.contains('\n') && said.len() <= 2 * NOTICE_BYTES_MAX);
        let heard = Notice::parse(&said).expect("what is said is heard");
        assert_eq!(heard.line(), said);
    }
}
