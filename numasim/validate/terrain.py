"""Where the data of recorded programs lies, as one kdamond sees it, and how fast it was accessed.

Positions of all data pages in address order, without what lies between them, are *data
coordinates*: profiles and sizes count only pages of the workload.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.damon.spec import Context
from numasim.validate.observed import Watch
from numasim.validate.recording import Recording

Key = tuple[int, str]
"""Program and mapping."""
BINS = 200


@dataclass(frozen=True)
class Terrain:
    """Data pages in the addresses that one target covers.

    Parameters
    ----------
    keys : tuple of (int, str)
        Mappings that have pages here.
    pages : float64[M]
        How many.
    start, end : int64[K]
        Runs of pages, ascending.
    owner : int64[K]
        Mapping of each run.
    weight : float64[K]
        Share of a run's pages that are data; below 1 where only blocks were recorded.
    """

    keys: tuple[Key, ...]
    pages: np.ndarray
    start: np.ndarray
    end: np.ndarray
    owner: np.ndarray
    weight: np.ndarray

    @property
    def total(self) -> float:
        """Data pages."""
        return float(self.pages.sum())

    def below(self, page: np.ndarray, owner: int | None = None) -> np.ndarray:
        """Data pages (of one mapping) below addresses: their data coordinate. float64[N]"""
        own = slice(None) if owner is None else np.flatnonzero(self.owner == owner)
        start, end, weight = self.start[own], self.end[own], self.weight[own]
        before = np.concatenate([[0.0], np.cumsum((end - start) * weight)])
        at = np.searchsorted(end, page, "right")
        inside = np.append(start, np.iinfo(np.int64).max)[at]
        part = np.maximum(page - inside, 0) * np.append(weight, 0.0)[at]
        found: np.ndarray = before[at] + part
        return found

    def data(self, regions: np.ndarray, owner: int | None = None) -> np.ndarray:
        """Data pages (of one mapping) in each region. float64[N]"""
        start = regions[:, 0]
        found: np.ndarray = self.below(start + regions[:, 1], owner) - self.below(start, owner)
        return found


def terrain(
    recording: Recording, context: Context | None, target: int, watch: Watch
) -> Terrain | None:
    """The data that a target covers; None where no table tells."""
    if not len(watch):
        return None
    regions = watch.rows(0)
    low, high = int(regions[0, 0]), int((regions[:, 0] + regions[:, 1]).max())
    ram_end = max(z.start_pfn + z.spanned for z in recording.setup.zones)
    physical = context.ops == "paddr" if context else high <= ram_end
    if physical:
        runs = {key: rows[:, 1:] for key, rows in recording.populated.items()}
    else:
        own = _program(recording, context, target)
        runs = {
            (own, region.name): np.array([[region.start_page, region.pages]])
            for region in recording.setup.programs[own].regions
        }
    blocks = {
        key for key, rows in recording.populated.items() if physical and (rows[:, 0] < 0).any()
    }
    return _of_runs(runs, blocks, low, high)


def _program(recording: Recording, context: Context | None, target: int) -> int:
    pid = context.targets[target].pid if context and target < len(context.targets) else None
    pids = [program.pid for program in recording.setup.programs]
    return pids.index(pid) if pid in pids else 0


def _of_runs(runs: dict[Key, np.ndarray], blocks: set[Key], low: int, high: int) -> Terrain | None:
    keys: list[Key] = []
    rows: list[np.ndarray] = []
    for key, own in runs.items():
        length = np.where(key in blocks, 512, own[:, 1])
        inside = (own[:, 0] >= low) & (own[:, 0] + length <= high) & (own[:, 1] > 0)
        if not inside.any():
            continue
        part = np.stack(
            [own[:, 0], own[:, 0] + length, np.full(len(own), len(keys)), own[:, 1]], axis=1
        )
        rows.append(part[inside])
        keys.append(key)
    if not keys:
        return None
    table = np.concatenate(rows)
    table = table[np.argsort(table[:, 0], kind="stable")]
    start, end, owner, nr = table.T
    pages = np.bincount(owner, nr, minlength=len(keys))
    return Terrain(tuple(keys), pages, start, end, owner, nr / (end - start))


@dataclass(frozen=True)
class Phase:
    """A stretch of one program's time in which the same lines of accesses ran."""

    program: int
    number: int
    begin_s: float
    end_s: float


