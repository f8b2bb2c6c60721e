"""Adjusting a scheme's quota whenever the scheme is due: its window, and the least priority.

Source: DAMON core specification, section 8.2 (Linux 7.3.4).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from numasim.damon import clock
from numasim.damon.filters import core_verdict, core_verdicts
from numasim.damon.goals import measure
from numasim.damon.quota import start_window
from numasim.damon.regions import Regions, insert_cuts
from numasim.damon.schemes import Ranked, SchemeState, pattern_mask, pattern_match
from numasim.damon.scores import min_score, scores

if TYPE_CHECKING:
    from numasim.damon.context import ContextState


def adjust_quota(ctx: ContextState, scheme: SchemeState) -> None:
    """Begin a new window if it is time, and find the least priority that fits (section 8.2)."""
    quota = scheme.quota
    if not quota.is_set:
        return

    def measure_goals() -> None:
        temporal = quota.spec.goal_tuner == "temporal"
        for goal in quota.goals:
            measure(goal, ctx.metrics, partial(eligible_bytes, ctx, scheme), temporal, quota.esz)

    jiffy = clock.jiffies(ctx.now_ns, ctx.tick_ns)
    if start_window(quota, jiffy, ctx.tick_ns, ctx.min_region_sz, measure_goals):
        scheme.stat.qt_exceeds += 1
    kind = ctx.ops.score_kind(scheme.action)
    if kind is None:
        return
    parts = []
    for index, target in enumerate(ctx.targets):
        regions, nr = target.regions, len(target.regions)
        mvsums, size = ctx.mvsum(regions), regions.size
        match = pattern_mask(scheme.spec.pattern, size, mvsums, regions.age)
        if scheme.filters.core:
            chosen = _unfiltered(ctx, scheme, index, regions, mvsums, match)
            if len(regions) != nr:  # filters have split some
                mvsums = ctx.mvsum(regions)
            rank = scores(kind, mvsums[chosen], regions.age[chosen], ctx.attrs, quota.spec)
            parts.append((rank, regions.size[chosen]))
            continue
        rank = scores(kind, mvsums, regions.age, ctx.attrs, quota.spec)
        scheme.ranked[index] = Ranked(regions.columns(), match, rank)
        parts.append((rank[match], size[match]))
    quota.min_score = min_score(parts, quota.esz)


def eligible_bytes(ctx: ContextState, scheme: SchemeState) -> dict[int, int] | None:
    """Bytes on each node in regions that match the scheme's pattern; None unless paddr."""
    if ctx.ops.name != "paddr":
        return None
    ranges: list[tuple[int, int]] = []
    for target in ctx.targets:
        regions = target.regions
        chosen = pattern_mask(scheme.spec.pattern, regions.size, ctx.mvsum(regions), regions.age)
        starts = (regions.start[chosen] * ctx.addr_unit).tolist()
        ranges += zip(starts, (regions.end[chosen] * ctx.addr_unit).tolist(), strict=True)
    return ctx.metrics.eligible_bytes(ranges)


def _unfiltered(
    ctx: ContextState,
    scheme: SchemeState,
    target_index: int,
    regions: Regions,
    mvsums: np.ndarray,
    match: np.ndarray,
) -> np.ndarray:
    """Regions that match the pattern and pass the core filters, which may split some. int64[S]"""
    verdicts = core_verdicts(
        scheme.filters, regions.start, regions.end, target_index, ctx.min_region_sz
    )
    whole = np.flatnonzero(match & ~verdicts.divided & ~verdicts.out)
    cut_index: list[int] = []
    cut_addr: list[int] = []
    pieces: list[int] = []  # selected pieces of divided regions, numbered after the cuts
    for i in np.flatnonzero(match & verdicts.divided).tolist():
        mvsum, age = int(mvsums[i]), int(regions.age[i])
        start, pending = int(regions.start[i]), [int(regions.end[i])]  # ends, the next one last
        while pending:
            end = pending.pop()
            if pattern_match(scheme.spec.pattern, end - start, mvsum, age):
                verdict = core_verdict(scheme.filters, start, end, target_index, ctx.min_region_sz)
                if verdict.cuts:
                    pending += (end, *verdict.cuts[:-1])
                    end = verdict.cuts[-1]
                if not verdict.out:
                    pieces.append(i + len(cut_index))
            if pending:
                cut_index.append(i)
                cut_addr.append(end)
            start = end
    cuts = np.array(cut_index, dtype=np.int64)
    insert_cuts(regions, cuts, np.array(cut_addr, dtype=np.int64))
    whole = whole + np.searchsorted(cuts, whole)
    return np.concatenate((whole, np.array(pieces, dtype=np.int64)))
