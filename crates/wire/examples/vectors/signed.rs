//! Signatures, and receipts that stand alone: honest ones, and with a bit flipped in each field.

use ayni_types::{Lease, NodeId, NodeSignature, Offer};
use ayni_wire::{
    Domain, EvmSignature, ReceiptFile, Signed, Ticket, TwoRoots, batch_hash, decode, encode,
    recover_batch_key, verify_node, verify_receipt,
};
use serde_json::{Value, json};

use crate::fields::{RECEIPT_FILE, leaves};
use crate::{hex, sample};

fn statement<T: Domain>(name: &str, signer: &ayni_wire::NodeKey, body: T) -> Value {
    let signed = signer.seal(body);
    json!({
        "name": name,
        "domain": T::DOMAIN,
        "body": hex(&encode(&signed.body)),
        "message": hex(&Signed::message(&signed.body)),
        "key": hex(&signer.id().0),
        "signature": signed.signature.to_string(),
    })
}

pub(crate) fn signatures() -> Value {
    let (requester, provider) = (sample::requester(), sample::provider());
    let batch = sample::batch(5);
    let hash = batch_hash(&batch.header);
    json!({
        "about": "Ed25519 over domain, NUL, canonical body; secp256k1 over the EIP-712 hash. The \
                  secrets are there so that a second implementation can sign and compare.",
        "secrets": {
            "requester": hex(&sample::REQUESTER_SECRET),
            "provider": hex(&sample::PROVIDER_SECRET),
            "batch": hex(&sample::BATCH_SECRET),
        },
        "node": {
            "valid": [
                statement::<Offer>("offer", &provider, sample::offer()),
                statement::<Lease>("lease, by its requester", &requester, sample::lease()),
                statement::<Lease>("lease, by its provider", &provider, sample::lease()),
                statement::<Ticket>("ticket", &requester, sample::ticket()),
            ],
            "invalid": wrong_statements(),
        },
        "batch": {
            "valid": [{
                "name": "a batch of five",
                "hash": hex(&hash),
                "signature": hex(&batch.signature.0),
                "address": sample::batch_signer().key().to_string(),
            }],
            "invalid": wrong_batch_signatures(&hash, batch.signature),
        },
        "fraud": fraud(),
        "audit_commitments": [{
            "seed": hex(&sample::AUDIT_SEED),
            "commitment": sample::lease().audit_commitment.to_string(),
        }],
    })
}

fn fraud() -> Value {
    type Change = fn(&mut TwoRoots);
    let cases: [(&str, Change); 7] = [
        ("two roots for one number", |_| {}),
        ("the requester's signature bent: it is not asked", |p| p.lease.requester.0[0] ^= 1),
        ("twice the same", |p| p.second = p.first),
        ("two numbers", |p| p.second.header.batch += 1),
        ("a header of another lease", |p| p.first.header.lease.0[0] ^= 1),
        ("a header bent", |p| p.second.header.root.0[5] ^= 1),
        ("a lease that its provider did not sign", |p| p.lease.lease.slots += 1),
    ];
    let (mut valid, mut invalid) = (Vec::new(), Vec::new());
    for (name, change) in cases {
        let mut proof = sample::two_roots();
        change(&mut proof);
        let bytes = hex(&encode(&proof));
        match proof.culprit() {
            Ok(culprit) => valid.push(json!({
                "name": name, "bytes": bytes, "culprit": hex(&culprit.0),
            })),
            Err(error) => invalid.push(json!({
                "name": name, "bytes": bytes, "reason": "fraud", "said": error.to_string(),
            })),
        }
    }
    assert_eq!((valid.len(), invalid.len()), (2, 5));
    json!({ "valid": valid, "invalid": invalid })
}

fn wrong_statements() -> Vec<Value> {
    let provider = sample::provider();
    let offer = provider.seal(sample::offer());
    let message = Signed::message(&offer.body);
    let (key, good) = (provider.id(), offer.signature);
    let swapped = [&b"ayni lease 1\0"[..], &encode(&offer.body)].concat();
    let bare = encode(&offer.body);
    let mut larger = good;
    add_order(&mut larger.0);
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut trivial = NodeSignature([0; 64]);
    trivial.0[0] = 1;
    let cases = [
        ("by another key", sample::requester().id(), message.clone(), good),
        ("under another domain", key, swapped, good),
        ("without its domain", key, bare, good),
        ("s not below the group's order", key, message.clone(), larger),
        ("a key of small order, which signs anything", NodeId(neutral), message.clone(), trivial),
        ("bytes that are no key", NodeId([0xff; 32]), message, good),
    ];
    let case = |(name, key, message, signature): &(&str, NodeId, Vec<u8>, NodeSignature)| {
        assert!(verify_node(*key, message, signature).is_err(), "{name}");
        let (key, message, signature) = (hex(&key.0), hex(message), signature.to_string());
        json!({
            "name": name, "key": key, "message": message, "signature": signature,
            "reason": "signature",
        })
    };
    cases.iter().map(case).collect()
}

