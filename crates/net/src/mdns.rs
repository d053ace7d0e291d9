//! Discovery on a local network by multicast DNS: nodes on one LAN find each other with no server
//! and no configuration. What it says is a hint like any other address.

use std::sync::Weak;

use futures_util::StreamExt as _;
use iroh::Endpoint;
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};

use crate::address::node_addr;
use crate::net::{Inner, NetEvent};

/// Nodes of other software on the LAN are not ours to know.
const SERVICE: &str = "ayni1";

/// Announces this node and starts to listen. A machine without multicast goes without.
pub(crate) fn join(endpoint: &Endpoint) -> Option<MdnsAddressLookup> {
    match MdnsAddressLookup::builder().service_name(SERVICE).build(endpoint.id()) {
        Ok(mdns) => match endpoint.address_lookup() {
            Ok(lookups) => {
                lookups.add(mdns.clone());
                Some(mdns)
            }
            Err(_) => None,
        },
        Err(error) => {
            tracing::warn!("no discovery on the local network: {error}");
            None
        }
    }
}

/// Passes on what is found until the network stops.
pub(crate) async fn listen(mdns: MdnsAddressLookup, net: Weak<Inner>) {
    let mut events = mdns.subscribe().await;
    while let Some(event) = events.next().await {
        let DiscoveryEvent::Discovered { endpoint_info, .. } = event else { continue };
        let addr = node_addr(&endpoint_info.to_endpoint_addr());
        let Some(net) = net.upgrade() else { return };
        net.learn(&addr);
        if net.events.send(NetEvent::Discovered(addr)).await.is_err() {
            return;
        }
    }
}
