"""What can be read off finished runs: a small fixed vocabulary, and ratios of its words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.result import Result
from numasim.units import parse_duration_ns

WORD = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")
SETTLED = 0.05
GIB = 2**30


def speed(result: Result, actor: str, since_s: float, until_s: float) -> float:
    """Operations per second of an actor in a span of time; ``*`` adds up all actors."""
    return _done(result, actor, since_s, until_s) / (until_s - since_s)


def promoted(result: Result, since_s: float, until_s: float) -> float:
    """GiB that went up a tier in a span of time."""
    return _moved(result, "promotion", since_s, until_s)


def demoted(result: Result, since_s: float, until_s: float) -> float:
    """GiB that went down a tier in a span of time."""
    return _moved(result, "demotion", since_s, until_s)


def moved(result: Result, since_s: float, until_s: float) -> float:
    """GiB that moved anywhere in a span of time."""
    return _moved(result, "", since_s, until_s)


def resident(result: Result, node: str, names: str, at_s: float) -> float:
    """GiB on a node at an instant, of mappings whose ``process/mapping`` begins with a name."""
    rows = result.residency
    whose = rows.process.astype(str) + "/" + rows.mapping.astype(str)
    rows = rows[(rows.node == node) & whose.str.startswith(names)]
    return float(rows[rows.t_s == _instant(result.residency.t_s, at_s)].bytes.sum()) / GIB


def latency(result: Result, node: str, since_s: float, until_s: float) -> float:
    """Loaded latency of a node, ns: the mean over a span of time."""
    return float(_of_node(result, node, since_s, until_s).loaded_latency_ns.mean())


def read_rate(result: Result, node: str, since_s: float, until_s: float) -> float:
    """GB/s read from a node in a span of time."""
    rows = _of_node(result, node, since_s, until_s)
    return float(rows.read_bytes.iloc[-1] - rows.read_bytes.iloc[0]) / 1e9 / _span(rows)


def local_share(result: Result, actor: str, since_s: float, until_s: float) -> float:
    """Share of an actor's missing lines that its nearest node answered, in a span of time."""
    rows = _of_actor(result, actor, since_s, until_s)
    lines = rows.lines.iloc[-1] - rows.lines.iloc[0]
    return float((rows.local_lines.iloc[-1] - rows.local_lines.iloc[0]) / lines)


def kdamond_cpu(result: Result, since_s: float, until_s: float) -> float:
    """CPUs that all kdamonds together take in a span of time."""
    rows = result.kdamonds[result.kdamonds.t_s.between(since_s, until_s)]
    spans = [_span(own) for _, own in rows.groupby("kdamond") if len(own) > 1]
    used = rows.groupby("kdamond").cpu_ns.agg(lambda x: x.iloc[-1] - x.iloc[0]).sum()
    return float(used / 1e9 / max(spans)) if spans else math.nan


def move_rate(result: Result, since_s: float, until_s: float) -> float:
    """GB moved per second of CPU time of the kdamonds."""
    used = kdamond_cpu(result, since_s, until_s) * (until_s - since_s)
    return moved(result, since_s, until_s) * GIB / 1e9 / used


def repeat_s(result: Result, actor: str, since_s: float, until_s: float) -> float:
    """Seconds that the work of a span of time takes when it is done again right after it."""
    rows = result.actors[result.actors.actor == actor]
    done = np.interp([since_s, until_s], rows.t_s, rows.operations)
    again = float(done[1] + (done[1] - done[0]))
    if again > rows.operations.iloc[-1]:
        return math.inf
    return float(np.interp(again, rows.operations, rows.t_s)) - until_s


def settled_s(result: Result, actor: str, since_s: float, until_s: float) -> float:
    """Seconds until an actor's speed stays within 5 % of that of the last tenth of a span."""
    rows = _of_actor(result, actor, since_s, until_s)
    tail = rows[rows.t_s >= until_s - (until_s - since_s) / 10]
    final = float(np.diff(tail.operations).mean() / np.diff(tail.t_s).mean())
    paces = np.diff(rows.operations) / np.diff(rows.t_s)
    off = np.flatnonzero(np.abs(paces / final - 1) > SETTLED)
    return float(rows.t_s.iloc[off[-1] + 1]) - since_s if len(off) else 0.0


WORDS: dict[str, tuple[Callable[..., float], str]] = {
    "speed": (speed, "actor since until"),
    "promoted": (promoted, "since until"),
    "demoted": (demoted, "since until"),
    "moved": (moved, "since until"),
    "resident": (resident, "node names at"),
    "latency": (latency, "node since until"),
    "read_rate": (read_rate, "node since until"),
    "local_share": (local_share, "actor since until"),
    "kdamond_cpu": (kdamond_cpu, "since until"),
    "move_rate": (move_rate, "since until"),
    "repeat_s": (repeat_s, "actor since until"),
    "settled_s": (settled_s, "actor since until"),
}
"""The vocabulary: each word with what it takes after the name of the run."""
INSTANTS = ("since", "until", "at")


