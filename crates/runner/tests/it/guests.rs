//! Guests written in WebAssembly text: what they see, each way to end, each limit.
//!
//! Every guest runs at two optimisation levels and on the second back end, and must have the same
//! outcome, fuel included, each time.

use ayni_types::{
    End, EnvVar, Exhausted, Fault, FaultKind, Fuel, GuestPath, Limits, Mount, MountKind, TaskSpec,
    TrapCode, Tree, TreeEntry,
};
use ayni_wire::runner::CompileHow;

use crate::harness::{Blobs, Ran, Runner};

pub const RUNNER: &str = env!("CARGO_BIN_EXE_ayni-runner");
pub const EVERY_WAY: [CompileHow; 3] =
    [CompileHow::Optimised, CompileHow::Plain, CompileHow::Baseline];

pub fn task(program: &[u8], args: &[&str]) -> TaskSpec {
    TaskSpec {
        engine: ayni_types::EngineId::wasi1(),
        program: ayni_wire::digest(program),
        args: args.iter().map(|a| (*a).to_owned()).collect(),
        env: vec![],
        stdin: None,
        mounts: vec![],
        limits: Limits { fuel: Fuel(200_000_000), ..Limits::default() },
        blind: None,
    }
}

/// Runs in every way; the outcomes must be equal.
pub fn run_bytes(
    program: &[u8],
    change: impl FnOnce(&mut TaskSpec, &mut Blobs),
) -> Result<Ran, Fault> {
    let mut task = task(program, &["guest"]);
    let mut blobs = Blobs::default();
    change(&mut task, &mut blobs);
    let mut runner = Runner::start(RUNNER);
    let ends = EVERY_WAY.map(|how| {
        let artefact = runner.compile(program, how).expect("a valid program");
        let first = runner.run(&task, how, &artefact, &blobs);
        assert_eq!(first, runner.run(&task, how, &artefact, &blobs), "{how:?}, again");
        first
    });
    assert_eq!(ends[0], ends[1], "optimised against plain");
    assert_eq!(ends[0], ends[2], "optimised against baseline");
    if let Ok(ran) = &ends[0] {
        witnesses(&mut runner, program, &task, &blobs, ran.outcome.fuel);
    }
    let [first, ..] = ends;
    first
}

/// Wherever the fuel runs out, every way of compiling stands in the same state.
fn witnesses(runner: &mut Runner, program: &[u8], task: &TaskSpec, blobs: &Blobs, used: Fuel) {
    let artefacts = EVERY_WAY.map(|how| runner.compile(program, how).expect("a valid program"));
    for at in [0, used.0 / 3, used.0 / 2, used.0.saturating_sub(1)] {
        if at >= used.0 {
            continue;
        }
        let mut task = task.clone();
        task.limits.fuel = Fuel(at);
        let states = EVERY_WAY.iter().zip(&artefacts).map(|(how, artefact)| {
            let ran = runner.witness(&task, *how, artefact, blobs);
            (ran.outcome.end, ran.state.expect("asked for"))
        });
        let states: Vec<_> = states.collect();
        assert!(states.iter().all(|state| *state == states[0]), "at {at} of {used}: {states:?}");
        assert!(matches!(states[0].0, End::Exhausted(_)), "{at} of {used}");
    }
}

