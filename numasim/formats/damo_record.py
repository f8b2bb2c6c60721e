"""Monitoring results of a run as the record that ``damo report`` opens.

A list of records, one for each kdamond's target, as zlib-compressed JSON: the one form that every
damo recognises. Beside it lie the parameters with statistics (``.kdamonds``), memory footprints
(``.mem_footprint``) and mappings (``.vmas``). Source: damo 3.4.3.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numasim.damon.spec import Attrs, Context
from numasim.errors import ConfigError, Problem
from numasim.formats.damo_specs import to_tree
from numasim.result import Result
from numasim.scenario import Scenario

DROPPED = 20
"""Snapshots that ``damo report wss`` and ``nr_regions`` leave out at the beginning."""
PAGE_BYTES, KIB = 4096, 1024
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
    start, end : int64[R]
        Bytes.
    nr_accesses, age : int64[R]
        Samples, aggregation intervals.
    """

    start_ns: int
    end_ns: int
    sample_us: int
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


def contexts_of(scenario: Scenario) -> dict[str, Context]:
    """Descriptions of the monitoring contexts by kdamond, as first started."""
    own = [(scenario.policy.start, scenario.policy.kdamonds(scenario.topology))]
    own += [(e.at_ns, e.kdamonds) for e in scenario.events if e.action == "start"]
    started = [k for _, kdamonds in sorted(own, key=lambda p: p[0]) for k in kdamonds]
    found = [context for kdamond in started for context in kdamond.contexts]
    return {f"kdamond.{i}": context for i, context in enumerate(found)}


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
        sample_us = _sample_us(result, str(name), context.attrs, at)
        ratio = max(1, context.attrs.aggr_us // max(1, context.attrs.sample_us))
        before = max(0, int(at[0]) - int(sample_us[0]) * ratio * 1000)
        snapshots = []
        for i, parts in enumerate(zip(*(np.split(c, first[1:]) for c in columns), strict=True)):
            snapshots.append(Seen(before, int(at[i]), int(sample_us[i]), *parts))
            before = int(at[i])
        index = int(str(name).rpartition(".")[2])
        found.append(Watched(str(name), index, int(str(target)), context, snapshots))
    if not found:
        hint = "kdamonds leave one after each aggregation"
        raise ConfigError(Problem("", "the run holds no monitoring snapshots", hint))
    return sorted(found, key=lambda w: (w.index, w.target))


def _sample_us(result: Result, name: str, attrs: Attrs, at_ns: np.ndarray) -> np.ndarray:
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
            "intervals": _intervals(one.context.attrs),
            "scheme_idx": None,
            "target_id": number,
            "scheme_filters": [],
            "snapshots": [_snapshot(seen) for seen in one.snapshots],
            "data_source": "unknown",
        }
        for number, one in enumerate(watched(result))
    ]


def _intervals(attrs: Attrs) -> dict[str, Any]:
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
        "regions": [
            {
                "start": str(start),
                "end": str(end),
                "nr_accesses": {"samples": nr, "percent": None},
                "age": {"usec": None, "aggr_intervals": str(age)},
                "probe_hits": [],
                "sz_filter_passed": "0",
            }
            for start, end, nr, age in rows
        ],
        "total_bytes": str(int((seen.end - seen.start).sum())),
        "damos_stats": None,
        "sample_interval_us": str(seen.sample_us),
    }


# -- side files ----------------------------------------------------------------------------------


def kdamonds(result: Result) -> list[dict[str, Any]]:
    """Kdamonds with their parameters, and each scheme's eight statistics at the end of the run."""
    scenario = result.scenario()
    started = [*scenario.policy.kdamonds(scenario.topology)]
    started += [k for e in scenario.events if e.action == "start" for k in e.kdamonds]
    tree: list[dict[str, Any]] = to_tree(started)["kdamonds"]
    number = 0
    for kdamond, spec in zip(tree, started, strict=True):
        kdamond["state"], kdamond["pid"] = "on", None
        for context, described in zip(kdamond["contexts"], spec.contexts, strict=True):
            for s, scheme in enumerate(context["schemes"]):
                most = described.schemes[s].max_nr_snapshots
                scheme["stats"] = scheme_stats(result, f"kdamond.{number}", s, most)
            number += 1
    return tree


def scheme_stats(result: Result, kdamond: str, scheme: int, most: int = 0) -> dict[str, int]:
    """The eight statistics of a scheme, by the kernel's names.

    Parameters
    ----------
    result : Result
    kdamond : str
    scheme : int
        Position in its context.
    most : int
        Its limit on snapshots; 0 is none.

    Returns
    -------
    dict of str to int
    """
    rows = result.schemes[(result.schemes.kdamond == kdamond) & (result.schemes.scheme == scheme)]
    last = {name: int(rows[name].iloc[-1]) if len(rows) else 0 for name in STATS}
    return {**last, "max_nr_snapshots": most}


