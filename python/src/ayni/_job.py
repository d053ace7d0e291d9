"""A job of any program: its results as they come, its bill, how sure it is.

Deliberately not here: Python functions (`_executor`), which are jobs of the Python guest.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ._errors import AyniError, TaskEnded, TaskFailed
from ._http import Http
from ._unpack import plain

Json = Any
PAGE = 1_000
LOOK_S_MAX = 0.5


@dataclass(frozen=True)
class Result:
    """One task's accepted outcome. Bytes are fetched when asked for."""

    index: int
    row: Json
    _http: Http
    _job: str

    @property
    def exit_code(self) -> int | None:
        """The program's exit code; `None` if it ended by a trap or a limit (see `end`)."""
        end = self.row["outcome"]["end"]
        return int(end["code"]) if end["kind"] == "exit" else None

    @property
    def end(self) -> str:
        """How it ended, in words: `exit 0`, `trap: …`, `exhausted: fuel`."""
        end = self.row["outcome"]["end"]
        if end["kind"] == "exit":
            return f"exit {end['code']}"
        return f"trap: {end['reason']}" if end["kind"] == "trap" else f"exhausted: {end['limit']}"

    @cached_property
    def stdout(self) -> bytes:
        """What it wrote to standard output. A stranger's bytes."""
        return self._blob(self.row["outcome"]["stdout"])

    @cached_property
    def stderr(self) -> bytes:
        """What it wrote to standard error. A stranger's bytes."""
        return self._blob(self.row["outcome"]["stderr"])

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What it left under `/out`, by path. A stranger wrote the paths: check before use."""
        return {str(f["path"]): self._blob(f) for f in self.row["outcome"]["files"]}

    @property
    def fuel(self) -> int:
        """Instructions metered."""
        return int(self.row["outcome"]["fuel"])

    @property
    def price(self) -> int:
        """Its price, in the token's smallest unit."""
        return int(self.row["price"] or 0)

    @property
    def provider(self) -> str | None:
        """Who ran it; `None` is this node."""
        return self.row["provider"]  # type: ignore[no-any-return]

    @property
    def verification(self) -> str | None:
        """What the outcome rests on."""
        return self.row["verification"]  # type: ignore[no-any-return]

    @property
    def confidence(self) -> float | None:
        """How likely it is right, 0 to 1; `None` where nothing is known."""
        ppm = self.row["confidence_ppm"]
        return None if ppm is None else int(ppm) / 1e6

    def receipt(self) -> bytes:
        """The signed receipt, as a file that anyone can check. Raises AyniError if there is none."""
        return self._http.bytes("GET", f"/v1/jobs/{self._job}/tasks/{self.index}/receipt")

    def _blob(self, blob: Json) -> bytes:
        return self._http.bytes("GET", f"/v1/blobs/{blob['digest']}") if blob["size"] else b""


@dataclass(frozen=True)
class Confidence:
    """How sure a job's results are; numbers of results."""

    checked: int
    agreed: int
    backed: int
    unverified: int
    wrong_at_most: float
    wrong_expected: float


class Job:
    """A submitted job."""

    def __init__(self, http: Http, job: str, tasks: int) -> None:
        self._http = http
        self.id = job
        self.tasks = tasks

    def detail(self) -> Json:
        """Everything about it, as the API gives it (docs/openapi.json, JobDetail)."""
        return self._http.json("GET", f"/v1/jobs/{self.id}")

    def results(self, ordered: bool = True, timeout: float | None = None) -> Iterator[Result]:
        """Results as they are accepted, by index or as they come.

        Raises TaskFailed for a task that has none, TimeoutError after `timeout` seconds (the job
        goes on).
        """
        until = None if timeout is None else time.monotonic() + timeout
        given: set[int] = set()
        pause = 0.01
        while len(given) < self.tasks:
            before = len(given)
            start = 0
            while True:
                rows = self._http.json(
                    "GET", f"/v1/jobs/{self.id}/tasks?from={start}&count={PAGE}"
                )
                stop = False
                for row in rows["tasks"]:
                    index = int(row["index"])
                    if index in given:
                        continue
                    if row["state"] == "failed":
                        raise failed(row, self.id)
                    if row["state"] == "accepted":
                        given.add(index)
                        yield Result(index, row, self._http, self.id)
                    elif ordered:
                        stop = True
                        break
                if stop or rows["next"] is None:
                    break
                start = int(rows["next"])
            if len(given) == self.tasks:
                return
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"job {self.id}: {self.tasks - len(given)} tasks are not done")
            pause = 0.01 if len(given) > before else min(pause * 1.5, LOOK_S_MAX)
            time.sleep(pause)

    def wait(self, timeout: float | None = None) -> list[Result]:
        """All results, by index. Errors as for `results`."""
        return sorted(self.results(ordered=False, timeout=timeout), key=lambda r: r.index)

    def cancel(self) -> None:
        """Stops it; accepted results are kept."""
        self._http.json("POST", f"/v1/jobs/{self.id}/cancel")

    @property
    def price(self) -> int:
        """What its outcomes cost so far, in the token's smallest unit."""
        return int(self.detail()["price"])

    @property
    def confidence(self) -> Confidence:
        """How sure its results are."""
        return confidence(self.detail())

    def __repr__(self) -> str:
        return f"<ayni.Job {self.id}: {self.tasks} tasks>"

    def _repr_html_(self) -> str:
        return table(self.detail())


def confidence(detail: Json) -> Confidence:
    """The confidence in a job's detail."""
    c = detail["confidence"]
    return Confidence(
        checked=c["checked"],
        agreed=c["agreed"],
        backed=c["backed"],
        unverified=c["unverified"],
        wrong_at_most=c["wrong_at_most_micro"] / 1e6,
        wrong_expected=c["wrong_expected_micro"] / 1e6,
    )


def table(detail: Json) -> str:
    """A job as a small table for notebooks."""
    counts = detail["counts"]
    rows = [
        ("job", detail["id"]),
        ("state", detail["state"]),
        ("tasks", f"{counts['accepted']} of {counts['tasks']} accepted, {counts['failed']} failed"),
        ("audited", f"{detail['audited']}, {detail['mismatches']} contradicted"),
        ("price", detail["price"]),
        ("providers", ", ".join((p["node"] or "home")[:16] for p in detail["providers"]) or "none"),
    ]
    if detail["stalled"]:
        rows.append(("stalled", detail["stalled"]))
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>"
        for k, v in rows
    )
    return f"<table>{cells}</table>"


def failed(row: Json, job: str) -> AyniError:
    """The error of a task that ended without an outcome."""
    return TaskFailed(
        f"task {row['index']} of job {job} failed: {row['error']}",
        code="E-PY-030",
        hint=f"`ayni why` and `ayni job show {job}` say more",
    )


def ended(result: Result) -> AyniError:
    """The error of a Python task that did not answer."""
    hints = {
        "exhausted: fuel": "give more with fuel=, or less work a call",
        "exhausted: memory": "give more with memory_bytes=",
        "exhausted: output": "return less, or give more with output_bytes=",
        "exhausted: stack": "recurse less deeply",
    }
    said = plain(result.stderr[:2_000]) if result.exit_code is not None else ""
    text = f"the task ended with `{result.end}`" + (f": {said.strip()}" if said else "")
    return TaskEnded(text, code="E-PY-031", hint=hints.get(result.end, ""))
