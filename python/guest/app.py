"""The Python guest: calls functions that arrive as source text and pickled data.

A component of the world `ayni:function` around CPython, initialised when it was built, so that it
answers within milliseconds. Its input and output are described in `docs/python.md`; the other side
is `ayni._pack` (what goes in) and `ayni._unpack` (what comes out). Nothing of the caller's Python is
needed but source text: code objects differ between versions and never travel.

Deliberately not here: any trust. What it is given may be anything; it runs in the sandbox of its
task and can only spoil its own result.
"""

import ast
import atexit
import functools
import hashlib
import io
import linecache
import os
import pickle
import random
import struct
import sys
import traceback
import types

import wit_world.exports
from componentize_py_types import Err
from wit_world.imports import environment

import modules  # everything that a function may import

IN_MAGIC = b"ayni-python-call\x01"
OUT_MAGIC = b"ayni-python-done\x01"
SCRIPT = "/main.py"
PRINTED_BYTES_MAX = 64 << 10
TRACEBACK_FRAMES_MAX = 60


class Handler(wit_world.exports.Handler):
    """What the component exports."""

    def handle(self, input: bytes) -> bytes:
        try:
            return run_script(input) if os.path.isfile(SCRIPT) else respond(input)
        except BadInput as error:
            raise Err(f"ayni python guest: {error}\n".encode()) from None


def run_script(data):
    """A script instead of calls: its streams, arguments and files are those of the task."""
    sys.argv = environment.get_arguments() or [SCRIPT]
    # What lies beside the script can be imported; the folders known so far were the build's.
    sys.path[:] = [os.path.dirname(SCRIPT)]
    sys.path_importer_cache.clear()
    os.environ.update(environment.get_environment())
    # All that is written leaves as a result.
    sys.dont_write_bytecode = True
    sys.stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    sys.stdout, sys.stderr = streams = (written(1, "strict"), written(2, "backslashreplace"))
    random.seed(hashlib.sha256(data + repr(sys.argv).encode()).digest())
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = SCRIPT
    failed = None
    try:
        with open(SCRIPT, "rb") as file:
            source = file.read()
        try:
            exec(compile(source, SCRIPT, "exec", dont_inherit=True), main.__dict__)
        finally:
            atexit._run_exitfuncs()
            for stream in streams:
                if not stream.closed:
                    stream.flush()
    except SystemExit as stop:
        if isinstance(stop.code, int):
            failed = "" if stop.code else None
        elif stop.code is not None:
            failed = f"{stop.code}\n"
    except BaseException as error:
        failed = told(error)
    if failed is not None:
        raise Err(failed.encode("utf-8", "replace"))
    return b""


def written(descriptor, errors):
    """One of the task's streams, as text."""
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors)


class BadInput(Exception):
    """The input is not what `ayni._pack` makes."""


def respond(data):
    if data == b"describe":
        return modules.describe()
    program, calls = read(data)
    printed = Printed()
    sys.stdout = sys.stderr = printed
    out = [OUT_MAGIC, struct.pack("<I", len(calls))]
    try:
        entry = Program(program).entry()
    except BadInput:
        raise
    except Exception as error:
        # Whatever the user's own modules did while they were imported: every call fails with it.
        entry, broken = None, error
    for call in calls:
        printed.begin()
        # The same call gives the same result in whatever chunk it comes.
        random.seed(int.from_bytes(hashlib.sha256(program + call).digest(), "little"))
        try:
            if entry is None:
                raise broken
            status, body = 0, dump(entry(call))
        except Exception as error:
            status, body = 1, dump_error(error)
        text = printed.text().encode("utf-8", "replace")[:PRINTED_BYTES_MAX]
        out += [struct.pack("<BQI", status, len(body), len(text)), body, text]
    return b"".join(out)


def read(data):
    """The program and the pickled arguments of each call."""
    if not data.startswith(IN_MAGIC):
        raise BadInput("the input is not a call (it begins with other bytes)")
    at = len(IN_MAGIC)
    try:
        (size,) = struct.unpack_from("<Q", data, at)
        at += 8
        program = take(data, at, size)
        at += size
        (count,) = struct.unpack_from("<I", data, at)
        at += 4
        calls = []
        for _ in range(count):
            (size,) = struct.unpack_from("<Q", data, at)
            at += 8
            calls.append(take(data, at, size))
            at += size
    except struct.error:
        raise BadInput("the input ends early") from None
    if at != len(data):
        raise BadInput("there are bytes behind the last call")
    return program, calls


