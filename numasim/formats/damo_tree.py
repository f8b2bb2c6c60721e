"""Walk a kdamonds tree by its shape: every value checked and put into one form, all mistakes kept.

The tree comes from a JSON or YAML file or from a command line; what it may hold is written down in
`damo_schema`. A walk turns it into the *canonical* tree: every key present, sizes as byte integers
in text, times with units, shares with ``%``, counts native. That form is read by damo without loss
and is what numasim writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numasim.damon import spec
from numasim.errors import Problem, did_you_mean
from numasim.units import BadText

Trail = tuple[str | int, ...]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Parsed:
    """What a command line or a kdamonds file asks for.

    `tree` is the canonical kdamonds tree, `kdamonds` the same in kernel units, `verb` the damo
    command (``start`` for files), `warnings` what damo would have dropped or done in silence.
    """

    kdamonds: tuple[spec.Kdamond, ...]
    tree: dict[str, Any]
    warnings: tuple[str, ...] = ()
    verb: str = "start"


class Word(str):
    """A word of a command line that remembers the option it was given to."""

    place: str

    def __new__(cls, text: str, place: str) -> Word:
        word = super().__new__(cls, text)
        word.place = place
        return word


@dataclass(frozen=True)
class Leaf:
    """A single value; `read` gives its canonical form or raises `BadText`."""

    read: Callable[[Any, Warn], Any]


@dataclass(frozen=True)
class Rows:
    """A list of equal shapes."""

    of: Leaf | Table | Rows


@dataclass(frozen=True)
class Key:
    """One key of a table; `default` is as a user would write it, `former` is an old name."""

    shape: Leaf | Table | Rows
    required: bool = False
    default: Any = None
    nullable: bool = False
    former: str = ""


@dataclass(frozen=True)
class Table:
    """A mapping with known keys; `check` sees it whole, once each of its values is good."""

    keys: Mapping[str, Key]
    ignored: frozenset[str] = frozenset()
    check: Callable[[dict[str, Any], Asker], None] | None = None


@dataclass
class Asker:
    """What a table's `check` complains to."""

    reader: Reader
    raw: Any
    path: str

    def wrong(self, message: str, *trails: Trail, hint: str = "") -> None:
        """Keep a problem, at the first of these trails that the user wrote."""
        self.reader.problems.append(Problem(self._place(trails), message, hint))

    def warn(self, message: str, *trails: Trail) -> None:
        """Keep a warning, at the first of these trails that the user wrote."""
        self.reader.warnings.append(f"{self._place(trails)}: {message}")

    def _place(self, trails: Sequence[Trail]) -> str:
        places = [locate(self.raw, self.path, trail) for trail in trails or [()]]
        return next((place for place, told in places if told), places[0][0])


@dataclass
class Reader:
    """One walk: the problems and warnings met on the way."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read(self, shape: Leaf | Table | Rows, raw: Any, path: str = "") -> Any:
        """The canonical form of `raw`; None where it has none (and a problem is kept)."""
        return self._read(shape, raw, path, path)

    def _read(self, shape: Leaf | Table | Rows, raw: Any, path: str, place: str) -> Any:
        if isinstance(shape, Table):
            return self._table(shape, raw, path, place)
        if isinstance(shape, Rows):
            if isinstance(raw, str) or not isinstance(raw, Sequence):
                self.problems.append(Problem(place, f"got {_shown(raw)}, expected a list"))
                return []
            return [
                self._read(shape.of, item, f"{path}[{i}]", locate(raw, path, (i,))[0])
                for i, item in enumerate(raw)
            ]
        try:
            return shape.read(raw, lambda message: self.warnings.append(f"{place}: {message}"))
        except BadText as error:
            self.problems.append(Problem(place, error.message, error.hint))
            return None

    def _table(self, table: Table, raw: Any, path: str, place: str) -> dict[str, Any]:
        if not isinstance(raw, Mapping):
            keys = ", ".join(table.keys)
            self.problems.append(Problem(place, f"got {_shown(raw)}, expected the keys {keys}"))
            return {}
        known_problems = len(self.problems)
        formers = {key.former: name for name, key in table.keys.items() if key.former}
        for name in raw:
            if name not in table.keys and name not in formers and name not in table.ignored:
                hint = did_you_mean(str(name), table.keys)
                self.problems.append(Problem(locate(raw, path, (name,))[0], "unknown key", hint))
        done: dict[str, Any] = {}
        for name, key in table.keys.items():
            used = key.former if name not in raw and key.former in raw else name
            if used in raw and not (raw[used] is None and not key.nullable and not key.required):
                value, where = raw[used], locate(raw, path, (used,))[0]
            elif key.required:
                self.problems.append(Problem(place, f'key "{name}" is missing'))
                continue
            else:
                value, where = key.default, _join(path, name)
            if value is None:
                done[name] = None
                if not key.nullable:
                    self.problems.append(Problem(where, "is empty, expected a value"))
            else:
                done[name] = self._read(key.shape, value, _join(path, used), where)
        if table.check and len(self.problems) == known_problems:
            table.check(done, Asker(self, raw, path))
        return done


def locate(raw: Any, path: str, trail: Trail) -> tuple[str, bool]:
    """Where a user finds the value at `trail` below `raw`, and whether it came from a command line.

    An option word for values of a command line, else the path with the line number if the file
    remembers it.
    """
    line = None
    for step in trail:
        line = _line(raw, step) or line
        path = f"{path}[{step}]" if isinstance(step, int) else _join(path, step)
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            raw = None
    while isinstance(raw, list) and raw:
        raw = raw[0]
    if isinstance(raw, Word):
        return raw.place, True
    return (f"{path} (line {line})" if line else path), False


def _line(parent: Any, step: str | int) -> int | None:
    """Line of a key or item in a YAML file, counted from 1; None where nobody remembers."""
    marks = getattr(getattr(parent, "lc", None), "data", None) or {}
    mark = marks.get(step)
    return mark[0] + 1 if mark else None


def _join(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)


def _shown(raw: Any) -> str:
    if isinstance(raw, str):
        return f'"{raw}"'
    if isinstance(raw, Mapping):
        return "a mapping"
    return "a list" if isinstance(raw, list) else str(raw).replace("None", "null")
