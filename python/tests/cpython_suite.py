"""CPython's own tests of executors, run against `ayni.Executor`.

Usage: an interpreter that has its `test` package runs this file. The tests are subclassed where they
are installed, nothing of them is copied. Prints one line of JSON: how many passed, what failed, and
what was left out with the reason. docs/python.md repeats the reasons.
"""

from __future__ import annotations

import io
import json
import sys
import unittest

import ayni
from test import support
from test.test_concurrent_futures import executor, test_as_completed, test_shutdown, test_wait
from test.test_concurrent_futures.util import BaseTestCase, ExecutorMixin

CLOCK = "sleeping takes no time in the guest (its clock is virtual), so nothing is still running when the test looks"
NAMES = "starts an interpreter that imports the executor by its name from concurrent.futures"
REASONS = {
    "test_first_completed": CLOCK,
    "test_first_completed_some_already_completed": CLOCK,
    "test_first_exception": CLOCK,
    "test_first_exception_some_already_complete": CLOCK,
    "test_timeout": CLOCK,
    "test_future_times_out": CLOCK,
    "test_map_timeout": CLOCK,
    "test_cancel_futures": "wants one of 50 calls to have begun when they are cancelled at once; here "
    "a call begins when its task is sent, and none may have been (tests/test_executor.py has our own)",
    "test_free_reference": "wants a result gone as soon as its reader drops it; the thread that hands "
    "it over may still be in the call that did so (tests/test_executor.py has our own)",
    "test_interpreter_shutdown": NAMES,
    "test_submit_after_interpreter_shutdown": NAMES,
    "test_hang_gh83386": NAMES,
    "test_hang_gh94440": "signals a child process of a process pool",
}


class AyniMixin(ExecutorMixin):
    executor_type = ayni.Executor


class Executors(AyniMixin, executor.ExecutorTest, BaseTestCase):
    pass


class Waits(AyniMixin, test_wait.WaitTests, BaseTestCase):
    pass


class AsCompleted(AyniMixin, test_as_completed.AsCompletedTests, BaseTestCase):
    pass


class Shutdowns(AyniMixin, test_shutdown.ExecutorShutdownTest, BaseTestCase):
    pass


def main() -> int:
    support.use_resources = ["walltime"]
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    left_out: dict[str, str] = {}
    for case in (Executors, Waits, AsCompleted, Shutdowns):
        for name in loader.getTestCaseNames(case):
            if name in REASONS:
                left_out[f"{case.__name__}.{name}"] = REASONS[name]
            else:
                suite.addTest(case(name))
    log = io.StringIO()
    result = unittest.TextTestRunner(stream=log, verbosity=2).run(suite)
    bad = [*result.failures, *result.errors]
    report = {
        "python": sys.version.split()[0],
        "passed": result.testsRun - len(bad) - len(result.skipped),
        "failed": {str(test): trace[-2_000:] for test, trace in bad},
        "skipped": {str(test): why for test, why in result.skipped},
        "left_out": left_out,
    }
    print("\n" + json.dumps(report))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
