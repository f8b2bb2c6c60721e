"""DAMON_RECLAIM, DAMON_LRU_SORT and DAMON_STAT: their kdamonds, and what they do."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from numasim.damon.spec import (
    AccessPattern,
    Attrs,
    Filter,
    IntervalsGoal,
    Quota,
    QuotaGoal,
    Watermarks,
)
from numasim.formats import kdamonds
from numasim.loader import load_scenario
from numasim.policies import registry
from numasim.policies.damon_stat import estimated_memory_bandwidth, idle_time_percentiles
from numasim.result import Result
from numasim.running import run_scenario
from tests import worlds

KINDS = ("damon_reclaim", "damon_lru_sort", "damon_stat")
EAGER = {"wmarks_high": 1000, "wmarks_mid": 999, "wmarks_low": 0, "wmarks_interval": "100 ms"}


def context(kind: str, **fields):
    (one,) = registry.build(kind, fields).kdamonds(worlds.topology())
    return one.contexts[0]


def test_reclaim_by_default():
    found = context("damon_reclaim")
    assert found.ops == "paddr" and found.targets[0].regions == (worlds.topology().default_range(),)
    assert found.attrs == Attrs(5_000, 100_000, 0, 10, 1_000)
    (scheme,) = found.schemes
    assert scheme.action == "pageout" and scheme.apply_interval_us == 0 and not scheme.filters
    assert scheme.pattern == AccessPattern(min_sz=4096, max_nr_accesses=0, min_age=1200)
    assert scheme.quota == Quota(10, 128 << 20, 1000, weight_age=1)
    assert scheme.wmarks == Watermarks("free_mem_rate", 5_000_000, 500, 400, 200)


def test_reclaim_as_asked():
    found = context(
        "damon_reclaim", skip_anon=True, quota_autotune_feedback=7_000, min_age="5 s",
        autotune_monitoring_intervals=True, quota_mem_pressure_us=500,
    )  # fmt: skip
    (scheme,) = found.schemes
    assert found.attrs.intervals_goal == IntervalsGoal(40, 3, 5_000, 10_000_000)
    assert scheme.filters == (Filter("anon", matching=True, allow=False),)
    assert scheme.pattern.min_age == 50
    assert scheme.quota.goals == (
        QuotaGoal("some_mem_psi_us", 500),
        QuotaGoal("user_input", 10_000, 7_000),
    )


def test_lru_sort_by_default():
    hot, cold = context("damon_lru_sort").schemes
    assert (hot.action, cold.action) == ("lru_prio", "lru_deprio")
    assert hot.pattern.min_nr_accesses == 10 and hot.pattern.min_age == 0
    assert cold.pattern.max_nr_accesses == 0 and cold.pattern.min_age == 1200
    for scheme in (hot, cold):
        assert scheme.quota == Quota(5, 0, 1000, weight_nr_accesses=1, weight_age=1)
        assert scheme.wmarks == Watermarks("free_mem_rate", 5_000_000, 200, 150, 50)
        assert not scheme.filters


def test_lru_sort_as_asked():
    hot, cold = context("damon_lru_sort", active_mem_bp=6_000, filter_young_pages=True).schemes
    assert hot.quota.goals == (QuotaGoal("active_mem_bp", 6_000),)
    assert cold.quota.goals == (QuotaGoal("inactive_mem_bp", 4_002),)
    assert hot.filters == (Filter("young", matching=False, allow=False),)
    assert cold.filters == (Filter("young", matching=True, allow=False),)


def test_stat_only_monitors():
    found = context("damon_stat")
    goal = IntervalsGoal(400, 3, 5_000, 10_000_000)
    assert found.attrs == Attrs(5_000, 100_000, 60_000_000, 10, 1_000, goal)
    assert not found.schemes


@pytest.mark.parametrize("kind", KINDS)
def test_files_say_the_same(kind):
    made = registry.build(kind, {}).kdamonds(worlds.topology())
    assert tuple(kdamonds.loads(kdamonds.dumps(made, "yaml"), "yaml").kdamonds) == made


def test_percentiles_of_idle_time():
    size = np.array([50, 30, 20]) * 4096
    found = idle_time_percentiles(size, np.array([3, 0, 0]), np.array([4, 9, 99]), 100_000)
    # hot for 5 aggregations; idle for 10 and 100: sorted -5, 10, 100; 50, 80, 100 % of memory
    assert found[[0, 50]].tolist() == [-500, -500] and found[[51, 80]].tolist() == [1000, 1000]
    assert found[[81, 100]].tolist() == [10_000, 10_000]


def test_bandwidth_is_that_of_the_regions():
    assert (
        estimated_memory_bandwidth(np.array([4096, 8192]), np.array([20, 5]), 100_000) == 1_228_800
    )


def scenario(policy: dict, **kernel) -> dict:
    """A third of the memory is hot, the rest idle; others take some from time to time."""
    settings = {"min_free_kbytes": 1024, "transparent_hugepage": "never", **kernel}
    node = {"bandwidth": "50 GB/s", "at": "socket0"}
    machine = {
        "name": "small",
        "nodes": [
            {"name": "fast", "capacity": "48 MiB", "latency": "100 ns", **node},
            {"name": "slow", "capacity": "96 MiB", "latency": "300 ns", **node},
        ],
        "accessors": [{"name": "cpu0", "cpus": "0-3", "at": "socket0"}],
        "kernel": settings,
    }
    access = [{"pattern": "uniform", "mapping": "hot", "lines": 4}]
    idle = {"pattern": "uniform", "mapping": "idle", "visits": 0.00001}
    app = {
        "name": "app",
        "mappings": [worlds.mapping("hot", "12 MiB"), worlds.mapping("idle", "24 MiB")],
        "actors": [{"name": "main", "phases": [{"compute": "1 us", "access": [*access, idle]}]}],
    }
    work = {"name": "small", "processes": [app]}
    return {"topology": machine, "workload": work, "policy": policy, "duration": "4 s"}


@cache
def reclaimed() -> Result:
    policy = {"kind": "damon_reclaim", "min_age": "500 ms", "start": "100 ms", **EAGER}
    return run_scenario(load_scenario(scenario(policy, swap={"size": "64 MiB"})))


def test_reclaim_pages_out_what_is_idle():
    found = reclaimed()
    scheme, last = found.schemes.iloc[-1], found.residency[found.residency.t_s == 4.0]
    left = last.groupby("mapping").bytes.sum() / (1 << 20)
    assert scheme.sz_applied > 20 << 20
    assert left["idle"] < 6 and left["hot"] > 11.5


def test_reclaim_waits_for_its_watermarks():
    policy = {"kind": "damon_reclaim", "min_age": "500 ms"}  # more than half is free
    found = run_scenario(load_scenario(scenario(policy, swap={"size": "64 MiB"})))
    assert found.schemes.sz_tried.max() == 0


def test_without_swap_it_says_so():
    topology = worlds.topology()
    assert "no swap" in registry.build("damon_reclaim", {}).remark(topology)


@pytest.mark.parametrize("lru", ["mglru", "active_inactive"])
def test_lru_sort_tells_reclaim_what_is_hot(lru):
    policy = {"kind": "damon_lru_sort", "cold_min_age": "500 ms", "start": "100 ms", **EAGER}
    take = {"at": "3 s", "available": {"fast": "40 MiB"}}
    made = scenario(policy, demotion=True, lru=lru)
    found = run_scenario(load_scenario({**made, "events": [take]}))
    last = found.schemes[found.schemes.t_s == 4.0]
    assert (last.sz_applied > 0).all()


def test_a_goal_of_active_memory_runs():
    policy = {"kind": "damon_lru_sort", "active_mem_bp": 6_000, "start": "100 ms", **EAGER}
    found = run_scenario(load_scenario(scenario(policy)))
    hot = found.schemes[found.schemes.goal == "active_mem_bp"]
    assert hot.goal_current.iloc[-1] > 0


def test_memory_pressure_is_a_goal():
    policy = {"kind": "damon_reclaim", "min_age": "500 ms", "quota_mem_pressure_us": 1_000}
    made = scenario({**policy, "start": "100 ms", **EAGER}, swap={"size": "64 MiB"})
    for mapping in made["workload"]["processes"][0]["mappings"]:
        mapping["policy"] = {"mode": "bind", "nodes": ["fast"]}
    calm = run_scenario(load_scenario(made)).schemes
    made["workload"]["processes"][0]["mappings"][1]["size"] = "44 MiB"
    squeezed = run_scenario(load_scenario(made)).schemes
    assert set(calm.goal) == {"some_mem_psi_us"} and set(calm.goal_target) == {1_000}
    assert squeezed.goal_current.max() > 10 * calm.goal_current.max()


def test_the_active_filter_asks_the_lists():
    damo = (
        "damo start --numa_node 0 --damos_action stat --damos_filter allow active "
        "--damos_access_rate 0% max"
    )
    passed = {}
    for lru in ("mglru", "active_inactive"):
        made = scenario({"kind": "no_tiering"}, lru=lru)
        found = run_scenario(load_scenario({**made, "events": [{"at": "100 ms", "damo": damo}]}))
        passed[lru] = found.schemes.sz_ops_filter_passed.iloc[-1]
    assert passed["mglru"] > 0, "new pages are of a young generation"
    assert passed["active_inactive"] == 0, "but on the inactive list"
