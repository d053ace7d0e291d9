//! Commands about money: the account, its channels, what they add up to, and a ledger of one's own.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use ayni_api::codes::exit;
use ayni_api::json::{ChannelJson, ChannelList, PowerJson, Side, WalletJson};
use ayni_api::{ApiError, Client};
use ayni_types::Account;
use serde::Serialize;
use serde_json::json;

use crate::args::{ChannelCommand, LedgerArgs, StatementArgs, WalletCommand};
use crate::quantity::{show_energy, show_exact, show_mass};
use crate::table::{facts, table};
use crate::ui::{Ui, escape};

/// Decimals of the test money; others are shown in their smallest unit too.
const UNITS: u128 = 1_000_000;

/// An amount in whole tokens, to the unit: `12.000345`.
pub(crate) fn tokens(amount: u128) -> String {
    format!("{}.{:06}", show_exact(amount / UNITS), amount % UNITS)
}

/// `ayni wallet`.
pub(crate) async fn wallet(
    command: WalletCommand,
    home: &Path,
    client: impl AsyncFnOnce() -> Result<Client, ApiError>,
    ui: &Ui,
) -> anyhow::Result<()> {
    match command {
        WalletCommand::Show => {
            let wallet = client().await?.wallet().await?;
            ui.show(&wallet, wallet_text);
        }
        WalletCommand::New { ledger } => {
            let account = ayni_node::make_account(home, ayni_node::KeystoreCost::STANDARD)?;
            let table = ledger.map(|ledger| pay_table(&ledger, account)).transpose()?;
            if let Some(table) = &table {
                add_table(home, table)?;
            }
            let value = json!({ "schema": 1, "account": account.to_string(), "config": table });
            ui.show(&value, |_| new_text(home, account, table.as_deref()));
        }
    }
    Ok(())
}

fn wallet_text(wallet: &WalletJson) -> String {
    let chain = match wallet.local_ledger {
        true => format!("{} (local ledger: its money is worth nothing outside)", wallet.chain),
        false => wallet.chain.to_string(),
    };
    facts(&[
        ("account", wallet.account.to_string()),
        ("chain", format!("{chain}, block {}", show_exact(wallet.block.into()))),
        ("asked at", escape(&wallet.rpc)),
        ("token", wallet.token.to_string()),
        ("balance", tokens(wallet.balance.0)),
        ("in channels", tokens(wallet.in_channels.0)),
        ("to claim", tokens(wallet.to_claim.0)),
        ("at risk", tokens(wallet.at_risk.0)),
        ("gas", format!("{} wei", show_exact(wallet.gas_wei.0))),
    ])
}

fn new_text(home: &Path, account: Account, table: Option<&str>) -> String {
    let mut text = format!(
        "account {account}\nits key is encrypted in `{}`, the password lies beside it in \
         `keys/password`: keep both where nobody else reads\n",
        home.join("keys/accounts").display()
    );
    match table {
        Some(_) => text.push_str("written to config.toml; it holds from the daemon's next start\n"),
        None => text.push_str(
            "to pay and be paid with it, give config.toml a table [pay] with rpc, contracts, \
             account and password_file = \"keys/password\" (hint: `--ledger DIR` does it for a \
             ledger on this machine)\n",
        ),
    }
    text
}

/// The configuration of who uses the ledger in a folder.
pub(crate) fn pay_table(ledger: &Path, account: Account) -> anyhow::Result<String> {
    let ledger = std::path::absolute(ledger)?;
    let read = |name: &str| {
        let path = ledger.join(name);
        std::fs::read_to_string(&path).with_context(|| {
            format!("no ledger in `{}` (hint: does `ayni ledger` run there?)", path.display())
        })
    };
    read("contracts.toml")?;
    let pay = Pay {
        rpc: read("rpc")?.trim().to_owned(),
        contracts: ledger.join("contracts.toml").display().to_string(),
        account: account.to_string(),
        password_file: "keys/password".to_owned(),
    };
    #[derive(Serialize)]
    struct Table {
        pay: Pay,
    }
    Ok(toml::to_string(&Table { pay })?)
}

#[derive(Serialize)]
struct Pay {
    rpc: String,
    contracts: String,
    account: String,
    password_file: String,
}

