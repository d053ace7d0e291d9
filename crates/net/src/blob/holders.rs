//! Connections to holders: one for each, dialled when first needed, shared by all fetches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ayni_types::{Digest, NodeId};
use iroh::endpoint::Connection;

use crate::blob::protocol::BLOB_ALPN;
use crate::error::HolderError;
use crate::frame::{Close, close};
use crate::limits::HOLDER_CONNECTIONS_MAX;
use crate::lock;
use crate::net::Inner;

/// A place for a connection; whoever dials holds it, so that others wait for the same dial.
type Slot = Arc<tokio::sync::Mutex<Option<Connection>>>;

/// What fetching shares.
#[derive(Default)]
pub(crate) struct Holders {
    slots: Mutex<HashMap<NodeId, Slot>>,
    fetching: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

impl Holders {
    /// A living connection to a holder.
    pub(crate) async fn connection(
        net: &Arc<Inner>,
        node: NodeId,
    ) -> Result<Connection, HolderError> {
        if node == net.node() {
            return Err(HolderError::NotHeld);
        }
        if net.conduct.refuses(node) {
            return Err(HolderError::Unreachable("refused for misbehaviour".to_owned()));
        }
        let slot = net.holders.slot(node);
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|c| c.close_reason().is_none()) {
            return Ok(connection.clone());
        }
        *slot = None;
        let connection = net.connect(node, BLOB_ALPN).await.map_err(HolderError::Unreachable)?;
        *slot = Some(connection.clone());
        Ok(connection)
    }

    fn slot(&self, node: NodeId) -> Slot {
        let mut slots = lock(&self.slots);
        if slots.len() >= HOLDER_CONNECTIONS_MAX && !slots.contains_key(&node) {
            // Those in use have another owner; of the others the dead go, and one more.
            let mut spare = true;
            slots.retain(|_, slot| {
                let Ok(held) = slot.try_lock() else { return true };
                let dead = held.as_ref().is_none_or(|c| c.close_reason().is_some());
                let goes = Arc::strong_count(slot) == 1 && (dead || std::mem::take(&mut spare));
                if goes && let Some(connection) = held.as_ref() {
                    close(connection, Close::Bye, "not needed");
                }
                !goes
            });
        }
        Arc::clone(slots.entry(node).or_default())
    }

    /// Lets one fetch of a blob run at a time, as they would write to the same files.
    pub(crate) fn turn(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = lock(&self.fetching);
        fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(fetching.entry(digest).or_default())
    }
}
