//! The first minute, looking after a node, and what an operator's tools see of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::network::{Network, ayni, echo, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn try_goes_from_nothing_to_a_verified_result_and_leaves_nothing_but_what_was_asked_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let (code, stdout, stderr) = run(ayni().args(["--json", "try"]).env("TMPDIR", dir.path()));
    assert_eq!(code, Some(0), "{stderr}");
    let tried: Value = serde_json::from_str(&stdout).expect("JSON, and one value of it");
    assert_eq!((&tried["accepted"], &tried["re_executed"]), (&8.into(), &true.into()), "{tried}");
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");

    let kept = dir.path().join("kept");
    let (code, _, stderr) = run(ayni().arg("try").arg("--dir").arg(&kept));
    assert_eq!(code, Some(0), "{stderr}");
    // Another implementation of SHA-256 gives the same, for the message that the task made.
    let message = "import hashlib, sys; b = bytes(i * 31 % 251 for i in range(65536)); \
                   h = hashlib.sha256(); [h.update(b) for _ in range(30)]; print(h.hexdigest())";
    let python = Command::new("python3").args(["-c", message]).output().expect("python3");
    assert_eq!(fs::read(kept.join("out/3/stdout")).expect("a result"), python.stdout);
    let (code, _, stderr) = run(ayni().arg("try").arg("--dir").arg(&kept));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("exists") && stderr.contains("hint:"), "{stderr}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn level_of<'a>(doctor: &'a Value, name: &str) -> &'a str {
    let checks = doctor["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name);
    check.map_or("absent", |check| check["level"].as_str().expect("a level"))
}

/// A home whose daemon ends with this value.
struct Home(tempfile::TempDir);

impl Home {
    fn ayni(&self, args: &[&str]) -> (Option<i32>, Value, String) {
        let mut command = ayni();
        command.env("AYNI_HOME", self.0.path()).args(["--json"]).args(args);
        let (code, stdout, stderr) = run(&mut command);
        (code, serde_json::from_str(&stdout).unwrap_or_default(), stderr)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.ayni(&["stop"]);
    }
}

#[test]
fn doctor_finds_what_keeps_a_node_from_starting_and_mends_it_only_when_told() {
    let home = Home(tempfile::tempdir().expect("a folder"));
    let token = home.0.path().join("api.token");
    fs::write(&token, "ab".repeat(32)).expect("written");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).expect("opened");
    fs::write(home.0.path().join("api.json"), "{").expect("written");

    let (code, doctor, _) = home.ayni(&["doctor"]);
    assert_eq!(code, Some(1), "{doctor}");
    assert_eq!(level_of(&doctor, "secrets"), "fail");
    assert_eq!(level_of(&doctor, "leftovers"), "warn");
    assert_eq!(level_of(&doctor, "daemon"), "fail", "it refuses an open token: {doctor}");

    let (code, doctor, stderr) = home.ayni(&["doctor", "--fix"]);
    assert_eq!(code, Some(1), "{doctor}");
    assert_eq!(doctor["mended"], Value::Array(Vec::new()), "nobody said yes");
    assert!(stderr.contains("--yes"), "{stderr}");
    assert_eq!(mode(&token), 0o644);

    let (code, doctor, stderr) = home.ayni(&["doctor", "--fix", "--yes"]);
    assert_eq!(code, Some(0), "{doctor} {stderr}");
    assert_eq!(doctor["mended"].as_array().map(Vec::len), Some(2), "{doctor}");
    assert_eq!(mode(&token), 0o600);
    assert_eq!(level_of(&doctor, "secrets"), "ok");
    assert_eq!(level_of(&doctor, "daemon"), "absent", "it runs: {doctor}");
    assert_eq!(level_of(&doctor, "runner"), "ok", "and looked at itself: {doctor}");
}

