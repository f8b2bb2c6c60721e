"""Does a topology mean what it says: paths, speeds, tiers, frames, and complaints?"""

import copy
import pickle
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from numasim.errors import ConfigError
from numasim.topology import Step, Topology

TOPOLOGIES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))
GIB = 1 << 30


def from_file(name):
    path = Path(__file__).parents[2] / "topologies" / f"{name}.yaml"
    return Topology.from_dict(YAML(typ="safe").load(path), path.name)


def two_sockets():
    return {
        "name": "two",
        "nodes": [
            {"name": "dram0", "capacity": "64 GiB", "latency": "80 ns",
             "bandwidth": "200 GB/s", "at": "s0"},
            {"name": "cxl0", "kind": "CXL", "capacity": "256 GiB", "latency": "190 ns",
             "bandwidth": "30 GB/s", "at": "s0"},
            {"name": "dram1", "capacity": "64 GiB", "latency": "80 ns",
             "bandwidth": "200 GB/s", "at": "s1"},
        ],
        "accessors": [
            {"name": "cpu0", "cpus": "0-31", "at": "s0"},
            {"name": "cpu1", "cpus": "32-63", "at": "s1"},
        ],
        "links": [
            {"between": ["s0", "s1"], "latency": "60 ns",
             "bandwidth": {"forward": "75 GB/s", "backward": "50 GB/s"}},
        ],
    }  # fmt: skip


def complaints(change):
    data = copy.deepcopy(two_sockets())
    change(data)
    with pytest.raises(ConfigError) as caught:
        Topology.from_dict(data)
    return [str(p) for p in caught.value.problems]


# ------------------------------------------------------------------------------- relations


def test_latency_and_bandwidth_belong_to_the_pair():
    topology = Topology.from_dict(two_sockets())
    assert topology.idle_latency_ns.tolist() == [[80, 190, 140], [140, 250, 80]]
    # data of cpu0's reads come back from s1 to s0, against the link's direction
    assert topology.peak_bandwidth_bytes_per_ns.tolist() == [[200, 30, 50], [75, 30, 200]]
    assert topology.path("cpu0", "dram1") == (Step(0, True),)
    assert topology.path("cpu1", "cxl0") == (Step(0, False),)
    assert topology.path("cpu0", "cxl0") == ()


def test_a_tier_is_a_relation():
    topology = Topology.from_dict(two_sockets())
    assert topology.tiers("cpu0") == (0, 2, 1)
    assert topology.tiers("cpu1") == (2, 0, 1)


def test_the_shortest_way_wins_and_ties_go_to_fewer_links():
    data = two_sockets()
    data["links"] += [
        {"between": ["s0", "hub"], "latency": "20 ns", "bandwidth": "10 GB/s"},
        {"between": ["hub", "s1"], "latency": "30 ns", "bandwidth": "10 GB/s"},
    ]
    topology = Topology.from_dict(data)
    assert topology.path("cpu0", "dram1") == (Step(1, True), Step(2, True))
    data["links"][1]["latency"] = "30 ns"
    assert Topology.from_dict(data).path("cpu0", "dram1") == (Step(0, True),)


def test_a_measured_matrix_wins():
    data = two_sockets() | {
        "latency": {"cpu0": {"cxl0": "271 ns"}},
        "bandwidth": {"cpu0": {"dram1": "13 GB/s", "dram0": "999 GB/s"}},
    }
    topology = Topology.from_dict(data)
    assert topology.idle_latency_ns[0].tolist() == [80, 271, 140]
    assert topology.peak_bandwidth_bytes_per_ns[0].tolist() == [200, 30, 13]


def test_the_matrix_can_stand_for_a_missing_path():
    data = two_sockets()
    data["links"] = []
    data["latency"] = {
        "cpu0": {"dram1": "140 ns"},
        "cpu1": {"dram0": "141 ns", "cxl0": "250 ns"},
    }
    topology = Topology.from_dict(data)
    assert topology.idle_latency_ns.tolist() == [[80, 190, 140], [141, 250, 80]]
    assert topology.node_distances.tolist()[0][2] == 254


def test_what_firmware_declares_ranks_but_does_not_slow():
    guest = from_file("guest_b")
    assert guest.tiers("cpu0") == (0, 2, 1, 3)
    assert guest.tiers("cpu1") == (1, 3, 0, 2)
    assert set(guest.idle_latency_ns.ravel()) == {500.0}


