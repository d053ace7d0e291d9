"""How fast does carbon dioxide rise, and how sure is that? A block bootstrap of a harmonic trend.

The weekly record is fitted by a quadratic trend with a yearly and a half-yearly wave. A replicate
draws blocks of the fit's residuals (a year long, so that slow swings stay together), adds them to
the fit and fits again; the spread over replicates is the uncertainty. Every draw follows from the
replicate's number alone, so any machine gives the same replicate.

Usage: co2.py --from A --to B [--record FILE]; B is excluded. One line of JSON a replicate. Needs
nothing but Python's standard library.
"""

import datetime
import json
import math
import sys

BLOCK_WEEKS = 52
WAVES = 2
MASK = (1 << 64) - 1


class SplitMix64:
    """A small generator whose every step is written here, so that no library can change it."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, bound):
        """An integer in 0..bound, each as likely as the other (to one part in 2^50)."""
        return (self.next() * bound) >> 64


def read(path):
    """Years since 2000 and parts per million, weeks without a measurement left out."""
    years, ppm = [], []
    with open(path) as file:
        header = file.readline().strip()
        if header != "date,co2":
            raise ValueError(f"the record starts with `{header}`, not `date,co2`")
        for line in file:
            day, value = line.strip().split(",")
            if value in ("", "nan"):
                continue
            date = datetime.date(int(day[:4]), int(day[4:6]), int(day[6:]))
            years.append((date - datetime.date(2000, 1, 1)).days / 365.25)
            ppm.append(float(value))
    return years, ppm


def design(years):
    """One row a week: 1, t, t² and the waves. t is in decades around the record's middle."""
    middle = (years[0] + years[-1]) / 2
    rows = []
    for year in years:
        t = (year - middle) / 10
        row = [1.0, t, t * t]
        for wave in range(1, WAVES + 1):
            angle = 2 * math.pi * wave * year
            row += [math.cos(angle), math.sin(angle)]
        rows.append(row)
    return rows


class LeastSquares:
    """Orthogonalises the columns once (modified Gram-Schmidt, twice over for the last digits);
    each fit is then a handful of dot products."""

    def __init__(self, rows):
        columns = [list(column) for column in zip(*rows)]
        self.size = len(columns)
        self.right = [[0.0] * self.size for _ in columns]
        self.basis = []
        for j, column in enumerate(columns):
            for _ in range(2):
                for i, base in enumerate(self.basis):
                    share = dot(base, column)
                    self.right[i][j] += share
                    column = [c - share * b for c, b in zip(column, base)]
            norm = math.sqrt(dot(column, column))
            self.right[j][j] = norm
            self.basis.append([c / norm for c in column])

    def fit(self, targets):
        solution = [dot(base, targets) for base in self.basis]
        for i in reversed(range(self.size)):
            for j in range(i + 1, self.size):
                solution[i] -= self.right[i][j] * solution[j]
            solution[i] /= self.right[i][i]
        return solution


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def replicate(number, fitted, residuals, squares):
    """The coefficients after drawing the residuals anew."""
    generator = SplitMix64(number)
    count = len(residuals)
    targets = []
    while len(targets) < count:
        start = generator.below(count - BLOCK_WEEKS + 1)
        for residual in residuals[start : start + BLOCK_WEEKS]:
            if len(targets) < count:
                targets.append(fitted[len(targets)] + residual)
    return squares.fit(targets)


def summary(coefficients, end_decades):
    """What the coefficients say in words people use."""
    _, linear, square, c, s, *_ = coefficients
    return {
        "rise_ppm_per_year": linear / 10,
        "rise_at_end_ppm_per_year": (linear + 2 * square * end_decades) / 10,
        "yearly_swing_ppm": 2 * math.sqrt(c * c + s * s),
    }


def line(number, coefficients, end_decades):
    row = {"replicate": number, **summary(coefficients, end_decades)}
    row["coefficients"] = coefficients
    return json.dumps(row)


def main(arguments):
    options = {"--from": "0", "--to": "0", "--record": "/in/co2.csv"}
    if len(arguments) % 2:
        raise ValueError(f"`{arguments[-1]}` needs a value")
    for flag, value in zip(arguments[::2], arguments[1::2]):
        if flag not in options:
            raise ValueError(f"unknown option `{flag}`; known: {' '.join(options)}")
        options[flag] = value
    years, ppm = read(options["--record"])
    rows = design(years)
    squares = LeastSquares(rows)
    coefficients = squares.fit(ppm)
    fitted = [dot(row, coefficients) for row in rows]
    residuals = [p - f for p, f in zip(ppm, fitted)]
    for number in range(int(options["--from"]), int(options["--to"])):
        drawn = replicate(number, fitted, residuals, squares)
        print(line(number, drawn, rows[-1][1]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
