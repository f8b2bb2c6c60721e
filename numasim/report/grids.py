"""Heat over time and address on regular grids: the truth, and what DAMON saw of it.

Heat is accesses to one page per second, in both. For DAMON that is damo's own reading of a region:
samples that found it accessed, over the time of one aggregation. It cannot exceed one per sampling
interval. A cell is the mean over its part of the addresses, at the snapshot in force at its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from numasim.hardware import PAGE_BYTES
from numasim.pages import MappingPages, PageSpace
from numasim.report.series import contexts, times, topology
from numasim.result import Result
from numasim.seeds import Seeds
from numasim.views.truth import class_rates

CROP_BELOW = 0.6  # a node accessed in less than that share of its frames is shown only so far

COLUMNS = 240
ROWS = 256
LARGEST_AREAS = 2  # shown of each virtual target


@dataclass(frozen=True)
class Grid:
    """Heat of a stretch of addresses.

    Parameters
    ----------
    heat : float64[rows, columns]
        Accesses per page and second, lowest address first; NaN where nobody looked.
    end_s : float
        The columns divide ``[0, end_s)``.
    start, size_bytes : int
        First address (or offset), and bytes covered by all rows.
    """

    heat: np.ndarray
    end_s: float
    start: int
    size_bytes: int

    def used_bytes(self) -> int:
        """Bytes from `start` up to the highest row that was ever accessed."""
        rows = np.flatnonzero(np.nan_to_num(self.heat).max(axis=1, initial=0) > 0)
        return int(self.size_bytes * (rows[-1] + 1) / len(self.heat)) if len(rows) else 0

    def cropped(self, size_bytes: int) -> Grid:
        """The same up to a size; whole rows."""
        keep = max(1, round(len(self.heat) * size_bytes / self.size_bytes))
        return Grid(
            self.heat[:keep], self.end_s, self.start, self.size_bytes * keep // len(self.heat)
        )


def truth(result: Result, node: str) -> Grid | None:
    """True heat of a node's frames, in order; None if none was recorded."""
    rows = result.truth[result.truth.node == node]
    if not len(rows):
        return None
    at, first = np.unique(rows.t_s.to_numpy(float), return_index=True)
    bins = int(rows.bin.max()) + 1
    per_s = rows.visits_per_s.to_numpy(float).reshape(len(first), bins)
    size = sum(end - start for start, end in topology(result).node_ranges(node))
    heat = per_s * (bins * PAGE_BYTES / size)
    end_s = float(times(result)[-1])
    return Grid(heat[_in_force(at, end_s)].T, end_s, 0, size)


def _in_force(at: np.ndarray, end_s: float) -> np.ndarray:
    """int64[columns]: record in force amid each column of time; -1 before the first."""
    nr = min(COLUMNS, max(1, len(at)))
    middles = (np.arange(nr) + 0.5) * end_s / nr
    return np.searchsorted(at, middles, "right") - 1


# -- DAMON's view ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """Snapshots of one kdamond's target, with heat; sorted by record time and address."""

    kdamond: str
    target: int
    physical: bool
    t_s: np.ndarray
    start: np.ndarray
    end: np.ndarray
    heat: np.ndarray


def seen(result: Result) -> list[Seen]:
    """Everything that contexts saw, by kdamond and target."""
    known = contexts(result)
    machine = topology(result)
    highest = max(end for n in range(len(machine.nodes)) for _, end in machine.node_ranges(n))
    found = []
    for (kdamond, _), rows in result.snapshots.groupby(["kdamond", "target"], sort=True):
        rows = rows.sort_values(["t_s", "start"], kind="stable")
        heat = (
            rows.nr_accesses / rows.max_nr_accesses / _sample_s(result, str(kdamond), rows.seen_s)
        )
        context = known.get(str(kdamond))
        unit = context.addr_unit if context else 1
        physical = context.ops == "paddr" if context else bool(rows.end.max() <= highest)
        found.append(
            Seen(
                str(kdamond),
                int(rows.target.iloc[0]),
                physical,
                rows.t_s.to_numpy(float),
                rows.start.to_numpy(np.int64) * unit,
                rows.end.to_numpy(np.int64) * unit,
                heat.to_numpy(float),
            )
        )
    return found


def _sample_s(result: Result, kdamond: str, seen_s: pd.Series) -> np.ndarray:
    """float64[N]: the sampling interval in force when a snapshot was taken, s; NaN if not told."""
    own = result.kdamonds[result.kdamonds.kdamond == kdamond]
    if not len(own):
        return np.full(len(seen_s), np.nan)
    at = np.searchsorted(own.t_s.to_numpy(float), seen_s.to_numpy(float), "right") - 1
    sample_us: np.ndarray = own.sample_us.to_numpy(float)
    in_force: np.ndarray = sample_us[np.maximum(at, 0)] / 1e6
    return in_force


