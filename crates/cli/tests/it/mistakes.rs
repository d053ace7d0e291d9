//! What users get wrong: each mistake is named, with a hint, and with the right exit code.

use std::fs;

use crate::network::{ayni, echo, program, run};

#[test]
fn each_mistake_is_named_with_a_hint() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path();
    let good = echo(path);
    let bytes = fs::read(&good).expect("the program");
    fs::write(path.join("short.wasm"), &bytes[..bytes.len() / 2]).expect("written");
    fs::write(path.join("rows.csv"), "alpha,beta\n1,2\n").expect("written");
    fs::write(path.join("empty.csv"), "alpha\n").expect("written");
    fs::create_dir(path.join("in")).expect("made");
    program(
        path,
        "import.wasm",
        r#"(module (import "env" "launch_missiles" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    fs::write(path.join("bad.toml"), "program = \"echo.wasm\"\nprovders = 3\n").expect("written");
    let home = path.join("home");
    let cases: &[(&[&str], &str, i32)] = &[
        (&["run", "nowhere.wasm"], "nowhere.wasm", 1),
        (&["run", "short.wasm", "--range", "0..1"], "short.wasm", 1),
        (&["run", "import.wasm", "--range", "0..1"], "launch_missiles", 1),
        (&["run", "echo.wasm", "--map", "in/*.csv", "--", "{}"], "in/*.csv", 1),
        (&["run", "echo.wasm", "--params", "rows.csv", "--", "{gamma}"], "gamma", 1),
        (&["run", "echo.wasm", "--params", "empty.csv", "--", "{alpha}"], "empty.csv", 1),
        (&["run", "echo.wasm", "--mount", "missing:/data"], "missing", 1),
        (&["run", "echo.wasm", "--mount", "in:/a/../b"], "..", 1),
        (&["run", "echo.wasm", "--range", "5..1"], "5..1", 1),
        (&["run", "echo.wasm", "--range", "0..5", "--step", "0"], "step", 1),
        (&["run", "echo.wasm", "--memory", "lots"], "lots", 64),
        (&["run", "-f", "bad.toml"], "provders", 1),
        (&["job", "show", "zz"], "zz", 1),
        (&["explain", "E-NO-SUCH"], "E-NO-SUCH", 1),
        (&["join", "ayni1broken"], "ticket", 1),
    ];
    for (args, part, expected) in cases {
        let (code, stdout, stderr) =
            run(ayni().current_dir(path).arg("--home").arg(&home).args(*args));
        assert!(stderr.contains(part), "ayni {args:?}: `{stderr}` does not name `{part}`");
        assert!(
            stderr.contains("hint:") || stderr.contains("tip:") || *expected == 64,
            "ayni {args:?}: no hint in `{stderr}`"
        );
        assert_eq!(code, Some(*expected), "ayni {args:?}: {stderr}");
        assert!(stdout.is_empty(), "ayni {args:?} printed `{stdout}`");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    let _ = run(ayni().arg("--home").arg(&home).arg("stop"));
}

#[test]
fn a_second_daemon_on_one_home_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let home = dir.path().join("home");
    // A command that needs a daemon starts one.
    let (code, _, stderr) = run(ayni().arg("--home").arg(&home).arg("id"));
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = run(ayni().arg("--home").arg(&home).arg("daemon"));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("another daemon") && stderr.contains("process") && stderr.contains("hint:"),
        "{stderr}"
    );
    let (code, _, stderr) = run(ayni().arg("--home").arg(&home).arg("stop"));
    assert_eq!(code, Some(0), "{stderr}");
}
