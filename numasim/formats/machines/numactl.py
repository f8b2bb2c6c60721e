"""Output of ``numactl -H``: CPUs, sizes and distances of nodes; no speeds.

Its MB are MiB. Source: numactl 2.0.
"""

from __future__ import annotations

import re

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.description import Description, Number, Origin
from numasim.formats.machines.reading import CAPACITY, Complaints, cpus_of, square, text_of

MIB = 1 << 20


def read(data: bytes, source: str) -> Description:
    """A machine from what ``numactl -H`` (``--hardware``) prints.

    Parameters
    ----------
    data : bytes
    source : str

    Returns
    -------
    Description

    Raises
    ------
    ConfigError
        If it is something else, is cut off, or contradicts itself.
    """
    complaints, found = Complaints(source), Description(source, whole=True)
    announced: int | None = None
    header: list[int] = []
    rows: dict[int, list[float]] = {}
    for number, line in enumerate(text_of(data, source).splitlines(), start=1):
        place = f"line {number}"
        if match := re.match(r"available:\s+(\d{1,4})\s+nodes?\b", line):
            announced = int(match[1])
        elif match := re.match(r"node (\d+) (cpus|size):(.*)", line):
            _node(found, complaints, match, place)
        elif match := re.fullmatch(r"node((?:\s+\d+)+)\s*", line):
            header = [int(word) for word in match[1].split()]
        elif match := re.fullmatch(r"\s*(\d+):((?:\s+\d+)*)\s*", line):
            row = complaints.node(match[1], place)
            values = [float(word) for word in match[2].split() if len(word) < 5]
            if row is not None:
                rows[row] = values
    if announced is None and not found.nodes:
        hint = 'expected a line "available: 2 nodes (0-1)"'
        raise ConfigError(Problem("", "is not what numactl -H prints", hint), source)
    if announced is not None and announced != len(found.nodes):
        message = f"{announced} nodes are announced, {len(found.nodes)} are described"
        complaints.add("", message, "is the file cut off?")
    _distances(found, complaints, header, rows)
    complaints.done()
    return found


def _node(found: Description, complaints: Complaints, match: re.Match[str], place: str) -> None:
    nid = complaints.node(match[1], place)
    if nid is None:
        return
    said = found.node(nid)
    if match[2] == "cpus":
        if said.cpus is not None:
            complaints.add(place, f"a second list of CPUs of node {nid}")
            return
        said.cpus = cpus_of(match[3], complaints, place)
        said.has_cpus, said.where = bool(said.cpus), f"{found.source} {place}"
        taken = {cpu for n, other in found.nodes.items() if n != nid for cpu in other.cpus or ()}
        if shared := taken & set(said.cpus):
            complaints.add(place, f"CPU {min(shared)} belongs to another node already")
        return
    size = re.fullmatch(r"\s*(\d{1,12}) MB\s*", match[3])
    if size is None:
        complaints.add(place, f'got "{match[3].strip()[:40]}", expected a size such as "65536 MB"')
    elif int(size[1]) == 0:
        said.capacity = Number(0.0, Origin.KERNEL, f"{found.source} {place}")  # no memory at all
    else:
        value = complaints.number(size[1], CAPACITY, place, "a size", MIB)
        if value is not None:
            where = f"{found.source} {place}, usable memory of node {nid}"
            said.capacity = Number(value, Origin.KERNEL, where)


def _distances(
    found: Description, complaints: Complaints, header: list[int], rows: dict[int, list[float]]
) -> None:
    if not header and not rows:
        found.notes.append(f"{found.source} has no node distances")
        return
    if sorted(header) != sorted(found.nodes):
        complaints.add("node distances", "are of other nodes than those described")
        return
    pairs = square(rows, header, complaints, "node distances")
    for pair, value in pairs.items():
        found.distances[pair] = Number(value, Origin.FIRMWARE, f"{found.source}, node distances")
