"""What goes to the guest: functions as source text, data as pickles, never code objects.

The guest's Python is of another version than the caller's, so bytecode can't travel. A function is
found in its source file by the position of its code, and shipped with the globals that it names,
its closure, its defaults, and, recursively, whatever those need:

    in the guest's own library   by name           math.sqrt, collections.Counter
    a function or class          by its source     from a file, a script or a notebook
    a module of the user's       by its source     with the user's modules that it imports
    a module that is installed   refused           unless named in `ship`
    anything else                pickled

All that can't travel is refused here, before anything is sent, with its name and a hint. File names
are cut to their last part: where the user keeps files is nobody's business.

The other side is `python/guest/app.py`; the format is in docs/python.md.
"""

from __future__ import annotations

import ast
import dis
import functools
import importlib.util
import io
import linecache
import os
import pickle
import struct
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._errors import CantTravel

IN_MAGIC = b"ayni-python-call\x01"
PROTOCOL = 5
PROGRAM_BYTES_MAX = 256 << 20

_PLAIN = {int, float, complex, str, bytes, bytearray, bool, list, tuple, dict, set, frozenset}
_PLAIN |= {type(None), type(...), range, slice}
_NO_POSITION = {"RESUME", "COPY_FREE_VARS", "MAKE_CELL", "RETURN_GENERATOR", "POP_TOP"}
_Node = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Lru = type(functools.lru_cache(lambda: None))
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Program:
    """A function with all it needs, ready to travel."""

    payload: bytes
    """What the guest reads."""
    classes: frozenset[tuple[str, str]]
    """Module and name of the user's classes that may come back in results."""
    name: str
    """For people."""


@dataclass(frozen=True)
class Guest:
    """What can be imported in the guest."""

    modules: frozenset[str]


def capture(
    function: Callable[..., object], guest: Guest, ship: Iterable[str] = ()
) -> tuple[Capture, bytes, str]:
    """Captures a function: with what it needs, its own pickle, and its name for people.

    The capture then pickles arguments of calls to it, and is finished after those.
    Raises CantTravel with the name of what can't.
    """
    found = Capture(guest, frozenset(ship))
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return found, found.dumps(function, f"the function `{name}`"), name


