//! `ayni doctor`: what this command sees in the home and what the node sees of itself; what can be
//! mended; and a bundle to show to somebody who helps.
//!
//! - `home`: what is looked at without the node, for when it does not start
//! - `mend`: what can be done about it, asked for one by one
//! - `bundle`: logs, settings, versions and figures in one file
//! - `redact`: what must not be in it
//!
//! Deliberately not here: what the node looks at (`ayni-node`), and sending anything anywhere.

mod bundle;
mod home;
mod mend;
mod redact;

use std::path::Path;
use std::process::ExitCode;

use ayni_api::codes::exit;
use ayni_api::json::{Check, CheckLevel, Schema};
use ayni_api::{ApiError, Client};
use serde::Serialize;

use crate::args::DoctorArgs;
use crate::daemon;
use crate::ui::{Ui, escape};

/// What was found, in the order in which it matters, and what was done about it.
#[derive(Serialize)]
struct Findings {
    schema: Schema,
    checks: Vec<Check>,
    /// With `--fix`: what was mended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<Vec<String>>,
}

/// Looks, mends if asked to, and packs if asked to.
pub(crate) async fn run(args: &DoctorArgs, folder: &Path, ui: &Ui) -> Result<ExitCode, ApiError> {
    let mut found = home::look(folder);
    let mendable = found.iter().filter(|finding| finding.mend.is_some()).count();
    let mut mended = args.fix.then(Vec::new);
    if let Some(mended) = &mut mended {
        for finding in &found {
            if let Some(mend) = &finding.mend
                && mend::ask_and_do(mend, &finding.check, args.yes, ui)?
            {
                mended.push(mend.to_string());
            }
        }
        found = home::look(folder);
    }
    let mut checks: Vec<Check> = found.into_iter().map(|finding| finding.check).collect();
    let client = match daemon::ensure(folder).await {
        Ok(client) => Some(client),
        Err(error) => {
            checks.insert(0, no_daemon(&error));
            None
        }
    };
    if let Some(client) = &client {
        checks.extend(client.doctor().await?.checks);
    }
    let findings = Findings { schema: Schema, checks, mended };
    if let Some(file) = &args.bundle {
        bundle::write(file, folder, client.as_ref(), &findings.checks, args.with_addresses, ui)
            .await?;
    }
    ui.show(&findings, |findings| text(&findings.checks));
    if !ui.json && !args.fix && mendable > 0 {
        ui.hint(&format!("`ayni doctor --fix` can mend {mendable} of these; it asks before each"));
    }
    let failed = findings.checks.iter().any(|check| check.level == CheckLevel::Fail);
    Ok(ExitCode::from(if failed { exit::FAILED } else { exit::OK }))
}

fn no_daemon(error: &ApiError) -> Check {
    Check {
        name: "daemon".to_owned(),
        level: CheckLevel::Fail,
        detail: error.message.clone(),
        hint: Some(error.hint.to_string()),
    }
}

fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let (level, name) = (check.level.text(), &check.name);
        text.push_str(&format!("{level:4}  {name:width$}  {}\n", escape(&check.detail)));
        if let Some(hint) = check.hint.as_ref().filter(|_| check.level != CheckLevel::Ok) {
            text.push_str(&format!("      {:width$}  hint: {}\n", "", escape(hint)));
        }
    }
    text
}

/// What a node says of itself, or why it does not.
async fn ask<T, F: Future<Output = Result<T, ApiError>>>(
    client: Option<&Client>,
    what: impl FnOnce(Client) -> F,
) -> Result<T, String> {
    match client {
        None => Err("no daemon answered".to_owned()),
        Some(client) => what(client.clone()).await.map_err(|error| error.message),
    }
}
