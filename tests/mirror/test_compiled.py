"""Compiled kernels change nothing but the time: whole runs are equal to the last bit."""

from __future__ import annotations

import itertools
import os
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim.damon import compiled
from numasim.damon.compiled import KERNELS, SWITCH, Kernels
from numasim.damon.context import ContextState
from numasim.damon.merging import merge_regions
from numasim.damon.regions import Regions, apply_min_nr_regions, reset_aggregated
from numasim.damon.spec import Attrs, IntervalsGoal
from numasim.damon.splitting import Draws, Shared, split_regions
from numasim.damon.turnover import turn_over
from numasim.engine import Engine
from numasim.loader import load_scenario
from tests.mirror.conftest import without_numba
from tests.mirror.strategies import draws as some_draws
from tests.mirror.strategies import tables

GOAL = "--monitoring_intervals_goal 4% 3 5ms 1s"
FIXED = "--monitoring_intervals 5ms 100ms 1s"


def scenario(intervals: str):
    """Two nodes, each watched by its kdamond, warm and cold memory in either; one promotes."""
    node = {"capacity": "2 GiB", "at": "socket0"}
    nodes = [
        {"name": "n0", "latency": "100 ns", "bandwidth": "200 GB/s", **node},
        {"name": "n1", "latency": "250 ns", "bandwidth": "60 GB/s", **node},
    ]
    mappings = [
        {"name": name, "size": size, "policy": {"mode": "bind", "nodes": [at]}}
        for name, size, at in (("a", "1 GiB", "n0"), ("b", "1500 MiB", "n1"))
    ]
    access = [{"pattern": "hot_cold", "mapping": "a"}, {"pattern": "zipf", "mapping": "b"}]
    actor = {"name": "t", "threads": 2, "phases": [{"compute": "300 ns", "access": access}]}
    regions = "--monitoring_nr_regions_range 100 300"
    damo = (
        f"damo start --numa_node 0 {intervals} {regions} --damos_action stat "
        f"--numa_node 1 {intervals} {regions} --damos_action migrate_hot 0 "
        "--damos_quota_interval 1s --damos_quota_space 20MB --damos_access_rate 20% max "
        "--nr_targets 1 1 --nr_schemes 1 1 --nr_ctxs 1 1"
    )
    return load_scenario(
        {
            "topology": {
                "name": "two",
                "nodes": nodes,
                "accessors": [{"name": "cpu0", "cpus": "0-3", "at": "socket0"}],
            },
            "workload": {
                "name": "w",
                "processes": [{"name": "p", "mappings": mappings, "actors": [actor]}],
            },
            "duration": "6 s",
            "record": "1 s",
            "policy": {"kind": "damos", "damo": damo, "start": "1 s"},
        }
    )


def seen(intervals: str, switch: str):
    """What the kdamonds of a run saw and did, window by window."""
    KERNELS.decide(switch)
    engine, found = Engine(scenario(intervals)), []

    def progress(_):
        for thread in engine.threads:
            found.append([r.rows() for r in thread.context.regions])
            found.append([vars(scheme.stat).copy() for scheme in thread.context.schemes])

    engine._on_progress = progress
    try:
        engine.run()
    finally:
        KERNELS.decide(os.environ.get(SWITCH))
    return found


@without_numba
@pytest.mark.parametrize("intervals", [FIXED, GOAL])
def test_whole_runs(intervals):
    found = seen(intervals, "1")
    assert found == seen(intervals, "0")
    assert found[-1][0]["nr_applied"]


def at_its_end(rows, unit, attrs, limit, shared, line, switch):
    """An aggregation's end step by step (0), or in one call (1): all that it leaves."""
    regions, fed = Regions(rows), itertools.cycle(line)
    draws = Draws(lambda n: np.array([next(fed) for _ in range(n)]))
    targets, most = [regions], attrs.max_nr_regions
    KERNELS.decide(switch)
    try:
        if switch == "1":
            turned = turn_over(targets, attrs, 20, limit, unit, shared, draws)
            assert turned is not None
            merged, limit = regions.rows(), turned.size_limit
            turned.close(regions)
        else:
            assert turn_over(targets, attrs, 20, limit, unit, shared, draws) is None
            threshold = int(regions.nr_accesses.max()) // 10
            merge_regions(targets, threshold, limit, 20, most)
            limit = apply_min_nr_regions(targets, attrs.min_nr_regions, unit)
            merged = regions.rows()
            reset_aggregated(targets)
            split_regions(targets, shared, draws, unit, most)
    finally:
        KERNELS.decide(os.environ.get(SWITCH))
    regions.check()
    return merged, regions.rows(), limit, shared, draws.used


@without_numba
@settings(max_examples=150, deadline=None)
@given(
    st.one_of(tables(), tables(big=True)),
    st.integers(3, 30),
    st.integers(0, 60),
    st.integers(1, 10**6),
    st.tuples(st.integers(0, 40), st.integers(0, 2**40)),
    some_draws,
)
def test_the_end_of_an_aggregation_in_one_call(table, least, more, limit, known, line):
    rows, unit = table
    if not rows:
        return
    attrs = Attrs(min_nr_regions=least, max_nr_regions=least + more)
    one, other = (
        at_its_end(rows, unit, attrs, limit * unit, Shared(*known), line, switch) for switch in "01"
    )
    assert one == other


def test_what_comes_in_between_is_not_skipped():
    """Where schemes are due, or somebody called, regions are merged and split in two steps."""
    quiet, due = SimpleNamespace(due=lambda passed: False), SimpleNamespace(due=lambda passed: True)
    context = {
        "_calls": [], "paused": False, "schemes": [quiet], "passed_sample_intervals": 20,
        "next_intervals_tune_sis": 20, "attrs": Attrs(),
    }  # fmt: skip
    assert ContextState._splits_next(SimpleNamespace(**context))
    for change in (
        {"_calls": [print]},
        {"paused": True},
        {"schemes": [quiet, due]},
        {"attrs": Attrs(intervals_goal=IntervalsGoal(400, 3, 5000, 10**7))},
    ):
        assert not ContextState._splits_next(SimpleNamespace(**{**context, **change})), change


def test_numba_is_asked_for_when_it_pays(monkeypatch):
    asked = []
    monkeypatch.setattr(compiled, "load", lambda: asked.append(1))
    lazy, never, now = Kernels(), Kernels("0"), Kernels("1")
    lazy.after(compiled.WORTH_REGIONS - 1)
    never.after(10 * compiled.WORTH_REGIONS)
    assert lazy.ready is None and not asked
    lazy.after(1)
    lazy.after(1)
    assert len(asked) == 1
    assert now.ready is None and len(asked) == 2


def test_without_numba_there_are_none(monkeypatch):
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    assert compiled.load() is None


@pytest.mark.parametrize("error", [RuntimeError("no locator available"), ImportError("numpy")])
def test_a_numba_that_cannot_cache_or_start_is_left_alone(monkeypatch, error):
    def fail(name):
        raise error

    monkeypatch.setattr(compiled, "find_spec", lambda name: object())
    monkeypatch.setattr(compiled, "import_module", fail)
    assert compiled.load() is None
