//! Commands about stake and disputes.

use ayni_api::json::{DisputeList, DisputeState, StakeJson, StakeRequest, Text};
use ayni_api::{ApiError, Client};

use crate::args::{DisputeCommand, StakeCommand};
use crate::money::tokens;
use crate::table::{facts, table};
use crate::quantity::show_ms;
use crate::ui::{Ui, escape};

/// A time, seen from now.
fn when(ms: u64) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    match ms.checked_sub(now) {
        Some(left) => format!("in {}", show_ms(left)),
        None => format!("{} ago", show_ms(now - ms)),
    }
}

/// `ayni stake`.
pub(crate) async fn stake(
    client: &Client,
    command: StakeCommand,
    ui: &Ui,
) -> Result<(), ApiError> {
    let request = match command {
        StakeCommand::Show => None,
        StakeCommand::Add { amount } => Some(StakeRequest::Add { amount: Text(amount) }),
        StakeCommand::Leave { amount } => Some(StakeRequest::Leave { amount: Text(amount) }),
        StakeCommand::Take => Some(StakeRequest::Take),
        StakeCommand::Jury { weight } => Some(StakeRequest::Jury { weight: Text(weight) }),
    };
    let stake = match request {
        Some(request) => client.change_stake(&request).await?,
        None => client.stake().await?,
    };
    ui.show(&stake, stake_text);
    Ok(())
}

fn stake_text(stake: &StakeJson) -> String {
    let mut lines = vec![
        ("account", stake.account.to_string()),
        ("staked", tokens(stake.staked.0)),
        ("reserved", format!("{} behind leases", tokens(stake.reserved.0))),
        ("jury", format!("{} behind a seat", tokens(stake.jury.0))),
        ("free", tokens(stake.free.0)),
    ];
    if let Some(from) = stake.leaving_from_ms {
        lines.push(("leaving", format!("{}, from {}", tokens(stake.leaving.0), when(from))));
    }
    if stake.owed.0 > 0 {
        lines.push(("owed", format!("{} by disputes", tokens(stake.owed.0))));
    }
    let known = match (&stake.node, stake.staked.0) {
        (Some(node), _) => format!("{node}, its key until {}", when(stake.key_until_ms)),
        (None, 0) => "-".to_owned(),
        (None, _) => "not yet: the registry is being told".to_owned(),
    };
    lines.push(("node", known));
    facts(&lines)
}

/// `ayni dispute`.
pub(crate) async fn dispute(
    client: &Client,
    command: DisputeCommand,
    ui: &Ui,
) -> Result<(), ApiError> {
    match command {
        DisputeCommand::List => {
            let list = client.disputes().await?;
            ui.show(&list, disputes_text);
        }
        DisputeCommand::Show { id } => {
            let list = client.disputes().await?;
            let found = list.disputes.into_iter().find(|dispute| dispute.id == id);
            let found = found.ok_or_else(|| {
                let why = format!("no dispute {id} that this node is part of");
                ApiError::new(ayni_api::codes::DISPUTE_UNKNOWN, why)
            })?;
            ui.show(&found, dispute_text);
        }
        DisputeCommand::Appeal { id } => {
            let done = client.appeal(id).await?;
            ui.show(&done, |_| {
                "a larger jury is asked for while the ruling may be appealed; it costs a bond, \
                 which comes back if the ruling changes"
                    .to_owned()
            });
        }
    }
    Ok(())
}

fn state(dispute: &DisputeState) -> String {
    match (&dispute.verdict, dispute.appeal_until_ms) {
        (Some(verdict), _) => verdict.replace('_', " "),
        (None, Some(until)) => format!("appealable until {}", when(until)),
        (None, None) => dispute.phase.clone(),
    }
}

fn disputes_text(list: &DisputeList) -> String {
    if list.disputes.is_empty() {
        return "no disputes\n".to_owned();
    }
    let row = |d: &DisputeState| {
        vec![
            d.id.to_string(),
            d.part.clone(),
            d.task.0.short(),
            state(d),
            tokens(d.slashed.0),
            tokens(d.restitution.0),
            d.trouble.as_deref().map(escape).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = list.disputes.iter().map(row).collect();
    let header =
        [">id", "this node", "task", "state", ">slashed", ">given back", "trouble"];
    table(&header, &rows)
}

fn dispute_text(dispute: &DisputeState) -> String {
    let mut text = facts(&[
        ("this node is", dispute.part.clone()),
        ("state", state(dispute)),
        ("provider", dispute.provider.to_string()),
        ("requester", dispute.requester.to_string()),
        ("task", dispute.task.to_string()),
        ("signed", dispute.outcome.to_string()),
        ("found", dispute.counter_outcome.to_string()),
        ("billed", tokens(dispute.price.0)),
        ("slashed", tokens(dispute.slashed.0)),
        ("given back", tokens(dispute.restitution.0)),
        ("burned", tokens(dispute.burned.0)),
    ]);
    for (number, jury) in dispute.juries.iter().enumerate() {
        let found = jury.verdict.as_deref().unwrap_or("not counted yet");
        text.push_str(&format!(
            "jury {number}: {} of {} drawn, {} committed, {} revealed: {found}\n",
            jury.members.len(),
            jury.size,
            jury.committed,
            jury.revealed
        ));
    }
    text
}
