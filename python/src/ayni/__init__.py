"""Python on other people's machines: `Executor` and `Client` for a local Ayni node.

    with ayni.Executor() as executor:
        for y in executor.map(f, xs):
            ...

The guide is docs/python.md.
"""

from ._client import Client
from ._errors import (
    AyniError,
    BadResult,
    CantTravel,
    GuestMissing,
    NodeUnreachable,
    RemoteError,
    RemoteTraceback,
    TaskEnded,
    TaskFailed,
)
from ._executor import Executor
from ._job import Confidence, Job, Result

__version__ = "0.1.0"

__all__ = [
    "AyniError",
    "BadResult",
    "CantTravel",
    "Client",
    "Confidence",
    "Executor",
    "GuestMissing",
    "Job",
    "NodeUnreachable",
    "RemoteError",
    "RemoteTraceback",
    "Result",
    "TaskEnded",
    "TaskFailed",
]
