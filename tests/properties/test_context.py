"""Invariants of a running context."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mirror.strategies import draws
from tests.mirror.test_context import Pair, contexts, hot_ranges, operations


@settings(max_examples=25, deadline=None)
@given(contexts(), hot_ranges(), draws, operations(), st.integers(1, 7))
def test_bookkeeping(spec, hot, drawn, ops, stride):
    ctx = Pair(spec, hot, drawn, ops).fast
    seen = []
    ctx.aggregated = lambda ctx, now_ns, regions: seen.append(
        max((int(r.nr_accesses.max()) for r in regions if len(r)), default=0)
        <= max(ctx.attrs.aggr_us // ctx.sample_us, spec.attrs.aggr_us // spec.attrs.sample_us)
    )
    for _ in range(60):
        ticks = min(ctx.samples_until_due(), stride)
        now_ns = ctx.now_ns
        for _ in range(ticks):
            now_ns += ctx.sample_us * 1000
            for _ in ctx.iterate(now_ns - ctx.sample_us * 1000, now_ns):
                pass
        for regions in ctx.regions:
            regions.check()
        for scheme in ctx.schemes:
            stat = scheme.stat
            assert stat.nr_applied <= stat.nr_tried
            assert 0 <= scheme.quota.min_score <= 99
    assert all(seen)
