//! The guides under `docs/guides`, typed as they stand: every block of `sh`, in order, in an empty
//! folder, with this build's executables on the path.
//!
//! A block of `sh in another terminal` goes on beside the others, which wait until its node is up.
//! Other blocks (`console`, `toml`) are not run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::network::kill;

/// What a node says when it takes requests: a daemon in its log, `ayni dev` on its terminal.
const UP: &str = "is up|use it:";

/// One script that does what a reader with several terminals does.
fn script(guide: &str) -> String {
    let mut script = String::from(
        "set -eu -o pipefail\n\
         up() { until grep -qE \"$UP\" \"$1\"; do kill -0 \"$2\" || { cat \"$1\"; exit 9; }; sleep 0.1; done; }\n",
    );
    let (mut blocks, mut others) = (0, 0);
    for part in guide.split("\n```").skip(1).step_by(2) {
        let (kind, body) = part.split_once('\n').expect("a block");
        match kind {
            "sh" => {
                blocks += 1;
                for line in body.lines() {
                    script.push_str(&format!("{line}\n"));
                }
            }
            "sh in another terminal" => {
                others += 1;
                let log = format!("terminal-{others}.log");
                script.push_str(&format!(
                    "(exec {}) > \"$TERMINALS/{log}\" 2>&1 &\nup \"$TERMINALS/{log}\" $!\n",
                    body.trim()
                ));
            }
            _ => {}
        }
    }
    assert!(blocks > 2, "a guide has commands");
    script.push_str("echo the end\n");
    script
}

/// Ends every node that has a home somewhere below.
fn end_nodes(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if entry.file_name() == "api.json" {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let endpoint: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                let pid = endpoint["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
                let Some(pid) = pid else { continue };
                let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                if line.contains("ayni") {
                    kill(pid, "-TERM");
                }
            }
        }
    }
}

fn follow(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides").join(name);
    let script = script(&fs::read_to_string(path).expect("the guide"));
    let dir = tempfile::tempdir().expect("a folder");
    let (work, terminals) = (dir.path().join("work"), dir.path().join("terminals"));
    for folder in [&work, &terminals] {
        fs::create_dir(folder).expect("made");
    }
    let executables = Path::new(env!("CARGO_BIN_EXE_ayni")).parent().expect("a folder");
    let path = format!("{}:{}", executables.display(), std::env::var("PATH").expect("a path"));
    let done = Command::new("bash")
        .args(["-c", &script])
        .current_dir(&work)
        .env_remove("AYNI_HOME")
        .env_remove("XDG_DATA_HOME")
        .env("HOME", &work)
        .env("TERMINALS", &terminals)
        .env("UP", UP)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .expect("bash");
    end_nodes(dir.path());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{name}: {}\n{stdout}\n{stderr}", done.status);
    assert!(stdout.ends_with("the end\n"), "{name}:\n{stdout}\n{stderr}");
}

#[test]
fn the_requesters_guide_works_as_it_stands() {
    follow("requester.md");
}

#[test]
fn the_providers_guide_works_as_it_stands() {
    follow("provider.md");
}

#[test]
fn the_authors_guide_works_as_it_stands() {
    follow("author.md");
}

#[test]
fn the_operators_guide_works_as_it_stands() {
    follow("operator.md");
}
