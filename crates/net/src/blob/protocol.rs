//! The blob protocol: one bidirectional stream for each request.
//!
//! ```text
//! request = digest(32) start(8) end(8)           then the stream is finished
//! answer  = status(1) size(8) segment*           segments only if status = 0
//! segment = length(4) encoding(length)
//! ```
//!
//! Integers are little-endian; `size` is the whole blob's, 0 unless the status is 0. `start` is a
//! multiple of 16 KiB. What is sent are the bytes from `start` to `end` or the end of the blob,
//! whichever comes first, cut at multiples of `SEGMENT_BYTES`, each cut encoded by itself (see
//! `segment`). An empty blob has no segments.

use ayni_wire::frame::{BlobAnswer, BlobRequest, BlobStatus};
use iroh::endpoint::{ReadExactError, RecvStream};

use crate::blob::segment::ENCODING_BYTES_MAX;
use crate::error::HolderError;

/// The protocol that carries blobs.
pub const BLOB_ALPN: &[u8] = b"ayni/blob/1";

/// Reads a request, all of the stream; the error says what is wrong with it.
pub(crate) async fn read_request(stream: &mut RecvStream) -> Result<BlobRequest, &'static str> {
    let bytes = stream.read_to_end(BlobRequest::BYTES).await.map_err(|_| "no request")?;
    BlobRequest::from_bytes(&bytes)
}

/// The head of an answer.
pub(crate) fn head(status: BlobStatus, size: u64) -> [u8; BlobAnswer::BYTES] {
    BlobAnswer { status, size }.to_bytes()
}

/// Reads the head of an answer: the size, or why there is none.
pub(crate) async fn read_head(stream: &mut RecvStream) -> Result<u64, HolderError> {
    let mut bytes = [0; BlobAnswer::BYTES];
    stream.read_exact(&mut bytes).await.map_err(|e| broken(&e))?;
    let answer = BlobAnswer::from_bytes(&bytes).map_err(HolderError::Protocol)?;
    match answer.status {
        BlobStatus::Here => Ok(answer.size),
        BlobStatus::NotHeld => Err(HolderError::NotHeld),
        BlobStatus::Refused => Err(HolderError::Refused),
        BlobStatus::Busy => Err(HolderError::Busy),
        BlobStatus::Damaged => Err(HolderError::Damaged),
    }
}

/// Reads one segment as it was encoded.
pub(crate) async fn read_segment(stream: &mut RecvStream) -> Result<Vec<u8>, HolderError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(|e| broken(&e))?;
    let length = u32::from_le_bytes(length);
    if u64::from(length) > ENCODING_BYTES_MAX {
        return Err(HolderError::Protocol("a segment over the limit"));
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await.map_err(|e| broken(&e))?;
    Ok(bytes)
}

fn broken(error: &ReadExactError) -> HolderError {
    HolderError::Broken(error.to_string())
}