/// A guest in text with WASI's imports before it and helpers behind it.
fn guest(body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink"
    (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size"
    (func $set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "sock_send"
    (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (table 2 2 funcref)
  ;; Writes `len` bytes at `at` to `fd`.
  (func $put (param $fd i32) (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  ;; Opens a path; the error number, or 1000 and the descriptor.
  (func $open (param $at i32) (param $len i32) (param $how i32) (param $rights i64) (result i32)
    (local $error i32)
    (local.set $error (call $path_open (i32.const 3) (i32.const 1) (local.get $at)
      (local.get $len) (local.get $how) (local.get $rights) (i64.const 0) (i32.const 0)
      (i32.const 12)))
    (if (result i32) (local.get $error)
      (then (local.get $error))
      (else (i32.add (i32.const 1000) (i32.load (i32.const 12))))))
  {body})"#
    ))
    .expect("valid text")
}

fn run(body: &str, change: impl FnOnce(&mut TaskSpec, &mut Blobs)) -> Ran {
    run_bytes(&guest(body), change).expect("an outcome")
}

fn end(body: &str, change: impl FnOnce(&mut TaskSpec, &mut Blobs)) -> End {
    run(body, change).end()
}

fn start(code: &str) -> String {
    format!(r#"(func (export "_start") (local $i i32) (local $j i64) {code})"#)
}

fn data(at: u32, text: &str) -> String {
    format!("(data (i32.const {at}) {text:?})")
}

fn mount(path: &str, kind: MountKind, blob: ayni_types::Digest) -> Mount {
    Mount { path: GuestPath::new(path).expect("a guest path"), kind, blob }
}

#[test]
fn a_guest_prints_and_ends_with_nought() {
    let body = start("(drop (call $put (i32.const 1) (i32.const 100) (i32.const 6)))")
        + &data(100, "hello\n");
    let ran = run(&body, |_, _| {});
    assert_eq!((ran.end(), ran.text().as_str()), (End::Exit(0), "hello\n"));
    assert!(ran.outcome.fuel.0 > 500, "{:?}", ran.outcome.fuel);
}

#[test]
fn exit_codes_are_data() {
    for code in [0, 1, 10, 20, 255, 256, u32::MAX] {
        let body = start(&format!("(call $exit (i32.const {}))", code.cast_signed()));
        assert_eq!(end(&body, |_, _| {}), End::Exit(code));
    }
}

#[test]
fn arguments_and_environment_are_the_tasks() {
    let show = "(drop (call $args_get (i32.const 1000) (i32.const 100)))
        (drop (call $put (i32.const 1) (i32.const 100) (i32.const 9)))
        (drop (call $environ_get (i32.const 1000) (i32.const 100)))
        (drop (call $put (i32.const 1) (i32.const 100) (i32.const 10)))";
    let ran = run(&start(show), |task, _| {
        task.args = vec!["p".into(), "ünï".into()];
        let env = |name: &str, value: &str| EnvVar { name: name.into(), value: value.into() };
        task.env = vec![env("A", "1"), env("BB", "=")];
    });
    assert_eq!(ran.text(), "p\0ünï\0\0A=1\0BB==\0\0");
}

#[test]
fn standard_input_is_read_to_its_end() {
    let copy = "(i32.store (i32.const 200) (i32.const 300))
        (i32.store (i32.const 204) (i32.const 4))
        (loop $more
          (drop (call $fd_read (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 208)))
          (drop (call $put (i32.const 1) (i32.const 300) (i32.load (i32.const 208))))
          (br_if $more (i32.load (i32.const 208))))";
    let ran = run(&start(copy), |task, blobs| task.stdin = Some(blobs.add("ten bytes.")));
    assert_eq!(ran.text(), "ten bytes.");
    let ran = run(&start(copy), |_, _| {});
    assert_eq!((ran.end(), ran.text().as_str()), (End::Exit(0), ""));
}

/// Opens `path` for reading and prints what it holds; exits with the error number otherwise.
fn cat(path: &str) -> String {
    let open = format!(
        "(local.set $i (call $open (i32.const 100) (i32.const {}) (i32.const 0) (i64.const 2)))
        (if (i32.lt_u (local.get $i) (i32.const 1000)) (then (call $exit (local.get $i))))
        (i32.store (i32.const 2000) (i32.const 3000))
        (i32.store (i32.const 2004) (i32.const 1000))
        (drop (call $fd_read (i32.sub (local.get $i) (i32.const 1000)) (i32.const 2000)
          (i32.const 1) (i32.const 2008)))
        (drop (call $put (i32.const 1) (i32.const 3000) (i32.load (i32.const 2008))))",
        path.len()
    );
    start(&open) + &data(100, path)
}

fn mounts(task: &mut TaskSpec, blobs: &mut Blobs) {
    let file = blobs.add("file");
    let entries = [("a/b.txt", "in a tree"), ("c", "beside")].map(|(path, text)| TreeEntry {
        path: path.into(),
        blob: blobs.add(text),
        size: text.len() as u64,
    });
    let tree = blobs.add(ayni_wire::encode(&Tree { entries: entries.into() }));
    task.mounts =
        vec![mount("/deep/er/x", MountKind::File, file), mount("/share", MountKind::Tree, tree)];
}

#[test]
fn mounted_files_and_trees_are_read() {
    for (path, text) in [
        ("deep/er/x", "file"),
        ("share/a/b.txt", "in a tree"),
        ("share/./a/../c", "beside"),
        ("out/../share//c", "beside"),
    ] {
        let ran = run(&cat(path), mounts);
        assert_eq!((ran.end(), ran.text().as_str()), (End::Exit(0), text), "{path}");
    }
}

#[test]
fn paths_do_not_lead_out() {
    const NOT_CAPABLE: u32 = 76;
    const NO_ENTRY: u32 = 44;
    for (path, errno) in [
        ("../etc/passwd", NOT_CAPABLE),
        ("share/../../x", NOT_CAPABLE),
        ("/etc/passwd", NOT_CAPABLE),
        ("..", NOT_CAPABLE),
        ("etc/passwd", NO_ENTRY),
        ("proc/self/environ", NO_ENTRY),
        ("share/a/none", NO_ENTRY),
        ("", NO_ENTRY),
        ("share/c/x", 54),
    ] {
        assert_eq!(end(&cat(path), mounts), End::Exit(errno), "{path}");
    }
}

#[test]
fn symbolic_links_do_not_lead_out() {
    let body = |target: &str| {
        start(&format!(
            "(local.set $i (call $symlink (i32.const 100) (i32.const {}) (i32.const 3)
              (i32.const 400) (i32.const 1)))
            (if (local.get $i) (then (call $exit (local.get $i))))
            (call $exit (call $open (i32.const 400) (i32.const 1) (i32.const 0) (i64.const 2)))",
            target.len()
        )) + &data(100, target)
            + &data(400, "l")
    };
    assert_eq!(end(&body("/etc"), |_, _| {}), End::Exit(76));
    assert_eq!(end(&body("../../etc"), |_, _| {}), End::Exit(76));
    assert_eq!(end(&body("l"), |_, _| {}), End::Exit(32));
    assert_eq!(end(&body("../share/c"), mounts), End::Exit(76), "a link's `..` is its folder's");
    assert_eq!(end(&body("share/c"), mounts), End::Exit(1004), "the root shows both");
}

/// Creates `path` and writes four bytes into it; exits with the error number.
fn create(path: &str) -> String {
    let code = format!(
        "(local.set $i (call $open (i32.const 100) (i32.const {}) (i32.const 9) (i64.const 64)))
        (if (i32.lt_u (local.get $i) (i32.const 1000)) (then (call $exit (local.get $i))))
        (call $exit (call $put (i32.sub (local.get $i) (i32.const 1000)) (i32.const 500)
          (i32.const 4)))",
        path.len()
    );
    start(&code) + &data(100, path) + &data(500, "data")
}

#[test]
fn what_is_written_to_out_or_beside_it_leaves() {
    for (path, files) in [("out/a", &["a"][..]), ("a.png", &["a.png"]), ("tmp/a", &[])] {
        let ran = run(&create(path), mounts);
        assert_eq!(ran.end(), End::Exit(0), "{path}");
        let left: Vec<_> = ran.files.iter().map(|(p, b)| (p.as_str(), b.as_slice())).collect();
        assert_eq!(left, files.iter().map(|p| (*p, &b"data"[..])).collect::<Vec<_>>());
    }
    const READ_ONLY: u32 = 69;
    for path in ["share/c", "share/new", "deep/er/x", "deep/new"] {
        assert_eq!(end(&create(path), mounts), End::Exit(READ_ONLY), "{path}");
    }
    assert_eq!(end(&create("out/a\u{7}b"), |_, _| {}), End::Exit(25), "a control character");
}

#[test]
fn clocks_are_virtual_and_sleeping_takes_no_time() {
    // Realtime, monotonic, then an hour asleep, monotonic again.
    let body = start(
        "(drop (call $clock (i32.const 0) (i64.const 0) (i32.const 1000)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 1008)))
        (i32.store (i32.const 2016) (i32.const 1))
        (i64.store (i32.const 2024) (i64.const 3600000000000))
        (drop (call $poll (i32.const 2000) (i32.const 3000) (i32.const 1) (i32.const 3100)))
        (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 1016)))
        (drop (call $put (i32.const 1) (i32.const 1000) (i32.const 24)))",
    );
    let ran = run(&body, |_, _| {});
    let times: Vec<u64> =
        ran.stdout.chunks(8).map(|c| u64::from_le_bytes(c.try_into().unwrap())).collect();
    assert_eq!(times, [946_684_800_000_000_000, 1_000, 3_600_000_002_000]);
}

