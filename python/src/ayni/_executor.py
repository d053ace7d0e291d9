"""`ayni.Executor`: a `concurrent.futures.Executor` whose workers are other people's machines.

Calls that wait are gathered into chunks, each one task of one open job: how many calls go into a
task follows from the fuel that earlier ones took, so that a task is about a second of work and
every slot has some. Results are told by the node's news of the job.

```text
submit, map ─▶ _Engine: waiting, by program ─▶ sender thread ─▶ tasks of the job
                                     futures ◀─ listener thread ◀─ news of the job
```

Deliberately not here: how functions travel (`_pack`), how results are read (`_unpack`).
"""

from __future__ import annotations

import atexit
import collections
import concurrent.futures as cf
import contextlib
import logging
import secrets
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec, TypeVar

from . import _pack, _unpack
from ._errors import AyniError, NodeUnreachable
from ._guest import PythonGuest
from ._http import TIMEOUT_S, Http
from ._job import Confidence, Job, Result, confidence, ended, failed, table

P = ParamSpec("P")
T = TypeVar("T")
Json = Any
log = logging.getLogger("ayni")

TASK_FUEL = 10_000_000_000
"""What a task should take: about a second."""
SET_UP_SHARE = 4
"""A task makes so many times the work of its own beginning, where there is so much."""
CALLS_PER_TASK_MAX = 20_000
ENVELOPE_BYTES = 8 << 20
"""A chunk grows no further once its input has so many bytes."""
GATHER_S = 0.003
SWEEP_S = 2.0
SILENCE_S_MAX = 60.0


@dataclass(frozen=True)
class Settings:
    """How tasks are run; see docs/python.md."""

    fuel: int = 100_000_000_000
    memory_bytes: int = 1 << 30
    output_bytes: int = 256 << 20
    timeout_ms: int = 600_000
    budget: int | None = None
    max_price: Mapping[str, int] | None = None
    providers_max: int = 16
    home: bool | None = None
    verify: Mapping[str, Any] | None = None
    name: str = "python"

    def limits(self) -> Json:
        """As the API wants them."""
        return {
            "fuel": str(self.fuel),
            "memory_bytes": self.memory_bytes,
            "output_bytes": self.output_bytes,
        }

    def request(self, http: Http, job: str, tasks: list[Json], is_open: bool) -> Json:
        """Body of a submission."""
        home = self.home
        if home is None:
            # As `ayni run` does: with nobody else there, this machine does the work.
            home = not http.json("GET", "/v1/offers?refresh=true")["offers"]
        body: dict[str, Json] = {
            "id": job,
            "name": self.name[:50],
            "tasks": tasks,
            "open": is_open,
            "timeout_ms": self.timeout_ms,
            "providers_max": self.providers_max,
            "home": home,
        }
        if self.budget is not None:
            body["budget"] = str(self.budget)
        if self.max_price is not None:
            body["price_max"] = {k: str(v) for k, v in self.max_price.items()}
        if self.verify is not None:
            body["verify"] = dict(self.verify)
        return body


@dataclass
class _Item:
    future: cf.Future[Any]
    call: bytes


@dataclass
class _Chunk:
    program: _pack.Program
    items: list[_Item]


@dataclass
class _Queue:
    program: _pack.Program
    fixed: int | None
    items: collections.deque[_Item] = field(default_factory=collections.deque)
    cost: _Cost = field(default_factory=lambda: _Cost())


class _Cost:
    """Fuel of a call, and of a task beside its calls (reading the program, first use): a line through
    what was seen."""

    def __init__(self) -> None:
        self._seen: collections.deque[tuple[int, int]] = collections.deque(maxlen=256)

    def add(self, calls: int, fuel: int) -> None:
        """A task of so many calls took this much."""
        self._seen.append((calls, fuel))

    def line(self) -> tuple[float, float] | None:
        """Fuel of a call and of a task; `None` while nothing was seen."""
        if not self._seen:
            return None
        count = len(self._seen)
        calls = sum(c for c, _ in self._seen) / count
        fuel = sum(f for _, f in self._seen) / count
        spread = sum((c - calls) ** 2 for c, _ in self._seen)
        slope = sum((c - calls) * (f - fuel) for c, f in self._seen) / spread if spread else 0.0
        slope = min(slope, fuel / calls)
        if slope <= 0:
            return max(1.0, fuel / calls), 0.0
        return max(1.0, slope), max(0.0, fuel - slope * calls)


