"""The world of functions from another language: web/function/words.js, built by componentize-js."""

from __future__ import annotations

import os
from pathlib import Path


def test_a_function_in_javascript_runs_like_any_program(client):
    program = client.upload(Path(os.environ["AYNI_WORDS"]))
    report = client.api("POST", "/v1/check", {"program": program})
    assert (report["kind"], report["imports"]) == ("component (function)", [])

    def call(data: bytes) -> tuple[int, bytes, bytes]:
        task = {"program": program}
        if data:
            task["stdin"] = client.upload(data)
        # In a jail on this machine: another compilation on every provider would prove no more.
        outcome = client.api("POST", "/v1/exec", {"task": task, "timeout_ms": 600_000})["outcome"]
        streams = [
            client.blob(outcome[name]["digest"]) if outcome[name]["size"] else b""
            for name in ("stdout", "stderr")
        ]
        return outcome["end"]["code"], streams[0], streams[1]

    text = "The end of the start, the end: \u00fcber".encode()
    assert call(text) == (0, "3 the\n2 end\n1 of\n1 start\n1 \u00fcber\n".encode(), b"")
    assert call(b"") == (0, b"", b"")
    assert call(b"\xff") == (1, b"", b"the input (1 bytes) is not UTF-8 text\n")
