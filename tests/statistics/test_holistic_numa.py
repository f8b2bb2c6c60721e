"""What knowing the accessor changes: claims with a direction, of whole runs."""

from __future__ import annotations

import functools

import pytest

import numasim as ns
from numasim.documents import read_document

pytestmark = pytest.mark.slow


@functools.cache
def run(scenario, policy):
    data = read_document(scenario).data
    named = {p if isinstance(p, str) else p["name"]: p for p in data["policies"]}
    return ns.run(data["topology"], data["workload"], named[policy], duration=data["duration"])


def at_end(found, mapping):
    """Bytes of a mapping by node."""
    rows = found.residency[found.residency.t_s == found.residency.t_s.max()]
    return rows[rows.mapping == mapping].groupby("node").bytes.sum()


def share(found, mapping, node):
    placed = at_end(found, mapping)
    return placed.get(node, 0) / placed.sum()


def speed(found, actor, last_s=10):
    rows = found.actors[(found.actors.actor == actor)]
    return rows[rows.t_s > rows.t_s.max() - last_s].ops_per_s.mean()


def moved(found, last_s=None):
    rows = found.moves
    return rows.bytes[rows.t_s > (rows.t_s.max() - last_s if last_s else 0)].sum()


def test_a_blind_tpp_leaves_the_other_sockets_pages_where_they_hurt():
    nothing, blind = (run("holistic_numa", p) for p in ("no_tiering", "one blind TPP"))
    assert share(blind, "private2", "dram1") > 0.9, "hot, so it stays: whose, nobody knows"
    assert share(blind, "private1", "dram1") < 0.1, "no room for those who belong there"
    assert speed(blind, "app/socket2") < 1.1 * speed(nothing, "app/socket2")


def test_numa_balancing_knows_who_and_leaves_what_has_a_policy():
    """It brings private pages straight home, where there is room at once, and shared ones never."""
    nothing, balanced = (run("holistic_numa", p) for p in ("no_tiering", "NUMA balancing"))
    assert share(balanced, "private1", "dram1") > 0.4 < share(balanced, "private2", "dram2")
    assert share(balanced, "shared", "cxl1") == share(nothing, "shared", "cxl1") > 0.9
    assert set(balanced.moves.source) | set(balanced.moves.target) == {"dram1", "dram2"}
    assert speed(balanced, "app/socket1") > 1.3 * speed(nothing, "app/socket1")


def test_one_tpp_per_accessor_brings_private_sets_home():
    blind, holistic = (run("holistic_numa", p) for p in ("one blind TPP", "holistic, page faults"))
    assert share(holistic, "private1", "dram1") > 0.9
    assert share(holistic, "private2", "dram2") > 0.9
    assert speed(holistic, "app/socket2") > 1.5 * speed(blind, "app/socket2")


def test_without_an_order_shared_pages_never_come_to_rest():
    first, ordered = (
        run("holistic_numa", p) for p in ("holistic, first come", "holistic, page faults")
    )
    assert moved(first) > 1.4 * moved(ordered)
    assert moved(first, 10) > 5 * moved(ordered, 10)
    shared = first.moves[first.moves.mapping == "shared"]
    round_trip = {("dram1", "cxl2"), ("cxl2", "dram2"), ("dram2", "cxl1"), ("cxl1", "dram1")}
    assert round_trip <= set(zip(shared.source, shared.target, strict=True))


def test_what_nobody_uses_makes_room_only_if_somebody_may_move_it():
    """Where every node is full: idle pages leave DRAM by default, and stay if nobody owns them."""
    default, nobody = (run("holistic_options", p) for p in ("defaults", "untouched: nobody"))
    for found, holds in ((default, False), (nobody, True)):
        placed = at_end(found, "idle1") + at_end(found, "idle2")
        left = (placed.get("dram1", 0) + placed.get("dram2", 0)) / placed.sum()
        assert (left > 0.3) if holds else (left < 0.2)


def test_what_all_sockets_use_is_no_business_of_one_host():
    """Promoted for one host, shared data is 9 us away from the other: less work done in all."""
    nothing, four = (run("holistic_pool", p) for p in ("no_tiering", "four TPPs"))
    actors = [f"app/{name}" for name in ("a0", "a1", "b0", "b1")]
    assert share(nothing, "shared", "pool") > 0.9 and share(four, "shared", "pool") < 0.5
    slower = [speed(four, a, 5) < 0.5 * speed(nothing, a, 5) for a in actors]
    assert any(slower)
    assert sum(speed(four, a, 5) for a in actors) < sum(speed(nothing, a, 5) for a in actors)


def test_a_gpus_data_comes_to_its_own_memory():
    blind = run("holistic_gpu", "one TPP, of the CPU")
    assert moved(blind) == 0, "the CPU's best tier already"
    for policy in ("holistic, GPU faults", "driver, counters", "managed memory"):
        found = run("holistic_gpu", policy)
        assert share(found, "weights", "hbm0") > 0.9
        assert share(found, "table", "lpddr0") > 0.9
        assert speed(found, "app/device") > speed(blind, "app/device")
        assert speed(found, "app/host") > speed(blind, "app/host")
