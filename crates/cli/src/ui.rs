//! The one printer: data to stdout, talk to stderr, colour only where it is wanted, and nothing
//! that a stranger's program wrote reaches a terminal unescaped.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use ayni_api::codes::exit;
use ayni_api::{ApiError, codes};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::args::{Color, Global};

/// How to talk.
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    /// Data as JSON.
    pub(crate) json: bool,
    quiet: u8,
    /// Progress may be drawn over itself.
    pub(crate) live: bool,
}

impl Ui {
    pub(crate) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = std::io::stderr().is_terminal() && !dumb && global.quiet == 0;
        Self { json: global.json, quiet: global.quiet, live }
    }

    /// Data: one line, or several.
    pub(crate) fn data(&self, text: &str) {
        let mut out = anstream::stdout().lock();
        // A reader that went away (`| head`) is no failure of ours.
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// Data: bytes as they are; escaped if stdout is a terminal, for they may be a stranger's.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        write_foreign(&mut std::io::stdout().lock(), bytes, std::io::stdout().is_terminal());
    }

    /// Talk: a stranger's bytes for stderr.
    pub(crate) fn bytes_err(&self, bytes: &[u8]) {
        write_foreign(&mut std::io::stderr().lock(), bytes, std::io::stderr().is_terminal());
    }

    /// Data: one JSON value, on one line.
    pub(crate) fn value(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.data(&text),
            Err(error) => self.warn(&format!("can't print the answer as JSON: {error}")),
        }
    }

    /// Data: JSON if wanted, else what `human` says.
    pub(crate) fn show<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) {
        if self.json { self.value(value) } else { self.data(&human(value)) }
    }

    /// Talk: what happens.
    pub(crate) fn note(&self, text: &str) {
        if self.quiet == 0 {
            anstream::eprintln!("{text}");
        }
    }

    /// Talk: what to do next.
    pub(crate) fn hint(&self, text: &str) {
        if self.quiet == 0 {
            anstream::eprintln!("{} {text}", "hint:".cyan().bold());
        }
    }

    /// Talk: something to worry about.
    pub(crate) fn warn(&self, text: &str) {
        if self.quiet < 2 {
            anstream::eprintln!("{} {text}", "warning:".yellow().bold());
        }
    }

    /// Talk: something that must not be overlooked, however quiet.
    pub(crate) fn alarm(&self, text: &str) {
        anstream::eprintln!("{} {text}", "ALARM:".red().bold());
    }

    /// Says an error, and the exit code that it calls for.
    pub(crate) fn fail(&self, error: &anyhow::Error) -> ExitCode {
        let error = match error.downcast_ref::<ApiError>() {
            Some(error) => error.clone(),
            None => ApiError::new(codes::NODE_INTERNAL, format!("{error:#}")),
        };
        if self.json {
            print_error_json(&error);
        } else {
            anstream::eprintln!("{} {}", "error:".red().bold(), escape(&error.message));
            anstream::eprintln!("{} {}", "hint:".cyan().bold(), error.hint);
            anstream::eprintln!("{}", format!("{} (`ayni explain {0}`)", error.code.id).dimmed());
        }
        ExitCode::from(error.code.exit)
    }
}

/// An error as JSON, on stderr.
pub(crate) fn print_error_json(error: &ApiError) {
    if let Ok(text) = serde_json::to_string(&error.body()) {
        anstream::eprintln!("{text}");
    }
}

/// An exit code by its number.
pub(crate) fn code(ok: bool) -> ExitCode {
    ExitCode::from(if ok { exit::OK } else { exit::FAILED })
}

/// Text from elsewhere, safe on a terminal: control characters and such are shown, not obeyed.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
        match c {
            '\n' | '\t' => safe.push(c),
            _ if c.is_control() || hidden => safe.extend(c.escape_unicode()),
            _ => safe.push(c),
        }
    }
    safe
}

fn write_foreign(out: &mut impl std::io::Write, bytes: &[u8], terminal: bool) {
    let _ = if terminal {
        out.write_all(escape(&String::from_utf8_lossy(bytes)).as_bytes())
    } else {
        out.write_all(bytes)
    };
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        assert_eq!(escape("a\u{1b}[2Jb\r\u{202e}ö\n\tc"), "a\\u{1b}[2Jb\\u{d}\\u{202e}ö\n\tc");
        let mut out = Vec::new();
        write_foreign(&mut out, b"\x1b]0;x\x07\xff", true);
        assert_eq!(String::from_utf8(out).unwrap(), "\\u{1b}]0;x\\u{7}\u{fffd}");
        let mut out = Vec::new();
        write_foreign(&mut out, b"\x1b\xff", false);
        assert_eq!(out, b"\x1b\xff");
    }
}
