"""DAMON's recordings as a workload of rates: phases, and in each how often every block is visited.

What an access count tells: of n samples, each a page of the region whose accessed bit had one
sampling interval D to be set, k were found set. With visits at random moments, a bit is set with
``p = 1 - exp(-rate D)``, so that ``rate = -ln(1 - k/n) / D``. What it does not tell:

- a full count (k = n) says "at least": it counts as half a sample less, the largest rate that n
  samples can tell from a larger one;
- no count (k = 0) counts as no visits;
- how pages of a region differ, how many lines a visit takes, how many of them miss the caches, and
  which visits write. The first is taken as alike, the others are parameters.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.formats.traces.damon_snapshots import RATIO, Snapshot
from numasim.segmenting import change_points

OPS_PER_S = 1000
"""An operation of these workloads is what happens in a millisecond."""
MOST_COLUMNS = 64
"""Blocks over which changes of phase are looked for together."""
MOST_ROWS = 512
GAP_BYTES = 2 << 20
MOST_BYTES = 1 << 44
DIGITS = 4


@dataclass(frozen=True)
class Reading:
    """How recordings of DAMON are read.

    Parameters
    ----------
    sample_ns, aggr_ns : int
        Intervals, where the recording does not tell; 0: not given.
    blocks : int
        Blocks of a target, at most, that have rates of their own.
    phases : int
        Phases, at most.
    lines : float
        Lines of a visit.
    miss : float
        Share of them that miss the caches.
    write : float
        Share of visits that write.
    page_bytes : int
    """

    sample_ns: int = 0
    aggr_ns: int = 0
    blocks: int = 256
    phases: int = 24
    lines: float = 1.0
    miss: float = 1.0
    write: float = 0.0
    page_bytes: int = 4096


@dataclass
class Target:
    """Snapshots of one target, on disk."""

    name: str
    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    about: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    guessed: bool = False

    def add(self, one: Snapshot) -> None:
        """One more snapshot, later than those before."""
        self.file.write(np.stack([one.start, one.end, one.hits]).tobytes())
        self.about.append((one.start_ns, one.end_ns, one.sample_ns, one.samples, len(one.start)))
        gaps = np.flatnonzero(one.start[1:] - one.end[:-1] > GAP_BYTES)
        low, high = one.start[np.r_[0, gaps + 1]], one.end[np.r_[gaps, len(one.end) - 1]]
        self.spans = _merged(self.spans + list(zip(low.tolist(), high.tolist(), strict=True)))

    def close(self) -> None:
        """Let the disk go."""
        self.file.close()

    def snapshots(self) -> Iterable[tuple[int, int, int, int, np.ndarray]]:
        """``(start_ns, end_ns, sample_ns, samples, int64[3, R])`` of each."""
        self.file.seek(0)
        for start_ns, end_ns, sample_ns, samples, nr in self.about:
            data = np.frombuffer(self.file.read(24 * nr), np.int64).reshape(3, nr)
            yield start_ns, end_ns, sample_ns, samples, data


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order; those with less than a gap between them are one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if found and low - found[-1][1] <= GAP_BYTES:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def gather(snapshots: Iterable[tuple[str, Snapshot]], source: str) -> list[Target]:
    """Snapshots by target.

    Raises
    ------
    ConfigError
        If times of a target go backwards, or there are none.
    """
    found: dict[str, Target] = {}
    try:
        return _gathered(snapshots, found, source)
    except ConfigError:
        for target in found.values():
            target.close()
        raise


def _gathered(
    snapshots: Iterable[tuple[str, Snapshot]], found: dict[str, Target], source: str
) -> list[Target]:
    problems = []
    for place, one in snapshots:
        if one.target not in found:
            found[one.target] = Target(one.target)
        target = found[one.target]
        if target.about and one.end_ns < target.about[-1][1]:
            last = target.about[-1][1]
            message = f"got {one.end_ns} ns, expected no earlier than {last} ns"
            problems.append(Problem(place, message, "sort the snapshots by time"))
            continue
        target.add(one)
    if problems:
        raise ConfigError(problems[:100], source)
    if not found:
        raise ConfigError(Problem("", "has no snapshot"), source)
    return list(found.values())


def to_workload(
    targets: list[Target], name: str, reading: Reading, source: str, loop: bool = True
) -> dict[str, Any]:
    """Plain data of the workload, as its YAML would give it: a process for each target.

    Parameters
    ----------
    targets : list of Target
    name : str
    reading : Reading
    source : str
        For messages.
    loop : bool
        Begin again after the last phase, or stay in it.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        If intervals are not known, or what was monitored is too large.
    """
    processes = []
    for number, target in enumerate(targets):
        try:
            made = _process(target, reading, loop)
        except ConfigError as error:
            where = f"target {target.name}"
            problems = [Problem(where, p.message, p.hint) for p in error.problems]
            raise ConfigError(problems, source) from None
        processes.append({"name": f"target{number}", **made})
    about = f"rates that DAMON saw in {source}"
    return {"name": name, "description": about, "processes": processes}


def _process(target: Target, reading: Reading, loop: bool) -> dict[str, Any]:
    page = reading.page_bytes
    spans = [(low // page * page, -(-high // page) * page) for low, high in target.spans]
    total = sum(high - low for low, high in spans)
    if total > MOST_BYTES:
        message = f"has {total} bytes of addresses, expected {MOST_BYTES} at most"
        raise ConfigError(Problem("", message, "is it a recording of DAMON?"))
    areas = [_edges(low, high, reading, total) for low, high in spans]
    ends, seen, looked, sample_ns = _seen(target, areas, reading)
    cuts = _cuts(seen / np.maximum(looked, 1e-12), reading.phases)
    phases = []
    for first, last in zip([0, *cuts], [*cuts, len(ends) - 1], strict=True):
        rate = rates(seen[first:last].sum(axis=0), looked[first:last].sum(axis=0), sample_ns)
        length_ns = int(ends[last] - ends[first])
        phases.append(_phase(rate, areas, length_ns, reading))
    mappings = [
        {"name": f"area{i}", "size": f"{high - low} B", "page": f"{page} B"}
        for i, (low, high) in enumerate(spans)
    ]
    actor = {"name": "main", "on": "CPU", "phases": phases, "repeat": loop and len(phases) > 1}
    if len(phases) == 1:
        phases[0].pop("duration")
    return {"mappings": mappings, "actors": [actor]}


def _edges(low: int, high: int, reading: Reading, total: int) -> np.ndarray:
    """int64[N + 1]: bounds of an area's blocks, where the pattern `blocks` will have them."""
    pages = (high - low) // reading.page_bytes
    nr = max(1, min(pages, round(reading.blocks * (high - low) / total)))
    each = -(-pages // nr)
    found: np.ndarray = low + np.minimum(np.arange(-(-pages // each) + 1) * each, pages) * (
        reading.page_bytes
    )
    return found


def _seen(
    target: Target, areas: list[np.ndarray], reading: Reading
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Samples found accessed and samples taken, by time and block.

    Returns
    -------
    ends : float64[T + 1]
        Bounds of the times, ns.
    seen, looked : float64[T, B]
        Of a page of the block, on average.
    sample_ns : float
    """
    about = target.about
    steps = np.diff([a[1] for a in about])
    usual = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
    begin = about[0][0] if about[0][0] >= 0 else about[0][1] - (usual or reading.aggr_ns)
    bounds = np.array([begin, *(a[1] for a in about)], np.float64)
    row_of = np.minimum(np.arange(len(about)) * MOST_ROWS // len(about), MOST_ROWS - 1)
    _, first, row_of = np.unique(row_of, return_index=True, return_inverse=True)
    nr_blocks = sum(len(edges) - 1 for edges in areas)
    seen, looked = np.zeros((2, len(first), nr_blocks))
    intervals = []
    for row, (start_ns, end_ns, sample_ns, samples, data) in zip(
        row_of.tolist(), target.snapshots(), strict=True
    ):
        known = sample_ns or reading.sample_ns
        aggr_ns = reading.aggr_ns or usual or (end_ns - start_ns if start_ns >= 0 else 0)
        if not known and not aggr_ns:
            hint = "give --sample and --aggr, such as --sample '5 ms' --aggr '100 ms'"
            raise ConfigError(Problem("", "does not tell its intervals", hint))
        nr = samples or (max(1, round(aggr_ns / known)) if known else RATIO)
        target.guessed |= not (samples or known)
        most = int(data[2].max())
        if most > nr:
            message = f"has {most} accesses in an aggregation of {nr} samples"
            raise ConfigError(Problem("", message, "give --sample"))
        intervals.append(known or aggr_ns / nr)
        hits, cover = _on_blocks(data, areas)
        seen[row] += hits
        looked[row] += cover * nr
    return bounds[np.r_[first, len(about)]], seen, looked, float(np.mean(intervals))


def _on_blocks(data: np.ndarray, areas: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean hits of each block and the part of it that regions (int64[3, R]) cover. float64[B]"""
    start, end, hits = data
    size = (end - start).astype(np.float64)
    at = np.stack([start, end], axis=1).reshape(-1).astype(np.float64)
    covered = np.repeat(np.r_[0.0, np.cumsum(size)], 2)[1:-1]
    warm = np.repeat(np.r_[0.0, np.cumsum(size * hits)], 2)[1:-1]
    found = []
    for edges in areas:
        width = np.diff(edges)
        found.append([np.diff(np.interp(edges, at, table)) / width for table in (warm, covered)])
    return (np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found]))


def rates(seen: np.ndarray, looked: np.ndarray, sample_ns: float) -> np.ndarray:
    """Visits per second to a page, of samples found accessed out of samples taken.

    Parameters
    ----------
    seen, looked : float64[B]
        Samples.
    sample_ns : float
        What a bit had to be set.

    Returns
    -------
    float64[B]
        Where all samples were found accessed: as if half a sample less.
    """
    taken = np.maximum(looked, 1e-12)
    share = np.minimum(seen, taken - np.minimum(0.5, taken / 2)) / taken
    found: np.ndarray = np.where(looked > 0, -np.log1p(-share), 0.0) * 1e9 / sample_ns
    return found


def _cuts(share: np.ndarray, most: int) -> list[int]:
    """First rows of the phases after the first."""
    group = np.arange(share.shape[1]) * min(MOST_COLUMNS, share.shape[1]) // share.shape[1]
    sums = np.stack([np.bincount(group, row) for row in share]) / np.bincount(group)
    return change_points(sums, most)


def _phase(
    rate: np.ndarray, areas: list[np.ndarray], length_ns: int, reading: Reading
) -> dict[str, Any]:
    """One phase: a pattern for each area that is visited."""
    access, at = [], 0
    for number, edges in enumerate(areas):
        pages = np.diff(edges) // reading.page_bytes
        own = rate[at : at + len(pages)] * pages
        at += len(pages)
        if own.sum() <= 0:
            continue
        access.append(
            {
                "pattern": "blocks", "mapping": f"area{number}",
                "visits": _short(own.sum() / OPS_PER_S), "lines": reading.lines,
                "miss": reading.miss, "write": reading.write,
                "weights": [_short(w) for w in (own / own.max()).tolist()],
            }
        )  # fmt: skip
    found: dict[str, Any] = {"duration": f"{max(1, length_ns)} ns"}
    if not access:
        return {**found, "pace": "0 /s"}
    return {**found, "pace": f"{OPS_PER_S} /s", "access": access}


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