def call(capture: Capture, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
    """Pickles the arguments of one call.

    Raises CantTravel.
    """
    return capture.dumps((args, kwargs), "an argument")


def envelope(payload: bytes, calls: list[bytes]) -> bytes:
    """Input of a task that makes these calls."""
    parts = [IN_MAGIC, struct.pack("<Q", len(payload)), payload, struct.pack("<I", len(calls))]
    for pickled in calls:
        parts += [struct.pack("<Q", len(pickled)), pickled]
    return b"".join(parts)


class Capture:
    """What was found on the way through a function."""

    def __init__(self, guest: Guest, ship: frozenset[str]) -> None:
        self.guest = guest
        self.ship = ship
        self.functions: list[dict[str, object]] = []
        self.steps: list[tuple[str, object]] = []
        self.modules: dict[str, dict[str, object]] = {}
        self.spaces: set[str] = set()
        self.classes: set[tuple[str, str]] = set()
        self._function_ids: dict[int, int] = {}
        self._globals_done: set[tuple[str, str]] = set()
        self._kinds_done: set[type] = set()
        # Ids are only good as long as what they name lives.
        self._alive: list[object] = []

    def finish(self, entry: bytes, name: str) -> Program:
        """All of it as one payload."""
        described = {
            "version": 1,
            "modules": list(self.modules.values()),
            "shipped": sorted(self.modules),
            "namespaces": sorted(self.spaces),
            "functions": self.functions,
            "steps": self.steps,
            "entry": entry,
        }
        payload = pickle.dumps(described, PROTOCOL)
        if len(payload) > PROGRAM_BYTES_MAX:
            raise CantTravel(
                f"`{name}` with all it needs has {len(payload)} bytes; the limit is "
                f"{PROGRAM_BYTES_MAX}",
                code="E-PY-012",
                hint="pass large data as arguments, each call only what it needs",
            )
        return Program(payload, frozenset(self.classes), name)

    def dumps(self, value: object, what: str) -> bytes:
        """Pickles a value, capturing what it refers to."""
        file = io.BytesIO()
        try:
            _Pickler(file, self, what).dump(value)
        except CantTravel:
            raise
        except RecursionError:
            raise CantTravel(f"{what} is nested too deeply to pickle", code="E-PY-010") from None
        except Exception as error:
            raise CantTravel(
                f"{what} can't travel: {error}",
                code="E-PY-010",
                hint="send what it is made from (a path's content, numbers, text) and make it "
                "inside the function",
            ) from error
        return file.getvalue()

    # Functions

    def function(self, function: types.FunctionType) -> int:
        """Its number, captured the first time."""
        known = self._function_ids.get(id(function))
        if known is not None:
            return known
        index = self._function_ids[id(function)] = len(self.functions)
        self._alive.append(function)
        code = function.__code__
        space = str(function.__globals__.get("__name__", "__main__"))
        found = _find(function)
        described: dict[str, object] = {
            "module": space,
            "name": function.__name__,
            "qualname": function.__qualname__,
            "file": _shown(code.co_filename),
            "line": found.line,
            "source": found.source,
            "free": list(code.co_freevars),
        }
        self.functions.append(described)
        self.spaces.add(space)
        what = f"function `{function.__qualname__}`"
        self._imports_of(code, what)
        for name in sorted(_global_names(code)):
            self._global(function.__globals__, space, name, what)
        cells: dict[str, bytes] = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:
                continue
            cells[name] = self.dumps(content, f"the variable `{name}` that {what} closes over")
        fill = {
            "function": index,
            "cells": cells,
            "defaults": self.dumps(function.__defaults__, f"a default of {what}"),
            "kwdefaults": self.dumps(function.__kwdefaults__, f"a default of {what}"),
            "dict": self.dumps(dict(function.__dict__), f"an attribute of {what}"),
        }
        self.steps.append(("fill", fill))
        return index

    def _global(self, space: dict[str, Any], module: str, name: str, what: str) -> None:
        if name not in space or module in self.modules or (module, name) in self._globals_done:
            return
        self._globals_done.add((module, name))
        value = space[name]
        if name == "__builtins__" or (name.startswith("__") and name.endswith("__")):
            return
        pickled = self.dumps(value, f"the global `{name}` that {what} uses")
        self.steps.append(("global", {"module": module, "name": name, "value": pickled}))

    def _imports_of(self, code: types.CodeType, what: str) -> None:
        for each in _codes(code):
            for instruction in dis.get_instructions(each):
                if instruction.opname == "IMPORT_NAME" and isinstance(instruction.argval, str):
                    self._import(instruction.argval, f"{what} imports it")

    # Modules

    def module(self, module: types.ModuleType, what: str) -> str:
        """A module that a value refers to."""
        name = module.__name__
        self._import(name, what)
        # What was imported as `package.part` is reached through `package`.
        for other in sorted(sys.modules):
            if other.startswith(name + ".") and self._is_users(other):
                self._import(other, what)
        return name

    def _import(self, name: str, why: str) -> None:
        if not name or name in self.modules or name == "__main__":
            return
        if name in self.guest.modules and not self._named(name):
            return
        parts = name.split(".")
        if self._is_users(name):
            for count in range(1, len(parts) + 1):
                self._ship(".".join(parts[:count]), why)
            return
        raise self._refusal(name, why)

    def _named(self, name: str) -> bool:
        return name.partition(".")[0] in self.ship or name in self.ship

    def _is_users(self, name: str) -> bool:
        if name in self.guest.modules and not self._named(name):
            return False
        origin = _origin(name)
        if origin is None or not origin.endswith(".py"):
            return False
        if self._named(name):
            return True
        top = name.partition(".")[0]
        return top not in sys.stdlib_module_names and not _is_installed(origin)

    def _ship(self, name: str, why: str) -> None:
        if name in self.modules:
            return
        origin = _origin(name)
        if origin is None or not origin.endswith(".py"):
            raise self._refusal(name, why)
        try:
            source = Path(origin).read_text("utf-8")
            tree = ast.parse(source)
        except (OSError, ValueError, SyntaxError) as error:
            raise CantTravel(f"the source of `{name}` can't be read: {error}", code="E-PY-011") from None
        package = os.path.basename(origin) == "__init__.py"
        shown = "/".join(Path(origin).parts[-2:]) if package else os.path.basename(origin)
        self.modules[name] = {"name": name, "package": package, "file": shown, "source": source}
        for imported, line in _imported(tree, name, package):
            if imported in self.guest.modules or self._is_users(imported):
                self._import(imported, f"{shown} line {line} imports it")
            elif _origin(imported) is not None or "." not in imported:
                raise self._refusal(imported, f"{shown} line {line} imports it")
        for value in vars(sys.modules.get(name, types.ModuleType(name))).values():
            if isinstance(value, type) and value.__module__ == name:
                self.classes.add((name, value.__qualname__))

    def _refusal(self, name: str, why: str) -> CantTravel:
        origin = _origin(name)
        hint = "the guest has Python's standard library; compute with that, or run this part here"
        if name.partition(".")[0] in sys.stdlib_module_names:
            text = f"the module `{name}` is not in the guest ({why}): it needs what the sandbox lacks"
            hint = "docs/python.md lists what can be imported"
        elif origin is None:
            text = f"the module `{name}` is not found ({why})"
        elif not origin.endswith(".py"):
            shown = os.path.basename(origin)
            text = f"the module `{name}` is a C extension (`{shown}`), which can't travel ({why})"
        else:
            text = f"the module `{name}` is installed, not yours, and is not in the guest ({why})"
            hint = f"if it is pure Python, ship=[\"{name.partition('.')[0]}\"] sends its source"
        return CantTravel(text, code="E-PY-011", hint=hint)

    # Classes

    def kind(self, cls: type, what: str) -> None:
        """Captures a class unless the guest has it."""
        if cls in self._kinds_done:
            return
        self._kinds_done.add(cls)
        module, qualname = cls.__module__, cls.__qualname__
        if module in self.guest.modules and not self._named(module):
            return
        if module in self.modules:
            return
        top = module.partition(".")[0]
        origin = _origin(module)
        if module != "__main__" and (top in sys.stdlib_module_names or (origin and not origin.endswith(".py"))):
            raise self._refusal(module, f"{what} holds a `{module}.{qualname}`")
        if module != "__main__" and origin and _is_installed(origin) and not self._named(module):
            raise self._refusal(module, f"{what} holds a `{module}.{qualname}`")
        if "<locals>" in qualname:
            raise CantTravel(
                f"the class `{qualname}` is defined inside a function ({what} holds one)",
                code="E-PY-010",
                hint="define it at the top of its module",
            )
        name = qualname.partition(".")[0]
        found = _find_class(cls, name)
        if found is None:
            raise CantTravel(
                f"the class `{module}.{qualname}` has no source text ({what} holds one)",
                code="E-PY-010",
                hint="define it in a file or a notebook",
            )
        space = vars(sys.modules[module]) if module in sys.modules else {}
        self.spaces.add(module)
        self._globals_done.add((module, name))
        self.classes.add((module, qualname))
        why = f"class `{qualname}`"
        at_once, later = _names_in(found.node)
        for used in sorted(at_once):
            self._global(space, module, used, why)
        for base in cls.__bases__:
            self.kind(base, why)
        step = {"module": module, "file": found.file, "line": found.line, "source": found.source}
        self.steps.append(("class", step))
        for used in sorted(later - at_once):
            self._global(space, module, used, why)
        for member in vars(cls).values():
            code = getattr(getattr(member, "__func__", member), "__code__", None)
            if isinstance(code, types.CodeType):
                self._imports_of(code, why)

    def has(self, value: object) -> bool:
        """Whether the guest finds a function under the same name."""
        module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
        if module not in self.guest.modules or self._named(str(module)):
            return False
        found: object = sys.modules.get(str(module))
        for part in name.split("."):
            found = getattr(found, part, None)
        return found is value


class _Pickler(pickle.Pickler):
    """Numbers functions, names modules, and looks at each class that it meets."""

    def __init__(self, file: io.BytesIO, capture: Capture, what: str) -> None:
        super().__init__(file, PROTOCOL)
        self.capture = capture
        self.what = what

    def persistent_id(self, value: Any) -> object:
        kind = type(value)
        if kind in _PLAIN:
            return None
        if kind is types.FunctionType:
            return None if self.capture.has(value) else ("function", self.capture.function(value))
        if kind is _Lru:
            inner = value.__wrapped__
            if isinstance(inner, types.FunctionType) and not self.capture.has(value):
                kept = value.cache_parameters()
                index = self.capture.function(inner)
                return ("cached", (index, kept["maxsize"], kept["typed"]))
            return None
        if kind is types.ModuleType:
            return ("module", self.capture.module(value, f"{self.what} is that module"))
        if isinstance(value, type):
            self.capture.kind(value, self.what)
            return None
        if kind is types.BuiltinFunctionType and isinstance(value.__self__, types.ModuleType):
            if not self.capture.has(value):
                self.capture._import(value.__module__ or "builtins", f"{self.what} needs `{value.__qualname__}`")
            return None
        self.capture.kind(kind, self.what)
        return None


@dataclass(frozen=True)
class _Found:
    source: str
    line: int
    file: str
    node: ast.AST


def _shown(file: str) -> str:
    return file if file.startswith("<") else os.path.basename(file)


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _text(file: str, space: dict[str, Any] | None) -> str:
    linecache.checkcache(file)
    return "".join(linecache.getlines(file, space))


def _find(function: types.FunctionType) -> _Found:
    """The source of a function, by the position of its code."""
    code = function.__code__
    tree = _parsed(text := _text(code.co_filename, function.__globals__))
    node = _node_of(code, tree) if tree else None
    if node is None:
        raise CantTravel(
            f"there is no source text for `{function.__qualname__}` in `{_shown(code.co_filename)}`",
            code="E-PY-010",
            hint="define it in a file or a notebook; if the file has changed since it was loaded, "
            "load it again",
        )
    lines = text.splitlines(keepends=True)
    if isinstance(node, ast.Lambda):
        segment = ast.get_source_segment(text, node) or ""
        return _Found(f"({segment}\n)", node.lineno, _shown(code.co_filename), node)
    body = "".join(lines[node.lineno - 1 : node.end_lineno])
    if node.col_offset:
        # Not dedented: that would change text in strings of several lines.
        return _Found("if 1:\n" + body, node.lineno - 1, _shown(code.co_filename), node)
    return _Found(body, node.lineno, _shown(code.co_filename), node)


def _node_of(code: types.CodeType, tree: ast.Module) -> _Node | None:
    if code.co_name != "<lambda>":
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                if first == code.co_firstlineno:
                    return node
        return None
    lambdas = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    spots = [
        (p.lineno, p.col_offset, p.end_lineno, p.end_col_offset)
        for i in dis.get_instructions(code)
        if i.opname not in _NO_POSITION and (p := i.positions) and p.lineno and p.end_col_offset
    ]
    fitting = [n for n in lambdas if all(_inside(n.body, spot) for spot in spots)]
    fitting = [n for n in fitting if _arguments(n) == code.co_varnames[: len(_arguments(n))]]
    if len(fitting) > 1:
        # Where the code is too short to tell, what it does must.
        fitting = [n for n in fitting if _same_code(n, code)] or fitting
    if not fitting:
        return None
    return min(fitting, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0, -n.col_offset))


