//! A real `ayni-runner` process driven over its socket, as the daemon does, but without a jail.

use std::collections::HashMap;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ayni_types::{BlobRef, Digest, End, EngineId, Fault, OutFile, Outcome, TaskSpec};
use ayni_wire::runner::{
    CheckReport, CompileHow, PACKET_BYTES_MAX, Reply, Request, RunOrder, RunReport, Section,
};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Blobs a task may ask for.
#[derive(Debug, Default, Clone)]
pub struct Blobs(pub HashMap<Digest, Vec<u8>>);

impl Blobs {
    pub fn add(&mut self, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes = bytes.into();
        let digest = ayni_wire::digest(&bytes);
        self.0.insert(digest, bytes);
        digest
    }
}

/// What a run left, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub outcome: Outcome,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub files: Vec<(String, Vec<u8>)>,
    pub state: Option<Digest>,
}

impl Ran {
    #[allow(dead_code)]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[allow(dead_code)]
    pub fn end(&self) -> End {
        self.outcome.end
    }
}

pub struct Runner {
    socket: Option<OwnedFd>,
    child: Child,
}

impl Runner {
    pub fn start(executable: impl AsRef<Path>) -> Self {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket pair");
        let child = Command::new(executable.as_ref())
            .env_clear()
            .stdin(Stdio::from(theirs))
            .spawn()
            .expect("the runner starts");
        let mut runner = Self { socket: Some(ours), child };
        assert!(matches!(runner.receive(), Some(Reply::Ready { .. })), "no greeting");
        runner
    }

    #[allow(dead_code)]
    pub fn check(&mut self, program: &[u8]) -> CheckReport {
        self.send(&Request::Check, &[holding(program).as_fd()]);
        match self.receive() {
            Some(Reply::Checked(report)) => report,
            other => panic!("unexpected {other:?}"),
        }
    }

    pub fn compile(&mut self, program: &[u8], how: CompileHow) -> Result<File, CheckReport> {
        let artefact = holding(&[]);
        let request = Request::Compile { engine: EngineId::wasi1(), how };
        self.send(&request, &[holding(program).as_fd(), artefact.as_fd()]);
        match self.receive() {
            Some(Reply::Compiled { artefact_bytes }) => {
                assert_eq!(artefact.metadata().expect("its length").len(), artefact_bytes);
                Ok(artefact)
            }
            Some(Reply::Invalid(report)) => Err(report),
            other => panic!("unexpected {other:?}"),
        }
    }

    pub fn run(
        &mut self,
        task: &TaskSpec,
        how: CompileHow,
        artefact: &File,
        blobs: &Blobs,
    ) -> Result<Ran, Fault> {
        self.run_order(&RunOrder { task: task.clone(), how, witness: false }, artefact, blobs)
    }

    /// The state in which the task runs out of fuel, beside how it ended.
    #[allow(dead_code)]
    pub fn witness(
        &mut self,
        task: &TaskSpec,
        how: CompileHow,
        artefact: &File,
        blobs: &Blobs,
    ) -> Ran {
        self.run_order(&RunOrder { task: task.clone(), how, witness: true }, artefact, blobs)
            .expect("it runs")
    }

    fn run_order(
        &mut self,
        order: &RunOrder,
        artefact: &File,
        blobs: &Blobs,
    ) -> Result<Ran, Fault> {
        let order = holding(&ayni_wire::encode(order));
        let output = holding(&[]);
        self.send(&Request::Run, &[order.as_fd(), artefact.as_fd(), output.as_fd()]);
        loop {
            match self.receive().expect("the runner lives") {
                Reply::NeedBlob { digest } => match blobs.0.get(&digest) {
                    Some(bytes) => {
                        let size = Some(bytes.len() as u64);
                        self.send(&Request::Blob { size }, &[holding(bytes).as_fd()]);
                    }
                    None => self.send(&Request::Blob { size: None }, &[]),
                },
                Reply::Done { report_offset, report_bytes } => {
                    let section = Section { offset: report_offset, bytes: report_bytes };
                    return Ok(collect(&output, section));
                }
                Reply::Faulted(fault) => return Err(fault),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    pub fn send(&mut self, request: &Request, fds: &[BorrowedFd<'_>]) {
        self.send_bytes(&ayni_wire::encode(request), fds);
    }

    pub fn send_bytes(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
        }
        sendmsg(self.socket(), &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
            .expect("the runner listens");
    }

    pub fn receive(&mut self) -> Option<Reply> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut none = RecvAncillaryBuffer::default();
        let got = recvmsg(
            self.socket(),
            &mut [IoSliceMut::new(&mut bytes)],
            &mut none,
            RecvFlags::empty(),
        );
        let got = got.map_or(0, |m| m.bytes);
        (got > 0).then(|| ayni_wire::decode(&bytes[..got]).expect("a canonical reply"))
    }

    fn socket(&self) -> &OwnedFd {
        self.socket.as_ref().expect("not hung up")
    }

    #[allow(dead_code)]
    pub fn hang_up(mut self) -> std::process::ExitStatus {
        self.socket = None;
        self.child.wait().expect("it ends")
    }

    #[allow(dead_code)]
    pub fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().expect("it ends")
    }

    #[allow(dead_code)]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn holding(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    file
}

fn collect(output: &File, at: Section) -> Ran {
    let take = |section: Section| {
        let mut bytes =
            vec![0; usize::try_from(section.bytes).expect("a section that fits memory")];
        output.read_exact_at(&mut bytes, section.offset).expect("a section that is there");
        bytes
    };
    let blob =
        |bytes: &[u8]| BlobRef { digest: ayni_wire::digest(bytes), size: bytes.len() as u64 };
    let report: RunReport = ayni_wire::decode(&take(at)).expect("a canonical report");
    let stdout = take(report.stdout);
    let stderr = take(report.stderr);
    let files: Vec<_> = report.files.iter().map(|f| (f.path.clone(), take(f.section))).collect();
    let outcome = Outcome {
        end: report.end,
        fuel: report.fuel,
        stdout: blob(&stdout),
        stderr: blob(&stderr),
        files: files
            .iter()
            .map(|(path, b)| OutFile { path: path.clone(), blob: blob(b) })
            .collect(),
    };
    Ran { outcome, stdout, stderr, files, state: report.state }
}
