"""The Executor against the library's own, and the things that only a network can do."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import gc
import math
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import ayni
import co2_bootstrap
import pytest


def slow_square(x):
    return sum(x for _ in range(x))


def test_futures_are_the_librarys(executor):
    futures = [executor.submit(slow_square, n) for n in range(20)]
    assert all(type(f) is cf.Future for f in futures)
    done, waiting = cf.wait(futures)
    assert not waiting and len(done) == 20
    assert {f.result() for f in cf.as_completed(futures)} == {n * n for n in range(20)}

    async def gather():
        wrapped = [asyncio.wrap_future(executor.submit(pow, 2, n)) for n in range(5)]
        return await asyncio.gather(*wrapped)

    assert asyncio.run(gather()) == [1, 2, 4, 8, 16]


def test_map_keeps_order_and_gives_exceptions_if_asked(executor, client):
    assert list(executor.map(divmod, [7, 8], [2, 3])) == [(3, 1), (2, 2)]
    mixed = list(executor.map(math.sqrt, [4, -1, 9], return_exceptions=True))
    assert mixed[0] == 2 and isinstance(mixed[1], ValueError) and mixed[2] == 3
    given = executor.map(math.sqrt, [4, -1, 9])
    assert next(given) == 2
    with pytest.raises(ValueError):
        next(given)
    with pytest.raises(ValueError):
        executor.map(str, [1], chunksize=0)
    assert list(client.map(slow_square, range(5), home=True)) == [0, 1, 4, 9, 16]
    assert sorted(client.map(slow_square, range(5), ordered=False)) == [0, 1, 4, 9, 16]
    kinds = [type(x) for x in client.map(math.sqrt, [1, -1], return_exceptions=True)]
    assert kinds == [float, ValueError]


def test_cheap_calls_share_tasks(client):
    with client.executor() as executor:
        assert sum(executor.map(slow_square, [1] * 3_000)) == 3_000
        job = executor.job
        assert job is not None and job.tasks < 300
        assert executor.confidence is not None
        assert executor.price == job.price
        assert job.id in executor._repr_html_() and "<script" not in executor._repr_html_()
    assert job.detail()["state"] == "ended"


def test_an_executor_ends_as_the_librarys_do(client):
    executor = client.executor(max_workers=1)
    futures = [executor.submit(slow_square, n) for n in range(30)]
    executor.shutdown(cancel_futures=True)
    assert all(f.done() for f in futures)
    assert any(f.cancelled() for f in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pow, 2, 2)
    with pytest.raises(ValueError, match="greater than 0"):
        client.executor(max_workers=0)
    unused = client.executor()
    unused.shutdown()
    assert unused.job is None and unused.price == 0


def test_calls_are_finished_when_the_interpreter_ends(network):
    code = (
        "import ayni\n"
        "e = ayni.Executor()\n"
        "f = e.submit(pow, 2, 10)\n"
        "f.add_done_callback(lambda f: print(f.result()))\n"
    )
    env = os.environ | {"AYNI_HOME": str(network)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1024\n", "")


def test_many_threads_may_submit(executor):
    found = []

    def work(k):
        found.append([executor.submit(pow, k, n).result() for n in range(5)])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[k**n for n in range(5)] for k in range(4)]


class Thing:
    pass


def test_a_result_that_nobody_holds_is_gone(client):
    with client.executor() as executor:
        futures = executor.submit_all(lambda n: Thing(), [(n,) for n in range(10)])
        seen = [weakref.ref(f.result()) for f in futures]
        argument = Thing()
        seen.append(weakref.ref(argument))
        executor.submit(lambda thing: 1, argument).result()
        del argument, futures
    # The threads that handed them over have ended.
    gc.collect()
    assert [ref() for ref in seen] == [None] * 11


def spin():
    while True:
        pass


def hoard():
    return bytes(200 << 20)


def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)


def test_a_call_past_its_limits_says_which(client):
    with client.executor(fuel=3_000_000_000) as executor:
        with pytest.raises(ayni.TaskEnded, match="exhausted: fuel") as caught:
            executor.submit(spin).result()
        assert "fuel=" in caught.value.hint and not caught.value.retryable
    with client.executor(memory_bytes=128 << 20) as executor:
        with pytest.raises(MemoryError):
            executor.submit(hoard).result()
    with client.executor(output_bytes=1 << 20) as executor:
        with pytest.raises(ayni.TaskEnded, match="exhausted: output"):
            executor.submit(lambda: list(range(1_000_000))).result()
    with client.executor() as executor, pytest.raises(RecursionError):
        executor.submit(deep, 100_000).result()


def test_a_budget_holds(client):
    with client.executor(budget=0, home=False) as executor:
        # Not among the calls of other tests, whose outcomes the node holds and gives for nothing.
        future = executor.submit(pow, 3, 77)
        with pytest.raises(ayni.TaskFailed, match="budget"):
            future.result()


def test_without_a_node_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("AYNI_HOME", raising=False)
    with pytest.raises(ayni.NodeUnreachable, match="no node runs") as caught:
        ayni.Client(tmp_path).status()
    assert caught.value.code == "E-PY-002" and caught.value.retryable
    assert "ayni dev" in caught.value.hint
    token = tmp_path / "api.token"
    token.write_text("0" * 64)
    token.chmod(0o644)
    (tmp_path / "api.json").write_text('{"addr": "127.0.0.1:1"}')
    with pytest.raises(ayni.NodeUnreachable, match="readable by others"):
        ayni.Client(tmp_path).status()
    token.chmod(0o600)
    with pytest.raises(ayni.NodeUnreachable, match="does not answer"):
        ayni.Client(tmp_path).status()


def test_any_program_runs_from_python(client, tmp_path):
    guest = Path(os.environ["AYNI_PYTHON_GUEST"])
    job = client.run(guest, [b"describe", b"nonsense"])
    good, bad = job.wait()
    assert good.exit_code == 0 and b'"math"' in good.stdout and good.fuel > 0
    assert bad.exit_code == 1 and b"the input is not a call" in bad.stderr
    assert good.receipt() if good.provider else True
    assert job.confidence is not None and "accepted" in job._repr_html_()
    assert client.job(job.id).tasks == 2
    assert [j for j in client.jobs() if j["id"] == job.id]
    quote = client.quote(tasks=10, expected_fuel=1_000_000)
    assert int(quote["expected"]["total"]) > 0
    with pytest.raises(ayni.AyniError, match="can't run"):
        client.run(b"not wasm", [b""])
    with pytest.raises(ayni.AyniError, match="`nonsense`, which is not known"):
        client.run(guest, [{"nonsense": 1}])


def test_the_bootstrap_agrees_with_a_process_pool_to_nine_digits(client):
    replicate = co2_bootstrap.load(Path(os.environ["AYNI_CO2"]))
    numbers = range(1_000)
    with cf.ProcessPoolExecutor() as pool:
        here = list(pool.map(replicate, numbers, chunksize=50))
    with client.executor() as executor:
        there = list(executor.map(replicate, numbers))
    assert len(there) == 1_000
    worst = max(
        abs(a - b) / max(1.0, abs(b))
        for row, other in zip(there, here, strict=True)
        for a, b in zip(row, other, strict=True)
    )
    assert worst < 1e-9


def test_what_a_task_and_a_call_cost_is_learnt():
    from ayni._executor import _Cost

    cost = _Cost()
    assert cost.line() is None
    cost.add(2, 500)
    cost.add(2, 500)
    assert cost.line() == (250, 0)
    cost.add(10, 1_300)
    assert cost.line() == (pytest.approx(100), pytest.approx(300))
    falling = _Cost()
    falling.add(1, 500)
    falling.add(5, 100)
    assert falling.line() == (100, 0)
