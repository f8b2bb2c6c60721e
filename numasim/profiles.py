"""How well DAMON sees: its rate profile over addresses beside the truth's.

*Monitoring error* is two numbers. The earth mover's distance between the two profiles (share of
samples found accessed × bytes, both scaled to one) along the monitored addresses, as a share of
their length: 0 means the same, 0.5 that heat is seen half the memory away. And F1 of the hot set:
pages whose chance to be found accessed in a sample is at least the stated rate, against regions
with that share of positive samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numasim.damon.context import ContextState
from numasim.damon.regions import Regions
from numasim.machine import Machine
from numasim.traffic import BLOCK_SLOTS
from numasim.view import View


def truth_profile(machine: Machine, node: int, bins: int, from_ns: int) -> np.ndarray:
    """float64[bins]: visits per second (to accessed bits) in equal parts of a node's frames.

    On average from `from_ns` to now, at the present placement.
    """
    blocks = machine.migrator.frame_counts.by_block()
    rates = machine.law.mean_visit_rates_per_ns(from_ns, machine.now_ns)
    per_frame = rates * 1e9 / machine.space.pages_per_bit
    total = np.r_[0.0, np.cumsum(blocks @ per_frame)]
    first, last = np.array(machine.memory.node_runs(node)).T
    before = np.r_[0, np.cumsum(last - first)]
    # a node with holes: its runs one after the other
    at = np.linspace(0, before[-1], bins + 1)
    run = np.clip(np.searchsorted(before, at, "right") - 1, 0, len(first) - 1)
    heat = _up_to(total, first[run] + at - before[run]) - _up_to(total, first[run])
    whole = _up_to(total, last) - _up_to(total, first)
    found: np.ndarray = np.diff(np.r_[0.0, np.cumsum(whole)][run] + heat)
    return found


def _up_to(total: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Cumulative heat of blocks, read at frames."""
    heat: np.ndarray = np.interp(frames / BLOCK_SLOTS, np.arange(len(total)), total)
    return heat


def monitoring_error(
    context: ContextState,
    regions: list[Regions],
    max_nr: int,
    hot_ratio: float,
    from_ns: int,
    to_ns: int,
) -> dict[str, float]:
    """Monitoring error of one snapshot against the truth, over all targets of a context.

    Parameters
    ----------
    context : ContextState
    regions : list of Regions
        The snapshot, one per target.
    max_nr : int
        Samples of its aggregation.
    hot_ratio : float
        Share of samples from which a page is hot.
    from_ns, to_ns : int
        The truth is the mean between these instants.

    Returns
    -------
    dict
        ``emd``, ``f1`` (NaN where nothing is hot and nothing is called hot), ``heat_bytes`` (true
        bytes found accessed by a sample, on average), ``hot_bytes`` (true), ``seen_hot_bytes``,
        ``both_bytes``.

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
        chance = view.law.tick_chance(span_ns, from_ns, to_ns)
        unit = getattr(context.source, "addr_unit", 1)
        low, high = (view.addresses.linear(a * unit) for a in (found.start, found.end))
        warm, touched = _cumulated(view, low, high, [(chance >= hot_ratio).astype(float), chance])
        is_warm = np.diff(warm(np.r_[low, high]).reshape(2, -1), axis=0)[0]
        called = found.nr_accesses >= max(1.0, hot_ratio * max_nr)
        hot, both = hot + is_warm.sum(), both + is_warm[called].sum()
        seen += float((high - low)[called].sum())
        rate = found.nr_accesses / max_nr
        emds.append(_emd(touched, rate, low, high, BLOCK_SLOTS * view.addresses.slot_bytes))
        weights.append(float(touched(high[-1:])[0]))
    heat = sum(weights)
    return {
        "emd": float(np.dot(emds, weights) / heat) if heat > 0 else math.nan,
        "f1": 2 * both / (hot + seen) if hot + seen > 0 else math.nan,
        "heat_bytes": heat,
        "hot_bytes": hot,
        "seen_hot_bytes": seen,
        "both_bytes": both,
    }


Cumulated = Callable[[np.ndarray], np.ndarray]
"""Places on the line of slots (bytes) → what lies before each, from the first region on."""


def _cumulated(
    view: View, low: np.ndarray, high: np.ndarray, per_page: list[np.ndarray]
) -> list[Cumulated]:
    """Cumulated bytes, weighted by class, over the blocks that the regions span."""
    block = BLOCK_SLOTS * view.addresses.slot_bytes
    first, last = int(low[0]) // block, -(-int(high[-1]) // block)
    counts = view.counts.by_block()[first:last]
    edges = np.arange(first, last + 1) * block
    found: list[Cumulated] = []
    for weights in per_page:
        sums = np.r_[0.0, np.cumsum(counts @ weights)] * view.addresses.slot_bytes
        start = np.interp(low[0], edges, sums)
        found.append(lambda at, sums=sums, start=start: np.interp(at, edges, sums) - start)  # type: ignore[misc]
    return found


def _emd(
    truth_at: Cumulated, rate: np.ndarray, low: np.ndarray, high: np.ndarray, block: int
) -> float:
    """Earth mover's distance of the two profiles, scaled to the monitored length."""
    start, end = int(low[0]), int(high[-1])
    inner = np.arange(start // block + 1, -(-end // block)) * block
    edges = np.sort(np.concatenate([inner, low, high[-1:]]), kind="stable")  # merges sorted runs
    truth = truth_at(edges)
    ours = np.interp(edges, np.r_[low, high[-1]], np.r_[0.0, np.cumsum(rate * (high - low))])
    if truth[-1] <= 0 or ours[-1] <= 0:
        return 0.0 if truth[-1] <= 0 and ours[-1] <= 0 else 1.0
    gap = np.abs(truth / truth[-1] - ours / ours[-1])
    return float(((gap[1:] + gap[:-1]) / 2 * np.diff(edges)).sum() / max(1, end - start))
