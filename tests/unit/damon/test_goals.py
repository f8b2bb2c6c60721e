"""Goal metrics."""

import pytest

from numasim.damon.goals import GoalState, measure
from numasim.damon.spec import QuotaGoal
from tests.vectors.stand import Metrics


def value(metric, metrics, *, nid=0, eligible=None):
    goal = GoalState.of(QuotaGoal(metric, 10_000, nid=nid, memcg_path="/a"))
    measure(goal, metrics, lambda: eligible, temporal=False, esz=0)
    return goal.current_value


@pytest.mark.parametrize(
    ("pages", "used", "free"),
    [((1000, 250), 7500, 2500), (None, 0, 10_000), ((0, 0), 10_000, 0), ((10, 11), 10_000, 0)],
)
def test_node_memory(pages, used, free):
    metrics = Metrics(nodes={} if pages is None else {0: pages})
    assert value("node_mem_used_bp", metrics) == used
    assert value("node_mem_free_bp", metrics) == free


@pytest.mark.parametrize(
    ("charged", "used", "free"),
    [(250, 2500, 7500), (None, 0, 10_000), (1001, 10_000, 0)],
)
def test_cgroup_memory_on_a_node(charged, used, free):
    metrics = Metrics(nodes={0: (1000, 0)}, memcg=charged)
    assert value("node_memcg_used_bp", metrics) == used
    assert value("node_memcg_free_bp", metrics) == free


def test_lru_lists():
    assert value("active_mem_bp", Metrics(lru=(1, 3))) == 2500
    assert value("inactive_mem_bp", Metrics(lru=(1, 3))) == 7500
    assert value("active_mem_bp", Metrics(lru=(0, 0))) == 0


def test_eligible_memory():
    metrics = Metrics()
    assert value("node_eligible_mem_bp", metrics, eligible={0: 1, 1: 3}) == 2500
    assert value("node_eligible_mem_bp", metrics, nid=7, eligible={0: 1}) == 0
    assert value("node_eligible_mem_bp", metrics, eligible={}) == 0
    assert value("node_eligible_mem_bp", metrics, eligible=None) == 0
    assert value("node_ineligible_mem_bp", metrics, eligible={0: 1, 1: 3}) == 7500
    assert value("node_ineligible_mem_bp", metrics, eligible={}) == 0


@pytest.mark.parametrize(
    ("temporal", "esz", "first"), [(False, 0, 50), (True, 0, 50), (True, 1, 0)]
)
def test_stalls_need_two_measurements(temporal, esz, first):
    metrics = Metrics(psi_us=1000)
    goal = GoalState.of(QuotaGoal("some_mem_psi_us", 50))
    measure(goal, metrics, lambda: None, temporal, esz)
    assert goal.current_value == first
    metrics.psi_us = 1030
    measure(goal, metrics, lambda: None, temporal, esz)
    assert goal.current_value == 30
    goal.commit(goal.spec)
    measure(goal, metrics, lambda: None, temporal, esz)
    assert goal.current_value == first


def test_a_commit_keeps_measurements_but_takes_user_input():
    goal = GoalState.of(QuotaGoal("node_mem_free_bp", 10, 3))
    goal.commit(QuotaGoal("node_mem_free_bp", 20, 4))
    assert goal.current_value == 3
    goal.commit(QuotaGoal("user_input", 20, 5))
    assert (goal.current_value, goal.score_bp) == (5, 2500)
