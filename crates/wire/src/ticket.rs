//! Join tickets: one line of text that lets a new node find a network, `ayni1…`.
//!
//! A ticket is signed by its issuer and expires. It is not a secret: it tells where to knock.

use ayni_types::{NodeAddr, NodeId, Time, limits};
use data_encoding::BASE32_NOPAD;
use minicbor::{Decode, Encode};

use crate::canonical::{decode, encode};
use crate::sign::{Domain, NodeKey, Signed, verify_node};

/// Whom to contact first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Ticket {
    /// Who invites.
    #[n(0)]
    pub issuer: NodeId,
    /// Nodes to know: the issuer first, then directories and relays it uses.
    #[n(1)]
    pub peers: Vec<NodeAddr>,
    /// When the ticket ends.
    #[n(2)]
    pub expires: Time,
}

impl Domain for Ticket {
    const DOMAIN: &'static str = "ayni ticket 1";
}

/// Why a text is not a usable ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a ticket at all, or cut short.
    #[error("not a join ticket: {0}")]
    Malformed(&'static str),
    /// Altered, or signed by somebody else.
    #[error("the ticket's signature does not match: it was altered or mistyped")]
    BadSignature,
    /// Too old.
    #[error("the ticket expired {0} ms ago")]
    Expired(u64),
}

const PREFIX: &str = "ayni1";

impl Ticket {
    /// The line of text.
    #[must_use]
    pub fn to_text(self, key: &NodeKey) -> String {
        format!("{PREFIX}{}", BASE32_NOPAD.encode(&encode(&key.seal(self))).to_lowercase())
    }

    /// Reads a line of text and checks it.
    ///
    /// # Errors
    /// When it is no ticket, was altered, or has expired at `now`.
    pub fn from_text(text: &str, now: Time) -> Result<Self, TicketError> {
        let body = text.trim().strip_prefix(PREFIX);
        let body = body.ok_or(TicketError::Malformed("it does not begin with `ayni1`"))?;
        if body.len() > 16 << 10 {
            return Err(TicketError::Malformed("it is too long"));
        }
        let bytes = BASE32_NOPAD
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_| TicketError::Malformed("it has wrong characters or was cut short"))?;
        let signed: Signed<Self> =
            decode(&bytes).map_err(|_| TicketError::Malformed("it was cut short or altered"))?;
        verify_node(signed.body.issuer, &Signed::message(&signed.body), &signed.signature)
            .map_err(|_| TicketError::BadSignature)?;
        let ticket = signed.body;
        if ticket.peers.len() > 64
            || ticket.peers.iter().any(|p| p.direct.len() > limits::ADDRESSES_MAX)
        {
            return Err(TicketError::Malformed("it names too many peers"));
        }
        if ticket.expires < now {
            return Err(TicketError::Expired(now.since_ms(ticket.expires)));
        }
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_only_become_ours_in_capitals_are_wrong() {
        // `ı` and `ſ` are `I` and `S` in Unicode's capitals: a line has one spelling, case aside.
        for text in ["ayni1ıaaaaaaa", "ayni1ſaaaaaaa"] {
            let error = Ticket::from_text(text, Time(0)).unwrap_err().to_string();
            assert!(error.contains("wrong characters"), "{error}");
        }
    }

    #[test]
    fn a_ticket_survives_text_and_no_altered_one_does() {
        let key = NodeKey::from_secret(&[5; 32]);
        let ticket = Ticket {
            issuer: key.id(),
            peers: vec![NodeAddr {
                node: key.id(),
                direct: vec!["127.0.0.1:4545".parse().unwrap()],
                relay: None,
            }],
            expires: Time(1_000),
        };
        let text = ticket.clone().to_text(&key);
        assert_eq!(Ticket::from_text(&text, Time(999)), Ok(ticket));
        assert_eq!(Ticket::from_text(&text, Time(1_500)), Err(TicketError::Expired(500)));
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'a' { b'b' } else { b'a' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(Ticket::from_text(&altered, Time(999)).is_err(), "{at}");
        }
        assert!(Ticket::from_text("", Time(0)).is_err());
    }
}
