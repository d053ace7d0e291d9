//! The runner's end of its one socket: packets in canonical encoding with descriptors attached.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use ayni_types::{Digest, FaultKind};
use ayni_wire::runner::{PACKET_BYTES_MAX, Reply, Request};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendFlags, recvmsg, sendmsg,
};

use crate::mapped::Mapped;
use crate::stop::Stop;
use crate::vfs::Blobs;

/// Descriptors in one packet: more than any request carries.
const PACKET_FDS_MAX: usize = 8;

/// The socket. Used by one thread at a time; the lock makes that so.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    turn: Mutex<()>,
}

impl Socket {
    /// Takes over a connected `SOCK_SEQPACKET` socket.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, turn: Mutex::new(()) }
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// When the daemon is gone.
    pub fn send(&self, reply: &Reply) -> io::Result<()> {
        let bytes = ayni_wire::encode(reply);
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(io::Error::other(format!("a reply of {} bytes", bytes.len())));
        }
        let mut none = SendAncillaryBuffer::default();
        loop {
            let sent = sendmsg(&self.fd, &[IoSlice::new(&bytes)], &mut none, SendFlags::NOSIGNAL);
            match sent {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for one packet; `None` when the daemon has hung up.
    ///
    /// # Errors
    /// When the packet is not a request.
    pub fn receive(&self) -> io::Result<Option<(Request, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let message = loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.fd, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => break message,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let mut fds = Vec::new();
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = part {
                fds.extend(received);
            }
        }
        if message.bytes == 0 {
            return Ok(None);
        }
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::other("a packet was cut short"));
        }
        let request = ayni_wire::decode(&bytes[..message.bytes]).map_err(io::Error::other)?;
        Ok(Some((request, fds)))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Inputs come from the daemon, one question each.
impl Blobs for std::sync::Arc<Socket> {
    fn open(&mut self, digest: Digest) -> Result<Mapped, Stop> {
        let lost = |why: String| Stop::fault(FaultKind::InputUnavailable, why);
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.send(&Reply::NeedBlob { digest }).map_err(|e| lost(format!("input {digest}: {e}")))?;
        match self.receive() {
            Ok(Some((Request::Blob { size: Some(size) }, fds))) if fds.len() == 1 => {
                Mapped::new(&fds[0], size).map_err(|e| lost(format!("input {digest}: {e}")))
            }
            Ok(Some((Request::Blob { size: None }, _))) => {
                Err(lost(format!("input {digest} is not held")))
            }
            Ok(Some(_)) => Err(lost(format!("input {digest}: an unexpected answer"))),
            Ok(None) => Err(lost(format!("input {digest}: the daemon is gone"))),
            Err(error) => Err(lost(format!("input {digest}: {error}"))),
        }
    }
}
