//! The public client from npm, with none of our code on its side.

use std::path::{Path, PathBuf};

use ayni_types::{Account, Amount, ChannelTerms, Ledger};
use ayni_wire::{EvmSignature, Voucher, channel_id, voucher_hash};
use serde_json::Value;
use tokio::process::Command;

use crate::support::{BUYER, PRICE, Place, SELLER, account, signer};

/// Where the client expects the contract of scheme `batch-settlement`, on every chain.
const THEIR_CHANNELS: &str = "0x4020074e9df2ce1dee5a9c1b5c3f541d02a10003";

fn scripts() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/x402");
    assert!(
        folder.join("node_modules").exists(),
        "these tests need the public client\nhint: run `npm ci` in web/x402"
    );
    folder
}

async fn node(script: &str, args: &[&str], token: &str) -> Value {
    let mut command = Command::new("node");
    command.current_dir(scripts()).arg(script).args(args);
    command.env("KEY", format!("0x{}", "03".repeat(32))).env("TOKEN", token);
    let output = command.output().await.expect("node runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_client_pays_for_a_run_and_receives_it() {
    let place = Place::open(5 * PRICE).await;
    let program = scripts().join("package.json");
    let url = format!("{}/run/small?arg=hello", place.url);
    let token = place.money.at.token.to_string();
    let bought = node("buy.mjs", &[&url, program.to_str().expect("text")], &token).await;
    assert_eq!(bought["status"], 200, "{bought}");
    let stdout = bought["body"]["stdout_base64"].as_str().expect("an output");
    let sent = std::fs::read(&program).expect("there");
    assert_eq!(data_encoding::BASE64.decode(stdout.as_bytes()).expect("base64"), sent);
    assert_eq!(bought["settlement"]["success"], true);
    assert_eq!(bought["settlement"]["payer"], account(BUYER).to_string());
    assert_eq!(bought["settlement"], bought["body"]["settlement"]);
    assert_eq!(place.money.has(SELLER).await, PRICE);
    assert_eq!(place.money.has(BUYER).await, 4 * PRICE);
    assert_eq!(place.runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_client_without_money_is_refused_and_told_so() {
    let place = Place::open(PRICE - 1).await;
    let program = scripts().join("package.json");
    let url = format!("{}/run/small", place.url);
    let token = place.money.at.token.to_string();
    let refused = node("buy.mjs", &[&url, program.to_str().expect("text")], &token).await;
    assert_eq!(
        (&refused["status"], &refused["body"]["code"]),
        (&402.into(), &"payment_funds".into())
    );
    assert_eq!((place.runs(), place.money.has(BUYER).await), (0, PRICE - 1));
}

#[tokio::test]
async fn a_public_clients_batch_vouchers_are_ours_but_for_the_contracts_address() {
    let said = node("vectors.mjs", &[], "").await;
    let channels: Account = THEIR_CHANNELS.parse().expect("an address");
    let ledger = Ledger { chain: said["chain"].as_u64().expect("a number"), channels };
    let vectors = said["vectors"].as_array().expect("vectors");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let of = |name: &str| -> Account { text(&vector["config"][name]).parse().expect(name) };
        let bytes = |value: &Value| {
            data_encoding::HEXLOWER_PERMISSIVE.decode(&text(value).as_bytes()[2..]).expect("hex")
        };
        let terms = ChannelTerms {
            payer: of("payer"),
            payer_key: of("payerAuthorizer"),
            payee: of("receiver"),
            payee_key: of("receiverAuthorizer"),
            token: of("token"),
            withdraw_delay_s: vector["config"]["withdrawDelay"].as_u64().expect("a number"),
            salt: bytes(&vector["config"]["salt"]).try_into().expect("32 bytes"),
        };
        let id = channel_id(&ledger, &terms);
        assert_eq!(bytes(&vector["channel"]), id.0);
        let ceiling = Amount(text(&vector["ceiling"]).parse().expect("a number"));
        // Signatures are drawn by RFC 6979 on both sides, so they are equal, not only both good.
        let ours = Voucher::sign(&ledger, id, ceiling, &signer(4));
        let theirs: [u8; 65] = bytes(&vector["signature"]).try_into().expect("65 bytes");
        assert_eq!(ours.signature, EvmSignature(theirs));
        assert_eq!(terms.payer_key, Account(signer(4).key().0));
        assert_ne!(voucher_hash(&ledger, id, ceiling), voucher_hash(&ledger, id, Amount(0)));
    }
}
