"""Descriptions as text: a class's fields as a table, a docstring as Markdown."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import typing
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import pydantic_core

from numasim import policies
from numasim.cli.parameters import documented, written
from numasim.patterns import Pattern
from numasim.units import Bandwidth, Bytes, DurationNs, RatePerS, Ratio

UNITS = ((Bytes, "size"), (DurationNs, "time"), (Bandwidth, "bandwidth"), (Ratio, "share"),
         (RatePerS, "rate"))  # fmt: skip
HARDWARE = tuple(f"numasim.{name}" for name in ("hardware", "kernel", "mapping", "workload"))
PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}
NOTES = re.compile(
    r"((?:DAMON\s+(?:core|operations|interop)|policies|hardware|workloads|damo|"
    r"numa-balancing-tiering)\s+specification)"
)
"""Working notes that docstrings name: a page says where what they are made of can be read."""
INNER = ("Raises", "Returns", "Attributes", "Examples", "Parameters", "Yields", "Methods")

# -- fields ----------------------------------------------------------------------------------------


def described(root: type, more: tuple[type, ...]) -> list[str]:
    """A description and all that it is made of, each once, in the order met."""
    found: list[type] = []

    def walk(cls: type) -> None:
        if cls in found or cls is Pattern:
            return
        found.append(cls)
        for hint in typing.get_type_hints(cls, include_extras=True).values():
            for inner in _classes(hint):
                walk(inner)

    for cls in (root, *more):
        walk(cls)
    parts = []
    for cls in found:
        parts += [f"## {cls.__name__}", prose(cls), table(cls)]
    return parts


def _classes(hint: Any) -> Iterator[type]:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for inner in typing.get_args(hint):
        yield from _classes(inner)


def table(cls: type, only: set[str] | None = None) -> str:
    """Fields of a description: key, what it takes, default, meaning."""
    rows = [row for key, row in fields(cls).items() if only is None or key in only]
    return grid(("key", "takes", "default", "meaning"), rows) if rows else ""


def fields(cls: type) -> dict[str, tuple[str, str, str, str]]:
    """What a user can set of a description, by its key.

    Returns
    -------
    dict of str to tuple of str
        Key as code, what it takes, its default as text, its documentation.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        docs |= documented(base.__doc__ or "")
    found = {}
    for field in dataclasses.fields(cls):
        hint, default = hints[field.name], _default(field)
        shown = (
            "*needed*" if default is dataclasses.MISSING else escaped(default_text(default, hint))
        )
        found[field.name] = (f"`{field.name}`", takes(hint), shown, docs.get(field.name, ""))
    return found


def _default(field: Any) -> Any:
    """The default of a field, pydantic's included; MISSING if there is none."""
    value = field.default
    factory = field.default_factory
    if hasattr(value, "default_factory"):
        value, factory = value.default, value.default_factory or factory
    if value is dataclasses.MISSING or value is pydantic_core.PydanticUndefined:
        return dataclasses.MISSING if factory in (dataclasses.MISSING, None) else factory()
    return value


def default_text(value: Any, hint: Any) -> str:
    """A default as a user would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if dataclasses.is_dataclass(value) and not isinstance(value, policies.Policy):
        return "its own"
    if value in ((), {}, ""):
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        kinds = typing.get_args(hint)[1:] or (hint,)
        return ", ".join(f"{key}: {default_text(one, kinds[0])}" for key, one in value.items())
    return written(value, hint)


def takes(hint: Any) -> str:
    """What a field takes, in words."""
    for unit, name in UNITS:
        own, theirs = getattr(unit, "__metadata__", ()), getattr(hint, "__metadata__", ())
        if own[:1] == theirs[:1] != ():
            return name
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return takes(inner[0])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in inner)
    if origin in (tuple, list):
        kinds = list(dict.fromkeys(takes(one) for one in inner if one is not Ellipsis))
        return "list: " + ", ".join(kinds)
    if origin is dict:
        return f"{takes(inner[0])} → {takes(inner[1])}"
    if inner:
        return " or ".join(dict.fromkeys(takes(one) for one in inner if one is not type(None)))
    if hint in PLAIN:
        return PLAIN[hint]
    return f"[{hint.__name__}](#{hint.__name__.lower()})" if _below_here(hint) else "mapping"


def _below_here(hint: Any) -> bool:
    """Whether the same page describes it: parts of a machine and of a workload."""
    return dataclasses.is_dataclass(hint) and hint.__module__ in HARDWARE


# -- text ------------------------------------------------------------------------------------------


def prose(made: Any, keep: tuple[str, ...] = ()) -> str:
    """A docstring without its lists of parameters, as Markdown."""
    own = made.__dict__.get("__doc__") if isinstance(made, type) else made.__doc__
    return markdown(own or "", keep)


def markdown(docstring: str, keep: tuple[str, ...] = ()) -> str:
    """A docstring as Markdown, but for lists of its sections that `keep` does not name."""
    lines = inspect.cleandoc(docstring).splitlines()
    kept: list[str] = []
    skipping = False
    for i, line in enumerate(lines):
        below = lines[i + 1] if i + 1 < len(lines) else ""
        if re.fullmatch(r"-{3,}", below.strip()) and line.strip():
            skipping = line.strip() in INNER and line.strip() not in keep
            kept += [] if skipping or line.strip() == "Notes" else [f"**{line.strip()}**", ""]
        elif not skipping and not re.fullmatch(r"-{3,}", line.strip()):
            kept.append(_item(line) if keep else line)
    kept = [line for line in kept if not line.startswith("Parameters: see")]
    text = re.sub(r"``([^`]+)``", r"`\1`", "\n".join(kept)).strip()
    text = re.sub(r"\n(Source|Assumption): ", r"\n\n*\1:* ", text)
    text = text.replace("\\[", "[")  # as rich wants it
    text = NOTES.sub(r"[\1](../origins.md)", text)
    return text.replace("<", "&lt;") if "`" not in text else text


def _item(line: str) -> str:
    """A parameter's head as a line of its own; its text below needs no indent."""
    head = re.match(r"^(\w+(?:, \w+)*) : (.*)$", line)
    return f"\n`{head[1]}` ({head[2]}):" if head else line.removeprefix("    ")


def grid(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown, without columns that no row fills."""
    kept = [i for i in range(len(columns)) if i == 0 or any(row[i] for row in rows)]
    columns = tuple(columns[i] for i in kept)
    rows = [tuple(row[i] for i in kept) for row in rows]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [re.sub(r"``([^`]+)``", r"`\1`", cell) for cell in row]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) if rows else ""


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("\n", " ")


def constant_docs(module: str) -> dict[str, str]:
    """Strings under the constants of a module."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    found = {}
    for one, below in pairwise(tree.body):
        if isinstance(one, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
            name = one.target if isinstance(one, ast.AnnAssign) else one.targets[0]
            found[getattr(name, "id", "")] = str(ast.literal_eval(below.value))
    return found


def joined(parts: list[str]) -> str:
    """Paragraphs as one page."""
    return "\n\n".join(part for part in parts if part) + "\n"
