//! `ayni gov`: proposals of changes to the contracts' parameters, votes, and what became of them.

use std::path::Path;

use anyhow::Context as _;
use ayni_node::gov::{Assembly, Standing, Vote, proposal_json};
use ayni_node::{Config, Layer, Machine};
use ayni_types::Account;
use serde_json::{Value, json};

use crate::args::{GovCommand, VoteWord};
use crate::quantity::{show_exact, show_ms};
use crate::table::table;
use crate::ui::{Ui, escape};

/// Votes have 18 decimals; what is left out is less than one.
const VOTE: u128 = 1_000_000_000_000_000_000;

pub(crate) async fn run(command: GovCommand, home: &Path, ui: &Ui) -> anyhow::Result<()> {
    let layer = Layer::from_file(&home.join("config.toml"))?;
    let config = Config::new(home.to_owned(), layer, Machine::read())?;
    let pay = config.pay.context(
        "no account is configured for this home (hint: `ayni wallet new`; a local ledger's votes \
         belong to its own folder: --home DIR)",
    )?;
    let mut assembly = Assembly::open(home, &pay).await?;
    match command {
        GovCommand::List => {
            let all = assembly.voter.list().await?;
            let shown: Vec<_> = all.iter().map(|one| proposal_json(one, None)).collect();
            let value = json!({ "schema": 1, "proposals": shown });
            ui.show(&value, |_| list_text(&all));
        }
        GovCommand::Parameters => {
            let parameters = assembly.parameters().await?;
            let all: serde_json::Map<String, Value> = parameters
                .all()
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_string().into()))
                .collect();
            let value = json!({ "schema": 1, "parameters": all });
            ui.show(&value, |_| {
                let row =
                    |(name, value): &(&str, u128)| vec![(*name).to_owned(), show_exact(*value)];
                let rows: Vec<_> = parameters.all().iter().map(row).collect();
                table(&["parameter", ">value"], &rows)
            });
        }
        GovCommand::Propose { why, set } => {
            let before = assembly.parameters().await?;
            let mut after = before.clone();
            for one in &set {
                after.set(one)?;
            }
            let changes = after.changes_since(&before)?;
            anyhow::ensure!(
                !changes.is_empty(),
                "nothing would change (hint: `ayni gov parameters` shows what holds now)"
            );
            let id = assembly.voter.propose(&changes, &why).await?;
            say(ui, &id.to_string(), "proposed");
        }
        GovCommand::Vote { id, vote, reason } => {
            let vote = match vote {
                VoteWord::For => Vote::For,
                VoteWord::Against => Vote::Against,
                VoteWord::Abstain => Vote::Abstain,
            };
            assembly.voter.vote(id.parse()?, vote, &reason).await?;
            say(ui, &id, "voted");
        }
        GovCommand::Queue { id } => {
            assembly.voter.queue(id.parse()?).await?;
            say(ui, &id, "handed to the timelock");
        }
        GovCommand::Execute { id } => {
            assembly.voter.execute(id.parse()?).await?;
            say(ui, &id, "done");
        }
        GovCommand::Cancel { id } => {
            assembly.voter.cancel(id.parse()?).await?;
            say(ui, &id, "taken back");
        }
        GovCommand::Delegate { to } => {
            let to: Account = to.unwrap_or(assembly.voter.account());
            assembly.voter.delegate(to).await?;
            say(ui, &to.to_string(), "votes with this account's tokens from now on");
        }
    }
    Ok(())
}

fn say(ui: &Ui, id: &str, done: &str) {
    ui.show(&json!({ "schema": 1, "id": id, "done": done }), |_| format!("{id} {done}"));
}

fn list_text(all: &[Standing]) -> String {
    if all.is_empty() {
        return "no proposals\n".to_owned();
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let mut text = String::new();
    for standing in all {
        let proposal = &standing.proposal;
        let votes = |amount: ayni_types::Amount| show_exact(amount.0 / VOTE);
        text.push_str(&format!(
            "{}\n  {}: {}\n  for {}, against {}, abstained {}\n",
            proposal.id,
            standing.stage,
            escape(&proposal.description),
            votes(standing.for_it),
            votes(standing.against),
            votes(standing.abstained),
        ));
        for action in &proposal.actions {
            text.push_str(&format!("  {action}\n"));
        }
        if let Some(left) = proposal.until.0.checked_sub(now) {
            text.push_str(&format!("  the vote ends in {}\n", show_ms(left)));
        }
    }
    text
}
