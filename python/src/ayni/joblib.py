"""A joblib backend: `joblib.parallel_config("ayni")` after `ayni.joblib.register()`.

    import ayni.joblib
    ayni.joblib.register()
    with joblib.parallel_config("ayni"):
        joblib.Parallel()(joblib.delayed(f)(x) for x in xs)

Needs joblib, which this package does not bring. Settings of the Executor are given to
`parallel_config` beside the name: `joblib.parallel_config("ayni", budget=…)`. joblib makes the
batches, by its own rule; each is one call here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from joblib import register_parallel_backend  # type: ignore[import-untyped]
from joblib.parallel import ParallelBackendBase  # type: ignore[import-untyped]

from ._executor import Executor


def _run_batch(items: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]) -> list[Any]:
    return [function(*args, **kwargs) for function, args, kwargs in items]


class AyniBackend(ParallelBackendBase):  # type: ignore[misc]
    """Hands joblib's batches to an `ayni.Executor`."""

    supports_retrieve_callback = True
    supports_return_generator = True
    default_n_jobs = -1
    IN_FLIGHT = 64
    """Batches that joblib has under way, since the network's size is not this machine's."""

    def __init__(self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, **settings: Any) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._settings = settings
        self._executor: Executor | None = None

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Starts an Executor for one `Parallel`."""
        self.parallel = parallel
        self._executor = Executor(**self._settings)
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Batches under way: `n_jobs`, or many if it is −1."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        return self.IN_FLIGHT if n_jobs is None or n_jobs < 0 else int(n_jobs)

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Any:
        """Schedules a batch of joblib's."""
        assert self._executor is not None
        future = self._executor.submit(_run_batch, list(func.items))
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, future: Any) -> Any:
        """What a batch gave; raises what it raised."""
        return future.result()

    def terminate(self) -> None:
        """The `Parallel` is over."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """A call failed: those that were not sent are not."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = Executor(**self._settings) if ensure_ready else None


def register() -> None:
    """Makes the name `ayni` known to joblib."""
    register_parallel_backend("ayni", AyniBackend)
