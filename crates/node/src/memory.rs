//! What a node remembers of the network between its lives: the nodes it was in touch with, and the
//! port it had, so that others find it again where it was. Hints only: losing them costs time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ayni_types::NodeAddr;

use crate::start::read_peer;

/// Nodes remembered at most.
const PEERS_MAX: usize = 256;

/// The file in which a home keeps it: the port on the first line, then a node a line.
pub(crate) struct Memory {
    path: PathBuf,
}

/// What was remembered.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Remembered {
    pub(crate) port: Option<u16>,
    pub(crate) peers: Vec<NodeAddr>,
}

impl Memory {
    pub(crate) fn of_home(home: &Path) -> Self {
        Self { path: home.join("peers.txt") }
    }

    /// What the file says; nothing if it is absent or damaged.
    pub(crate) fn read(&self) -> Remembered {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let mut lines = text.lines();
        let port = lines.next().and_then(|line| line.strip_prefix("port ")?.parse().ok());
        let peers = lines.take(PEERS_MAX).filter_map(|line| read_peer(line, None).ok()).flatten();
        Remembered { port, peers: peers.collect() }
    }

    /// Replaces the file.
    pub(crate) fn write(&self, listening: &[SocketAddr], peers: &[NodeAddr]) {
        let port = listening.first().map_or(0, SocketAddr::port);
        let mut text = format!("port {port}\n");
        for peer in peers.iter().filter(|peer| !peer.direct.is_empty()).take(PEERS_MAX) {
            let direct: Vec<_> = peer.direct.iter().map(ToString::to_string).collect();
            text.push_str(&format!("{}@{}\n", peer.node, direct.join(",")));
        }
        let part = self.path.with_extension("part");
        let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &self.path));
        if let Err(error) = written {
            tracing::debug!("peers are not remembered: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ayni_types::NodeId;

    #[test]
    fn peers_and_port_are_remembered_and_damage_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::of_home(dir.path());
        assert_eq!(memory.read(), Remembered::default());
        let peer = NodeAddr {
            node: NodeId([7; 32]),
            direct: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
            relay: None,
        };
        memory.write(&["127.0.0.1:4545".parse().unwrap()], std::slice::from_ref(&peer));
        assert_eq!(memory.read(), Remembered { port: Some(4545), peers: vec![peer] });
        std::fs::write(dir.path().join("peers.txt"), "nonsense\nmore@nonsense\n").unwrap();
        assert_eq!(memory.read(), Remembered::default());
    }
}
