"""One shape for a recorded and a simulated run: what could be seen of it from outside.

Times are seconds since the workload began its first phase, addresses numbers of 4 KiB pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from numasim.damon.spec import Context
from numasim.recorder import COUNTERS
from numasim.result import Result
from numasim.validate.asked import asked
from numasim.validate.recording import KdamondRecord, Recording

PAGE = 4096
KB = 1024


@dataclass(frozen=True)
class Watch:
    """What one kdamond saw of one target.

    Parameters
    ----------
    t_s : float64[S]
    index : int64[S]
        How many snapshots the kernel had taken before.
    first : int64[S + 1]
        Where each snapshot's rows begin.
    regions : int64[N, 4]
        ``start_page, pages, nr_accesses, age`` of all snapshots: merged, not yet split.
    """

    t_s: np.ndarray
    index: np.ndarray
    first: np.ndarray
    regions: np.ndarray

    def __len__(self) -> int:
        return len(self.t_s)

    def rows(self, snapshot: int) -> np.ndarray:
        """Regions of one snapshot. int64[R, 4]"""
        part: np.ndarray = self.regions[self.first[snapshot] : self.first[snapshot + 1]]
        return part

    @property
    def snapshot_of(self) -> np.ndarray:
        """Which snapshot each row belongs to. int64[N]"""
        return np.repeat(np.arange(len(self)), np.diff(self.first))


@dataclass(frozen=True)
class SchemeSeen:
    """What a scheme told.

    Parameters
    ----------
    t_s : float64[A]
    counters : int64[A, 7]
        Cumulative `COUNTERS` at those times.
    esz_s, esz : float64[E], float64[E]
        Effective quota in bytes, whenever it changed.
    applied : tuple of (float, int64[N, 4])
        Instants, and the regions it was applied to; empty if that was not recorded.
    """

    t_s: np.ndarray
    counters: np.ndarray
    esz_s: np.ndarray
    esz: np.ndarray
    applied: tuple[tuple[float, np.ndarray], ...] = ()

    def counter(self, name: str) -> np.ndarray:
        """One of the counters. int64[A]"""
        column: np.ndarray = self.counters[:, COUNTERS.index(name)]
        return column


@dataclass(frozen=True)
class KdamondSeen:
    """What one kdamond told.

    Parameters
    ----------
    name : str
        ``kd0``, ``kd1``, … in the order in which they were started.
    context : Context or None
        What was asked of it, if that is known.
    watches : tuple of Watch
        By target.
    tuned_s, tuned_us : float64[T], int64[T]
        Instants and sampling intervals of each tuning.
    schemes : tuple of SchemeSeen
    """

    name: str
    context: Context | None
    watches: tuple[Watch, ...]
    tuned_s: np.ndarray
    tuned_us: np.ndarray
    schemes: tuple[SchemeSeen, ...]

    def sample_us_at(self, t_s: np.ndarray) -> np.ndarray:
        """Sampling interval in force in the windows that end at those times. float64[S]"""
        first = self.context.attrs.sample_us if self.context else 5_000
        steps = np.append(float(first), self.tuned_us.astype(float))
        found: np.ndarray = steps[np.searchsorted(self.tuned_s, t_s - 0.02, "left")]
        return found

    @property
    def aggr_samples(self) -> int:
        """Samples of an aggregation interval; tuning leaves them as they are."""
        attrs = self.context.attrs if self.context else None
        return max(1, attrs.aggr_us // max(1, attrs.sample_us)) if attrs else 20


@dataclass(frozen=True)
class Observed:
    """A run as seen from outside.

    Parameters
    ----------
    kdamonds : tuple of KdamondSeen
    t_s : float64[T]
        Instants of what follows: those of the recording's rows.
    free_bytes : float64[T, nodes]
        nan where unknown.
    pages_s : float64[P]
    pages : dict of (int, str) to float64[P, nodes]
        ``(program, mapping)`` → its 4 KiB pages on each node.
    """

    kdamonds: tuple[KdamondSeen, ...]
    t_s: np.ndarray
    free_bytes: np.ndarray
    pages_s: np.ndarray
    pages: dict[tuple[int, str], np.ndarray]


# -- from a recording ------------------------------------------------------------------------------


def of_recording(recording: Recording) -> Observed:
    """What the recorder saw."""
    table, nodes = recording.timeline, range(recording.setup.nr_nodes)
    free = [_column(table, f"n{n}.MemFree_kB", np.nan) * KB for n in nodes]
    pages = {
        (p, region.name): np.stack([_pages(table, p, region.name, n) for n in nodes], axis=1)
        for p, program in enumerate(recording.setup.programs)
        for region in program.regions
        if any(_has_pages(table, p, region.name, n) for n in nodes)
    }
    known = np.all([np.isfinite(a).all(axis=1) for a in pages.values()] or [[]], axis=0)
    rows = np.flatnonzero(known)
    return Observed(
        tuple(
            _kdamond(f"kd{k}", record, context, table, k)
            for k, (record, context) in enumerate(
                zip(recording.kdamonds, asked(recording), strict=True)
            )
        ),
        table.index.to_numpy(float),
        np.stack(free, axis=1),
        table.index.to_numpy(float)[rows],
        {key: array[rows] for key, array in pages.items()},
    )


def _column(table: pd.DataFrame, name: str, default: float) -> np.ndarray:
    if name not in table:
        return np.full(len(table), default)
    return table[name].to_numpy(float)


def _names(program: int, mapping: str, node: int) -> tuple[str, ...]:
    own = f"pages.{mapping}.N{node}"
    return (f"pages.wl{program}.{mapping}.N{node}", own) if program == 0 else (
        f"pages.wl{program}.{mapping}.N{node}", f"{own}.{program}"
    )  # fmt: skip


def _has_pages(table: pd.DataFrame, program: int, mapping: str, node: int) -> bool:
    return any(name in table for name in _names(program, mapping, node))


def _pages(table: pd.DataFrame, program: int, mapping: str, node: int) -> np.ndarray:
    """Columns that stay 0 are left out; rows in which no mapping was read are unknown."""
    for name in _names(program, mapping, node):
        if name in table:
            return table[name].to_numpy(float)
    any_pages = [c for c in table.columns if c.startswith("pages.")]
    read = table[any_pages].notna().any(axis=1).to_numpy()
    return np.where(read, 0.0, np.nan)


def _kdamond(
    name: str, record: KdamondRecord, context: Context | None, table: pd.DataFrame, number: int
) -> KdamondSeen:
    targets = sorted({s.target for s in record.snapshots})
    watches = []
    for target in targets:
        own = [s for s in record.snapshots if s.target == target]
        watches.append(
            _watch([s.t_s for s in own], [s.index for s in own], [s.regions for s in own])
        )
    tuned = np.array(record.tunings, float).reshape(-1, 2)
    asked_for = len(context.schemes) if context else 0
    nr = max([asked_for, *(s + 1 for s in (*record.esz, *record.stats))])
    schemes = [_scheme(record, table, number, s) for s in range(nr)]
    return KdamondSeen(
        name, context, tuple(watches), tuned[:, 0], tuned[:, 1].astype(np.int64), tuple(schemes)
    )


def _watch(t_s: list[float], index: list[int], regions: list[np.ndarray]) -> Watch:
    first = np.cumsum([0, *(len(r) for r in regions)])
    rows = np.concatenate(regions) if regions else np.empty((0, 4), np.int64)
    return Watch(np.array(t_s, float), np.array(index, np.int64), first, rows)


def _scheme(record: KdamondRecord, table: pd.DataFrame, number: int, scheme: int) -> SchemeSeen:
    """Counters from the tracepoint where it was on, else from the recorder's samples."""
    traced = record.stats.get(scheme, [])
    prefix = f"kd{number}.s{scheme}."
    if len(traced) > 1:
        t_s = np.array([t for t, _ in traced])
        rows = [[c.get(name, 0) for name in COUNTERS] for _, c in traced]
        counters = np.array(rows, np.int64).reshape(-1, len(COUNTERS))
    else:
        columns = [_column(table, prefix + name, 0.0) for name in COUNTERS]
        whole = np.stack(columns, axis=1)
        good = np.isfinite(whole).all(axis=1) if prefix + "nr_tried" in table else np.zeros(0, bool)
        t_s = table.index.to_numpy(float)[np.flatnonzero(good)]
        counters = whole[np.flatnonzero(good)].astype(np.int64)
    esz = record.esz.get(scheme, [])
    if not esz and prefix + "esz" in table:
        sampled = table[prefix + "esz"].dropna()
        esz = [(t, int(v)) for t, v in zip(sampled.index, sampled.to_numpy(), strict=True)]
    changes = np.array(esz, float).reshape(-1, 2)
    applied = tuple((t, rows) for t, s, rows in record.applied if s == scheme)
    return SchemeSeen(t_s, counters, changes[:, 0], changes[:, 1], applied)


