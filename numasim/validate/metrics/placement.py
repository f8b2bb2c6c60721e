"""Where pages were: mappings on nodes, free memory, and the hot set near the processors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from numasim.validate.metrics.case import Case, Measured, time_mean
from numasim.validate.observed import Observed
from numasim.validate.terrain import Key, Phase

MIB = 1024 * 1024
RESOLUTION = 0.2
"""Percent of a mapping."""


def placement(case: Case, seen: Observed) -> Iterator[Measured]:
    """Metrics of node occupancy at the recording's instants, unless DAMON only looked on."""
    watched_only = case.seen.kdamonds and not any(k.schemes for k in case.seen.kdamonds)
    if not case.seen.pages or watched_only:
        return
    t = case.seen.pages_s
    first_s, until_s = max(0.0, float(t[0])), float(t[-1])
    middle = (first_s + until_s) / 2
    ever_hot = {key for phase in case.phases for key in case.hot(phase)}
    for key in case.seen.pages:
        near = near_share(case, seen, key)
        name = f"{key[0]}:{key[1]}" if len(case.recording.setup.programs) > 1 else key[1]
        late = time_mean(t, near, middle, until_s)
        yield Measured(f"{name} near, last half", late, "%", True, resolution=RESOLUTION)
        last = float(near[-1])
        yield Measured(f"{name} near at the end", last, "%", key in ever_hot, resolution=RESOLUTION)
    for phase in case.phases:
        yield from _hot_set(case, seen, phase)
    yield from _free(case, seen, middle, until_s)


def near_share(case: Case, seen: Observed, key: Key) -> np.ndarray:
    """Percent of a mapping on nodes with processors, at each instant. float64[P]"""
    pages = seen.pages.get(key)
    if pages is None:
        return np.zeros(len(case.seen.pages_s))
    total = np.maximum(pages.sum(axis=1), 1)
    found: np.ndarray = 100 * pages[:, list(case.near)].sum(axis=1) / total
    return found


def _hot_set(case: Case, seen: Observed, phase: Phase) -> Iterator[Measured]:
    """Mean share of the phase's hot set near, and time until half of it was."""
    hot = [key for key in case.hot(phase) if key in case.seen.pages]
    if not hot:
        return
    sizes = {key: float(case.seen.pages[key].sum(axis=1).max()) for key in hot}
    parts = [near_share(case, seen, key) * sizes[key] for key in hot]
    share = np.sum(parts, axis=0) / max(sum(sizes.values()), 1.0)
    t = case.seen.pages_s
    where = f" in {case.label_of(phase)}" if len(case.phases) > 1 else ""
    until_s = min(phase.end_s, float(t[-1]))
    mean = time_mean(t, share, phase.begin_s, until_s)
    yield Measured(f"hot set near{where}", mean, "%", True, resolution=RESOLUTION)
    late = np.flatnonzero((share >= 50) & (t >= phase.begin_s) & (t <= until_s))
    took = (float(t[late[0]]) if len(late) else until_s) - phase.begin_s
    yield Measured(
        f"time until half of it near{where}", max(took, 1.0), "s", True, log=True,
        resolution=0.05,
    )  # fmt: skip


def _free(case: Case, seen: Observed, from_s: float, until_s: float) -> Iterator[Measured]:
    for node in range(case.recording.setup.nr_nodes):
        if node >= seen.free_bytes.shape[1]:
            continue
        mean = time_mean(seen.t_s, seen.free_bytes[:, node] / MIB, from_s, until_s)
        yield Measured(f"node {node} free, last half", mean, "MiB", True, resolution=1.0)
