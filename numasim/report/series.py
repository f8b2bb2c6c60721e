"""Numbers that the pictures show, taken from a result's tables. Nothing is drawn here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from numasim.damon.spec import Context
from numasim.errors import NumasimError
from numasim.formats.damo_record import contexts_of
from numasim.result import Result
from numasim.topology import Topology

CLOCKS = (
    (2.0, 1e3, "ms"),
    (1200.0, 1.0, "s"),
    (3 * 3600.0, 1 / 60, "min"),
    (math.inf, 1 / 3600, "h"),
)
"""Up to that many seconds: units per second, and the unit's name."""


@dataclass(frozen=True)
class Clock:
    """The time axis of a picture.

    Parameters
    ----------
    span_s : float
    scale : float
        Units of the axis per second.
    unit : str
    """

    span_s: float
    scale: float
    unit: str

    @classmethod
    def of(cls, *results: Result) -> Clock:
        """The axis on which all of these runs fit."""
        span = max((_span_s(r) for r in results), default=0.0) or 1.0
        scale, unit = next((s, u) for top, s, u in CLOCKS if span <= top)
        return cls(span, scale, unit)

    @property
    def label(self) -> str:
        """Title of the axis."""
        return f"time ({self.unit})"

    @property
    def limits(self) -> tuple[float, float]:
        """Both ends, in units of the axis."""
        return 0.0, self.span_s * self.scale


def _span_s(result: Result) -> float:
    tables = [result.tables[name].t_s for name in ("actors", "nodes", "kdamonds", "moves", "truth")]
    return max((float(t.max()) for t in tables if len(t)), default=0.0)


@dataclass(frozen=True)
class Mark:
    """Something that happened at an instant; of two at once the weightier one is told."""

    t_s: float
    text: str
    weight: int


def marks(result: Result) -> list[Mark]:
    """What happened during a run, in a few words each, simultaneous events joined."""
    many = result.actors.actor.nunique() > 1
    events = result.events
    rows = zip(events.t_s, events.who, events.what, events.detail, strict=True)
    found = [_mark(t_s, who, what, detail, many) for t_s, who, what, detail in rows]
    near = 0.012 * _span_s(result)
    joined: list[Mark] = []
    for mark in sorted(found, key=lambda m: m.t_s):
        if (
            joined
            and mark.t_s - joined[-1].t_s <= near
            and 3 not in (mark.weight, joined[-1].weight)
        ):
            joined[-1] = max(joined[-1], mark, key=lambda m: m.weight)
        elif not joined or mark != joined[-1]:
            joined.append(mark)
    return joined


def _mark(t_s: float, who: str, what: str, detail: str, many: bool) -> Mark:
    if who == "experimenter":
        text = f"{what} {detail}".strip()
        return Mark(t_s, text if len(text) <= 30 else text[:29] + "…", 3)
    if what.startswith("phase "):
        who, text = who.rsplit("/", 1)[-1], what.removeprefix("phase ")
        return Mark(t_s, f"{who}: {text}" if many else text, 2)
    return Mark(t_s, f"{who} {what}", 1 if what.endswith("populated") else 0)


def common_marks(results: Iterable[Result]) -> list[Mark]:
    """The events that all runs share, at (nearly) the same time."""
    results = list(results)
    if not results:
        return []
    first, near = marks(results[0]), 0.02 * max(_span_s(r) for r in results)
    others = [marks(r) for r in results[1:]]
    return [
        m
        for m in first
        if m.weight != 3
        and all(any(o.text == m.text and abs(o.t_s - m.t_s) <= near for o in own) for own in others)
    ]


def subtitle(result: Result) -> str:
    """What a run was: machine, workload, policy, seed."""
    document = result.provenance["scenario"]
    names = [
        part.get("name") or "unnamed" if isinstance(part, dict) else str(part)
        for part in (document["topology"], document["workload"])
    ]
    return " · ".join([*names, result.policy, f"seed {result.seed}"])


# -- what the run was made of ----------------------------------------------------------------------


def topology(result: Result) -> Topology:
    """The machine of a run."""
    return Topology.from_dict(result.provenance["scenario"]["topology"])


def contexts(result: Result) -> dict[str, Context]:
    """Descriptions of the monitoring contexts by kdamond, as first started.

    Notes
    -----
    Empty if the scenario cannot be built here any more (a plugin is missing): pictures then go
    without the limits that only the description tells.
    """
    try:
        return contexts_of(result.scenario())
    except NumasimError:
        return {}


# -- time series -----------------------------------------------------------------------------------


def times(result: Result) -> np.ndarray:
    """float64[T]: instants of the time series, s."""
    tables = [t for t in (result.nodes, result.actors) if len(t)]
    tables = tables or [result.tables[name] for name in ("moves", "failed_moves", "truth")]
    return np.unique(np.concatenate([t.t_s.to_numpy(dtype=float) for t in tables]))


