"""The true rate of stretches of addresses: what DAMON's estimate is an estimate of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numasim.hardware import PAGE_BYTES
from numasim.pages import PageSpace
from numasim.result import Result
from numasim.scenario import Scenario
from numasim.seeds import Seeds


def physical_rates(
    result: Result, scenario: Scenario, t_s: float, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Mean visits per second to a 4 KiB page of each physical stretch; NaN where none is recorded.

    Parameters
    ----------
    result : Result
    scenario : Scenario
        The result's.
    t_s : float
        Instant.
    start, end : int64[R]
        Bytes, ascending.

    Returns
    -------
    float64[R]

    Notes
    -----
    The recorded truth has 256 bins per node, each a mean since the row before; a bin is taken as
    even. The first row at or after the instant counts, else the last.
    """
    visits, covered = np.zeros(len(start)), np.zeros(len(start))
    for node in scenario.topology.nodes:
        rows = result.truth[result.truth.node == node.name]
        if not len(rows):
            continue
        at = np.unique(rows.t_s.to_numpy(float))
        now = at[min(len(at) - 1, int(np.searchsorted(at, t_s - 1e-9)))]
        bins = rows.visits_per_s[rows.t_s == now].to_numpy(float)
        ranges = scenario.topology.node_ranges(node.name)
        known = np.array(ranges, np.int64).reshape(-1)
        # a position is where an address would lie if the node's ranges joined
        place = np.repeat(np.cumsum([0] + [b - a for a, b in ranges]), 2)[1:-1]
        edges = np.linspace(0, place[-1], len(bins) + 1)
        whole = np.concatenate([[0.0], np.cumsum(bins)])
        low, high = (np.interp(a, known, place) for a in (start, end))
        visits += np.interp(high, edges, whole) - np.interp(low, edges, whole)
        covered += high - low
    rates = np.maximum(visits, 0.0) * PAGE_BYTES / np.maximum(covered, 1)  # no -0 of rounding
    return np.where(covered > 0, rates, np.nan)


def virtual_rates(
    result: Result, scenario: Scenario, pid: int, t_s: float, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Mean visits per second to a 4 KiB page of each virtual stretch of a process.

    Parameters
    ----------
    result : Result
    scenario : Scenario
        The result's.
    pid : int
        Of the process.
    t_s : float
        Instant.
    start, end : int64[R]
        Bytes.

    Returns
    -------
    float64[R]
        NaN where nothing is mapped.

    Notes
    -----
    From the workload's description and the recorded speed of its actors; the front of a sweep is
    spread over its extent.
    """
    workload = scenario.workload
    process = next((p for p in range(len(workload.processes)) if workload.pid(p) == pid), -1)
    if process < 0:
        return np.full(len(start), np.nan)
    space = PageSpace(workload, Seeds(scenario.seed))
    rates = class_rates(result, scenario, space, process, t_s)
    visits, pages = np.zeros(len(start)), np.zeros(len(start))
    for mapping in space.mappings:
        if mapping.process != process:
            continue
        own = rates[space.class_of[mapping.first : mapping.first + mapping.nr]]
        whole = np.concatenate([[0.0], np.cumsum(own)])
        first, last = (
            np.clip((a - mapping.address) // space.frame_bytes, 0, mapping.nr) for a in (start, end)
        )
        visits += whole[last] - whole[first]
        pages += last - first
    return np.where(pages > 0, visits / np.maximum(pages, 1), np.nan)


def class_rates(
    result: Result, scenario: Scenario, space: PageSpace, process: int, t_s: float
) -> np.ndarray:
    """float64[C]: visits per second to one page of each class at an instant."""
    rates = np.zeros(space.nr_classes)
    for number, phase, ops_per_s, work in _working(result, scenario, process, t_s):
        for (p, a, f, _), compiled in space.patterns.items():
            if (p, a, f) == (process, number, phase):
                rates += ops_per_s * compiled.pattern.visits * compiled.page_weights(work)
    return rates


def _working(
    result: Result, scenario: Scenario, process: int, t_s: float
) -> Iterator[tuple[int, int, float, float]]:
    """Actors of a process that run at an instant: number, phase, speed, operations in the phase."""
    owner = scenario.workload.processes[process]
    for number, actor in enumerate(owner.actors):
        rows = result.actors[result.actors.actor == f"{owner.name}/{actor.name}"]
        at = int(np.searchsorted(rows.t_s.to_numpy(float), t_s, "right")) - 1
        if at < 0 or not rows.ops_per_s.iloc[at] > 0:
            continue
        phase = next(
            (i for i, f in enumerate(actor.phases) if (f.name or str(i)) == rows.phase.iloc[at]), 0
        )
        began = rows.operations[rows.phase == rows.phase.iloc[at]].iloc[0]
        work = float(rows.operations.iloc[at] - began)
        yield number, phase, float(rows.ops_per_s.iloc[at]), work