def _same_code(node: ast.Lambda, code: types.CodeType) -> bool:
    whole = compile(ast.Expression(node), code.co_filename, "eval", dont_inherit=True)
    made = next((c for c in whole.co_consts if isinstance(c, types.CodeType)), None)
    return made is not None and (made.co_consts, made.co_names) == (code.co_consts, code.co_names)


def _arguments(node: ast.Lambda) -> tuple[str, ...]:
    a = node.args
    names = [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    names += [x.arg for x in (a.vararg, a.kwarg) if x]
    return tuple(names)


def _inside(body: ast.expr, spot: tuple[Any, ...]) -> bool:
    line, column, end_line, end_column = spot
    if column is None or end_column is None:
        return True
    end = (body.end_lineno or 0, body.end_col_offset or 0)
    # Parentheses around the body are not part of it in the tree, and no instruction lies there.
    return (body.lineno, body.col_offset) <= (line, column) and (end_line, end_column) <= end


def _find_class(cls: type, name: str) -> _Found | None:
    module = sys.modules.get(cls.__module__)
    files = [getattr(module, "__file__", None)]
    for member in vars(cls).values():
        code = getattr(getattr(member, "__func__", member), "__code__", None)
        if isinstance(code, types.CodeType) and not code.co_filename.startswith("<string"):
            files.append(code.co_filename)
    space = vars(module) if module else None
    for file in files:
        if not file or (tree := _parsed(text := _text(file, space))) is None:
            continue
        for node in reversed(tree.body):
            named = isinstance(node, ast.ClassDef) and node.name == name
            made = isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == name for t in node.targets
            )
            if named or made:
                decorators = node.decorator_list if isinstance(node, ast.ClassDef) else []
                first = min([node.lineno, *(d.lineno for d in decorators)])
                source = "".join(text.splitlines(keepends=True)[first - 1 : node.end_lineno])
                return _Found(source, first, _shown(file), node)
    return None


