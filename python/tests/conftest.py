"""A real network for the tests: `ayni dev`, one requester and two providers, one for all tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import ayni
import pytest


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The requester's home."""
    folder = tmp_path_factory.mktemp("net")
    program = os.environ["AYNI_BIN"]
    with open(folder / "dev.log", "w") as log:
        process = subprocess.Popen(
            [program, "dev", "--json", "--providers", "2", "--dir", str(folder / "homes")],
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "dev.log").read_text()
        home = Path(json.loads(line)["requester"])
        os.environ["AYNI_HOME"] = str(home)
        yield home
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@pytest.fixture(scope="session")
def client(network: Path) -> ayni.Client:
    return ayni.Client(network)


@pytest.fixture(scope="session")
def executor(client: ayni.Client) -> Iterator[ayni.Executor]:
    with client.executor() as executor:
        yield executor