/// Adds the table `pay` to a home's configuration, if it has none.
fn add_table(home: &Path, table: &str) -> anyhow::Result<()> {
    let path = home.join("config.toml");
    let (before, known) = read_config(&path)?;
    anyhow::ensure!(
        !known.contains_key("pay"),
        "`{}` has a table [pay] already (hint: edit it)",
        path.display()
    );
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    write_config(&path, &format!("{before}{gap}{table}"))
}

/// Puts the table `pay` into a configuration that is only ours, in place of another.
pub(crate) fn set_table(home: &Path, table: &str) -> anyhow::Result<()> {
    let path = home.join("config.toml");
    let (_, mut known) = read_config(&path)?;
    known.remove("pay");
    write_config(&path, &format!("{known}{table}"))
}

fn read_config(path: &Path) -> anyhow::Result<(String, toml::Table)> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
    };
    let table = text.parse().with_context(|| format!("`{}` is not valid", path.display()))?;
    Ok((text, table))
}

fn write_config(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

/// `ayni channel`.
pub(crate) async fn channel(
    client: &Client,
    command: ChannelCommand,
    ui: &Ui,
) -> Result<(), ApiError> {
    match command {
        ChannelCommand::List => {
            let list = client.channels().await?;
            ui.show(&list, channels_text);
        }
        ChannelCommand::Close { id } => {
            let done = client.close_channel(id).await?;
            ui.show(&done, |_| {
                "closing: what is left comes back after the channel's delay; `ayni channel list` \
                 shows when"
                    .to_owned()
            });
        }
        ChannelCommand::Claim => {
            let done = client.claim().await?;
            ui.show(&done, |_| "claiming everything that is earned and promised".to_owned());
        }
    }
    Ok(())
}

fn side(channel: &ChannelJson) -> &'static str {
    match channel.side {
        Side::Payer => "pays",
        Side::Payee => "is paid by",
    }
}

fn channels_text(list: &ChannelList) -> String {
    if list.channels.is_empty() {
        return "no channels\n".to_owned();
    }
    let rows: Vec<Vec<String>> = list
        .channels
        .iter()
        .map(|c| {
            vec![
                c.id.0.short(),
                format!("{} {}", side(c), c.peer.0.short()),
                c.state.clone(),
                tokens(c.deposit.0),
                tokens(c.owed.0),
                tokens(c.promised.0),
                tokens(c.claimed.0),
                c.trouble.as_deref().map(escape).unwrap_or_default(),
            ]
        })
        .collect();
    let header =
        ["id", "this node", "state", ">deposit", ">billed", ">promised", ">claimed", "trouble"];
    table(&header, &rows)
}

/// One line of a statement; amounts in the token's smallest unit.
#[derive(Debug, Serialize)]
struct Line {
    channel: String,
    peer: String,
    side: &'static str,
    state: String,
    billed: String,
    claimed: String,
    outstanding: String,
    promised: String,
    deposit: String,
    left: String,
    written_off: String,
}

/// `ayni statement`: what was billed, paid and is left, by channel; each line adds up by itself.
pub(crate) async fn statement(
    client: &Client,
    args: &StatementArgs,
    ui: &Ui,
) -> anyhow::Result<()> {
    let list = client.channels().await?;
    let lines: Vec<Line> = list
        .channels
        .iter()
        .map(|c| Line {
            channel: c.id.to_string(),
            peer: c.peer.to_string(),
            side: match c.side {
                Side::Payer => "payer",
                Side::Payee => "payee",
            },
            state: c.state.clone(),
            billed: c.owed.to_string(),
            claimed: c.claimed.to_string(),
            outstanding: c.owed.0.saturating_sub(c.claimed.0).to_string(),
            promised: c.promised.to_string(),
            deposit: c.deposit.to_string(),
            left: c.deposit.0.saturating_sub(c.claimed.0).to_string(),
            written_off: c.lost.to_string(),
        })
        .collect();
    if args.csv {
        let mut out = csv::Writer::from_writer(Vec::new());
        for line in &lines {
            out.serialize(line)?;
        }
        ui.data(&String::from_utf8(out.into_inner()?)?);
        return Ok(());
    }
    let sum = |of: Side, part: fn(&ChannelJson) -> u128| -> u128 {
        list.channels.iter().filter(|c| c.side == of).map(part).sum()
    };
    let spent = sum(Side::Payer, |c| c.owed.0);
    let earned = sum(Side::Payee, |c| c.owed.0);
    // Who lends nothing has no such figures.
    let power = client.provider().await.ok().and_then(|provider| provider.power);
    let net = power.map(|power| net_of(earned, power.cost.0));
    let value = json!({
        "schema": 1, "lines": lines, "spent": spent.to_string(), "earned": earned.to_string(),
        "power": power, "earned_less_electricity": net,
    });
    ui.show(&value, |_| {
        let claimed = sum(Side::Payee, |c| c.claimed.0);
        let taken = sum(Side::Payer, |c| c.claimed.0);
        let mut lines = vec![
            ("spent", format!("{} ({} of it claimed)", tokens(spent), tokens(taken))),
            ("earned", format!("{} ({} of it claimed)", tokens(earned), tokens(claimed))),
            ("written off", tokens(sum(Side::Payee, |c| c.lost.0))),
        ];
        if let Some((power, net)) = power.zip(net.as_deref()) {
            lines.extend(power_lines(&power, net));
        }
        facts(&lines) + &channels_text(&list)
    });
    Ok(())
}

