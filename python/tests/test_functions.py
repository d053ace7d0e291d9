"""What can travel, with what result; and what can't, with what words."""

from __future__ import annotations

import array
import ast
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import math
import operator
import random
import socket
import statistics
import string
import subprocess
import sys
import threading
import time
import uuid

import ayni
import helpers
import pytest

OFFSET = 10
TABLE = {"a": 1, "b": [2, 3]}
PAIR = (lambda x: x + 1, lambda x: x - 1)
Point = collections.namedtuple("Point", "x y")


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def is_even(n):
    return n == 0 or is_odd(n - 1)


def is_odd(n):
    return n != 0 and is_even(n - 1)


def shout(function):
    @functools.wraps(function)
    def inner(*args):
        return str(function(*args)).upper()

    return inner


@shout
def greet(name):
    return f"hello {name}"


@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Base:
    unit = OFFSET

    def __init__(self, value):
        self.value = value

    def scaled(self, by):
        return self.value * by * self.unit

    @staticmethod
    def twice(x):
        return helpers.double(x)


class Derived(Base):
    def scaled(self, by):
        return super().scaled(by) + 1

    @classmethod
    def make(cls, value):
        return cls(value)


@dataclasses.dataclass(frozen=True)
class Sample:
    name: str
    values: tuple[float, ...] = ()
    colour: Colour = Colour.RED

    def mean(self):
        return statistics.mean(self.values)


def adder(k):
    def add(x, *, by=1, also=(1, 2)):
        return x + k * by + sum(also)

    return add


def counter():
    seen = []

    def count(x):
        seen.append(x)
        return len(seen)

    return count


def recursive():
    def down(n):
        return 0 if n == 0 else 1 + down(n - 1)

    return down


def text():
    def inner():
        return """first
    indented
"""

    return inner


CASES = [
    ("builtin", pow, (2, 8), 256),
    ("type", str, (3,), "3"),
    ("library", math.sqrt, (2,), math.sqrt(2)),
    ("operator", operator.itemgetter(1), ([1, 2],), 2),
    ("lambda", lambda x: x * x, (7,), 49),
    ("lambda of a line with two", PAIR[1], (7,), 6),
    ("lambda of a line with constants", (lambda: 5, lambda: 6)[1], (), 6),
    ("lambda in brackets", (lambda x: (x + 1) * (2)), (3,), 8),
    ("lambda over lines", (lambda x: [x,
        x + 1]), (1,), [1, 2]),
    ("nested lambda", (lambda a: lambda x: a + x)(3), (4,), 7),
    ("defaults of a lambda", lambda x, y=TABLE: x + y["a"], (1,), 2),
    ("closure", adder(5), (1,), 9),
    ("recursion", factorial, (20,), math.factorial(20)),
    ("mutual recursion", is_even, (11,), False),
    ("recursion in a closure", recursive(), (5,), 5),
    ("decorated", greet, ("you",), "HELLO YOU"),
    ("cached", fibonacci, (60,), 1548008755920),
    ("partial", functools.partial(adder(1), by=3), (2,), 8),
    ("global data", lambda key: TABLE[key], ("b",), [2, 3]),
    ("user's module", helpers.area, (2.0,), math.pi * 4),
    ("user's module by name", lambda r: helpers.area(r) + OFFSET, (1.0,), math.pi + 10),
    ("method", Base(3).scaled, (2,), 60),
    ("inherited method with super", Derived(3).scaled, (2,), 61),
    ("unbound method", Base.scaled, (Base(1), 2), 20),
    ("static method", Base.twice, (4,), 8),
    ("dataclass", Sample("a", (1.0, 2.0)).mean, (), 1.5),
    ("generator inside", lambda n: sum(i * OFFSET for i in range(n)), (4,), 60),
    ("string of several lines", text(), (), "first\n    indented\n"),
    ("function as argument", lambda f, xs: [f(x) for x in xs], (factorial, [3, 4]), [6, 24]),
    ("functions in data", lambda fs, x: [f(x) for f in fs.values()], ({"s": math.sin, "q": lambda x: x**2}, 0), [0.0, 0]),
    ("keywords", functools.partial(dict, a=1), (), {"a": 1}),
    ("named tuple", lambda p: Point(p.y, p.x), (Point(1, 2),), Point(2, 1)),
    ("enumeration", lambda c: (c, Colour.BLUE), (Colour.RED,), (Colour.RED, Colour.BLUE)),
    ("dataclass back", lambda s: dataclasses.replace(s, name="b"), (Sample("a"),), Sample("b")),
]  # fmt: skip


