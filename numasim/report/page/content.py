"""What a report says, before anybody makes HTML of it: plain words, tables, charts, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

LONG = 30  # characters of a text that may be broken into lines, but not one word to each
Cell = tuple[str, Any]
"""What is shown, and what a table is sorted by."""


@dataclass(frozen=True)
class Reason:
    """One of the numbers that explain a verdict.

    Parameters
    ----------
    title, value : str
    text : str
        What the number means here, in a sentence.
    """

    title: str
    value: str
    text: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose columns sort.

    Parameters
    ----------
    title : str
    columns : tuple of str
    rows : list of tuple of Cell
    numbers : int
        How many of the last columns are numbers even where no row has one.
    note : str
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    numbers: int = 0
    note: str = ""

    @property
    def aligned(self) -> list[str]:
        """Class of each column: numbers are set to the right, long texts keep some width."""
        found = []
        for i in range(len(self.columns)):
            known = [row[i][1] for row in self.rows if row[i][1] is not None]
            numeric = bool(known) and all(isinstance(by, int | float) for by in known)
            longest = max((len(row[i][0]) for row in self.rows), default=0)
            is_number = numeric or i >= len(self.columns) - self.numbers
            found.append("number" if is_number else "long" if longest > LONG else "")
        return found


@dataclass(frozen=True)
class Chart:
    """One interactive chart.

    Parameters
    ----------
    title : str
    figure : dict
        Traces and layout as Plotly takes them; see `numasim.report.page.charts`.
    note : str
    time, place : str
        Charts of the same name share the range of their time axis, or of their y axis.
    half : bool
        Two of them stand side by side where the page is wide enough.
    height : int
        Pixels.
    """

    title: str
    figure: dict[str, Any]
    note: str = ""
    time: str = ""
    place: str = ""
    half: bool = False
    height: int = 260


@dataclass(frozen=True)
class Picture:
    """A picture for readers that run no scripts.

    Parameters
    ----------
    title : str
    draw : callable
        Gives a `matplotlib.figure.Figure`.
    """

    title: str
    draw: Callable[[], Any]


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    title, note : str
    charts : list of Chart
    pictures : list of Picture
        Instead of the charts, in the variant without scripts.
    tables : list of Table
    code : str
        Text in fixed pitch, with a button that copies it.
    folded : bool
        Whether a reader opens it first.
    parts : list of Section
    """

    title: str
    note: str = ""
    charts: list[Chart] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    code: str = ""
    folded: bool = False
    parts: list[Section] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """A report.

    Parameters
    ----------
    kind : str
        ``run``, ``comparison``, ``sweep`` or ``gate``.
    title : str
    about : str
        What it was measured on, in a line.
    verdict : str
        One sentence.
    mark : str
        ``good``, ``bad`` or ``plain``.
    reasons : list of Reason
    sections : list of Section
    folder : Path or None
        Where it was read from.
    """

    kind: str
    title: str
    about: str
    verdict: str
    mark: str
    reasons: list[Reason]
    sections: list[Section]
    folder: Path | None = None


def words(*texts: object) -> tuple[Cell, ...]:
    """Cells that are sorted as they are read."""
    return tuple((str(text), str(text)) for text in texts)


def number(value: float, write: Callable[[float], str]) -> Cell:
    """A cell of a number: ``–`` where there is none, ``never`` for an infinite time."""
    if math.isnan(value):
        return "–", None
    if math.isinf(value):
        return "never", 1e308
    return write(value), float(value)


def joined(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def records(table: pd.DataFrame) -> list[Any]:
    """Rows of a table with a name for each column."""
    return list(table.itertuples())


def percent(value: float) -> str:
    """A share."""
    return f"{100 * value:.3g}\u00a0%"