#[test]
fn a_bundle_holds_what_helps_and_no_planted_secret() {
    let home = Home(tempfile::tempdir().expect("a folder"));
    let path = home.0.path();
    let word = "tr0ub4dor & \"3\"";
    fs::create_dir(path.join("keys")).expect("made");
    let secret = |name: &str, bytes: &[u8]| {
        fs::write(path.join(name), bytes).expect("written");
        fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o600)).expect("closed");
    };
    secret("keys/password", word.as_bytes());
    // Nobody is there: both are for documentation.
    let node = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    let settings = format!("peers = [\"{node}@192.0.2.9:4545\"]\nregion = \"PE\"\ncpus = 1\n");
    fs::write(path.join("config.toml"), settings).expect("written");

    // Its daemon makes a token and keys; then they turn up where they should not.
    let (code, id, stderr) = home.ayni(&["id"]);
    assert_eq!(code, Some(0), "{stderr}");
    let own = id["node"].as_str().expect("an id").to_owned();
    let token = fs::read_to_string(path.join("api.token")).expect("a token");
    let key = fs::read(path.join("keys/node")).expect("a key");
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let ticket = home.ayni(&["invite"]).1["ticket"].as_str().expect("a ticket").to_owned();
    let shown = path.display().to_string();
    let planted = [
        token.trim().to_owned(),
        hex.clone(),
        hex.to_uppercase(),
        word.to_owned(),
        "tr0ub4dor & \\\"3\\\"".to_owned(),
        shown.clone(),
        "192.0.2.9".to_owned(),
        "198.51.100.77".to_owned(),
        "2001:db8::77".to_owned(),
        node.to_owned(),
        own,
        ticket,
    ];
    let mut log = fs::OpenOptions::new().append(true).open(path.join("daemon.log")).expect("a log");
    for line in &planted {
        writeln!(log, "{{\"level\":\"INFO\",\"message\":\"a slip: {line}\"}}").expect("written");
    }
    writeln!(
        log,
        "from 198.51.100.77:9 and [2001:db8::77]:9 by https://user:pass@chain.example/v2/K"
    )
    .expect("written");
    writeln!(log, "a line that helps: E-NET-014").expect("written");

    let bundle = path.join("bundle.tar");
    let make = |more: &[&str]| {
        let mut args = vec!["doctor", "--bundle", bundle.to_str().expect("text")];
        args.extend(more);
        home.ayni(&args)
    };
    let (code, _, stderr) = make(&[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(mode(&bundle), 0o600);
    let bytes = fs::read(&bundle).expect("a bundle");
    let text = String::from_utf8_lossy(&bytes);
    for line in &planted {
        assert!(!text.contains(line.as_str()), "`{line}` is in the bundle");
    }
    // These are somebody's only where they stand in a URL.
    for part in ["user:pass", "chain.example", "/v2/K"] {
        assert!(!text.contains(part), "`{part}` is in the bundle");
    }
    assert!(!bytes.windows(key.len()).any(|window| window == key), "the key itself");
    let listed = Command::new("tar").arg("-tf").arg(&bundle).output().expect("tar");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for name in
        ["about.json", "doctor.txt", "status.json", "metrics.txt", "config.toml", "daemon.log"]
    {
        assert!(listed.contains(&format!("ayni-doctor/{name}\n")), "{listed}");
    }
    for kept in
        ["a line that helps: E-NET-014", "region = \"PE\"", "cpus = 1", "ayni_uptime_seconds"]
    {
        assert!(text.contains(kept), "`{kept}` is not in the bundle");
    }

    let (code, _, stderr) = make(&[]);
    assert_eq!(code, Some(2), "an older one is not overwritten: {stderr}");
    fs::remove_file(&bundle).expect("removed");
    let (code, _, stderr) = make(&["--with-addresses"]);
    assert_eq!(code, Some(0), "{stderr}");
    let bytes = fs::read(&bundle).expect("a bundle");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("198.51.100.77"), "addresses were asked for");
    for line in &planted[..6] {
        assert!(!text.contains(line.as_str()), "`{line}` is in the bundle");
    }
    assert!(!text.contains("user:pass"));
}

