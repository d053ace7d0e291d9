//! Messages between nodes: order, simultaneous dials, restarts, what can't be delivered.

use std::io::BufRead as _;
use std::process::{Command, Stdio};

use ayni_net::{NetEvent, Path, Undeliverable};
use ayni_types::limits::MESSAGE_BYTES_MAX;
use ayni_types::{LeaseId, NodeAddr, NodeId};
use ayni_wire::Message;

use crate::support::{Folder, Node, loopback, number_of, numbered};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_arrive_in_order() {
    let (a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.net.learn(b.addr());
    for number in 0..10_000 {
        a.net.send(b.id(), numbered(number));
    }
    assert_eq!(b.event().await, NetEvent::PeerUp(a.id()));
    for number in 0..10_000 {
        let (from, message) = b.message().await;
        assert_eq!((from, number_of(&message)), (a.id(), number));
    }
    let status = a.net.peers();
    assert_eq!(status.len(), 1);
    assert_eq!(status[0].node, b.id());
    assert!(matches!(status[0].path, Path::Direct(addr) if addr.ip().is_loopback()));
    assert!(status[0].bytes_out > 10_000 * 20, "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_needs_no_address() {
    let (mut a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.net.learn(b.addr());
    a.net.send(b.id(), numbered(1));
    let (from, _) = b.message().await;
    b.net.send(from, numbered(2));
    assert_eq!(number_of(&a.message().await.1), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_dial_at_once_and_nothing_is_lost() {
    for round in 0..10 {
        let (mut a, mut b) = (Node::start(10 + round).await, Node::start(100 + round).await);
        a.net.learn(b.addr());
        b.net.learn(a.addr());
        for number in 0..200 {
            a.net.send(b.id(), numbered(number));
            b.net.send(a.id(), numbered(number));
        }
        for number in 0..200 {
            assert_eq!(number_of(&a.message().await.1), number, "round {round}");
            assert_eq!(number_of(&b.message().await.1), number, "round {round}");
        }
        assert_eq!(a.net.peers().len(), 1);
        a.net.shutdown().await;
        b.net.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_delivered_comes_back_with_the_reason() {
    let mut a = Node::start(1).await;
    let large = Message::Ping { leases: vec![LeaseId([7; 16]); MESSAGE_BYTES_MAX / 16] };
    let stranger = Node::start(9).await.id();
    let no_key = NodeId([0xff; 32]);
    type Case = (&'static str, NodeId, Message, fn(&Undeliverable) -> bool);
    let cases: [Case; 4] = [
        ("no address", stranger, numbered(1), |r| matches!(r, Undeliverable::Unreachable(_))),
        ("no key", no_key, numbered(2), |r| matches!(r, Undeliverable::Unreachable(_))),
        ("too long", stranger, large, |r| matches!(r, Undeliverable::TooLong { .. })),
        ("itself", a.id(), numbered(3), |r| *r == Undeliverable::Myself),
    ];
    for (what, to, message, is_right) in cases {
        a.net.send(to, message.clone());
        let NetEvent::Undelivered { to: whom, message: which, reason } = a.event().await else {
            panic!("{what}: not undelivered");
        };
        assert_eq!((whom, which), (to, message), "{what}");
        assert!(is_right(&reason), "{what}: {reason:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_answer_costs_a_bounded_queue() {
    let mut a = Node::start(1).await;
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let b = Node::start(2).await.id();
    let direct = vec![silent.local_addr().unwrap()];
    a.net.learn(NodeAddr { node: b, direct, relay: None });
    let large = Message::Ping { leases: vec![LeaseId([7; 16]); 50_000] };
    for _ in 0..40 {
        a.net.send(b, large.clone());
    }
    let (mut refused, mut unreachable) = (0, 0);
    while refused + unreachable < 40 {
        match a.event().await {
            NetEvent::Undelivered { reason: Undeliverable::QueueFull { .. }, .. } => refused += 1,
            NetEvent::Undelivered { reason: Undeliverable::Unreachable(_), .. } => unreachable += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused >= 18 && unreachable >= 10, "{refused} refused, {unreachable} unreachable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_listen_holds_its_peer_back_and_loses_nothing() {
    let (mut a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.net.learn(b.addr());
    let large = |number: u64| {
        let Message::Ping { mut leases } = numbered(number) else { unreachable!() };
        leases.resize(50_000, LeaseId([7; 16]));
        Message::Ping { leases }
    };
    let (mut sent, mut refused) = (0, 0);
    while refused == 0 {
        assert!(sent < 1_000, "no limit");
        a.net.send(b.id(), large(sent));
        sent += 1;
        while let Ok(event) = a.events.try_recv() {
            refused += u64::from(matches!(event, NetEvent::Undelivered { .. }));
        }
        tokio::task::yield_now().await;
    }
    a.net.send(b.id(), numbered(u64::MAX));
    let (mut arrived, mut next) = (0, 0);
    loop {
        let number = number_of(&b.message().await.1);
        if number == u64::MAX {
            break;
        }
        assert!(number >= next, "{number} after {next}");
        next = number + 1;
        arrived += 1;
    }
    while arrived + refused < sent {
        a.until(|event| matches!(event, NetEvent::Undelivered { .. })).await;
        refused += 1;
    }
    assert_eq!(arrived + refused, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_is_recognised_and_talks_at_once() {
    let (mut a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.net.learn(b.addr());
    a.net.send(b.id(), numbered(1));
    a.until(|event| matches!(event, NetEvent::PeerUp(_))).await;
    assert_eq!(number_of(&b.message().await.1), 1);
    drop(b);
    let mut b = Node::start(2).await;
    b.net.learn(a.addr());
    b.net.send(a.id(), numbered(2));
    let mut seen = Vec::new();
    loop {
        match a.event().await {
            NetEvent::Message { message, .. } => {
                assert_eq!(number_of(&message), 2);
                break;
            }
            event => seen.push(event),
        }
    }
    assert_eq!(seen, [NetEvent::PeerDown(b.id()), NetEvent::PeerUp(b.id())]);
    a.net.send(b.id(), numbered(3));
    assert_eq!(number_of(&b.message().await.1), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_queued_while_a_peer_is_away_reaches_its_successor() {
    let (mut a, mut b) = (Node::start(1).await, Node::start(2).await);
    a.net.learn(b.addr());
    a.net.send(b.id(), numbered(1));
    a.until(|event| matches!(event, NetEvent::PeerUp(_))).await;
    assert_eq!(number_of(&b.message().await.1), 1);
    b.net.shutdown().await;
    a.until(|event| matches!(event, NetEvent::PeerDown(_))).await;
    let mut b = Node::start(2).await;
    a.net.learn(b.addr());
    a.net.send(b.id(), numbered(2));
    assert_eq!(number_of(&b.message().await.1), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_is_made_without_a_message_and_made_again() {
    let (mut a, b) = (Node::start(1).await, Node::start(2).await);
    a.net.keep(b.addr());
    assert_eq!(a.event().await, NetEvent::PeerUp(b.id()));
    b.net.shutdown().await;
    assert_eq!(a.event().await, NetEvent::PeerDown(b.id()));
    drop(b);
    let b = Node::start(2).await;
    a.net.learn(b.addr());
    assert_eq!(a.event().await, NetEvent::PeerUp(b.id()));
}

/// Not a test: the peer that the next one kills, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    if std::env::var_os("AYNI_NET_TEST_CHILD").is_none() {
        return;
    }
    let mut node = Node::start(2).await;
    println!("\nlistening {}", node.addr().direct[0]);
    loop {
        let (from, message) = node.message().await;
        node.net.send(from, message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_peer_is_noticed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "messages::child_that_is_killed", "--nocapture"])
        .env("AYNI_NET_TEST_CHILD", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map(|l| l.unwrap()).find(|l| l.starts_with("listening ")).unwrap();
    let addr = line.trim_start_matches("listening ").parse().unwrap();

    let mut a = Node::with(loopback(1), Folder::new()).await;
    let id = Node::start(2).await.id();
    a.net.learn(NodeAddr { node: id, direct: vec![addr], relay: None });
    a.net.send(id, numbered(7));
    assert_eq!(number_of(&a.message().await.1), 7);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = std::time::Instant::now();
    assert_eq!(a.event().await, NetEvent::PeerDown(id));
    eprintln!("noticed after {} ms", killed.elapsed().as_millis());
    assert!(a.net.peers().is_empty());
}
