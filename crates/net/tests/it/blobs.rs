//! Blobs: sizes, breaks, restarts, holders that have nothing to give.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ayni_net::{BlobSink, FetchError, HolderError};
use futures_util::future::join_all;

use crate::support::{Folder, Node, bytes, digest, loopback};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_of_every_size_arrive_whole() {
    let (holds, takes) = (Folder::new(), Folder::new());
    let (a, b) = (
        Node::with(loopback(1), Arc::clone(&holds)).await,
        Node::with(loopback(2), Folder::new()).await,
    );
    b.net.learn(a.addr());
    let sizes = [0, 1, 16_383, 16_384, 16_385, MIB / 2 - 1, MIB / 2, MIB / 2 + 1, MIB, 5_000_000];
    for (n, size) in sizes.into_iter().enumerate() {
        for told in [true, false] {
            let contents = bytes(n as u64 * 2 + u64::from(told), size);
            let digest = holds.add(&contents);
            let said = told.then_some(size as u64);
            let fetched = b.fetch(digest, said, &[a.id()], &takes).await.unwrap();
            assert_eq!(fetched.size, size as u64);
            assert_eq!(fetched.failures, []);
            assert!(takes.read(&digest).unwrap() == contents, "{size}");
            let overhead = size as u64 / 128 + 4_096 + 16_384;
            assert!(fetched.received_bytes <= size as u64 + overhead, "{size}: {fetched:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_megabytes_come_from_two_holders() {
    let contents = bytes(1, 200_000_000);
    let (one, two) = (Folder::with(&contents), Folder::with(&contents));
    let (digest, size) = (digest(&contents), contents.len() as u64);
    let (a, b) = (Node::with(loopback(1), one).await, Node::with(loopback(2), two).await);
    let (c, takes) = (Node::start(3).await, Folder::new());
    c.net.learn(a.addr());
    c.net.learn(b.addr());
    let started = std::time::Instant::now();
    let fetched = c.fetch(digest, Some(size), &[a.id(), b.id()], &takes).await.unwrap();
    eprintln!("200 MB in {} ms", started.elapsed().as_millis());
    assert_eq!((fetched.size, fetched.failures.len()), (size, 0));
    assert!(fetched.received_bytes < size + size / 64, "{fetched:?}");
    assert!(takes.read(&digest).unwrap() == contents);
    assert!(!takes.path(&digest, ".proof").exists());
}

/// Fetches from `a` and ends it when a third has come; what was verified then.
async fn break_off(
    c: &Node,
    a: Node,
    others: &[ayni_types::NodeId],
    digest: ayni_types::Digest,
    size: u64,
    takes: &Arc<Folder>,
) -> (Result<ayni_net::FetchOutcome, FetchError>, u64) {
    let (ended, end) = tokio::sync::oneshot::channel();
    let ended = std::sync::Mutex::new(Some(ended));
    let verified = Arc::new(AtomicU64::new(0));
    let holders: Vec<_> = [a.id()].into_iter().chain(others.iter().copied()).collect();
    let seen = Arc::clone(&verified);
    let progress = move |bytes: u64| {
        seen.fetch_max(bytes, Ordering::Relaxed);
        if bytes > size / 3
            && let Some(ended) = ended.lock().unwrap().take()
        {
            let _ = ended.send(());
        }
    };
    let into: Arc<Folder> = Arc::clone(takes);
    let fetch = c.net.fetch_blob(digest, Some(size), &holders, into, &progress);
    let kill = async move {
        end.await.unwrap();
        a.net.shutdown().await;
    };
    let (fetched, ()) = tokio::join!(fetch, kill);
    (fetched, verified.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_is_resumed_from_another_holder_after_a_restart() {
    let contents = bytes(2, 64 * MIB);
    let (digest, size) = (digest(&contents), contents.len() as u64);
    let a = Node::with(loopback(1), Folder::with(&contents)).await;
    let b = Node::with(loopback(2), Folder::with(&contents)).await;
    let takes = Folder::new();
    let c = Node::start(3).await;
    c.net.learn(a.addr());
    let (broken, verified) = break_off(&c, a, &[], digest, size, &takes).await;
    let Err(FetchError::NoHolder { failures, .. }) = broken else { panic!("{broken:?}") };
    assert_eq!(failures.len(), 1);
    assert!(verified > size / 3 && verified < size);
    assert_eq!(takes.held(&digest), None);
    c.net.shutdown().await;

    let c = Node::start(3).await;
    c.net.learn(b.addr());
    let fetched = c.fetch(digest, Some(size), &[b.id()], &takes).await.unwrap();
    let lacking = size - verified;
    assert!(fetched.received_bytes >= lacking, "{lacking}: {fetched:?}");
    assert!(fetched.received_bytes < lacking + lacking / 64 + 16_384, "{lacking}: {fetched:?}");
    assert!(takes.read(&digest).unwrap() == contents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_goes_away_is_replaced_without_fetching_anything_twice() {
    let contents = bytes(3, 64 * MIB);
    let (digest, size) = (digest(&contents), contents.len() as u64);
    let a = Node::with(loopback(1), Folder::with(&contents)).await;
    let b = Node::with(loopback(2), Folder::with(&contents)).await;
    let (c, takes) = (Node::start(3).await, Folder::new());
    c.net.learn(a.addr());
    c.net.learn(b.addr());
    let (gone, other) = (a.id(), b.id());
    let (fetched, _) = break_off(&c, a, &[other], digest, size, &takes).await;
    let fetched = fetched.unwrap();
    assert!(fetched.failures.iter().all(|(node, _)| *node == gone), "{fetched:?}");
    // Nothing but the proofs, and the segment under way at the break, came beside the bytes.
    assert!(fetched.received_bytes < size + size / 64 + 2 * MIB as u64, "{fetched:?}");
    assert!(takes.read(&digest).unwrap() == contents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_to_a_partial_file_is_found_and_fetched_again() {
    let contents = bytes(4, 32 * MIB);
    let (digest, size) = (digest(&contents), contents.len() as u64);
    let a = Node::with(loopback(1), Folder::with(&contents)).await;
    let (c, takes) = (Node::start(3).await, Folder::new());
    c.net.learn(a.addr());
    let (broken, verified) = break_off(&c, a, &[], digest, size, &takes).await;
    assert!(broken.is_err());
    let mut part = std::fs::read(takes.path(&digest, ".part")).unwrap();
    part[100_000] ^= 1;
    std::fs::write(takes.path(&digest, ".part"), part).unwrap();

    let b = Node::with(loopback(2), Folder::with(&contents)).await;
    c.net.learn(b.addr());
    let fetched = c.fetch(digest, Some(size), &[b.id()], &takes).await.unwrap();
    assert!(fetched.received_bytes >= size - verified + 16_384);
    assert!(takes.read(&digest).unwrap() == contents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_fetch_keeps_what_it_had() {
    let contents = bytes(10, 64 * MIB);
    let (digest, size) = (digest(&contents), contents.len() as u64);
    let a = Node::with(loopback(1), Folder::with(&contents)).await;
    let (c, takes) = (Node::start(3).await, Folder::new());
    c.net.learn(a.addr());
    let (from, verified) = ([a.id()], AtomicU64::new(0));
    let enough = tokio::sync::Notify::new();
    let progress = |bytes: u64| {
        verified.fetch_max(bytes, Ordering::Relaxed);
        if bytes > size / 2 {
            enough.notify_one();
        }
    };
    let into: Arc<Folder> = Arc::clone(&takes);
    tokio::select! {
        fetched = c.net.fetch_blob(digest, Some(size), &from, into, &progress) => {
            panic!("too fast: {fetched:?}");
        }
        () = enough.notified() => {}
    }
    let lacking = size - verified.load(Ordering::Relaxed);
    let fetched = c.fetch(digest, Some(size), &from, &takes).await.unwrap();
    assert!(fetched.received_bytes < lacking + lacking / 64 + 16_384, "{lacking}: {fetched:?}");
    assert!(takes.read(&digest).unwrap() == contents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_holder_that_cannot_help_is_named_with_its_reason() {
    let contents = bytes(5, 40_000);
    let digest = digest(&contents);
    let (nothing, refusing, damaged) =
        (Folder::new(), Folder::with(&contents), Folder::with(&contents));
    std::fs::write(damaged.path(&digest, ""), bytes(6, 40_000)).unwrap();
    let (c, takes) = (Node::start(3).await, Folder::new());
    refusing.refused.lock().unwrap().push(c.id());
    let a = Node::with(loopback(11), nothing).await;
    let b = Node::with(loopback(12), refusing).await;
    let d = Node::with(loopback(13), Arc::clone(&damaged)).await;
    let unknown = Node::start(14).await.id();
    for node in [&a, &b, &d] {
        c.net.learn(node.addr());
    }
    let holders = [a.id(), b.id(), d.id(), unknown, c.id()];
    let failed = c.fetch(digest, Some(40_000), &holders, &takes).await.unwrap_err();
    let FetchError::NoHolder { failures, .. } = failed else { panic!("{failed}") };
    let reasons: Vec<_> = failures.iter().map(|(_, error)| error.clone()).collect();
    assert_eq!(reasons[..3], [HolderError::NotHeld, HolderError::Refused, HolderError::Damaged]);
    assert!(matches!(reasons[3], HolderError::Unreachable(_)), "{reasons:?}");
    assert_eq!(reasons[4], HolderError::NotHeld);
    assert_eq!(damaged.damaged.load(Ordering::Relaxed), 1);

    let good = Node::with(loopback(15), Folder::with(&contents)).await;
    c.net.learn(good.addr());
    let fetched = c.fetch(digest, None, &[a.id(), d.id(), good.id()], &takes).await.unwrap();
    assert_eq!(fetched.failures.len(), 2);
    let nobody = c.fetch(crate::support::digest(b"x"), None, &[], &takes).await.unwrap_err();
    assert!(nobody.to_string().contains("nobody is known to hold it"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connected_holder_is_asked_before_one_that_may_not_answer() {
    let contents = bytes(11, 1_000);
    let a = Node::with(loopback(1), Folder::with(&contents)).await;
    let (mut c, takes) = (Node::start(3).await, Folder::new());
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = Node::start(2).await.id();
    let direct = vec![silent.local_addr().unwrap()];
    c.net.learn(ayni_types::NodeAddr { node: nobody, direct, relay: None });
    c.net.keep(a.addr());
    c.until(|event| matches!(event, ayni_net::NetEvent::PeerUp(_))).await;
    let fetched = c.fetch(digest(&contents), None, &[nobody, a.id()], &takes).await.unwrap();
    assert_eq!(fetched.failures, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_the_fault_of_no_holder() {
    let (small, large) = (bytes(7, 1_000), bytes(8, 2 * MIB));
    let holds = Folder::with(&small);
    holds.add(&large);
    let a = Node::with(loopback(1), holds).await;
    let (c, takes) = (Node::start(3).await, Folder::new());
    c.net.learn(a.addr());
    takes.full.store(true, Ordering::Relaxed);
    for contents in [small, large] {
        let failed = c.fetch(digest(&contents), None, &[a.id()], &takes).await.unwrap_err();
        assert!(matches!(failed, FetchError::Store { .. }), "{failed}");
        takes.full.store(false, Ordering::Relaxed);
        assert!(c.fetch(digest(&contents), None, &[a.id()], &takes).await.is_ok());
        takes.full.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_small_blobs_share_one_connection() {
    let holds = Folder::new();
    let blobs: Vec<_> = (0..1_000).map(|n| bytes(n + 1_000, 3_000)).collect();
    let digests: Vec<_> = blobs.iter().map(|blob| holds.add(blob)).collect();
    let a = Node::with(loopback(1), holds).await;
    let (c, takes) = (Node::start(3).await, Folder::new());
    c.net.learn(a.addr());
    let from = [a.id()];
    let fetches = digests.iter().map(|digest| c.fetch(*digest, Some(3_000), &from, &takes));
    for fetched in join_all(fetches).await {
        assert_eq!(fetched.unwrap().failures, []);
    }
    for (digest, blob) in digests.iter().zip(&blobs) {
        assert!(takes.read(digest).unwrap() == *blob);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fetches_of_one_blob_fetch_it_once() {
    let contents = bytes(9, 4 * MIB);
    let (digest, size) = (digest(&contents), contents.len() as u64);
    let a = Node::with(loopback(1), Folder::with(&contents)).await;
    let (c, takes) = (Node::start(3).await, Folder::new());
    c.net.learn(a.addr());
    let from = [a.id()];
    let fetches = (0..2).map(|_| c.fetch(digest, Some(size), &from, &takes));
    let mut received = 0;
    for fetched in join_all(fetches).await {
        let fetched = fetched.unwrap();
        assert_eq!(fetched.size, size);
        received += fetched.received_bytes;
    }
    assert!(received < size + size / 32, "{received}");
}
