"""Compares the carbon dioxide job's replicates with numpy's least squares.

Usage: check.py RESULTS [RECORD.csv]. The drawing of blocks is written out again (it must give the same
integers), the fits come from numpy.linalg.lstsq. Differences are relative to the value, so that the
tolerance means nine digits. Prints one line of JSON; exits 1 if anything differs by more.
"""

import csv
import datetime
import json
import pathlib
import sys
import tomllib

import numpy as np

TOLERANCE = 1e-9
BLOCK = 52
MASK = (1 << 64) - 1
SHOWN = ["rise_ppm_per_year", "rise_at_end_ppm_per_year", "yearly_swing_ppm"]


def asked_for():
    """The replicates that the job file beside this script asks for."""
    with open(pathlib.Path(__file__).resolve().parent / "job.toml", "rb") as file:
        span = tomllib.load(file)["range"]
    return range(span["from"], span["to"])


def results(folder):
    lines = {}
    for file in sorted(pathlib.Path(folder).rglob("stdout")):
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"error: {file}: `{line[:80]}` is not JSON: {error}") from error
            if row["replicate"] in lines:
                raise SystemExit(f"error: replicate {row['replicate']} is in the results twice")
            lines[row["replicate"]] = row
    return lines


def splitmix64(seed):
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


class Reference:
    def __init__(self, path):
        with open(path, newline="") as file:
            rows = [r for r in csv.DictReader(file) if r["co2"] not in ("", "nan")]
        dates = [datetime.datetime.strptime(r["date"], "%Y%m%d").date() for r in rows]
        year = np.array([(d - datetime.date(2000, 1, 1)).days for d in dates]) / 365.25
        t = (year - (year[0] + year[-1]) / 2) / 10
        angle = 2 * np.pi * year
        self.x = np.c_[
            np.ones(len(t)), t, t**2,
            np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle),
        ]  # fmt: skip
        self.y = np.array([float(r["co2"]) for r in rows])
        self.end = t[-1]
        self.base = self.fit(self.y)
        self.fitted = self.x @ self.base
        self.residuals = self.y - self.fitted

    def fit(self, y):
        return np.linalg.lstsq(self.x, y, rcond=None)[0]

    def replicate(self, number):
        count = len(self.y)
        draws = splitmix64(number)
        starts = [(next(draws) * (count - BLOCK + 1)) >> 64 for _ in range(-(-count // BLOCK))]
        drawn = np.concatenate([self.residuals[s : s + BLOCK] for s in starts])[:count]
        return self.describe(self.fit(self.fitted + drawn))

    def describe(self, b):
        return {
            "rise_ppm_per_year": b[1] / 10,
            "rise_at_end_ppm_per_year": (b[1] + 2 * b[2] * self.end) / 10,
            "yearly_swing_ppm": 2 * np.hypot(b[3], b[4]),
            "coefficients": b,
        }


def main(folder, record):
    reference = Reference(record)
    found = results(folder)
    problems = [f"replicate {n} is missing" for n in asked_for() if n not in found]
    problems += [f"replicate {n} was not asked for" for n in found if n not in asked_for()]
    compared, worst = 0, 0.0
    for number, row in sorted(found.items()):
        for name, theirs in reference.replicate(number).items():
            ours, theirs = np.atleast_1d(row[name]), np.atleast_1d(theirs)
            compared += len(theirs)
            difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))))
            worst = max(worst, difference)
            if not difference <= TOLERANCE:
                problems.append(f"replicate {number}: {name} is {ours}, the reference says {theirs}")
    for problem in problems[:10]:
        print(f"error: {problem}", file=sys.stderr)
    base = reference.describe(reference.base)
    spread = {
        name: {
            "estimate": round(float(base[name]), 4),
            "low_2.5": round(float(np.percentile([r[name] for r in found.values()], 2.5)), 4),
            "high_97.5": round(float(np.percentile([r[name] for r in found.values()], 97.5)), 4),
        }
        for name in SHOWN
        if found
    }
    report = {
        "example": "co2",
        "compared": compared,
        "max_abs_diff": worst,
        "tolerance": TOLERANCE,
        "ok": not problems,
        "unit": "relative above 1, else absolute",
        "replicates": len(found),
        "weeks": len(reference.y),
        "found": spread,
    }
    print(json.dumps(report))
    return 1 if problems else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py RESULTS [RECORD.csv]")
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else here / "co2.csv"))
