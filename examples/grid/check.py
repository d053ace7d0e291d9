"""Compares the grid job's results with pandapower's own DC power flow.

Usage: check.py RESULTS [GRID.json]. Every single outage is solved again by `rundcpp`; of the pairs of
outages, all those that begin with every 20th branch. Prints one line of JSON; exits 1 if anything
differs by more than the tolerance.
"""

import json
import logging
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import numpy as np
import pandapower as pp

TOLERANCE = 5e-7
OVERLOAD_PERCENT = 100.000001
PAIRS_EVERY = 20


def results(folder):
    lines = {}
    for file in sorted(pathlib.Path(folder).rglob("stdout")):
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"error: {file}: `{line[:80]}` is not JSON: {error}") from error
            if row["outage"] in lines:
                raise SystemExit(f"error: outage {row['outage']} is in the results twice")
            lines[row["outage"]] = row
    return lines


class Reference:
    def __init__(self, path):
        self.net = pp.from_json(str(path))
        self.branches = [("line", i) for i in sorted(self.net.line.index)]
        self.branches += [("trafo", i) for i in sorted(self.net.trafo.index)]
        self.overloaded_before = np.zeros(len(self.branches), dtype=bool)
        self.screen([])
        self.overloaded_before = self.overloaded
        self.before_percent = float(self.percent.max())

    def screen(self, outages):
        net = self.net
        for o in outages:
            table, index = self.branches[o]
            net[table].at[index, "in_service"] = False
        pp.rundcpp(net, numba=False)
        mw, percent = [], []
        for o, (table, index) in enumerate(self.branches):
            row = net[f"res_{table}"].loc[index]
            out = o in outages
            mw.append(0.0 if out else abs(row["p_from_mw" if table == "line" else "p_hv_mw"]))
            percent.append(0.0 if out else row["loading_percent"])
        for o in outages:
            table, index = self.branches[o]
            net[table].at[index, "in_service"] = True
        mw, percent = np.nan_to_num(mw), np.nan_to_num(percent)
        self.percent, self.overloaded = percent, percent > OVERLOAD_PERCENT
        dark = net.res_bus.va_degree.isna()
        load = net.load[net.load.bus.isin(dark[dark].index)]
        return {
            "worst_mw": mw.max(),
            "worst_loading_percent": percent.max(),
            "overloaded": int(self.overloaded.sum()),
            "newly_overloaded": int((self.overloaded & ~self.overloaded_before).sum()),
            "unsupplied_buses": int(dark.sum()),
            "unsupplied_mw": float((load.p_mw * load.scaling).sum()),
        }


def main(folder, grid):
    reference = Reference(grid)
    found = results(folder)
    count = len(reference.branches)
    problems = [f"outage {o} is missing" for o in range(count) if o not in found]
    compared, worst = 0, 0.0

    def compare(where, name, ours, theirs):
        nonlocal compared, worst
        compared += 1
        difference = abs(ours - theirs)
        worst = max(worst, difference)
        if not difference <= TOLERANCE:
            problems.append(f"{where}: {name} is {ours}, the reference says {theirs}")

    for o in range(count):
        if o not in found:
            continue
        for name, value in reference.screen([o]).items():
            compare(f"outage {o}", name, found[o][name], value)
        if o % PAIRS_EVERY:
            continue
        pairs = [reference.screen([o, other]) for other in range(o + 1, count)]
        second = {
            "pairs": len(pairs),
            "newly_overloading": sum(p["newly_overloaded"] > 0 for p in pairs),
            "islanding": sum(p["unsupplied_buses"] > 0 for p in pairs),
            "worst_loading_percent": max((p["worst_loading_percent"] for p in pairs), default=0.0),
        }
        for name, value in second.items():
            compare(f"pairs of outage {o}", name, found[o]["second"][name], value)

    for problem in problems[:10]:
        print(f"error: {problem}", file=sys.stderr)
    report = {
        "example": "grid",
        "compared": compared,
        "max_abs_diff": float(worst),
        "tolerance": TOLERANCE,
        "ok": not problems,
        "unit": "MW, percent, counts",
        "overloaded_before": int(reference.overloaded_before.sum()),
        "worst_loading_percent_before": reference.before_percent,
        "outages_newly_overloading": sum(row["newly_overloaded"] > 0 for row in found.values()),
        "outages_islanding": sum(row["unsupplied_buses"] > 0 for row in found.values()),
        "worst_loading_percent": max((r["worst_loading_percent"] for r in found.values()), default=0),
        "pairs": sum(row["second"]["pairs"] for row in found.values()),
        "pairs_newly_overloading": sum(r["second"]["newly_overloading"] for r in found.values()),
        "pairs_islanding": sum(r["second"]["islanding"] for r in found.values()),
    }
    print(json.dumps(report))
    return 1 if problems else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py RESULTS [GRID.json]")
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else here / "GBreducednetwork.json"))
