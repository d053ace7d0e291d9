"""The Python guest on this side: which file it is, what can be imported in it, whether a node has it.

It is a WebAssembly component of about 28 MB around CPython, built from `python/guest` by
`cargo xtask python guest`. Found where AYNI_PYTHON_GUEST says, else inside this package, else where a
checkout builds it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from ._errors import GuestMissing
from ._http import Http
from ._pack import Guest

FILE = "guest.wasm"


class PythonGuest:
    """The guest's program and description. Put on a node once a client."""

    def __init__(self, path: str | Path | None = None) -> None:
        given = path or os.environ.get("AYNI_PYTHON_GUEST")
        self.path = Path(given) if given else _default()
        self._about: Guest | None = None
        self._digest: str | None = None
        self._code_bytes = 0

    def about(self) -> Guest:
        """What can be imported. Raises GuestMissing."""
        if self._about is None:
            beside = self.path.with_suffix(".json")
            try:
                modules = json.loads(beside.read_text())["modules"]
            except (OSError, ValueError, KeyError) as error:
                raise GuestMissing(
                    f"the Python guest's description `{beside}` can't be used: {error}",
                    code="E-PY-004",
                    hint="`cargo xtask python guest` builds it; AYNI_PYTHON_GUEST says where it is",
                ) from None
            self._about = Guest(frozenset(map(str, modules)))
        return self._about

    def digest(self, http: Http) -> str:
        """Its digest, uploaded and checked the first time. Raises GuestMissing."""
        if self._digest is None:
            try:
                program = self.path.read_bytes()
            except OSError as error:
                raise GuestMissing(
                    f"the Python guest `{self.path}` can't be read: {error}",
                    code="E-PY-004",
                    hint="`cargo xtask python guest` builds it; AYNI_PYTHON_GUEST says where it is",
                ) from None
            digest = str(http.json_of_blob(program)["digest"])
            report = http.json("POST", "/v1/check", {"program": digest})
            if not report["runs"]:
                raise GuestMissing(
                    f"the Python guest `{self.path}` can't run: {report['problems'][:3]}",
                    code="E-PY-004",
                    hint="is the node older than this package?",
                )
            self._code_bytes = int(report["code_bytes"])
            self._digest = digest
        return self._digest

    def code_bytes(self, http: Http) -> int:
        """Bytes of code, which compiling is billed by."""
        self.digest(http)
        return self._code_bytes


def _default() -> Path:
    inside = Path(__file__).with_name(FILE)
    parents = Path(__file__).resolve().parents
    built = parents[min(3, len(parents) - 1)] / "target" / "python" / FILE
    return built if built.is_file() and not inside.is_file() else inside