# -- from a simulated run --------------------------------------------------------------------------


def of_result(result: Result, recording: Recording, zero_s: float) -> Observed:
    """What the recorder would have seen of a simulated run.

    Parameters
    ----------
    result : Result
        Of a scenario that keeps all snapshots.
    recording : Recording
        For its instants, programs and contexts.
    zero_s : float
        When the run begins the first phase.
    """
    table = recording.timeline
    t_s = table.index.to_numpy(float)
    seen = of_recording(recording)
    return Observed(
        tuple(
            _simulated(result, f"kd{k}", f"kdamond.{k}", context, zero_s, recording.last_s)
            for k, context in enumerate(asked(recording))
        ),
        t_s,
        _at(result.nodes, "node", "free_bytes", _in_order(result.nodes.node), t_s + zero_s),
        seen.pages_s,
        _residency(result, recording, seen.pages_s + zero_s),
    )


def _in_order(column: pd.Series) -> list[str]:
    return [str(name) for name in column.drop_duplicates()]


def _at(
    table: pd.DataFrame, key: str, value: str, keys: Sequence[str], t_s: np.ndarray
) -> np.ndarray:
    """The last value of each key at those times, by column. float64[T, keys]"""
    columns = []
    for one in keys:
        own = table[table[key] == one]
        at = np.searchsorted(own.t_s.to_numpy(), t_s + 1e-9, "right") - 1
        columns.append(own[value].to_numpy(float)[np.maximum(at, 0)])
    return np.stack(columns, axis=1) if columns else np.empty((len(t_s), 0))


