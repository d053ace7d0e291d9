//! Processes that die at bad moments.

use std::process::{Command, Stdio};

use crate::network::{Network, PATIENCE, ayni, echo, number, run};

const JOB: &str = "2123456789abcdef0123456789abcdef";

#[test]
fn killing_two_of_five_providers_loses_nothing() {
    const TASKS: u64 = 500;
    let network = Network::start(5, &[]);
    let program = echo(network.dir.path());
    let mut job = network
        .ayni(&["run"])
        .arg(&program)
        .args(["--id", JOB, "--range", "0..500", "--step", "1", "--audit", "0.02"])
        .args(["--collect", "out.ndjson", "--", "{start}"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ayni run starts");
    network.wait_for(JOB, "fifty outcomes", |job| number(&job["counts"]["accepted"]) >= 50);
    network.kill("provider-1");
    network.wait_for(JOB, "a hundred outcomes", |job| number(&job["counts"]["accepted"]) >= 100);
    network.kill("provider-4");
    assert!(job.wait().expect("it ends").success());
    let job = network.job(JOB);
    assert_eq!(number(&job["counts"]["accepted"]), TASKS, "{job}");
    assert_eq!(number(&job["counts"]["failed"]), 0);
    let by_provider: u64 = job["providers"]
        .as_array()
        .expect("providers")
        .iter()
        .map(|provider| number(&provider["accepted"]))
        .sum();
    assert_eq!(by_provider, TASKS, "each outcome is accepted once: {job}");
    check_collected(&network, TASKS);
    eprintln!("{} assignments were run again", job["retried"]);
}

fn check_collected(network: &Network, tasks: u64) {
    let lines = std::fs::read_to_string(network.dir.path().join("out.ndjson")).expect("out.ndjson");
    assert_eq!(lines.lines().count() as u64, tasks);
    for (index, line) in lines.lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(number(&line["index"]), index as u64);
        assert_eq!(line["stdout"], format!("echo\0{index}\0"), "{line}");
    }
}

#[test]
fn a_requester_that_is_killed_goes_on_where_it_was() {
    let network = Network::start(2, &[]);
    let program = echo(network.dir.path());
    let (code, _, stderr) = run(network
        .ayni(&["run"])
        .arg(&program)
        .args(["--id", JOB, "--range", "0..200", "--step", "1", "--detach", "--", "{start}"]));
    assert_eq!(code, Some(0), "{stderr}");
    let before =
        network.wait_for(JOB, "twenty outcomes", |job| number(&job["counts"]["accepted"]) >= 20);
    network.kill("requester");
    // The command starts a daemon on the same home by itself.
    let after = network.wait_for(JOB, "the end", |job| job["state"] == "ended");
    assert_eq!(number(&after["counts"]["accepted"]), 200, "{after}");
    assert!(number(&before["counts"]["accepted"]) >= 20);
    let attempts: u64 = network.json(&["job", "show", JOB, "--tasks"])["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| number(&task["attempts"]))
        .sum();
    eprintln!("{attempts} assignments for 200 tasks");
    let (code, _, _) = run(&mut network.ayni(&["stop"]));
    assert_eq!(code, Some(0));
}

/// A file system of its own for a test that fills it; taken down at the end.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    /// `None` where the test may not mount.
    fn mount(path: &std::path::Path) -> Option<Self> {
        std::fs::create_dir(path).expect("a folder");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_a_job_and_room_lets_it_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(&dir.path().join("home")) else {
        eprintln!("SKIPPED: mounting a small file system needs root");
        return;
    };
    let program = echo(dir.path());
    let ayni = |args: &[&str]| {
        let mut command = ayni();
        command.arg("--home").arg(&disk.0).args(args);
        command
    };
    let (code, _, stderr) = run(ayni(&["run", "--id", JOB, "--home-cores", "--detach"])
        .arg(&program)
        .args(["--range", "0..150", "--step", "1", "--", "{start}"]));
    assert_eq!(code, Some(0), "{stderr}");
    let job = || {
        let (code, stdout, stderr) = run(&mut ayni(&["--json", "job", "show", JOB]));
        assert_eq!(code, Some(0), "{stderr}");
        serde_json::from_str::<serde_json::Value>(&stdout).expect("a job is JSON")
    };
    let wait = |what: &str, done: &dyn Fn(&serde_json::Value) -> bool| {
        let began = std::time::Instant::now();
        loop {
            let seen = job();
            if done(&seen) {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "waited for {what}, saw {seen}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    };
    wait("some outcomes", &|job| number(&job["counts"]["accepted"]) >= 10);
    let filler = disk.0.join("filler");
    let mut file = std::fs::File::create(&filler).expect("a file");
    // Until the disk refuses.
    let _ = std::io::copy(&mut std::io::repeat(7), &mut file);
    drop(file);
    std::thread::sleep(std::time::Duration::from_secs(4));
    let full = job();
    assert!(number(&full["counts"]["accepted"]) < 150, "the disk was not full in time: {full}");
    std::fs::remove_file(&filler).expect("removed");
    let ended = wait("the end", &|job| job["state"] == "ended");
    assert_eq!(number(&ended["counts"]["accepted"]), 150, "{ended}");
    let (code, _, stderr) = run(&mut ayni(&["stop"]));
    assert_eq!(code, Some(0), "{stderr}");
}