def test_distances_given_or_derived():
    given = from_file("two_socket_four_node")
    assert not given.distances_derived
    assert given.node_distances[0].tolist() == [10, 20, 50, 60]
    derived = Topology.from_dict(two_sockets())
    assert derived.distances_derived
    assert derived.node_distances.tolist() == [[10, 24, 18], [24, 10, 31], [18, 31, 10]]
    assert derived.fallback_order("dram0") == (0, 2, 1)
    assert given.fallback_order("cxl2") == (3, 2, 1, 0)


def test_arrays_are_read_only():
    topology = Topology.from_dict(two_sockets())
    for array in (
        topology.idle_latency_ns,
        topology.peak_bandwidth_bytes_per_ns,
        topology.node_distances,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_names_and_numbers():
    topology = Topology.from_dict(two_sockets())
    assert (topology.node_id("cxl0"), topology.node_id(1), topology.accessor_id("cpu1")) == (
        1,
        1,
        1,
    )
    with pytest.raises(ConfigError, match='unknown node "cxl"; did you mean "cxl0"'):
        topology.node_id("cxl")
    with pytest.raises(ConfigError, match="no accessor 2"):
        topology.accessor_id(2)


def test_a_worker_process_gets_an_equal_one():
    topology = from_file("guest_a")
    assert pickle.loads(pickle.dumps(topology)) == topology


# ---------------------------------------------------------------------------------- frames


def test_nodes_lie_one_after_another_from_4_gib():
    topology = Topology.from_dict(two_sockets())
    assert topology.node_ranges("dram0") == [(4 * GIB, 68 * GIB)]
    assert topology.node_ranges("cxl0") == [(68 * GIB, 324 * GIB)]
    assert topology.node_ranges("dram1") == [(324 * GIB, 388 * GIB)]
    assert topology.default_range() == (4 * GIB, 388 * GIB)
    assert [zone.name for zones in topology.zones for zone in zones] == ["Normal"] * 3
    assert topology.managed_pages("cxl0") == 256 * GIB // 4096


def test_the_recorded_guest_has_its_zones():
    guest = from_file("guest_a")
    assert [(z.name, z.start // 4096, z.managed_pages) for z in guest.zones[0]] == [
        ("DMA", 1, 3840),
        ("DMA32", 4096, 484213),
    ]
    assert guest.managed_pages(1) == 1031435
    assert guest.node_ranges(1) == guest.node_ranges("node1") == [(4 * GIB, 8 * GIB)]
    assert guest.default_range() == (0x1000, 8 * GIB)
    # MemTotal of /sys/devices/system/node/nodeN/meminfo, kB
    assert [guest.managed_pages(n) * 4 for n in range(2)] == [1952212, 4125740]
    # recorded default watermarks: min of the three zones add up to 42 + 5364 + 11489 pages
    assert abs(guest.min_free_kbytes() - 4 * (42 + 5364 + 11489)) <= 12


def test_min_free_follows_the_kernels_formula():
    data = two_sockets() | {"kernel": {"transparent_hugepage": "never"}}
    # 384 GiB: isqrt(402653184 KiB * 16) = 80265 less rounding
    assert Topology.from_dict(data).min_free_kbytes() == 80264
    data["kernel"] = {"min_free_kbytes": 4096}
    assert Topology.from_dict(data).min_free_kbytes() == 4096


def test_a_node_after_an_explicit_one_starts_behind_it():
    data = two_sockets()
    data["nodes"][1]["ranges"] = [[0x4000000000, 0x5000000000], [0x6000000000, 0x9000000000]]
    topology = Topology.from_dict(data)
    assert topology.node_ranges("dram1")[0][0] == 0x9000000000
    assert topology.zones[1][0].managed_pages == 256 * GIB // 4096
    assert topology.default_range() == (4 * GIB, 0x9000000000 + 64 * GIB)


# ------------------------------------------------------------------------------- complaints


def test_every_complaint_at_once():
    def spoil(data):
        data["nodes"][2]["capacity"] = "64 gigs"
        data["nodes"][0]["bandwidth"] = "fast"
        data["nodes"][1]["bandwidth"] = {"read": "3 GB/s"}
        data["links"][0]["latncy"] = "3 ns"
        data["accessors"][0]["kind"] = "TPU"
        data["nodes"][0]["curve"] = "skz"
        data["kernel"] = {"hz": 251}

    found = complaints(spoil)
    assert any(
        text.startswith('nodes[2].capacity: got "64 gigs", expected a size') for text in found
    )
    assert any(text.startswith('nodes[0].bandwidth: got "fast", expected a ban') for text in found)
    assert 'links[0].latncy: unknown key; did you mean "latency"?' in found
    assert "nodes[1].bandwidth.write: is missing" in found
    assert 'nodes[0].curve: unknown curve "skz"; did you mean "skx"?' in found
    assert any(text.startswith('accessors[0].kind: got "TPU"') for text in found)
    assert any(text.startswith("kernel.hz: got 251") for text in found)
    assert len(found) == 7


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d.update(links=[]), 'no path from accessor cpu1 at "s1" to node dram0 at "s0"'),
        (lambda d: d["nodes"][0].pop("latency"), "nodes[0].latency: is missing"),
        (lambda d: d["nodes"].append(dict(d["nodes"][0])), '"dram0" is taken more than once'),
        (lambda d: d["accessors"][1].update(cpus="31-40"), "CPU 31 already belongs to cpu0"),
        (lambda d: d.update(nodes=[]), "nodes: expected at least one"),
        (lambda d: d.update(distances=[[10, 20], [20, 10]]), "expected 3 rows of 3"),
        (
            lambda d: d.update(distances=[[10, 20, 20], [20, 11, 20], [20, 20, 10]]),
            "distances[1][1]: got 11, expected 10",
        ),
        (
            lambda d: d.update(latency={"cpu0": {"cxl": "1 ns"}}),
            'latency.cpu0.cxl: unknown node; did you mean "cxl0"?',
        ),
        (lambda d: d["links"][0].update(between=["s0", "s0"]), "two different vertices"),
        (
            lambda d: d["nodes"][2].update(ranges=[[4 * GIB, 5 * GIB]]),
            "nodes[2].zones: overlaps with dram0's",
        ),
        (
            lambda d: d["nodes"][0].update(zones=[{"name": "DMA", "start": 4096}]),
            "nodes[0].zones[0]: expected a size or an end",
        ),
        (
            lambda d: d["nodes"][0].update(
                zones=[{"name": "DMA", "start": 4096, "size": "8 KiB", "managed": 7}]
            ),
            "nodes[0].zones[0].managed: 7 pages do not fit in 2",
        ),
        (
            lambda d: d["nodes"][0].update(other_memory={"bytes": "65 GiB"}),
            "nodes[0].other_memory.bytes: is more than the capacity",
        ),
    ],
)
def test_mistakes(change, expected):
    assert any(expected in text for text in complaints(change))


