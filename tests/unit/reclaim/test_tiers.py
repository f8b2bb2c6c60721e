"""The kernel's memory tiers: abstract distances, top tier, demotion targets."""

from __future__ import annotations

import numpy as np

from numasim.reclaim.tiers import abstract_distances, memory_tiers
from numasim.topology import Topology


def machine(*nodes: tuple[str, int, int], accessors=(("cpu0", "s0"),), links=()) -> Topology:
    """Nodes as (vertex, ns, GB/s)."""
    return Topology.from_dict(
        {
            "name": "m",
            "nodes": [
                {"name": f"n{i}", "capacity": "64 MiB", "latency": f"{ns} ns",
                 "bandwidth": f"{speed} GB/s", "at": at}
                for i, (at, ns, speed) in enumerate(nodes)
            ],
            "accessors": [
                {"name": name, "cpus": f"{i}", "at": at} for i, (name, at) in enumerate(accessors)
            ],
            "links": list(links),
        }
    )  # fmt: skip


def test_distance_grows_with_latency_and_falls_with_bandwidth():
    found = abstract_distances(machine(("s0", 100, 100), ("s0", 250, 30)))
    # 576 * 500 / 200 = 1440, times 200000 / 60000
    assert found == (576, 1440 * 200_000 // 60_000) == (576, 4800)


def test_integers_are_cut_from_left_to_right():
    found = abstract_distances(machine(("s0", 90, 100), ("s0", 151, 77)))
    assert found[1] == (576 * 302 // 180) * 200_000 // 154_000


def test_what_the_firmware_declares_counts():
    data = machine(("s0", 100, 50), ("s0", 100, 50))._plain
    told = Topology.from_dict(
        {**data, "declared_latency": {"cpu0": {"n0": "80 ns", "n1": "250 ns"}}}
    )
    assert abstract_distances(told) == (576, 576 * 500 // 160)


def test_a_recorded_kernel_formed_the_same_tiers():
    """Recording E6: HMAT of 80 and 250 ns, 100,000 and 30,000 MB/s; its tiers are 4 and 46."""
    found = abstract_distances(machine(("s0", 80, 100), ("s0", 250, 30)))
    assert found == (576, 6000) and [one // 128 for one in found] == [4, 46]


def test_two_sockets_demote_to_their_own_slow_node():
    link = {"between": ["s0", "s1"], "latency": "60 ns", "bandwidth": "50 GB/s"}
    two = machine(
        ("s0", 100, 100), ("s0", 300, 30), ("s1", 100, 100), ("s1", 300, 30),
        accessors=(("cpu0", "s0"), ("cpu1", "s1")), links=[link],
    )  # fmt: skip
    tiers = memory_tiers(two)
    assert tiers.rank == (0, 1, 0, 1) and tiers.top == (True, False, True, False)
    assert tiers.preferred == ((1,), (), (3,), ()) and tiers.lower == ((1, 3), (), (1, 3), ())
    order = tiers.demotion_order(2, two.node_distances, np.random.default_rng(1))
    assert order == [3, 1], "then whatever lower node is nearest"
    assert tiers.demotion_order(1, two.node_distances, np.random.default_rng(1)) == []


def test_equal_targets_are_chosen_at_random():
    three = machine(("s0", 100, 100), ("s0", 300, 30), ("s0", 300, 30))
    tiers, rng = memory_tiers(three), np.random.default_rng(3)
    assert tiers.preferred[0] == (1, 2)
    first = [tiers.demotion_order(0, three.node_distances, rng)[0] for _ in range(200)]
    assert 70 < first.count(1) < 130


def test_a_third_tier_lies_below_the_second():
    tiers = memory_tiers(machine(("s0", 100, 100), ("s0", 300, 30), ("s0", 900, 10)))
    assert tiers.rank == (0, 1, 2) and tiers.preferred == ((1,), (2,), ())


def test_a_node_in_the_same_chunk_is_the_same_tier():
    near = memory_tiers(machine(("s0", 100, 100), ("s0", 110, 100)))
    assert near.adistance == (576, 633) and near.rank == (0, 0)
    assert near.preferred == ((), ()) and near.top == (True, True)


def test_given_distances_win():
    tiers = memory_tiers(machine(("s0", 100, 100), ("s0", 100, 100)), (576, 2880))
    assert tiers.rank == (0, 1)
