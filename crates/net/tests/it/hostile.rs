//! Peers that don't keep to the protocol: each speaks QUIC properly and then misbehaves.

use std::sync::Arc;
use std::time::Duration;

use ayni_net::{BLOB_ALPN, FetchError, HolderError, MESSAGE_ALPN, NetEvent, Undeliverable};
use ayni_types::{Digest, NodeAddr, NodeId};
use ayni_wire::encode;
use iroh::endpoint::{Connection, ConnectionError, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, SecretKey};

use crate::support::{Folder, HANG, Node, bytes, digest, loopback, number_of, numbered};

async fn endpoint(seed: u8) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[seed; 32]))
        .alpns(vec![MESSAGE_ALPN.to_vec(), BLOB_ALPN.to_vec()])
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap()
}

fn id(endpoint: &Endpoint) -> NodeId {
    NodeId(*endpoint.id().as_bytes())
}

fn addr(endpoint: &Endpoint) -> NodeAddr {
    NodeAddr { node: id(endpoint), direct: endpoint.bound_sockets(), relay: None }
}

async fn dial(endpoint: &Endpoint, node: &Node, alpn: &[u8]) -> Connection {
    let mut to = EndpointAddr::new(EndpointId::from_bytes(&node.id().0).unwrap());
    for direct in node.addr().direct {
        to = to.with_ip_addr(direct);
    }
    endpoint.connect(to, alpn).await.unwrap()
}

/// The number and the text with which the other side closed.
async fn closed(connection: &Connection) -> (u64, String) {
    match tokio::time::timeout(HANG, connection.closed()).await.expect("to be closed") {
        ConnectionError::ApplicationClosed(close) => {
            (close.error_code.into_inner(), String::from_utf8_lossy(&close.reason).into_owned())
        }
        other => panic!("closed otherwise: {other}"),
    }
}

