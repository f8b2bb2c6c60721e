"""How well DAMON sees: its rate profile over addresses beside the truth's.

*Monitoring error* is two numbers. The earth mover's distance between the two profiles (share of
samples found accessed × bytes, both scaled to one) along the monitored addresses, as a share of
their length: 0 means the same, 0.5 that heat is seen half the memory away. And F1 of the hot set:
pages whose chance to be found accessed in a sample is at least the stated rate, against regions
with that share of positive samples.
"""

from __future__ import annotations

import math

import numpy as np

from numasim.damon.context import ContextState
from numasim.damon.regions import Regions
from numasim.machine import Machine
from numasim.view import View

PARTS = 512  # of the monitored length, at whose ends the truth is read


def truth_profile(
    machine: Machine, node: int, bins: int, from_ns: int, rates: np.ndarray | None = None
) -> np.ndarray:
    """float64[bins]: visits per second (to accessed bits) in equal parts of a node's frames.

    On average from `from_ns` to now, at the present placement; or at given rates per ns to a bit of
    each class (float64[C]).
    """
    counts = machine.migrator.frame_counts
    if rates is None:
        rates = machine.law.mean_visit_rates_per_ns(from_ns, machine.now_ns)
    per_frame = rates * 1e9 / machine.space.pages_per_bit
    first, last = np.array(machine.memory.node_runs(node)).T
    before = np.concatenate([[0], np.cumsum(last - first)])
    # a node with holes: its runs one after the other
    at = np.linspace(0, before[-1], bins + 1)
    run = np.minimum(np.searchsorted(before, at, "right") - 1, len(first) - 1)
    ends = counts.heat(np.concatenate([first, last]), per_frame).reshape(2, -1)
    whole = np.concatenate([[0.0], np.cumsum(ends[1] - ends[0])])
    heat = whole[run] + counts.heat(first[run] + at - before[run], per_frame) - ends[0][run]
    profile: np.ndarray = heat[1:] - heat[:-1]
    return profile


def monitoring_error(
    context: ContextState,
    regions: list[Regions],
    max_nr: int,
    hot_ratio: float,
    from_ns: int,
    to_ns: int,
    chance: np.ndarray | None = None,
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
    chance : float64[C], optional
        Another truth than everybody's: chance of a page of each class to be accessed in a sample.

    Returns
    -------
    dict
        ``emd``, ``f1`` (NaN where nothing is hot and nothing is called hot), ``heat_bytes`` (true
        bytes found accessed by a sample, on average), ``hot_bytes`` (true), ``seen_hot_bytes``,
        ``both_bytes``.

    Notes
    -----
    Truth is read at the ends of regions and of 512 equal parts; where these fall inside a block
    of 2 MiB (less in small memories) they take their share of the block.
    """
    views: list[View] = context.source.views  # type: ignore[attr-defined]
    span_ns = context.attrs.sample_us * 1000
    emds, weights = [], []
    hot = seen = both = 0.0
    for view, found in zip(views, regions, strict=True):
        if not len(found):
            continue
        if chance is None:
            chance = view.law.tick_chance(span_ns, from_ns, to_ns)
        unit = getattr(context.source, "addr_unit", 1)
        low, high = (view.addresses.linear(a * unit) for a in (found.start, found.end))
        at, heat = _cumulated(view, low, high, np.stack([chance, chance >= hot_ratio], axis=1))
        is_warm = heat[1, len(low) : 2 * len(low)] - heat[1, : len(low)]
        called = found.nr_accesses >= max(1.0, hot_ratio * max_nr)
        hot, both = hot + float(is_warm.sum()), both + float(is_warm[called].sum())
        seen += float((high - low)[called].sum())
        emds.append(_emd(at, heat[0], found.nr_accesses / max_nr, low, high))
        weights.append(float(heat[0, 2 * len(low) - 1] - heat[0, 0]))
    total = sum(weights)
    return {
        "emd": float(np.dot(emds, weights) / total) if total > 0 else math.nan,
        "f1": 2 * both / (hot + seen) if hot + seen > 0 else math.nan,
        "heat_bytes": total,
        "hot_bytes": hot,
        "seen_hot_bytes": seen,
        "both_bytes": both,
    }


def _cumulated(
    view: View, low: np.ndarray, high: np.ndarray, per_page: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bytes before places on the line of slots, weighted by class.

    Parameters
    ----------
    view : View
    low, high : int64[R]
        Regions on the line, bytes.
    per_page : float64[C, K]
        Weights.

    Returns
    -------
    at : int64[N]
        Places: all of `low`, all of `high`, ends of equal parts.
    heat : float64[K, N]
    """
    start, end = int(low[0]), int(high[-1])
    parts = np.linspace(start, end, PARTS + 1)[1:-1].astype(np.int64)
    at = np.concatenate([low, high, parts])
    slot_bytes = view.addresses.slot_bytes
    heat: np.ndarray = view.counts.heat(at / slot_bytes, per_page).T * slot_bytes
    return at, heat


def _emd(
    at: np.ndarray, truth: np.ndarray, rate: np.ndarray, low: np.ndarray, high: np.ndarray
) -> float:
    """Earth mover's distance of the two profiles, scaled to the monitored length."""
    order = np.argsort(at, kind="stable")
    at, truth = at[order], truth[order] - truth[0]
    edges, ours = np.empty(len(low) + 1, np.int64), np.zeros(len(low) + 1)
    edges[:-1], edges[-1] = low, high[-1]
    np.cumsum(rate * (high - low), out=ours[1:])
    ours = np.interp(at, edges, ours)
    if truth[-1] <= 0 or ours[-1] <= 0:
        return 0.0 if truth[-1] <= 0 and ours[-1] <= 0 else 1.0
    gap = np.abs(truth / truth[-1] - ours / ours[-1])
    span = at[1:] - at[:-1]
    return float((gap[1:] + gap[:-1]) @ span / 2 / max(1, int(span.sum())))
