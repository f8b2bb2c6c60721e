"""The user's own machine: every sample is of one made-up machine, and imports to one topology."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from numasim.formats import machines
from numasim.formats.machines import (
    hmat,
    hwloc,
    import_files,
    numactl,
    qemu,
    sysfs,
    to_yaml,
)
from numasim.formats.machines.curve import fit
from numasim.formats.machines.description import Loaded, Origin
from numasim.hardware import Curve
from tests.unit.formats.machine_files import DUMP, FILES, GIB, QEMU, SAMPLES, imported, topology_of

# -- all samples, one machine --------------------------------------------------------------------


@pytest.mark.parametrize("kind", FILES)
def test_every_sample_gives_the_same_shape(kind: str) -> None:
    found = imported(kind, FILES[kind])
    assert [(n.name, n.kind, n.at) for n in found.nodes] == [
        ("node0", "DRAM", "socket0"), ("node1", "DRAM", "socket1"), ("node2", "CXL", "socket0")
    ]  # fmt: skip
    assert [(a.name, a.at) for a in found.accessors] == [("cpu0", "socket0"), ("cpu1", "socket1")]
    assert [found.tiers(a) for a in ("cpu0", "cpu1")] == [(0, 1, 2), (1, 0, 2)]
    assert [link.between for link in found.links] == [("socket0", "socket1")]


@pytest.mark.parametrize("one", FILES)
@pytest.mark.parametrize("other", FILES)
def test_what_two_samples_both_say_agrees(one: str, other: str) -> None:
    a, b = (import_files([SAMPLES / FILES[kind]], kind) for kind in (one, other))
    known = (Origin.FIRMWARE, Origin.MEASURED)
    for table in ("latency", "read_bandwidth", "distances"):
        first, second = getattr(a.said, table), getattr(b.said, table)
        for pair in first.keys() & second.keys():
            if first[pair].origin in known and second[pair].origin in known:
                assert first[pair].value == pytest.approx(second[pair].value, rel=0.11), pair
    for nid in (0, 1, 2):
        one_size, other_size = (d.said.nodes[nid].capacity for d in (a, b))
        if Origin.KERNEL == one_size.origin == other_size.origin:
            assert one_size.value == other_size.value
        if None not in (a.said.nodes[nid].cpus, b.said.nodes[nid].cpus):
            assert a.said.nodes[nid].cpus == b.said.nodes[nid].cpus


def test_hwloc_and_sysfs_give_the_very_same_topology() -> None:
    one, other = imported("hwloc", FILES["hwloc"]), imported("sysfs", FILES["sysfs"])
    assert one.nodes == other.nodes
    assert one.accessors == other.accessors
    assert np.array_equal(one.idle_latency_ns, other.idle_latency_ns)
    assert np.array_equal(one.node_distances, other.node_distances)
    assert np.array_equal(one.peak_bandwidth_bytes_per_ns, other.peak_bandwidth_bytes_per_ns)


def test_the_dump_and_the_archive_of_sysfs_say_the_same() -> None:
    one, other = (
        sysfs.read((SAMPLES / file).read_bytes(), "same") for file in (DUMP, FILES["sysfs"])
    )
    assert one.latency == other.latency
    assert one.read_bandwidth == other.read_bandwidth
    assert one.distances == other.distances
    assert one.nodes[2] == other.nodes[2], "the dump has the meminfo of node 2 alone"


def test_the_virtual_machine_is_one_half_of_it() -> None:
    half, whole = imported("qemu", QEMU), imported("sysfs", FILES["sysfs"])
    near, far = half.idle_latency_ns[0]
    assert (near, far) == (whole.idle_latency_ns[0, 0], whole.idle_latency_ns[0, 2])
    assert half.peak_bandwidth_bytes_per_ns[0] == pytest.approx(
        whole.peak_bandwidth_bytes_per_ns[0, [0, 2]], rel=0.03
    )
    assert half.node_distances.tolist() == [[10, 24], [24, 10]]
    assert [node.capacity for node in half.nodes] == [4 * GIB, 4 * GIB]
    assert half.accessors[0].cpus == (0, 1, 2, 3)


# -- numbers -------------------------------------------------------------------------------------


def test_mlc_gives_the_measured_matrices() -> None:
    found = imported("mlc", FILES["mlc"])
    assert found.idle_latency_ns.tolist() == [[112, 194, 262], [194, 112, 339]]
    speeds = [[108.1, 52.34, 27.61], [52.41, 107.9, 24.11]]
    assert found.peak_bandwidth_bytes_per_ns.tolist() == speeds
    # 216340.2 read, 196004.9 at 1:1: a byte written takes 2/196004.9 - 1/216340.2
    ratio = (1 / 216340.2) / (2 / 196004.9 - 1 / 216340.2)
    assert found.nodes[0].bandwidth.write == pytest.approx(108.1205 * ratio, rel=1e-3)


def test_the_loaded_curve_goes_through_the_measured_points() -> None:
    found = imported("mlc", FILES["mlc"])
    curve = found.nodes[0].curve
    for megabytes, latency in ((121450.8, 139.66), (183300.2, 201.45), (211207.5, 298.32)):
        rho = megabytes / 216340.2
        inner = curve.scale * rho
        ours = 112.2 * (1 + curve.service_ratio * inner / (2 * (1 - inner)))
        assert ours == pytest.approx(latency, rel=0.03)
    assert found.nodes[2].curve == Curve(), "the curve is of local memory"


def test_a_curve_is_found_again_from_its_own_points() -> None:
    rho = np.linspace(0.02, 0.98, 15)
    wanted = Curve(service_ratio=0.8, scale=0.6)
    inner = wanted.scale * rho
    extra = inner / (2 * (1 - inner)) + wanted.saturation * rho / (1 - rho)
    latency = 90 * (1 + wanted.service_ratio * extra)
    found = fit(Loaded([(100 * r, y) for r, y in zip(rho, latency, strict=True)], "here"), 100.0)
    assert found is not None
    assert found.scale == pytest.approx(0.6, abs=0.02)
    assert found.service_ratio == pytest.approx(0.8, rel=0.05)
    assert found.error < 0.01


def test_flat_or_few_points_give_no_curve() -> None:
    assert fit(Loaded([(1.0, 90.0), (50.0, 100.0)], "here"), 100.0) is None
    falling = Loaded([(1.0, 90.0), (40.0, 80.0), (60.0, 70.0), (90.0, 60.0)], "here")
    assert fit(falling, 100.0) is None


def test_hmat_has_pairs_that_sysfs_lacks() -> None:
    found = hmat.read((SAMPLES / FILES["hmat"]).read_bytes(), "t")
    assert {pair: n.value for pair, n in found.latency.items()} == {
        (0, 0): 110, (0, 1): 190, (0, 2): 260, (1, 0): 190, (1, 1): 110, (1, 2): 335
    }  # fmt: skip
    assert found.read_bandwidth[1, 2].value == 24.0


def test_domains_of_hmat_may_be_other_nodes() -> None:
    found = imported("hmat", FILES["hmat"], pxm_map={0: 2, 1: 0, 2: 5})
    assert [n.name for n in found.nodes] == ["node0", "node2", "node5"]
    assert found.idle_latency_ns.tolist() == [[110, 190, 335], [190, 110, 260]]


def test_several_files_complete_each_other() -> None:
    others = [SAMPLES / FILES["numactl"], SAMPLES / FILES["hwloc"]]
    made = import_files([SAMPLES / FILES["mlc"]], "mlc", others)
    assert machines.guesses(made) == []
    found = topology_of(made)
    assert found.idle_latency_ns[1, 2] == 339, "measured wins over firmware"
    assert [n.capacity for n in found.nodes] == [64 * GIB, 64 * GIB, 128 * GIB]
    assert found.accessors[1].cpus == (2, 3)
    assert found.node_distances[1, 2] == 34
    # the firmware's share of writing, of what was measured for reading
    assert found.nodes[2].bandwidth.write == pytest.approx(27.6103 * 22 / 28, rel=1e-3)


def test_every_number_says_where_it_came_from() -> None:
    words = ("measured: ", "firmware: ", "kernel: ", "guessed: ")
    for kind, file in FILES.items():
        text = to_yaml(import_files([SAMPLES / file], kind), "test", "a test")
        for line in text.splitlines():
            key, _, value = line.strip().partition(":")
            number = value.strip()[:1].isdigit() or key in ("curve", "cpus", "cores", "kind")
            if number and value.strip() != "CPU" and not line.startswith("#"):
                assert any(word in value for word in words), line
    guessed = to_yaml(import_files([SAMPLES / FILES["numactl"]], "numactl"), "t", "t")
    assert "guessed: from distance, 100 ns x 34/10" in guessed


def test_nodes_without_memory_and_gaps_in_numbers() -> None:
    text = (
        "available: 3 nodes (0,2,5)\nnode 0 cpus: 0 1\nnode 0 size: 0 MB\n"
        "node 2 cpus: 2 3\nnode 2 size: 1024 MB\nnode 5 cpus:\nnode 5 size: 2048 MB\n"
        "node distances:\nnode   0   2   5\n  0:  10  20  40\n  2:  20  10  30\n  5:  40  30  10\n"
    )
    found = topology_of(machines.completed(numactl.read(text.encode(), "t")))
    assert [n.name for n in found.nodes] == ["node2", "node5"]
    assert [a.name for a in found.accessors] == ["cpu0", "cpu2"]
    assert found.nodes[1].at == "socket2", "beside the nearest CPUs"
    assert found.idle_latency_ns.tolist() == [[200, 400], [100, 300]]


def test_memory_with_more_bandwidth_and_no_cpus_is_hbm() -> None:
    text = (
        "-smp 4 -object memory-backend-ram,id=a,size=1G -object memory-backend-ram,id=b,size=1G "
        "-numa node,cpus=0-3,memdev=a -numa node,memdev=b,initiator=0 "
        "-numa hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-bandwidth,"
        "bandwidth=100G -numa hmat-lb,initiator=0,target=1,hierarchy=memory,"
        "data-type=access-bandwidth,bandwidth=400G"
    )
    made = machines.completed(qemu.read(text.encode(), "t"))
    assert [n.kind for n in topology_of(made).nodes] == ["DRAM", "HBM"]


def test_qemu_without_cpus_of_nodes_and_old_style_sizes() -> None:
    found = qemu.read(b"qemu-system-x86_64 -m 4G -smp 8,sockets=1 -numa node,mem=1024", "t")
    assert found.nodes[0].cpus == tuple(range(8))
    assert found.nodes[0].capacity is not None and found.nodes[0].capacity.value == GIB
    two = qemu.read(b"-m 4096 -smp 2 -numa node,cpus=0 -numa node,cpus=1", "t")
    assert [said.capacity.value for said in two.nodes.values()] == [2 * GIB, 2 * GIB]  # type: ignore[union-attr]


def test_qemu_as_libvirt_and_others_call_it() -> None:
    text = (
        """-object '{"qom-type":"memory-backend-ram","id":"ram-node0","size":1073741824}' """
        "-numa node,nodeid=0,memdev=ram-node0 -numa node,nodeid=1,mem=512 "
        "-numa cpu,node-id=0,socket-id=0 -numa cpu,node-id=1,socket-id=1 "
        "-numa cpu,node-id=0,socket-id=0,thread-id=1"
    )
    found = qemu.read(text.encode(), "t")
    assert [said.cpus for said in found.nodes.values()] == [(0, 2), (1,)]
    sizes = [said.capacity.value for said in found.nodes.values() if said.capacity]
    assert sizes == [GIB, GIB / 2]


def test_a_folder_of_sys_and_this_machine(tmp_path: Path) -> None:
    with tarfile.open(SAMPLES / FILES["sysfs"]) as archive:
        archive.extractall(tmp_path, filter="tar")
    one = topology_of(import_files([tmp_path], "sysfs"))
    assert one.nodes == imported("sysfs", FILES["sysfs"]).nodes
    assert topology_of(machines.host(root=tmp_path)).nodes == one.nodes
    assert len(topology_of(machines.host()).nodes) >= 1


def test_a_machine_that_shows_no_nodes_is_one(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:       16777216 kB\n")
    found = topology_of(machines.host(root=tmp_path))
    assert [n.capacity for n in found.nodes] == [16 * GIB]


# -- what real machines' files have --------------------------------------------------------------


def tar_of(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"machine/sys/devices/system/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


def test_files_of_sys_may_be_padded_and_old() -> None:
    page = {"cpumap": "00000000,0000000f\n", "distance": "0\n", "meminfo": "MemTotal: 1024 kB\n"}
    files = {f"node/node0/{name}": text.ljust(4096, "\0") for name, text in page.items()}
    found = sysfs.read(tar_of({**files, "node/online": "0\n".ljust(4096, "\0")}), "t")
    assert found.nodes[0].cpus == (0, 1, 2, 3), "older kernels have no cpulist"
    assert found.distances == {}, "a distance of 0 is no table"
    assert found.notes == ["t has no node distances"]


def test_a_row_of_distances_may_count_nodes_that_are_offline() -> None:
    files = {"node/online": "0,2"}
    for nid, row in ((0, "10 20 30"), (1, "20 10 25"), (2, "30 25 10")):
        files[f"node/node{nid}/distance"] = row
        files[f"node/node{nid}/cpulist"] = str(nid)
    found = sysfs.read(tar_of(files), "t")
    assert sorted(found.nodes) == [0, 2]
    assert found.distances[0, 2].value == 30


def test_a_dump_without_links_is_of_the_nearest_cpus() -> None:
    lines = (SAMPLES / DUMP).read_text().splitlines()
    bare = "\n".join(line for line in lines if " -> " not in line)
    one, other = sysfs.read(bare.encode(), "t"), sysfs.read((SAMPLES / DUMP).read_bytes(), "t")
    assert one.latency == other.latency and one.read_bandwidth == other.read_bandwidth


def hwloc_of(*nodes: str) -> bytes:
    return f'<topology version="3.0">{"".join(f"<object {n}/>" for n in nodes)}</topology>'.encode()


def numa(nid: int, cpus: str, more: str = "") -> str:
    return f'type="NUMANode" os_index="{nid}" cpuset="{cpus}" local_memory="1073741824" {more}'


def test_nodes_need_no_index_and_the_closest_owns_the_cpus() -> None:
    data = hwloc_of(numa(2, "0xf"), numa(0, "0x3"), numa(1, "0xc"), numa(3, "0x3"))
    found = hwloc.read(data, "t")
    assert {n: said.cpus for n, said in sorted(found.nodes.items())} == {
        0: (0, 1), 1: (2, 3), 2: (), 3: ()
    }  # fmt: skip
    assert (found.nodes[2].home, found.nodes[3].home) == (0, 0)


def test_dram_owns_the_cpus_that_faster_memory_is_closer_to() -> None:
    data = hwloc_of(numa(0, "0xf", 'subtype="DRAM"'), numa(1, "0x3", 'subtype="HBM"'))
    found = hwloc.read(data, "t")
    assert found.nodes[0].cpus == (0, 1, 2, 3) and not found.nodes[1].has_cpus
    assert [n.kind for n in topology_of(machines.completed(found)).nodes] == ["DRAM", "HBM"]


def test_cpus_that_a_container_may_not_use_are_the_machines_all_the_same() -> None:
    data = hwloc_of(
        numa(0, "0x1", 'complete_cpuset="0x3"'), numa(1, "0x0", 'complete_cpuset="0xc"')
    )
    found = hwloc.read(data, "t")
    assert (found.nodes[0].cpus, found.nodes[1].cpus) == ((0, 1), (2, 3))
