//! "Assume that wall one is broken": native programs in the runner's place, each first shown to
//! succeed without the jail.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command, Stdio};

use crate::help::{Bench, empty_file, hostile};

/// What the attacks are aimed at.
struct Target {
    values: Vec<(&'static str, String)>,
    victim: Child,
    _listeners: (TcpListener, UnixListener, UnixListener),
    _leaked: (std::os::fd::OwnedFd, std::os::fd::OwnedFd),
}

impl Target {
    fn new(folder: &std::path::Path) -> Self {
        let victim = Command::new(hostile()).arg("victim").stdin(Stdio::piped()).spawn().unwrap();
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", victim.id())).unwrap();
        let address = u64::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
        let secret = folder.join("secret");
        std::fs::write(&secret, "the key of the daemon, as long as this line").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("ayni-test-{}", std::process::id());
        let abstract_socket =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let socket = folder.join("socket");
        let socket_file = UnixListener::bind(&socket).unwrap();
        let show = |p: &std::path::Path| p.to_str().unwrap().to_owned();
        let cgroup = ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/pids/cgroup.procs"]
            .into_iter()
            .find(|p| std::path::Path::new(p).exists());
        let values = vec![
            ("folder", show(folder)),
            ("secret", show(&secret)),
            ("victim", victim.id().to_string()),
            ("address", address.to_string()),
            ("port", port.local_addr().unwrap().to_string()),
            ("abstract", name),
            ("socket", show(&socket)),
            ("cgroup", cgroup.unwrap_or_default().to_owned()),
            ("bomb_mib", "800".to_owned()),
        ];
        // Two descriptors that a careless daemon left open across exec.
        let leaked = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::empty()).unwrap();
        Self { values, victim, _listeners: (port, abstract_socket, socket_file), _leaked: leaked }
    }

    fn lines(&self) -> String {
        self.values.iter().map(|(k, v)| format!("{k}={v}\n")).collect()
    }

    /// The same attack in a plain process of the same user.
    fn without_jail(&self, folder: &std::path::Path, attack: &str) -> String {
        let artefact = empty_file(&folder.join("input"));
        let output = empty_file(&folder.join("output"));
        for name in ["device", "linked"] {
            let _ = std::fs::remove_file(folder.join(name));
        }
        let run = Command::new(hostile())
            .arg(attack)
            .args(self.values.iter().map(|(k, v)| format!("{k}={v}")))
            .arg(format!("artefact={}", artefact.display()))
            .arg(format!("output={}", output.display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout).trim().to_owned();
        if said.is_empty() { format!("refused: {:?}", run.status) } else { said }
    }
}

/// The wall that gave this answer. Others stand behind it.
fn answered_by(attack: &str, answer: &str) -> &'static str {
    let says = |part: &str| answer.contains(part);
    match attack {
        "read the environment" | "use leftover descriptors" => "the jail maker hands none on",
        _ if says("out of real memory") => "cgroup memory",
        _ if says("os error 12") || says("os error 27") || says("os error 24") => "rlimits",
        _ if says("os error 11") => "rlimits, cgroup pids",
        _ if says("os error 2)") => "mount namespace (not there)",
        _ if says("os error 13") => "landlock",
        _ if says("signal 31") => "seccomp (killed)",
        _ if says("os error 1)") || says("os error 38") => "seccomp",
        _ => "see answer",
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

fn attacks() -> Vec<String> {
    let listed = Command::new(hostile()).arg("list").output().unwrap().stdout;
    String::from_utf8(listed).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attack_that_works_outside_works_inside() {
    let bench = Bench::new().await;
    let outside = tempfile::tempdir().unwrap();
    let target = Target::new(outside.path());
    let mut honest = bench.slot().await;

    let mut rows = Vec::new();
    let (mut shown, mut escaped) = (0, Vec::new());
    for attack in attacks() {
        let plain = target.without_jail(outside.path(), &attack);
        let applicable = plain.starts_with("ok: ");
        shown += usize::from(applicable);
        // Tried inside even if it does not work outside: the jail must not make it work.
        let mut slot = bench.slot().await;
        let script = format!("{attack}\n{}", target.lines());
        let jailed = match bench.run(&mut slot, &script).await {
            Ok(said) => said,
            Err(fault) => format!("refused: runner stopped ({fault})"),
        };
        if !jailed.starts_with("refused: ") {
            escaped.push(format!("{attack}: {jailed}"));
        }
        slot.close().await;
        let wall =
            if jailed.starts_with("refused: ") { answered_by(&attack, &jailed) } else { "none" };
        let plain = if applicable {
            plain.replacen("ok: ", "", 1)
        } else {
            format!("not applicable: {}", plain.replacen("refused: ", "", 1))
        };
        let jailed = jailed.replacen("refused: ", "", 1);
        rows.push(format!("| {attack} | {plain} | {jailed} | {wall} |"));
    }
    println!(
        "| attack | without jail | in jail | answered by |\n|---|---|---|---|\n{}",
        rows.join("\n")
    );
    println!(
        "{} attacks, {shown} shown to succeed without jail, {} escaped",
        rows.len(),
        escaped.len()
    );

    assert!(escaped.is_empty(), "{escaped:#?}");
    assert!(shown >= 20, "only {shown} attacks succeed without the jail");
    // The daemon's side and a slot that stood by all the time go on.
    assert_eq!(bench.run(&mut honest, "forge: none").await.unwrap(), "");
    let written = std::fs::read(outside.path().join("secret")).unwrap();
    assert!(written.starts_with(b"the key"));
    honest.close().await;
}
