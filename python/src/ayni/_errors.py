"""Everything that this package raises: one tree, each with a code, a hint and whether a retry helps.

Codes that begin with `E-PY` are made here (docs/python.md lists them); all others come from the
node, and `ayni explain CODE` says more about them.
"""

from __future__ import annotations


class AyniError(Exception):
    """Something about Ayni failed; what the user's own function raises is raised as it is."""

    def __init__(
        self, message: str, *, code: str = "E-PY-001", hint: str = "", retryable: bool = False
    ) -> None:
        super().__init__(message, code, hint, retryable)
        self.message = message
        self.code = code
        self.hint = hint
        self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (type(self), self.message, self.code, self.hint, self.retryable))

    def __str__(self) -> str:
        text = f"{self.message} ({self.code})"
        return f"{text}\nhint: {self.hint}" if self.hint else text


def _again(kind: type[AyniError], message: str, code: str, hint: str, retry: bool) -> AyniError:
    return kind(message, code=code, hint=hint, retryable=retry)


class NodeUnreachable(AyniError):
    """No node answers."""


class CantTravel(AyniError):
    """A function, or something it needs, can't be sent to another machine. Raised at submit."""


class GuestMissing(AyniError):
    """The Python guest is not where it is looked for, or can't run."""


class TaskFailed(AyniError):
    """A task ended without an outcome: nobody could run it, or the budget did not allow it."""


class TaskEnded(AyniError):
    """A task ended by a trap, a limit or an exit code other than 0."""


class BadResult(AyniError):
    """What came back is not what the guest makes, or holds what may not come back."""


class RemoteError(AyniError):
    """The function raised an exception whose type can't come back; the message names it."""


class RemoteTraceback(Exception):
    """Cause of an exception that was raised in the guest: where, in the user's own lines."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\nremote (in the guest):\n{self.text}"
