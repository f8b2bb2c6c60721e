"""What a run's watching and moving cost, whoever paid it, and how much moving was for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

KSWAPD, WORKER = "kswapd_cpu_ns", "worker_cpu_ns"
"""Counters of CPU time: of kswapd by itself, of other threads that move pages for a policy."""


@dataclass(frozen=True)
class Overhead:
    """Shares of one CPU over the whole run; NaN where a run has nothing of the kind.

    Parameters
    ----------
    kdamonds : float
        Of all together.
    threads : float
        Time that faults, scans and samples took from the workload's own threads.
    kswapd : float
        Of all nodes together.
    workers : float
        Threads of a policy, or of the kernel's, that move pages: HeMem's, khugepaged, …
    """

    kdamonds: float
    threads: float
    kswapd: float
    workers: float

    @property
    def total(self) -> float:
        """All of them; NaN if there is none."""
        known = [value for value in asdict(self).values() if not math.isnan(value)]
        return sum(known) if known else math.nan


def overhead(tables: Mapping[str, pd.DataFrame]) -> Overhead:
    """What a run's tables say.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        See `numasim.result.COLUMNS`.

    Notes
    -----
    Tables `kdamonds`, `tolls` and `vmstat` are cumulative and in order of time, so whoever's last
    value is the whole.
    """
    actors, counters = tables["actors"], tables["vmstat"]
    span_ns = float(actors.t_s.max()) * 1e9 if len(actors) else math.nan
    which = counters.counter.to_numpy()
    took = (
        _last(tables["kdamonds"], "kdamond", "cpu_ns"),
        _last(tables["tolls"], "actor", "paid_ns"),
        *(_last(counters[which == name], "agent", "value") for name in (KSWAPD, WORKER)),
    )
    found = (sum(each) / span_ns if each and span_ns > 0 else math.nan for each in took)
    return Overhead(*found)


def _last(rows: pd.DataFrame, who: str, what: str) -> list[float]:
    """Everybody's last value."""
    return [float(v) for v in dict(zip(rows[who], rows[what], strict=True)).values()]


@dataclass(frozen=True)
class Waste:
    """Migration that went both ways, or came to nothing.

    Parameters
    ----------
    moved_bytes : float
        All that was migrated.
    both_ways_bytes : float
        At most so much of it was undone: what moved one way between two nodes and what moved the
        other way, of the same mapping while no actor changed its phase, both counted.
    refused_bytes : float
        What was tried and found no room.
    """

    moved_bytes: float
    both_ways_bytes: float
    refused_bytes: float


def waste(tables: Mapping[str, pd.DataFrame]) -> Waste:
    """What was moved there and back within a phase, at most.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame

    Notes
    -----
    Assumption: ours. Moves are recorded by mapping, not by page. Where hot pages of a mapping
    change places with cold ones of the same mapping both ways are useful, so this is a bound from
    above. Across a change of phase nothing counts: what was right then may be wrong now.
    """
    moves, failed = tables["moves"], tables["failed_moves"]
    refused = float(failed.bytes.sum()) if len(failed) else 0.0
    if not len(moves):
        return Waste(0.0, 0.0, refused)
    bounds = np.unique(tables["phases"].began_s.to_numpy(float))
    turn = np.searchsorted(bounds, moves.t_s.to_numpy(float), "right")
    total: dict[tuple[Any, ...], float] = {}
    columns = (moves[name] for name in ("process", "mapping", "source", "target", "bytes"))
    for when, *what, source, target, size in zip(turn.tolist(), *columns, strict=True):
        way = (when, *what, source, target)
        total[way] = total.get(way, 0.0) + size
    # each pair of ways is met from both ends, so both are counted
    both = sum(min(size, total.get((*way[:-2], way[-1], way[-2]), 0.0))
               for way, size in total.items())  # fmt: skip
    return Waste(float(moves.bytes.sum()), float(both), refused)
