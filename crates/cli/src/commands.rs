//! From the parsed command line to the module that does it.

use std::process::ExitCode;

use ayni_api::codes::{self, exit};
use ayni_api::{ApiError, Client};

use crate::args::{Cli, Command};
use crate::ui::Ui;
use crate::{
    check, court, daemon, dev, docs, doctor, exec, explorer, gov, home, job, limits, money, new,
    node, open, quote, run, shop, trial, verify,
};

/// Does what the command line says.
pub(crate) async fn run(cli: Cli, ui: &Ui) -> anyhow::Result<ExitCode> {
    let home = || home::resolve(cli.global.home.as_deref());
    match cli.command {
        Command::Run(args) => Box::pin(run::run(*args, &home()?, ui)).await,
        Command::Quote(args) => Box::pin(quote::run(*args, &home()?, ui)).await,
        Command::Exec(args) => exec::run(*args, &home()?, ui).await,
        Command::Check { program } => check::run(&program, &home()?, ui).await,
        Command::New { name, lang } => done(new::run(&name, lang, ui)),
        Command::Job(command) => Box::pin(job::run(command, &home()?, ui)).await,
        Command::Offers { refresh } => {
            done(node::offers(&daemon::ensure(&home()?).await?, refresh, ui).await)
        }
        Command::Status => done(node::status(&running(&home()?).await?, ui).await),
        Command::Open { id, no_browser } => {
            let home = home()?;
            let client = daemon::ensure(&home).await?;
            done(open::run(&client, &home, id.as_deref(), no_browser, ui).await)
        }
        Command::Why { job } => {
            done(node::why(&daemon::ensure(&home()?).await?, job.as_deref(), ui).await)
        }
        Command::Wallet(command) => {
            let home = home()?;
            let client = async || daemon::ensure(&home).await;
            money::wallet(command, &home, client, ui).await?;
            Ok(ExitCode::from(exit::OK))
        }
        Command::Channel(command) => {
            done(money::channel(&daemon::ensure(&home()?).await?, command, ui).await)
        }
        Command::Stake(command) => {
            done(court::stake(&daemon::ensure(&home()?).await?, command, ui).await)
        }
        Command::Dispute(command) => {
            done(court::dispute(&daemon::ensure(&home()?).await?, command, ui).await)
        }
        Command::X402 { settings } => {
            let home = home()?;
            shop::run(&settings, &home, daemon::ensure(&home).await?, ui).await?;
            Ok(ExitCode::from(exit::OK))
        }
        Command::Explorer { listen } => {
            explorer::run(listen, &home()?, ui).await?;
            Ok(ExitCode::from(exit::OK))
        }
        Command::Gov(command) => {
            gov::run(command, &home()?, ui).await?;
            Ok(ExitCode::from(exit::OK))
        }
        Command::Statement(args) => {
            money::statement(&daemon::ensure(&home()?).await?, &args, ui).await?;
            Ok(ExitCode::from(exit::OK))
        }
        Command::Ledger(args) => money::ledger(args, ui).await,
        Command::Verify { receipt, re_execute } => {
            verify::run(&receipt, re_execute, &home()?, ui).await
        }
        Command::Doctor(args) => Ok(doctor::run(&args, &home()?, ui).await?),
        Command::Id => done(node::id(&daemon::ensure(&home()?).await?, ui).await),
        Command::Peers => done(node::peers(&daemon::ensure(&home()?).await?, ui).await),
        Command::Invite { valid } => {
            done(node::invite(&daemon::ensure(&home()?).await?, valid, ui).await)
        }
        Command::Join { ticket } => {
            done(node::join(&daemon::ensure(&home()?).await?, &ticket, ui).await)
        }
        Command::Provide(args) => {
            Box::pin(daemon::run(&home()?, args.daemon, Some(args.lend))).await
        }
        Command::Pause { how_long } => {
            done(limits::pause(&running(&home()?).await?, &how_long, ui).await)
        }
        Command::Resume => done(limits::resume(&running(&home()?).await?, ui).await),
        Command::Limits { command } => {
            done(limits::run(&running(&home()?).await?, command, ui).await)
        }
        Command::Daemon(args) => Box::pin(daemon::run(&home()?, *args, None)).await,
        Command::Stop => done(say(ui, daemon::stop(&home()?).await?)),
        Command::Dev(args) => dev::run(args, ui).await,
        Command::Try(args) => tokio::task::block_in_place(|| trial::run(&args, ui)),
        Command::Explain { code } => done(docs::explain(code.as_deref(), ui)),
        Command::Completions { shell } => done(docs::completions(shell)),
        Command::Man { out, markdown, openapi } => done(match out {
            Some(dir) => docs::man(&dir, ui),
            None if openapi => say_text(ui, &ayni_api::openapi()),
            None => {
                debug_assert!(markdown);
                say_text(ui, &docs::markdown())
            }
        }),
    }
}

/// The daemon that runs; none is started to be told that it should stop, or how it is.
async fn running(home: &std::path::Path) -> Result<Client, ApiError> {
    Client::of_home(home).await
}

fn say(ui: &Ui, text: &str) -> Result<(), ApiError> {
    ui.show(&ayni_api::json::Done::default(), |_| text.to_owned());
    Ok(())
}

fn say_text(ui: &Ui, text: &str) -> Result<(), ApiError> {
    ui.data(text);
    Ok(())
}

fn done(result: Result<(), ApiError>) -> anyhow::Result<ExitCode> {
    result?;
    Ok(ExitCode::from(exit::OK))
}

/// An error about something on this machine.
pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> ApiError {
    ApiError::new(codes::OUTPUT_WRITE, format!("{what} `{}`: {error}", path.display()))
        .hint("choose another place, or make room")
}
