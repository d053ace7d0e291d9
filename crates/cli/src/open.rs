//! `ayni open`: logs a browser in to the dashboard.
//!
//! The link is a secret for as long as it is good, and the command line of a process can be read by
//! every user of a machine. So the browser is not given the link but a file, readable by its owner
//! only, that leads to it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ayni_api::{ApiError, Client};
use serde::Serialize;

use crate::commands::io;
use crate::quantity::show_ms;
use crate::ui::Ui;

/// The file in the node's home that leads a browser to the link.
const FILE: &str = "open.html";

#[derive(Serialize)]
struct Opened {
    schema: u32,
    url: String,
    valid_ms: u64,
    /// What was asked to show it.
    browser: Option<String>,
}

/// Prints a login link, and opens it if there is a browser.
pub(crate) async fn run(
    client: &Client,
    home: &Path,
    id: Option<&str>,
    no_browser: bool,
    ui: &Ui,
) -> Result<(), ApiError> {
    let to = match id {
        Some(id) => Some(place(client, id).await?),
        None => None,
    };
    let link = client.login_link().await?;
    let mut url = format!("{}{}", client.base(), link.path);
    if let Some(to) = to {
        url.push_str(&format!("?to={to}"));
    }
    let browser = if no_browser { None } else { browser() };
    let shown = browser.filter(|browser| show(browser, home, &url).is_ok());
    let browser = shown.map(|browser| browser.display().to_string());
    let opened = Opened { schema: 1, url, valid_ms: link.valid_ms, browser };
    ui.show(&opened, |opened| opened.url.clone());
    if !ui.json {
        let valid = show_ms(opened.valid_ms);
        ui.note(&format!("good for {valid} and one browser; whoever has it can use this node"));
        if opened.browser.is_none() && !no_browser {
            ui.hint("no browser was found here: copy the link into one on this machine");
        }
    }
    Ok(())
}

/// The page that shows `id`. A job may be cut to its first digits; all else the page looks up.
async fn place(client: &Client, id: &str) -> Result<String, ApiError> {
    let could_be_job =
        id == "last" || id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if could_be_job {
        match crate::job::find(client, id).await {
            Ok(job) => return Ok(format!("/jobs/{job}")),
            Err(error) if id == "last" => return Err(error),
            Err(_) => {}
        }
    }
    let escaped: String = id
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b':' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    Ok(format!("/explorer/{escaped}"))
}

/// What opens pages here: `$BROWSER`, or the desktop's own way if there is a desktop.
fn browser() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = set("BROWSER") {
        return Some(named.into());
    }
    set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY"))?;
    let paths = set("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join("xdg-open")).find(|path| path.is_file())
}

/// Has `browser` show the file that leads to `url`.
fn show(browser: &Path, home: &Path, url: &str) -> Result<(), ApiError> {
    let path = home.join(FILE);
    let draft = home.join(format!(".{FILE}.{}", std::process::id()));
    let page = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Ayni</title>\
         <meta name=\"referrer\" content=\"no-referrer\">\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\"><a href=\"{url}\">Ayni</a>\n"
    );
    let mut opening = std::fs::OpenOptions::new();
    opening
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(page.as_bytes()))
        .and_then(|()| std::fs::rename(&draft, &path))
        .map_err(|error| io("can't write", &path, &error))?;
    Command::new(browser)
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
        .map_err(|error| io("can't start", browser, &error))
}
