"""Compiled kernels change nothing but the time: whole runs are equal to the last bit."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from numasim.damon import compiled
from numasim.damon.compiled import KERNELS, SWITCH, Kernels
from numasim.damon.context import ContextState
from numasim.damon.spec import Attrs, IntervalsGoal
from numasim.engine import Engine
from numasim.loader import load_scenario
from tests.mirror.conftest import without_numba

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
