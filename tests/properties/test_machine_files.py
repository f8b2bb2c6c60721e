"""Whatever is done to a machine's files, they give a topology that loads, or a `ConfigError`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numasim import library
from numasim.errors import ConfigError
from numasim.formats import machines
from numasim.formats.machines.completing import completed
from numasim.formats.machines.description import merged
from numasim.topology import Topology

SAMPLES = Path(__file__).parents[1] / "data" / "samples" / "machines"
CASES = [
    ("mlc", "mlc_3node.txt"), ("hwloc", "hwloc_3node.xml"), ("sysfs", "sysfs_numa_3node.txt"),
    ("sysfs", "sysfs_numa_3node.tar.gz"), ("numactl", "numactl_H_3node.txt"),
    ("hmat", "hmat_example.aml"), ("qemu", "qemu_numa_hmat.args.txt"),
]  # fmt: skip
NASTY = [
    b"", b"0", b"-1", b"nan", b"1e999", b"9" * 30, b"0-4294967295", b"\xff\xfe", b"\n\n", b"#",
    b"node 7 cpus: 9\n", b",", b"=", b"<object type='NUMANode' os_index='9'/>",
    b"18446744073709551615",
]  # fmt: skip


@st.composite
def damage(draw: st.DrawFn) -> list[tuple[float, float, bytes]]:
    """Places of a file (shares of its length) and what is put there instead."""
    one = st.tuples(
        st.floats(0, 1), st.sampled_from([0.0, 0.0, 0.01, 0.05, 1.0]),
        st.sampled_from(NASTY) | st.binary(max_size=8),
    )  # fmt: skip
    return draw(st.lists(one, min_size=1, max_size=4))


def damaged(data: bytes, changes: list[tuple[float, float, bytes]]) -> bytes:
    for at, length, new in changes:
        first = int(at * len(data))
        data = data[:first] + new + data[first + int(length * len(data)) :]
    return data


def survives(kind: str, data: bytes) -> None:
    try:
        made = completed(merged([machines.FORMATS[kind](data, "file")]))
    except ConfigError as error:
        assert str(error) and len(error.problems) <= 100
        return
    text = machines.to_yaml(made, "fuzzed", "a test")
    found = Topology.from_dict(library.read_text(text))
    assert (found.idle_latency_ns > 0).all()


@pytest.mark.parametrize(("kind", "file"), CASES)
@settings(max_examples=40)
@given(changes=damage())
def test_damaged_files_never_break_the_import(kind, file, changes):
    survives(kind, damaged((SAMPLES / file).read_bytes(), changes))


@settings(max_examples=40)
@given(changes=damage(), case=st.sampled_from(CASES))
def test_a_damaged_file_beside_a_whole_one_never_breaks_the_import(changes, case):
    whole = machines.FORMATS["numactl"]((SAMPLES / "numactl_H_3node.txt").read_bytes(), "whole")
    kind, file = case
    try:
        said = machines.FORMATS[kind](damaged((SAMPLES / file).read_bytes(), changes), "file")
        made = completed(merged([said, whole]))
    except ConfigError:
        return
    Topology.from_dict(library.read_text(machines.to_yaml(made, "fuzzed", "a test")))


@pytest.mark.parametrize("kind", machines.FORMATS)
@settings(max_examples=40)
@given(data=st.binary(max_size=400))
def test_rubbish_never_breaks_the_import(kind, data):
    survives(kind, data)


@settings(max_examples=60)
@given(changes=damage())
def test_a_table_with_a_right_checksum_may_still_be_wrong(changes):
    data = bytearray(damaged((SAMPLES / "hmat_example.aml").read_bytes()[40:], changes))
    head = bytearray((SAMPLES / "hmat_example.aml").read_bytes()[:40])
    head[4:8] = (40 + len(data)).to_bytes(4, "little")
    head[9] = (head[9] - sum(head) - sum(data)) % 256
    survives("hmat", bytes(head + data))
