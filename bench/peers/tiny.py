"""As many tiny tasks as `cargo xtask bench tiny` runs on the network, the ways that others run them.

`tiny.py ray|dask|hyperqueue TASKS SAMPLES FOLDER`, each in an environment that has it. Prints one line
of JSON: tasks per second (submitted as its users do, until all results are there), the median time of
one task on warm workers, and processor time a task of all processes of that way, this one included.
The task mixes integers for some ten microseconds, as the network's does; where tasks are commands,
it is `true`, the least that there is. Deliberately not here: what none of them does (sign, meter,
sandbox, keep a journal, execute again), and what the network takes for it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 16
MASK = (1 << 64) - 1


def mix(seed: int) -> int:
    """About ten microseconds here, as the compiled program takes for many more rounds."""
    z = seed
    for _ in range(ROUNDS):
        z = (z + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
    return z


def processor_seconds() -> float:
    """Of this process, everything it started, and whatever went on in sessions of its own."""
    ticks = 0
    mine = f"AYNI_BENCH_PEER={os.environ['AYNI_BENCH_PEER']}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mine in (folder / "environ").read_bytes().split(b"\0") or folder.name == str(os.getpid()):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def measured(
    tasks: int, samples: int, one: Callable[[int], None], many: Callable[[range], None]
) -> dict[str, float]:
    for seed in range(3):
        one(seed)
    many(range(-200, 0))
    times = []
    for seed in range(samples):
        began = time.perf_counter()
        one(1_000_000_000 + seed)
        times.append(time.perf_counter() - began)
    clock, processors = time.perf_counter(), processor_seconds()
    many(range(tasks))
    took, used = time.perf_counter() - clock, processor_seconds() - processors
    return {
        "tasks_per_second": tasks / took,
        "warm_p50_ms": statistics.median(times) * 1e3,
        "cpu_us_per_task": used / tasks * 1e6,
    }


def expect(found: list[int], seeds: range) -> None:
    if found != [mix(seed) for seed in seeds]:
        raise SystemExit("error: results differ from those computed here")


def with_ray(tasks: int, samples: int, _folder: Path) -> dict[str, float]:
    import ray

    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, logging_level="ERROR")
    task = ray.remote(mix)

    def many(seeds: range) -> None:
        expect(ray.get([task.remote(seed) for seed in seeds]), seeds)

    try:
        return measured(tasks, samples, lambda seed: ray.get(task.remote(seed)), many)
    finally:
        ray.shutdown()


def with_dask(tasks: int, samples: int, folder: Path) -> dict[str, float]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=os.cpu_count(),
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=str(folder),
        ) as cluster,
        Client(cluster) as client,
    ):

        def many(seeds: range) -> None:
            expect(client.gather(client.map(mix, seeds, pure=False)), seeds)

        def one(seed: int) -> None:
            client.submit(mix, seed, pure=False).result()

        return measured(tasks, samples, one, many)


def with_hyperqueue(tasks: int, samples: int, folder: Path) -> dict[str, float]:
    from hyperqueue import Job
    from hyperqueue.cluster import LocalCluster, WorkerConfig

    with LocalCluster(str(folder), WorkerConfig()) as cluster:
        client = cluster.client()

        def many(seeds: range) -> None:
            job = Job()
            for _ in seeds:
                job.program(["true"], stdout=None, stderr=None)
            client.wait_for_jobs([client.submit(job)])

        return measured(tasks, samples, lambda seed: many(range(1)), many)


def main() -> None:
    ways = {"ray": with_ray, "dask": with_dask, "hyperqueue": with_hyperqueue}
    _, way, tasks, samples, folder = sys.argv
    os.environ["AYNI_BENCH_PEER"] = str(os.getpid())
    print(json.dumps(ways[way](int(tasks), int(samples), Path(folder))))


if __name__ == "__main__":
    main()
