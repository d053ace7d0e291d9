"""How long the carbon dioxide bootstrap takes on a network of this machine, beside local processes.

Prints one line of JSON: seconds of each way, by the clock and of processors (all processes of that
way, the caller's included), and the network's as a ratio to `ProcessPoolExecutor` and, if it is
installed, to Ray, all in the same run with as many workers. Providers work at the lowest priority, so
on a machine that does other things the clock says more about those; the load is printed too. The
network's providers compile the guest once in their lives: that first call is timed apart.
"""

from __future__ import annotations

import concurrent.futures as cf
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import ayni  # noqa: E402
import co2_bootstrap  # noqa: E402

REPLICATES = 1_000
WORKERS = 2


@dataclass
class Timed:
    """What a way took, in seconds, and what it gave."""

    clock: float
    processors: float
    found: Any


def timed(work: Callable[[], Any]) -> Timed:
    clock, processors = time.perf_counter(), processor_seconds()
    found = work()
    return Timed(time.perf_counter() - clock, processor_seconds() - processors, found)


def processor_seconds() -> float:
    """Of this process and all below it, those included that have ended and were waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        ticks[pid] = sum(map(int, fields[11:15]))
    own = os.getpid()
    total = 0
    for pid in ticks:
        above: int | None = pid
        while above not in (own, None):
            above = parents.get(above)
        total += ticks[pid] if above == own else 0
    return total / os.sysconf("SC_CLK_TCK")


def with_ray(replicate: Callable[[int], list[float]]) -> Timed | None:
    try:
        import ray
    except ImportError:
        return None
    paths = os.pathsep.join([str(HERE.parent / "tests"), os.environ["AYNI_CO2"]])
    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": paths}},
    )
    there = ray.put(replicate)

    @ray.remote
    def part(function: Callable[[int], list[float]], numbers: list[int]) -> list[list[float]]:
        return [function(n) for n in numbers]

    parts = [list(range(a, a + 50)) for a in range(0, REPLICATES, 50)]
    ray.get([part.remote(there, [0]) for _ in range(WORKERS)])
    took = timed(lambda: ray.get([part.remote(there, numbers) for numbers in parts]))
    ray.shutdown()
    return took


def main() -> None:
    replicate = co2_bootstrap.load(Path(os.environ["AYNI_CO2"]))
    numbers = range(REPLICATES)
    load = os.getloadavg()[0]
    with cf.ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(replicate, range(WORKERS)))
        pooled = timed(lambda: list(pool.map(replicate, numbers, chunksize=50)))
    by_ray = with_ray(replicate)
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [os.environ["AYNI_BIN"], "dev", "--json", "--providers", str(WORKERS), "--dir", folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            client = ayni.Client(json.loads(process.stdout.readline())["requester"])
            with client.executor(verify={"audit_ppm": 0}) as executor:
                first = timed(lambda: list(executor.map(replicate, range(-4, 0), chunksize=1)))
                network = timed(lambda: list(executor.map(replicate, numbers)))
                tasks = executor.job.tasks if executor.job else 0
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    worst = max(
        abs(a - b) / max(1.0, abs(b))
        for row, other in zip(network.found, pooled.found, strict=True)
        for a, b in zip(row, other, strict=True)
    )
    report: dict[str, Any] = {
        "replicates": REPLICATES,
        "workers": WORKERS,
        "load_before": round(load, 1),
        "first_call_s": round(first.clock, 2),
        "tasks": tasks,
        "worst_relative_difference": worst,
    }
    for name, way in (("network", network), ("process_pool", pooled), ("ray", by_ray)):
        if way is None:
            continue
        report[f"{name}_s"] = round(way.clock, 2)
        report[f"{name}_cpu_s"] = round(way.processors, 2)
        if way is not network:
            report[f"ratio_to_{name}"] = round(network.clock / way.clock, 2)
            report[f"cpu_ratio_to_{name}"] = round(network.processors / way.processors, 2)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