def take(data, at, size):
    if size > len(data) - at:
        raise BadInput("the input ends early")
    return data[at : at + size]


class Printed(io.TextIOBase):
    """What the function prints: kept up to a limit, and told to the caller."""

    encoding = "utf-8"

    def begin(self):
        self.parts, self.size = [], 0

    def __init__(self):
        self.begin()

    def writable(self):
        return True

    def write(self, text):
        if self.size < PRINTED_BYTES_MAX:
            self.parts.append(text[: PRINTED_BYTES_MAX - self.size])
            self.size += len(self.parts[-1])
        return len(text)

    def text(self):
        return "".join(self.parts)


class Program:
    """The functions, classes and modules that one payload describes, made again."""

    def __init__(self, payload):
        described = pickle.loads(payload)
        if not isinstance(described, dict) or described.get("version") != 1:
            raise BadInput("the program is of another version; hint: build the guest of this ayni")
        self.described = described
        self.shipped = frozenset(described["shipped"])
        self.functions = []
        self.cached = {}
        self.spaces = {}
        for module in described["modules"]:
            sys.meta_path.insert(0, Shipped(module))
        for name in described["namespaces"]:
            self.namespace(name)
        # All functions first, empty: they may refer to each other, and anything else to them.
        self.functions = [self.make_function(function) for function in described["functions"]]
        for kind, step in described["steps"]:
            getattr(self, "do_" + kind)(step)

    def entry(self):
        """A callable that takes the pickled `(args, kwargs)` of a call."""
        function = self.loads(self.described["entry"])

        def call(pickled):
            args, kwargs = self.loads(pickled)
            return function(*args, **kwargs)

        return call

    def loads(self, data):
        return Unpickler(io.BytesIO(data), self).load()

    def namespace(self, name):
        """The globals of one of the caller's modules, its main program included."""
        if name in self.shipped:
            __import__(name)
            return sys.modules[name].__dict__
        module = self.spaces.get(name)
        if module is None:
            # Its name is the caller's, so that pickled classes are found by it on both sides.
            module = self.spaces[name] = sys.modules[name] = types.ModuleType(name)
            while "." in name:
                # Packages around it, which are empty: importing a part asks for them.
                name, _, part = name.rpartition(".")
                around = sys.modules.setdefault(name, types.ModuleType(name))
                if not hasattr(around, part):
                    setattr(around, part, sys.modules[f"{name}.{part}"])
        return module.__dict__

    def make_function(self, function):
        tree = ast.parse(function["source"], function["file"])
        node = outermost(tree)
        ast.increment_lineno(tree, function["line"] - 1)
        show_lines(function["file"], function["line"], function["source"])
        arguments = node.args
        # Their values come with the function; the expressions are not evaluated again.
        nothing = ast.copy_location(ast.Constant(None), node)
        arguments.defaults = [nothing] * len(arguments.defaults)
        arguments.kw_defaults = [nothing if d is not None else None for d in arguments.kw_defaults]
        if isinstance(node, ast.Lambda):
            give = ast.Return(node)
            body = [give]
        else:
            node.decorator_list = []
            for argument in ast.walk(arguments):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
            node.returns = None
            # Under its own name it would hide the global that it may be known by.
            node.name = "__made__"
            give = ast.Return(ast.Name(node.name, ast.Load()))
            body = [node, give]
        bind = [ast.Assign([ast.Name(cell, ast.Store())], nothing) for cell in function["free"]]
        outer = ast.parse("def __outer__(): pass").body[0]
        outer.body = bind + body
        whole = ast.Module([outer], [])
        for part in ast.walk(whole):
            if not hasattr(part, "lineno") and "lineno" in part._attributes:
                ast.copy_location(part, node)
        code = compile(whole, function["file"], "exec", dont_inherit=True)
        space = self.namespace(function["module"])
        made = {}
        exec(code, space, made)
        result = made["__outer__"]()
        result.__code__ = result.__code__.replace(
            co_name=function["name"], co_qualname=function["qualname"]
        )
        result.__name__ = function["name"]
        result.__qualname__ = function["qualname"]
        result.__module__ = function["module"]
        return result

    def do_fill(self, step):
        made = self.functions[step["function"]]
        made.__defaults__ = self.loads(step["defaults"])
        made.__kwdefaults__ = self.loads(step["kwdefaults"])
        made.__dict__.update(self.loads(step["dict"]))
        for name, cell in zip(made.__code__.co_freevars, made.__closure__ or ()):
            if name in step["cells"]:
                cell.cell_contents = self.loads(step["cells"][name])
            else:
                del cell.cell_contents

    def do_class(self, step):
        if step["module"] in self.shipped:
            return
        tree = ast.parse(step["source"], step["file"])
        ast.increment_lineno(tree, step["line"] - 1)
        show_lines(step["file"], step["line"], step["source"])
        exec(compile(tree, step["file"], "exec", dont_inherit=True), self.namespace(step["module"]))

    def do_global(self, step):
        if step["module"] not in self.shipped:
            self.namespace(step["module"])[step["name"]] = self.loads(step["value"])


