"""Passes of schemes over regions."""

from dataclasses import replace

from numasim.damon.adjust import eligible_bytes
from numasim.damon.apply import apply_schemes
from numasim.damon.spec import AccessPattern, Attrs, Context, Filter, Quota, Scheme, Target
from tests.vectors.stand import StandOps, context

PAGE = 4096
HOT = StandOps(score={"migrate_hot": "hot"})
OPEN = Scheme("migrate_hot")


def after_pass(rows, *schemes, ops=HOT, passes=1):
    """A context after passes over one target with those regions, and what was applied."""
    spec = Context(targets=(Target(),), attrs=Attrs(min_nr_regions=3), schemes=schemes)
    ctx = context(spec, ops=ops)
    ctx.targets[0].regions.assign(rows)
    seen = []
    ctx.on_apply = lambda ctx, k, target, start, end, nr, age, done: seen.append((k, start, end))
    for _ in range(passes):
        for scheme in ctx.schemes:
            scheme.next_apply_sis = 0
        assert list(apply_schemes(ctx)) == []
    return ctx, seen


def test_a_scheme_sees_the_age_that_an_earlier_one_reset():
    old_then_young = [(0, PAGE, 20, 20, 10_000), (PAGE, 3 * PAGE, 20, 20, 1)]
    ranked = Quota(sz=PAGE, weight_age=1)
    first = Scheme("pageout", pattern=AccessPattern(min_age=10_000))
    _, seen = after_pass(old_then_young, replace(OPEN, quota=ranked))
    assert seen == [(0, 0, PAGE)]
    ctx, seen = after_pass(old_then_young, first, replace(OPEN, quota=ranked))
    assert seen == [(0, 0, PAGE)]  # its score fell below what the quota asks for
    assert ctx.schemes[1].quota.min_score == 64


def test_a_later_scheme_may_want_only_what_was_just_acted_upon():
    young = Scheme("migrate_hot", pattern=AccessPattern(max_age=0))
    _, seen = after_pass([(0, PAGE, 1, 1, 5)], Scheme("pageout"), young)
    assert seen == [(0, 0, PAGE), (1, 0, PAGE)]
    _, seen = after_pass([(0, PAGE, 1, 1, 5)], young, Scheme("pageout"))
    assert seen == [(1, 0, PAGE)]


def test_stat_leaves_ages_alone():
    ctx, _ = after_pass([(0, PAGE, 1, 1, 5)], Scheme("stat"))
    assert ctx.regions[0].rows()[0][4] == 5


def test_ages_are_reset_even_if_nothing_could_be_done():
    ctx, _ = after_pass([(0, PAGE, 1, 1, 5)], OPEN, ops=replace(HOT, applied_percent=0))
    assert ctx.regions[0].rows()[0][4] == 0
    assert (ctx.schemes[0].stat.nr_tried, ctx.schemes[0].stat.nr_applied) == (1, 0)


def test_equal_neighbours_are_joined_where_a_scheme_was_due():
    halves = [(0, PAGE, 1, 1, 5), (PAGE, 2 * PAGE, 1, 1, 5), (2 * PAGE, 9 * PAGE)]
    ctx, _ = after_pass(halves, Scheme("stat"))
    assert [row[:2] for row in ctx.regions[0].rows()] == [(0, 2 * PAGE), (2 * PAGE, 9 * PAGE)]


def test_what_core_filters_reject_is_neither_tried_nor_charged():
    upper = Filter("addr", matching=True, allow=False, start=PAGE, end=4 * PAGE)
    ctx, seen = after_pass([(0, 4 * PAGE, 1, 1, 5)], replace(OPEN, filters=(upper,)))
    assert seen == [(0, 0, PAGE)]
    assert [row[4] for row in ctx.regions[0].rows()] == [0, 5]
    assert ctx.schemes[0].stat.sz_tried == PAGE


def test_snapshots_end_a_scheme():
    ctx, seen = after_pass([(0, PAGE)], replace(OPEN, max_nr_snapshots=2), passes=4)
    assert len(seen) == 2
    assert ctx.schemes[0].stat.nr_snapshots == 2


def test_an_invalid_target_is_passed_over_and_forgotten():
    ops = replace(HOT, valid=lambda target_index: False)
    ctx, seen = after_pass([(0, PAGE)], OPEN, ops=ops)
    assert seen == []
    quota = ctx.schemes[0].quota
    quota.charge_target_from, quota.charge_addr_from = ctx.targets[0], PAGE
    ctx.schemes[0].next_apply_sis = 0
    assert list(apply_schemes(ctx)) == []
    assert (quota.charge_target_from, quota.charge_addr_from) == (None, 0)


def test_inactive_schemes_are_rescheduled_only_along_with_others():
    ctx, _ = after_pass([(0, PAGE)], OPEN, OPEN)
    for scheme in ctx.schemes:
        scheme.next_apply_sis, scheme.activated = 0, False
    assert list(apply_schemes(ctx)) == []
    assert [scheme.next_apply_sis for scheme in ctx.schemes] == [0, 0]
    ctx.schemes[0].activated = True
    assert list(apply_schemes(ctx)) == []
    assert [scheme.next_apply_sis for scheme in ctx.schemes] == [20, 20]


def test_eligible_memory_is_asked_for_matching_ranges_in_bytes():
    asked = []

    class Eligible:
        def eligible_bytes(self, ranges):
            asked.append(ranges)
            return {0: 1}

    spec = Context(targets=(Target(),), schemes=(OPEN,), addr_unit=16)
    ctx = context(spec, metrics=Eligible(), min_region_sz=256)
    ctx.targets[0].regions.assign([(0, 256), (512, 1024)])
    assert eligible_bytes(ctx, ctx.schemes[0]) == {0: 1}
    assert asked == [[(0, 4096), (8192, 16384)]]
    ctx.ops.name = "vaddr"
    assert eligible_bytes(ctx, ctx.schemes[0]) is None
