"""The local node's HTTP API: where it listens, its token, one connection a thread.

A client like any other script: it finds the node by the two files in its home (`api.json`,
`api.token`), or by AYNI_URL and AYNI_TOKEN. Deliberately not here: what requests mean.
"""

from __future__ import annotations

import builtins
import contextlib
import http.client
import json
import os
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from ._errors import AyniError, NodeUnreachable

Json = Any

ANSWER_BYTES_MAX = 256 << 20
LINE_BYTES_MAX = 8 << 20
TIMEOUT_S = 120.0


def home_folder() -> Path:
    """Where the node keeps its things: $AYNI_HOME, else `ayni` under the XDG data folder."""
    if given := os.environ.get("AYNI_HOME"):
        return Path(given)
    data = os.environ.get("XDG_DATA_HOME")
    base = Path(data) if data and os.path.isabs(data) else Path.home() / ".local/share"
    return base / "ayni"


class Http:
    """Requests to one node. Safe to use from many threads."""

    def __init__(
        self, home: str | Path | None = None, url: str | None = None, token: str | None = None
    ) -> None:
        self._home = Path(home) if home else None
        self._url = url or (None if home else os.environ.get("AYNI_URL"))
        self._token = token or (None if home else os.environ.get("AYNI_TOKEN"))
        self._local = threading.local()

    def endpoint(self) -> tuple[str, int, str]:
        """Host, port and token.

        Raises NodeUnreachable when no node runs, or the token may not be used.
        """
        home = self._home or home_folder()
        if self._url:
            parts = urllib.parse.urlsplit(self._url)
            if parts.scheme != "http" or not parts.hostname or not parts.port:
                raise NodeUnreachable(
                    f"AYNI_URL is `{self._url}`, not http://HOST:PORT",
                    code="E-PY-002",
                    hint="the node's API listens on loopback, as http://127.0.0.1:PORT",
                )
            host, port = parts.hostname, parts.port
        else:
            try:
                addr = json.loads((home / "api.json").read_text())["addr"]
                host, _, number = addr.rpartition(":")
                host, port = host.strip("[]"), int(number)
            except FileNotFoundError:
                raise _unreachable(f"no node runs with the home `{home}`") from None
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise _unreachable(f"`{home / 'api.json'}` can't be used: {error}") from None
        return host, port, self._token or _read_token(home / "api.token")

    def json(self, method: str, path: str, body: Json = None, timeout: float = TIMEOUT_S) -> Json:
        """One request with JSON in and out.

        timeout: seconds without a sign from the node.
        Raises AyniError as the node states it, NodeUnreachable if it does not answer.
        """
        data = None if body is None else json.dumps(body).encode()
        answer = self.bytes(method, path, data, "application/json", timeout)
        try:
            return json.loads(answer)
        except ValueError:
            raise AyniError(f"{method} {path}: the answer is not JSON", code="E-PY-003") from None

    def bytes(
        self,
        method: str,
        path: str,
        body: builtins.bytes | None = None,
        kind: str = "application/octet-stream",
        timeout: float = TIMEOUT_S,
    ) -> builtins.bytes:
        """One request with bytes in and out; errors as for `json`."""
        status, answer = self._once(method, path, body, kind, timeout)
        if status >= 400:
            raise _refused(method, path, status, answer)
        return answer

    def json_of_blob(self, data: builtins.bytes) -> Json:
        """Has the node keep these bytes; the answer names their digest."""
        return json.loads(self.bytes("POST", "/v1/blobs", data))

    def events(self, path: str, connected: threading.Event) -> Iterator[Json]:
        """News as it comes, until the connection ends. Sets `connected` once nothing is missed.

        Raises NodeUnreachable when the connection can't be had or breaks.
        """
        host, port, token = self.endpoint()
        link = http.client.HTTPConnection(host, port, timeout=30.0)
        with contextlib.closing(link):
            try:
                link.request("GET", path, headers=_headers(token))
                answer = link.getresponse()
                if answer.status >= 400:
                    raise _refused("GET", path, answer.status, answer.read(LINE_BYTES_MAX))
                connected.set()
                while line := answer.readline(LINE_BYTES_MAX):
                    if line.startswith(b"data:"):
                        yield json.loads(line[5:])
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _unreachable(f"the node's news broke off: {error}") from None

    def _once(
        self, method: str, path: str, body: builtins.bytes | None, kind: str, timeout: float
    ) -> tuple[int, builtins.bytes]:
        for attempt in (1, 2):
            link, fresh = self._connection()
            try:
                link.timeout = timeout
                if link.sock is not None:
                    link.sock.settimeout(timeout)
                token = cast(str, self._local.token)
                headers = _headers(token) | ({"Content-Type": kind} if body is not None else {})
                link.request(method, path, body, headers)
                answer = link.getresponse()
                data = answer.read(ANSWER_BYTES_MAX + 1)
                if len(data) > ANSWER_BYTES_MAX:
                    self._drop()
                    raise AyniError(
                        f"{method} {path}: the answer is larger than {ANSWER_BYTES_MAX} bytes",
                        code="E-PY-003",
                    )
                return answer.status, data
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                # A connection that lay idle may have been closed by the node. All requests are
                # harmless when repeated: jobs and tasks carry ids made by their author.
                if fresh or attempt == 2:
                    raise _unreachable(f"the node does not answer: {error}") from None
        raise AssertionError("unreachable")

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        link = cast("http.client.HTTPConnection | None", getattr(self._local, "link", None))
        if link is not None:
            return link, False
        host, port, token = self.endpoint()
        link = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._local.link, self._local.token = link, token
        return link, True

    def _drop(self) -> None:
        link = getattr(self._local, "link", None)
        if link is not None:
            link.close()
            self._local.link = None


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _unreachable(text: str) -> NodeUnreachable:
    hint = "`ayni daemon` starts a node, `ayni dev` a network of several; AYNI_HOME says which"
    return NodeUnreachable(text, code="E-PY-002", hint=hint, retryable=True)


def _read_token(path: Path) -> str:
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise NodeUnreachable(
                f"{path} is readable by others (mode {mode:03o})",
                code="E-PY-002",
                hint=f"chmod 600 {path}",
            )
        return path.read_text().strip()
    except OSError as error:
        raise _unreachable(f"can't read `{path}`: {error}") from None


def _refused(method: str, path: str, status: int, body: bytes) -> AyniError:
    try:
        error = json.loads(body)["error"]
        return AyniError(
            str(error["message"]),
            code=str(error["code"]),
            hint=str(error.get("hint", "")),
            retryable=bool(error.get("retryable", False)),
        )
    except (ValueError, KeyError, TypeError):
        text = body[:200].decode("utf-8", "replace")
        return AyniError(f"{method} {path}: status {status}: {text}", code="E-PY-003")
