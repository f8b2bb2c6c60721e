"""Recordings of real programs as judges: what DAMON finds hot, and where policies put pages."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from numasim.fitting import Settings, compare
from numasim.fitting.comparing import Comparison, machine
from numasim.fitting.seen import emd, f1
from numasim.formats import page_trace
from numasim.running import run
from numasim.tape import open_tape

pytestmark = pytest.mark.slow
TRACES = Path(__file__).parents[1] / "data" / "traces"
NAMES = ("llama_dense_serve", "memcached_zipf", "pagerank_rmat")
HOT, STRETCH, PAGE = 0.05, 4, 4096
each = pytest.mark.parametrize("name", NAMES)


@lru_cache
def compared(name: str) -> Comparison:
    """Replay and fit of a recording under one kdamond, one pass in ten seconds."""
    return compare(TRACES / name, Settings(seeds=2))


@each
def test_the_header_tells_what_the_rows_hold(name):
    tape = open_tape(TRACES / name)
    totals = {
        n: int(tape.columns[n].sum(dtype=np.int64)) for n in ("loads", "stores", "writebacks")
    }
    assert totals["loads"] > 1e6 and tape.header.rows == len(tape.columns["page"])
    assert totals == {n: page_totals(name)[n] for n in totals}


def page_totals(name: str) -> dict[str, int]:
    """Totals that the recorder wrote."""
    found: dict[str, int] = json.loads((TRACES / f"{name}.json").read_text())["totals"]
    return found


@each
def test_damon_finds_what_is_hot_and_not_something_else(name):
    """Against the recording's own truth, and against the same turned upside down."""
    views = compared(name).views
    true, seen = views["truth"], views["replay"]
    right = f1(true.hot(HOT), seen.hot(HOT))
    turned = f1(true.hot(HOT)[:, ::-1], seen.hot(HOT))
    assert right > 0.5 and right > turned + 0.04  # most of the first two is hot
    assert emd(true.heat, seen.heat) < 0.12
    assert emd(true.heat, seen.heat) < emd(true.heat[:, ::-1], seen.heat)


@each
def test_a_fit_looks_like_its_replay_as_far_as_heat_goes(name):
    """No further from the replay than half as much again as two seeds of the replay are apart."""
    lines = {line.name: line for line in compared(name).lines}
    far = lines["heatmap from the replay, EMD"]
    assert far.fit < 1.5 * far.noise
    hot = lines["hot set against the replay, F1"]
    assert hot.fit > 0.65 * hot.noise
    local = lines["local share under tpp_damon"]
    assert local.fit == pytest.approx(local.replay, abs=0.02)


@pytest.mark.parametrize("name", ["memcached_zipf", "pagerank_rmat"])
def test_nobody_places_better_than_the_oracle(name):
    tape = open_tape(TRACES / name)
    work = page_trace.to_workload(TRACES / name, stretch=STRETCH)
    topology = machine(tape.header.pages * PAGE * STRETCH, 0.4)
    policies = {
        "first touch": "no_tiering", "memtis": "memtis", "oracle": "oracle",
        "real": {"kind": "oracle", "cost": "real"},
    }  # fmt: skip
    local = {
        title: run(topology, work, policy, duration="3 s").summary()["local_share"]
        for title, policy in policies.items()
    }
    best = local.pop("oracle")
    assert all(share <= best + 0.01 for share in local.values()), (best, local)
    assert best > local["first touch"] + 0.1
    assert local["real"] > local["first touch"]
