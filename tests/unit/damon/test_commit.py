"""Online commits: all or nothing, and what survives them."""

from dataclasses import replace

import pytest

from numasim.damon.spec import (
    Attrs,
    Context,
    IntervalsGoal,
    Quota,
    QuotaGoal,
    Scheme,
    Target,
)
from numasim.errors import ConfigError
from tests.vectors.stand import context

PAGE = 4096
TARGETS = (Target(regions=((0, 100 * PAGE),)), Target(regions=((0, 50 * PAGE),)))
SPEC = Context("vaddr", TARGETS, schemes=(Scheme("pageout"), Scheme("stat")))


def running(spec=SPEC):
    ctx = context(spec)
    ctx.start(0)
    return ctx


@pytest.mark.parametrize(
    "bad",
    [
        replace(SPEC, attrs=Attrs(min_nr_regions=1)),
        replace(SPEC, targets=(Target(regions=((10 * PAGE, 20 * PAGE), (0, PAGE))),)),
        replace(SPEC, targets=(*TARGETS, Target(obsolete=True))),
        replace(SPEC, ops="paddr"),
        replace(
            SPEC, schemes=(Scheme("pageout", quota=Quota(goals=(QuotaGoal("user_input", 0),))),)
        ),
        replace(
            SPEC,
            schemes=(Scheme(quota=Quota(goals=(QuotaGoal("node_eligible_mem_bp", 1, nid=0),))),),
        ),
    ],
)
def test_a_refused_commit_changes_nothing(bad):
    ctx = running()
    before = [regions.rows() for regions in ctx.regions]
    with pytest.raises(ConfigError):
        ctx.commit(bad, 0)
    assert [regions.rows() for regions in ctx.regions] == before
    assert ctx.spec is SPEC and len(ctx.schemes) == 2


def test_schemes_are_matched_by_position():
    ctx = running()
    first = ctx.schemes[0]
    first.stat.nr_tried = 5
    ctx.commit(replace(SPEC, schemes=(Scheme("cold"),)), 0)
    assert ctx.schemes == [first]
    assert (first.action, first.stat.nr_tried) == ("cold", 5)
    ctx.commit(SPEC, 0)
    assert ctx.schemes[1].stat.nr_tried == 0
    assert ctx.schemes[1].due(0)  # a new scheme is due at once


def test_an_obsolete_target_goes_and_takes_charge_positions_along():
    ctx = running()
    quota = ctx.schemes[0].quota
    quota.charge_target_from, quota.charge_addr_from = ctx.targets[0], PAGE
    kept = ctx.targets[1]
    ctx.commit(replace(SPEC, targets=(Target(obsolete=True), TARGETS[1])), 0)
    assert ctx.targets == [kept]
    assert (quota.charge_target_from, quota.charge_addr_from) == (None, 0)


def test_a_target_without_regions_keeps_those_it_has():
    ctx = running()
    before = [regions.rows() for regions in ctx.regions]
    ctx.commit(replace(SPEC, targets=(Target(), Target())), 0)
    assert [regions.rows() for regions in ctx.regions] == before


def test_touching_ranges_are_joined_first():
    ctx = running()
    halves = ((0, 50 * PAGE), (50 * PAGE, 200 * PAGE))
    ctx.commit(replace(SPEC, targets=(Target(regions=halves), TARGETS[1])), 0)
    ends = [row[1] for row in ctx.regions[0].rows()]
    assert ends[-1] == 200 * PAGE and len(ends) == 7  # the last old region was stretched


def test_equal_attributes_do_not_restart_timers_but_original_ones_undo_tuning():
    goal = IntervalsGoal(400, 1, 5_000, 10_000_000)
    spec = replace(SPEC, attrs=Attrs(intervals_goal=goal))
    ctx = running(spec)
    ctx.passed_sample_intervals = 7
    ctx.commit(replace(spec, schemes=()), 0)
    assert ctx.next_aggregation_sis == 20
    ctx.tune_intervals()
    assert ctx.sample_us == 10_000
    ctx.commit(spec, 0)
    assert ctx.sample_us == 5_000
    assert ctx.next_aggregation_sis == 27
