"""Values of parameters: lists, ranges with units, random and Latin-hypercube samples."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.units import (
    parse_bandwidth,
    parse_bytes,
    parse_duration_ns,
    parse_rate_per_s,
    parse_ratio,
)

SPAN_KEYS = ("from", "to", "steps", "scale")
SCALES = ("linear", "log")
METHODS = ("latin_hypercube", "random", "sobol")
PAGE = 4096
DIGITS, SIZE_BITS, ENOUGH = 4, 7, 20
"""How finely values of a range are told apart: one in a thousand, of sizes one in 128 or more."""
QUANTITY = re.compile(r"^\s*([+-]?\d+(?:\.\d+)?)\s*(.*?)\s*$")
_SIZE_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_TIME_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
NUMBERS: dict[str, Callable[[Any], float]] = {
    "_bytes": parse_bytes,
    "_ns": parse_duration_ns,
    "_bytes_per_ns": parse_bandwidth,
    "_per_s": parse_rate_per_s,
    "_ratio": parse_ratio,
}
"""Suffix of a column of numbers, and what reads texts that have such a unit."""


@dataclass(frozen=True)
class Span:
    """Every value from one end to the other.

    Parameters
    ----------
    low, high : float
        Ends: bytes, nanoseconds, or numbers of `unit`.
    unit : str
        As it was written; empty for a plain number.
    kind : str
        ``size``, ``time``, ``whole`` (whole numbers) or ``number``.
    log : bool
        Equal ratios instead of equal steps.
    steps : int
        How many values a grid takes; 0 if it was not said.
    """

    low: float
    high: float
    unit: str
    kind: str
    log: bool = False
    steps: int = 0

    def at(self, share: float) -> Any:
        """The value that lies so far (0 to 1) between the ends, as a file would say it."""
        if self.log:
            value = math.exp(math.log(self.low) + share * math.log(self.high / self.low))
        else:
            value = self.low + share * (self.high - self.low)
        if self.kind == "size":
            return _in_units(self._readable_size(value), _SIZE_UNITS)
        if self.kind == "time":
            return _in_units(self._readable_time(value), _TIME_UNITS)
        if self.kind == "whole":
            return round(value)
        ends = {0.0: self.low, 1.0: self.high}
        number = ends[share] if share in ends else self._readable(value)
        return f"{number:.12g} {self.unit}" if self.unit else number

    def _readable_size(self, value: float) -> int:
        """Whole pages, and a hundredth of the value or the range needs no more digits."""
        least = min(value, self.high - self.low)
        step = max(PAGE, 2 ** math.floor(math.log2(least) - SIZE_BITS)) if least > 0 else PAGE
        inside = min(max(round(value / step) * step, self.low), self.high)
        return int(max(PAGE, round(inside / PAGE) * PAGE))

    def _readable_time(self, value: float) -> int:
        """In whole units of both ends where that leaves enough of them: many times have to be."""
        fits = (u for u in _TIME_UNITS.values() if not self.low % u and not self.high % u)
        unit = next((u for u in fits if (self.high - self.low) / u >= ENOUGH), 1)
        digits = DIGITS - math.ceil(math.log10(value)) if value > 0 else 0
        return round(round(value, min(digits, 0)) / unit) * unit

    def _readable(self, value: float) -> float:
        """Digits enough to tell a thousand values of the range, and no more."""
        found = float(f"{value:.{DIGITS}g}")
        if not self.log or self.high / self.low < 2:
            found = round(value, DIGITS - 1 - math.floor(math.log10(self.high - self.low)))
        return min(max(found, self.low), self.high)


def _in_units(value: float, units: Mapping[str, int]) -> str:
    whole = int(value)
    unit = next(name for name, size in units.items() if whole % size == 0)
    return f"{whole // units[unit]} {unit}"


def read_span(given: Mapping[str, Any]) -> Span:
    """A range of a plan: ``{from: 50 MiB, to: 400 MiB, steps: 4, scale: log}``.

    Raises
    ------
    ConfigError
        With every mistake.
    """
    problems = [
        Problem(str(key), "unknown key", did_you_mean(str(key), SPAN_KEYS))
        for key in given
        if key not in SPAN_KEYS
    ]
    ends = [_end(given, key, problems) for key in ("from", "to")]
    steps, scale = given.get("steps", 0), given.get("scale", "linear")
    if "steps" in given and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 2):
        problems.append(Problem("steps", f"got {steps!r}, expected a whole number of at least 2"))
    if scale not in SCALES:
        hint = did_you_mean(str(scale), SCALES)
        problems.append(Problem("scale", f'got "{scale}", expected linear or log', hint))
    low, high = ends
    if low is not None and high is not None:
        if {low[2], high[2]} == {"whole", "number"}:
            low, high = (low[0], low[1], "number"), (high[0], high[1], "number")
        if low[1:] != high[1:]:
            what = f'is in "{high[1]}", "from" in "{low[1]}"; expected the same unit'
            problems.append(Problem("to", what))
        elif low[0] >= high[0]:
            problems.append(Problem("to", f"got {given['to']}, expected more than {given['from']}"))
        if scale == "log" and low[0] <= 0:
            problems.append(Problem("from", f"got {given['from']}, a log scale begins above 0"))
    if problems:
        raise ConfigError(problems)
    assert low is not None and high is not None
    return Span(low[0], high[0], low[1], low[2], scale == "log", steps)


def _end(
    given: Mapping[str, Any], key: str, problems: list[Problem]
) -> tuple[float, str, str] | None:
    """An end's number, its unit and what it is."""
    if key not in given:
        problems.append(Problem(key, "is missing"))
        return None
    value = given[key]
    if isinstance(value, int) and not isinstance(value, bool):
        return value, "", "whole"
    if isinstance(value, float) and math.isfinite(value):
        return value, "", "number"
    match = QUANTITY.match(value) if isinstance(value, str) else None
    if match is None:
        expected = 'expected a number, with a unit where it has one, such as "50 MiB"'
        problems.append(Problem(key, f"got {value!r}, {expected}"))
        return None
    for kind, read in (("size", parse_bytes), ("time", parse_duration_ns)):
        try:
            return read(value), kind, kind
        except ValueError:
            continue
    return float(match[1]), match[2], "number"


