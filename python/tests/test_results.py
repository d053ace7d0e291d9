"""What comes back is a stranger's: nothing but values is taken."""

from __future__ import annotations

import os
import pickle
import struct

import pytest
from ayni import BadResult, RemoteError
from ayni._unpack import OUT_MAGIC, done, loads


class Evil:
    def __init__(self, function, *args):
        self.what = (function, args)

    def __reduce__(self):
        return self.what


def answer(*results):
    parts = [OUT_MAGIC, struct.pack("<I", len(results))]
    for status, body, text in results:
        parts += [struct.pack("<BQI", status, len(body), len(text)), body, text]
    return b"".join(parts)


NAMES_A_FUNCTION = [
    Evil(os.system, "true"),
    Evil(eval, "1"),
    Evil(getattr, "a", "upper"),
    Evil(bytearray, 10),
    Evil(range, 10),
    [{"deep": Evil(os.getenv, "HOME")}],
    Evil(__import__, "os"),
    Evil(SystemExit, 1),
]


@pytest.mark.parametrize("value", NAMES_A_FUNCTION, ids=lambda v: repr(getattr(v, "what", v)))
def test_a_pickle_that_calls_something_is_not_read(value):
    with pytest.raises(BadResult, match="may not come back"):
        loads(pickle.dumps(value, 5))


def test_classes_of_the_users_come_back_only_if_they_went_out():
    data = pickle.dumps(KeyError("a"), 5)
    assert isinstance(loads(data), KeyError)
    mine = pickle.dumps(Evil(Evil, int, 1), 5)
    with pytest.raises(BadResult):
        loads(mine)
    assert isinstance(loads(mine, frozenset({(Evil.__module__, "Evil")})), Evil)
    # A name that is another's: `os.system` seen through a user's module.
    reached = f"c{__name__}\nos.system\n(S'true'\ntR.".encode()
    with pytest.raises(BadResult):
        loads(reached, frozenset({(__name__, "os.system")}))


GOOD = answer((0, pickle.dumps(1, 5), b"hi"), (0, pickle.dumps([2], 5), b""))


def test_every_cut_and_every_changed_byte_is_refused_or_a_value():
    assert [d.value for d in done(GOOD, frozenset(), 2)] == [1, [2]]
    for end in range(len(GOOD)):
        with pytest.raises(BadResult):
            done(GOOD[:end], frozenset(), 2)
    for at in range(len(GOOD)):
        for flip in (1, 0x80, 0xFF):
            changed = GOOD[:at] + bytes([GOOD[at] ^ flip]) + GOOD[at + 1 :]
            try:
                found = done(changed, frozenset(), 2)
            except BadResult:
                continue
            assert len(found) == 2


def test_other_lies_are_refused():
    with pytest.raises(BadResult, match="2 results for 3 calls"):
        done(GOOD, frozenset(), 3)
    with pytest.raises(BadResult, match="bytes behind"):
        done(GOOD + b"x", frozenset(), 2)
    with pytest.raises(BadResult, match="status 9"):
        done(answer((9, b"", b"")), frozenset(), 1)
    with pytest.raises(BadResult, match="another form"):
        done(answer((1, pickle.dumps("just text", 5), b"")), frozenset(), 1)
    (shown,) = done(
        answer((1, pickle.dumps(("a.B", "\x1b[2Jno", "trace\x07", None), 5), b"")), frozenset(), 1
    )
    assert isinstance(shown.error, RemoteError)
    assert "\x1b" not in str(shown.error) and "\x07" not in str(shown.error.__cause__)
    (bad,) = done(answer((0, pickle.dumps(Evil(eval, "1"), 5), b"")), frozenset(), 1)
    assert isinstance(bad.error, BadResult)
