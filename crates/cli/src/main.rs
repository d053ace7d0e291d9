//! `ayni`: the daemon and the commands that speak to it.
//!
//! Commands know the local API and nothing else of a node. stdout is for data, stderr for talk.
//! Deliberately not here: what any command does (one module each), and any state.

mod args;
mod check;
mod commands;
mod court;
mod daemon;
mod dev;
mod docs;
mod doctor;
mod evidence;
mod exec;
mod expand;
mod explorer;
mod gov;
mod home;
mod inputs;
mod job;
mod jobfile;
mod limits;
mod money;
mod new;
mod node;
mod open;
mod output;
mod params;
mod pilot;
mod progress;
mod quantity;
mod quote;
mod run;
mod script;
mod shop;
mod sureness;
mod table;
mod template;
mod trial;
mod ui;
mod upload;
mod verify;
mod watch;

use std::process::ExitCode;

use ayni_api::codes::exit;
use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Cli, LogFormat};
use crate::ui::Ui;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let ui = Ui::new(&cli.global);
    if let Err(error) = start_log(&cli) {
        return ui.fail(&error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(cli, &ui)),
        Err(error) => Err(anyhow::Error::new(error).context("can't start the runtime")),
    };
    match result {
        Ok(code) => code,
        Err(error) => ui.fail(&error),
    }
}

/// A wrong command line: clap's own words, our exit code.
fn refuse(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::from(exit::OK)
        }
        _ => {
            if wants_json {
                let text = error.render().to_string();
                ui::print_error_json(&ayni_api::ApiError::new(
                    ayni_api::codes::USAGE,
                    text.trim().trim_start_matches("error: ").to_owned(),
                ));
            } else {
                let _ = error.print();
            }
            ExitCode::from(exit::USAGE)
        }
    }
}

fn start_log(cli: &Cli) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    let default = match (cli.command.is_daemon(), cli.global.verbose) {
        (true, 0) | (false, 1) => "info",
        (true, _) | (false, 2..) => "debug",
        (false, 0) => "warn",
    };
    let wanted = cli.global.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(wanted)
        .map_err(|error| anyhow::anyhow!("--log `{wanted}` is no filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    let json = match cli.global.log_format {
        LogFormat::Auto => cli.command.is_daemon() && !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    if json {
        builder.json().init();
    } else {
        builder.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).init();
    }
    Ok(())
}
