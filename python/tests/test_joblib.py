"""joblib on the network."""

from __future__ import annotations

import math

import ayni.joblib
import helpers
import joblib
import pytest


def test_joblib_runs_on_the_network(network):
    ayni.joblib.register()
    with joblib.parallel_config("ayni", memory_bytes=512 << 20):
        found = joblib.Parallel()(joblib.delayed(helpers.area)(r) for r in range(40))
        assert found == [math.pi * r * r for r in range(40)]
        few = joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(n, 2) for n in range(5))
        assert few == [0, 1, 4, 9, 16]
        with pytest.raises(ValueError, match="below zero"):
            joblib.Parallel()(joblib.delayed(helpers.fail_below)(x) for x in (1, -1))