#[test]
fn the_log_is_json_for_machines_and_plain_when_asked() {
    let first = |form: &[&str]| {
        let home = Home(tempfile::tempdir().expect("a folder"));
        let mut daemon = ayni();
        daemon.arg("--home").arg(home.0.path()).args(["daemon", "--exit-with-parent"]).args(form);
        let mut child = daemon.stderr(std::process::Stdio::piped()).spawn().expect("a daemon");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut line)
            .expect("a line");
        crate::network::kill(child.id(), "-TERM");
        child.wait().expect("it ends");
        line
    };
    for form in [&[][..], &["--log-format", "json"]] {
        let line = first(form);
        let value: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert_eq!(value["level"], "INFO", "{line}");
    }
    // With the settings that the package brings, but for the port, which may be taken.
    let settings = root().join("ops/debian/config.toml");
    let settings = settings.to_str().expect("text");
    let line = first(&["--log-format", "human", "--config", settings, "--api", "127.0.0.1:0"]);
    assert!(
        line.contains(" INFO ") && !line.starts_with('{') && !line.contains('\u{1b}'),
        "{line}"
    );
}

/// What a node answers to `GET path`, as another user's program would ask: without a token.
fn get(home: &Path, path: &str, host: Option<&str>) -> String {
    let endpoint = fs::read_to_string(home.join("api.json")).expect("a daemon");
    let endpoint: Value = serde_json::from_str(&endpoint).expect("JSON");
    let addr = endpoint["addr"].as_str().expect("an address");
    let mut stream = TcpStream::connect(addr).expect("a connection");
    let host = host.unwrap_or(addr);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The names of metrics in any text: in `# TYPE` lines, expressions, JSON.
fn metric_names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("ayni_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn dashboards_and_alerts_name_what_a_node_really_exports() {
    let network = Network::start(1, &[]);
    let program = echo(network.dir.path());
    let (code, _, stderr) = run(network.ayni(&["run"]).arg(&program).args([
        "--range",
        "0..5",
        "--step",
        "1",
        "--name",
        "secretname",
        "--",
        "{start}",
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    let of = |name: &str| {
        let node = network.nodes.iter().find(|node| node.name == name).expect("a node");
        get(&node.home, "/metrics", None)
    };
    let (provider, requester) = (of("provider-1"), of("requester"));
    assert!(provider.starts_with("HTTP/1.1 200"), "{provider}");
    let typed: BTreeSet<String> = provider
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .collect();
    let declared: BTreeSet<String> =
        ayni_api::metrics::ALL.iter().map(|metric| metric.name.to_owned()).collect();
    assert_eq!(typed, declared, "what is declared is shown, and nothing else");
    assert!(requester.contains("\nayni_tasks{state=\"accepted\"} 5\n"), "{requester}");
    assert!(requester.contains("\nayni_jobs{state=\"ended\"} 1\n"), "{requester}");
    assert!(!requester.contains("ayni_provider_slots"), "it lends nothing");
    let done = provider.lines().find_map(|line| line.strip_prefix("ayni_provider_tasks_total "));
    assert!(done.is_some_and(|done| done != "0"), "{provider}");

    for file in
        ["ops/prometheus/alerts.yml", "ops/prometheus/alerts_test.yml", "ops/grafana/ayni.json"]
    {
        let text = fs::read_to_string(root().join(file)).expect(file);
        let named = metric_names(&text);
        assert!(named.len() > 3, "{file}");
        let unknown: Vec<_> = named.difference(&declared).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which no node exports");
    }
    // Every one is explained to operators.
    let guide = fs::read_to_string(root().join("docs/guides/operator.md")).expect("the guide");
    let missing: Vec<_> = declared.iter().filter(|name| !guide.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "docs/guides/operator.md does not explain {missing:?}");

    // Nothing in it is worth a token; a web page can't have it all the same.
    let requester_home = &network.requester;
    for private in ["secretname", "did:key", "127.0.0.1"] {
        let body = requester.split_once("\r\n\r\n").expect("a body").1;
        assert!(!body.contains(private), "{body}");
    }
    assert!(get(requester_home, "/metrics", Some("evil.example")).starts_with("HTTP/1.1 403"));
    assert!(get(requester_home, "/v1/status", None).starts_with("HTTP/1.1 401"));
}