def test_a_wrong_part_hides_nothing_of_the_whole():
    def spoil(data):
        data["nodes"][0]["capacity"] = "64 gigs"
        data["nodes"][1]["name"] = "dram0"
        data["nodes"][2]["at"] = "nowhere"
        data["accessors"][1]["cpus"] = "31-40"
        data["distances"] = [[10, 50], [50]]

    found = complaints(spoil)
    for text in (
        "nodes[0].capacity: got",
        'nodes[0].name: "dram0" is taken',
        'nodes[1].name: "dram0" is taken',
        "accessors[1].cpus: CPU 31 already belongs to cpu0",
        "distances: expected 3 rows of 3",
        "nodes[2].at: no path from accessor cpu0",
        "nodes[2].at: no path from accessor cpu1",
    ):
        assert sum(f.startswith(text) for f in found) == 1, (text, found)
    assert len(found) == 7


# ------------------------------------------------------------------------------ the library


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_every_topology_of_the_library_loads_and_names_its_sources(path):
    text = path.read_text()
    topology = Topology.from_dict(YAML(typ="safe").load(text), path.name)
    assert topology.name == path.stem
    assert topology.description
    comment = "".join(line for line in text.splitlines() if line.startswith("#"))
    assert any(word in comment for word in ("measured", "datasheet", "assumption", "memory"))
    assert (topology.peak_bandwidth_bytes_per_ns > 0).all()
    assert all(len(topology.tiers(a.name)) == len(topology.nodes) for a in topology.accessors)


def test_the_seed_example_ranks_as_published():
    topology = from_file("two_socket_four_node")
    names = [[topology.nodes[n].name for n in topology.tiers(a)] for a in ("cpu1", "cpu2")]
    assert names == [["dram1", "cxl1", "dram2", "cxl2"], ["dram2", "cxl2", "dram1", "cxl1"]]
    ratios = topology.idle_latency_ns[0] / topology.idle_latency_ns[0].min() * 10
    assert ratios.tolist() == [10, 20, 50, 60]


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [("DRAMM", 'did you mean "DRAM"?'), ("cxl", 'did you mean "CXL"?'), ("disk", "")],
)
def test_kinds_of_nodes_are_a_closed_list(kind, way_out):
    data = two_sockets()
    data["nodes"][1]["kind"] = kind
    with pytest.raises(ConfigError) as caught:
        Topology.from_dict(data)
    (problem,) = caught.value.problems
    assert problem.place == "nodes[1].kind" and f'got "{kind}"' in problem.message
    assert "CXL" in problem.message and problem.hint == way_out
