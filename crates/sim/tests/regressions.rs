//! Every world that once broke a promise, its knobs written out (draws change when knobs are
//! added). A file opens with what went wrong.

use ayni_sim::world::Options;
use ayni_sim::{Knobs, run_world};

#[test]
fn what_once_broke_stays_whole() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let knobs = Knobs::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let report = run_world(knobs, Options::default());
        let first = report.violations.first();
        assert!(first.is_none(), "{}: {}", path.display(), first.unwrap());
        files += 1;
    }
    assert!(files >= 8, "{files} files");
}

/// Episodes of the channel harness in words (`ayni-sim channels --seed N --write`).
#[test]
fn what_once_broke_among_channels_stays_whole() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/channels");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let played = ayni_sim::channels::play_written(&text);
        assert_eq!(played, Some(None), "{}", path.display());
        files += 1;
    }
    assert!(files >= 3, "{files} files");
}
