"""Monitoring results of a run as the record that ``damo report`` opens.

A list of records, one for each kdamond's target, as plain data; `damo_export` writes them to files.
Source: damo 3.4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numasim.damon.spec import Attrs, Context
from numasim.errors import ConfigError, Problem
from numasim.result import Result
from numasim.scenario import Event, Scenario

DROPPED = 20
"""Snapshots that ``damo report wss`` and ``nr_regions`` leave out at the beginning."""
STATS = (
    "nr_tried", "sz_tried", "nr_applied", "sz_applied", "sz_ops_filter_passed", "qt_exceeds",
    "nr_snapshots",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """One monitoring snapshot of one target.

    Parameters
    ----------
    start_ns, end_ns : int
        From the end of the snapshot before to its own.
    sample_us : int
        Sampling interval it was seen with.
    samples : int
        Of an aggregation: the most that `nr_accesses` can be.
    start, end : int64[R]
        Bytes.
    nr_accesses, age : int64[R]
        Samples, aggregation intervals.
    """

    start_ns: int
    end_ns: int
    sample_us: int
    samples: int
    start: np.ndarray
    end: np.ndarray
    nr_accesses: np.ndarray
    age: np.ndarray


@dataclass(frozen=True)
class Watched:
    """All snapshots of one target, in order.

    Parameters
    ----------
    kdamond : str
    index : int
        Number of the kdamond.
    target : int
        Position in its context.
    context : Context
    snapshots : list of Seen
    """

    kdamond: str
    index: int
    target: int
    context: Context
    snapshots: list[Seen]


def contexts_of(scenario: Scenario, tuned: bool = False) -> dict[str, Context]:
    """Descriptions of the monitoring contexts by kdamond.

    Parameters
    ----------
    scenario : Scenario
    tuned : bool
        As they were tuned last, instead of as they were started.
    """
    policy = scenario.policy
    own = Event(policy.start, "start", policy.kdamonds(scenario.topology))
    found: dict[str, Context] = {}
    running: list[str] = []
    for event in sorted([own, *scenario.events], key=lambda e: e.at_ns):
        contexts = [context for kdamond in event.kdamonds for context in kdamond.contexts]
        if event.action == "start":
            names = [f"kdamond.{len(found) + i}" for i in range(len(contexts))]
            found |= zip(names, contexts, strict=True)
            running += names
        elif event.action == "stop":
            running = []
        elif event.action == "commit" and tuned and len(contexts) == len(running):
            found |= zip(running, contexts, strict=True)
    return found


def watched(result: Result) -> list[Watched]:
    """What every kdamond saw of each of its targets.

    Raises
    ------
    ConfigError
        If nothing was monitored.
    """
    known = contexts_of(result.scenario())
    found = []
    for (name, target), rows in result.snapshots.groupby(["kdamond", "target"], sort=True):
        context = known.get(str(name), Context())
        rows = rows.sort_values(["seen_s", "start"], kind="stable")
        rows = rows.drop_duplicates(["seen_s", "start"])  # recorded again before the next one came
        seen_ns = np.rint(rows.seen_s.to_numpy(float) * 1e9).astype(np.int64)
        columns = [rows[name].to_numpy(np.int64) for name in ("start", "end", "nr_accesses", "age")]
        columns[0], columns[1] = columns[0] * context.addr_unit, columns[1] * context.addr_unit
        at, first = np.unique(seen_ns, return_index=True)
        sample_us = sample_us_at(result, str(name), context.attrs, at)
        samples = np.maximum(1, rows.max_nr_accesses.to_numpy(np.int64)[first])
        before = max(0, int(at[0]) - int(sample_us[0]) * int(samples[0]) * 1000)
        snapshots = []
        for i, parts in enumerate(zip(*(np.split(c, first[1:]) for c in columns), strict=True)):
            snapshots.append(Seen(before, int(at[i]), int(sample_us[i]), int(samples[i]), *parts))
            before = int(at[i])
        index = int(str(name).rpartition(".")[2])
        found.append(Watched(str(name), index, int(str(target)), context, snapshots))
    if not found:
        hint = "kdamonds leave one after each aggregation"
        raise ConfigError(Problem("", "the run holds no monitoring snapshots", hint))
    return sorted(found, key=lambda w: (w.index, w.target))


def sample_us_at(result: Result, name: str, attrs: Attrs, at_ns: np.ndarray) -> np.ndarray:
    """int64[N]: sampling interval with which each snapshot was seen.

    Tuning follows a snapshot at the same instant, so a row of that instant is of the next one.
    """
    rows = result.tunings if len(result.tunings) else result.kdamonds
    rows = rows[rows.kdamond == name]
    told = np.r_[attrs.sample_us, rows.sample_us.to_numpy(np.int64)]
    since_ns = np.rint(rows.t_s.to_numpy(float) * 1e9).astype(np.int64)
    found: np.ndarray = told[np.searchsorted(since_ns, at_ns, "left")]
    return found


def records(result: Result) -> list[dict[str, Any]]:
    """The record as plain data; every target has an id of its own, whatever its kdamond.

    Raises
    ------
    ConfigError
        If nothing was monitored.
    """
    return [
        {
            "kdamond_idx": one.index,
            "context_idx": 0,
            "intervals": intervals(one.context.attrs),
            "scheme_idx": None,
            "target_id": number,
            "scheme_filters": [],
            "snapshots": [_snapshot(seen) for seen in one.snapshots],
            "data_source": "unknown",
        }
        for number, one in enumerate(watched(result))
    ]


def intervals(attrs: Attrs) -> dict[str, Any]:
    """Intervals of a record: those it began with, and the goal they are tuned to."""
    goal = attrs.intervals_goal
    return {
        "sample_us": str(attrs.sample_us),
        "aggr_us": str(attrs.aggr_us),
        "ops_update_us": str(attrs.ops_update_us),
        "intervals_goal": {
            "access_bp": str(goal.access_bp),
            "aggrs": str(goal.aggrs),
            "min_sample_us": str(goal.min_sample_us),
            "max_sample_us": str(goal.max_sample_us),
        },
    }


def _snapshot(seen: Seen) -> dict[str, Any]:
    rows = zip(
        *(c.tolist() for c in (seen.start, seen.end, seen.nr_accesses, seen.age)), strict=True
    )
    return {
        "start_time": str(seen.start_ns),
        "end_time": str(seen.end_ns),
        "regions": [region(*row) for row in rows],
        "total_bytes": str(int((seen.end - seen.start).sum())),
        "damos_stats": None,
        "sample_interval_us": str(seen.sample_us),
    }


def region(start: int, end: int, samples: int, age: int, passed_bytes: int = 0) -> dict[str, Any]:
    """A region of a snapshot; the last number is how much of it passed page filters."""
    return {
        "start": str(start),
        "end": str(end),
        "nr_accesses": {"samples": samples, "percent": None},
        "age": {"usec": None, "aggr_intervals": str(age)},
        "probe_hits": [],
        "sz_filter_passed": str(passed_bytes),
    }