class Executor(cf.Executor):
    """Runs Python calls on the network. Use it as any `concurrent.futures.Executor`.

    budget: the job is never billed more, in the token's smallest unit.
    max_price: highest prices, `{"per_gigafuel": …, "per_code_mebibyte": …, "per_data_mebibyte": …}`.
    max_workers: tasks in flight at most; as many as the leased slots can use if left out.
    fuel, memory_bytes, output_bytes, timeout_ms: limits of a task, which may hold several calls.
    home: whether this machine's own cores take part; if left out, only when nobody else is there.
    ship: names of installed pure-Python packages whose source is sent along.
    verify: as in `POST /v1/jobs`, for instance `{"audit_ppm": 100_000}`.
    """

    def __init__(
        self,
        *,
        max_workers: int | None = None,
        budget: int | None = None,
        max_price: Mapping[str, int] | None = None,
        fuel: int = 100_000_000_000,
        memory_bytes: int = 1 << 30,
        output_bytes: int = 256 << 20,
        timeout_ms: int = 600_000,
        providers_max: int = 16,
        home: bool | None = None,
        verify: Mapping[str, Any] | None = None,
        ship: Iterable[str] = (),
        name: str = "python",
        guest: PythonGuest | None = None,
        http: Http | None = None,
        node_home: str | None = None,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self._http = http or Http(home=node_home)
        self._guest = guest or PythonGuest()
        self._ship = tuple(ship)
        self._settings = Settings(
            fuel=fuel,
            memory_bytes=memory_bytes,
            output_bytes=output_bytes,
            timeout_ms=timeout_ms,
            budget=budget,
            max_price=max_price,
            providers_max=providers_max,
            home=home,
            verify=verify,
            name=name,
        )
        self._engine = _Engine(self._http, self._guest, self._settings, max_workers)
        # Threads hold the engine and never this object: when nobody holds it any more, what was
        # submitted is finished and the job closed.
        weakref.finalize(self, self._engine.shutdown, False).atexit = False
        _engines.add(self._engine)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> cf.Future[T]:
        """Schedules one call. Raises CantTravel at once when it can't be sent."""
        self._engine.check_open()
        capture, entry, name = self._capture(fn)
        call = _pack.call(capture, args, dict(kwargs))
        program = capture.finish(entry, name)
        future: cf.Future[T] = cf.Future()
        self._engine.add(program, [_Item(future, call)], None)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | Literal["auto"] = "auto",
        return_exceptions: bool = False,
    ) -> Iterator[T]:
        """Calls `fn` with the items of the iterables; results in order.

        chunksize: calls a task; by default it follows from what calls take.
        return_exceptions: what a call raised is given in place of its result.
        Raises CantTravel at once, TimeoutError while iterating, after `timeout` seconds.
        """
        if chunksize != "auto" and chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        until = None if timeout is None else time.monotonic() + timeout
        futures = self.submit_all(fn, zip(*iterables), chunksize)  # noqa: B905 as the builtin
        return _in_order(futures, until, return_exceptions)

    def submit_all(
        self,
        fn: Callable[..., T],
        calls: Iterable[tuple[Any, ...]],
        chunksize: int | Literal["auto"] = "auto",
    ) -> list[cf.Future[T]]:
        """Schedules many calls of one function, which is captured once."""
        self._engine.check_open()
        capture, entry, name = self._capture(fn)
        items = [_Item(cf.Future(), _pack.call(capture, args, {})) for args in calls]
        program = capture.finish(entry, name)
        self._engine.add(program, items, None if chunksize == "auto" else chunksize)
        return [item.future for item in items]

    def local(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same call in the same guest, on this machine (`POST /v1/exec`): for finding out."""
        capture, entry, name = self._capture(fn)
        call = _pack.call(capture, args, dict(kwargs))
        program = capture.finish(entry, name)
        answer: T = local(self._http, self._guest, self._settings, program, call)
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """No more calls are taken; waits for those that are there, unless told not to."""
        self._engine.shutdown(cancel_futures)
        if wait:
            self._engine.join()

    @property
    def job(self) -> Job | None:
        """The job that holds the calls; `None` before the first."""
        job = self._engine.job
        return Job(self._http, job, self._engine.sent) if job else None

    @property
    def price(self) -> int:
        """What it cost so far, in the token's smallest unit."""
        job = self.job
        return job.price if job else 0

    @property
    def confidence(self) -> Confidence | None:
        """How sure the results are."""
        job = self.job
        return confidence(job.detail()) if job else None

    def _capture(self, fn: Callable[..., Any]) -> tuple[_pack.Capture, bytes, str]:
        return _pack.capture(fn, self._guest.about(), self._ship)

    def __repr__(self) -> str:
        return f"<ayni.Executor job={self._engine.job}>"

    def _repr_html_(self) -> str:
        job = self.job
        return table(job.detail()) if job else "<p>no call was submitted yet</p>"


def local(
    http: Http, guest: PythonGuest, settings: Settings, program: _pack.Program, call: bytes
) -> Any:
    """One call through `POST /v1/exec`; raises what it raises."""
    stdin = http.json_of_blob(_pack.envelope(program.payload, [call]))["digest"]
    task = {"program": guest.digest(http), "stdin": stdin, "limits": settings.limits()}
    body = {"task": task, "timeout_ms": settings.timeout_ms}
    # Compiling the guest comes on top the first time.
    report = http.json("POST", "/v1/exec", body, settings.timeout_ms / 1_000 + TIMEOUT_S)
    if report["outcome"] is None:
        fault = report["fault"]
        raise AyniError(
            f"the call could not be run here: {fault['kind']}: {fault['detail']}",
            code="E-PY-030",
            retryable=True,
        )
    result = Result(0, {"outcome": report["outcome"]}, http, "")
    if result.exit_code != 0:
        raise ended(result)
    (done,) = _unpack.done(result.stdout, program.classes, 1)
    _print(done.printed)
    if done.error is not None:
        raise done.error
    return done.value


def _in_order(
    futures: list[cf.Future[T]], until: float | None, return_exceptions: bool
) -> Iterator[T]:
    def each() -> Iterator[T]:
        waiting = futures[::-1]
        try:
            while waiting:
                left = None if until is None else max(0.0, until - time.monotonic())
                try:
                    yield _take(waiting, left)
                except cf.TimeoutError:
                    raise
                except Exception as error:
                    if not return_exceptions:
                        raise
                    waiting.pop()
                    yield error  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()

    return each()


def _take(waiting: list[cf.Future[T]], left: float | None) -> T:
    """The result of the last future, which is forgotten before its result is given."""
    try:
        value = waiting[-1].result(left)
    except cf.TimeoutError:
        if waiting[-1].done() and waiting[-1].exception() is not None:
            raise waiting[-1].exception() from None  # type: ignore[misc]
        raise
    waiting.pop()
    return value


class _Engine:
    """What the threads share."""

    def __init__(
        self, http: Http, guest: PythonGuest, settings: Settings, workers: int | None
    ) -> None:
        self.http = http
        self.guest = guest
        self.settings = settings
        self.workers = workers
        self.job: str | None = None
        self.sent = 0
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.queues: collections.OrderedDict[bytes, _Queue] = collections.OrderedDict()
        self.flying: dict[int, _Chunk] = {}
        self.closing = False
        self.broken: BaseException | None = None
        self.slots = 2
        self.slots_asked = 0.0
        self.threads: list[threading.Thread] = []
        self.heard = threading.Event()
        self.over = threading.Event()

    # Called by users' threads

    def check_open(self) -> None:
        """Raises RuntimeError after shutdown, as the library's executors do."""
        if self.closing:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def add(self, program: _pack.Program, items: list[_Item], fixed: int | None) -> None:
        """Takes calls."""
        # Before the first is taken, so that a missing node or guest is an error of the submission.
        if self.job is None:
            self._start()
        with self.changed:
            self.check_open()
            if self.broken is not None:
                raise self.broken
            queue = self.queues.get(program.payload)
            if queue is None:
                queue = self.queues[program.payload] = _Queue(program, fixed)
            queue.fixed = fixed
            queue.items.extend(items)
            self.changed.notify_all()

    def shutdown(self, cancel: bool) -> None:
        """No more calls; cancels those that were not sent, if asked to."""
        cancelled: list[_Item] = []
        with self.changed:
            self.closing = True
            if cancel:
                for queue in self.queues.values():
                    cancelled += queue.items
                    queue.items.clear()
            self.changed.notify_all()
        for item in cancelled:
            if item.future.cancel():
                item.future.set_running_or_notify_cancel()

    def join(self) -> None:
        """Waits until all is done."""
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join()

    # Threads

    def _start(self) -> None:
        with self.lock:
            if self.job is not None:
                return
            self.guest.digest(self.http)
            job = secrets.token_hex(16)
            request = self.settings.request(self.http, job, [], True)
            self.http.json("POST", "/v1/jobs", request)
            self.job = job
            for run, name in ((self._listen, "ayni-listen"), (self._send, "ayni-send")):
                thread = threading.Thread(target=run, name=name, daemon=True)
                self.threads.append(thread)
                thread.start()

    def _send(self) -> None:
        try:
            self.heard.wait(SILENCE_S_MAX)
            while (chunk := self._next()) is not None:
                self._send_one(chunk)
        except BaseException as error:
            self._break(error)
        finally:
            self.over.set()
            self._close()

    def _next(self) -> _Chunk | None:
        """The next chunk once there is one and room for it; `None` when all is done."""
        with self.changed:
            while True:
                if self.broken is not None:
                    return None
                if any(queue.items for queue in self.queues.values()):
                    if len(self.flying) < self._window():
                        break
                elif self.closing and not self.flying:
                    return None
                self.changed.wait(SWEEP_S)
                if self.flying:
                    self._ask_slots_later()
        # Calls that are submitted one by one come together.
        time.sleep(GATHER_S)
        with self.changed:
            for key in list(self.queues):
                queue = self.queues[key]
                self.queues.move_to_end(key)
                items = self._cut(queue)
                if not queue.items and not items:
                    del self.queues[key]
                if items:
                    return _Chunk(queue.program, items)
            return _Chunk(_pack.Program(b"", frozenset(), ""), [])

    def _window(self) -> int:
        return self.workers or max(4, 2 * self.slots)

    def _ask_slots_later(self) -> None:
        self.slots_asked = min(self.slots_asked, time.monotonic() - SWEEP_S)

    def _cut(self, queue: _Queue) -> list[_Item]:
        """As many calls as one task should make."""
        count = queue.fixed or self._auto(queue)
        items: list[_Item] = []
        size = 0
        while queue.items and len(items) < count and size < ENVELOPE_BYTES:
            item = queue.items.popleft()
            if item.future.set_running_or_notify_cancel():
                items.append(item)
                size += len(item.call)
        return items

    def _auto(self, queue: _Queue) -> int:
        left = len(queue.items)
        share = max(1, left // max(1, 2 * self._window()))
        line = queue.cost.line()
        if line is None:
            # Nothing is known yet: some are tried, more of them where there are very many.
            return max(1, min(share // 8, 64))
        per_call, per_task = line
        # Small shares towards the end, so that all slots end together, but none that is mostly its
        # own beginning while every slot has one.
        worthwhile = min(int(SET_UP_SHARE * per_task / per_call), -(-left // self.slots))
        by_fuel = int(TASK_FUEL / per_call)
        return max(1, min(by_fuel, max(share, worthwhile), CALLS_PER_TASK_MAX))

    def _send_one(self, chunk: _Chunk) -> None:
        if not chunk.items:
            return
        data = _pack.envelope(chunk.program.payload, [item.call for item in chunk.items])
        stdin = self.http.json_of_blob(data)["digest"]
        program = self.guest.digest(self.http)
        task = {"program": program, "stdin": stdin, "limits": self.settings.limits()}
        index = self.sent
        with self.lock:
            self.flying[index] = chunk
            self.sent += 1
        path = f"/v1/jobs/{self.job}/tasks"
        self.http.json("POST", path, {"first_index": index, "tasks": [task]})
        # Of a task that was done before, no news comes.
        self._look(index, 1)
        if time.monotonic() - self.slots_asked > SWEEP_S:
            self.slots_asked = time.monotonic()
            detail = self.http.json("GET", f"/v1/jobs/{self.job}")
            self.slots = max(2, sum(int(p["slots"]) for p in detail["providers"]))

    def _listen(self) -> None:
        try:
            since = time.monotonic()
            while not self.over.is_set():
                try:
                    for event in self.http.events(f"/v1/jobs/{self.job}/events", self.heard):
                        since = time.monotonic()
                        if event["event"] in ("task_accepted", "task_failed"):
                            self._look(int(event["index"]), 1)
                        elif event["event"] == "resync":
                            self._sweep()
                        elif event["event"] == "ended":
                            self._sweep()
                            if self.over.is_set():
                                return
                except NodeUnreachable as error:
                    if time.monotonic() - since > SILENCE_S_MAX:
                        raise
                    log.info("%s; asking again", error.message)
                    self.over.wait(0.5)
                    if not self.over.is_set() and self.flying:
                        try:
                            self._sweep()
                        except NodeUnreachable:
                            continue
        except BaseException as error:
            self.heard.set()
            self._break(error)

    def _sweep(self) -> None:
        for index in sorted(self.flying):
            self._look(index, 1)

    def _look(self, index: int, count: int) -> None:
        rows = self.http.json("GET", f"/v1/jobs/{self.job}/tasks?from={index}&count={count}")
        for row in rows["tasks"]:
            if row["state"] in ("accepted", "failed"):
                self._done(row)

    def _done(self, row: Json) -> None:
        with self.changed:
            chunk = self.flying.get(int(row["index"]))
            if chunk is None:
                if row["verification"] == "replaced":
                    log.warning("task %s of job %s: an audit replaced its result", row["index"], self.job)
                return
            del self.flying[int(row["index"])]
        try:
            if row["state"] == "failed":
                raise failed(row, str(self.job))
            result = Result(int(row["index"]), row, self.http, str(self.job))
            self._learn(chunk, result)
            if result.exit_code != 0:
                raise ended(result)
            found = _unpack.done(result.stdout, chunk.program.classes, len(chunk.items))
        except Exception as error:
            found = [_unpack.Done(error=error)] * len(chunk.items)
        # From the end, so that nothing here refers to a result that was handed over.
        futures = [item.future for item in chunk.items]
        _print("".join(done.printed for done in found))
        futures.reverse()
        found.reverse()
        while futures:
            if (raised := found[-1].error) is not None:
                found.pop()
                futures.pop().set_exception(raised)
            else:
                futures.pop().set_result(found.pop().value)
        del chunk
        with self.changed:
            self.changed.notify_all()

    def _learn(self, chunk: _Chunk, result: Result) -> None:
        with self.lock:
            queue = self.queues.get(chunk.program.payload)
            if queue is not None:
                queue.cost.add(len(chunk.items), result.fuel)

    def _break(self, error: BaseException) -> None:
        """The node is gone, or there is a bug here: nobody waits forever."""
        with self.changed:
            self.broken = error
            items = [item for chunk in self.flying.values() for item in chunk.items]
            self.flying.clear()
            for queue in self.queues.values():
                items += queue.items
                queue.items.clear()
            self.changed.notify_all()
        self.over.set()
        for item in items:
            if not item.future.done():
                with contextlib.suppress(cf.InvalidStateError):
                    item.future.set_exception(error)

    def _close(self) -> None:
        if self.job is not None:
            try:
                self.http.json("POST", f"/v1/jobs/{self.job}/close")
            except AyniError as error:
                log.info("job %s stays open: %s", self.job, error.message)


def _print(text: str) -> None:
    """What the function printed in the guest, printed here."""
    if text:
        sys.stdout.write(text)


_engines: weakref.WeakSet[_Engine] = weakref.WeakSet()


@atexit.register
def _finish_all() -> None:
    """The interpreter ends: as with the library's executors, calls that were submitted are done."""
    engines = list(_engines)
    for engine in engines:
        engine.shutdown(False)
    for engine in engines:
        engine.join()
