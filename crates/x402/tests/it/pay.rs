//! Payments: what is good is taken once, and everything else is refused, says why, runs nothing and
//! moves nothing.

use ayni_chain::embedded::LOCAL_CHAIN;
use ayni_types::Amount;
use serde_json::{Value, json};

use crate::support::{BUYER, PRICE, Pay, Place, SELLER, SETTLER, TIMEOUT_S, account, nonce, now_s};

const RICH: u128 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_pay_is_told_how() {
    let place = Place::open(RICH).await;
    let answer = place.post("small", None, b"program".to_vec()).await;
    assert_eq!((answer.status, answer.code()), (402, "payment_required"));
    let required = answer.required.expect("the header says it");
    assert_eq!(required["x402Version"], 2);
    assert_eq!(required["resource"]["url"], format!("{}/run/small", place.url));
    let asked = &required["accepts"][0];
    assert_eq!(asked["scheme"], "exact");
    assert_eq!(asked["network"], format!("eip155:{LOCAL_CHAIN}"));
    assert_eq!(asked["amount"], PRICE.to_string());
    assert_eq!(asked["payTo"], account(SELLER).to_string());
    assert_eq!(asked["asset"], place.money.at.token.to_string());
    assert_eq!(asked["extra"]["name"], "Ayni test money");
    assert_eq!(answer.body["accepts"], required["accepts"]);
    let other = place.post("large", None, Vec::new()).await;
    assert_eq!((other.status, other.code()), (404, "offer_unknown"));
    assert_eq!(place.runs(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_buys_one_run_and_no_second_one() {
    let place = Place::open(RICH).await;
    let pay = place.good();
    let answer = place.buy(&pay).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let of = |name: &str| {
        let text = answer.body[name].as_str().expect(name);
        data_encoding::BASE64.decode(text.as_bytes()).expect(name)
    };
    assert_eq!(of("stdout_base64"), b"program");
    assert_eq!(of("stderr_base64"), b"one two");
    assert_eq!(of("receipt_base64"), b"a receipt");
    assert_eq!(answer.body["outcome"]["fuel"], "7");
    let settlement = answer.settlement.expect("it is settled");
    assert_eq!(settlement["success"], true);
    assert_eq!(settlement["payer"], account(BUYER).to_string());
    assert_eq!(answer.body["settlement"], settlement);
    let tx = settlement["transaction"].as_str().expect("a hash");
    let tx = tx.parse().expect("a hash");
    let receipt = place.money.client.receipt(tx).await.expect("it answers").expect("in a block");
    assert!(receipt.status());
    assert_eq!(receipt.from.into_array(), account(SETTLER).0, "its payer needs no gas");
    assert_eq!(place.money.has(SELLER).await, PRICE);
    assert_eq!(place.money.has(BUYER).await, RICH - PRICE);

    let again = place.buy(&pay).await;
    assert_eq!((again.status, again.code()), (402, "payment_used"));
    let place = place.reopened(|_| ()).await;
    let again = place.buy(&pay).await;
    assert_eq!((again.status, again.code()), (402, "payment_used"), "after a restart");
    // Without the book, the chain knows it.
    let place = place.reopened(|book| std::fs::remove_file(book).expect("removed")).await;
    let again = place.buy(&pay).await;
    assert_eq!((again.status, again.code()), (402, "payment_used"), "without the book");
    assert_eq!(place.runs(), 1);
    assert_eq!(place.money.has(SELLER).await, PRICE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_not_good_is_refused_and_says_why() {
    type Spoil = fn(&mut Pay);
    let cases: [(&str, Spoil, u16, &str); 19] = [
        ("an older version", |p| p.version = 1, 400, "payment_malformed"),
        ("another scheme", |p| p.scheme = "upto".into(), 402, "payment_scheme"),
        ("batches", |p| p.scheme = "batch-settlement".into(), 402, "payment_scheme"),
        ("another chain", |p| p.network = "eip155:1".into(), 402, "payment_network"),
        ("another token", |p| p.asset = account(7).to_string(), 402, "payment_asset"),
        ("another recipient", |p| p.pay_to = account(7).to_string(), 402, "payment_recipient"),
        ("less, as it says", |p| p.amount = (PRICE - 1).to_string(), 402, "payment_amount"),
        ("pays another", |p| p.authorization.to = account(7), 402, "payment_recipient"),
        ("less", |p| p.authorization.value = Amount(PRICE - 1), 402, "payment_amount"),
        ("nothing", |p| p.authorization.value = Amount(0), 402, "payment_amount"),
        ("more", |p| p.authorization.value = Amount(PRICE + 1), 402, "payment_amount"),
        ("over", |p| p.authorization.valid_before_s = now_s() - 1, 402, "payment_time"),
        (
            "over before it could be settled",
            |p| p.authorization.valid_before_s = now_s() + TIMEOUT_S,
            402,
            "payment_time",
        ),
        ("for ever", |p| p.authorization.valid_before_s = u64::MAX, 402, "payment_time"),
        ("not yet", |p| p.authorization.valid_after_s = now_s() + 50, 402, "payment_time"),
        ("signed by another", |p| p.by = 7, 402, "payment_signature"),
        ("signed for a chain", |p| p.domain.chain = 1, 402, "payment_signature"),
        ("signed for a token", |p| p.domain.token = account(7), 402, "payment_signature"),
        (
            "who has nothing",
            |p| {
                p.by = 8;
                p.authorization.from = account(8);
            },
            402,
            "payment_funds",
        ),
    ];
    let place = Place::open(RICH).await;
    for (what, spoil, status, code) in cases {
        let mut pay = place.good();
        spoil(&mut pay);
        let answer = place.buy(&pay).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{what}: {}", answer.body);
        assert!(answer.settlement.is_none(), "{what}");
        if status == 402 {
            let required = answer.required.expect(what);
            let said = required["error"].as_str().expect(what);
            assert!(said.starts_with(code), "{what}: {said}");
            assert!(answer.body["hint"].is_string(), "{what}");
        }
    }
    assert_eq!(place.runs(), 0);
    assert_eq!(place.money.has(BUYER).await, RICH);
    assert_eq!(place.buy(&place.good()).await.status, 200, "and a good one still is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_no_payment_is_refused_as_none() {
    let place = Place::open(RICH).await;
    let base64 = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    let good = place.good().json();
    let with = |path: &[&str], value: Value| {
        let mut json = good.clone();
        let mut at = &mut json;
        for name in path {
            at = &mut at[*name];
        }
        *at = value;
        base64(&json.to_string())
    };
    let signed = |name| ["payload", "authorization", name];
    for header in [
        "rubbish!".to_owned(),
        String::new(),
        base64("rubbish"),
        base64("{}"),
        base64("[]"),
        base64(&"[".repeat(10_000)),
        "A".repeat(15_000),
        with(&["payload"], json!({})),
        with(&["payload", "signature"], json!("0x00")),
        with(&["payload", "signature"], json!("rubbish")),
        with(&signed("from"), json!("0x00")),
        with(&signed("to"), json!(5)),
        with(&signed("value"), json!("-1")),
        with(&signed("value"), json!("+1000")),
        with(&signed("value"), json!("1e3")),
        with(&signed("value"), json!("9".repeat(60))),
        with(&signed("validBefore"), json!("")),
        with(&signed("nonce"), json!("0x00")),
        with(&signed("extra"), json!("what is this")),
        with(&["accepted"], json!(null)),
    ] {
        let answer = place.post("small", Some(header.clone()), b"program".to_vec()).await;
        let shown: String = header.chars().take(60).collect();
        assert_eq!((answer.status, answer.code()), (400, "payment_malformed"), "{shown}");
    }
    assert_eq!(place.runs(), 0);
    assert_eq!(place.money.has(BUYER).await, RICH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_somebody_else_brought_to_the_token_is_used() {
    let place = Place::open(RICH).await;
    let pay = place.good();
    place.money.brings(&pay.authorization, BUYER).await;
    let answer = place.buy(&pay).await;
    assert_eq!((answer.status, answer.code()), (402, "payment_used"));
    assert_eq!(place.runs(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_in_its_other_form_is_refused_by_the_token() {
    // Whoever sees a signature can turn it into another that the curve takes too.
    let place = Place::open(RICH).await;
    let mut json = place.good().json();
    let text = json["payload"]["signature"].as_str().expect("there").to_owned();
    let mut bytes = data_encoding::HEXLOWER.decode(&text.as_bytes()[2..]).expect("hex");
    let order = data_encoding::HEXLOWER
        .decode(b"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
        .expect("hex");
    let mut borrow = 0_i32;
    for at in (0..32).rev() {
        let digit = i32::from(order[at]) - i32::from(bytes[32 + at]) - borrow;
        borrow = i32::from(digit < 0);
        bytes[32 + at] = u8::try_from(digit.rem_euclid(256)).expect("a byte");
    }
    bytes[64] = 27 + 28 - bytes[64];
    let other = format!("0x{}", data_encoding::HEXLOWER.encode(&bytes));
    json["payload"]["signature"] = other.into();
    let header = data_encoding::BASE64.encode(json.to_string().as_bytes());
    let answer = place.post("small", Some(header), b"program".to_vec()).await;
    assert_eq!((answer.status, answer.code()), (402, "payment_refused"), "{}", answer.body);
    assert_eq!(place.runs(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_that_was_cut_off_before_the_chain_heard_of_it_is_not_taken_again() {
    let place = Place::open(RICH).await;
    let pay = place.good();
    let line = json!({
        "payment": pay.id(),
        "time_s": now_s(),
        "offer": "small",
        "amount": PRICE.to_string(),
        "valid_before_s": pay.authorization.valid_before_s,
        "outcome": "",
        "state": "settling",
        "note": "",
    });
    let place =
        place.reopened(|book| std::fs::write(book, format!("{line}\n")).expect("written")).await;
    let answer = place.buy(&pay).await;
    assert_eq!((answer.status, answer.code()), (402, "payment_used"));
    let book = std::fs::read_to_string(&place.book).expect("there");
    assert!(book.lines().last().expect("a line").contains("never reached the chain"), "{book}");
    let mut other = place.good();
    other.authorization.nonce = nonce();
    assert_eq!(place.buy(&other).await.status, 200);
}
