"""Compares the demand job's forecasts with scikit-learn's Ridge and its costs with HiGHS.

Usage: check.py RESULTS [RECORD.csv [GRID.json]]. Every forecast is made again: the price of the ridge is
chosen by singular values in numpy, the fit is sklearn's. Of the costs, those of every seventh day
are computed again by scipy's linprog (HiGHS), with angles as unknowns and the grid's matrices as
pandapower builds them. Then the errors of all forecasts are counted on the same days. Prints one
line of JSON; exits 1 if anything differs by more than the tolerance. That the forecast is better
than last week's demand is reported, never required.
"""

import csv
import datetime
import json
import logging
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import numpy as np
import pandapower as pp
from scipy.optimize import linprog
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

TOLERANCE = 1e-6
FIRST_DAY, BEFORE, TRIAL, KNOWN = 92, 7, 28, 18
PRICES = [0.1, 1, 10, 100, 1000]
MW_PER_GW, HOURS = 8000, 0.5
SHED, CORRECTION, APART = 10_000, 10, 1e-3
COSTS_EVERY = 21
FORECASTS = ["last_week_gw", "ridge_gw", "ridge_given_temperature_gw"]
COSTS = ["perfect_eur", "forecast_eur", "last_week_eur"]


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


class Forecasts:
    def __init__(self, path):
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        column = lambda name: np.array([float(row[name]) for row in rows]).reshape(-1, 48)
        self.gw, temperature = column("demand_gw"), column("temperature_c")
        working = column("working_day")[:, :1]
        days = np.arange(len(self.gw))
        dates = [datetime.date(2014, 1, 1) + datetime.timedelta(int(d)) for d in days]
        self.dates = [d.isoformat() for d in dates]
        weekday = np.array([d.weekday() for d in dates])[:, None]
        cold = lambda t: np.maximum(18 - t, 0)
        hot = lambda t: np.maximum(t - 22, 0)
        past = lambda values, lag: np.roll(values, lag, axis=0)
        extreme = lambda f: f(past(temperature, 1), axis=1)[:, None]
        columns = [
            past(self.gw, 1), past(self.gw, 2), past(self.gw, 7),
            past(self.gw, 1)[:, 47:], past(self.gw, 1).mean(axis=1)[:, None],
            working, past(working, 1), past(working, 2), past(working, 7),
            weekday == 0, weekday == 5, weekday == 6,
            cold(past(temperature, 1)), hot(past(temperature, 1)),
            cold(extreme(np.min)), hot(extreme(np.max)),
            cold(past(temperature, 7)), hot(past(temperature, 7)),
            cold(temperature), hot(temperature),
        ]  # fmt: skip
        # Half-hour, day, column: a regression for each half-hour.
        self.x = np.stack([np.broadcast_to(c, self.gw.shape).T for c in columns], axis=2).astype(float)

    def price(self, day):
        """The price with the smallest error on the days before, from one decomposition for all."""
        x, y = self.x[:, BEFORE : day - TRIAL, :KNOWN], self.gw[BEFORE : day - TRIAL].T
        centre, deviation = x.mean(axis=1, keepdims=True), x.std(axis=1, keepdims=True)
        deviation[deviation == 0] = 1
        u, s, vt = np.linalg.svd((x - centre) / deviation, full_matrices=False)
        mean = y.mean(axis=1, keepdims=True)
        projected = np.einsum("hnk,hn->hk", u, y - mean)
        tried = (self.x[:, day - TRIAL : day, :KNOWN] - centre) / deviation
        truth = self.gw[day - TRIAL : day].T

        def error(price):
            weights = np.einsum("hkp,hk->hp", vt, projected * s / (s**2 + price))
            return np.abs(np.einsum("hnp,hp->hn", tried, weights) + mean - truth).sum()

        return min(PRICES, key=error)

    def make(self, day):
        price = self.price(day)

        def ridge(columns):
            values = []
            for x, y in zip(self.x[:, :, :columns], self.gw.T, strict=True):
                scaler = StandardScaler().fit(x[BEFORE:day])
                model = Ridge(alpha=price).fit(scaler.transform(x[BEFORE:day]), y[BEFORE:day])
                values.append(model.predict(scaler.transform(x[day : day + 1]))[0])
            return np.array(values)

        forecasts = {
            "observed_gw": self.gw[day],
            "last_week_gw": self.gw[day - 7],
            "ridge_gw": ridge(KNOWN),
            "ridge_given_temperature_gw": ridge(None),
        }
        return price, forecasts


