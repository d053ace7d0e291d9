//! Every limit of this crate, and what it costs.

use std::time::Duration;

/// Longest raw transaction, bytes. Ethereum's nodes take 128 KiB.
pub(crate) const RAW_TX_BYTES_MAX: usize = 128 * 1024;
/// Most transactions that one flush of the ledger's log covers.
pub(crate) const GROUP_TXS_MAX: usize = 256;
/// Most raw bytes that one flush covers; with checksums and hashes at most twice that is written.
pub(crate) const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// Transactions that may wait for the ledger's writer; 128 KiB each at most.
pub(crate) const SUBMIT_QUEUE_MAX: usize = 1024;
/// Blocks between two snapshots of the ledger's state.
pub(crate) const SNAPSHOT_BLOCKS: u64 = 5_000;
/// Gas that one transaction may ask for (EIP-7825), and that a call or an estimate may burn.
pub(crate) const TX_GAS_MAX: u64 = 1 << 24;
/// Gas limit of a block of the local ledger.
pub(crate) const BLOCK_GAS_MAX: u64 = 60_000_000;
/// Logs in one answer of the local ledger; about 1 KiB each.
pub(crate) const LOGS_MAX: usize = 10_000;
/// Addresses, or topics at one place, of one filter.
pub(crate) const FILTER_TERMS_MAX: usize = 1_000;
/// Blocks in one answer to `eth_feeHistory`.
pub(crate) const FEE_HISTORY_MAX: u64 = 1_024;
/// Bytes of one HTTP request to the local ledger.
pub(crate) const RPC_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Requests in one JSON-RPC batch.
pub(crate) const RPC_BATCH_MAX: usize = 100;
/// Bytes of one HTTP answer from somebody else's node.
pub(crate) const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long somebody else's node may take to answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Blocks whose hashes the watcher keeps to find the fork point of a reorganisation; 40 bytes
/// each.
pub(crate) const RING_BLOCKS: usize = 256;
/// Blocks that the watcher asks for at once.
pub(crate) const CHUNK_BLOCKS: u64 = 500;
/// Bytes of a keystore file.
pub(crate) const KEYSTORE_BYTES_MAX: u64 = 16 * 1024;
/// Memory that unlocking a keystore may take, bytes: a file asks for what it likes.
pub(crate) const SCRYPT_MEMORY_MAX: u64 = 512 * 1024 * 1024;
/// Bytes of a password file.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;
/// Bytes of an intent's id.
pub(crate) const INTENT_ID_BYTES_MAX: usize = 128;
/// Intents in flight at once per account.
pub(crate) const IN_FLIGHT_MAX: usize = 16;
/// Attempts (first signature and bumps) per intent.
pub(crate) const ATTEMPTS_MAX: usize = 24;
/// Blocks whose logs are asked for at once, where only one contract's are wanted.
pub(crate) const LOG_BLOCKS: u64 = 10_000;
/// Changes of one proposal to the governor.
pub(crate) const PROPOSAL_ACTIONS_MAX: usize = 10;
/// Bytes of a proposal's description; all of it is paid for as calldata and as a log.
pub(crate) const PROPOSAL_TEXT_BYTES_MAX: usize = 4_096;
