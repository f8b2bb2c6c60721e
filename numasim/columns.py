"""Columns that grow row by row or array by array, and become lists when they are asked for."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import numpy as np


class Columns:
    """Growing tables.

    Notes
    -----
    A row is kept as one tuple, a batch as the arrays that came: adding costs about a microsecond.
    All rows of a table have the same columns in the same order.
    """

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, ...]] = {}
        self._parts: dict[str, list[tuple[int, tuple[Any, ...]]]] = {}

    def append(self, table: str, **row: Any) -> None:
        """One more row."""
        self._put(table, row, -1)

    def extend(self, table: str, nr: int, **columns: Any) -> None:
        """`nr` more rows: arrays as they are (not copied), single values repeated."""
        self._put(table, columns, nr)

    def _put(self, table: str, values: dict[str, Any], nr: int) -> None:
        if table not in self._names:
            self._names[table] = tuple(values)
            self._parts[table] = []
        self._parts[table].append((nr, tuple(values.values())))

    def appended(self, table: str, since: int = 0) -> list[dict[str, Any]]:
        """Rows added one by one after the first `since` of them."""
        names = self._names.get(table, ())
        rows = self._parts.get(table, [])[since:]
        return [dict(zip(names, row, strict=True)) for nr, row in rows if nr < 0]

    def lists(self) -> dict[str, dict[str, list[Any]]]:
        """All tables so far: ``{table: {column: values}}``."""
        found = {}
        for table, names in self._names.items():
            parts = self._parts[table]
            found[table] = {
                name: list(chain.from_iterable(_values(nr, row[i]) for nr, row in parts))
                for i, name in enumerate(names)
            }
        return found


def _values(nr: int, value: Any) -> Any:
    """What one part adds to a column: of a row (-1) the value, of a batch `nr` values."""
    if nr < 0:
        return (value,)
    return value.tolist() if isinstance(value, np.ndarray) else repeat(value, nr)
