"""One monitoring snapshot as damo reads it, with each region's place and true rate beside.

access rate   samples found accessed over samples of an aggregation
Hz            samples found accessed over the seconds of an aggregation; at most one per sample
idle time     0 if accessed, else age and one more aggregation
temperature   100 x rate (%) + 100 x age (us), negative where the rate is 0

Age is in time by the aggregation interval in force, where damo takes the initial one.
Source: damo 3.4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from numasim.errors import ConfigError, Problem
from numasim.formats.damo_record import Seen, Watched, watched
from numasim.hardware import PAGE_BYTES
from numasim.result import Result
from numasim.scenario import Scenario
from numasim.views.cells import in_cells
from numasim.views.truth import physical_rates, virtual_rates

PERCENTILES = (0, 1, 25, 50, 75, 99, 100)
HISTOGRAM_ROWS = 10
FREQUENCY_WEIGHT = AGE_WEIGHT = 100


@dataclass(frozen=True)
class Snapshot:
    """What one target's regions were at an instant.

    Parameters
    ----------
    kdamond : str
    target : int
    t_s : float
        When it was complete.
    sample_us, aggr_us : int
        Intervals it was seen with.
    regions : pandas.DataFrame
        ``start, end, size, where, samples, rate, hz, true_hz, age_us, idle_us, temperature``:
        bytes, node (mapping, of virtual addresses), shares, per second and page, microseconds.
    """

    kdamond: str
    target: int
    t_s: float
    sample_us: int
    aggr_us: int
    regions: pd.DataFrame

    @property
    def max_hz(self) -> float:
        """The highest rate that can be seen: one access per sample."""
        return 1e6 / self.sample_us

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """damo's estimate of memory bandwidth: every sample a byte of every byte of the region."""
        regions = self.regions
        return float((regions.samples * regions["size"]).sum() / (self.aggr_us / 1e6))


def snapshots_at(
    result: Result, t_s: float | None = None, kdamond: int | None = None
) -> list[Snapshot]:
    """The latest snapshot of every target at an instant.

    Parameters
    ----------
    result : Result
    t_s : float, optional
        Left out: the end of the run.
    kdamond : int, optional
        Only of that one.

    Returns
    -------
    list of Snapshot

    Raises
    ------
    ConfigError
        If there is none by then, or the run has ended before.
    """
    scenario = result.scenario()
    if t_s is not None and t_s * 1e9 > scenario.duration_ns:
        message = f"got {t_s:g} s, but the run ends at {scenario.duration_ns / 1e9:g} s"
        raise ConfigError(Problem("--at", message))
    found = []
    for one in select(result, kdamond):
        ends = [seen.end_ns for seen in one.snapshots]
        last = len(ends) if t_s is None else int(np.searchsorted(ends, t_s * 1e9, "right"))
        if last:
            found.append(described(result, scenario, one, one.snapshots[last - 1]))
    if not found:
        first = min(one.snapshots[0].end_ns for one in watched(result)) / 1e9
        raise ConfigError(Problem("--at", "nothing was seen by then", f"first at {first:g} s"))
    return found


def select(result: Result, kdamond: int | None) -> list[Watched]:
    """What was watched, by one kdamond or by all.

    Raises
    ------
    ConfigError
        If that one does not exist.
    """
    every = watched(result)
    own = [one for one in every if kdamond in (None, one.index)]
    if not own:
        known = ", ".join(str(i) for i in dict.fromkeys(one.index for one in every))
        raise ConfigError(Problem("--kdamond", f"there is no {kdamond}", f"known: {known}"))
    return own


def described(result: Result, scenario: Scenario, one: Watched, seen: Seen) -> Snapshot:
    """A snapshot with everything that follows from it."""
    t_s, aggr_us = seen.end_ns / 1e9, seen.sample_us * seen.samples
    rate = seen.nr_accesses / seen.samples
    age_us = seen.age * aggr_us
    pid = None
    if one.context.ops != "paddr" and one.target < len(one.context.targets):
        pid = one.context.targets[one.target].pid
    if pid is None:
        where = list(_nodes(scenario, seen.start, seen.end))
        true = physical_rates(result, scenario, t_s, seen.start, seen.end)
    else:
        where = list(_mappings(scenario, pid, seen.start, seen.end))
        true = virtual_rates(result, scenario, pid, t_s, seen.start, seen.end)
    warmth = FREQUENCY_WEIGHT * 100 * rate + AGE_WEIGHT * age_us
    regions = pd.DataFrame(
        {
            "start": seen.start,
            "end": seen.end,
            "size": seen.end - seen.start,
            "where": where,
            "samples": seen.nr_accesses,
            "rate": rate,
            "hz": seen.nr_accesses / (aggr_us / 1e6),
            "true_hz": true,
            "age_us": age_us,
            "idle_us": np.where(seen.nr_accesses > 0, 0, age_us + aggr_us),
            "temperature": np.where(seen.nr_accesses > 0, warmth, -warmth),
        }
    )
    return Snapshot(one.kdamond, one.target, t_s, seen.sample_us, aggr_us, regions)


def _nodes(scenario: Scenario, start: np.ndarray, end: np.ndarray) -> Iterator[str]:
    """Names of the nodes that each physical stretch lies on."""
    machine = scenario.topology
    ranges = [(r, node.name) for node in machine.nodes for r in machine.node_ranges(node.name)]
    for low, high in zip(start.tolist(), end.tolist(), strict=True):
        names = [name for (first, last), name in ranges if first < high and last > low]
        yield " ".join(dict.fromkeys(names))