@pytest.mark.parametrize(("function", "args", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_function_gives_there_what_it_gives_here(executor, function, args, expected):
    assert executor.submit(function, *args).result() == expected


VALUES = [
    None, True, -5, 2**200, 1.5, float("inf"), -0.0, 1 + 2j, "text\u00e9\0", b"\xff\0", bytearray(b"ab"),
    [1, [2, (3,)]], {1: {"a": {2}}}, {1, 2}, frozenset("ab"), slice(1, 2),
    decimal.Decimal("1.10"), fractions.Fraction(1, 3),
    datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.timezone.utc), datetime.timedelta(1),
    collections.OrderedDict(a=1), collections.Counter("aab"), collections.deque([1], 3),
    collections.defaultdict(list, {1: [2]}), array.array("d", [1.5, 2.5]), uuid.UUID(int=7),
]  # fmt: skip


def test_values_come_back_as_they_went(executor):
    back = list(executor.map(lambda x: x, VALUES))
    assert back == VALUES
    assert [type(value) for value in back] == [type(value) for value in VALUES]


class CustomError(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


def raise_custom(code):
    raise CustomError(code)


def chained():
    try:
        {}["missing"]
    except KeyError as error:
        raise RuntimeError("no such thing") from error


def test_an_exception_comes_back_with_the_users_own_lines(executor):
    future = executor.submit(lambda x: helpers.fail_below(x), -1)
    with pytest.raises(ValueError, match="-1 is below zero") as caught:
        future.result()
    told = str(caught.value.__cause__)
    assert 'File "helpers.py", line 16, in fail_below' in told
    assert 'raise ValueError(f"{x} is below zero")' in told
    assert "test_functions.py" in told and "app.py" not in told
    with pytest.raises(CustomError) as custom:
        executor.submit(raise_custom, 7).result()
    assert custom.value.code == 7
    with pytest.raises(RuntimeError, match="no such thing"):
        executor.submit(chained).result()


def exit_there():
    sys.exit(3)


def raise_there():
    class Local(Exception):
        pass

    raise Local("only here")


def test_an_exception_that_cannot_come_back_is_named(executor):
    with pytest.raises(ayni.RemoteError, match="Local: only here") as caught:
        executor.submit(raise_there).result()
    assert "raise Local" in str(caught.value.__cause__)
    assert caught.value.code == "E-PY-020"


def test_what_ends_the_guest_is_an_error_of_its_calls(executor):
    with pytest.raises(ayni.AyniError):
        executor.submit(exit_there).result()
    assert executor.submit(pow, 2, 3).result() == 8


def test_what_is_printed_there_is_printed_here(executor, capsys):
    executor.submit(lambda: print("caf\u00e9 \x1b[31m", 1)).result()
    assert capsys.readouterr().out == "caf\u00e9 \ufffd[31m 1\n"


def draw(_):
    return random.random()


def stamp(_):
    return (time.time(), datetime.datetime.now().year, {"b", "a", "c"}.__repr__())


def test_the_same_call_gives_the_same_in_any_chunk(executor):
    alone = list(executor.map(draw, range(8), chunksize=1))
    together = list(executor.map(draw, range(8), chunksize=8))
    assert alone == together
    assert len(set(alone)) == 8


def test_the_clock_is_the_sandboxes(executor):
    now, year, _ = executor.submit(stamp, 0).result()
    assert year == 2000
    assert 946_684_800 <= now < 946_684_801


def test_local_gives_what_the_network_gives(executor, client):
    assert executor.local(adder(5), 1) == 9
    assert client.local(helpers.area, 2.0) == executor.submit(helpers.area, 2.0).result()
    with pytest.raises(ValueError, match="below zero"):
        executor.local(helpers.fail_below, -1)


def opened():
    return open(__file__)


def local_class():
    class Inside:
        pass

    return Inside()


def uses_pytest():
    return pytest.approx(1)


def imports_inside():
    import _socket

    return _socket


LOCK = threading.Lock()
REFUSED = [
    ("an open file", len, opened, "an argument can't travel: cannot pickle '_io.TextIOWrapper'"),
    ("a global lock", lambda x: LOCK, None, "the global `LOCK` that function `<lambda>` uses can't travel: cannot pickle '_thread.lock'"),
    ("a lock closed over", (lambda lock: lambda x: lock)(threading.Lock()), None, "the variable `lock` that function `<lambda>.<locals>.<lambda>` closes over"),
    ("a local class", len, local_class, "`local_class.<locals>.Inside` is defined inside a function"),
    ("an installed module", uses_pytest, None, "the module `pytest` is installed, not yours"),
    ("a module without sandbox", lambda x: socket.socket(), None, "the module `socket` is not in the guest"),
    ("another one", lambda x: subprocess.run([]), None, "the module `subprocess` is not in the guest"),
    ("an import inside", imports_inside, None, "the module `_socket` is not in the guest (function `imports_inside` imports it)"),
    ("code without source", eval("lambda x: x"), None, "there is no source text for `<lambda>`"),
    ("an iterator of a C type", len, lambda: ast.parse, None),
]  # fmt: skip


@pytest.mark.parametrize(("function", "argument", "words"), [c[1:] for c in REFUSED[:-1]], ids=[c[0] for c in REFUSED[:-1]])
def test_what_cannot_travel_is_refused_at_submit(executor, function, argument, words):
    value = argument() if argument else 0
    with pytest.raises(ayni.CantTravel) as caught:
        executor.submit(function, value)
    assert words in str(caught.value)
    assert caught.value.code.startswith("E-PY-01")
    assert caught.value.hint
    if isinstance(value, io.IOBase):
        value.close()


def test_an_installed_package_can_be_shipped(client):
    import iniconfig

    with client.executor(ship=["iniconfig"]) as executor:
        text = "[a]\nb = 1\n"
        assert executor.submit(lambda t: iniconfig.IniConfig("x", t)["a"]["b"], text).result() == "1"


def test_nothing_of_the_users_folders_travels():
    import pickle

    from ayni import _pack

    guest = _pack.Guest(frozenset({"math", "builtins", "functools"}))
    capture, entry, name = _pack.capture(lambda r: helpers.area(r), guest)
    payload = capture.finish(entry, name).payload
    assert str(__file__).rsplit("/", 2)[0].encode() not in payload
    described = pickle.loads(payload)
    assert described["shipped"] == ["helpers", "helpers_of_helpers"]
    assert len(list(itertools.chain(described["functions"]))) == 1
    assert string.ascii_letters not in str(described)
