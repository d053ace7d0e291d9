//! The bytes of a link. Each side opens one unidirectional stream on a connection when it first
//! has something to say:
//!
//! ```text
//! stream  = session(8) frame*
//! frame   = length(4) number(8) message(length)
//! ```
//!
//! Integers are little-endian. `session` is drawn at random when a node starts to talk to a peer,
//! so that a restart is recognised; `number` counts up from 1 within a session, over all links, so
//! that what comes late over another link is recognised too. `message` is a canonical encoding.

use ayni_wire::frame::FrameHead;
use iroh::endpoint::{ReadExactError, RecvStream};

/// The protocol that carries messages.
pub const MESSAGE_ALPN: &[u8] = b"ayni/msg/1";

/// Why a connection is closed; the other side sees the number and the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Close {
    /// We are going away, or have nothing more to say.
    Bye = 0,
    /// A newer connection of the same peer took over.
    Superseded = 1,
    /// A frame, a request or an answer was not what the protocol says.
    Malformed = 2,
    /// A frame over the limit.
    Oversize = 3,
    /// At a limit of ours.
    Busy = 4,
    /// Misbehaved before.
    Refused = 5,
    /// Not a protocol we speak.
    Unknown = 6,
}

/// Closes a connection with a reason.
pub(crate) fn close(connection: &iroh::endpoint::Connection, code: Close, text: &str) {
    connection.close((code as u32).into(), text.as_bytes());
}

/// Why no frame came.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The stream or its connection ended.
    Ended,
    /// The frame announces more than is allowed.
    Oversize(usize),
}

/// The bytes of one frame.
pub(crate) fn frame(number: u64, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("checked against the limit before queueing");
    [&FrameHead { length, number }.to_bytes()[..], message].concat()
}

/// Reads one frame: its number and its message.
pub(crate) async fn read_frame(stream: &mut RecvStream) -> Result<(u64, Vec<u8>), FrameError> {
    let mut head = [0; FrameHead::BYTES];
    stream.read_exact(&mut head).await.map_err(ended)?;
    let head =
        FrameHead::from_bytes(&head).map_err(|over| FrameError::Oversize(over.0 as usize))?;
    let mut message = vec![0; head.length as usize];
    stream.read_exact(&mut message).await.map_err(ended)?;
    Ok((head.number, message))
}

fn ended(_: ReadExactError) -> FrameError {
    FrameError::Ended
}
