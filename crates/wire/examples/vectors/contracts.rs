//! What a contract checks: receipts of a batch, two roots for one number, a channel and a voucher.
//! Field by field, since a contract reads no CBOR.

use ayni_types::{Account, Amount, BatchHeader, ChannelTerms, Ledger, Receipt};
use ayni_wire::{
    EvmSignature, EvmSigner, Voucher, batch_hash, channel_id, leaf_hash, merkle_proof, voucher_hash,
};
use serde_json::{Value, json};

use crate::{hex, sample};

/// Secret of the payer's session key.
const PAYER_SECRET: [u8; 32] = [7; 32];

pub(crate) fn vectors() -> Value {
    let batches = [1, 2, 5, 9].map(batch);
    json!({
        "about": "What contracts check, field by field: keccak leaves and proofs, signed headers, \
                  channel ids and vouchers (spec/protocol.md, 2.4).",
        "secrets": { "batch": hex(&sample::BATCH_SECRET), "payer": hex(&PAYER_SECRET) },
        "signer": sample::batch_signer().key().to_string(),
        "batches": batches,
        "two_roots": two_roots(),
        "channel": channel(),
    })
}

fn batch(count: u32) -> Value {
    let batch = sample::batch(count);
    let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
    let receipts = batch.receipts.iter().enumerate().map(|(at, receipt)| {
        let proof = merkle_proof(&leaves, at).expect("the leaf is there");
        let proof: Vec<_> = proof.iter().map(ToString::to_string).collect();
        json!({ "receipt": fields(receipt), "leaf": leaves[at].to_string(), "proof": proof })
    });
    json!({
        "header": header(&batch.header, &batch.signature),
        "receipts": receipts.collect::<Vec<_>>(),
    })
}

fn fields(receipt: &Receipt) -> Value {
    json!({
        "lease": hex(&receipt.lease.0),
        "batch": receipt.batch,
        "index": receipt.index,
        "assignment": receipt.assignment,
        "task": receipt.task.to_string(),
        "outcome": receipt.outcome.to_string(),
        "fuel": receipt.fuel.0.to_string(),
        "code_bytes": receipt.code_bytes,
        "data_bytes": receipt.data_bytes,
        "price": receipt.price.to_string(),
    })
}

fn header(header: &BatchHeader, signature: &EvmSignature) -> Value {
    json!({
        "lease": hex(&header.lease.0),
        "batch": header.batch,
        "count": header.count,
        "root": header.root.to_string(),
        "hash": hex(&batch_hash(header)),
        "signature": hex(&signature.0),
    })
}

fn two_roots() -> Value {
    let proof = sample::two_roots();
    json!({
        "first": header(&proof.first.header, &proof.first.signature),
        "second": header(&proof.second.header, &proof.second.signature),
    })
}

fn channel() -> Value {
    let key = EvmSigner::from_secret(&PAYER_SECRET).expect("a small number is a scalar");
    let ledger = Ledger { chain: 31_337, channels: Account([0xc4; 20]) };
    let terms = ChannelTerms {
        payer: Account([1; 20]),
        payer_key: Account(key.key().0),
        payee: Account([3; 20]),
        payee_key: Account([4; 20]),
        token: Account([5; 20]),
        withdraw_delay_s: 86_400,
        salt: [6; 32],
    };
    let id = channel_id(&ledger, &terms);
    let vouchers = [Amount(1), Amount(5_000_000), Amount(u128::MAX)].map(|ceiling| {
        let voucher = Voucher::sign(&ledger, id, ceiling, &key);
        assert_eq!(voucher.signer(&ledger), Some(terms.payer_key));
        json!({
            "ceiling": ceiling.to_string(),
            "hash": hex(&voucher_hash(&ledger, id, ceiling)),
            "signature": hex(&voucher.signature.0),
        })
    });
    json!({
        "chain": ledger.chain,
        "channels": ledger.channels.to_string(),
        "terms": {
            "payer": terms.payer.to_string(),
            "payer_key": terms.payer_key.to_string(),
            "payee": terms.payee.to_string(),
            "payee_key": terms.payee_key.to_string(),
            "token": terms.token.to_string(),
            "withdraw_delay_s": terms.withdraw_delay_s,
            "salt": hex(&terms.salt),
        },
        "id": id.to_string(),
        "vouchers": vouchers,
    })
}