def grid_values(given: Any) -> list[Any]:
    """The values of a parameter in a grid: those listed, or those of a range with `steps`.

    Raises
    ------
    ConfigError
    """
    if isinstance(given, Mapping) and ("from" in given or "to" in given):
        span = read_span(given)
        if not span.steps:
            raise ConfigError(Problem("steps", "is missing", "say how many values the grid takes"))
        return [span.at(i / (span.steps - 1)) for i in range(span.steps)]
    values = given if isinstance(given, list) else [given]
    if not values:
        raise ConfigError("is empty, expected at least one value")
    again = [v for i, v in enumerate(values) if v in values[:i]]
    if again:
        raise ConfigError(f"lists {again[0]!r} twice")
    return values


def drawn(spans: Sequence[Span], n: int, method: str, seed: int) -> list[list[Any]]:
    """Samples of several ranges at once.

    Parameters
    ----------
    spans : sequence of Span
    n : int
        How many.
    method : str
        One of `METHODS`; a Latin hypercube has one sample in each n-th of every range.
    seed : int

    Returns
    -------
    list of list
        n rows with a value of each range.
    """
    from scipy.stats import qmc  # most of a second, and few plans sample

    rng = np.random.default_rng(seed)
    if method == "random":
        shares = rng.random((n, len(spans)))
    elif method == "sobol":
        sampler = qmc.Sobol(len(spans), rng=rng)
        shares = sampler.random_base2(max(0, math.ceil(math.log2(n))))[:n]
    else:
        shares = qmc.LatinHypercube(len(spans), rng=rng).random(n)
    return [
        [span.at(float(share)) for span, share in zip(spans, row, strict=True)] for row in shares
    ]


def numbers_of(values: Sequence[Any]) -> tuple[str, list[float | None]] | None:
    """Texts with units as numbers: the suffix of their column, and one number for each.

    Parameters
    ----------
    values : sequence
        None where a run does not have the parameter.

    Returns
    -------
    tuple of (str, list of float or None), or None
        None if they are no quantities of one kind.
    """
    given = [v for v in values if v is not None]
    if not given or not all(isinstance(v, str) and QUANTITY.match(v) for v in given):
        return None
    for suffix, read in NUMBERS.items():
        try:
            return suffix, [None if v is None else float(read(v)) for v in values]
        except ValueError:
            continue
    return None
