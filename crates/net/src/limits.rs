//! What a peer can make us spend. One place, so that the sum can be read.
//!
//! Worst case with every limit reached: messages 64 MiB waiting for the node + 1 MiB for each link
//! being read; outgoing queues 16 MiB for each peer that does not read; blobs 64 MiB being served,
//! 64 MiB of proofs, about 2 MiB for each holder fetched from.

use std::time::Duration;

/// Peers with a connection or a queue: 16 MiB of queue each at worst, a few KiB when idle.
pub const PEERS_MAX: usize = 512;
/// Of them, those that came to us: strangers can't take the places of the peers that we want.
pub const PEERS_INCOMING_MAX: usize = 384;
/// Longest URL of a relay, in bytes.
pub const RELAY_URL_BYTES_MAX: usize = 256;
/// Connections of one peer for messages: one, two after both dialled at once, more only while a
/// restarted peer's old ones have not timed out.
pub const LINKS_PER_PEER_MAX: usize = 4;
/// Connections of one peer for blobs.
pub const BLOB_CONNECTIONS_PER_PEER_MAX: usize = 4;
/// Incoming connections in their handshake; beyond, the source address must be proven first.
pub const HANDSHAKES_MAX: usize = 64;
/// Incoming connections in their handshake, after which all others are refused.
pub const HANDSHAKES_HARD_MAX: usize = 256;
/// How long a handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Dials under way at once.
pub const DIALS_MAX: usize = 16;
/// How long a dial may take.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed dial, doubled up to [`DIAL_PAUSE_MAX`].
pub const DIAL_PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause between dials of a peer that is wanted.
pub const DIAL_PAUSE_MAX: Duration = Duration::from_secs(8);
/// Failed dials in a row after which a link is no longer kept: half an hour.
pub const KEEP_ATTEMPTS_MAX: u32 = 100;
/// A link that ends sooner counts as a failed dial, so that a peer that refuses us isn't hammered.
pub const LINK_SETTLED: Duration = Duration::from_secs(1);
/// How long the actor of a peer lives with nothing to do.
pub const PEER_IDLE: Duration = Duration::from_secs(60);

/// A connection without a packet for so long is dead. A killed peer is noticed after at most this
/// and one [`KEEP_ALIVE`], whose sending starts the clock again.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(6);
/// Sent to keep a connection from looking dead: four tries in [`IDLE_TIMEOUT`].
pub const KEEP_ALIVE: Duration = Duration::from_millis(1_500);

/// Messages queued for one peer.
pub const QUEUE_MESSAGES_MAX: usize = 32_768;
/// Bytes queued for one peer.
pub const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Events waiting for the node, each at most a message: 64 MiB. When full, peers wait.
pub const EVENTS_MAX: usize = 64;

/// Streams that a peer may have open on one connection (blob requests; messages use one).
pub const STREAMS_MAX: u32 = 64;
/// Entries of the address book, under 1 KiB each.
pub const ADDRESS_BOOK_MAX: usize = 8_192;
/// Peers whose misbehaviour is remembered, 100 bytes each.
pub const CONDUCT_MAX: usize = 8_192;
/// Strikes after which a peer is refused.
pub const STRIKES_MAX: u32 = 4;
/// How long a strike is remembered, and a refused peer refused.
pub const STRIKE_MEMORY: Duration = Duration::from_secs(600);

/// Largest blob, in bytes: its proof is 64 MiB.
pub const BLOB_BYTES_MAX: u64 = 16 << 30;
/// A blob up to this size comes whole, in one answer, and is never a file of its own until proven.
pub const SEGMENT_BYTES: u64 = 512 << 10;
/// Blob bytes in memory for all peers being served.
pub const SERVE_BYTES_MAX: usize = 64 << 20;
/// Proofs kept in memory; the least used are dropped and computed again when asked for.
pub const PROOF_CACHE_BYTES_MAX: usize = 64 << 20;
/// Proofs being computed at once: each reads a whole blob.
pub const PROOFS_AT_ONCE_MAX: usize = 2;
/// How long a peer may take to read one segment that we serve, or to send one that we asked for.
pub const SEGMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request or the head of an answer may take; finding the proof is part of it.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A blob connection without a request for so long is closed by the holder.
pub const BLOB_IDLE: Duration = Duration::from_secs(60);
/// Part of a large blob that one holder is asked for at a time.
pub const SPAN_BYTES: u64 = 8 << 20;
/// Holders that one blob is fetched from at the same time.
pub const HOLDERS_AT_ONCE_MAX: usize = 4;
/// Attempts at one holder in a row that bring nothing.
pub const HOLDER_ATTEMPTS_MAX: u32 = 3;
/// Blob connections that we keep open to holders.
pub const HOLDER_CONNECTIONS_MAX: usize = 128;

/// Bytes a second that the relay role takes from one client.
pub const RELAY_CLIENT_BYTES_PER_SECOND: u32 = 32 << 20;
