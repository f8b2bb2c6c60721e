"""The loop's timing rules, probed tick by tick: not yet at k - 1, true at k."""

from dataclasses import replace

import numpy as np
import pytest

from numasim.damon.context import PausedFor
from numasim.damon.ops import Window
from numasim.damon.spec import (
    Attrs,
    Context,
    IntervalsGoal,
    Quota,
    Scheme,
    Target,
    Watermarks,
)
from numasim.errors import ConfigError
from tests.vectors.runs import hot_source
from tests.vectors.stand import Metrics, StandOps, context

PAGE = 4096
TARGET = Target(regions=((0, 1000 * PAGE),))
TICK = 5_000_000


class Bench:
    """Steps a context sample by sample and notes at which sample things happened."""

    def __init__(self, spec, **given):
        self.ctx = context(spec, **given)
        self.ctx.start(0)
        self.seen = []
        self.ctx.aggregated = lambda ctx, now_ns, regions: self._note("aggregated")
        self.ctx.on_ops_update = lambda ctx: self._note("updated")
        self.ctx.on_apply = lambda ctx, scheme, *_: self._note(f"applied {scheme}")

    def _note(self, what):
        note = (self.ctx.passed_sample_intervals, what)
        if note not in self.seen:
            self.seen.append(note)

    def step(self, ticks=1):
        for _ in range(ticks):
            for _ in self.ctx.iterate(self.ctx.now_ns, self.ctx.now_ns + TICK):
                pass

    def times(self, what):
        return [sis for sis, seen in self.seen if seen == what]


def test_aggregation_is_due_at_its_sample_not_before():
    bench = Bench(Context(targets=(TARGET,)))
    bench.step(19)
    assert bench.seen == []
    bench.step()
    assert bench.seen == [(20, "aggregated")]
    bench.step(20)
    assert bench.times("aggregated") == [20, 40]


def test_schemes_have_their_own_pace_and_see_merged_regions_not_yet_reset():
    schemes = (Scheme("stat", apply_interval_us=35_000), Scheme("stat"))
    bench = Bench(Context(targets=(TARGET,), schemes=schemes))
    bench.step(42)
    assert bench.times("applied 0") == [7, 14, 21, 28, 35, 42]
    assert bench.times("applied 1") == [20, 40]
    assert bench.seen.index((20, "applied 1")) < bench.seen.index((20, "aggregated"))


def test_ops_update_counts_from_when_it_was_due():
    bench = Bench(Context(targets=(TARGET,), attrs=Attrs(ops_update_us=120_000)))
    bench.step(72)
    assert bench.times("updated") == [24, 48, 72]


def test_tuning_postpones_the_ops_update():
    goal = IntervalsGoal(400, 1, 5_000, 10_000_000)
    attrs = Attrs(ops_update_us=150_000, intervals_goal=goal)
    bench = Bench(Context(targets=(TARGET,), attrs=attrs))
    bench.step(200)
    assert bench.times("updated")[0] > 30


def test_no_window_holds_more_positive_samples_than_it_has_samples():
    bench = Bench(Context(targets=(TARGET,)), source=hot_source([[0, 1000 * PAGE, 1]]))
    most = []
    bench.ctx.aggregated = lambda ctx, now_ns, regions: most.append(
        max(int(r.nr_accesses.max()) for r in regions)
    )
    bench.step(60)
    assert most == [20, 20, 20]


def test_bulk_form_stops_at_every_sample_that_matters():
    spec = Context(
        targets=(TARGET,),
        attrs=Attrs(ops_update_us=120_000),
        schemes=(Scheme("stat", apply_interval_us=35_000),),
    )
    bench = Bench(spec)
    ctx, stops = bench.ctx, []
    while ctx.passed_sample_intervals < 48:
        ticks = ctx.samples_until_due()
        ends = ctx.now_ns + np.arange(1, ticks + 1) * TICK
        ctx.absorb(Window(ends - TICK, ends))
        assert list(ctx.due(int(ends[-1]))) == []
        stops.append(ctx.passed_sample_intervals)
    assert stops == [7, 14, 20, 21, 24, 28, 35, 40, 42, 48]


def test_a_set_without_updates_does_not_wake_the_kdamond():
    spec = Context(targets=(TARGET,), attrs=Attrs(ops_update_us=0))
    assert context(spec).samples_until_due() == 1
    ctx = context(spec, ops=StandOps(updates=False))
    ctx.start(0)
    assert ctx.samples_until_due() == 20


def test_calls_are_made_after_the_next_sample_before_schemes():
    bench = Bench(Context(targets=(TARGET,)))
    bench.ctx.call(lambda: bench._note("called"))
    assert bench.ctx.samples_until_due() == 1
    bench.step(2)
    assert bench.seen == [(1, "called")]