#[test]
fn randomness_follows_the_task() {
    let body = start(
        "(drop (call $random (i32.const 1000) (i32.const 32)))
        (drop (call $put (i32.const 1) (i32.const 1000) (i32.const 32)))",
    );
    let one = run(&body, |_, _| {}).stdout;
    assert_eq!(one, run(&body, |_, _| {}).stdout);
    let other = run(&body, |task, _| task.blind = Some([1; 32])).stdout;
    assert_ne!(one, other);
    assert_eq!((one.len(), other.len()), (32, 32));
}

#[test]
fn traps_are_outcomes_and_keep_what_was_printed() {
    let cases = [
        ("unreachable", TrapCode::Unreachable),
        ("(drop (i32.load (i32.const -1)))", TrapCode::MemoryOutOfBounds),
        ("(drop (i32.div_s (local.get $i) (local.get $i)))", TrapCode::IntegerDivisionByZero),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $i) (i32.const 1))))",
            TrapCode::IntegerOverflow,
        ),
        ("(drop (i32.trunc_f64_s (f64.const nan)))", TrapCode::BadConversionToInteger),
        ("(call_indirect (param) (i32.const 5))", TrapCode::TableOutOfBounds),
        ("(call_indirect (param) (i32.const 1))", TrapCode::IndirectCallToNull),
        ("(call_indirect (param i32) (i32.const 0) (i32.const 0))", TrapCode::BadSignature),
        (
            "(drop (call $fd_write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 0)))",
            TrapCode::MemoryOutOfBounds,
        ),
    ];
    for (code, trap) in cases {
        let body = start(&format!(
            "(drop (call $put (i32.const 1) (i32.const 100) (i32.const 6))) {code}"
        )) + &data(100, "before")
            + "(func $nothing) (elem (i32.const 0) $nothing)";
        let ran = run(&body, |_, _| {});
        assert_eq!((ran.end(), ran.text().as_str()), (End::Trap(trap), "before"), "{code}");
    }
}

