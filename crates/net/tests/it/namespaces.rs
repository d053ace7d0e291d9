//! Nodes on machines of their own: network namespaces joined by virtual cables, so that a cable
//! can be pulled. Each test runs itself again inside a user namespace, where nobody else's network
//! can be touched, and starts nodes as processes there. Skipped aloud where the kernel does not
//! allow user namespaces.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use ayni_net::{NetConfig, NetEvent, Path};
use ayni_types::NodeAddr;

use crate::support::{Folder, HANG, Node, number_of, numbered};

/// Set inside the user namespace.
const INSIDE: &str = "AYNI_NET_TEST_INSIDE";
/// Set for a node: its seed, its relay, its relay role.
const NODE: &str = "AYNI_NET_TEST_NODE";

/// Not a test by itself: a node that is told what to do by lines and tells what it sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_in_a_namespace() {
    let Ok(role) = std::env::var(NODE) else { return };
    let role: Vec<_> = role.split(' ').collect();
    let given = |at: usize| Some(role[at]).filter(|text| *text != "-");
    let config = NetConfig {
        bind: vec!["0.0.0.0:4545".parse().unwrap()],
        relay_urls: given(1).map(str::to_owned).into_iter().collect(),
        serve_relay: given(2).map(|addr| addr.parse().unwrap()),
        ..NetConfig::new([role[0].parse().unwrap(); 32])
    };
    let mut node = Node::with(config, Folder::new()).await;
    if given(1).is_some() {
        node.net.online().await;
    }
    println!("\nready {}", node.id());
    let (lines, mut commands) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            lines.send(line.unwrap()).unwrap();
        }
    });
    loop {
        let command = tokio::select! {
            event = node.events.recv() => {
                match event.unwrap() {
                    NetEvent::PeerUp(_) => println!("up"),
                    NetEvent::PeerDown(_) => println!("down"),
                    NetEvent::Undelivered { message, .. } => {
                        println!("undelivered {}", number_of(&message));
                    }
                    NetEvent::Message { message, .. } => println!("got {}", number_of(&message)),
                    NetEvent::Discovered(_) => {}
                }
                continue;
            }
            command = commands.recv() => command,
        };
        // The end of the input is the end of the test.
        let Some(command) = command else { return };
        let words: Vec<_> = command.split(' ').collect();
        match words[..] {
            ["learn", id, addr, relay] => node.net.learn(NodeAddr {
                node: id.parse().unwrap(),
                direct: addr.parse().into_iter().collect(),
                relay: Some(relay.to_owned()).filter(|text| text != "-"),
            }),
            ["send", id, number] => {
                node.net.send(id.parse().unwrap(), numbered(number.parse().unwrap()));
            }
            ["path"] => match node.net.peers().first().map(|peer| peer.path.clone()) {
                Some(Path::Direct(_)) => println!("path direct"),
                Some(Path::Relay(_)) => println!("path relay"),
                _ => println!("path none"),
            },
            _ => panic!("what is `{command}`?"),
        }
    }
}

/// Runs `test` again inside; true when this is inside.
fn enter(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let probe = ["-Urnm", "--", "mount", "-t", "tmpfs", "x", "/run"];
    match Command::new("unshare").args(probe).status() {
        Ok(status) if status.success() => {}
        other => {
            eprintln!("skipped: no user namespaces here ({other:?})");
            return false;
        }
    }
    let status = Command::new("unshare")
        .args(["-Urnm", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "inside: {status}");
    false
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}: {status}");
}

/// A node in a namespace.
struct Machine {
    child: Child,
    tell: ChildStdin,
    said: Receiver<String>,
    id: String,
}