def _names_in(node: ast.AST) -> tuple[set[str], set[str]]:
    """Names that a statement needs when it is executed, and those that its functions need later."""
    at_once: set[str] = set()
    later: set[str] = set()

    def visit(part: ast.AST, inside: bool) -> None:
        if isinstance(part, ast.Name):
            (later if inside else at_once).add(part.id)
        functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        if isinstance(part, functions):
            body: list[ast.AST] = [*part.body] if isinstance(part.body, list) else [part.body]
            rest: list[ast.AST] = [part.args]
            if not isinstance(part, ast.Lambda):
                rest += part.decorator_list
            for child in body:
                visit(child, True)
            for child in rest:
                visit(child, inside)
            return
        for child in ast.iter_child_nodes(part):
            visit(child, inside)

    visit(node, False)
    return at_once, later


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _global_names(code: types.CodeType) -> set[str]:
    return {
        str(instruction.argval)
        for each in _codes(code)
        for instruction in dis.get_instructions(each)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }


def _imported(tree: ast.Module, name: str, package: bool) -> Iterator[tuple[str, int]]:
    """Modules that a module imports when it is imported itself; guarded ones left out."""
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
            todo = [*node.body, *node.orelse, *todo]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + (1 if package else 0)]
                base = ".".join([*parts, *([base] if base else [])])
            yield base, node.lineno
            for alias in node.names:
                if f"{base}.{alias.name}" in sys.modules:
                    yield f"{base}.{alias.name}", node.lineno


def _is_installed(origin: str) -> bool:
    parts = Path(origin).parts
    if any(part in _INSTALLED for part in parts):
        return True
    library = sysconfig.get_paths()["stdlib"]
    return origin.startswith(library + os.sep) and "test" not in parts


def _origin(name: str) -> str | None:
    """The file that a module comes from; `None` if there is no such module."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return file
    if module is not None:
        return "built-in"
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return spec.origin if spec else None