/// Adds the order of Ed25519's group to `s`: the same equation, another spelling.
fn add_order(signature: &mut [u8; 64]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0_u16;
    for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
}

fn wrong_batch_signatures(hash: &[u8; 32], good: EvmSignature) -> Vec<Value> {
    let signer = sample::batch_signer().key();
    let with = |change: &dyn Fn(&mut [u8; 65])| {
        let mut bent = good;
        change(&mut bent.0);
        bent
    };
    let mut other = *hash;
    other[31] ^= 1;
    let cases = [
        ("another hash", other, good),
        ("the other v", *hash, with(&|s| s[64] = 55 - s[64])),
        ("v of 0 or 1", *hash, with(&|s| s[64] -= 27)),
        ("v of 29 or 30", *hash, with(&|s| s[64] += 2)),
        ("s above half the order", *hash, with(&negate)),
        ("r of zero", *hash, with(&|s| s[..32].fill(0))),
        ("s of zero", *hash, with(&|s| s[32..64].fill(0))),
    ];
    let case = |(name, hash, signature): &(&str, [u8; 32], EvmSignature)| {
        assert_ne!(recover_batch_key(hash, signature), Some(signer), "{name}");
        let (hash, signature) = (hex(hash), hex(&signature.0));
        json!({
            "name": name, "hash": hash, "signature": signature, "address": signer.to_string(),
            "reason": "signature",
        })
    };
    cases.iter().map(case).collect()
}

/// The other signature that the same equation has: `s` is the order less `s`, `v` the other.
fn negate(signature: &mut [u8; 65]) {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    let mut borrow = 0_u8;
    for (byte, order) in signature[32..64].iter_mut().zip(ORDER).rev() {
        let (first, under) = order.overflowing_sub(*byte);
        let (second, under_too) = first.overflowing_sub(borrow);
        *byte = second;
        borrow = u8::from(under || under_too);
    }
    signature[64] = 55 - signature[64];
}

pub(crate) fn receipts() -> Value {
    let honest = [(1, 0), (2, 1), (5, 3), (9, 8)].map(|(count, index)| {
        let file = sample::receipt_file(count, index);
        assert!(verify_receipt(&file).iter().all(|check| check.failure.is_none()));
        json!({ "name": format!("number {index} of {count}"), "bytes": hex(&encode(&file)) })
    });
    let bytes = encode(&sample::receipt_file(5, 3));
    let failed = |bytes: &[u8]| -> Vec<&'static str> {
        match decode::<ReceiptFile>(bytes) {
            Err(_) => vec!["encoding"],
            Ok(file) => {
                let failed = verify_receipt(&file).into_iter().filter(|c| c.failure.is_some());
                failed.map(|check| check.statement).collect()
            }
        }
    };
    let (mut beside, mut altered) = (Vec::new(), Vec::new());
    for leaf in leaves(&bytes, &RECEIPT_FILE) {
        let bent = leaf.flipped(&bytes);
        let at = bytes.iter().zip(&bent).position(|(a, b)| a != b).expect("a bit differs");
        let failed = failed(&bent);
        if failed.is_empty() {
            beside.push(json!({ "field": leaf.name, "byte": at }));
        } else {
            altered.push(json!({ "field": leaf.name, "byte": at, "failed": failed }));
        }
    }
    json!({
        "about": "Receipts that stand alone. `altered` flips the lowest bit of one byte of `of`; \
                  `failed` lists the checks that must fail, or `encoding`. What is `beside` is not \
                  signed and may differ.",
        "checks": verify_receipt(&sample::receipt_file(1, 0))
            .iter().map(|check| check.statement).collect::<Vec<_>>(),
        "valid": honest,
        "of": hex(&bytes),
        "altered": altered,
        "beside": beside,
    })
}
