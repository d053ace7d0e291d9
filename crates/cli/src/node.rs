//! Commands about the node itself and whom it knows.

use std::net::SocketAddr;

use ayni_api::codes;
use ayni_api::json::{
    CheckLevel, InviteRequest, JoinRequest, NodeAddrJson, OfferJson, Peer, ProviderStatus, Status,
    Text,
};
use ayni_api::{ApiError, Client};
use ayni_types::NodeId;

use crate::job;
use crate::quantity::{show_bytes, show_count, show_exact, show_ms};
use crate::table::{facts, plural, table};
use crate::ui::{Ui, escape};

/// `ayni status`.
pub(crate) async fn status(client: &Client, ui: &Ui) -> Result<(), ApiError> {
    let status = client.status().await?;
    ui.show(&status, |status| status_text(status, client.base()));
    if !ui.json {
        for warning in &status.warnings {
            ui.warn(&escape(&warning.message));
            if let Some(hint) = &warning.hint {
                ui.hint(hint);
            }
        }
    }
    Ok(())
}

fn status_text(status: &Status, base: &str) -> String {
    let worst = status.warnings.iter().map(|w| w.level).max().unwrap_or(CheckLevel::Ok);
    let health = match worst {
        CheckLevel::Ok => "healthy".to_owned(),
        CheckLevel::Warn => plural(status.warnings.len() as u64, "warning"),
        CheckLevel::Fail => "in trouble".to_owned(),
    };
    let mut lines = vec![
        ("node", status.node.to_string()),
        ("health", health),
        ("roles", status.roles.text()),
        ("version", format!("{} (process {})", status.version, status.pid)),
        ("up", show_ms(status.uptime_ms)),
        ("home", status.home.clone()),
        ("api", base.to_owned()),
        ("reachable", addresses(&status.addr)),
        ("peers", format!("{} connected", status.peers)),
        ("offers", format!("{} known", status.offers)),
        ("jobs", format!("{} running, {} in all", status.jobs_running.len(), status.jobs)),
    ];
    if let Some(provider) = &status.provider {
        lines.push(("provider", provider_text(provider)));
    }
    let mut text = facts(&lines);
    for job in &status.jobs_running {
        let counts = &job.counts;
        let (id, name) = (job.id.0.short(), escape(&job.name));
        text.push_str(&format!("  job {id}  {}/{}  {name}\n", counts.accepted, counts.tasks));
    }
    text
}

fn provider_text(provider: &ProviderStatus) -> String {
    let lending = &provider.lending;
    let mut text = format!(
        "{}, {} of {} in use, {} done, {} fuel, {} memory, {} disk",
        provider.state.text(),
        provider.slots.len(),
        plural(lending.slots.into(), "slot"),
        plural(provider.tasks_done, "task"),
        show_count(provider.fuel.0),
        show_bytes(lending.memory_bytes),
        show_bytes(lending.disk_bytes)
    );
    for pause in &provider.pauses {
        text.push_str(&format!(" ({})", pause.text()));
    }
    text
}

fn addresses(addr: &NodeAddrJson) -> String {
    let mut all: Vec<_> = addr.direct.iter().map(ToString::to_string).collect();
    all.extend(addr.relay.iter().map(|relay| format!("relay {}", escape(relay))));
    if all.is_empty() { "nowhere yet".to_owned() } else { all.join(" ") }
}

/// `ayni id`.
pub(crate) async fn id(client: &Client, ui: &Ui) -> Result<(), ApiError> {
    let identity = client.identity().await?;
    ui.show(&identity, |identity| {
        let mut text = format!("{}\n", identity.node);
        for address in &identity.addr.direct {
            text.push_str(&format!("{}@{address}\n", identity.node));
        }
        text
    });
    Ok(())
}

/// `ayni peers`.
pub(crate) async fn peers(client: &Client, ui: &Ui) -> Result<(), ApiError> {
    let list = client.peers().await?;
    if list.peers.is_empty() && !ui.json {
        ui.note("no other node is known");
        ui.hint("`ayni join TICKET` contacts one; `ayni invite` at the other node makes a ticket");
        return Ok(());
    }
    ui.show(&list, |list| {
        let rows: Vec<_> = list.peers.iter().map(peer_line).collect();
        table(&["node", "path", ">rtt", ">in", ">out", "roles", "address", "agent"], &rows)
    });
    Ok(())
}

fn peer_line(peer: &Peer) -> Vec<String> {
    vec![
        peer.node.0.short(),
        if peer.connected { escape(&peer.path) } else { "not connected".to_owned() },
        peer.rtt_ms.map_or("-".to_owned(), show_ms),
        peer.bytes_in.map_or("-".to_owned(), show_bytes),
        peer.bytes_out.map_or("-".to_owned(), show_bytes),
        peer.roles.map_or("?".to_owned(), |roles| roles.text()),
        peer.direct.first().map_or("-".to_owned(), ToString::to_string),
        peer.agent.as_deref().map(escape).unwrap_or_default(),
    ]
}