fn frame(number: u64, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_le_bytes();
    [&length[..], &number.to_le_bytes(), message].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_frame_closes_with_a_reason_and_counts() {
    let mut node = Node::start(1).await;
    let peer = endpoint(2).await;
    let oversize = [&u32::MAX.to_le_bytes()[..], &[0; 8]].concat();
    let mut trailing = encode(&numbered(1));
    trailing.push(0);
    let cases = [
        ("oversize", oversize, 3, "4294967295"),
        ("garbage", frame(1, b"\xff\xff\xff"), 2, "malformed"),
        ("not canonical", frame(1, &trailing), 2, "canonical"),
        ("empty", frame(1, b""), 2, "malformed"),
    ];
    for (what, bytes, code, reason) in cases {
        let connection = dial(&peer, &node, MESSAGE_ALPN).await;
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(&[&7_u64.to_le_bytes()[..], &bytes].concat()).await.unwrap();
        let (closed_with, text) = closed(&connection).await;
        assert_eq!(closed_with, code, "{what}: {text}");
        assert!(text.contains(reason), "{what}: {text}");
        node.until(|event| matches!(event, NetEvent::PeerDown(_))).await;
    }
    // Four times is enough.
    let connection = dial(&peer, &node, MESSAGE_ALPN).await;
    assert_eq!(closed(&connection).await.0, 5);
    node.net.send(id(&peer), numbered(1));
    let refused = node.event().await;
    let NetEvent::Undelivered { reason, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(reason, Undeliverable::Refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_and_late_numbers_are_dropped() {
    let mut node = Node::start(1).await;
    let peer = endpoint(2).await;
    let connection = dial(&peer, &node, MESSAGE_ALPN).await;
    let mut stream = connection.open_uni().await.unwrap();
    let mut sent = 7_u64.to_le_bytes().to_vec();
    for number in [1, 1, 3, 2, 3, 4] {
        sent.extend(frame(number, &encode(&numbered(number))));
    }
    stream.write_all(&sent).await.unwrap();
    for number in [1, 3, 4] {
        assert_eq!(number_of(&node.message().await.1), number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_frame_and_silence_disturb_nobody() {
    let mut node = Node::start(1).await;
    let peer = endpoint(2).await;
    let connection = dial(&peer, &node, MESSAGE_ALPN).await;
    let mut stream = connection.open_uni().await.unwrap();
    stream.write_all(&[&7_u64.to_le_bytes()[..], &[0xff, 0, 0]].concat()).await.unwrap();
    let _silent = dial(&peer, &node, BLOB_ALPN).await;
    let honest = Node::start(3).await;
    honest.net.learn(node.addr());
    honest.net.send(node.id(), numbered(5));
    assert_eq!(number_of(&node.message().await.1), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_closes_the_connection() {
    let node = Node::start(1).await;
    let no_range = [&[0; 32][..], &5_u64.to_le_bytes(), &9_u64.to_le_bytes()].concat();
    for (seed, request) in [(2, vec![1, 2, 3]), (3, vec![0; 1_000]), (4, no_range)] {
        let peer = endpoint(seed).await;
        let connection = dial(&peer, &node, BLOB_ALPN).await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&request).await.unwrap();
        send.finish().unwrap();
        assert_eq!(closed(&connection).await.0, 2, "{request:?}");
    }
}

/// How a hostile holder answers: what follows the size, by the start that was asked for.
type Answer = Arc<dyn Fn(u64) -> (u64, Vec<u8>) + Send + Sync>;

/// Serves every request with whatever `answer` says.
fn hold(endpoint: Endpoint, answer: Answer) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let Ok(connection) = incoming.await else { continue };
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    let request = receive.read_to_end(48).await.unwrap();
                    let start = u64::from_le_bytes(request[32..40].try_into().unwrap());
                    let (size, rest) = answer(start);
                    let head = [&[0][..], &size.to_le_bytes(), &rest].concat();
                    // The other side may have seen enough.
                    let _ = send.write_all(&head).await;
                    let _ = send.finish();
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
        }
    })
}

async fn fetch_from_liar(
    seed: u8,
    contents: &[u8],
    answer: Answer,
) -> (HolderError, ayni_net::FetchOutcome) {
    let (digest, size) = (digest(contents), contents.len() as u64);
    let liar = endpoint(seed).await;
    let (good, node) =
        (Node::with(loopback(seed + 1), Folder::with(contents)).await, Node::start(seed + 2).await);
    node.net.learn(addr(&liar));
    node.net.learn(good.addr());
    let lying = id(&liar);
    let task = hold(liar, answer);

    let takes = Folder::new();
    let alone = node.fetch(digest, Some(size), &[lying], &takes).await.unwrap_err();
    let FetchError::NoHolder { mut failures, .. } = alone else { panic!("{alone}") };
    assert_eq!(failures.len(), 1);
    assert!(takes.read(&digest).is_none());

    let takes = Folder::new();
    let fetched = node.fetch(digest, Some(size), &[lying, good.id()], &takes).await.unwrap();
    assert!(takes.read(&digest).unwrap() == contents);
    assert!(fetched.failures.iter().all(|(node, _)| *node == lying));
    task.abort();
    (failures.remove(0).1, fetched)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_instead_of_a_blob_is_named_and_the_next_holder_used() {
    for (seed, size) in [(20, 1_000), (30, 100_000), (40, 3_000_000)] {
        let contents = bytes(u64::from(seed), size);
        let answer: Answer = Arc::new(move |_| {
            let garbage = bytes(99, size.min(500_000));
            (size as u64, frame_of_segment(&garbage))
        });
        let (error, fetched) = fetch_from_liar(seed, &contents, answer).await;
        assert!(matches!(error, HolderError::Lied { .. }), "{size}: {error:?}");
        assert_eq!(fetched.failures.len(), 1, "{size}");
    }
}

fn frame_of_segment(encoded: &[u8]) -> Vec<u8> {
    [&u32::try_from(encoded.len()).unwrap().to_le_bytes()[..], encoded].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_lies_are_told_apart() {
    let contents = bytes(50, 1_000_000);
    type Case = (&'static str, Answer, fn(&HolderError) -> bool);
    let cases: [Case; 5] = [
        ("another size", Arc::new(|_| (1_000_001, vec![])), |e| {
            matches!(e, HolderError::WrongSize { said: 1_000_001, expected: 1_000_000 })
        }),
        ("an absurd size", Arc::new(|_| (u64::MAX, vec![])), |e| {
            matches!(e, HolderError::WrongSize { .. })
        }),
        ("a segment over the limit", Arc::new(|_| (1_000_000, vec![0xff; 8])), |e| {
            matches!(e, HolderError::Protocol(_))
        }),
        ("an empty segment", Arc::new(|_| (1_000_000, vec![0; 4])), |e| {
            matches!(e, HolderError::Lied { .. })
        }),
        ("nothing more", Arc::new(|_| (1_000_000, vec![])), |e| {
            matches!(e, HolderError::Broken(_))
        }),
    ];
    for (n, (what, answer, is_right)) in (0_u8..).zip(cases) {
        let (error, _) = fetch_from_liar(60 + 10 * n, &contents, answer).await;
        assert!(is_right(&error), "{what}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absurd_size_of_a_blob_of_unknown_size_reserves_nothing() {
    let node = Node::start(1).await;
    let liar = endpoint(2).await;
    node.net.learn(addr(&liar));
    let from = [id(&liar)];
    let _task = hold(liar, Arc::new(|_| (u64::MAX, vec![])));
    let takes = Folder::new();
    let failed = node.fetch(Digest([3; 32]), None, &from, &takes).await.unwrap_err();
    let FetchError::NoHolder { failures, .. } = failed else { panic!("{failed}") };
    assert!(matches!(failures[0].1, HolderError::TooLarge { .. }), "{failures:?}");
    assert!(!takes.path(&Digest([3; 32]), ".part").exists());
}