def speeds(result: Result) -> dict[str, pd.DataFrame]:
    """Per actor: what it did between two rows.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``t_s, ops_per_s, local_share, latency_ns``: operations per second, share of missing lines
        from the nearest node, mean loaded latency of a missing line; NaN where nothing was done,
        and no speed for the step in which an actor began.
    """
    found = {}
    for actor, rows in result.actors.groupby("actor", sort=False):
        step = (
            rows[["t_s", "operations", "lines", "local_lines", "line_wait_ns"]].astype(float).diff()
        )
        lines = step.lines.where(step.lines > 0)
        ops = step.operations / step.t_s
        found[str(actor)] = pd.DataFrame(
            {
                "t_s": rows.t_s,
                "ops_per_s": ops.where((ops > 0) & (rows.state.shift() == "running")),
                "local_share": step.local_lines / lines,
                "latency_ns": step.line_wait_ns / lines,
            }
        ).iloc[1:]
    return found


@dataclass(frozen=True)
class Pair:
    """Migration between two nodes, bytes/s by cause.

    Parameters
    ----------
    fast, slow : str
        Nodes; `up` goes from `slow` to `fast`.
    up, down : dict of str to float64[T]
    up_is, down_is : str
        What the run called these directions: ``promotion``, ``demotion``, or both.
    """

    fast: str
    slow: str
    up: dict[str, np.ndarray]
    down: dict[str, np.ndarray]
    up_is: str
    down_is: str

    @property
    def total_bytes_per_s(self) -> float:
        """Sum over all rows; for ranking pairs."""
        return float(sum(rate.sum() for part in (self.up, self.down) for rate in part.values()))


def migration(result: Result) -> list[Pair]:
    """What moved between each two nodes, busiest pair first; rates at `times`."""
    machine, moves = topology(result), result.moves
    order = {node.name: i for i, node in enumerate(machine.nodes)}
    best = machine.idle_latency_ns.min(axis=0)
    found = []
    for fast, slow in _pairs(moves, lambda node: (best[order[node]], order[node])):
        up = moves[(moves.source == slow) & (moves.target == fast)]
        down = moves[(moves.source == fast) & (moves.target == slow)]
        found.append(
            Pair(
                fast,
                slow,
                _by_cause(result, up),
                _by_cause(result, down),
                " or ".join(sorted(set(up.direction), reverse=True)) or "promotion",
                " or ".join(sorted(set(down.direction))) or "demotion",
            )
        )
    return sorted(found, key=lambda p: (-p.total_bytes_per_s, p.fast, p.slow))


def _pairs(moves: pd.DataFrame, key: Callable[[str], Any]) -> list[tuple[str, str]]:
    """Nodes between which pages moved, in the order of `key` within each pair."""
    ends = set(zip(moves.source, moves.target, strict=True))
    return sorted({(min(pair, key=key), max(pair, key=key)) for pair in ends})


def _by_cause(result: Result, moves: pd.DataFrame) -> dict[str, np.ndarray]:
    return {str(cause): rate(result, rows) for cause, rows in moves.groupby("cause", sort=True)}


def tried(result: Result, kdamonds: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """float64[T] twice: bytes/s that schemes of these kdamonds tried, and applied, at `times`."""
    at = times(result)
    totals = np.zeros((2, len(at)))
    own = result.schemes[result.schemes.kdamond.isin(list(kdamonds))]
    for _, rows in own.groupby(["kdamond", "scheme"], sort=True):
        where = np.searchsorted(at, rows.t_s.to_numpy(float))
        for total, column in zip(totals, ("sz_tried", "sz_applied"), strict=True):
            total[where] += np.diff(rows[column].to_numpy(float), prepend=0.0)
    step = np.diff(at, prepend=at[0] - (at[1] - at[0] if len(at) > 1 else 1.0))
    return totals[0] / step, totals[1] / step


def rate(result: Result, rows: pd.DataFrame) -> np.ndarray:
    """float64[T]: bytes/s of `rows` (``t_s``, ``bytes``) at `times`, zero where there is no row."""
    at = times(result)
    total = np.zeros(len(at))
    np.add.at(
        total, np.searchsorted(at, rows.t_s.to_numpy(dtype=float)), rows.bytes.to_numpy(dtype=float)
    )
    return total / np.diff(at, prepend=at[0] - (at[1] - at[0] if len(at) > 1 else 1.0))


def thin(t: np.ndarray, values: np.ndarray, most: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Fewer points of a long series: means over equal runs of points, NaN left out."""
    group = -(-len(t) // most)
    if group <= 1:
        return t, values
    nr = len(t) // group * group
    t, values = t[:nr].reshape(-1, group), values[:nr].reshape(-1, group)
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return t[:, -1], total / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
