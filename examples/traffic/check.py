"""Compares the traffic job's sums with networkx's betweenness and scipy's distances.

Usage: check.py RESULTS [ROADS.csv]. For every task, scipy's Dijkstra must reach as many crossings in the
same total time, to the millisecond, and the job's numbers, each times its road's time, must add up
to that total, since every way is the sum of its roads. Every 13th task is counted again, road by
road, by networkx. Differences are relative above 1. Then the tasks are added up. Prints one line of
JSON; exits 1 if anything differs by more than the tolerance.
"""

import csv
import json
import pathlib
import sys
import tomllib

import networkx as nx
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

TOLERANCE = 1e-9
EVERY, COUNTED_EVERY = 3, 13


def asked_for():
    """The tasks that the job file beside this script asks for."""
    with open(pathlib.Path(__file__).resolve().parent / "job.toml", "rb") as file:
        span = tomllib.load(file)["range"]
    starts = range(span["from"], span["to"], span["step"])
    return [(start, min(start + span["step"], span["to"])) for start in starts]


def results(folder):
    tasks = {}
    for file in sorted(pathlib.Path(folder).rglob("stdout")):
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"error: {file}: `{line[:80]}` is not JSON: {error}") from error
            key = (row["from"], row["to"])
            if key in tasks:
                raise SystemExit(f"error: starting points {key} are in the results twice")
            used = [p for p in file.parent.rglob("used.f64") if p.is_file()]
            if len(used) != 1:
                raise SystemExit(f"error: {file.parent} holds {len(used)} files `used.f64`, not 1")
            tasks[key] = row | {"used": np.fromfile(used[0], dtype="<f8")}
    return tasks


class City:
    def __init__(self, path):
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.street = [row["street"] for row in rows]
        self.ms = np.array([int(row["milliseconds"]) for row in rows])
        names = np.array([[int(row["start"]), int(row["end"])] for row in rows])
        crossings, places = np.unique(names, return_inverse=True)
        places = places.reshape(names.shape)
        self.roads = [tuple(road) for road in places.tolist()]
        self.crossings = len(crossings)
        shape = (self.crossings, self.crossings)
        self.matrix = csr_array((self.ms.astype(float), tuple(places.T)), shape=shape)
        self.graph = nx.DiGraph()
        self.graph.add_nodes_from(range(self.crossings))
        for (start, end), ms in zip(self.roads, self.ms.tolist(), strict=True):
            self.graph.add_edge(start, end, ms=ms)

    def distances(self, sources):
        """Ends reached from the sources and the time to all of them, summed as whole numbers."""
        ms = dijkstra(self.matrix, indices=sources)
        reached = np.isfinite(ms)
        return int(reached.sum()) - len(sources), int(ms[reached].astype(np.int64).sum())

    def used(self, sources):
        """How many quickest ways from the sources lie on each road."""
        everywhere = range(self.crossings)
        betweenness = nx.edge_betweenness_centrality_subset(
            self.graph, sources, everywhere, weight="ms"
        )
        return np.array([betweenness[road] for road in self.roads])


def main(folder, roads):
    city = City(roads)
    found = results(folder)
    problems, compared, worst = [], 0, 0.0
    used, ways = np.zeros(len(city.roads)), 0

    def compare(where, name, ours, theirs):
        nonlocal compared, worst
        ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
        compared += len(theirs)
        difference = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
        worst = max(worst, float(difference.max()))
        at = int(difference.argmax())
        if not difference[at] <= TOLERANCE:
            problems.append(f"{where}: {name} is {ours[at]}, the reference says {theirs[at]}")

    for number, key in enumerate(asked_for()):
        where, row = f"starting points {key[0]} to {key[1]}", found.pop(key, None)
        if row is None or len(row["used"]) != len(city.roads):
            problems.append(f"{where} are missing or of another city")
            continue
        sources = list(range(EVERY * key[0], min(EVERY * key[1], city.crossings), EVERY))
        ends, total_ms = city.distances(sources)
        compare(where, "the number of ways", row["ways"], ends)
        compare(where, "the total of milliseconds", row["total_ms"], total_ms)
        compare(where, "the sum over the roads", (row["used"] * city.ms).sum(), total_ms)
        if number % COUNTED_EVERY == 0:
            compare(where, "a road's number of ways", row["used"], city.used(sources))
        used += row["used"]
        ways += row["ways"]
    problems += [f"starting points {key} were not asked for" for key in found]
    for problem in problems[:10]:
        print(f"error: {problem}", file=sys.stderr)
    busiest = {}
    for road in np.argsort(-used, kind="stable"):
        busiest.setdefault(city.street[road], round(float(100 * used[road] / (ways or 1)), 2))
        if len(busiest) == 10:
            break
    ordered = np.sort(used * city.ms)[::-1]
    all_ms = ordered.sum() or 1
    report = {
        "example": "traffic",
        "compared": compared,
        "max_abs_diff": worst,
        "tolerance": TOLERANCE,
        "ok": not problems,
        "unit": "relative above 1, else absolute",
        "crossings": city.crossings,
        "roads": len(city.roads),
        "ways": ways,
        "mean_minutes": round(float((used * city.ms).sum() / (ways or 1) / 60_000), 2),
        "roads_never_used": int((used == 0).sum()),
        "percent_of_time_on_busiest_percent_of_roads": {
            percent: round(float(100 * ordered[: len(ordered) * percent // 100].sum() / all_ms), 1)
            for percent in (1, 5, 10)
        },
        "busiest_percent_of_ways": busiest,
    }
    print(json.dumps(report, ensure_ascii=False))
    return 1 if problems else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py RESULTS [ROADS.csv]")
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else here / "roads.csv"))
