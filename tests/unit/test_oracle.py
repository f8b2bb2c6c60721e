"""The oracle: a bound when moves are free, and no wasted move when they are not."""

from __future__ import annotations

import numpy as np
import pytest

import numasim as ns
from numasim.policies import registry
from tests import recordings, worlds

MIB = 1 << 20
FREE, REAL = {"kind": "oracle"}, {"kind": "oracle", "cost": "real"}


def run(policy, **more) -> ns.Result:
    return ns.run(**worlds.document(policy=policy, **more))


def speed(found: ns.Result) -> float:
    return found.summary()["throughput_ops_per_s"]


def test_the_hot_are_near_at_once_and_nobody_pays():
    found, before = run(FREE), run("no_tiering")
    assert before.summary()["local_share"] < 0.01
    assert found.summary()["local_share"] > 0.98
    assert found.summary()["promoted_bytes"] == pytest.approx(8 * MIB, rel=0.01)
    # by hand: one miss and 4 lines after 1 us: 1000 + 4 x 100 ns instead of 4 x 300 ns
    assert speed(found) / speed(before) == pytest.approx(2200 / 1400, rel=0.02)
    assert found.summary()["kdamond_cpu"] == 0
    written = found.nodes.groupby("node").written_bytes.last()
    assert written["fast"] <= 1.01 * before.nodes.groupby("node").written_bytes.last()["fast"] + MIB


def test_real_moves_cost_and_end_at_the_same_place():
    free, real = run(FREE), run(REAL)
    assert 0.98 * speed(free) < speed(real) < speed(free)
    last = [r.residency[r.residency.t_s == r.residency.t_s.max()] for r in (free, real)]
    a, b = (rows.set_index(["mapping", "node"]).bytes for rows in last)
    assert np.abs(a - b.reindex(a.index, fill_value=0)).max() < 0.3 * MIB
    moved = real.moves[real.moves.cause == "oracle"].bytes.sum()
    assert moved < 1.1 * free.moves.bytes.sum()


def test_it_is_the_bound_of_what_moves_the_same_pages():
    assert speed(run(worlds.tiering(), duration="4 s")) < speed(run(FREE, duration="4 s"))


def phased(length: str, **policy) -> ns.Result:
    """Two mappings that are hot in turn; only one fits the near node."""
    document = worlds.document(policy={"kind": "oracle", **policy}, duration="1 s")
    app = document["workload"]["processes"][0]
    app["mappings"] = [worlds.mapping("a", "12 MiB"), worlds.mapping("b", "12 MiB")]
    actor = app["actors"][0]
    actor["repeat"] = True
    actor["phases"] = [
        {
            "duration": length,
            "compute": "1 us",
            "access": [{"pattern": "uniform", "mapping": name, "lines": 4}],
        }
        for name in "ab"
    ]
    return ns.run(**document)


def test_real_does_not_move_what_will_not_pay():
    """Pages of a phase that lasts 1 ms are not worth their move; those of 200 ms are."""
    short = phased("1 ms", cost="real", interval="200 us")
    assert short.moves.bytes.sum() < 2 * MIB
    long = phased("200 ms", cost="real", interval="1 ms")
    assert long.moves.bytes.sum() > 40 * MIB
    assert long.summary()["local_share"] > short.summary()["local_share"] + 0.2


def test_free_follows_every_phase():
    found = phased("100 ms")
    assert found.summary()["local_share"] > 0.85, "late by at most an interval of 10 ms"


def test_what_two_accessors_share_goes_where_it_saves_most():
    found = {
        kind: ns.run("two_socket_four_node", "two_sockets", policy, duration="30 s", record="1 s")
        for kind, policy in (("none", "no_tiering"), ("free", FREE))
    }
    assert speed(found["free"]) > 1.5 * speed(found["none"])


def test_huge_pages_are_moved_whole():
    document = worlds.document(policy=FREE)
    for mapping in document["workload"]["processes"][0]["mappings"]:
        mapping["page"] = "2 MiB"
    found = ns.run(**document)
    assert found.summary()["local_share"] > 0.7
    assert (found.moves.bytes % (2 * MIB) == 0).all()


def test_what_a_recording_touches_most_comes_near():
    size = f"{recordings.PAGES * 4} KiB"
    access = {"pattern": "trace", "mapping": "m", "file": str(recordings.TINY)}
    phase = {"compute": "1 us", "pace": "1000 /s", "access": [access]}
    far = {"mode": "preferred", "nodes": ["slow"]}
    app = {
        "name": "app",
        "mappings": [worlds.mapping("m", size, policy=far)],
        "actors": [{"name": "main", "phases": [phase]}],
    }
    work = {"name": "recorded", "processes": [app]}
    shares = {
        str(policy): run(policy, workload=work).summary()["local_share"]
        for policy in ("no_tiering", FREE)
    }
    assert shares["no_tiering"] == 0 and shares[str(FREE)] > 0.95


def test_it_is_deterministic():
    again = [run(REAL, seed=3).moves for _ in range(2)]
    assert again[0].equals(again[1])


def test_what_it_says_of_itself():
    cls = registry.get("oracle")
    assert cls.multi_accessor.startswith("yes") and cls.bandwidth_aware.startswith("yes")