fn exhausted(body: &str, what: Exhausted, change: impl FnOnce(&mut TaskSpec, &mut Blobs)) {
    let mut limit = Fuel(0);
    let ran = run(body, |task, blobs| {
        change(task, blobs);
        limit = task.limits.fuel;
    });
    assert_eq!(ran.end(), End::Exhausted(what));
    assert_eq!(ran.outcome.fuel, limit, "an exhausted task used its limit");
    assert!(ran.stdout.is_empty() && ran.stderr.is_empty() && ran.files.is_empty());
}

#[test]
fn endless_loops_use_up_their_fuel() {
    exhausted(&start("(loop $l (br $l))"), Exhausted::Fuel, |_, _| {});
    let in_host = "(loop $l (drop (call $random (i32.const 0) (i32.const 65536))) (br $l))";
    exhausted(&start(in_host), Exhausted::Fuel, |_, _| {});
    let asleep = "(i32.store (i32.const 2016) (i32.const 1)) (i64.store (i32.const 2024) (i64.const -1))
        (loop $l (drop (call $poll (i32.const 2000) (i32.const 3000) (i32.const 1) (i32.const 3100)))
        (br $l))";
    exhausted(&start(asleep), Exhausted::Fuel, |_, _| {});
    exhausted(&start("(call $exit (i32.const 0))"), Exhausted::Fuel, |t, _| {
        t.limits.fuel = Fuel(100);
    });
}

