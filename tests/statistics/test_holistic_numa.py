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
    """A third of the idle pages is in DRAM at first: they leave, or stay if nobody owns them."""
    default, nobody = (run("holistic_options", p) for p in ("defaults", "untouched: nobody"))
    for found, holds in ((default, False), (nobody, True)):
        placed = at_end(found, "idle1").add(at_end(found, "idle2"), fill_value=0)
        left = (placed.get("dram1", 0) + placed.get("dram2", 0)) / placed.sum()
        assert (left > 0.32) if holds else (left < 0.25)


SOCKETS = ("app/a0", "app/a1", "app/b0", "app/b1")


def test_what_all_sockets_use_is_no_business_of_one_host():
    """Promoted for one host, shared data is 9 us away from the other."""
    nothing, two = (run("holistic_pool", p) for p in ("no_tiering", "two TPPs"))
    assert share(nothing, "shared", "pool") > 0.9 and share(two, "shared", "pool") < 0.5
    for actor in SOCKETS[:2]:
        assert speed(two, actor, 5) > 1.5 * speed(nothing, actor, 5)
    for actor in SOCKETS[2:]:
        assert speed(two, actor, 5) < 0.5 * speed(nothing, actor, 5)


@pytest.mark.parametrize("policy", ["four TPPs", "four TPPs, PEBS"])
def test_an_order_that_weighs_what_others_lose_leaves_shared_data_where_all_reach_it(policy):
    nothing, least = (run("holistic_pool", p) for p in ("no_tiering", policy))
    assert share(least, "shared", "pool") > 0.95
    for actor in SOCKETS:
        assert speed(least, actor, 5) > 1.3 * speed(nothing, actor, 5)
    for other in ("four, first come", "four, the hotter"):
        worse = run("holistic_pool", other)
        assert share(worse, "shared", "pool") < 0.5
        assert min(speed(worse, a, 5) for a in SOCKETS) < 0.5 * speed(nothing, SOCKETS[0], 5)


def test_thin_samples_bring_private_sets_home_as_well():
    """At one miss in 10,007 a page is met once in most of a minute; regions are judged."""
    sampled = run("holistic_numa", "holistic, PEBS")
    assert share(sampled, "private1", "dram1") > 0.8
    assert share(sampled, "private2", "dram2") > 0.8
    paid = {p: run("holistic_numa", p).tolls for p in ("holistic, PEBS", "holistic, page faults")}
    taken = {p: tolls[tolls.t_s == tolls.t_s.max()].paid_ns.sum() for p, tolls in paid.items()}
    assert taken["holistic, PEBS"] < 0.01 * taken["holistic, page faults"]


def test_two_amd_sockets_exchange_their_private_sets():
    """SLIT {10,32,50 | 32,10,60}: the other's DRAM is second in both rankings, CXL memory last."""
    nothing, found = (run("holistic_amd", p) for p in ("no_tiering", "holistic, page faults"))
    assert share(found, "private1", "dram0") > 0.9 < share(found, "private2", "dram1")
    assert share(found, "shared", "cxl0") < 0.1
    for actor in ("app/socket1", "app/socket2"):
        assert speed(found, actor) > 1.15 * speed(nothing, actor)


def test_a_gpus_data_comes_to_its_own_memory():
    blind = run("holistic_gpu", "one TPP, of the CPU")
    assert moved(blind) == 0, "the CPU's best tier already"
    for policy in ("holistic, GPU faults", "driver, counters", "managed memory"):
        found = run("holistic_gpu", policy)
        assert share(found, "weights", "hbm0") > 0.9
        assert share(found, "table", "lpddr0") > 0.9
        assert speed(found, "app/device") > speed(blind, "app/device")
        assert speed(found, "app/host") > speed(blind, "app/host")
