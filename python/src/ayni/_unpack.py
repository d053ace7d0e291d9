"""What comes back from the guest: read without trusting whoever ran it.

A result is bytes from a stranger's machine until an audit has agreed with it, and a pickle can name
any function to be called. So only values are taken: those of a short list of the standard library's
types, and classes of the user's own modules that went out with the program. Anything else is
`BadResult`.
"""

from __future__ import annotations

import builtins
import io
import pickle
import struct
import sys
from dataclasses import dataclass

from ._errors import BadResult, RemoteError, RemoteTraceback

OUT_MAGIC = b"ayni-python-done\x01"

_ALLOWED: dict[str, set[str]] = {
    # Not `range`, `bytes` and `bytearray`: a few bytes of them could fill the memory.
    "builtins": {
        "complex", "frozenset", "set", "slice", "object", "list", "dict", "tuple", "int", "float",
        "str", "bool",
    },
    "array": {"array", "_array_reconstructor"},
    "collections": {"OrderedDict", "Counter", "deque", "defaultdict"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "pathlib": {"PurePosixPath"},
    "uuid": {"UUID", "SafeUUID"},
    "ipaddress": {"IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"},
    "types": {"SimpleNamespace"},
    "statistics": {"NormalDist"},
}  # fmt: skip


@dataclass(frozen=True)
class Done:
    """How one call went."""

    value: object = None
    error: BaseException | None = None
    printed: str = ""


def done(data: bytes, classes: frozenset[tuple[str, str]], calls: int) -> list[Done]:
    """Reads the output of a task that made so many calls.

    Raises BadResult when it is not what the guest makes.
    """
    if not data.startswith(OUT_MAGIC):
        raise _bad("does not begin as the guest's answers do")
    at = len(OUT_MAGIC)
    found: list[Done] = []
    try:
        (count,) = struct.unpack_from("<I", data, at)
        at += 4
        if count != calls:
            raise _bad(f"holds {count} results for {calls} calls")
        for _ in range(count):
            status, size, text_size = struct.unpack_from("<BQI", data, at)
            at += 13
            if size > len(data) - at or text_size > len(data) - at - size:
                raise _bad("ends early")
            body, text = data[at : at + size], data[at + size : at + size + text_size]
            at += size + text_size
            found.append(_one(status, body, plain(text), classes))
    except struct.error:
        raise _bad("ends early") from None
    if at != len(data):
        raise _bad("has bytes behind its last result")
    return found


def plain(text: bytes) -> str:
    """Text of a stranger without what could steer a terminal."""
    shown = text.decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in shown)


def loads(data: bytes, classes: frozenset[tuple[str, str]] = frozenset()) -> object:
    """A value that a stranger pickled.

    Raises BadResult when it names anything but values.
    """
    try:
        return _Unpickler(io.BytesIO(data), classes).load()
    except BadResult:
        raise
    except Exception as error:
        raise _bad(f"can't be read: {type(error).__name__}: {error}") from None


def _one(status: int, body: bytes, printed: str, classes: frozenset[tuple[str, str]]) -> Done:
    if status == 0:
        try:
            return Done(value=loads(body, classes), printed=printed)
        except BadResult as error:
            return Done(error=error, printed=printed)
    if status != 1:
        raise _bad(f"holds the status {status}")
    described = loads(body)
    match described:
        case (str(kind), str(message), str(trace), bytes() | None as pickled):
            raised = _error(kind, message, pickled, classes)
        case _:
            raise _bad("holds an exception of another form")
    raised.__cause__ = RemoteTraceback(plain(trace.encode("utf-8", "replace")))
    return Done(error=raised, printed=printed)


def _error(
    kind: str, message: str, pickled: bytes | None, classes: frozenset[tuple[str, str]]
) -> BaseException:
    if pickled is not None:
        try:
            value = loads(pickled, classes)
            if isinstance(value, Exception):
                return value
        except BadResult:
            pass
    shown = plain(f"{kind}: {message}".encode("utf-8", "replace"))
    return RemoteError(
        shown,
        code="E-PY-020",
        hint="the type of this exception can't come back; its cause has the traceback",
    )


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, classes: frozenset[tuple[str, str]]) -> None:
        super().__init__(file)
        self.classes = classes

    def find_class(self, module: str, name: str) -> object:
        if name in _ALLOWED.get(module, ()):
            return super().find_class(module, name)
        if module == "builtins":
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                return kind
        if (module, name) in self.classes:
            found: object = sys.modules.get(module)
            for part in name.split("."):
                found = getattr(found, part, None)
            if isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name):
                return found
        raise _bad(f"names `{module}.{name}`, which may not come back")

    def persistent_load(self, key: object) -> object:
        raise _bad("refers to something outside itself")


def _bad(why: str) -> BadResult:
    return BadResult(
        f"the result {why}",
        code="E-PY-021",
        hint="values of the standard library and of your own classes can come back; if this is one, "
        "the provider may be lying: `ayni verify RECEIPT --re-execute` tells",
    )
