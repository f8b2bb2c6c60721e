"""How well DAMON sees: its rate profile over addresses beside the truth's.

*Monitoring error* is two numbers. The earth mover's distance between the two profiles (share of
samples found accessed × bytes, both scaled to one) along the monitored addresses, as a share of their
length: 0 means the same, 0.5 that heat is seen half the memory away. And F1 of the hot set: pages
whose chance to be found accessed in a sample is at least the stated rate, against regions with that
share of positive samples.
"""

from __future__ import annotations

import numpy as np

from numasim.damon.context import ContextState
from numasim.damon.regions import Regions
from numasim.machine import Machine
from numasim.traffic import BLOCK_SLOTS
from numasim.view import View


def truth_profile(machine: Machine, node: int, bins: int) -> np.ndarray:
    """float64[bins]: visits per second (to accessed bits) in equal parts of a node's frames."""
    first, last = machine.memory.frames_of_node(node)
    blocks = machine.migrator.frame_counts.by_block()
    per_block = blocks @ machine.law.visit_rates_per_ns() * 1e9
    edges = np.linspace(first, last, bins + 1) / BLOCK_SLOTS
    total = np.r_[0.0, np.cumsum(per_block)]
    return np.diff(np.interp(edges, np.arange(len(total)), total))


def monitoring_error(
    context: ContextState, regions: list[Regions], max_nr: int, hot_ratio: float
) -> dict[str, float]:
    """Monitoring error of one snapshot against the present truth, over all targets of a context.

    Returns
    -------
    dict
        ``emd``, ``f1``, ``hot_bytes`` (true), ``seen_hot_bytes``, ``both_bytes``.

    Notes
    -----
    Truth is counted by 2 MiB blocks; a region's end inside a block takes its share of the block.
    """
    views: list[View] = context.source.views  # type: ignore[attr-defined]
    span_ns = context.attrs.sample_us * 1000
    emds, weights = [], []
    hot = seen = both = 0.0
    for view, found in zip(views, regions, strict=True):
        if not len(found):
            continue
        chance = view.law.tick_chance(span_ns)
        blocks = view.counts.by_block() * float(view.addresses.slot_bytes)
        unit = getattr(context.source, "addr_unit", 1)
        low, high = (view.addresses.linear(a * unit) for a in (found.start, found.end))
        truth = _between(blocks @ chance, view, low, high)
        warm = _between(blocks @ (chance >= hot_ratio), view, low, high)
        ours = found.nr_accesses / max_nr * (high - low)
        called = found.nr_accesses >= max(1.0, hot_ratio * max_nr)
        hot, both = hot + warm.sum(), both + warm[called].sum()
        seen += float((high - low)[called].sum())
        emds.append(_emd(blocks @ chance, view, found.nr_accesses / max_nr, low, high))
        weights.append(truth.sum() + ours.sum())
    total = sum(weights)
    emd = float(np.dot(emds, weights) / total) if total > 0 else 0.0
    f1 = 2 * both / (hot + seen) if hot + seen > 0 else 1.0
    return {"emd": emd, "f1": f1, "hot_bytes": hot, "seen_hot_bytes": seen, "both_bytes": both}


def _between(per_block: np.ndarray, view: View, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """float64[R]: sum of a block quantity over each region."""
    total = np.r_[0.0, np.cumsum(per_block)]
    block = BLOCK_SLOTS * view.addresses.slot_bytes
    at = np.arange(len(total))
    return np.interp(high / block, at, total) - np.interp(low / block, at, total)


def _emd(
    per_block: np.ndarray, view: View, rate: np.ndarray, low: np.ndarray, high: np.ndarray
) -> float:
    """Earth mover's distance of the two profiles, scaled to the monitored length."""
    start, end = int(low[0]), int(high[-1])
    block = BLOCK_SLOTS * view.addresses.slot_bytes
    edges = np.union1d(np.arange(start // block, -(-end // block) + 1) * block, np.r_[low, high])
    edges = edges[(edges >= start) & (edges <= end)]
    total = np.r_[0.0, np.cumsum(per_block)]
    truth = np.interp(edges / block, np.arange(len(total)), total)
    ours = np.interp(edges, np.r_[low, high[-1]], np.r_[0.0, np.cumsum(rate * (high - low))])
    truth, ours = truth - truth[0], ours - ours[0]
    if truth[-1] <= 0 or ours[-1] <= 0:
        return 0.0 if truth[-1] <= 0 and ours[-1] <= 0 else 1.0
    gap = np.abs(truth / truth[-1] - ours / ours[-1])
    return float(((gap[1:] + gap[:-1]) / 2 * np.diff(edges)).sum() / max(1, end - start))