def view_of_node(result: Result, node: str, parts: Sequence[Seen], size_bytes: int) -> Grid | None:
    """DAMON's view of the first `size_bytes` of a node's frames; None if no context looks there."""
    ranges = topology(result).node_ranges(node)
    offsets = np.cumsum([0] + [end - start for start, end in ranges])
    # a position is where an address would lie if the node's ranges joined
    known = np.array(ranges, np.int64).reshape(-1)
    place = np.repeat(offsets, 2)[1:-1]
    total = None
    for part in (p for p in parts if p.physical):
        low, high = (np.interp(a, known, place) for a in (part.start, part.end))
        grid = _rasterise(result, part, low, high, 0, size_bytes)
        total = grid if total is None else _either(total, grid)
    return total if total is not None and np.isfinite(total.heat).any() else None


def watchers(result: Result, node: str, parts: Sequence[Seen]) -> tuple[str, ...]:
    """Names of the kdamonds that look at a node's frames."""
    ranges = topology(result).node_ranges(node)
    return tuple(
        dict.fromkeys(
            p.kdamond
            for p in parts
            if p.physical
            and any(((p.start < end) & (p.end > start)).any() for start, end in ranges)
        )
    )


@dataclass(frozen=True)
class Pair:
    """A node's truth beside DAMON's view, both cut to the frames that were ever accessed.

    Parameters
    ----------
    name, kind : str
    whole_bytes : int
        Of the node, of which a part may be shown.
    truth : Grid
    view : Grid or None
    """

    name: str
    kind: str
    whole_bytes: int
    truth: Grid
    view: Grid | None

    @property
    def cut(self) -> bool:
        """Whether only a part is shown."""
        return self.truth.size_bytes < self.whole_bytes