@dataclass(frozen=True)
class Reading:
    """One word of the vocabulary about one run, such as ``speed(tiered, web/requests, 1 s, 9 s)``.

    Parameters
    ----------
    word, run : str
    arguments : tuple of (str or float)
        Instants in seconds.
    """

    word: str
    run: str
    arguments: tuple[str | float, ...]

    def of(self, result: Result) -> float:
        """Its value in a finished run."""
        return WORDS[self.word][0](result, *self.arguments)


@dataclass(frozen=True)
class Expression:
    """Means of readings, divided by one another: ``mean of first / mean of second``.

    Parameters
    ----------
    above : tuple of Reading
        Joined by ``+`` where they were written; their mean counts.
    below : tuple of Reading
        None of them: nothing is divided.
    """

    above: tuple[Reading, ...]
    below: tuple[Reading, ...] = ()

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs it needs."""
        return tuple(dict.fromkeys(r.run for r in (*self.above, *self.below)))

    def parts(self, results: Mapping[str, Result]) -> tuple[float, float]:
        """What is divided, and by what (1 if by nothing), of the runs of one seed."""
        below = _mean(self.below, results) if self.below else 1.0
        return _mean(self.above, results), below


def parse(text: str, runs: Sequence[str]) -> Expression:
    """An expression as case files write it.

    Raises
    ------
    ConfigError
        With every mistake found.
    """
    problems: list[Problem] = []
    sides = [tuple(_readings(side, runs, problems)) for side in str(text).split(" / ")]
    if len(sides) > 2:
        problems.append(Problem("", "is divided more than once"))
    if problems:
        raise ConfigError(problems)
    return Expression(*sides)


def _readings(text: str, runs: Sequence[str], problems: list[Problem]) -> Iterator[Reading]:
    for part in text.split(" + "):
        found = WORD.fullmatch(part)
        if found is None or found[1] not in WORDS:
            hint = did_you_mean(found[1], WORDS) if found else "known: " + ", ".join(WORDS)
            problems.append(Problem("", f'"{part.strip()}" is no reading', hint))
            continue
        wanted = WORDS[found[1]][1].split()
        run, *given = [word.strip() for word in found[2].split(",")]
        if run not in runs:
            problems.append(Problem("", f'no run "{run}"', did_you_mean(run, runs)))
        if len(given) != len(wanted):
            problems.append(Problem("", f"{found[1]} takes run, {', '.join(wanted)}"))
            continue
        arguments: list[str | float] = []
        for name, word in zip(wanted, given, strict=True):
            try:
                arguments.append(parse_duration_ns(word) / 1e9 if name in INSTANTS else word)
            except ConfigError as error:
                problems += error.problems
            except ValueError as error:
                problems.append(Problem(name, str(error)))
        yield Reading(found[1], run, tuple(arguments))


def _mean(readings: Sequence[Reading], results: Mapping[str, Result]) -> float:
    return float(np.mean([reading.of(results[reading.run]) for reading in readings]))


def _done(result: Result, actor: str, since_s: float, until_s: float) -> float:
    whose = result.actors.actor.unique() if actor == "*" else [actor]
    total = 0.0
    for name in whose:
        rows = result.actors[result.actors.actor == name]
        first, last = np.interp([since_s, until_s], rows.t_s, rows.operations)
        total += float(last - first)
    return total


def _moved(result: Result, direction: str, since_s: float, until_s: float) -> float:
    rows = result.moves
    when = (rows.t_s > since_s) & (rows.t_s <= until_s)
    which = rows.direction == direction if direction else True
    return float(rows.bytes[when & which].sum()) / GIB


def _of_node(result: Result, node: str, since_s: float, until_s: float) -> pd.DataFrame:
    rows = result.nodes
    return rows[(rows.node == node) & rows.t_s.between(since_s, until_s)]


def _of_actor(result: Result, actor: str, since_s: float, until_s: float) -> pd.DataFrame:
    rows = result.actors
    return rows[(rows.actor == actor) & rows.t_s.between(since_s, until_s)]


def _span(rows: pd.DataFrame) -> float:
    return float(rows.t_s.iloc[-1] - rows.t_s.iloc[0])


def _instant(times: pd.Series, at_s: float) -> float:
    """The last recorded instant that is not after the one asked for."""
    return float(times[times <= at_s + 1e-9].max())