def phases(recording: Recording) -> list[Phase]:
    """Phases of all programs, as they really began and ended."""
    found = []
    for p, table in enumerate(recording.truth):
        ends, numbers = table.index.to_numpy(float), table["phase"].to_numpy(int)
        begins = np.flatnonzero(np.append(True, numbers[1:] != numbers[:-1]))
        for first, last in zip(begins, [*(begins[1:] - 1), len(ends) - 1], strict=True):
            began = float(ends[first - 1]) if first else 0.0
            found.append(Phase(p, int(numbers[first]), began, float(ends[last])))
    return found


class Truth:
    """Accesses that the programs really made.

    Parameters
    ----------
    recording : Recording
    """

    def __init__(self, recording: Recording) -> None:
        self._ends: dict[Key, np.ndarray] = {}
        self._done: dict[Key, np.ndarray] = {}
        for p, (program, table) in enumerate(
            zip(recording.setup.programs, recording.truth, strict=True)
        ):
            ends = np.append(0.0, table.index.to_numpy(float))
            numbers = table["phase"].to_numpy(int)
            per_page = {region.name: np.zeros(len(table)) for region in program.regions}
            size = {region.name: region.pages for region in program.regions}
            for phase, lines in enumerate(program.phases):
                inside = numbers % max(1, len(program.phases)) == phase
                for j, line in enumerate(lines):
                    if f"acc{j}" in table and line.region in per_page:
                        counts = np.where(inside, table[f"acc{j}"].to_numpy(float), 0.0)
                        per_page[line.region] += counts / size[line.region]
            for name, counts in per_page.items():
                self._ends[p, name] = ends
                self._done[p, name] = np.append(0.0, np.cumsum(counts))

    def rate(self, key: Key, begin_s: np.ndarray, end_s: np.ndarray) -> np.ndarray:
        """Accesses per page and second of a mapping within stretches of time. float64[N]"""
        ends, done = self._ends[key], self._done[key]
        more = np.interp(end_s, ends, done) - np.interp(begin_s, ends, done)
        found: np.ndarray = more / np.maximum(end_s - begin_s, 1e-9)
        return found


def profile(terrain: Terrain, regions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum over regions of a value spread over their data, in even steps of data coordinates.

    Parameters
    ----------
    terrain : Terrain
    regions : int64[N, 4]
    values : float64[N]
        Of each page of a region.

    Returns
    -------
    float64[BINS]
        Mean over a bin's data pages of the sum of values.
    """
    first = terrain.below(regions[:, 0])
    last = terrain.below(regions[:, 0] + regions[:, 1])
    edges = np.linspace(0.0, terrain.total, BINS + 1)
    points = np.concatenate([first, last])
    slopes = np.concatenate([values, -values])
    order = np.argsort(points, kind="stable")
    points, slopes = points[order], slopes[order]
    slope = np.concatenate([[0.0], np.cumsum(slopes)])
    area = np.concatenate([[0.0], np.cumsum(slope[1:-1] * np.diff(points))])
    at = np.searchsorted(points, edges, "right")
    last_at = np.maximum(at - 1, 0)
    height = area[last_at] + slope[at] * np.maximum(edges - points[last_at], 0.0)
    found: np.ndarray = np.diff(height) / np.diff(edges)
    return found


def owner_bins(terrain: Terrain) -> np.ndarray:
    """Share of each bin's data pages that each mapping has. float64[M, BINS]"""
    edges = np.linspace(0.0, terrain.total, BINS + 1)
    lengths = (terrain.end - terrain.start) * terrain.weight
    ends = np.cumsum(lengths)
    shares = []
    for owner in range(len(terrain.keys)):
        own = np.cumsum(np.where(terrain.owner == owner, lengths, 0.0))
        shares.append(np.diff(np.interp(edges, np.append(0, ends), np.append(0, own))))
    found: np.ndarray = np.array(shares) / np.diff(edges)
    return found
