//! One `SOCK_SEQPACKET` socket to a runner: packets with descriptors out, packets without in.
//!
//! The runner's end is hostile: a packet too long, with descriptors, or not in canonical form ends
//! the conversation. What it sends costs one buffer of fixed size, whatever it sends.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ayni_wire::runner::{PACKET_BYTES_MAX, Reply, Request};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::order::JailOrder;

/// Most descriptors in one packet.
const DESCRIPTORS_MAX: usize = 3;

/// Why the conversation is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("the runner closed its socket")]
    Closed,
    #[error("the runner sent a packet of more than {PACKET_BYTES_MAX} bytes")]
    TooLong,
    #[error("the runner sent descriptors")]
    Descriptors,
    #[error("the runner sent a malformed packet")]
    Malformed(#[from] ayni_wire::DecodeError),
    #[error("the runner's socket failed")]
    Io(#[from] io::Error),
}

/// The daemon's end.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
}

impl Channel {
    /// A pair: the daemon's end and the runner's.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        // Deprecated for types that may close their descriptor early; an `OwnedFd` does not.
        #[allow(deprecated)]
        let socket = AsyncFd::new(ours)?;
        Ok((Self { socket, buffer: vec![0; PACKET_BYTES_MAX + 1] }, theirs))
    }

    /// Sends the order that the jail maker takes from the socket before the runner starts.
    pub(crate) async fn send_order(
        &self,
        order: &JailOrder,
        runner: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.send_bytes(&ayni_wire::encode(order), &[runner]).await
    }

    /// Asks something of the runner.
    pub(crate) async fn send(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        match self.send_bytes(&ayni_wire::encode(request), descriptors).await {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Err(ChannelError::Closed)
            }
            other => Ok(other?),
        }
    }

    async fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.socket
            .async_io(Interest::WRITABLE, |socket| {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !descriptors.is_empty()
                    && !control.push(SendAncillaryMessage::ScmRights(descriptors))
                {
                    return Err(io::Error::other("too many descriptors in one packet"));
                }
                let sent = rustix::net::sendmsg(
                    socket,
                    &[IoSlice::new(bytes)],
                    &mut control,
                    SendFlags::NOSIGNAL,
                )?;
                debug_assert_eq!(sent, bytes.len());
                Ok(())
            })
            .await
    }

    /// The runner's next packet.
    pub(crate) async fn receive(&mut self) -> Result<Reply, ChannelError> {
        let buffer = &mut self.buffer;
        let (length, flags) = self
            .socket
            .async_io(Interest::READABLE, |socket| {
                // No room for control data: the kernel drops any descriptor before it is ours.
                let mut control = RecvAncillaryBuffer::default();
                let packet = rustix::net::recvmsg(
                    socket,
                    &mut [IoSliceMut::new(buffer)],
                    &mut control,
                    RecvFlags::CMSG_CLOEXEC,
                )?;
                Ok((packet.bytes, packet.flags))
            })
            .await
            .map_err(|e| match e.kind() {
                io::ErrorKind::ConnectionReset => ChannelError::Closed,
                _ => ChannelError::Io(e),
            })?;
        if flags.contains(ReturnFlags::CTRUNC) {
            return Err(ChannelError::Descriptors);
        }
        if flags.contains(ReturnFlags::TRUNC) || length > PACKET_BYTES_MAX {
            return Err(ChannelError::TooLong);
        }
        if length == 0 {
            return Err(ChannelError::Closed);
        }
        Ok(ayni_wire::decode(&self.buffer[..length])?)
    }
}

/// The jail maker's side: takes the order and its one descriptor.
pub(crate) fn receive_order(socket: BorrowedFd<'_>) -> io::Result<(JailOrder, OwnedFd)> {
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let packet = rustix::net::recvmsg(
        socket.as_fd(),
        &mut [IoSliceMut::new(&mut buffer)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let attached = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let order = ayni_wire::decode(&buffer[..packet.bytes]).map_err(io::Error::other)?;
    attached.map(|fd| (order, fd)).ok_or_else(|| io::Error::other("no executable came with it"))
}
