//! Hostile guests: what each tries, what is to contain it, and what it is to come to.
//!
//! Each says what it could do by bytes on its standard output, most often the error number of each
//! call. Deliberately not here: guests that broke out of WebAssembly; those are native programs
//! (`crates/sandbox/examples/hostile`).

/// What a guest is to come to.
pub(crate) enum Fate {
    /// This end, in the words of an outcome.
    Ends(&'static str),
    /// Exit code 0; its standard output must pass, and is told in these words.
    Says(fn(&[u8]) -> Result<String, String>),
    /// The provider refuses the program, with this in its reason.
    Refused(&'static str),
}

pub(crate) struct Guest {
    /// What it tries.
    pub(crate) tries: &'static str,
    /// What contains it.
    pub(crate) wall: &'static str,
    pub(crate) fate: Fate,
    pub(crate) program: Vec<u8>,
    /// Output files that it is to leave; `None` if that says nothing.
    pub(crate) files: Option<&'static [&'static str]>,
}

use Fate::{Ends, Refused, Says};

/// Everything that is tried.
pub(crate) fn all() -> Vec<Guest> {
    let mut all = work();
    all.extend(space());
    all.extend(bombs());
    all.extend(reaching_out());
    all
}

const FUEL: &str = "fuel, counted on the module itself";
const HOST_FUEL: &str = "fuel: each host call costs, its bytes and items too";
const LIMITS: &str = "limits of the contract, before compilation";
const CHECK: &str = "the check before compilation";
const FILES: &str = "a file system of its own, held in memory";

/// Loops without end, inside and in calls of the host.
fn work() -> Vec<Guest> {
    let forever = |call: &str| format!("(loop $again {call} (br $again))");
    // A subscription of zeroes: the real-time clock, after nothing.
    let poll = "(drop (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 8)))";
    let random = "(drop (call $random (i32.const 0) (i32.const 65536)))";
    let read = "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";
    let fuel =
        |tries, wall, code: String| guest(tries, wall, Ends("exhausted: fuel"), module(&code, ""));
    vec![
        fuel("loop without end", FUEL, forever("")),
        guest(
            "loop without end in the start function",
            FUEL,
            Ends("exhausted: fuel"),
            text(r#"(module (memory (export "memory") 1) (func (export "_start"))
                (func $s (loop $again (br $again))) (start $s))"#),
        ),
        fuel("yield without end", HOST_FUEL, forever("(drop (call $yield))")),
        fuel("read nothing without end", HOST_FUEL, forever(read)),
        fuel("poll without end", HOST_FUEL, forever(poll)),
        fuel("draw 64 KiB of random bytes without end", HOST_FUEL, forever(random)),
        guest(
            "sleep for ten years",
            "a virtual clock: sleeping takes no time",
            Says(|said| number(said).and_then(|ns| {
                let slept = ns >= 315_360_000_000_000_000;
                if slept { Ok("its clock has moved by ten years".into()) } else { Err(format!("{ns} ns")) }
            })),
            module(
                "(i32.store (i32.const 1016) (i32.const 1))
                (i64.store (i32.const 1024) (i64.const 315360000000000000))
                (call $say (call $poll (i32.const 1000) (i32.const 2000) (i32.const 1) (i32.const 8)))
                (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))
                (drop (call $put (i32.const 1) (i32.const 64) (i32.const 8)))",
                "",
            ),
        ),
    ]
}