class Grid:
    """Stations, shed demand and angles are the unknowns; the constraints are each bus's balance."""

    def __init__(self, path):
        net = pp.from_json(str(path))
        pp.rundcpp(net, numba=False)
        ppc, place = net._ppc, net._pd2ppc_lookups["bus"]
        self.buses = len(ppc["bus"])
        load = np.zeros(self.buses)
        np.add.at(load, place[net.load.bus], net.load.p_mw * net.load.scaling)
        self.share = load / load.sum()
        self.station_bus, self.most, self.cost = [], [], []
        for table in ("gen", "sgen", "ext_grid"):
            for index, row in net[table].sort_index().iterrows():
                cost = net.poly_cost[(net.poly_cost.et == table) & (net.poly_cost.element == index)]
                self.cost.append(cost.cp1_eur_per_mw.item() + APART * len(self.cost))
                self.station_bus.append(place[int(row.bus)])
                self.most.append(row.max_p_mw)
        self.most, self.cost = np.array(self.most), np.array(self.cost)
        branch = ppc["branch"].real
        from_bus, to_bus = branch[:, 0].astype(int), branch[:, 1].astype(int)
        tap = np.where(branch[:, 8] == 0, 1, branch[:, 8])
        b = ppc["baseMVA"] / branch[:, 3] / tap
        lines = range(len(branch))
        ends = np.zeros((len(branch), self.buses))
        ends[lines, from_bus] += 1
        ends[lines, to_bus] -= 1
        self.flow, shift = b[:, None] * ends, -b * np.radians(branch[:, 9])
        self.leaving, self.shifted = ends.T @ self.flow, ends.T @ shift
        limit = []
        for _, line in net.line.iterrows():
            kv = net.bus.vn_kv[int(line.from_bus)]
            limit.append(np.sqrt(3) * kv * line.max_i_ka * line.df * line.parallel)
        for _, trafo in net.trafo.iterrows():
            high = trafo.vn_hv_kv / net.bus.vn_kv[int(trafo.hv_bus)]
            low = trafo.vn_lv_kv / net.bus.vn_kv[int(trafo.lv_bus)]
            limit.append(trafo.sn_mva * trafo.df * trafo.parallel / max(high, low))
        self.upper, self.lower = np.array(limit) - shift, np.array(limit) + shift

    def solve(self, demand_mw, columns, cost, most, running):
        """Columns are (bus, sign) of each unknown power; returns their values and the cost."""
        shed = np.flatnonzero(self.share)
        count = len(columns) + len(shed)
        feeds = np.zeros((self.buses, count))
        for i, (bus, sign) in enumerate([*columns, *((bus, 1) for bus in shed)]):
            feeds[bus, i] = sign
        demand = self.share * demand_mw
        angle_bounds = [(0, 0)] + [(None, None)] * (self.buses - 1)
        nothing = np.zeros((2 * len(self.flow), count))
        done = linprog(
            HOURS * np.r_[cost, np.full(len(shed), SHED), np.zeros(self.buses)],
            A_ub=csr_array(np.c_[nothing, np.r_[self.flow, -self.flow]]),
            b_ub=np.r_[self.upper, self.lower],
            A_eq=csr_array(np.c_[feeds, -self.leaving]),
            b_eq=demand + self.shifted - running,
            bounds=[(0, m) for m in np.r_[most, demand[shed]]] + angle_bounds,
            method="highs",
        )
        if not done.success:
            raise SystemExit(f"error: no reference for {demand_mw} MW: {done.message}")
        return done.x[: len(columns)], done.fun

    def plan(self, demand_mw):
        columns = [(bus, 1) for bus in self.station_bus]
        return self.solve(demand_mw, columns, self.cost, self.most, np.zeros(self.buses))

    def correct(self, power, demand_mw):
        columns = [(bus, 1) for bus in self.station_bus] + [(bus, -1) for bus in self.station_bus]
        running = np.zeros(self.buses)
        np.add.at(running, self.station_bus, power)
        cost = np.r_[self.cost + CORRECTION, CORRECTION - self.cost]
        most = np.maximum(np.r_[self.most - power, power], 0)
        return HOURS * (self.cost @ power) + self.solve(demand_mw, columns, cost, most, running)[1]

    def costs(self, row):
        """What the day costs, from the demand and forecasts in its line."""
        total = dict.fromkeys(COSTS, 0.0)
        for observed, ridge, last_week in zip(
            row["observed_gw"], row["ridge_gw"], row["last_week_gw"], strict=True
        ):
            demand_mw = MW_PER_GW * observed
            total["perfect_eur"] += self.plan(demand_mw)[1]
            total["forecast_eur"] += self.correct(self.plan(MW_PER_GW * ridge)[0], demand_mw)
            total["last_week_eur"] += self.correct(self.plan(MW_PER_GW * last_week)[0], demand_mw)
        return total


