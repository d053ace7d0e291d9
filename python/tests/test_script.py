"""A Python script in the place of a program: `ayni run script.py`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = '''
import json
import os
import sys

import beside

if len(sys.argv) > 1 and sys.argv[1] == "fail":
    beside.fail()
print("caf\\u00e9", beside.square(int(sys.argv[1])), sys.stdin.read().upper(), end="")
print(os.environ.get("SHADE"), file=sys.stderr)
os.makedirs("/out", exist_ok=True)
with open("/out/found.json", "w") as file:
    json.dump({"name": __name__, "file": __file__}, file)
'''
BESIDE = '''
def square(x):
    return x * x


def fail():
    raise ValueError("not this one")
'''


def ayni(network: Path, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"AYNI_HOME": str(network)}
    return subprocess.run(
        [os.environ["AYNI_BIN"], *words],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "in.txt").write_text("words\n")
    return tmp_path


def test_a_script_runs_on_the_network_like_any_program(network, folder):
    done = ayni(
        network, "run", "script.py", "--mount", "beside.py:/beside.py", "--stdin", "in.txt",
        "--env", "SHADE=grey", "--range", "3..6", "-o", "out", "--", "{start}", folder=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tasks = sorted(path.parent for path in (folder / "out").glob("*/stdout"))
    found = [(task / "stdout").read_text() for task in tasks]
    assert found == [f"caf\u00e9 {n * n} WORDS\n" for n in range(3, 6)]
    assert {(task / "stderr").read_text() for task in tasks} == {"grey\n"}
    assert [path.name for path in (tasks[0] / "files").iterdir()] == ["found.json"]
    assert json.loads((tasks[0] / "files/found.json").read_text()) == {"name": "__main__", "file": "/main.py"}


def test_a_script_that_fails_shows_where(network, folder):
    words = ("exec", "script.py", "--mount", "beside.py:/beside.py", "--", "fail")
    done = ayni(network, *words, folder=folder)
    assert "exit 1" in done.stderr
    assert 'File "/main.py", line 9, in <module>' in done.stderr
    assert "    beside.fail()\n" in done.stderr
    assert "ValueError: not this one" in done.stderr
    assert "app.py" not in done.stderr


ENDS = [
    ("print('a', end=''); raise SystemExit", "exit 0", "a", ""),
    ("import sys; print('a', end=''); sys.exit(0)", "exit 0", "a", ""),
    ("import sys; print('a', end=''); sys.exit(7)", "exit 1", "a", ""),
    ("raise SystemExit('no such place')", "exit 1", "", "no such place\n"),
    ("import atexit; atexit.register(print, 'late'); print('a')", "exit 0", "a\nlate\n", ""),
    ("import sys; sys.stdout.write('a' * 300_000)", "exit 0", "a" * 300_000, ""),
    ("import sys; sys.stdout.buffer.write(b'b'); sys.stdout.close()", "exit 0", "b", ""),
    ("print(", "exit 1", "", "SyntaxError: '(' was never closed"),
    ("import socket; socket.create_connection(('a', 1))", "exit 1", "", "OSError: [Errno 58] Not supported"),
    ("import socket; socket.create_connection(('127.0.0.1', 1))", "exit 1", "", "OSError"),
]


@pytest.mark.parametrize(("source", "end", "out", "err"), ENDS, ids=[e[0][:40] for e in ENDS])
def test_a_script_ends_as_python_would(network, tmp_path, source, end, out, err):
    (tmp_path / "s.py").write_text(source + "\n")
    done = ayni(network, "exec", "s.py", folder=tmp_path)
    assert end in done.stderr and err in done.stderr
    assert done.stdout == out


def test_without_the_guest_the_error_says_how_to_get_it(network, folder, monkeypatch):
    monkeypatch.setenv("AYNI_PYTHON_GUEST", str(folder / "nowhere.wasm"))
    done = ayni(network, "exec", "script.py", folder=folder)
    assert done.returncode != 0
    assert "nowhere.wasm" in done.stderr and "hint: " in done.stderr


def test_checking_a_script_looks_at_its_guest(network, folder):
    done = ayni(network, "check", "script.py", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "script.py: will run" in done.stdout and "component (function)" in done.stdout