/// Memory, tables, stack, output, files.
fn space() -> Vec<Guest> {
    let flood = |fd: u32| {
        format!(
            "(memory.fill (i32.const 1000) (i32.const 120) (i32.const 64000))
            (loop $again (drop (call $put (i32.const {fd}) (i32.const 1000) (i32.const 64000)))
              (br $again))"
        )
    };
    // Five letters for a number, behind the folder's name, at 100.
    let files = |folder: &str| {
        let at = |letter: usize| 100 + folder.len() + letter;
        let letters: String = (0..5)
            .map(|n| {
                format!(
                    "(i32.store8 (i32.const {}) (i32.add (i32.const 97)
                      (i32.and (i32.const 15) (i32.shr_u (local.get $i) (i32.const {})))))",
                    at(n),
                    4 * n
                )
            })
            .collect();
        let code = format!(
            "(loop $again {letters}
              (local.set $e (call $open (i32.const 100) (i32.const {}) (i32.const 1)))
              (if (i32.eqz (local.get $e)) (then
                (drop (call $close (i32.load (i32.const 12))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000))))))
            (i32.store (i32.const 64) (local.get $i))
            (i32.store (i32.const 68) (local.get $e))
            (drop (call $put (i32.const 1) (i32.const 64) (i32.const 8)))",
            folder.len() + 5,
        );
        module(&code, &data(100, folder))
    };
    let heap =
        |tries, wall, program| Guest { files: None, ..guest(tries, wall, Says(counted), program) };
    vec![
        guest(
            "grow its memory without end",
            "the task's memory limit (64 MiB here): memory.grow says -1",
            Ends("exit 41"),
            module(
                "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                (if (i32.ne (memory.size) (i32.const 1024)) (then (unreachable)))
                (call $exit (i32.const 41))",
                "",
            ),
        ),
        guest(
            "begin with 4 GiB of memory",
            "the task's memory limit",
            Ends("exhausted: memory"),
            text(r#"(module (memory (export "memory") 65536) (func (export "_start")))"#),
        ),
        guest(
            "grow a table without end",
            "10,000,000 elements of all tables together: table.grow says -1",
            Ends("exit 42"),
            module(
                "(loop $again (br_if $again (i32.ne
                  (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1))))
                (call $exit (i32.const 42))",
                "(table $t 1 funcref)",
            ),
        ),
        guest(
            "recurse without end",
            "a stack limit counted on the module; the native stack is larger than it can reach",
            Ends("exhausted: stack"),
            module(
                "(drop (call $deep (i64.const 0)))",
                "(func $deep (param i64) (result i64)
                  (i64.add (i64.const 1) (call $deep (i64.add (local.get 0) (i64.const 1)))))",
            ),
        ),
        guest(
            "write to standard output without end, on one line",
            "the task's output limit (1 MiB here)",
            Ends("exhausted: output"),
            module(&flood(1), ""),
        ),
        guest(
            "write to standard error without end",
            "the task's output limit",
            Ends("exhausted: output"),
            module(&flood(2), ""),
        ),
        heap(
            "make a million files in /tmp",
            "65,536 files of a task at a time, none of them on the provider's disk",
            files("tmp/"),
        ),
        heap("make a million files in /out", "4,096 output files", files("out/")),
    ]
}