def outermost(tree):
    """The function that a snippet holds."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    found = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    if not found:
        raise BadInput("a function's source holds no function")
    return min(found, key=lambda node: (node.lineno, node.col_offset))


def show_lines(file, line, source):
    """Lets tracebacks show the caller's own lines."""
    known = linecache.cache.get(file, (0, None, [], file))[2]
    lines = source.splitlines(keepends=True)
    known += [""] * (line - 1 + len(lines) - len(known))
    known[line - 1 : line - 1 + len(lines)] = lines
    linecache.cache[file] = (len(known), None, known, file)


class Shipped:
    """Imports one module of the caller's from its source."""

    def __init__(self, module):
        self.module = module

    def find_spec(self, name, path=None, target=None):
        if name != self.module["name"]:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self, origin=self.module["file"], is_package=self.module["package"])

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        file, source = self.module["file"], self.module["source"]
        module.__file__ = file
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)


class Unpickler(pickle.Unpickler):
    """Knows functions by number, modules by name."""

    def __init__(self, file, program):
        super().__init__(file)
        self.program = program

    def persistent_load(self, key):
        kind, value = key
        if kind == "function":
            return self.program.functions[value]
        if kind == "cached":
            index, maxsize, typed = value
            wrapper = self.program.cached.get(index)
            if wrapper is None:
                keep = functools.lru_cache(maxsize=maxsize, typed=typed)
                wrapper = self.program.cached[index] = keep(self.program.functions[index])
            return wrapper
        if kind == "module":
            __import__(value)
            return sys.modules[value]
        raise pickle.UnpicklingError(f"no such thing: {kind}")


def dump(value):
    """A value that the caller can read back."""
    file = io.BytesIO()
    try:
        Pickler(file, 5).dump(value)
    except Exception as error:
        kind = type(value).__name__
        raise TypeError(
            f"the function returned a {kind} that can't travel back: {error}"
        ) from None
    return file.getvalue()


class Pickler(pickle.Pickler):
    """Refuses early, in clear words, what the caller could not make again."""

    def reducer_override(self, obj):
        if isinstance(obj, types.FunctionType):
            raise TypeError(f"functions can't travel back (`{obj.__qualname__}`)")
        if isinstance(obj, types.ModuleType):
            raise TypeError(f"modules can't travel back (`{obj.__name__}`)")
        return NotImplemented


def told(error):
    """A traceback with the user's own lines and none of this file's."""
    frames = traceback.extract_tb(error.__traceback__)
    here = __file__.rsplit("/", 1)[-1]
    shown = [frame for frame in frames if frame.filename.rsplit("/", 1)[-1] != here]
    lines = ["Traceback (most recent call last):\n"]
    lines += traceback.format_list(shown[-TRACEBACK_FRAMES_MAX:])
    chained = traceback.TracebackException.from_exception(error)
    lines += list(chained.format_exception_only())
    return "".join(lines)


def dump_error(error):
    """Type, message, remote traceback, and the exception itself where it can travel."""
    text = told(error)
    kind = type(error)
    plain = error.with_traceback(None)
    plain.__cause__ = plain.__context__ = None
    try:
        body = dump(plain)
    except Exception:
        body = None
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return pickle.dumps((name, str(error), text, body), 5)
