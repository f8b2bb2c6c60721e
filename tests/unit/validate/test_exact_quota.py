"""Effective quotas follow the feedback loop while free memory stands still."""

from __future__ import annotations

import pytest

from numasim.damon.spec import Quota, QuotaGoal, Scheme
from numasim.validate.exact_quota import exact_quotas
from numasim.validate.recording import read
from tests.unit.validate import made

ASKED = Scheme(
    "migrate_hot",
    quota=Quota(
        sz=200_000_000, reset_interval_ms=1000, goals=(QuotaGoal("node_mem_used_bp", 9700, nid=0),)
    ),
)


def checks(esz, applied=None, free=None):
    """A scheme applied every 1.1 s to a node of which half is free."""
    told = read(made.DATA / "E1a/r2")
    pages = sum(zone.managed for zone in told.setup.zones if zone.node == 0)
    t_s = [2.5 + 1.1 * i for i in range(len(esz))]
    one = made.scheme(t_s, applied or [0] * len(esz), list(zip(t_s, esz, strict=True)))
    watched = made.kdamond(
        made.watch((0.1, [[0, 10, 0, 0]])), schemes=[one], schemes_asked=(ASKED,)
    )
    half = pages // 2 * 4096
    found = exact_quotas(made.seen(watched, free=free or [half] * 12), told)
    return found[0] if found else None


def test_quotas_grow_by_what_the_goal_is_missed():
    # 50 % used is 51.5 % of the goal, so a window's quota is 1.485 times the one before
    sizes = [100_000, 148_463, 220_412, 327_230]
    found = checks(sizes)
    assert found.checked == 3 and found.ok, found.examples


@pytest.mark.parametrize("wrong", [120_000, 200_000])
def test_a_quota_that_does_not_follow_is_seen(wrong):
    assert not checks([100_000, wrong]).ok


def test_nothing_is_asked_while_pages_move():
    assert checks([100_000, 120_000], applied=[0, 4096]) is None
    free = [2**30 + i * 2**26 for i in range(12)]
    assert checks([100_000, 120_000], free=free) is None