#[test]
fn fuel_is_enough_to_the_unit() {
    let body = start("(drop (call $put (i32.const 1) (i32.const 100) (i32.const 6)))");
    let used = run(&body, |_, _| {}).outcome.fuel;
    assert_eq!(end(&body, |t, _| t.limits.fuel = used), End::Exit(0));
    exhausted(&body, Exhausted::Fuel, |t, _| t.limits.fuel = Fuel(used.0 - 1));
}

#[test]
fn memory_stops_at_its_limit() {
    // 100 pages more: granted or refused, and told so.
    let grow = start("(call $exit (memory.grow (i32.const 100)))");
    assert_eq!(end(&grow, |_, _| {}), End::Exit(2));
    let refused = |t: &mut TaskSpec, _: &mut Blobs| t.limits.memory_bytes = 101 << 16;
    assert_eq!(end(&grow, refused), End::Exit(u32::MAX));
    exhausted(&grow, Exhausted::Memory, |t, _| t.limits.memory_bytes = 1 << 16);
}

#[test]
fn recursion_ends_at_the_stack_limit() {
    let body = "(func $down (param i64) (result i64)
          (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 0))
            (else (i64.add (i64.const 1)
              (call $down (i64.sub (local.get 0) (i64.const 1)))))))
        (func (export \"_start\") (drop (call $down (i64.const 100000000))))";
    let more_fuel = |t: &mut TaskSpec| t.limits.fuel = Fuel(100_000_000_000);
    for stack_bytes in [64 << 10, 8 << 20, 64 << 20] {
        exhausted(body, Exhausted::Stack, |t, _| {
            more_fuel(t);
            t.limits.stack_bytes = stack_bytes;
        });
    }
}

#[test]
fn a_flood_of_output_is_stopped() {
    let flood =
        "(loop $l (drop (call $put (i32.const 1) (i32.const 0) (i32.const 65536))) (br $l))";
    let limit = |t: &mut TaskSpec, _: &mut Blobs| t.limits.output_bytes = 1 << 20;
    exhausted(&start(flood), Exhausted::Output, limit);
    exhausted(
        &start(&flood.replace("(i32.const 1) (i32.const 0)", "(i32.const 2) (i32.const 0)")),
        Exhausted::Output,
        limit,
    );
    // A file that does not fit is an error the guest is told of.
    let big = start(
        "(local.set $i (call $open (i32.const 100) (i32.const 1) (i32.const 1) (i64.const 64)))
        (call $exit (call $set_size (i32.sub (local.get $i) (i32.const 1000)) (i64.const 1048577)))",
    ) + &data(100, "x");
    assert_eq!(end(&big, limit), End::Exit(51));
}

#[test]
fn a_million_files_are_not_made() {
    // Files `tmp/0000` counting up, until one is refused; exits with its error number.
    let body = |folder: &str, name_at: u32| {
        start(&format!(
            "(loop $more
              (i32.store (i32.const {name_at}) (i32.add (i32.const 0x30303030)
                (i32.add (i32.and (local.get $i) (i32.const 63))
                (i32.add (i32.shl (i32.and (local.get $i) (i32.const 4032)) (i32.const 2))
                (i32.shl (i32.and (local.get $i) (i32.const 258048)) (i32.const 4))))))
              (local.set $j (i64.extend_i32_u (call $open (i32.const 100) (i32.const 8)
                (i32.const 5) (i64.const 64))))
              (if (i64.lt_u (local.get $j) (i64.const 1000))
                (then (call $exit (i32.wrap_i64 (local.get $j)))))
              (drop (call $fd_close (i32.sub (i32.wrap_i64 (local.get $j)) (i32.const 1000))))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $more (i32.lt_u (local.get $i) (i32.const 1000000))))",
        )) + &data(100, folder)
    };
    let more = |t: &mut TaskSpec, _: &mut Blobs| t.limits.fuel = Fuel(10_000_000_000);
    assert_eq!(end(&body("tmp/", 104), more), End::Exit(51));
    assert_eq!(end(&body("out/", 104), more), End::Exit(51));
}

