//! Reads Server-Sent Events: as much of the format as our own node writes.

use std::pin::Pin;

use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _};

use crate::codes;
use crate::error::ApiError;
use crate::json::EventJson;

/// One event in bytes at most: an outcome with 4,096 files of 1 KiB names fits.
const EVENT_BYTES_MAX: usize = 16 << 20;

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, ApiError>> + Send>>;

/// News as it comes.
pub struct Events {
    pieces: Pieces,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were searched for a line's end.
    searched: usize,
    data: String,
}

impl Events {
    pub(crate) fn new(pieces: Pieces) -> Self {
        Self { pieces, buffer: Vec::new(), searched: 0, data: String::new() }
    }

    /// The next event; `None` when the node ends the stream. Safe to drop and call again.
    ///
    /// # Errors
    /// When the connection breaks or what comes can't be read.
    pub async fn next(&mut self) -> Result<Option<EventJson>, ApiError> {
        loop {
            while let Some(line) = self.line() {
                if let Some(event) = self.take(&line)? {
                    return Ok(Some(event));
                }
            }
            match self.pieces.next().await {
                None => return Ok(None),
                Some(piece) => self.buffer.extend_from_slice(&piece?),
            }
            if self.buffer.len() + self.data.len() > EVENT_BYTES_MAX {
                return Err(ApiError::new(codes::NODE_ANSWER, "an event is too large"));
            }
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return None;
        };
        let rest = self.buffer.split_off(self.searched + end + 1);
        let mut line = std::mem::replace(&mut self.buffer, rest);
        self.searched = 0;
        line.pop();
        line.pop_if(|last| *last == b'\r');
        Some(line)
    }

    fn take(&mut self, line: &[u8]) -> Result<Option<EventJson>, ApiError> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            if data.is_empty() {
                return Ok(None);
            }
            return serde_json::from_str(&data).map(Some).map_err(|error| {
                ApiError::new(codes::NODE_ANSWER, format!("an event can't be read: {error}"))
            });
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            let data = data.strip_prefix(b" ").unwrap_or(data);
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(&String::from_utf8_lossy(data));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_read_however_the_bytes_are_cut() {
        let text = concat!(
            ": hello\r\n\r\nid: 1\nevent: stalled\n",
            r#"data: {"id":1,"time_ms":2,"job":null,"event":"stalled","reason":"ü"}"#,
            "\n\nevent: resync\n",
            r#"data: {"id":2,"time_ms":2,"job":null,"event":"resync"}"#,
            "\n\n",
            r#"data: {"id":3"#,
        );
        for size in [1, 2, 3, 7, 1_000] {
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
            let mut events = Events::new(Box::pin(futures_util::stream::iter(pieces)));
            let mut ids = Vec::new();
            while let Some(event) = events.next().await.unwrap() {
                ids.push(event.id);
            }
            assert_eq!(ids, [1, 2], "pieces of {size} bytes");
        }
    }
}
