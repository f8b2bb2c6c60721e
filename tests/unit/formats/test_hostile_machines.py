"""Files of machines that are cut off, contradict themselves, or mean harm: a clear error each."""

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

import pytest

from numasim import library
from numasim.errors import ConfigError
from numasim.formats import machines
from numasim.formats.machines import (
    hwloc,
    import_files,
    mlc,
    numactl,
    sysfs,
    sysfs_files,
    to_yaml,
)
from numasim.formats.machines.description import merged
from numasim.topology import Topology
from tests.unit.formats.machine_files import DUMP, FILES, GIB, QEMU, SAMPLES, topology_of


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
