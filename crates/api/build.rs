//! Embeds the dashboard that `cargo xtask dashboard` leaves in `target/dashboard`, and the explorer's
//! page in its folder `explorer`. Without one, a page is embedded that says so and how to make one:
//! cargo alone needs no Node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where the explorer's page lies in the dashboard's folder.
const EXPLORER: &str = "/explorer";
const NONE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <title>Ayni</title><h1>This build has no dashboard</h1>\
    <p>The node runs, and its API is here. To have the dashboard as well, build with \
    <code>cargo xtask build</code>, which needs Node and npm.</p>\
    <p>Without it, the command line shows the same: <code>ayni status</code>.</p></html>";

fn main() {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut files = Vec::new();
    if let Some(folder) = folder(&out) {
        println!("cargo::rerun-if-changed={}", folder.display());
        collect(&folder, &folder, &mut files);
    }
    let (explorer, dashboard) = files
        .into_iter()
        .partition::<Vec<_>, _>(|(path, _)| path.starts_with(&format!("{EXPLORER}/")));
    let explorer = explorer.into_iter().map(|(path, file)| (path[EXPLORER.len()..].into(), file));
    let mut code = table("FILES", "/index.html", dashboard, &out);
    code.push_str(&table("EXPLORER_FILES", "/explorer.html", explorer.collect(), &out));
    std::fs::write(out.join("dashboard.rs"), code).expect("OUT_DIR can be written");
}

/// The files as a table in Rust; one page that says so if `first` is not among them.
fn table(name: &str, first: &str, mut files: Vec<(String, PathBuf)>, out: &Path) -> String {
    if !files.iter().any(|(path, _)| path == first) {
        let page = out.join("none.html");
        std::fs::write(&page, NONE).expect("OUT_DIR can be written");
        files = vec![(first.to_owned(), page)];
    }
    files.sort();
    let mut code = format!("static {name}: &[File] = &[\n");
    for (path, file) in &files {
        let kind = kind(path);
        let _ = writeln!(
            code,
            "File {{ path: {path:?}, kind: {kind:?}, bytes: include_bytes!({file:?}) }},"
        );
    }
    code.push_str("];\n");
    code
}

/// `target/dashboard`: `OUT_DIR` is `target/[TRIPLE/]PROFILE/build/PACKAGE/out`. Made if it is
/// missing, because cargo runs this again and again for a path that is not there.
fn folder(out: &Path) -> Option<PathBuf> {
    let triple = std::env::var_os("TARGET");
    let beside_profile = out.ancestors().nth(4)?;
    let target = match beside_profile.file_name() {
        name if name == triple.as_deref() => beside_profile.parent()?,
        _ => beside_profile,
    };
    let folder = target.join("dashboard");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            collect(root, &path, files);
        } else if !name.to_string_lossy().starts_with('.')
            && let Some(inside) = path.strip_prefix(root).ok().and_then(Path::to_str)
        {
            files.push((format!("/{inside}"), path));
        }
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
