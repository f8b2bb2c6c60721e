"""Alto above policies that know nothing of it: promotions are refused where pages are moved."""

from __future__ import annotations

import numpy as np

from numasim.experimenter import stage_of
from numasim.hotness.alto import Alto
from numasim.hotness.throttle import Throttle
from tests.worlds import machine, mapping, touch_all, workload


def test_of_promotions_a_share_is_let_through_and_demotions_all():
    policy = {"mode": "bind", "nodes": [1]}
    made = machine(work=workload([mapping("m", "8 MiB", policy=policy)]))
    pages = touch_all(made.migrator)
    stage = stage_of(made)
    throttle = Throttle(40, 100, 4)
    agent = Alto(stage, throttle, (), 0, 10**9, 0)
    throttle.measure(75)
    up = made.migrator.migrate(pages[:400], 0, "somebody")
    assert len(up.pages) == 200 and agent.refused == 200
    assert up.pages.tolist() == pages[:200].tolist(), "the first ones, as they were asked for"
    down = made.migrator.migrate(up.pages, 1, "somebody")
    assert len(down.pages) == 200 and agent.refused == 200
    throttle.measure(0)
    assert not len(made.migrator.migrate(pages[400:], 0, "somebody").pages)


def test_who_was_asked_before_is_still_asked():
    policy = {"mode": "bind", "nodes": [1]}
    made = machine(work=workload([mapping("m", "8 MiB", policy=policy)]))
    pages = touch_all(made.migrator)
    made.migrator.allowed = lambda heads, target, cause: heads % 2 == 0
    Alto(stage_of(made), Throttle(40, 100), (), 0, 10**9, 0)
    moved = made.migrator.migrate(pages, 0, "somebody").pages
    assert len(moved) == len(pages) // 2 and not np.any(moved % 2)