def _residency(
    result: Result, recording: Recording, t_s: np.ndarray
) -> dict[tuple[int, str], np.ndarray]:
    """Pages of each recorded mapping; programs are the processes that have its mappings."""
    table = result.residency
    nodes = _in_order(table.node)
    taken: set[str] = set()
    found: dict[tuple[int, str], np.ndarray] = {}
    for p, program in enumerate(recording.setup.programs):
        names = {region.name for region in program.regions}
        for process, own in table.groupby("process", sort=False):
            if process in taken or not names <= set(own.mapping.unique()):
                continue
            taken.add(str(process))
            for name in names:
                series = own[own.mapping == name]
                found[p, name] = _at(series, "node", "bytes", nodes, t_s) / PAGE
            break
    return found


def _simulated(
    result: Result, name: str, kdamond: str, context: Context | None, zero_s: float, last_s: float
) -> KdamondSeen:
    rows = result.snapshots[result.snapshots.kdamond == kdamond]
    rows = rows[rows.seen_s <= last_s + zero_s]
    watches = [_simulated_watch(own, zero_s) for _, own in rows.groupby("target", sort=True)]
    tuned = result.tunings[result.tunings.kdamond == kdamond]
    applies = result.applies[result.applies.kdamond == kdamond]
    schemes = []
    for s in range(len(context.schemes) if context else 0):
        own = applies[applies.scheme == s]
        esz = own.esz.to_numpy(float)
        changed = np.append(True, esz[1:] != esz[:-1]) if len(esz) else np.zeros(0, bool)
        times = own.t_s.to_numpy(float) - zero_s
        counters = own[list(COUNTERS)].to_numpy(np.int64)
        acts = result.acts[(result.acts.kdamond == kdamond) & (result.acts.scheme == s)]
        acted = _acted(acts, zero_s)
        schemes.append(SchemeSeen(times, counters, times[changed], esz[changed], acted))
    return KdamondSeen(
        name, context, tuple(watches), tuned.t_s.to_numpy(float) - zero_s,
        tuned.sample_us.to_numpy(np.int64), tuple(schemes),
    )  # fmt: skip


def _acted(acts: pd.DataFrame, zero_s: float) -> tuple[tuple[float, np.ndarray], ...]:
    """Instants and regions that a scheme acted upon."""
    start = acts.start.to_numpy(np.int64) // PAGE
    pages = acts.end.to_numpy(np.int64) // PAGE - start
    counts, ages = acts.nr_accesses.to_numpy(np.int64), acts.age.to_numpy(np.int64)
    rows = np.stack((start, pages, counts, ages), axis=1)
    times = acts.t_s.to_numpy(float) - zero_s
    return tuple((float(t), rows[i : i + 1]) for i, t in enumerate(times))


def _simulated_watch(rows: pd.DataFrame, zero_s: float) -> Watch:
    seen = rows.seen_s.to_numpy(float)
    begins = np.flatnonzero(np.append(True, seen[1:] != seen[:-1]))
    start = rows.start.to_numpy(np.int64) // PAGE
    pages = rows.end.to_numpy(np.int64) // PAGE - start
    columns = (start, pages, rows.nr_accesses.to_numpy(np.int64), rows.age.to_numpy(np.int64))
    return Watch(
        seen[begins] - zero_s, np.arange(len(begins)), np.append(begins, len(seen)),
        np.stack(columns, axis=1),
    )  # fmt: skip
