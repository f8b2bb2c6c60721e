"""Everything public is documented, and documented parameters are those of the signature."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from importlib.util import find_spec
from types import FunctionType

import pytest

from numasim.damon import ops
from numasim.sources import AccessSource
from tests.test_architecture import MODULES as EVERY

SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)
KNOWN = {"Parameters", "Returns", "Yields", "Raises", "Notes", "Examples", "Attributes", "See Also"}
EXTRAS = {
    "numasim.damon.jitted": "numba",
    "numasim.blockwise_jitted": "numba",
    "numasim.sweep.cluster": "distributed",
}
"""Modules that import what only an extra installs."""
MODULES = [name for name in EVERY if name not in EXTRAS or find_spec(EXTRAS[name])]
PUBLIC = [name for name in MODULES if not name.split(".")[-1].startswith("_")]


def members(module: str) -> Iterator[tuple[str, object]]:
    """Public functions and classes that a module defines, and public methods of its classes."""
    loaded = importlib.import_module(module)
    for name, value in vars(loaded).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module:
            continue
        if inspect.isclass(value):
            yield f"{name}", value
            if getattr(value, "_is_protocol", False) or issubclass(value, BaseException):
                continue
            for method, inner in vars(value).items():
                inner = getattr(inner, "__func__", inner)
                inner = getattr(inner, "fget", getattr(inner, "func", inner))
                if method.startswith("_") or not isinstance(inner, FunctionType):
                    continue
                if inner.__module__ == module:
                    yield f"{name}.{method}", inner
        elif isinstance(value, FunctionType):
            yield name, value


def sections(text: str) -> dict[str, str]:
    """A docstring's sections by title."""
    found = list(SECTION.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {m[1]: text[m.end() : end] for m, end in zip(found, ends[: len(found)], strict=True)}


def documented(section: str) -> list[str]:
    """Names that a Parameters section describes."""
    names = []
    for line in section.strip("\n").splitlines():
        if line and not line.startswith(" "):
            names += [n.strip().lstrip("*") for n in line.split(" : ")[0].split(",")]
    return names


def parameters(thing: object) -> list[str]:
    """Names that a caller gives."""
    if inspect.isclass(thing) and dataclasses.is_dataclass(thing):
        return [f.name for f in dataclasses.fields(thing) if f.init]
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return []
    method = "." in getattr(thing, "__qualname__", "") or inspect.isclass(thing)
    rest = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        name
        for name, one in signature.parameters.items()
        if not (method and name in ("self", "cls")) and one.kind not in rest
    ]


def inherits(thing: object) -> bool:
    """Whether a method only fulfils what a base class or protocol documents."""
    owner = thing.__qualname__.rpartition(".")[0]
    module = importlib.import_module(thing.__module__)
    cls = getattr(module, owner, None)
    name = thing.__name__
    bases = cls.__mro__[1:] if inspect.isclass(cls) else ()
    if any(getattr(base, name, None) is not None and base is not object for base in bases):
        return True
    return bool(_protocols(name)) and inspect.isclass(cls)


def _protocols(method: str) -> list[type]:
    """Protocols of ours that have such a method."""
    known = [AccessSource, ops.Ops, ops.GoalMetrics]
    return [p for p in known if method in vars(p)]


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are(module):
    doc = inspect.getdoc(importlib.import_module(module)) or ""
    first = doc.split("\n\n")[0].rstrip()
    assert first.endswith((".", "?", ":", "!")), f"{module}: {first!r}"


@pytest.mark.parametrize("module", PUBLIC)
def test_public_things_are_documented(module):
    missing = [
        name
        for name, thing in members(module)
        if not (inspect.isclass(thing) or inherits(thing)) and not thing.__doc__
    ]
    missing += [
        name for name, thing in members(module) if inspect.isclass(thing) and not own(thing)
    ]
    assert not missing, f"{module}: {missing}"


def own(cls: type) -> str:
    """A class's own docstring; dataclasses without one get a made-up signature."""
    doc = vars(cls).get("__doc__") or ""
    return "" if doc.startswith(f"{cls.__name__}(") else doc


@pytest.mark.parametrize("module", PUBLIC)
def test_documented_parameters_are_those_of_the_signature(module):
    wrong = []
    for name, thing in members(module):
        doc = inspect.cleandoc((own(thing) if inspect.isclass(thing) else thing.__doc__) or "")
        found = sections(doc)
        wrong += [f"{name}: section {title!r}" for title in found if title not in KNOWN]
        if "Parameters" in found:
            said, given = documented(found["Parameters"]), parameters(thing)
            if inspect.isclass(thing):
                given = [n for n in given if n in said or not inherited(thing, n)]
                given = [n for n in given if n in said or not _optional(thing, n)]
            if [n for n in said if n not in given] or [n for n in given if n not in said]:
                wrong.append(f"{name}: documents {said}, takes {given}")
            elif said != [n for n in given if n in said]:
                wrong.append(f"{name}: documents {said} in another order than {given}")
    assert not wrong, "\n".join(wrong)


def inherited(cls: type, field: str) -> bool:
    """Whether a base class documents a field; a new default needs no new words."""
    return any(field in getattr(c, "__dataclass_fields__", {}) for c in cls.__mro__[1:])


def _optional(cls: type, field: str) -> bool:
    """State of a mutable dataclass: fields with defaults need not be described."""
    if not dataclasses.is_dataclass(cls) or cls.__dataclass_params__.frozen:
        return False
    (found,) = [f for f in dataclasses.fields(cls) if f.name == field]
    return found.default is not dataclasses.MISSING or (
        found.default_factory is not dataclasses.MISSING
    )


@pytest.mark.parametrize("module", PUBLIC)
def test_public_functions_are_typed(module):
    bare = []
    for name, thing in members(module):
        if inspect.isclass(thing):
            continue
        hints = set(getattr(thing, "__annotations__", {}))
        wanted = set(inspect.signature(thing).parameters) - {"self", "cls"} | {"return"}
        if wanted - hints:
            bare.append(f"{name}: {sorted(wanted - hints)}")
    assert not bare, "\n".join(bare)


def test_the_reader_reads_numpydoc():
    doc = (
        "First.\n\nParameters\n----------\na, b : int\n    Both.\n*rest\n\nReturns\n-------\nint\n"
    )
    assert documented(sections(doc)["Parameters"]) == ["a", "b", "rest"]
    assert list(sections(doc)) == ["Parameters", "Returns"]