impl Machine {
    fn start(namespace: &str, role: &str) -> Self {
        let mut child = Command::new("ip")
            .args(["netns", "exec", namespace])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "namespaces::node_in_a_namespace", "--nocapture"])
            .env(NODE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        let tell = child.stdin.take().unwrap();
        let mut machine = Self { child, tell, said, id: String::new() };
        let ready = machine.until(|line| line.starts_with("ready "));
        machine.id = ready.trim_start_matches("ready ").to_owned();
        machine
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.tell, "{line}").unwrap();
    }

    fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + HANG;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.said.recv_timeout(left).expect("the wanted line");
            if wanted(&line) {
                return line;
            }
        }
    }

    fn until_path(&mut self, wanted: &str) {
        let end = Instant::now() + HANG;
        loop {
            self.tell("path");
            if self.until(|line| line.starts_with("path ")) == format!("path {wanted}") {
                return;
            }
            assert!(Instant::now() < end, "the path never became {wanted}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Namespaces `r` and each of `others`, each of those on a cable of its own to `r`: 10.0.N.1 is
/// `r`'s end, 10.0.N.2 the other. `r` passes nothing on, and is 10.9.9.9 for all.
fn star(others: &[&str]) {
    let status = Command::new("mount").args(["-t", "tmpfs", "x", "/run"]).status().unwrap();
    assert!(status.success());
    ip("netns add r");
    ip("-n r link set lo up");
    ip("-n r addr add 10.9.9.9/32 dev lo");
    for (n, name) in others.iter().enumerate() {
        ip(&format!("netns add {name}"));
        ip(&format!("link add to-{name} type veth peer name {name}0"));
        ip(&format!("link set to-{name} netns r"));
        ip(&format!("link set {name}0 netns {name}"));
        ip(&format!("-n r addr add 10.0.{n}.1/24 dev to-{name}"));
        ip(&format!("-n {name} addr add 10.0.{n}.2/24 dev {name}0"));
        ip(&format!("-n r link set to-{name} up"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} link set {name}0 up"));
        ip(&format!("-n {name} route add default via 10.0.{n}.1"));
    }
}

#[test]
fn a_pulled_cable_is_noticed_and_healed() {
    if !enter("namespaces::a_pulled_cable_is_noticed_and_healed") {
        return;
    }
    star(&["a"]);
    let mut a = Machine::start("a", "1 - -");
    let mut r = Machine::start("r", "2 - -");
    let (to_r, to_a) = (r.id.clone(), a.id.clone());
    a.tell(&format!("learn {to_r} 10.9.9.9:4545 -"));
    a.tell(&format!("send {to_r} 1"));
    r.until(|line| line == "got 1");
    r.tell(&format!("send {to_a} 2"));
    a.until(|line| line == "got 2");

    ip("-n r link set to-a down");
    let pulled = Instant::now();
    a.until(|line| line == "down");
    r.until(|line| line == "down");
    eprintln!("both noticed after {} ms", pulled.elapsed().as_millis());
    a.tell(&format!("send {to_r} 3"));
    a.until(|line| line == "undelivered 3");

    ip("-n r link set to-a up");
    a.tell(&format!("learn {to_r} 10.9.9.9:4545 -"));
    a.tell(&format!("send {to_r} 4"));
    r.until(|line| line == "got 4");
    r.tell(&format!("send {to_a} 5"));
    a.until(|line| line == "got 5");
}

#[test]
fn nodes_that_cannot_reach_each_other_use_the_relay_until_they_can() {
    if !enter("namespaces::nodes_that_cannot_reach_each_other_use_the_relay_until_they_can") {
        return;
    }
    star(&["a", "b"]);
    let url = "http://10.9.9.9:3340";
    let r = Machine::start("r", "3 - 10.9.9.9:3340");
    let mut a = Machine::start("a", &format!("1 {url} -"));
    let mut b = Machine::start("b", &format!("2 {url} -"));
    let (to_a, to_b) = (a.id.clone(), b.id.clone());
    a.tell(&format!("learn {to_b} - {url}"));
    a.tell(&format!("send {to_b} 1"));
    b.until(|line| line == "got 1");
    b.tell(&format!("send {to_a} 2"));
    a.until(|line| line == "got 2");
    a.until_path("relay");

    let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
    let status = Command::new("ip").args(["netns", "exec", "r", "sh", "-c", forward]).status();
    if !status.unwrap().success() {
        eprintln!("not tried: this kernel does not let us switch forwarding on");
        return;
    }
    let on = Instant::now();
    a.until_path("direct");
    eprintln!("direct after {} ms", on.elapsed().as_millis());
    a.tell(&format!("send {to_b} 3"));
    b.until(|line| line == "got 3");
    drop(r);
}
