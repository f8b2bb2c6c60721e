"""A whole kdamond equals its plain twin: in bulk, tick by tick, with quotas, filters, commits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.damon.apply import apply_schemes
from numasim.damon.ops import Applied, Window
from numasim.damon.spec import (
    UINT_MAX,
    ULONG_MAX,
    AccessPattern,
    Attrs,
    Context,
    Filter,
    IntervalsGoal,
    Quota,
    QuotaGoal,
    Scheme,
    Target,
    Watermarks,
)
from numasim.damon.splitting import Shared
from numasim.damon.targets import TargetState
from tests.mirror import damon_twin as twin
from tests.mirror.strategies import draws
from tests.vectors.runs import cycled, hot_source
from tests.vectors.stand import TICK_NS, Metrics, StandOps, context

PAGE = 4096
START_NS = 10**9
RANKING = {"migrate_hot": "hot", "migrate_cold": "cold", "pageout": "cold"}


@st.composite
def patterns(draw):
    if draw(st.booleans()):  # open, or only for what another scheme has just acted upon
        size = draw(st.sampled_from([ULONG_MAX, 12 * PAGE]))
        return AccessPattern(max_sz=size, max_age=draw(st.sampled_from([UINT_MAX, UINT_MAX, 0])))
    nr, ages, sz = draw(st.integers(0, 6)), draw(st.integers(0, 3)), draw(st.integers(0, 8)) * PAGE
    return AccessPattern(
        min_sz=sz,
        max_sz=draw(st.sampled_from([ULONG_MAX, sz + 40 * PAGE])),
        min_nr_accesses=nr,
        max_nr_accesses=draw(st.sampled_from([UINT_MAX, nr, nr + 4])),
        min_age=ages,
        max_age=draw(st.sampled_from([UINT_MAX, 0, ages + 2])),
    )


@st.composite
def quotas(draw):
    goals = tuple(
        QuotaGoal("user_input", draw(st.integers(1, 20_000)), draw(st.integers(0, 30_000)))
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2])))
    )
    weight = st.sampled_from([0, 1, 2, 100])
    return Quota(
        ms=draw(st.sampled_from([0, 0, 1, 10])),
        sz=draw(st.sampled_from([0, 1, PAGE, 10 * PAGE, 37 * PAGE + 5, 200 * PAGE, 10**9])),
        reset_interval_ms=draw(st.sampled_from([0, 1, 37, 150, 1000, ULONG_MAX])),
        goals=goals,
        goal_tuner=draw(st.sampled_from(["consist", "temporal"])),
        weight_sz=draw(weight),
        weight_nr_accesses=draw(weight),
        weight_age=draw(weight),
        fail_charge_num=draw(st.integers(0, 3)),
        fail_charge_denom=draw(st.sampled_from([0, 1, 4])),
    )


@st.composite
def filters(draw):
    kind = draw(st.sampled_from(["addr", "addr", "target", "anon"]))
    low = draw(st.integers(0, 300)) * 2500
    return Filter(
        kind,
        draw(st.booleans()),
        draw(st.booleans()),
        start=low,
        end=low + draw(st.integers(0, 400)) * 2500,
        target_idx=draw(st.integers(0, 1)),
    )


@st.composite
def schemes(draw):
    return Scheme(
        action=draw(st.sampled_from(["migrate_hot", "migrate_cold", "pageout", "stat"])),
        pattern=draw(patterns()),
        apply_interval_us=draw(st.sampled_from([0, 0, 15_000, 40_000, 75_000, 1])),
        quota=draw(st.one_of(quotas(), st.just(Quota()))),
        filters=tuple(draw(st.lists(filters(), max_size=3))) if draw(st.booleans()) else (),
        max_nr_snapshots=draw(st.sampled_from([0, 0, 0, 1, 3])),
    )


@st.composite
def targets(draw, count):
    listed, cursor = [], 0
    for _ in range(count):
        spans = []
        for _ in range(draw(st.integers(1, 2))):
            cursor += draw(st.integers(0, 30)) * PAGE
            size = draw(st.integers(20, 150)) * PAGE
            spans.append((cursor, cursor + size))
            cursor += size
        listed.append(Target(regions=tuple(spans)))
    return tuple(listed)


@st.composite
def all_attrs(draw):
    goal = IntervalsGoal()
    if draw(st.integers(0, 3)) == 0:
        goal = IntervalsGoal(draw(st.sampled_from([40, 400, 3000, 9000])), 2, 1_000, 60_000)
    least = draw(st.integers(3, 8))
    return Attrs(
        sample_us=5_000,
        aggr_us=draw(st.sampled_from([5_000, 35_000, 50_000, 100_000])),
        ops_update_us=draw(st.sampled_from([0, 120_000, 1_000_000])),
        min_nr_regions=least,
        max_nr_regions=least + draw(st.integers(0, 40)),
        intervals_goal=goal,
    )


@st.composite
def contexts(draw, max_schemes=3):
    nr_targets = draw(st.integers(1, 2))
    return Context(
        ops="vaddr",
        targets=draw(targets(nr_targets)),
        attrs=draw(all_attrs()),
        schemes=tuple(draw(st.lists(schemes(), max_size=max_schemes))),
    )


@st.composite
def hot_ranges(draw):
    spans = []
    for _ in range(draw(st.integers(0, 4))):
        low = draw(st.integers(0, 500)) * PAGE
        high = low + draw(st.integers(1, 100)) * PAGE
        spans.append([low, high, draw(st.integers(1, 4))])
    return spans


def accessed(hot):
    return lambda addr, tick: any(s <= addr < e and tick % every == 0 for s, e, every in hot)


class Pair:
    """The production context and its twin, given the same world."""

    def __init__(self, spec, hot, drawn, ops, free=lambda now_ns: 0):
        self.metrics, self.free = Metrics(), free
        self.fast = context(
            spec,
            ops=ops,
            source=hot_source(hot),
            rng=cycled(drawn),
            shared=Shared(),
            metrics=self.metrics,
        )
        line = twin.cycle(drawn)
        self.plain = twin.Twin(
            spec,
            ops,
            accessed(hot),
            lambda: next(line),
            {"last_nr_regions": 0, "rotation": 0},
            PAGE,
            TICK_NS,
            free,
        )
        self.events = []
        self.fast.on_apply = lambda ctx, k, i, start, end, nr, age, done: self.events.append(
            (ctx.passed_sample_intervals, k, i, start, end, nr, age)
        )
        self.fast.aggregated = lambda ctx, now_ns, regions: self.events.append(
            (ctx.passed_sample_intervals, ctx.attrs, [r.rows() for r in regions])
        )
        self.fast.start(START_NS)
        self.plain.start(START_NS)

    def step(self, ticks, call=None):
        """Both go on by that many ticks; production in one go."""
        for number in range(ticks):
            last = number == ticks - 1
            start = self.plain.now
            end = start + self.plain.attrs.sample_us * 1000
            self.plain.iterate(end, (lambda: self.plain.commit(call)) if call and last else None)
        start = self.fast.now_ns
        ends = start + np.arange(1, ticks + 1) * self.fast.sample_us * 1000
        if call:
            self.fast.call(lambda: self.fast.commit(call, self.fast.now_ns))
        self.fast.absorb(Window(ends - self.fast.sample_us * 1000, ends))
        for _ in self.fast.due(int(ends[-1])):
            pass

    def check(self):
        fast, plain = self.fast, self.plain
        assert self.events == plain.events
        assert [r.rows() for r in fast.regions] == [twin.rows(t) for t in plain.targets]
        assert fast.attrs == plain.attrs and fast.now_ns == plain.now
        timers = (fast.next_aggregation_sis, fast.next_ops_update_sis, fast.next_intervals_tune_sis)
        assert timers == (plain.next_aggr, plain.next_update, plain.next_tune)
        assert [scheme_state(s, fast) for s in fast.schemes] == [
            twin_state(s) for s in plain.schemes
        ]
        for regions in fast.regions:
            regions.check()


def scheme_state(s, ctx):
    q, t = s.quota, s.stat
    index = None if q.charge_target_from is None else ctx.targets.index(q.charge_target_from)
    stat = [t.nr_tried, t.sz_tried, t.nr_applied, t.sz_applied, t.sz_ops_filter_passed]
    stat += [t.qt_exceeds, t.nr_snapshots]
    charges = (q.charged_sz, q.charged_from, q.total_charged_sz, q.total_charged_ns)
    return (
        stat,
        (q.esz, q.esz_bp, q.min_score),
        charges,
        (index, q.charge_addr_from),
        (s.next_apply_sis, s.activated),
    )


def twin_state(s):
    return (
        s.stat,
        (s.esz, s.esz_bp, s.min_score),
        (s.charged, s.charged_from, s.total_sz, s.total_ns),
        (s.position_target, s.position),
        (s.next_apply, s.activated),
    )


@st.composite
def operations(draw):
    gone = draw(st.sampled_from([None, None, None, 0, 1]))
    moved = draw(st.sampled_from([None, None, (0, 1_000_000), (300_000, 900_001)]))
    return StandOps(
        name="vaddr",
        score=draw(st.sampled_from([None, RANKING])),
        applied_percent=draw(st.sampled_from([0, 50, 100, 130])),
        busy_ns=draw(st.sampled_from([0, 0, 300_000, 7_000_000])),
        valid=lambda i: i != gone,
        ranges=lambda i: [moved] if moved and i == 0 else None,
        idle_stat=draw(st.booleans()),
    )


@settings(max_examples=80, deadline=None)
@given(contexts(), hot_ranges(), draws, operations())
def test_bulk_equals_the_tickwise_twin(spec, hot, drawn, ops):
    pair = Pair(spec, hot, drawn, ops)
    while pair.fast.passed_sample_intervals < 150:
        pair.step(pair.fast.samples_until_due())
        pair.check()


@settings(max_examples=45, deadline=None)
@given(contexts(), contexts(), st.integers(1, 60), hot_ranges(), draws, operations())
def test_commit_equals_the_twin(spec, other, at, hot, drawn, ops):
    moved = tuple(other.targets[i % len(other.targets)] for i in range(len(spec.targets)))
    new = replace(other, targets=moved if at % 2 else tuple(Target() for _ in moved))
    pair = Pair(spec, hot, drawn, ops)
    for tick in range(1, 110):
        pair.step(1, new if tick == at else None)
    pair.check()


@settings(max_examples=40, deadline=None)
@given(
    contexts(),
    hot_ranges(),
    draws,
    st.lists(st.integers(0, 1000), min_size=1, max_size=12),
    st.tuples(st.integers(0, 900), st.integers(0, 300), st.integers(0, 300)),
    st.sampled_from([0, 20_000]),
)
def test_watermarks_equal_the_twin(spec, hot, drawn, frees, marks, interval):
    low, mid, high = marks[0], marks[0] + marks[1], marks[0] + marks[1] + marks[2]
    wmarks = Watermarks("free_mem_rate", interval, high, mid, low)
    marked = tuple(replace(scheme, wmarks=wmarks) for scheme in spec.schemes)
    spec = Context(spec.ops, spec.targets, spec.attrs, marked)

    def free(now_ns):
        return frees[now_ns // 60_000_000 % len(frees)]

    pair = Pair(spec, hot, drawn, StandOps(name="vaddr", score=RANKING), free)
    for _ in range(80):
        pair.metrics.system = (1000, free(pair.plain.now))
        wait_us = pair.fast.wait_activation(pair.fast.now_ns)
        assert wait_us == pair.plain.wait()
        if wait_us:
            pair.plain.now += wait_us * 1000
            pair.fast.now_ns += wait_us * 1000
        else:
            pair.step(1)
    pair.check()


@st.composite
def counted_tables(draw):
    cursor, rows = 0, []
    for _ in range(draw(st.integers(1, 14))):
        cursor += draw(st.sampled_from([0, 0, 0, 1])) * PAGE
        size = draw(st.integers(1, 40)) * PAGE
        nr = draw(st.integers(0, 4))
        rows.append((cursor, cursor + size, nr, nr, draw(st.integers(0, 3))))
        cursor += size
    return rows


@settings(max_examples=150, deadline=None)
@given(
    st.lists(counted_tables(), min_size=1, max_size=2),
    st.lists(schemes(), min_size=1, max_size=3),
    operations(),
    st.integers(0, 2),
    st.integers(0, 120 * PAGE),
    st.booleans(),
)
def test_passes_from_any_state(drawn_tables, listed, ops, position_target, position, heard):
    """Schemes applied again and again to regions that no run would have led to."""
    spec = Context(
        "vaddr", tuple(Target() for _ in drawn_tables), Attrs(min_nr_regions=3), tuple(listed)
    )
    pair = Pair(spec, [], [5], ops)
    fast, plain = pair.fast, pair.plain
    for i, rows in enumerate(drawn_tables):
        fast.targets[i].regions.assign(rows)
        plain.targets[i][:] = twin.from_rows(rows)
    if position_target < len(drawn_tables):
        fast.schemes[0].quota.charge_target_from = fast.targets[position_target]
        fast.schemes[0].quota.charge_addr_from = position
        plain.schemes[0].position_target, plain.schemes[0].position = position_target, position
    if not heard:
        fast.on_apply = None
    for _ in range(5):
        for s in fast.schemes:
            s.next_apply_sis = 0
        for s in plain.schemes:
            s.next_apply = 0
        for _ in apply_schemes(fast):
            pass
        plain.apply_schemes()
        if not heard:
            plain.events.clear()
        pair.check()
        for regions, target in zip(fast.regions, plain.targets, strict=True):
            regions.age = regions.age + 1
            for r in target:
                r.age += 1
        fast.now_ns += 500_000_000
        plain.now += 500_000_000


class Still(StandOps):
    """Statistics do nothing and are tried region by region all the same."""

    def does_nothing(self, scheme):
        return False

    def apply(self, scheme, *place):
        return Applied(0) if scheme.action == "stat" else super().apply(scheme, *place)


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("order", [1, -1])
def test_sums_of_idle_schemes_stand_where_the_walk_stands(heard, order):
    """Whoever looks while an action keeps the kdamond sees the regions tried so far."""
    warm = AccessPattern(min_nr_accesses=3, max_nr_accesses=6)
    acting = Scheme("pageout", pattern=warm, quota=Quota(sz=30 * PAGE, reset_interval_ms=1))
    every, young = Scheme("stat"), Scheme("stat", pattern=AccessPattern(max_age=3))
    spec = Context(targets=(Target(),), schemes=(every, acting, young)[::order])
    seen = []
    for ops in (StandOps(idle_stat=True, busy_ns=1000), Still(busy_ns=1000)):
        ctx, told, counters = context(spec, ops=ops), [], []
        ctx.targets[0].regions.assign(
            (i * 4 * PAGE, (i + 1) * 4 * PAGE, i % 7, 0, i % 5) for i in range(60)
        )
        if heard:
            ctx.on_apply = lambda ctx, *what, told=told: told.append(what)
        for _ in range(3):
            for scheme in ctx.schemes:
                scheme.next_apply_sis = 0
            steps = apply_schemes(ctx)
            counters += [[scheme_state(s, ctx) for s in ctx.schemes] for _ in steps]
            ctx.now_ns += 50_000_000
        counters.append([scheme_state(s, ctx) for s in ctx.schemes])
        seen.append((counters, told, ctx.regions[0].rows()))
    assert len(seen[0][0]) > 10
    assert seen[0] == seen[1]


def test_positions_in_a_foreign_target_skip_everything():
    ctx = context(Context(targets=(Target(regions=((0, PAGE),)),), schemes=(Scheme("pageout"),)))
    ctx.start(0)
    ctx.schemes[0].quota.charge_target_from = TargetState(Target())
    ctx.schemes[0].next_apply_sis = 0
    assert list(apply_schemes(ctx)) == []
    assert ctx.schemes[0].stat.nr_tried == 0
