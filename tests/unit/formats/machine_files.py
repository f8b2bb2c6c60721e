"""Files of one made-up machine, as every tool tells of it."""

from __future__ import annotations

from pathlib import Path

from numasim import library
from numasim.formats import machines
from numasim.formats.machines import (
    import_files,
    to_yaml,
)
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
