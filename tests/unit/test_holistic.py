"""Holistic NUMA migration: what is generated from a topology, and what options change."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import numasim as ns
from numasim import library
from numasim.contention import Arbiter
from numasim.errors import ConfigError
from numasim.formats import kdamonds
from numasim.formats.damo_command import to_damo_args
from numasim.policies import registry
from numasim.policy_data import build_policy, parse_damo
from numasim.threads import device_cpus
from numasim.units import format_cpulist, parse_cpulist

FOUR = "two_socket_four_node"


def made(name=FOUR, **options):
    topology = ns.load_topology(name)
    policy = registry.build("holistic", options)
    return topology, policy, policy.kdamonds(topology)


def schemes(threads, action):
    return [s for k in threads for s in k.contexts[0].schemes if s.action == action]


@pytest.mark.parametrize("name", library.names("topologies"))
def test_each_accessor_has_a_pair_of_schemes_for_each_pair_of_neighbours(name):
    topology, _, threads = made(name)
    nr = len(topology.nodes)
    assert len(threads) == nr * len(topology.accessors)
    for a in range(len(topology.accessors)):
        tiers, own = topology.tiers(a), threads[a * nr : (a + 1) * nr]
        found = set()
        for node, kdamond in zip(tiers, own, strict=True):
            (context,) = kdamond.contexts
            assert context.targets[0].regions == tuple(topology.node_ranges(node))
            found |= {(s.action, node, s.target_nid) for s in context.schemes}
        expected = {("migrate_cold", fast, slow) for fast, slow in pairwise(tiers)}
        expected |= {("migrate_hot", slow, fast) for fast, slow in pairwise(tiers)}
        assert found == expected


def test_the_example_of_two_opposed_rankings():
    _, _, threads = made()
    targets = [[s.target_nid for s in k.contexts[0].schemes] for k in threads]
    assert targets == [[1], [0, 2], [1, 3], [2], [3], [2, 0], [3, 1], [0]]
    masks = [k.contexts[0].sample_control.filters[0].cpumask for k in threads]
    assert masks == ["0-15"] * 4 + ["16-31"] * 4
    assert all(k.contexts[0].sample_control.page_fault for k in threads)


def test_devices_have_their_own_source():
    topology, _, threads = made("two_pcie_gpus")
    controls = [k.contexts[0].sample_control for k in threads[3:]]
    assert {c.extension for c in controls} == {"gpu_counter"}
    numbers = [c.filters[0].cpumask for c in controls[::3]]
    assert numbers == [str(n) for n in device_cpus(topology)[1:]]
    _, _, threads = made("two_pcie_gpus", device_source="page_fault")
    assert all(k.contexts[0].sample_control.page_fault for k in threads)


def test_accessed_bits_have_no_filter_and_one_accessor_can_be_chosen():
    _, policy, threads = made(source="page_table", accessors=["cpu2"])
    assert len(threads) == 4
    assert not any(k.contexts[0].sample_control.filters for k in threads)
    assert policy.kdamonds(ns.load_topology(FOUR))[0].contexts[0].schemes[0].target_nid == 3


@pytest.mark.parametrize("source", ["page_fault", "pebs", "ibs", "page_table"])
@pytest.mark.parametrize("name", [FOUR, "gh200"])
def test_printed_kdamonds_and_damo_commands_say_the_same(name, source):
    topology, _, threads = made(name, source=source)
    assert kdamonds.loads(kdamonds.dumps(threads, "yaml"), "yaml").kdamonds == threads
    command = to_damo_args(threads, node_of=topology.node_of_ranges)
    assert parse_damo(command, topology).kdamonds == threads


def test_pages_of_others_and_of_nobody_are_told_apart_by_the_young_filter():
    def of_node(options, thread):
        return schemes(made(**options)[2][thread : thread + 1], "migrate_cold")

    own, foreign = 0, 6  # the first node by its own accessor, and by the other one
    for options, filters in [
        ({}, (False, False)),  # only what nobody used
        ({"others": "demote"}, (None, None)),
        ({"others": "demote", "untouched": "nobody"}, (True, True)),
        ({"others": "demote", "untouched": "owner"}, (None, True)),
    ]:
        for thread, allow in zip((own, foreign), filters, strict=True):
            (scheme,) = of_node(options, thread)
            assert [f.allow for f in scheme.filters] == ([] if allow is None else [allow])
    assert of_node({"untouched": "nobody"}, own) == []
    assert len(of_node({"untouched": "owner"}, own)) == 1
    assert of_node({"untouched": "owner"}, foreign) == []


def test_controllers_of_one_node_share_or_give_way():
    assert {s.quota.sz for s in schemes(made(goals="each")[2], "migrate_cold")} == {200 << 20}
    assert {s.quota.sz for s in schemes(made(goals="split")[2], "migrate_hot")} == {100 << 20}
    owned = schemes(made(goals="owner")[2], "migrate_cold")
    assert sorted(s.quota.goals[0].nid for s in owned) == [0, 1, 2, 3]


def test_unknown_words_are_refused():
    with pytest.raises(ConfigError, match="contended"):
        build_policy({"kind": "holistic", "contended": "louder"}, ns.load_topology(FOUR))


def test_lists_of_cpus_are_written_as_linux_does():
    assert format_cpulist([8, 0, 1, 2, 4]) == "0-2,4,8"
    assert parse_cpulist(format_cpulist(range(5, 9))) == (5, 6, 7, 8)


class SeenBy:
    """A context that found one region with so many positive samples of twenty."""

    addr_unit = 1
    nr_regions = 1
    aggr_samples = 20
    source = None

    def __init__(self, name, positive, age=0, pages=1, source=None):
        self.name, self._positive, self.source = name, positive, source
        ends = np.array([pages * 4096])
        regions = {"start": np.array([0]), "end": ends, "age": np.array([age])}
        self.regions = (type("R", (), regions),)
        self.attrs = type("A", (), {"sample_us": 5_000})

    def mvsum(self, regions):
        return np.array([self._positive])


class Frames:
    """Memory whose pages all lie on one node."""

    frame_bytes = 4096
    frame_of = np.arange(8)

    def __init__(self, node=0):
        self._node = node

    def node_of(self, frames):
        return np.full(len(frames), self._node)

    def addresses_of(self, frames):
        return frames * 4096


@pytest.mark.parametrize(
    ("order", "mover", "other", "moves"),
    [
        ("hotter", 10, 0, 8), ("hotter", 10, 6, 8), ("hotter", 10, 8, 0), ("hotter", 2, 10, 0),
        ("leave", 10, 0, 8), ("leave", 20, 1, 0),
        ("interleave", 10, 0, 8), ("interleave", 10, 10, 4),
        # 300 ns nearer for the mover, 500 ns farther for the other
        ("least", 10, 0, 8), ("least", 10, 6, 8), ("least", 10, 7, 0), ("least", 2, 0, 8),
    ],
)  # fmt: skip
def test_who_gives_way(order, mover, other, moves):
    topology, policy, threads = made(contended=order)
    arbiter = Arbiter(policy.contention(topology), Frames(), topology.idle_latency_ns)
    arbiter.meet(threads[0], SeenBy("stays", other))  # the first node, by its own accessor
    arbiter.meet(threads[6], SeenBy("goes", mover))  # the same node, by the other accessor
    heads = np.arange(8)
    assert arbiter.allowed(heads, 3, "goes").sum() == moves
    assert arbiter.refused_bytes == (8 - moves) * 4096
    assert arbiter.allowed(heads, 3, "somebody else").all()
    assert arbiter.allowed(heads, 1, "stays").all(), "demotion is not asked about"


@pytest.mark.parametrize(("age", "moves"), [(0, 0), (4, 8)])
def test_not_to_have_seen_somebody_is_no_proof_that_nobody_is_there(age, moves):
    """On the pool a socket gains 297 ns where two of the other host lose 9 us: it takes patience.

    Ten hits in twenty samples are 0.69 visits a sample, no hit in n half a one in n + 1: the move
    pays if 0.69 * 297 > 0.5 / (n + 1) * (8,589 + 8,510 - 297), from some forty samples on.
    """
    topology, policy, threads = made("cxl_pool", contended="least")
    pool = topology.node_id("pool")
    names = ["a0", "a1", "b0", "b1"]
    arbiter = Arbiter(policy.contention(topology), Frames(pool), topology.idle_latency_ns)
    for a, name in enumerate(names):
        rank = topology.tiers(a).index(pool)
        seen = SeenBy(name, 10, age) if a == 0 else SeenBy(name, 0, age)
        arbiter.meet(threads[a * 5 + rank], seen)
    assert arbiter.allowed(np.arange(8), topology.node_id("dram_a0"), "a0").sum() == moves


class Sampled:
    """A source whose reports count wherever in a region they lie."""

    def accesses_per_page(self, region_bytes):
        return 1000 * 4096 / region_bytes


@pytest.mark.parametrize("order", ["hotter", "least"])
@pytest.mark.parametrize(("pages", "moves"), [(100, 8), (1000, 0)])
def test_samples_are_held_against_the_size_of_their_region(order, pages, moves):
    """Ten hits in 100 pages are heat; the same in 1,000 are less than five hits in 100."""
    topology, policy, threads = made(contended=order)
    arbiter = Arbiter(policy.contention(topology), Frames(), topology.idle_latency_ns)
    arbiter.meet(threads[0], SeenBy("stays", 5, pages=100, source=Sampled()))
    arbiter.meet(threads[6], SeenBy("goes", 10, pages=pages, source=Sampled()))
    assert arbiter.allowed(np.arange(8), 3, "goes").sum() == moves


@pytest.mark.parametrize(
    ("name", "options", "order"),
    [
        (FOUR, {}, "least"), (FOUR, {"source": "pebs"}, "least"), ("gh200", {}, "hotter"),
        ("gh200", {"device_source": "page_fault"}, "least"),
        ("gh200", {"contended": "leave"}, "leave"),
    ],
)  # fmt: skip
def test_rates_are_added_up_where_one_source_finds_them(name, options, order):
    topology, policy, _ = made(name, **options)
    assert policy.order(topology) == order
    assert policy.contention(topology).order == order


def test_first_come_needs_no_order():
    topology, policy, _ = made(contended="first")
    assert policy.contention(topology) is None
