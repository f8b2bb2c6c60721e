"""A policy's parameters: its fields, their values, and what its docstring says of them."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import Any

from numasim.policies import Policy
from numasim.units import (
    Bandwidth,
    Bytes,
    DurationNs,
    Ratio,
    format_bandwidth,
    format_bytes,
    format_duration,
)

WRITERS = (
    (Bytes, format_bytes),
    (DurationNs, format_duration),
    (Bandwidth, format_bandwidth),
    (Ratio, lambda share: f"{100 * share:g} %"),
)
_HEAD = re.compile(r"^(\w+(?:, \w+)*) : .*$")


@dataclass(frozen=True)
class Parameter:
    """One field: its value as text in our units, and its documentation."""

    name: str
    value: str
    text: str


def parameters_of(made: Any) -> list[Parameter]:
    """The fields of a description that documents them.

    Parameters
    ----------
    made : dataclass instance

    Returns
    -------
    list of Parameter
        In the order of the fields.
    """
    hints = typing.get_type_hints(type(made), include_extras=True)
    docs: dict[str, str] = {}
    for cls in reversed(type(made).__mro__):
        docs |= documented(cls.__doc__ or "")
    found = []
    for field in dataclasses.fields(made):
        value = written(getattr(made, field.name), hints[field.name])
        found.append(Parameter(field.name, value, docs.get(field.name, "")))
    return found


def written(value: Any, hint: Any) -> str:
    """A value as one would write it: with its unit, or by its name."""
    if isinstance(value, Policy):  # on which it stands
        changed = [f for f in dataclasses.fields(value) if getattr(value, f.name) != f.default]
        inside = "".join(f", {f.name}: {getattr(value, f.name)}" for f in changed)
        return f"{{kind: {value.kind}{inside}}}" if inside else value.kind
    kinds = [hint, *typing.get_args(hint)] if value is not None else []
    for kind in kinds:
        for unit, write in WRITERS:
            if _metadata(unit)[:1] == _metadata(kind)[:1] != ():
                return str(write(value))
    return str(value)


def _metadata(hint: Any) -> tuple[Any, ...]:
    """What an annotated type carries: the reader of its unit comes first."""
    return getattr(hint, "__metadata__", ())


def documented(docstring: str) -> dict[str, str]:
    """Text of each parameter of a numpydoc docstring."""
    lines = docstring.expandtabs().split("\n")
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    margin = min(indents, default=0)
    found: dict[str, list[str]] = {}
    inside = False
    names: list[str] = []
    for line in lines:
        line = line[margin:] if line[:margin].isspace() or not margin else line
        if line in ("Parameters", "Notes", "Returns", "Raises", "Attributes", "Examples"):
            inside, names = line in ("Parameters", "Attributes"), []
        elif inside and (head := _HEAD.match(line)):
            names = head[1].split(", ")
        elif inside and names and line.startswith("    "):
            for name in names:
                found.setdefault(name, []).append(line.strip())
    return {name: " ".join(words) for name, words in found.items()}
