//! What the node says to the disputes' contract: receipts and answers in, call data out, and what the
//! chain holds of a dispute that no event tells.

use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::SolCall as _;
use ayni_types::{Account, Amount, BatchHeader, Digest, Receipt, Time};
use ayni_wire::{ReceiptFile, SignedHeader, TwoRoots};

use super::bindings::{Disputes, Receipts};
use super::channels::address;
use crate::client::{Client, ClientError};
use crate::watcher::Verdict;

/// What a juror says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// About the receipt.
    pub verdict: Verdict,
    /// What came out by its own execution; zero where nothing did.
    pub outcome: Digest,
    /// Root over the state at the jury's fuel points; zero where nothing was executed.
    pub state_root: Digest,
}

/// The terms that a dispute was opened under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// To each juror who is right.
    pub juror_fee: Amount,
    /// A challenger's bond.
    pub bond: Amount,
    /// An appellant's bond.
    pub appeal_bond: Amount,
    /// For commitments, in milliseconds.
    pub commit_ms: u64,
    /// What a wrong receipt takes of a reservation, in hundredths of a percent.
    pub slash_bps: u16,
}

fn header(header: &BatchHeader) -> Receipts::Header {
    Receipts::Header {
        lease: header.lease.0.into(),
        batch: header.batch,
        count: header.count,
        root: header.root.0.into(),
    }
}

fn receipt(receipt: &Receipt) -> Receipts::Receipt {
    Receipts::Receipt {
        lease: receipt.lease.0.into(),
        batch: receipt.batch,
        index: receipt.index,
        assignment: receipt.assignment,
        task: receipt.task.0.into(),
        outcome: receipt.outcome.0.into(),
        fuel: receipt.fuel.0,
        codeBytes: receipt.code_bytes,
        dataBytes: receipt.data_bytes,
        price: receipt.price.0,
    }
}

/// Says that a receipt's outcome is wrong, and that `counter_outcome` is right. The bond must be
/// approved before. `None`: nothing backs the receipt's lease.
#[must_use]
pub fn open_dispute(file: &ReceiptFile, counter_outcome: &Digest) -> Option<Vec<u8>> {
    let backing = file.lease.backing.as_ref()?;
    let evidence = Disputes::Evidence {
        provider: address(file.lease.lease.paid_by.as_ref()?.terms.payee),
        receipt: receipt(&file.receipt),
        proof: file.proof.iter().map(|hash| B256::from(hash.0)).collect(),
        header: header(&file.header),
        signature: file.signature.0.to_vec().into(),
        backing: backing.signature.0.to_vec().into(),
    };
    let call = Disputes::openDisputeCall { evidence, counterOutcome: counter_outcome.0.into() };
    Some(call.abi_encode())
}

/// Shows that a provider signed two roots for one batch. `None`: nothing backs the lease.
#[must_use]
pub fn prove_two_roots(proof: &TwoRoots) -> Option<Vec<u8>> {
    let backing = proof.lease.backing.as_ref()?;
    let terms = proof.lease.lease.paid_by.as_ref()?.terms;
    let signed = |signed: &SignedHeader| Disputes::SignedHeader {
        header: header(&signed.header),
        signature: signed.signature.0.to_vec().into(),
    };
    let call = Disputes::proveTwoRootsCall {
        provider: address(terms.payee),
        requester: address(terms.payer),
        a: signed(&proof.first),
        b: signed(&proof.second),
        backing: backing.signature.0.to_vec().into(),
    };
    Some(call.abi_encode())
}

/// Seats a jury whose block has come.
#[must_use]
pub fn draw(dispute: u64) -> Vec<u8> {
    Disputes::drawCall { id: U256::from(dispute) }.abi_encode()
}

/// The hash that a juror commits to.
#[must_use]
pub fn commitment(
    (chain, disputes): (u64, Account),
    (dispute, jury): (u64, u64),
    juror: Account,
    answer: &Answer,
    salt: &[u8; 32],
) -> [u8; 32] {
    let number = |n: u64| U256::from(n).to_be_bytes::<32>();
    let account = |account: Account| {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&account.0);
        word
    };
    let verdict = number(answer.verdict.number().into());
    let inner = keccak256([verdict, answer.outcome.0, answer.state_root.0, *salt].concat());
    let words = [
        number(chain),
        account(disputes),
        number(dispute),
        number(jury),
        account(juror),
        inner.0,
    ];
    keccak256(words.concat()).0
}

/// Commits to an answer.
#[must_use]
pub fn commit(dispute: u64, commitment: [u8; 32]) -> Vec<u8> {
    let (id, commitment) = (U256::from(dispute), commitment.into());
    Disputes::commitCall { id, commitment }.abi_encode()
}

/// Shows an answer.
#[must_use]
pub fn reveal(dispute: u64, answer: &Answer, salt: &[u8; 32]) -> Vec<u8> {
    Disputes::revealCall {
        id: U256::from(dispute),
        verdict: answer.verdict.number(),
        outcome: answer.outcome.0.into(),
        stateRoot: answer.state_root.0.into(),
        salt: salt.into(),
    }
    .abi_encode()
}

/// Counts a jury's answers.
#[must_use]
pub fn tally(dispute: u64) -> Vec<u8> {
    Disputes::tallyCall { id: U256::from(dispute) }.abi_encode()
}

/// Asks for the larger jury; the bond must be approved before.
#[must_use]
pub fn appeal(dispute: u64) -> Vec<u8> {
    Disputes::appealCall { id: U256::from(dispute) }.abi_encode()
}

/// Does what was ruled.
#[must_use]
pub fn execute(dispute: u64) -> Vec<u8> {
    Disputes::executeCall { id: U256::from(dispute) }.abi_encode()
}

/// Pays an account what disputes owe it.
#[must_use]
pub fn withdraw_owed(account: Account) -> Vec<u8> {
    Disputes::withdrawCall { account: address(account) }.abi_encode()
}

/// What disputes owe an account.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn owed(
    client: &Client,
    disputes: Account,
    account: Account,
) -> Result<Amount, ClientError> {
    let said = client.view(disputes, &Disputes::owedCall { account: address(account) }).await?;
    Ok(Amount(u128::try_from(said).unwrap_or(u128::MAX)))
}

/// Until when a ruling may be appealed; 0 if there is none.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn appeal_until(
    client: &Client,
    disputes: Account,
    dispute: u64,
) -> Result<Time, ClientError> {
    let said = client.view(disputes, &Disputes::disputeOfCall { id: U256::from(dispute) }).await?;
    Ok(Time(said.appealUntil.saturating_mul(1_000)))
}

/// The terms of a dispute; without one, those of the next.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn terms(
    client: &Client,
    disputes: Account,
    dispute: Option<u64>,
) -> Result<Terms, ClientError> {
    let said = match dispute {
        Some(id) => client.view(disputes, &Disputes::termsOfCall { id: U256::from(id) }).await?,
        None => client.view(disputes, &Disputes::termsCall {}).await?,
    };
    let (fee, size) = (said.jurorFee.to::<u128>(), u128::from(said.jurySize));
    Ok(Terms {
        juror_fee: Amount(fee),
        bond: Amount((3 * size + 1) * fee + said.defenceFee.to::<u128>()),
        appeal_bond: Amount((2 * size + 1) * fee),
        commit_ms: u64::from(said.commitWindow) * 1_000,
        slash_bps: said.slashBps,
    })
}