def footprints(result: Result) -> list[dict[str, Any]]:
    """Memory of every process (in pages of 4 KiB) and of the system (in KiB), at every row."""
    workload = result.scenario().workload
    sizes = {p.name: sum(m.size for m in p.mappings) for p in workload.processes}
    pids = {p.name: workload.pid(i) for i, p in enumerate(workload.processes)}
    held = result.residency.groupby(["t_s", "process"]).bytes.sum()
    system = result.nodes.groupby("t_s")[["managed_bytes", "free_bytes"]].sum()
    found = []
    for t_s, row in system.iterrows():
        processes = [
            {
                "pid": pids[name],
                "footprint": _of_process(sizes[name], int(held.get((t_s, name), 0))),
            }
            for name in sizes
            if held.get((t_s, name), 0) > 0
        ]
        total, free = int(row.managed_bytes) // KIB, int(row.free_bytes) // KIB
        memory = {"total": total, "free": free, "available": free, "buffers": 0, "cached": 0}
        found.append({"time": t_s, "footprints": [*processes, {"pid": None, "footprint": memory}]})
    return found


def _of_process(size_bytes: int, resident_bytes: int) -> dict[str, int]:
    size, resident = size_bytes // PAGE_BYTES, resident_bytes // PAGE_BYTES
    return {
        "size": size, "resident": resident, "shared": 0, "trs": 0, "lrs": 0, "drs": size, "dt": 0
    }  # fmt: skip


def vmas(result: Result) -> list[dict[str, Any]]:
    """Mappings of every process, from its start on."""
    workload = result.scenario().workload
    found = []
    for p, process in enumerate(workload.processes):
        areas = [
            {"start": at, "end": at + m.size, "name": m.name}
            for m, at in zip(process.mappings, process.addresses(), strict=True)
        ]
        start_s = process.start / 1e9
        found.append({"time": start_s, "procvmas": [{"pid": workload.pid(p), "vmas": areas}]})
    return found


# -- files ---------------------------------------------------------------------------------------

SIDE_FILES: dict[str, Callable[[Result], Any]] = {
    "kdamonds": kdamonds,
    "mem_footprint": footprints,
    "vmas": vmas,
}
"""Endings of the files beside a record → what they hold."""


def write(result: Result, path: str | Path) -> list[Path]:
    """Write a record and its side files.

    Parameters
    ----------
    result : Result
    path : str or Path
        Of the record; the side files add their endings.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    ConfigError
        If nothing was monitored.
    """
    path = Path(path)
    path.write_bytes(zlib.compress(json.dumps(records(result)).encode()))
    files = [path]
    for ending, content in SIDE_FILES.items():
        beside = path.with_name(f"{path.name}.{ending}")
        beside.write_text(json.dumps(content(result)))
        files.append(beside)
    return files


def write_perf_script(result: Result, path: str | Path) -> list[Path]:
    """Write the same as the text that ``perf script`` prints of ``damon:damon_aggregated``.

    It holds no intervals, so heat is in samples there, and ``damo report access`` needs more.

    Raises
    ------
    ConfigError
        If nothing was monitored.
    """
    path = Path(path)
    lines = [line for number, one in enumerate(watched(result)) for line in _lines(one, number)]
    tunings = result.tunings
    for t_s, kdamond, sample_us in zip(
        tunings.t_s, tunings.kdamond, tunings.sample_us, strict=True
    ):
        who = _who(int(str(kdamond).rpartition(".")[2]), round(t_s * 1e9))
        text = f"{who}: damon:damon_monitor_intervals_tune: sample_us={sample_us}\n"
        lines.append((round(t_s * 1e9), text))
    lines.sort(key=lambda line: line[0])  # stable: targets and regions stay in order
    path.write_text("".join(text for _, text in lines), encoding="ascii")
    return [path]


def _who(index: int, at_ns: int) -> str:
    """Thread, pid, CPU and time of a line."""
    seconds, ns = divmod(at_ns, 10**9)
    return f"kdamond.{index}  {4000 + index} [000] {seconds}.{ns // 1000:06d}"


def _lines(one: Watched, target_id: int) -> Iterator[tuple[int, str]]:
    for seen in one.snapshots:
        who = _who(one.index, seen.end_ns)
        what = f"damon:damon_aggregated: target_id={target_id} nr_regions={len(seen.start)}"
        columns = (seen.start, seen.end, seen.nr_accesses, seen.age)
        for start, end, nr, age in zip(*(c.tolist() for c in columns), strict=True):
            yield seen.end_ns, f"{who}: {what} {start}-{end}: {nr} {age}\n"
