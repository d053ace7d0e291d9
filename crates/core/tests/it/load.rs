//! Prices that follow the load.

use ayni_core::{Command, Event};
use ayni_types::{Amount, Price, Time};
use ayni_wire::{Message, NodeKey, Signed};

use crate::stage::{Stage, honest, job, never};

/// Per gigafuel: what is offered to the asker, and what its leases say.
fn prices(stage: &mut Stage) -> (Vec<u128>, Vec<u128>) {
    stage.command(0, Command::RefreshOffers);
    let core = &stage.actors[0].core;
    let of = |price: &Price| price.per_gigafuel.0;
    let offers = core.offers().iter().map(|view| of(&view.offer.price)).collect();
    (offers, core.leases().iter().filter(|l| !l.we_provide).map(|l| of(&l.price)).collect())
}

fn stage() -> Stage {
    let mut stage = Stage::new(&[]);
    stage.busy_percent = 50;
    stage
}

#[test]
fn the_offer_follows_the_leases_and_they_keep_their_price() {
    let mut stage = stage();
    stage.enter("ann", honest, true);
    assert_eq!(prices(&mut stage), (vec![1_000_000], vec![]));
    stage.command(0, Command::SubmitJob(job(1, &["compiles"])));
    stage.pass(2_000);
    assert_eq!(prices(&mut stage), (vec![1_250_000], vec![1_000_000]), "one slot of two");
    stage.command(0, Command::SubmitJob(job(2, &["compiles"])));
    stage.pass(4_000);
    assert_eq!(prices(&mut stage), (vec![1_500_000], vec![1_000_000, 1_250_000]));
    assert_eq!(stage.actors[1].core.provider().price.per_gigafuel, Amount(1_500_000));
    stage.compiled();
    stage.pass(20_000);
    assert_eq!(prices(&mut stage), (vec![1_000_000], vec![]), "idle again");
}

#[test]
fn who_asks_for_the_price_of_yesterday_is_refused_and_told_the_new_one() {
    let mut stage = stage();
    stage.enter("ann", never, true);
    stage.command(0, Command::SubmitJob(job(1, &["a"])));
    stage.pass(2_000);
    let lease = stage.actors[0].core.leases().pop().expect("one lease");
    assert_eq!(lease.price.per_gigafuel, Amount(1_000_000));
    // The same lease again, under another id, by somebody who was not told.
    let ask = stage.asks.last().expect("it was asked").clone();
    let (now, key) = (stage.now, NodeKey::from_secret(&[77; 32]));
    let mut body = ask;
    body.requester = key.id();
    body.issued = now;
    body.expires = Time(now.0 + 60_000);
    body.id.0[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
    for (price, granted) in [(1_249_999, false), (1_250_000, true)] {
        body.price.per_gigafuel = Amount(price);
        let signature = key.sign(&Signed::message(&body));
        let message = Message::LeaseAsk(Signed { body: body.clone(), signature });
        let before = stage.actors[1].core.leases().len();
        stage.actors[1].core.handle(now, Event::Message { from: key.id(), message });
        stage.settle();
        let after = stage.actors[1].core.leases().len();
        assert_eq!(after > before, granted, "{price}");
    }
}

#[test]
fn work_is_billed_by_the_lease_whatever_is_asked_since() {
    let mut stage = stage();
    stage.enter("ann", honest, true);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b", "c", "d"])));
    stage.pass(20_000);
    let view = stage.actors[0].core.job(ayni_types::JobId([1; 16])).expect("there");
    assert_eq!((view.counts.accepted, view.billed), (4, Amount(4_000)));
}
