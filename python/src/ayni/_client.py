"""`ayni.Client`: the local node, as seen from Python.

Jobs of any WebAssembly program, quotes, and calls of Python functions. A client of the node's local
HTTP API like the command line; everything else that the API can do is in `Client.api`.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, ParamSpec, Self, TypeVar

from ._errors import AyniError
from ._executor import Executor, Settings
from ._guest import PythonGuest
from ._http import Http
from ._job import Job

P = ParamSpec("P")
T = TypeVar("T")
Json = Any
TASKS_PER_REQUEST = 1_000


class Client:
    """The node with this home (`AYNI_HOME`, or the default), or at AYNI_URL with AYNI_TOKEN."""

    def __init__(
        self,
        home: str | Path | None = None,
        *,
        url: str | None = None,
        token: str | None = None,
        guest: str | Path | None = None,
    ) -> None:
        self._http = Http(home, url, token)
        self._guest = PythonGuest(guest)

    def api(self, method: str, path: str, body: Json = None) -> Json:
        """Any request of docs/openapi.json. Raises AyniError."""
        return self._http.json(method, path, body)

    def status(self) -> Json:
        """How the node is. Raises NodeUnreachable when none answers."""
        return self.api("GET", "/v1/status")

    def upload(self, data: bytes | str | Path) -> str:
        """Has the node keep bytes, or a file's; their digest."""
        content = data if isinstance(data, bytes) else Path(data).read_bytes()
        return str(self._http.json_of_blob(content)["digest"])

    def blob(self, digest: str) -> bytes:
        """Bytes that the node keeps, by their digest. Raises AyniError."""
        return self._http.bytes("GET", f"/v1/blobs/{digest}")

    def run(
        self,
        program: bytes | str | Path,
        inputs: Iterable[bytes | Mapping[str, Any]] = (b"",),
        *,
        args: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Job:
        """Submits a job: one task an input.

        program: WebAssembly, or a path to it.
        inputs: standard inputs, or mappings with any of `stdin` (bytes), `args`, `env`, and
            `mounts` (guest path → bytes).
        settings: as of Executor: budget, max_price, fuel, memory_bytes, verify, home, …
        Raises AyniError; its hint says what to do.
        """
        chosen = Settings(**{"name": "client", **settings})
        digest = self.upload(program)
        report = self.api("POST", "/v1/check", {"program": digest})
        if not report["runs"]:
            raise AyniError(
                f"the program can't run: {'; '.join(report['problems'][:3])}",
                code="E-PY-005",
                hint="`ayni check PROGRAM` says more",
            )
        common: dict[str, Json] = {
            "program": digest,
            "args": list(args),
            "env": dict(env or {}),
            "limits": chosen.limits(),
        }
        tasks = [common | self._input(each) for each in inputs]
        job = secrets.token_hex(16)
        request = chosen.request(self._http, job, tasks[:TASKS_PER_REQUEST], True)
        self.api("POST", "/v1/jobs", request)
        for first in range(TASKS_PER_REQUEST, len(tasks), TASKS_PER_REQUEST):
            more = {"first_index": first, "tasks": tasks[first : first + TASKS_PER_REQUEST]}
            self.api("POST", f"/v1/jobs/{job}/tasks", more)
        self.api("POST", f"/v1/jobs/{job}/close")
        return Job(self._http, job, len(tasks))

    def quote(
        self,
        program: bytes | str | Path | None = None,
        tasks: int = 1,
        *,
        input_bytes: int = 0,
        expected_fuel: int | None = None,
        **settings: Any,
    ) -> Json:
        """What such a job would cost now (docs/openapi.json, QuoteJson). Nothing is submitted.

        program: the Python guest if left out.
        expected_fuel: that a task will take; its limit if left out.
        """
        chosen = Settings(**settings)
        if program is None:
            code_bytes = self._guest.code_bytes(self._http)
        else:
            report = self.api("POST", "/v1/check", {"program": self.upload(program)})
            code_bytes = int(report["code_bytes"])
        body: dict[str, Json] = {
            "tasks": tasks,
            "limits": chosen.limits() | {"stack_bytes": 8 << 20},
            "timeout_ms": chosen.timeout_ms,
            "code_bytes": code_bytes,
            "input_bytes": input_bytes,
            "providers_max": chosen.providers_max,
        }
        if expected_fuel is not None:
            body["fuel"] = str(expected_fuel)
        if chosen.max_price is not None:
            body["price_max"] = {k: str(v) for k, v in chosen.max_price.items()}
        return self.api("POST", "/v1/quote", body)

    def jobs(self) -> Json:
        """All jobs of the node, newest first."""
        return self.api("GET", "/v1/jobs")["jobs"]

    def job(self, job: str) -> Job:
        """A job by its id."""
        return Job(self._http, job, int(self.api("GET", f"/v1/jobs/{job}")["counts"]["tasks"]))

    def executor(self, **settings: Any) -> Executor:
        """An Executor on this node; settings as for Executor."""
        return Executor(http=self._http, guest=self._guest, **settings)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        chunksize: int | Literal["auto"] = "auto",
        return_exceptions: bool = False,
        ordered: bool = True,
        timeout: float | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> Iterator[T]:
        """Calls a Python function with each item, on the network; gives results as they come.

        ordered: in the order of the items, else as they are done.
        progress: a bar by tqdm; if left out, when tqdm is installed and stderr is a terminal.
        settings: as for Executor.
        """
        from concurrent.futures import as_completed

        executor = self.executor(**settings)
        calls = list(zip(*iterables))  # noqa: B905 as the builtin
        futures = executor.submit_all(fn, calls, chunksize)

        def each() -> Iterator[T]:
            try:
                source = futures if ordered else as_completed(futures, timeout)
                for future in _bar(source, len(futures), progress):
                    error = future.exception(timeout)
                    if error is None:
                        yield future.result()
                    elif return_exceptions:
                        yield error  # type: ignore[misc]
                    else:
                        raise error
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

        return each()

    def local(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """One call in the same guest, on this machine, not on the network: for finding out."""
        with self.executor() as executor:
            return executor.local(fn, *args, **kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def _input(self, given: bytes | Mapping[str, Any]) -> dict[str, Json]:
        if isinstance(given, bytes):
            given = {"stdin": given}
        unknown = set(given) - {"stdin", "args", "env", "mounts"}
        if unknown:
            raise AyniError(
                f"an input has `{min(unknown)}`, which is not known",
                code="E-PY-005",
                hint="inputs have stdin, args, env and mounts",
            )
        task: dict[str, Json] = {}
        if given.get("stdin"):
            task["stdin"] = self.upload(given["stdin"])
        if "args" in given:
            task["args"] = list(given["args"])
        if "env" in given:
            task["env"] = dict(given["env"])
        if "mounts" in given:
            task["mounts"] = [
                {"path": path, "kind": "file", "blob": self.upload(data)}
                for path, data in given["mounts"].items()
            ]
        return task

    def __repr__(self) -> str:
        return "<ayni.Client>"

    def _repr_html_(self) -> str:
        import html

        status = self.status()
        return (
            f"<p>node <code>{html.escape(str(status['node'])[:24])}</code>: "
            f"{int(status['peers'])} peers, {int(status['offers'])} offers, "
            f"{int(status['jobs'])} jobs</p>"
        )


def _bar(source: Iterable[T], total: int, progress: bool | None) -> Iterable[T]:
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return source
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return source
    bar: Iterable[T] = tqdm(source, total=total)
    return bar
