//! Runs: who gets no outcome pays nothing, and who does not pay gets no outcome.

use ayni_x402::RunError;

use crate::support::{Act, BUYER, PRICE, Place, SELLER};

const RICH: u128 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_comes_to_nothing_is_not_charged() {
    let place = Place::open(RICH).await;
    let pay = place.good();
    for (error, status, code) in [
        (RunError::Refused("it is no program".to_owned()), 422, "run_refused"),
        (RunError::Failed("nobody is there".to_owned()), 502, "run_failed"),
        (RunError::TimedOut(60), 504, "run_timed_out"),
    ] {
        place.act(Act::Fail(error.clone())).await;
        let answer = place.buy(&pay).await;
        assert_eq!((answer.status, answer.code()), (status, code));
        let said = answer.body["error"]["message"].as_str().expect("a sentence");
        assert_eq!(said, error.to_string());
    }
    assert_eq!(place.money.has(BUYER).await, RICH);
    place.act(Act::Echo).await;
    assert_eq!(place.buy(&pay).await.status, 200, "the payment is still good");
    assert_eq!(place.money.has(SELLER).await, PRICE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_or_arguments_beyond_the_offer_are_refused_and_not_charged() {
    let place = Place::open(RICH).await;
    for (path, bytes, status, code) in [
        ("small", 1_001, 413, "body_bad"),
        ("small?env=1", 10, 400, "request_bad"),
        ("small?arg=%ff", 10, 400, "request_bad"),
    ] {
        let answer = place.post(path, Some(place.good().header()), vec![0; bytes]).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
    }
    assert_eq!((place.runs(), place.money.has(BUYER).await), (0, RICH));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_money_goes_while_its_program_runs_gets_nothing_and_is_barred() {
    let place = Place::open(RICH).await;
    place.act(Act::Rob).await;
    for _ in 0..3 {
        let has = place.money.has(BUYER).await;
        if has == 0 {
            place.money.pays(SELLER + 1, BUYER, RICH).await;
        }
        let answer = place.buy(&place.good()).await;
        assert_eq!((answer.status, answer.code()), (402, "settlement_failed"));
        assert!(answer.body.get("outcome").is_none() && answer.body.get("stdout_base64").is_none());
    }
    place.money.pays(SELLER + 1, BUYER, RICH).await;
    let answer = place.buy(&place.good()).await;
    assert_eq!((answer.status, answer.code()), (403, "payer_barred"));
    assert_eq!((place.runs(), place.money.has(SELLER).await), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_before_the_end_is_not_charged() {
    let place = Place::open(RICH).await;
    place.act(Act::Wait).await;
    {
        let bought = place.good();
        let buying = place.buy(&bought);
        tokio::select! {
            answer = buying => panic!("{answer:?}"),
            begun = place.node.0.begun.acquire() => begun.expect("open").forget(),
        }
    }
    place.node.0.dropped.notified().await;
    assert_eq!(place.money.has(BUYER).await, RICH);
    place.act(Act::Echo).await;
    assert_eq!(place.buy(&place.good()).await.status, 200, "once is forgiven");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_hand_counts_and_only_so_much_is_in_hand() {
    // Money for one run, and two places.
    let place = Place::open(PRICE).await;
    place.act(Act::Wait).await;
    let pay = place.good();
    let first = place.buy(&pay);
    let others = async {
        place.node.0.begun.acquire().await.expect("open").forget();
        let same = place.buy(&pay).await;
        assert_eq!((same.status, same.code()), (402, "payment_used"), "the same, meanwhile");
        let second = place.buy(&place.good()).await;
        assert_eq!((second.status, second.code()), (402, "payment_funds"), "{}", second.body);
        place.node.0.go_on.add_permits(1);
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first.status, 200);
    assert_eq!((place.runs(), place.money.has(SELLER).await), (1, PRICE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_runs_than_there_are_places_are_asked_to_come_again() {
    let place = Place::open(RICH).await;
    place.act(Act::Wait).await;
    let (one, two) = (place.good(), place.good());
    let others = async {
        place.node.0.begun.acquire_many(2).await.expect("open").forget();
        let third = place.buy(&place.good()).await;
        assert_eq!((third.status, third.code()), (503, "busy"));
        place.node.0.go_on.add_permits(2);
    };
    let (one, two, ()) = tokio::join!(place.buy(&one), place.buy(&two), others);
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(place.money.has(SELLER).await, 2 * PRICE);
}