#[test]
fn open_files_are_limited() {
    let body = start(
        "(loop $more
          (local.set $i (call $open (i32.const 100) (i32.const 1) (i32.const 1) (i64.const 64)))
          (br_if $more (i32.ge_u (local.get $i) (i32.const 1000)))
          (call $exit (local.get $i)))",
    ) + &data(100, "x");
    assert_eq!(end(&body, |_, _| {}), End::Exit(33));
}

#[test]
fn there_is_no_network() {
    let body = start(
        "(call $exit (call $sock_send (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
          (i32.const 0)))",
    );
    assert_eq!(end(&body, |_, _| {}), End::Exit(57));
}

#[test]
fn the_start_function_is_metered_too() {
    let body = "(func $first (drop (call $put (i32.const 1) (i32.const 100) (i32.const 3))))
        (start $first) (func (export \"_start\"))";
    let ran = run(&(body.to_owned() + &data(100, "hi\n")), |_, _| {});
    assert_eq!((ran.end(), ran.text().as_str()), (End::Exit(0), "hi\n"));
    exhausted(
        "(func $f (loop $l (br $l))) (start $f) (func (export \"_start\"))",
        Exhausted::Fuel,
        |_, _| {},
    );
}

#[test]
fn inputs_that_are_missing_are_faults() {
    let missing = |t: &mut TaskSpec, _: &mut Blobs| {
        t.mounts = vec![mount("/in", MountKind::File, ayni_wire::digest(b"nobody has it"))];
    };
    let fault = run_bytes(&guest(&cat("in")), missing).unwrap_err();
    assert_eq!(fault.kind, FaultKind::InputUnavailable);
    // Never opened, never missed.
    assert_eq!(end(&start(""), missing), End::Exit(0));
    let no_tree = |t: &mut TaskSpec, blobs: &mut Blobs| {
        t.mounts = vec![mount("/in", MountKind::Tree, blobs.add("not a tree"))];
    };
    let fault = run_bytes(&guest(&start("")), no_tree).unwrap_err();
    assert_eq!(fault.kind, FaultKind::InputUnavailable);
}

#[test]
fn nans_have_the_same_bits_everywhere() {
    // A NaN made by arithmetic from operands with payloads, and one that is only moved.
    let body = start(
        "(f64.store (i32.const 1000) (f64.add (f64.load (i32.const 1016)) (f64.load (i32.const 1024))))
        (f64.store (i32.const 1008) (f64.load (i32.const 1016)))
        (drop (call $put (i32.const 1) (i32.const 1000) (i32.const 16)))",
    ) + r#"(data (i32.const 1016) "\01\00\00\00\00\00\f4\ff\02\00\00\00\00\00\f8\7f")"#;
    let ran = run(&body, |_, _| {});
    assert_eq!(ran.stdout[..8], f64::to_le_bytes(f64::from_bits(0x7ff8_0000_0000_0000)));
    assert_eq!(ran.stdout[8..], [1, 0, 0, 0, 0, 0, 0xf4, 0xff]);
}
