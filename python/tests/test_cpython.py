"""CPython's own executor tests, by an interpreter that has them (see cpython_suite.py)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROBE = "import test.test_concurrent_futures.executor, sys; sys.exit(sys.version_info < (3, 11))"


def interpreter() -> str | None:
    names = [sys.executable, "python3.14", "python3.13", "python3.12", "python3"]
    found = list(filter(None, map(shutil.which, names)))
    # Version managers keep interpreters side by side.
    found += sorted(map(str, Path(sys.base_prefix).parent.glob("*/bin/python3")), reverse=True)
    for path in found:
        probe = subprocess.run([path, "-c", PROBE], capture_output=True, check=False)
        if probe.returncode == 0:
            return path
    return None


def test_cpythons_own_executor_tests_pass(network):
    python = interpreter()
    if python is None:
        pytest.skip("no interpreter here has CPython's test package (test.test_concurrent_futures)")
    env = os.environ | {"AYNI_HOME": str(network), "PYTHONPATH": str(HERE.parent / "src")}
    done = subprocess.run(
        [python, str(HERE / "cpython_suite.py")], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr[-4_000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert not report["failed"], report["failed"]
    assert report["passed"] >= 15, report
