//! Digests, ids, leaves, roots and proofs, and what a task costs.

use ayni_types::{Amount, Fuel, PaidBy, Price};
use ayni_wire::{
    batch_hash, channel_id, digest, encode, leaf_hash, merkle_proof, merkle_root, outcome_digest,
    task_id, verify_proof, voucher_hash,
};
use serde_json::{Value, json};

use crate::{hex, sample};

pub(crate) fn vectors() -> Value {
    let bytes = |text: &[u8]| json!({ "bytes": hex(text), "digest": digest(text).to_string() });
    let task = |task| {
        let (bytes, id) = (hex(&encode(&task)), task_id(&task).to_string());
        json!({ "bytes": bytes, "id": id })
    };
    let outcomes = sample::outcomes();
    let outcomes = outcomes.iter().map(|(name, outcome)| {
        let (bytes, digest) = (hex(&encode(outcome)), outcome_digest(outcome).to_string());
        json!({ "name": name, "bytes": bytes, "digest": digest })
    });
    let batch = sample::batch(5);
    let leaves = batch.receipts.iter().map(|receipt| {
        json!({ "receipt": hex(&encode(receipt)), "leaf": leaf_hash(receipt).to_string() })
    });
    let header = hex(&encode(&batch.header));
    let trees = [1, 2, 3, 4, 5, 7, 8, 9].map(tree);
    json!({
        "about": "What is hashed, and what comes of it.",
        "digests": [bytes(b""), bytes(b"hello"), bytes(&[0; 1_025])],
        "task_ids": [task(sample::task()), task(sample::small_task())],
        "outcome_digests": outcomes.collect::<Vec<_>>(),
        "leaves": leaves.collect::<Vec<_>>(),
        "batch_hashes": [{ "header": header, "hash": hex(&batch_hash(&batch.header)) }],
        "channels": [channel()],
        "trees": trees,
        "wrong_proofs": wrong_proofs(),
        "prices": prices(),
    })
}

fn channel() -> Value {
    let (ledger, terms, voucher) = (sample::ledger(), sample::channel(), sample::voucher());
    assert_eq!(voucher.signer(&ledger), Some(terms.payer_key));
    json!({
        "paid_by": hex(&encode(&PaidBy { ledger, terms })),
        "channel": channel_id(&ledger, &terms).to_string(),
        "hash": hex(&voucher_hash(&ledger, voucher.channel, voucher.ceiling)),
        "voucher": hex(&encode(&voucher)),
    })
}

fn leaves(count: u32) -> Vec<ayni_types::Digest> {
    sample::batch(count).receipts.iter().map(leaf_hash).collect()
}

fn texts(digests: &[ayni_types::Digest]) -> Vec<String> {
    digests.iter().map(ToString::to_string).collect()
}

fn tree(count: u32) -> Value {
    let leaves = leaves(count);
    let proofs: Vec<_> = (0..leaves.len())
        .map(|at| texts(&merkle_proof(&leaves, at).expect("the leaf is there")))
        .collect();
    let root = merkle_root(&leaves).to_string();
    json!({ "leaves": texts(&leaves), "root": root, "proofs": proofs })
}

fn wrong_proofs() -> Vec<Value> {
    let leaves = leaves(5);
    let (root, proof) = (merkle_root(&leaves), merkle_proof(&leaves, 3).expect("a leaf"));
    let mut bent = proof.clone();
    bent[1].0[31] ^= 1;
    let cases = [
        ("another leaf", leaves[2], proof.clone()),
        ("a bent hash", leaves[3], bent),
        ("a hash missing", leaves[3], proof[1..].to_vec()),
        ("hashes in another order", leaves[3], proof.iter().rev().copied().collect()),
        ("no hashes", leaves[3], vec![]),
    ];
    let case = |(name, leaf, proof): &(&str, ayni_types::Digest, Vec<_>)| {
        assert!(!verify_proof(*leaf, proof, root), "{name}");
        let (leaf, root) = (leaf.to_string(), root.to_string());
        json!({ "name": name, "leaf": leaf, "proof": texts(proof), "root": root, "reason": "proof" })
    };
    cases.iter().map(case).collect()
}

fn prices() -> Vec<Value> {
    let usual = sample::price();
    let dear = Price { per_data_mebibyte: Amount(u128::MAX), ..usual };
    let cases = [
        (usual, 0, 0, 0),
        (usual, 1, 0, 0),
        (usual, 1_000_000_000, 0, 0),
        (usual, 1_000_000_001, 1, 1),
        (usual, 1_234_567_890, 3 << 20, (1 << 20) + 1),
        (dear, 1, 0, 1),
        (dear, 1, 0, 1 << 21),
    ];
    let case = |(price, fuel, code, data): &(Price, u64, u64, u64)| {
        json!({
            "per_gigafuel": price.per_gigafuel.to_string(),
            "per_code_mebibyte": price.per_code_mebibyte.to_string(),
            "per_data_mebibyte": price.per_data_mebibyte.to_string(),
            "fuel": fuel.to_string(),
            "code_bytes": code.to_string(),
            "data_bytes": data.to_string(),
            "price": price.of(Fuel(*fuel), *code, *data).to_string(),
        })
    };
    cases.iter().map(case).collect()
}
