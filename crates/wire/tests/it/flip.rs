//! One bit flipped: in every field by its name, and in every bit of the bytes. Each must be
//! refused, and the reason says what failed.

use ayni_types::Observed;
use ayni_wire::{
    DecodeError, FullLease, ReceiptFile, Signed, SignedBatch, TwoRoots, batch_hash, decode, encode,
    leaf_hash, merkle_root, recover_batch_key, verify_node, verify_receipt,
};

use crate::fields::{BATCH, FULL_LEASE, RECEIPT_FILE, SIGNED_OFFER, Shape, TWO_ROOTS, leaves};
use crate::sample;

/// Why bytes are refused; empty if they are not.
type Judge = fn(&[u8]) -> Result<Vec<String>, DecodeError>;

fn receipt(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let failed = verify_receipt(&decode::<ReceiptFile>(bytes)?).into_iter();
    Ok(failed.filter(|c| c.failure.is_some()).map(|c| c.statement.to_owned()).collect())
}

fn lease(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let full: FullLease = decode(bytes)?;
    let message = Signed::message(&full.lease);
    let signed = [
        ("requester", full.lease.requester, full.requester),
        ("provider", full.lease.provider, full.provider),
    ];
    let failed = signed.iter().filter_map(|(who, node, signature)| {
        let error = verify_node(*node, &message, signature).err()?;
        Some(format!("{who}: {error}"))
    });
    let unbacked = full.backing.filter(|b| b.signer(&full.lease) != Some(full.lease.batch_key));
    let unbacked = unbacked.map(|_| "backing: not signed by the batch key".to_owned());
    Ok(failed.chain(unbacked).collect())
}

fn offer(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let signed: Signed<ayni_types::Offer> = decode(bytes)?;
    let message = Signed::message(&signed.body);
    let error = verify_node(signed.body.node, &message, &signed.signature).err();
    Ok(error.iter().map(ToString::to_string).collect())
}

fn batch(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let batch: SignedBatch = decode(bytes)?;
    let leaves: Vec<_> = batch.receipts.iter().map(leaf_hash).collect();
    let signer = recover_batch_key(&batch_hash(&batch.header), &batch.signature);
    let checks = [
        ("the count is the number of receipts", leaves.len() == batch.header.count as usize),
        ("the root is over the receipts", merkle_root(&leaves) == batch.header.root),
        ("the root is signed", signer == Some(sample::batch_signer().key())),
    ];
    Ok(checks.iter().filter(|(_, holds)| !holds).map(|(what, _)| (*what).to_owned()).collect())
}

fn fraud(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let proof: TwoRoots = decode(bytes)?;
    Ok(proof.culprit().err().iter().map(ToString::to_string).collect())
}

/// What was merely observed is beside the signature: altering it changes nothing that holds.
fn is_beside(name: &str, beside: &[&str]) -> bool {
    name.contains("observed.") || beside.contains(&name)
}

/// One line for each field: what is said when its lowest bit is flipped. Runs of fields with one
/// answer share a line.
fn walk(bytes: &[u8], shape: &Shape, judge: Judge, beside: &[&str]) -> String {
    let failed = judge(bytes).expect("the sample is well encoded");
    assert_eq!(failed, Vec::<String>::new(), "the sample must hold");
    let mut lines: Vec<(Vec<String>, String)> = Vec::new();
    for leaf in leaves(bytes, shape) {
        let altered = leaf.flipped(bytes);
        let said = match judge(&altered) {
            Err(error) => error.to_string(),
            Ok(failed) if failed.is_empty() => "HOLDS".to_owned(),
            Ok(failed) => failed.join("; "),
        };
        assert_eq!(said == "HOLDS", is_beside(&leaf.name, beside), "{}: {said}", leaf.name);
        match lines.last_mut() {
            Some((names, same)) if *same == said => names.push(leaf.name),
            _ => lines.push((vec![leaf.name], said)),
        }
    }
    let line = |(names, said): &(Vec<String>, String)| format!("{}\n    {said}\n", names.join(" "));
    lines.iter().map(line).collect()
}

/// Every single bit of the bytes: refused, or beside the signature.
fn every_bit(bytes: &[u8], shape: &Shape, judge: Judge, beside: &[&str]) {
    let unsigned: Vec<_> = leaves(bytes, shape)
        .into_iter()
        .filter(|leaf| is_beside(&leaf.name, beside))
        .map(|leaf| leaf.item)
        .collect();
    for bit in 0..bytes.len() * 8 {
        let at = bit / 8;
        let mut altered = bytes.to_vec();
        altered[at] ^= 1 << (bit % 8);
        let refused = judge(&altered).map_or(true, |failed| !failed.is_empty());
        assert!(refused || unsigned.iter().any(|item| item.contains(&at)), "bit {bit}");
    }
}

#[test]
fn a_receipt_with_one_bit_flipped_is_refused_by_name() {
    insta::assert_snapshot!(walk(
        &encode(&sample::receipt_file(5, 3)),
        &RECEIPT_FILE,
        receipt,
        &[]
    ));
}

#[test]
fn a_lease_with_one_bit_flipped_is_refused_by_name() {
    insta::assert_snapshot!(walk(&encode(&sample::full_lease()), &FULL_LEASE, lease, &[]));
}

#[test]
fn an_offer_with_one_bit_flipped_is_refused_by_name() {
    let bytes = encode(&sample::provider().seal(sample::offer()));
    insta::assert_snapshot!(walk(&bytes, &SIGNED_OFFER, offer, &[]));
}

#[test]
fn a_batch_with_one_bit_flipped_is_refused_by_name() {
    insta::assert_snapshot!(walk(&encode(&sample::batch(3)), &BATCH, batch, &[]));
}

/// Whom a provider worked for, and what it risked, does not matter to its fraud: neither the
/// requester's signature nor the backing is asked.
const BESIDE_FRAUD: &[&str] =
    &["lease.requester", "lease.backing.disputes", "lease.backing.signature"];

#[test]
fn a_proof_of_fraud_with_one_bit_flipped_proves_nothing() {
    let bytes = encode(&sample::two_roots());
    insta::assert_snapshot!(walk(&bytes, &TWO_ROOTS, fraud, BESIDE_FRAUD));
}

#[test]
fn every_bit_of_everything_signed_matters() {
    every_bit(&encode(&sample::receipt_file(5, 3)), &RECEIPT_FILE, receipt, &[]);
    every_bit(&encode(&sample::full_lease()), &FULL_LEASE, lease, &[]);
    every_bit(&encode(&sample::provider().seal(sample::offer())), &SIGNED_OFFER, offer, &[]);
    every_bit(&encode(&sample::batch(3)), &BATCH, batch, &[]);
    every_bit(&encode(&sample::two_roots()), &TWO_ROOTS, fraud, BESIDE_FRAUD);
}

#[test]
fn what_is_only_observed_is_the_only_thing_that_may_differ() {
    let mut file = sample::receipt_file(5, 3);
    file.receipt.observed = Observed::default();
    assert_eq!(receipt(&encode(&file)).unwrap(), Vec::<String>::new());
}
