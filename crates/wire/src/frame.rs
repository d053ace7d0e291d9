//! The fixed-width heads around messages and blobs: the only bytes between nodes that are not
//! canonical CBOR. Integers are little-endian. Deliberately not here: the streams they are read
//! from, and the proofs of blobs (both in `ayni-net`).

use ayni_types::Digest;
use ayni_types::limits::MESSAGE_BYTES_MAX;

/// What comes before a message on a link: `length(4) number(8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Length of the message in bytes, at most `MESSAGE_BYTES_MAX`.
    pub length: u32,
    /// Counts up from 1 within a session.
    pub number: u64,
}

/// A frame that announces more than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame announces {0} bytes; at most {MESSAGE_BYTES_MAX} are allowed")]
pub struct Oversize(pub u32);

impl FrameHead {
    /// Length of a head in bytes.
    pub const BYTES: usize = 12;

    /// As it travels.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    /// Reads a head, before anything is reserved for its message.
    ///
    /// # Errors
    /// When it announces a message over the limit.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, Oversize> {
        let [a, b, c, d, number @ ..] = *bytes;
        let length = u32::from_le_bytes([a, b, c, d]);
        if length as usize > MESSAGE_BYTES_MAX {
            return Err(Oversize(length));
        }
        Ok(Self { length, number: u64::from_le_bytes(number) })
    }
}

/// What is asked of a blob's holder: `digest(32) start(8) end(8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRequest {
    /// Which blob.
    pub digest: Digest,
    /// First byte; a multiple of [`BlobRequest::GROUP_BYTES`].
    pub start: u64,
    /// Byte after the last; may lie beyond the blob's end.
    pub end: u64,
}

impl BlobRequest {
    /// Length of a request in bytes.
    pub const BYTES: usize = 48;
    /// Bytes proven by one leaf of a blob's tree.
    pub const GROUP_BYTES: u64 = 16 << 10;

    /// As it travels.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.digest.0);
        bytes[32..40].copy_from_slice(&self.start.to_le_bytes());
        bytes[40..].copy_from_slice(&self.end.to_le_bytes());
        bytes
    }

    /// Reads a request, all of it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let (digest, range) = bytes.split_first_chunk().ok_or("short request")?;
        let (start, end) = range.split_first_chunk().ok_or("short request")?;
        let end = end.try_into().map_err(|_| "a request of another length")?;
        let (start, end) = (u64::from_le_bytes(*start), u64::from_le_bytes(end));
        if start > end || !start.is_multiple_of(Self::GROUP_BYTES) {
            return Err("a request for no range");
        }
        Ok(Self { digest: Digest(*digest), start, end })
    }
}

/// First byte of a holder's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BlobStatus {
    /// Segments follow.
    Here = 0,
    /// The holder has no such blob.
    NotHeld = 1,
    /// The holder has its reasons.
    Refused = 2,
    /// The holder is at a limit of its own.
    Busy = 3,
    /// The holder's copy is damaged.
    Damaged = 4,
}

/// The head of a holder's answer: `status(1) size(8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobAnswer {
    /// What comes of it.
    pub status: BlobStatus,
    /// Length of the whole blob in bytes; 0 unless it is here.
    pub size: u64,
}

impl BlobAnswer {
    /// Length of a head in bytes.
    pub const BYTES: usize = 9;

    /// As it travels.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[0] = self.status as u8;
        bytes[1..].copy_from_slice(&self.size.to_le_bytes());
        bytes
    }

    /// Reads a head.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, &'static str> {
        let [status, size @ ..] = *bytes;
        let size = u64::from_le_bytes(size);
        let status = match status {
            0 => BlobStatus::Here,
            1 => BlobStatus::NotHeld,
            2 => BlobStatus::Refused,
            3 => BlobStatus::Busy,
            4 => BlobStatus::Damaged,
            _ => return Err("an unknown status"),
        };
        if status != BlobStatus::Here && size != 0 {
            return Err("a size without a blob");
        }
        Ok(Self { status, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_survive_their_bytes_and_the_limit_is_obeyed() {
        let max = u32::try_from(MESSAGE_BYTES_MAX).unwrap();
        let head = FrameHead { length: max, number: 7 };
        assert_eq!(FrameHead::from_bytes(&head.to_bytes()), Ok(head));
        let over = FrameHead { length: max + 1, number: 7 };
        assert_eq!(FrameHead::from_bytes(&over.to_bytes()), Err(Oversize(max + 1)));
        let answer = BlobAnswer { status: BlobStatus::Here, size: u64::MAX };
        assert_eq!(BlobAnswer::from_bytes(&answer.to_bytes()), Ok(answer));
    }

    #[test]
    fn requests_and_answers_that_make_no_sense_are_named() {
        let request = BlobRequest { digest: Digest([1; 32]), start: 16 << 10, end: 20 << 10 };
        let bytes = request.to_bytes();
        assert_eq!(BlobRequest::from_bytes(&bytes), Ok(request));
        for short in 0..BlobRequest::BYTES {
            assert!(BlobRequest::from_bytes(&bytes[..short]).is_err(), "{short}");
        }
        assert!(BlobRequest::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        for (start, end) in [(1, 2), (16 << 10, 0), (u64::MAX, u64::MAX)] {
            let bytes = BlobRequest { start, end, ..request }.to_bytes();
            assert_eq!(BlobRequest::from_bytes(&bytes), Err("a request for no range"));
        }
        assert_eq!(BlobAnswer::from_bytes(&[5, 0, 0, 0, 0, 0, 0, 0, 0]), Err("an unknown status"));
        assert_eq!(
            BlobAnswer::from_bytes(&[1, 1, 0, 0, 0, 0, 0, 0, 0]),
            Err("a size without a blob")
        );
    }
}