def pairs_of_nodes(result: Result, parts: Sequence[Seen]) -> tuple[list[Pair], list[str]]:
    """Every node that was accessed, and names of those that never were."""
    found, idle = [], []
    for node in topology(result).nodes:
        true = truth(result, node.name)
        if true is None:
            continue
        whole = true.size_bytes
        view = view_of_node(result, node.name, parts, whole)
        used = max(true.used_bytes(), view.used_bytes() if view else 0)
        if not used:
            idle.append(node.name)
            continue
        if used < CROP_BELOW * whole:
            true = true.cropped(min(whole, max(int(used * 1.12), whole // 64)))
            view = view_of_node(result, node.name, parts, true.size_bytes)
        found.append(Pair(node.name, node.kind, whole, true, view))
    return found, idle


def _either(a: Grid, b: Grid) -> Grid:
    """Where two contexts look at the same addresses: their mean."""
    both = np.stack([a.heat, b.heat])
    known = np.isfinite(both)
    heat = np.where(known, both, 0).sum(axis=0) / np.where(
        known.any(axis=0), known.sum(axis=0), np.nan
    )
    return Grid(heat, a.end_s, a.start, a.size_bytes)


def _rasterise(
    result: Result, part: Seen, low: np.ndarray, high: np.ndarray, start: int, size_bytes: int
) -> Grid:
    """Mean heat of each cell of a stretch of addresses; regions may leave gaps."""
    at, first = np.unique(part.t_s, return_index=True)
    last = np.append(first[1:], len(part.t_s))
    end_s = float(times(result)[-1])
    recorded = np.unique(result.snapshots.t_s.to_numpy(float))
    alive_s = _last_row_s(result, part.kdamond)
    nr = min(COLUMNS, max(1, len(recorded)))
    middles = (np.arange(nr) + 0.5) * end_s / nr
    index = np.searchsorted(at, middles, "right") - 1
    index[middles > alive_s + end_s / nr] = -1
    edges = start + np.arange(ROWS + 1) * (size_bytes / ROWS)
    columns = {
        i: _column(
            low[first[i] : last[i]], high[first[i] : last[i]], part.heat[first[i] : last[i]], edges
        )
        for i in np.unique(index[index >= 0])
    }
    nothing = np.full(ROWS, np.nan)
    return Grid(
        np.stack([columns.get(i, nothing) for i in index], axis=1), end_s, start, size_bytes
    )


def _last_row_s(result: Result, kdamond: str) -> float:
    return float(result.kdamonds.t_s[result.kdamonds.kdamond == kdamond].max())


def _column(low: np.ndarray, high: np.ndarray, heat: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """float64[rows]: mean heat over the part of each row that regions ``[low, high)`` cover."""
    bounds = np.stack([low, high], axis=1).reshape(-1)
    size = high - low
    covered = np.interp(edges, bounds, np.repeat(np.r_[0, np.cumsum(size)], 2)[1:-1])
    warm = np.interp(edges, bounds, np.repeat(np.r_[0, np.cumsum(size * heat)], 2)[1:-1])
    covered, warm = np.diff(covered), np.diff(warm)
    return np.where(covered > 0.25 * np.diff(edges), warm / np.maximum(covered, 1e-9), np.nan)


# -- virtual addresses -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Area:
    """A stretch of one target's virtual addresses, with both views of it.

    `mappings` are those of its process that are known: process, name, address.
    """

    title: str
    kdamond: str
    truth: Grid | None
    view: Grid
    mappings: tuple[tuple[str, str, int], ...] = ()


def areas(result: Result, parts: Sequence[Seen]) -> list[Area]:
    """The largest areas of every virtual target.

    Notes
    -----
    An area is a run of mappings without a gap wider than the mappings beside it. The truth follows
    from the workload's description and the recorded speed of its actors; the front of a sweep is
    spread over its extent.
    """
    found = []
    for part in (p for p in parts if not p.physical):
        space, process, mappings = _mappings(result, part)
        name = result.scenario().workload.processes[process].name if mappings else ""
        own = tuple((name, m.mapping.name, m.address) for m in mappings)
        for low, high, names in _stretches(part, mappings)[:LARGEST_AREAS]:
            view = _rasterise(result, part, part.start, part.end, low, high - low)
            true = _virtual_truth(result, space, process, low, high) if space is not None else None
            found.append(Area(names, part.kdamond, true, view, own))
    return found


def _mappings(result: Result, part: Seen) -> tuple[PageSpace | None, int, list[MappingPages]]:
    """Pages of the target's process, as the workload numbers them."""
    context = contexts(result).get(part.kdamond)
    if context is None:
        return None, -1, []
    scenario = result.scenario()
    pid = context.targets[part.target].pid
    workload = scenario.workload
    process = next((p for p in range(len(workload.processes)) if workload.pid(p) == pid), -1)
    space = PageSpace(workload, Seeds(scenario.seed))
    return space, process, [m for m in space.mappings if m.process == process]


def _stretches(part: Seen, mappings: list[MappingPages]) -> list[tuple[int, int, str]]:
    """Largest first: ``(start, end, names of what lies there)``."""
    spans = [(m.address, m.address + m.mapping.size, m.mapping.name) for m in mappings]
    if not spans:
        low, high = int(part.start.min()), int(part.end.max())
        return [(low, high, "whole address space")]
    spans.sort()
    joined: list[tuple[int, int, list[str]]] = [(spans[0][0], spans[0][1], [spans[0][2]])]
    for start, end, name in spans[1:]:
        low, high, names = joined[-1]
        if start - high <= min(end - start, high - low) / 4:
            joined[-1] = (low, end, [*names, name])
        else:
            joined.append((start, end, [name]))
    joined.sort(key=lambda s: s[0] - s[1])
    return [(low, high, _named(names)) for low, high, names in joined]


def _named(names: list[str]) -> str:
    return (
        ", ".join(names) if len(names) <= 4 else f"{names[0]} … {names[-1]} ({len(names)} mappings)"
    )


def _virtual_truth(result: Result, space: PageSpace, process: int, low: int, high: int) -> Grid:
    """True heat of virtual addresses ``[low, high)``."""
    at = np.unique(result.truth.t_s.to_numpy(float)) if len(result.truth) else times(result)
    end_s = float(times(result)[-1])
    at = at[np.unique(np.maximum(_in_force(at, end_s), 0))]
    edges = low + np.arange(ROWS + 1) * ((high - low) / ROWS)
    pages = np.zeros((ROWS, space.nr_classes))
    for m in space.mappings:
        if m.process == process:
            bounds = (np.clip(edges - m.address, 0, m.mapping.size) / space.frame_bytes).astype(
                np.int64
            )
            for row in np.flatnonzero(np.diff(bounds)):
                own = space.class_of[m.first + bounds[row] : m.first + bounds[row + 1]]
                pages[row] += np.bincount(own, minlength=space.nr_classes)
    scenario = result.scenario()
    rates = np.stack([class_rates(result, scenario, space, process, t) for t in at], axis=1)
    with np.errstate(invalid="ignore"):
        heat = pages @ rates / pages.sum(axis=1, keepdims=True)
    return Grid(heat, end_s, low, high - low)
