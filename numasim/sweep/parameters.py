"""The parts of a plan that vary: parameters in grids, lists and samples, and what bounds a run."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from numasim.checking import Collector
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.settings import in_full, policy_keys
from numasim.sweep.plan import MANY, Limits, known_tables
from numasim.sweep.values import METHODS, drawn, grid_values, read_span
from numasim.units import parse_bytes, parse_duration_ns

SAMPLE_KEYS = ("method", "n", "seed", "parameters")
LIMIT_KEYS = ("time", "memory")

Settings = dict[str, Any]
"""Full names of parameters and their values."""


def settings_of(
    data: Mapping[str, Any], problems: list[Problem]
) -> tuple[list[Settings], dict[str, str]]:
    """Every combination of what is right, and where each parameter is given."""
    collect = Collector(problems)
    places: dict[str, str] = {}

    def claim(keys: Iterable[Any], place: str) -> None:
        problems.extend(
            Problem(f"{place}.{key}", f"is also in {places[str(key)]}")
            for key in keys
            if places.setdefault(str(key), place) != place
        )

    grid, lists, samples = (data.get(k) for k in ("parameters", "points", "samples"))
    axes: list[list[Settings]] = []
    if grid is not None and not isinstance(grid, Mapping):
        problems.append(Problem("parameters", "expected names with their values"))
    elif grid:
        claim(grid, "parameters")
        for key, given in grid.items():
            values = collect(f"parameters.{key}", lambda g=given: grid_values(g))  # type: ignore[misc]
            if values:
                axes.append([{str(key): value} for value in values])
    if lists is not None and not (
        isinstance(lists, list) and lists and all(isinstance(row, Mapping) for row in lists)
    ):
        problems.append(Problem("points", "expected a list of mappings: - {policy.quota: 50 MiB}"))
    elif lists:
        claim(dict.fromkeys(key for row in lists for key in row), "points")
        axes.append([{str(k): v for k, v in row.items()} for row in lists])
    if samples is not None:
        rows = collect("samples", lambda: _samples(samples))
        if rows:
            claim(rows[0], "samples.parameters")
            axes.append(rows)
    total = math.prod(map(len, axes))
    if total > MANY:
        problems.append(Problem("parameters", f"make {total:,} combinations, {MANY:,} at most"))
        axes = []
    found = [
        {k: v for part in row for k, v in part.items()} for row in itertools.product(*axes)
    ]  # fmt: skip
    return found, places


def _samples(given: Any) -> list[Settings]:
    if not isinstance(given, Mapping):
        raise ConfigError(Problem("", "expected method, n, seed and parameters"))
    problems = [
        Problem(str(key), "unknown key", did_you_mean(str(key), SAMPLE_KEYS))
        for key in given
        if key not in SAMPLE_KEYS
    ]
    method, n, seed = given.get("method", METHODS[0]), given.get("n"), given.get("seed", 1)
    if method not in METHODS:
        hint = did_you_mean(str(method), METHODS)
        problems.append(Problem("method", f'no method "{method}"', hint))
    for key, value in (("n", n), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MANY:
            message = "is missing" if value is None else f"got {value!r}, expected a whole number"
            problems.append(Problem(key, message))
    spans = given.get("parameters")
    collect = Collector(problems)
    read: dict[str, Any] = {}
    if not isinstance(spans, Mapping) or not spans:
        problems.append(Problem("parameters", "expected names with {from: …, to: …}"))
    else:
        for key, span in spans.items():
            step = span if isinstance(span, Mapping) else {}
            read[str(key)] = collect(f"parameters.{key}", lambda s=step: read_span(s))  # type: ignore[misc]
    if problems:
        raise ConfigError(problems)
    assert isinstance(n, int)
    rows = drawn(list(read.values()), n, method, seed)
    return [dict(zip(read, row, strict=True)) for row in rows]


def in_full_names(
    rows: list[Settings],
    places: dict[str, str],
    parts: Mapping[str, Mapping[str, Any]],
    shared: Mapping[str, Any],
    problems: list[Problem],
) -> tuple[list[Settings], dict[str, list[Any]]]:
    """Parameters under their full names, such as ``policy.quota`` for ``quota``."""
    full: dict[str, str] = {}
    policies = list(parts["policy"].values())
    for key, place in list(places.items()):
        found: list[str] = []
        unclear: list[Problem] = []
        for workload in parts["workload"].values():
            found, unclear = in_full([f"{key}=0"], {**shared, "workload": workload}, policies)
            if found:
                break
        if unclear and not found:
            hints = [p.hint.replace(f"{key}=0", key) for p in unclear]
            problems += [
                Problem(f"{place}.{key}", p.message, hint)
                for p, hint in zip(unclear, hints, strict=True)
            ]
            continue
        full[key] = found[0].partition("=")[0]
        own = re.split(r"[.\[]", full[key].removeprefix("policy."), maxsplit=1)[0]
        if full[key].startswith("policy.") and not any(own in policy_keys(p) for p in policies):
            known = frozenset().union(*(policy_keys(p) for p in policies))
            hint = did_you_mean(own, known)
            problems.append(Problem(f"{place}.{key}", f'no policy here has "{own}"', hint))
    named = [{full[key]: value for key, value in row.items() if key in full} for row in rows]
    for key, name in full.items():
        places[name] = f"{places[key]}.{key}"
    values: dict[str, list[Any]] = {name: [] for name in full.values()}
    for row in named:
        for key, value in row.items():
            if key in values and value not in values[key]:
                values[key].append(value)
    return named, values


def read_keep(given: Any) -> tuple[str, ...]:
    """Tables to keep.

    Raises
    ------
    ConfigError
    """
    if not isinstance(given, list):
        raise ConfigError(Problem("", f"got {given!r}, expected a list of tables"))
    wrong = [name for name in given if name not in known_tables()]
    if wrong:
        known = known_tables()
        raise ConfigError(
            [Problem("", f'no table "{n}"', did_you_mean(str(n), known)) for n in wrong]
        )
    return tuple(given)


def read_limits(given: Any) -> Limits:
    """What one run may take: ``{time: 10 min, memory: 2 GiB}``.

    Raises
    ------
    ConfigError
    """
    if not isinstance(given, Mapping):
        raise ConfigError(Problem("", f"got {given!r}, expected time and memory"))
    problems = [
        Problem(str(key), "unknown key", did_you_mean(str(key), LIMIT_KEYS))
        for key in given
        if key not in LIMIT_KEYS
    ]
    collect = Collector(problems)
    time_ns = collect("time", lambda: parse_duration_ns(given.get("time", "1 h")))
    memory = collect("memory", lambda: parse_bytes(given.get("memory", 0)))
    if time_ns is not None and time_ns <= 0:
        problems.append(Problem("time", f"got {given['time']}, expected more than 0"))
    if problems or time_ns is None or memory is None:
        raise ConfigError(problems)
    return Limits(time_ns, memory)
