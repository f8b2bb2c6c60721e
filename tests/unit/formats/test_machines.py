"""The user's own machine: every sample is of one made-up machine, and imports to one topology."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numasim import library
from numasim.errors import ConfigError
from numasim.formats import machines
from numasim.formats.machines import (
    hmat,
    hwloc,
    import_files,
    mlc,
    numactl,
    qemu,
    sysfs,
    sysfs_files,
    to_yaml,
)
from numasim.formats.machines.curve import fit
from numasim.formats.machines.description import Loaded, Origin, merged
from numasim.hardware import Curve
from numasim.topology import Topology

SAMPLES = Path(__file__).parents[2] / "data" / "samples" / "machines"
FILES = {
    "mlc": "mlc_3node.txt",
    "hwloc": "hwloc_3node.xml",
    "sysfs": "sysfs_numa_3node.tar.gz",
    "numactl": "numactl_H_3node.txt",
    "hmat": "hmat_example.aml",
}
DUMP, QEMU = "sysfs_numa_3node.txt", "qemu_numa_hmat.args.txt"
GIB = 1 << 30


def imported(kind: str, *files: str | Path, **more: object) -> Topology:
    made = import_files([SAMPLES / file for file in files], kind, **more)  # type: ignore[arg-type]
    return topology_of(made)


def topology_of(made: machines.Complete) -> Topology:
    return Topology.from_dict(library.read_text(to_yaml(made, "test", "a test")))


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


# -- hostile -------------------------------------------------------------------------------------


def refuses(kind: str, data: bytes, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        machines.completed(merged([machines.FORMATS[kind](data, "file")]))


def changed(kind: str, old: str, new: str) -> bytes:
    text = (SAMPLES / FILES[kind]).read_text()
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("kind", "old", "new", "match"),
    [
        ("mlc", "262.1", "-262", "line 5: got \"-262\", expected a value of 1 to 1,000,000"),
        ("mlc", "	 262.1", "", "line 5: got 2 values, expected 3"),
        ("mlc", "       1	 194.5", "       0	 194.5", "line 6: a second row"),
        ("numactl", "  1:  21  10  34 \n", "", "node 1 has no distances"),
        ("numactl", "  0:  10", "  0:  11", "node 0 to node 0 is 11, expected 10"),
        ("numactl", "node 1 cpus: 2 3", "node 1 cpus: 1 2", "CPU 1 belongs to another node"),
        ("numactl", "65536 MB", "99999999999 MB", "expected a size"),
        ("numactl", "node 1 cpus: 2 3", "node 1 cpus: 0-99999", "expected CPUs"),
        ("hwloc", 'value="280"', 'value="0"', "memattr Latency: got \"0\""),
        ("hwloc", "10 21 24 21", "10 21", "is it cut off"),
        ("hwloc", 'gp_index="14" value="260"', 'gp_index="99" value="260"', "'99', no node"),
        ("hwloc", 'version="2.0"', 'version="1.0"', "hwloc 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(kind: str, old: str, new: str, match: str) -> None:
    refuses(kind, changed(kind, old, new), match)


def test_files_of_two_machines_are_noticed(tmp_path: Path) -> None:
    other = tmp_path / "numactl.txt"
    other.write_bytes(changed("numactl", "131072 MB", "65536 MB"))
    with pytest.raises(ConfigError, match=r"node 2 capacity: is .* of one machine"):
        import_files([SAMPLES / FILES["hwloc"]], "hwloc", [other])


def test_distances_may_have_a_column_for_a_node_that_is_not_there() -> None:
    found = sysfs.read(
        b"/sys/devices/system/node/online:1\n/sys/devices/system/node/possible:0-1\n"
        b"/sys/devices/system/node/node1/cpulist:1,3\n"
        b"/sys/devices/system/node/node1/distance:21 10\n",
        "file",
    )
    assert {pair: number.value for pair, number in found.distances.items()} == {(1, 1): 10}


def test_a_node_that_the_kernel_does_not_have_is_of_another_machine() -> None:
    small = b"available: 1 nodes (0)\nnode 0 cpus: 0 1\nnode 0 size: 65536 MB\n"
    log = (SAMPLES / FILES["mlc"]).read_bytes()
    for order in (1, -1):
        pair = [numactl.read(small, "small"), mlc.read(log, "log")][::order]
        with pytest.raises(ConfigError, match=r"node 1: is in log, but not in small, .* one mach"):
            merged(pair)


def test_measurements_one_by_one_in_a_shell() -> None:
    found = mlc.read(
        b"me@host:~$ mlc --bandwidth_matrix\n"
        b"Measuring Memory Bandwidths between nodes within system\n"
        b"\tNuma node\nNuma node\t 0\t 1\n 0\t30562.8\t4795.3\n"
        b"me@host:~$ mlc --latency_matrix\nMeasuring idle latencies (in ns)...\n"
        b"\tNuma node\nNuma node\t 0\t 1\n 0\t 84.5\t564.5\n"
        b"me@host:~$ mlc --max_bandwidth\nMeasuring Maximum Memory Bandwidths for the system\n"
        b"ALL Reads        :      30000.5\nme@host:~$",
        "file",
    )
    assert {pair: n.value for pair, n in found.latency.items()} == {(0, 0): 84.5, (0, 1): 564.5}
    assert found.read_bandwidth[0, 1].value == pytest.approx(4.7953)
    assert found.peaks == {"read": pytest.approx(30.0005)}


def test_a_log_cut_off_in_a_matrix_is_noticed() -> None:
    whole = (SAMPLES / FILES["mlc"]).read_text()
    refuses("mlc", whole[: whole.index("338.6") + 3].encode(), "line 6: the file ends in the mid")
    row = whole.index("\n       1", whole.index("Measuring Memory Bandwidths"))
    refuses("mlc", whole[: row + 1].encode(), r"different rows \(latency: 0 1, bandwidth: 0\)")


@pytest.mark.parametrize(
    ("after", "more"),
    [
        ("Measuring Peak Injection Memory Bandwidths for", ""),
        ("Measuring Peak Injection Memory Bandwidths for the system", "\n"),
        ("Using traffic with the following read-write ratios", "\n"),
        ("3:1 Reads-Writes :\t2055", ""),
        (" 00100\t139.66\t 1214", ""),
    ],
)
def test_a_log_that_ends_within_a_section_is_doubted(after: str, more: str) -> None:
    whole = (SAMPLES / FILES["mlc"]).read_text()
    cut = whole[: whole.index(after) + len(after)] + more
    (doubt,) = mlc.read(cut.encode(), "mlc.log").doubts
    assert doubt == f"mlc.log ends within a section (line {len(cut.splitlines())}); is it cut off?"
    assert not mlc.read(whole.encode(), "mlc.log").doubts
    matrix = whole[: whole.index("\nMeasuring Peak")]
    assert not mlc.read(matrix.encode(), "mlc.log").doubts, "one measurement is whole"


def test_files_of_different_machines_tell_sizes_for_people() -> None:
    small, large = (
        numactl.read(f"available: 1 nodes (0)\nnode 0 cpus: 0\nnode 0 size: {mb} MB\n".encode(), f)
        for mb, f in ((65536, "small"), (131072, "large"))
    )
    with pytest.raises(ConfigError, match=r"is 64 GiB in small.* and 128 GiB in large"):
        merged([small, large])


def test_entities_are_refused_before_they_grow() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE topology [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">'.encode() for i in range(12)
    )
    refuses("hwloc", bomb + b"]><topology>&m;</topology>", "declares entities")
    outside = (
        b'<!DOCTYPE topology [<!ENTITY a SYSTEM "file:///etc/passwd">]><topology>&a;</topology>'
    )
    refuses("hwloc", outside, "declares entities")
    refuses("hwloc", b"<topology>" + b"<object>" * 101, "nested deeper")
    refuses("hwloc", b'<?xml version="1.0" encoding="nonsense"?><topology/>', "not XML")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_bombs_are_refused(pack: Callable[[bytes], bytes], monkeypatch: Any) -> None:
    monkeypatch.setattr(sysfs_files, "MOST_UNPACKED", 4 << 20)
    bomb = pack(bytes(8 << 20))
    assert len(bomb) < 1 << 14
    refuses("sysfs", bomb, "unpacks to more than 4 MiB")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_archives_may_be_packed_in_several_ways(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    whole = pack(gzip.decompress((SAMPLES / FILES["sysfs"]).read_bytes()))
    assert sysfs.read(whole, "t").nodes.keys() == {0, 1, 2}


def test_broken_archives_are_refused() -> None:
    refuses("sysfs", gzip.compress(b"no tar at all"), "no whole tar|holds no nodes")
    whole = (SAMPLES / FILES["sysfs"]).read_bytes()
    refuses("sysfs", whole[:-300], "cut off")
    refuses("sysfs", b"PK\x03\x04" + bytes(100), "zip archive")
    refuses("sysfs", b"\xfd7zXZ\0rubbish", "cannot be unpacked")


def test_an_archive_reads_only_what_it_needs() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in (
            ("../../etc/passwd", "root"),
            ("sys/devices/system/node/node0/cpulist", "0-1"),
            ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 1048576 kB"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    found = sysfs.read(made.getvalue(), "t")
    assert found.nodes[0].cpus == (0, 1)
    assert found.nodes[0].capacity is not None and found.nodes[0].capacity.value == GIB


def test_a_damaged_hmat_is_refused() -> None:
    good = (SAMPLES / FILES["hmat"]).read_bytes()

    def table(*changes: tuple[int, bytes]) -> bytes:
        data = bytearray(good)
        for at, new in changes:
            data[at : at + len(new)] = new
        data[9] = (data[9] - sum(data)) % 256  # the checksum is right again
        return bytes(data)

    refuses("hmat", good[:-10], "says it has 288 bytes, but has 278")
    refuses("hmat", good[:100] + b"\1" + good[101:], "checksum")
    refuses("hmat", table((8, b"\1")), "revision 1, expected 2")
    refuses("hmat", table((44, struct.pack("<I", 5000))), "beyond the table's end")
    refuses("hmat", table((172, struct.pack("<I", 4_000_000_000))), "too short for 4000000000")
    refuses("hmat", b"XXXX" + good[4:], "no binary HMAT")


def test_a_file_of_another_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="looks like hwloc; try numasim import hwloc"):
        import_files([SAMPLES / FILES["hwloc"]], "mlc")
    with pytest.raises(ConfigError, match="in no format that is known"):
        (tmp_path / "poem.txt").write_text("roses are red")
        import_files([SAMPLES / FILES["mlc"]], "mlc", [tmp_path / "poem.txt"])


def test_huge_and_missing_files_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    for name, match in (("huge", "larger than 16 MiB"), ("none", "cannot be read")):
        with pytest.raises(ConfigError, match=match):
            import_files([tmp_path / name], "mlc")
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="is empty"):
        import_files([tmp_path / "empty"], "mlc")


def test_endless_lines_and_complaints_end_early() -> None:
    refuses("mlc", b"Measuring Peak Injection Memory Bandwidths\na" + b" " * 100_000, "characters")
    many = b"".join(f"node {i} cpus: 1\n".encode() for i in range(1000))
    with pytest.raises(ConfigError) as caught:
        numactl.read(b"available: 1000 nodes\n" + many, "t")
    assert len(caught.value.problems) == 100
    more = b"".join(f"node {i} cpus: {i}\nnode {i} size: 9 MB\n".encode() for i in range(200))
    refuses("numactl", b"available: 200 nodes\n" + more, "has 200 nodes, expected 128 at most")


def test_machines_of_many_sockets_have_no_links() -> None:
    text = "available: 20 nodes (0-19)\n" + "".join(
        f"node {i} cpus: {i}\nnode {i} size: 64 MB\n" for i in range(20)
    )
    found = topology_of(machines.completed(numactl.read(text.encode(), "t")))
    assert not found.links and found.idle_latency_ns[3, 7] == 200


def test_names_from_a_file_do_not_escape_their_comment(tmp_path: Path) -> None:
    path = tmp_path / "mlc\nname: evil.txt"
    path.write_bytes((SAMPLES / FILES["mlc"]).read_bytes())
    text = to_yaml(import_files([path], "mlc"), "a\nb: c", "t")
    assert library.read_text(text)["name"] == "a\nb: c"
    assert Topology.from_dict(library.read_text(text)).name == "a\nb: c"


def test_readers_agree_with_their_names() -> None:
    assert {kind: machines.recognised((SAMPLES / f).read_bytes()) for kind, f in FILES.items()} == {
        kind: kind for kind in FILES
    }
    assert machines.recognised((SAMPLES / QEMU).read_bytes()) == "qemu"
    assert machines.recognised((SAMPLES / DUMP).read_bytes()) == "sysfs"
    assert (mlc.read, hwloc.read) == (machines.FORMATS["mlc"], machines.FORMATS["hwloc"])


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