def test_actions_keep_the_kdamond_and_are_charged_in_whole_ticks():
    ops = StandOps(busy_ns=1_500_000)
    spec = Context(targets=(TARGET,), schemes=(Scheme("pageout", quota=Quota(ms=1000)),))
    ctx = context(spec, ops=ops)
    ctx.start(0)
    ctx.absorb(Window(np.arange(20) * TICK, np.arange(1, 21) * TICK))
    waits = list(ctx.due(20 * TICK))
    assert set(waits) == {1_500_000} and len(waits) == 10
    assert ctx.now_ns == 20 * TICK + 15_000_000
    assert ctx.schemes[0].quota.total_charged_ns == 15_000_000


def test_the_caller_may_say_when_it_resumed():
    ctx = context(Context(targets=(TARGET,), schemes=(Scheme("stat"),)), ops=StandOps(busy_ns=1))
    ctx.start(0)
    ctx.absorb(Window(np.arange(20) * TICK, np.arange(1, 21) * TICK))
    steps = ctx.due(20 * TICK)
    assert next(steps) == 1
    steps.send(21 * TICK)
    assert ctx.now_ns == 21 * TICK


def test_a_pause_lasts_until_a_call_ends_it():
    ctx = context(Context(targets=(TARGET,), pause=True))
    ctx.start(0)
    ctx.absorb(Window.tick(0, TICK))
    steps = ctx.due(TICK)
    wait = next(steps)
    assert isinstance(wait, PausedFor) and wait == TICK
    ctx.call(lambda: setattr(ctx, "paused", False))
    assert list(steps) == []
    assert ctx.now_ns == 2 * TICK


def test_watermarks_put_the_kdamond_to_sleep_unless_one_scheme_needs_it():
    marks = Watermarks("free_mem_rate", 7_000, high=500, mid=400, low=200)
    metrics = Metrics(system=(1000, 900))
    spec = Context(targets=(TARGET,), schemes=(Scheme(wmarks=marks),))
    ctx = context(spec, metrics=metrics)
    ctx.start(0)
    request = ctx.walk()
    assert ctx.wait_activation(0) == 7_000
    ctx.call(lambda: metrics.__setattr__("system", (1000, 300)))
    assert ctx.wait_activation(7_000_000) == 0
    assert request.state == "canceled"
    both = context(replace(spec, schemes=(Scheme(wmarks=marks), Scheme())), metrics=metrics)
    metrics.system = (1000, 900)
    assert both.wait_activation(0) == 0
    assert [scheme.activated for scheme in both.schemes] == [False, True]


def test_a_context_without_schemes_never_waits():
    assert context(Context(targets=(TARGET,))).wait_activation(0) == 0


def test_a_kdamond_ends_with_its_last_target():
    gone = set()
    spec = Context("vaddr", (TARGET, TARGET))
    ctx = context(spec, ops=StandOps(name="vaddr", valid=lambda i: i not in gone))
    assert not ctx.finished()
    gone.add(0)
    assert not ctx.finished()
    gone.add(1)
    assert ctx.finished()


def test_empty_targets_are_filled_by_the_operations_set():
    class Process(StandOps):
        def init_ranges(self, target_index):
            return [(0, 20 * PAGE)]

    ctx = context(Context("vaddr", (Target(), Target(regions=((0, PAGE),)))), ops=Process("vaddr"))
    ctx.start(0)
    assert [int(r.end[-1]) for r in ctx.regions] == [20 * PAGE, PAGE]


def test_a_context_without_regions_runs():
    bench = Bench(Context(targets=(Target(),), schemes=(Scheme("pageout", quota=Quota(sz=1)),)))
    bench.step(45)
    assert bench.times("aggregated") == [20, 40]


def test_what_the_kernel_refuses_is_refused():
    with pytest.raises(ConfigError, match="min_region_sz"):
        context(Context(), min_region_sz=4095)
    with pytest.raises(ConfigError, match="min_nr_regions"):
        context(Context(attrs=Attrs(min_nr_regions=2)))


def test_a_commit_and_tuning_in_one_iteration_do_not_lose_the_window():
    goal = IntervalsGoal(400, 1, 5_000, 10_000_000)
    spec = Context(targets=(TARGET,), attrs=Attrs(intervals_goal=goal))
    hot = hot_source([[0, 10 * PAGE, 1], [500 * PAGE, 501 * PAGE, 1]])
    bench = Bench(spec, source=hot)
    most = []
    bench.ctx.aggregated = lambda ctx, now_ns, regions: most.append(
        int(regions[0].nr_accesses.max())
    )
    bench.step(19)
    new = replace(spec, attrs=replace(spec.attrs, max_nr_regions=500))
    bench.ctx.call(lambda: bench.ctx.commit(new, bench.ctx.now_ns))
    bench.step()
    assert most == [20]
