//! Reaching each other without a direct path or an address: through an own relay, on a LAN.

use ayni_net::{NetConfig, NetError, NetEvent, Path};
use ayni_types::NodeAddr;

use crate::support::{Folder, HANG, Node, bytes, digest, loopback, number_of, numbered};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_without_direct_paths_meet_at_a_relay() {
    let serve_relay = Some("127.0.0.1:0".parse().unwrap());
    let relay = Node::with(NetConfig { serve_relay, ..loopback(1) }, Folder::new()).await;
    let url = format!("http://{}", relay.net.relay_addr().unwrap());
    let hidden = |seed| NetConfig { relay_urls: vec![url.clone()], ..NetConfig::new([seed; 32]) };
    let contents = bytes(1, 2_000_000);
    let mut a = Node::with(hidden(2), Folder::with(&contents)).await;
    let mut b = Node::with(hidden(3), Folder::new()).await;
    for node in [&a, &b] {
        tokio::time::timeout(HANG, node.net.online()).await.expect("a relay");
    }
    let addr = a.addr();
    assert!(addr.direct.is_empty(), "{addr:?}");
    assert_eq!(addr.relay.as_deref().map(|r| r.trim_end_matches('/')), Some(url.as_str()));

    b.net.learn(NodeAddr { node: a.id(), direct: vec![], relay: Some(url.clone()) });
    b.net.send(a.id(), numbered(1));
    let (from, message) = a.message().await;
    assert_eq!((from, number_of(&message)), (b.id(), 1));
    a.net.send(from, numbered(2));
    assert_eq!(number_of(&b.message().await.1), 2);
    let status = b.net.peers();
    assert!(matches!(&status[0].path, Path::Relay(via) if via.starts_with(&url)), "{status:?}");

    let takes = Folder::new();
    let fetched = b.fetch(digest(&contents), None, &[a.id()], &takes).await.unwrap();
    assert_eq!(fetched.size, 2_000_000);
    assert!(takes.read(&digest(&contents)).unwrap() == contents);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_serves_its_own_node_too() {
    let serve_relay = Some("127.0.0.1:0".parse().unwrap());
    let mut relay = Node::with(NetConfig { serve_relay, ..loopback(1) }, Folder::new()).await;
    tokio::time::timeout(HANG, relay.net.online()).await.expect("its own relay");
    let url = relay.addr().relay.expect("its own relay");
    let hidden = NetConfig { relay_urls: vec![url], ..NetConfig::new([2; 32]) };
    let a = Node::with(hidden, Folder::new()).await;
    a.net.learn(NodeAddr { direct: vec![], ..relay.addr() });
    a.net.send(relay.id(), numbered(9));
    assert_eq!(number_of(&relay.message().await.1), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_configuration_fails_before_anything_runs() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let cases = [
        NetConfig { relay_urls: vec!["not a url".to_owned()], ..loopback(1) },
        NetConfig { serve_relay: Some(taken.local_addr().unwrap()), ..loopback(1) },
        NetConfig { bind: vec![taken_udp.local_addr().unwrap()], ..loopback(1) },
    ];
    let expected = ["`not a url`", "can't serve a relay on 127.0.0.1", "127.0.0.1"];
    for (config, expected) in cases.into_iter().zip(expected) {
        let failed: Result<_, NetError> = ayni_net::Net::start(config, Folder::new()).await;
        let error = failed.err().expect(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// Whether this machine has an interface that multicast could leave by.
fn multicast_is_possible() -> bool {
    const UP: u32 = 1;
    const LOOPBACK: u32 = 8;
    const MULTICAST: u32 = 0x1000;
    let Ok(interfaces) = std::fs::read_dir("/sys/class/net") else { return false };
    interfaces.flatten().any(|interface| {
        let flags = std::fs::read_to_string(interface.path().join("flags")).unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
        flags & (UP | LOOPBACK | MULTICAST) == UP | MULTICAST
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_on_one_lan_find_each_other() {
    if !multicast_is_possible() {
        eprintln!("skipped: no interface of this machine does multicast");
        return;
    }
    let lan = |seed| NetConfig { mdns: true, ..loopback(seed) };
    let mut a = Node::with(lan(71), Folder::new()).await;
    let mut b = Node::with(lan(72), Folder::new()).await;
    let wanted = b.id();
    a.until(|event| matches!(event, NetEvent::Discovered(addr) if addr.node == wanted)).await;
    a.net.send(b.id(), numbered(4));
    assert_eq!(number_of(&b.message().await.1), 4);
}
