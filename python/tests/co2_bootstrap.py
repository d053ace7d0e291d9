"""The carbon dioxide example's bootstrap as a function of a replicate's number.

Its parts are those of examples/co2/co2.py, imported from where the example was laid out.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass
class Bootstrap:
    """One fit of the record; called with a number, the fit of that replicate."""

    fitted: list[float]
    residuals: list[float]
    rows: list[list[float]]

    def __call__(self, number: int) -> list[float]:
        import co2

        if not hasattr(co2, "squares"):
            co2.squares = co2.LeastSquares(self.rows)
        return co2.replicate(number, self.fitted, self.residuals, co2.squares)


def module(folder: Path) -> ModuleType:
    """The example's own script, as a module."""
    if "co2" not in sys.modules:
        spec = importlib.util.spec_from_file_location("co2", folder / "co2.py")
        assert spec is not None and spec.loader is not None
        sys.modules["co2"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["co2"])
    return sys.modules["co2"]


def load(folder: Path) -> Bootstrap:
    """Reads the record and fits it once."""
    co2 = module(folder)
    years, ppm = co2.read(folder / "co2.csv")
    rows = co2.design(years)
    base = co2.LeastSquares(rows).fit(ppm)
    fitted = [co2.dot(row, base) for row in rows]
    residuals = [y - f for y, f in zip(ppm, fitted, strict=True)]
    return Bootstrap(fitted, residuals, rows)
