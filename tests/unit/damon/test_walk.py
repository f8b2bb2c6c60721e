"""Requests for tried regions."""

from numasim.damon.ops import Window
from numasim.damon.spec import AccessPattern, Context, Scheme, Target
from tests.vectors.stand import StandOps, context

PAGE = 4096
OPEN = Scheme(action="stat")
NOTHING = Scheme(action="pageout", pattern=AccessPattern(min_nr_accesses=1))


def running(*schemes):
    target = Target(regions=((0, 100 * PAGE),))
    ctx = context(Context(targets=(target,), schemes=schemes), ops=StandOps())
    ctx.start(0)
    return ctx


def window(ctx, ticks=20):
    for _ in range(ticks):
        end = ctx.now_ns + 5_000_000
        assert list(ctx.iterate(ctx.now_ns, end)) == []


def test_every_tried_region_is_reported_once_for_each_scheme():
    ctx = running(OPEN, NOTHING)
    request = ctx.walk()
    window(ctx, 19)
    assert request.state == "pending"
    window(ctx, 1)
    assert request.state == "done"
    assert request.total_bytes(0) == 100 * PAGE
    assert request.tried.get(1) is None
    assert {region.age for region in request.tried[0]} == {1}
    count = len(request.tried[0])
    window(ctx)
    assert len(request.tried[0]) == count


def test_requests_end_with_the_kdamond():
    ctx = running(OPEN)
    before = ctx.walk()
    ctx.stop()
    assert (before.state, ctx.walk().state) == ("canceled", "canceled")


def test_requests_end_where_there_are_no_schemes():
    ctx = running()
    request = ctx.walk()
    window(ctx, 1)
    assert request.state == "canceled"


def test_requests_end_with_a_pause():
    ctx = running(OPEN)
    request = ctx.walk()
    ctx.paused = True
    ctx.absorb(Window.tick(0, 5_000_000))
    steps = ctx.due(5_000_000)
    assert next(steps) == 5_000_000
    assert request.state == "canceled"