/// Earnings less what electricity cost, to the unit.
fn net_of(earned: u128, cost: u128) -> String {
    match earned.checked_sub(cost) {
        Some(net) => net.to_string(),
        None => format!("-{}", cost - earned),
    }
}

/// What work took, by the owner's own figures.
fn power_lines(power: &PowerJson, net: &str) -> Vec<(&'static str, String)> {
    let (sign, digits) = net.strip_prefix('-').map_or(("", net), |digits| ("-", digits));
    let net = digits.parse().map_or_else(|_| net.to_owned(), tokens);
    vec![
        (
            "electricity",
            format!(
                "{} ({}, by the figures in [energy])",
                tokens(power.cost.0),
                show_energy(power.millijoules.0)
            ),
        ),
        ("left of it", format!("{sign}{net}")),
        (
            "emissions",
            format!("{} CO2e (declared, not verified)", show_mass(power.micrograms_co2.0)),
        ),
    ]
}

/// `ayni ledger`: serves until it is told to stop.
pub(crate) async fn ledger(args: LedgerArgs, ui: &Ui) -> anyhow::Result<ExitCode> {
    let parent = rustix::process::getppid();
    let running = match &args.rpc {
        Some(url) => ayni_node::use_chain(&args.dir, url, args.chain, &args.grant).await?,
        None => {
            let ahead = args.clock_ahead.as_deref();
            ayni_node::start_ledger(&args.dir, args.listen, &args.grant, ahead).await?
        }
    };
    // Its owner holds all votes at first.
    let owner = ayni_node::make_account(&args.dir, ayni_node::KeystoreCost::LIGHT)?;
    set_table(&args.dir, &pay_table(&args.dir, owner)?)?;
    let value = json!({
        "schema": 1, "rpc": running.url(), "chain": running.contracts.chain,
        "channels": running.contracts.channels.to_string(),
        "token": running.contracts.token.to_string(),
    });
    ui.show(&value, |_| {
        facts(&[
            ("test money", "it is worth nothing outside".to_owned()),
            ("rpc", running.url()),
            ("chain", running.contracts.chain.to_string()),
            ("contracts", args.dir.join("contracts.toml").display().to_string()),
        ])
    });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let orphaned = async {
        while !args.exit_with_parent || rustix::process::getppid() == parent {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        signal = tokio::signal::ctrl_c() => signal?,
        _ = terminate.recv() => {}
        () = orphaned => {}
    }
    Ok(ExitCode::from(exit::OK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn electricity_may_cost_more_than_was_earned() {
        for (earned, cost, net) in [(5, 3, "2"), (3, 3, "0"), (3, 5, "-2")] {
            assert_eq!(net_of(earned, cost), net);
        }
    }

    #[test]
    fn tokens_are_shown_to_the_unit() {
        for (amount, text) in [(0, "0.000000"), (1, "0.000001"), (12_000_345, "12.000345")] {
            assert_eq!(tokens(amount), text);
        }
    }

    #[test]
    fn a_table_is_added_once_and_nothing_else_is_touched() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        std::fs::write(&path, "cpus = 2").unwrap();
        add_table(home.path(), "[pay]\nrpc = \"x\"\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "cpus = 2\n[pay]\nrpc = \"x\"\n");
        let again = add_table(home.path(), "[pay]\n").unwrap_err().to_string();
        assert!(again.contains("already"), "{again}");
    }
}