/// Programs that would be costly to compile, or are none.
fn bombs() -> Vec<Guest> {
    let refused = |tries, wall, reason, program| guest(tries, wall, Refused(reason), program);
    let body = |code: &str| {
        text(&format!(r#"(module (memory (export "memory") 1) (func (export "_start") {code}))"#))
    };
    let many = |what: &str, count: usize| {
        text(&format!(
            r#"(module (memory (export "memory") 1) (func (export "_start")) {})"#,
            what.repeat(count)
        ))
    };
    let jump = format!("(block (br_table {} (i32.const 0)))", "0 ".repeat(70_000));
    let nested = format!("{} {}", "block ".repeat(20_000), "end ".repeat(20_000));
    // A custom section that fills 128 MiB and a little.
    let mut large = b"\0asm\x01\0\0\0".to_vec();
    large.extend([0, 0x80, 0x80, 0x80, 0x40]);
    large.resize(large.len() + (128 << 20), 0);
    let whole = body("");
    vec![
        refused("600,000 functions", LIMITS, "functions", many("(func)", 600_000)),
        refused(
            "50,000 locals in a function",
            LIMITS,
            "locals",
            body(&format!("(local {})", "i64 ".repeat(50_000))),
        ),
        refused("a jump table of 70,000 places", LIMITS, "br_table", body(&jump)),
        refused("20,000 blocks inside each other", LIMITS, "nest", body(&nested)),
        refused("a function of 1.1 MB", LIMITS, "bytes", body(&"nop ".repeat(1_100_000))),
        refused(
            "a module of 128 MiB and 13 bytes",
            "the provider looks at its length first",
            "bytes; at most",
            large,
        ),
        refused(
            "100,001 data segments",
            LIMITS,
            "data segments",
            many(r#"(data (i32.const 0) "")"#, 100_001),
        ),
        refused("a module cut short", CHECK, "", whole[..whole.len() - 3].to_vec()),
        refused("no module at all", CHECK, "", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        refused(
            "threads",
            CHECK,
            "",
            text(r#"(module (memory (export "memory") 1 1 shared) (func (export "_start")))"#),
        ),
        guest(
            "a data segment outside its memory",
            "WebAssembly's own check when the program begins",
            Ends("trap: memory access out of bounds"),
            text(
                r#"(module (memory (export "memory") 1) (func (export "_start"))
                (data (i32.const 0x7fffffff) "x"))"#,
            ),
        ),
    ]
}

/// Whatever is not the task's.
fn reaching_out() -> Vec<Guest> {
    let paths = [
        "../../etc/passwd",
        "/etc/passwd",
        "/proc/self/environ",
        "tmp/../../../etc/shadow",
        "out/./../../root",
        "/dev/zero",
        "/dev/kmem",
    ];
    let link = "../../../../etc/passwd";
    let escapes = each(&paths, "(call $say (call $open (local.get $at) (local.get $len) (i32.const 0)))")
        + &format!(
            "(drop (call $link (i32.const 5000) (i32.const {}) (i32.const 3) (i32.const 5100) (i32.const 5)))
            (call $say (call $open (i32.const 5100) (i32.const 5) (i32.const 0)))
            (call $say (call $link (i32.const 5200) (i32.const 11) (i32.const 3) (i32.const 5110) (i32.const 5)))",
            link.len()
        );
    let links = data(5000, link) + &data(5100, "tmp/l     tmp/m") + &data(5200, "/etc/passwd");
    let names = [
        "out/../../escaped",
        "/out/../../../escaped",
        "out/a\nb",
        "out/\u{1b}[2J",
        "out/nul\0l",
        "out/none/such",
    ];
    let too_long = format!("out/{}", "n".repeat(256));
    let mut hostile_names = names.to_vec();
    hostile_names.push(&too_long);
    let harmless = ["out/-rf", "out/CON", "out/$(reboot)"];
    let make = "(call $open (local.get $at) (local.get $len) (i32.const 1))";
    let named = each(&hostile_names, &format!("(call $say {make})"));
    let create = format!(
        "{named}{}",
        each_from(2000, &harmless, &format!("(if {make} (then (unreachable)))"))
    );
    let sockets: String = (0..6)
        .map(|fd| {
            format!(
                "(call $say (call $accept (i32.const {fd}) (i32.const 0) (i32.const 8)))
                (call $say (call $send (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 8)))
                (call $say (call $shutdown (i32.const {fd}) (i32.const 2)))"
            )
        })
        .collect();
    let escape = "\u{1b}]0;owned\u{7}\u{1b}[2J";
    let outside = |module: &str, name: &str| {
        text(&format!(
            r#"(module (import "{module}" "{name}" (func)) (memory (export "memory") 1)
              (func (export "_start")))"#
        ))
    };
    let mut naming = guest(
        "make output files with names that leave the folder, or harm a terminal or a shell",
        "names are checked when a file is made, again by the daemon, again by who writes them",
        Says(all_refused),
        module(&create, &(strings(1000, &hostile_names) + &strings(2000, &harmless))),
    );
    naming.files = Some(&["$(reboot)", "-rf", "CON"]);
    vec![
        guest(
            "open the machine's files: upwards, by absolute paths, through links",
            FILES,
            Says(all_refused),
            module(&escapes, &(strings(1000, &paths) + &links)),
        ),
        naming,
        guest(
            "use sockets on every descriptor",
            "no network: sockets do not exist",
            Says(all_refused),
            module(&sockets, ""),
        ),
        guest(
            "import a host function of its own naming",
            "the contract's list of imports, before compilation",
            Refused("connect"),
            outside("env", "connect"),
        ),
        guest(
            "write terminal commands by the name of an import",
            "what strangers wrote is escaped when shown",
            Refused("import"),
            outside("env", "\\1b[2J"),
        ),
        guest(
            "write terminal commands to standard error",
            "bytes are kept as they are and escaped when shown",
            Ends("exit 0"),
            module(
                &format!(
                    "(drop (call $put (i32.const 2) (i32.const 100) (i32.const {})))",
                    escape.len()
                ),
                &data(100, escape),
            ),
        ),
        guest(
            "read the clock",
            "a virtual clock that always begins at 2000-01-01",
            Says(|said| {
                number(said).and_then(|ns| {
                    let virtual_time =
                        (946_684_800_000_000_000..946_684_800_000_100_000).contains(&ns);
                    if virtual_time {
                        Ok(format!("{ns} ns, whatever the time"))
                    } else {
                        Err(format!("{ns} ns"))
                    }
                })
            }),
            module(
                "(drop (call $clock (i32.const 0) (i64.const 0) (i32.const 64)))
                (drop (call $put (i32.const 1) (i32.const 64) (i32.const 8)))",
                "",
            ),
        ),
        guest(
            "read the environment",
            "none but the task's own",
            Says(
                |said| {
                    if said == [0; 8] {
                        Ok("no variables".into())
                    } else {
                        Err(format!("{said:?}"))
                    }
                },
            ),
            module(
                "(drop (call $environ (i32.const 64) (i32.const 68)))
                (drop (call $put (i32.const 1) (i32.const 64) (i32.const 8)))",
                "",
            ),
        ),
    ]
}

fn guest(tries: &'static str, wall: &'static str, fate: Fate, program: Vec<u8>) -> Guest {
    Guest { tries, wall, fate, program, files: Some(&[]) }
}

/// Every byte is an error number, none of them nought.
fn all_refused(said: &[u8]) -> Result<String, String> {
    if said.is_empty() || said.contains(&0) {
        return Err(format!("{said:?}"));
    }
    let mut kinds = said.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    Ok(format!("{} calls refused (error numbers {kinds:?})", said.len()))
}

/// How many files there were when one could not be made, and the error number.
fn counted(said: &[u8]) -> Result<String, String> {
    let both = number(said)?;
    let (files, error) = (both & 0xffff_ffff, both >> 32);
    let bounded = (4_000..=65_536).contains(&files) && error != 0;
    let told = format!("{files} files, then error number {error}");
    if bounded { Ok(told) } else { Err(told) }
}

/// The last eight bytes as a number.
fn number(said: &[u8]) -> Result<u64, String> {
    let last = said.last_chunk::<8>().ok_or_else(|| format!("{said:?}"))?;
    Ok(u64::from_le_bytes(*last))
}

fn text(source: &str) -> Vec<u8> {
    wat::parse_str(source).expect("the test's own program is valid")
}

fn data(at: usize, text: &str) -> String {
    let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{bytes}\")")
}

/// Strings behind each other, each with its length before it.
fn strings(at: usize, list: &[&str]) -> String {
    let mut place = at;
    let mut all = String::new();
    for text in list {
        all += &data(place, text);
        place += text.len();
    }
    all
}

/// Does `code` for each of [`strings`] at 1000, with `$at` and `$len`.
fn each(list: &[&str], code: &str) -> String {
    each_from(1000, list, code)
}

fn each_from(at: usize, list: &[&str], code: &str) -> String {
    let mut place = at;
    let mut all = String::new();
    for text in list {
        all += &format!(
            "(local.set $at (i32.const {place})) (local.set $len (i32.const {})) {code}",
            text.len()
        );
        place += text.len();
    }
    all
}

/// A module with WASI's functions, `code` in its start and `rest` beside it.
fn module(code: &str, rest: &str) -> Vec<u8> {
    let import = |name: &str, short: &str, params: &str| {
        format!(
            r#"(import "wasi_snapshot_preview1" "{name}" (func ${short} (param {params}) (result i32)))"#
        )
    };
    let imports = [
        ("fd_write", "fd_write", "i32 i32 i32 i32"),
        ("fd_read", "fd_read", "i32 i32 i32 i32"),
        ("fd_close", "close", "i32"),
        ("path_open", "path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ("path_symlink", "link", "i32 i32 i32 i32 i32"),
        ("poll_oneoff", "poll", "i32 i32 i32 i32"),
        ("random_get", "random", "i32 i32"),
        ("clock_time_get", "clock", "i32 i64 i32"),
        ("environ_sizes_get", "environ", "i32 i32"),
        ("sched_yield", "yield", ""),
        ("sock_accept", "accept", "i32 i32 i32"),
        ("sock_send", "send", "i32 i32 i32 i32 i32"),
        ("sock_shutdown", "shutdown", "i32 i32"),
    ]
    .map(|(name, short, params)| import(name, short, params))
    .concat();
    text(&format!(
        r#"(module {imports}
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  ;; Writes `len` bytes at `at` to `fd`.
  (func $put (param $fd i32) (param $at i32) (param $len i32) (result i32)
    (i32.store (i32.const 32) (local.get $at))
    (i32.store (i32.const 36) (local.get $len))
    (call $fd_write (local.get $fd) (i32.const 32) (i32.const 1) (i32.const 40)))
  ;; Writes one byte to standard output.
  (func $say (param $byte i32)
    (i32.store8 (i32.const 48) (local.get $byte))
    (drop (call $put (i32.const 1) (i32.const 48) (i32.const 1))))
  ;; Opens a path for reading and, if `how` is 1, makes the file; its descriptor goes to 12.
  (func $open (param $at i32) (param $len i32) (param $how i32) (result i32)
    (call $path_open (i32.const 3) (i32.const 1) (local.get $at) (local.get $len)
      (local.get $how) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 12)))
  (func (export "_start") (local $i i32) (local $e i32) (local $at i32) (local $len i32) {code})
  {rest})"#
    ))
}