def main(folder, record, grid):
    forecasts, grid = Forecasts(record), Grid(grid)
    found = results(folder)
    days = range(FIRST_DAY, len(forecasts.dates))
    problems = [f"{forecasts.dates[d]} is missing" for d in days if forecasts.dates[d] not in found]
    compared, worst = 0, 0.0

    def compare(where, name, ours, theirs):
        nonlocal compared, worst
        ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
        compared += len(theirs)
        difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))))
        worst = max(worst, difference)
        if not difference <= TOLERANCE:
            problems.append(f"{where}: {name} is {ours}, the reference says {theirs}")

    for day in days:
        date = forecasts.dates[day]
        if date not in found:
            continue
        row = found[date]
        price, expected = forecasts.make(day)
        if row["price"] != price:
            problems.append(f"{date}: the price is {row['price']}, the reference says {price}")
        for name, values in expected.items():
            compare(date, name, row[name], values)
        if (day - FIRST_DAY) % COSTS_EVERY == 0:
            for name, value in grid.costs(row).items():
                compare(date, name, row[name], value)
    for problem in problems[:10]:
        print(f"error: {problem}", file=sys.stderr)
    rows = list(found.values())
    observed = np.array([row["observed_gw"] for row in rows])
    errors = {n: np.abs(np.array([row[n] for row in rows]) - observed) for n in FORECASTS if rows}
    totals = {name: sum(row[name] for row in rows) for name in COSTS}
    perfect = totals["perfect_eur"] or 1
    report = {
        "example": "demand",
        "compared": compared,
        "max_abs_diff": worst,
        "tolerance": TOLERANCE,
        "ok": not problems,
        "unit": "relative above 1, else absolute",
        "days": len(rows),
        "mean_abs_error_gw": {n: round(float(e.mean()), 4) for n, e in errors.items()},
        "mean_abs_error_percent": {
            n: round(float((100 * e / observed).mean()), 2) for n, e in errors.items()
        },
        "days_better_than_last_week": sum(
            bool(ridge.mean() < naive.mean())
            for ridge, naive in zip(errors["ridge_gw"], errors["last_week_gw"], strict=True)
        )
        if rows
        else 0,
        "cost_million_eur": {n: round(total / 1e6, 3) for n, total in totals.items()},
        "dearer_than_perfect_percent": {
            n: round(100 * (totals[n] / perfect - 1), 3) for n in COSTS[1:]
        },
        "shed_mwh": sum(row["shed_mwh"] for row in rows),
        "half_hours_congested": sum(row["congested"] for row in rows),
        "half_hours": observed.size,
        "beats_last_week": bool(
            rows and errors["ridge_gw"].mean() < errors["last_week_gw"].mean()
        ),
    }
    print(json.dumps(report))
    return 1 if problems else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    if len(sys.argv) not in (2, 3, 4):
        sys.exit("usage: check.py RESULTS [RECORD.csv [GRID.json]]")
    defaults = [here / "elecdemand.csv", here / "GBreducednetwork.json"]
    given = sys.argv[2:]
    sys.exit(main(sys.argv[1], *given, *defaults[len(given) :]))
