//! The address book: where a node may be reached. Hints only: whoever answers must prove its key,
//! so a wrong address costs a dial, never trust.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Mutex;

use ayni_types::limits::ADDRESSES_MAX;
use ayni_types::{NodeAddr, NodeId};
use iroh::{EndpointAddr, EndpointId, RelayUrl};

use crate::limits::{ADDRESS_BOOK_MAX, RELAY_URL_BYTES_MAX};
use crate::lock;

/// Addresses by node; the least recently learned node is forgotten when it is full.
#[derive(Default)]
pub(crate) struct AddressBook(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_node: HashMap<NodeId, Entry>,
    by_age: BTreeMap<u64, NodeId>,
    clock: u64,
}

struct Entry {
    direct: Vec<SocketAddr>,
    relay: Option<RelayUrl>,
    age: u64,
}

impl AddressBook {
    /// Adds what is said about a node. The newest addresses come first; old ones stay while there
    /// is room, as a node may be reachable at several.
    pub(crate) fn learn(&self, addr: &NodeAddr) {
        let relay = addr.relay.as_deref().filter(|url| url.len() <= RELAY_URL_BYTES_MAX);
        let relay = relay.and_then(|url| url.parse::<RelayUrl>().ok());
        let relay = relay.filter(|url| matches!(url.scheme(), "http" | "https"));
        let entries = &mut *lock(&self.0);
        entries.clock += 1;
        let age = entries.clock;
        let entry = entries.by_node.entry(addr.node).or_insert_with(|| Entry {
            direct: Vec::new(),
            relay: None,
            age,
        });
        entries.by_age.remove(&entry.age);
        entries.by_age.insert(age, addr.node);
        entry.age = age;
        let mut direct: Vec<SocketAddr> = Vec::with_capacity(ADDRESSES_MAX);
        for hint in addr.direct.iter().take(ADDRESSES_MAX).chain(&entry.direct) {
            let ip = hint.ip();
            let usable = hint.port() != 0 && !ip.is_unspecified() && !ip.is_multicast();
            if usable && !direct.contains(hint) && direct.len() < ADDRESSES_MAX {
                direct.push(*hint);
            }
        }
        entry.direct = direct;
        entry.relay = relay.or(entry.relay.take());
        if entries.by_node.len() > ADDRESS_BOOK_MAX
            && let Some((_, oldest)) = entries.by_age.pop_first()
        {
            entries.by_node.remove(&oldest);
        }
    }

    /// What to dial; `None` if the id is no public key.
    pub(crate) fn endpoint(&self, node: NodeId) -> Option<EndpointAddr> {
        let mut addr = EndpointAddr::new(EndpointId::from_bytes(&node.0).ok()?);
        if let Some(entry) = lock(&self.0).by_node.get(&node) {
            for direct in &entry.direct {
                addr = addr.with_ip_addr(*direct);
            }
            if let Some(relay) = &entry.relay {
                addr = addr.with_relay_url(relay.clone());
            }
        }
        Some(addr)
    }
}

/// The id of the other side of a connection.
pub(crate) fn node_id(id: EndpointId) -> NodeId {
    NodeId(*id.as_bytes())
}

/// An address as it travels.
pub(crate) fn node_addr(addr: &EndpointAddr) -> NodeAddr {
    NodeAddr {
        node: node_id(addr.id),
        direct: addr.ip_addrs().copied().take(ADDRESSES_MAX).collect(),
        relay: addr.relay_urls().next().map(ToString::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(node: NodeId, ports: std::ops::Range<u16>) -> NodeAddr {
        let direct = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        NodeAddr { node, direct, relay: Some("http://127.0.0.1:3340".to_owned()) }
    }

    #[test]
    fn the_newest_addresses_win_and_useless_ones_are_dropped() {
        let node = NodeId(*iroh::SecretKey::from_bytes(&[1; 32]).public().as_bytes());
        let book = AddressBook::default();
        assert!(book.endpoint(node).unwrap().is_empty());
        book.learn(&addr(node, 0..10));
        assert_eq!(book.endpoint(node).unwrap().ip_addrs().count(), 9);
        book.learn(&addr(node, 100..1_000));
        let known = book.endpoint(node).unwrap();
        assert_eq!(known.ip_addrs().count(), ADDRESSES_MAX);
        assert!(known.ip_addrs().all(|a| a.port() >= 100));
        let long = format!("http://{}", "a".repeat(RELAY_URL_BYTES_MAX));
        for bad in ["not a url", "file:///etc/passwd", &long] {
            let direct = vec!["224.0.0.1:53".parse().unwrap(), "0.0.0.0:53".parse().unwrap()];
            book.learn(&NodeAddr { node, direct, relay: Some(bad.to_owned()) });
        }
        let known = book.endpoint(node).unwrap();
        assert_eq!(known.relay_urls().count(), 1);
        assert!(known.relay_urls().all(|url| url.as_str() == "http://127.0.0.1:3340/"));
        assert!(known.ip_addrs().all(|a| a.ip().is_loopback()));
    }

    #[test]
    fn a_full_book_forgets_the_oldest() {
        let book = AddressBook::default();
        for n in 0..=ADDRESS_BOOK_MAX {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_le_bytes());
            book.learn(&NodeAddr { node: NodeId(id), direct: vec![], relay: None });
        }
        let entries = lock(&book.0);
        assert_eq!(entries.by_node.len(), ADDRESS_BOOK_MAX);
        assert_eq!(entries.by_age.len(), ADDRESS_BOOK_MAX);
        assert!(!entries.by_node.contains_key(&NodeId([0; 32])));
    }
}