def _mappings(scenario: Scenario, pid: int, start: np.ndarray, end: np.ndarray) -> Iterator[str]:
    """Names of the mappings that each virtual stretch lies on."""
    workload = scenario.workload
    process = next((p for i, p in enumerate(workload.processes) if workload.pid(i) == pid), None)
    areas = [] if process is None else list(zip(process.mappings, process.addresses(), strict=True))
    for low, high in zip(start.tolist(), end.tolist(), strict=True):
        yield " ".join(m.name for m, at in areas if at < high and at + m.size > low)


# -- distributions -------------------------------------------------------------------------------


def histogram(values: np.ndarray, sizes: np.ndarray) -> list[tuple[float, float, int]]:
    """Bytes by value in equal parts: lower end, upper end, bytes."""
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high, HISTOGRAM_ROWS + 1) if high > low else np.array([low, low + 1])
    part = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    totals = np.bincount(part, sizes, minlength=len(edges) - 1)
    return [
        (float(a), float(b), int(nr))
        for a, b, nr in zip(edges[:-1], edges[1:], totals, strict=True)
    ]


def percentiles(values: np.ndarray, sizes: np.ndarray) -> list[tuple[int, float]]:
    """Values that so many percent of the bytes stay at or below."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(sizes[order])
    return [
        (
            p,
            float(
                values[order][min(len(order) - 1, int(np.searchsorted(upto, p / 100 * upto[-1])))]
            ),
        )
        for p in PERCENTILES
    ]


# -- over time -----------------------------------------------------------------------------------


def heat_grid(
    one: Watched, rows: int, columns: int
) -> tuple[np.ndarray, tuple[float, float], tuple[int, int]]:
    """Mean Hz over time (downward) and address (rightward) of one target.

    Parameters
    ----------
    one : Watched
    rows, columns : int

    Returns
    -------
    heat : float64[rows, columns]
        Mean over time and space of what was seen; NaN where nobody looked.
    span_s : tuple of float
    addresses : tuple of int
    """
    first, last = one.snapshots[0].start_ns, one.snapshots[-1].end_ns
    low = min(int(seen.start[0]) for seen in one.snapshots)
    high = max(int(seen.end[-1]) for seen in one.snapshots)
    edges = np.linspace(low, high, columns + 1)
    warm, looked = np.zeros((rows, columns)), np.zeros((rows, columns))
    step = max(1.0, (last - first) / rows)
    for seen in one.snapshots:
        hz = seen.nr_accesses / (seen.sample_us * seen.samples / 1e6)
        covered, heat = in_cells(edges, seen.start, seen.end, hz)
        begin, stop = (seen.start_ns - first) / step, (seen.end_ns - first) / step
        for row in range(int(begin), min(rows, int(np.ceil(stop)))):
            share = min(stop, row + 1) - max(begin, row)
            warm[row] += share * heat
            looked[row] += share * covered
    mean = np.where(looked > 0, warm / np.maximum(looked, 1e-12), np.nan)
    return mean, (first / 1e9, last / 1e9), (low, high)


def working_set_by_node(result: Result) -> pd.DataFrame:
    """Bytes of regions with at least one access, by the node they lie on.

    Returns
    -------
    pandas.DataFrame
        ``seen_s, kdamond, target, where, bytes``; a region across nodes is cut at the border, and
        virtual addresses have no node (``where`` is "virtual").
    """
    scenario = result.scenario()
    machine = scenario.topology
    rows = []
    for one in watched(result):
        physical = one.context.ops == "paddr"
        for seen in one.snapshots:
            hot = seen.nr_accesses > 0
            start, end = seen.start[hot], seen.end[hot]
            key = (seen.end_ns / 1e9, one.kdamond, one.target)
            if not physical:
                rows.append((*key, "virtual", int((end - start).sum())))
                continue
            for node in machine.nodes:
                overlap = [
                    np.maximum(0, np.minimum(end, b) - np.maximum(start, a)).sum()
                    for a, b in machine.node_ranges(node.name)
                ]
                rows.append((*key, node.name, int(sum(overlap))))
    found = pd.DataFrame(rows, columns=["seen_s", "kdamond", "target", "where", "bytes"])
    watches = found.groupby(["kdamond", "target", "where"]).bytes.transform("max") > 0
    return found[watches].reset_index(drop=True)


def region_counts(result: Result) -> pd.DataFrame:
    """``seen_s, kdamond, target, regions``: how many regions each snapshot had."""
    rows = [
        (seen.end_ns / 1e9, one.kdamond, one.target, len(seen.start))
        for one in watched(result)
        for seen in one.snapshots
    ]
    return pd.DataFrame(rows, columns=["seen_s", "kdamond", "target", "regions"])


def times_of(
    one: Watched,
    rate: tuple[float, float],
    addresses: tuple[int, int],
    least_bytes: int = PAGE_BYTES,
) -> list[tuple[float, float]]:
    """Spans (s) in which regions of an access rate (shares) covered enough of some addresses."""
    spans: list[tuple[float, float]] = []
    for seen in one.snapshots:
        share = seen.nr_accesses / seen.samples
        fits = (share >= rate[0]) & (share <= rate[1])
        inside = np.minimum(seen.end, addresses[1]) - np.maximum(seen.start, addresses[0])
        if np.maximum(0, inside)[fits].sum() < least_bytes:
            continue
        begin, end = seen.start_ns / 1e9, seen.end_ns / 1e9
        if spans and spans[-1][1] == begin:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))
    return spans