/// `ayni invite`.
pub(crate) async fn invite(client: &Client, valid_ms: u64, ui: &Ui) -> Result<(), ApiError> {
    let ticket = client.invite(&InviteRequest { valid_ms }).await?;
    ui.show(&ticket, |ticket| ticket.ticket.clone());
    if !ui.json {
        ui.note(&format!(
            "good for {}; not a secret, it only says where to knock",
            show_ms(valid_ms)
        ));
        ui.hint("on the other machine: `ayni provide --join TICKET`, or `ayni join TICKET`");
    }
    Ok(())
}

/// `ayni join`.
pub(crate) async fn join(client: &Client, text: &str, ui: &Ui) -> Result<(), ApiError> {
    let joined = client.join(&parse_join(text)?).await?;
    ui.show(&joined, |joined| {
        joined.peers.iter().map(|peer| format!("{peer}\n")).collect::<String>()
    });
    if !ui.json {
        ui.hint("`ayni peers` shows who answers");
    }
    Ok(())
}

/// A ticket, or `did:key:…@HOST:PORT`.
pub(crate) fn parse_join(text: &str) -> Result<JoinRequest, ApiError> {
    let text = text.trim();
    if !text.starts_with("did:") {
        return Ok(JoinRequest::Ticket { ticket: text.to_owned() });
    }
    let wrong = |why: String| ApiError::new(codes::NET_ADDR, why);
    let (node, addr) = text
        .split_once('@')
        .ok_or_else(|| wrong(format!("`{text}` has no address: write did:key:…@HOST:PORT")))?;
    let node: NodeId = node.parse().map_err(|error| wrong(format!("{error}")))?;
    let direct: SocketAddr = addr
        .parse()
        .map_err(|_| wrong(format!("`{addr}` is not an address like 192.0.2.7:4545")))?;
    let addr = NodeAddrJson { node: Text(node), direct: vec![direct], relay: None };
    Ok(JoinRequest::Addr { addr })
}

/// `ayni offers`.
pub(crate) async fn offers(client: &Client, refresh: bool, ui: &Ui) -> Result<(), ApiError> {
    let list = client.offers(refresh).await?;
    if list.offers.is_empty() && !ui.json {
        ui.note("no offers are known");
        ui.hint("`ayni peers` shows whom this node knows; `ayni why` says what is missing");
        return Ok(());
    }
    ui.show(&list, |list| {
        let rows: Vec<_> = list.offers.iter().map(offer_line).collect();
        table(
            &[
                "provider",
                ">free",
                ">slots",
                ">memory",
                ">fuel/s",
                ">price/Gfuel",
                ">walls",
                "region",
            ],
            &rows,
        )
    });
    Ok(())
}

fn offer_line(offer: &OfferJson) -> Vec<String> {
    vec![
        offer.node.0.short(),
        offer.slots_free.to_string(),
        offer.slots.to_string(),
        show_bytes(offer.memory_bytes),
        show_count(offer.fuel_per_second.0),
        show_exact(offer.price.per_gigafuel.0),
        offer.walls.len().to_string(),
        offer.region.as_deref().map_or("-".to_owned(), escape),
    ]
}

/// `ayni why`.
pub(crate) async fn why(client: &Client, job: Option<&str>, ui: &Ui) -> Result<(), ApiError> {
    let job = match job {
        Some(text) => Some(job::find(client, text).await?),
        None => None,
    };
    let why = client.why(job).await?;
    ui.show(&why, |why| {
        let mut text = format!("{}\n", escape(&why.summary));
        for reason in &why.reasons {
            let mark = if reason.ok { "ok " } else { "no " };
            let who = reason.provider.map_or(String::new(), |node| format!("{}  ", node.0.short()));
            text.push_str(&format!("  {mark} {who}{}\n", escape(&reason.reason)));
            if let Some(hint) = &reason.hint {
                text.push_str(&format!("      hint: {}\n", escape(hint)));
            }
        }
        text
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_and_addresses_are_told_apart_and_bad_addresses_named() {
        assert!(
            matches!(parse_join(" ayni1abc\n"), Ok(JoinRequest::Ticket { ticket }) if ticket == "ayni1abc")
        );
        let node = NodeId([7; 32]);
        let text = format!("{node}@127.0.0.1:4545");
        assert!(matches!(parse_join(&text), Ok(JoinRequest::Addr { .. })));
        let check = |text: &str| parse_join(text).unwrap_err().to_string();
        insta::assert_snapshot!(check("did:key:z6Mk"), @"`did:key:z6Mk` has no address: write did:key:…@HOST:PORT");
        insta::assert_snapshot!(check("did:web:x@1.2.3.4:5"), @"`did:web:x` is not a node id (did:key:z6Mk…)");
        insta::assert_snapshot!(check(&format!("{node}@nowhere")), @"`nowhere` is not an address like 192.0.2.7:4545");
    }
}
