"""Compares the weather job's forecasts with the same method written on numpy and scikit-learn.

Usage: check.py RESULTS [RECORD.csv]. The neighbours come from sklearn's NearestNeighbors, the fits from
numpy's lstsq; then the mean absolute errors of all forecasts are counted on the same days. Prints
one line of JSON; exits 1 if anything differs by more than the tolerance. That the forecast is better
than a simpler one is reported, never required.
"""

import csv
import datetime
import json
import pathlib
import sys

import numpy as np
from sklearn.neighbors import NearestNeighbors

TOLERANCE = 5e-7
TRIED = [10, 20, 30, 40, 50, 70, 100]
FORECASTS = ["persistence", "climatology", "analogue", "blend"]


def results(folder):
    lines = {}
    for file in sorted(pathlib.Path(folder).rglob("stdout")):
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"error: {file}: `{line[:80]}` is not JSON: {error}") from error
            if row["date"] in lines:
                raise SystemExit(f"error: {row['date']} is in the results twice")
            lines[row["date"]] = row
    return lines


def reference(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    column = lambda name: np.array([float(row[name]) for row in rows])
    warmest, coldest = column("temp_max"), column("temp_min")
    wind, rain = column("wind"), np.sqrt(column("precipitation"))
    dates = [datetime.date.fromisoformat(row["date"]) for row in rows]
    year = np.array([d.year for d in dates])
    angle = 2 * np.pi * np.array([d.timetuple().tm_yday for d in dates]) / 365.25
    days = np.arange(len(rows))

    waves = np.c_[
        np.ones(len(rows)), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)
    ]
    past_years = year < 2015
    season = lambda v: waves @ np.linalg.lstsq(waves[past_years], v[past_years], rcond=None)[0]
    climatology = season(warmest)
    measured = [warmest - climatology, coldest - season(coldest), wind, rain]
    states = np.array([np.roll(m, lag) for lag in (1, 2, 3) for m in measured]).T
    past = days[past_years & (days >= 3)]
    states = (states - states[past].mean(axis=0)) / states[past].std(axis=0)
    states = np.c_[states, np.cos(angle), np.sin(angle)]

    yesterday = np.roll(warmest, 1)
    change = warmest - yesterday

    def analogues(targets, library):
        tree = NearestNeighbors(n_neighbors=max(TRIED), algorithm="brute").fit(states[library])
        nearest = library[tree.kneighbors(states[targets], return_distance=False)]
        means = {k: change[nearest[:, :k]].mean(axis=1) for k in TRIED}
        return {k: yesterday[targets] + mean for k, mean in means.items()}, nearest

    left_out = {k: np.zeros(len(rows)) for k in TRIED}
    for y in (2012, 2013, 2014):
        targets = past[year[past] == y]
        for k, forecast in analogues(targets, past[year[past] != y])[0].items():
            left_out[k][targets] = forecast
    error = {k: np.abs(left_out[k] - warmest)[past].mean() for k in TRIED}
    neighbours = min(TRIED, key=lambda k: error[k])
    columns = lambda t, analogue: np.c_[np.ones(len(t)), yesterday[t], analogue, climatology[t]]
    tried = columns(past, left_out[neighbours][past])
    weights = np.linalg.lstsq(tried, warmest[past], rcond=None)[0]

    targets = days[year == 2015]
    ensembles, nearest = analogues(targets, past)
    analogue = ensembles[neighbours]
    values = warmest[nearest[:, :neighbours]].mean(axis=1)
    aside = {
        "past_analogue": error[neighbours],
        "past_blend": np.abs(tried @ weights - warmest[past]).mean(),
        "values_instead_of_changes": np.abs(values - warmest[targets]).mean(),
    }
    forecasts = {
        "observed": warmest[targets],
        "persistence": yesterday[targets],
        "climatology": climatology[targets],
        "analogue": analogue,
        "blend": columns(targets, analogue) @ weights,
    }
    return [dates[t].isoformat() for t in targets], forecasts, neighbours, aside


def main(folder, record):
    dates, forecasts, neighbours, aside = reference(record)
    found = results(folder)
    problems = [f"{date} is missing" for date in dates if date not in found]
    compared, worst = 0, 0.0
    for i, date in enumerate(dates):
        if date not in found:
            continue
        row = found[date]
        if row["neighbours"] != neighbours:
            problems.append(f"{date}: {row['neighbours']} neighbours, reference {neighbours}")
        for name, values in forecasts.items():
            compared += 1
            difference = abs(row[name] - values[i])
            worst = max(worst, difference)
            if not difference <= TOLERANCE:
                problems.append(f"{date}: {name} is {row[name]}, the reference says {values[i]}")
    for problem in problems[:10]:
        print(f"error: {problem}", file=sys.stderr)
    mae = {
        name: round(float(np.mean([abs(r[name] - r["observed"]) for r in found.values()])), 4)
        for name in FORECASTS
        if found
    }
    report = {
        "example": "weather",
        "compared": compared,
        "max_abs_diff": float(worst),
        "tolerance": TOLERANCE,
        "ok": not problems,
        "unit": "degrees Celsius",
        "days": len(found),
        "neighbours": neighbours,
        "mean_abs_error_c": mae,
        "aside_mean_abs_error_c": {name: round(float(v), 4) for name, v in aside.items()},
        "beats_persistence": bool(mae and mae["blend"] < mae["persistence"]),
    }
    print(json.dumps(report))
    return 1 if problems else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py RESULTS [RECORD.csv]")
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else here / "seattle-weather.csv"))
