"""ACPI's Heterogeneous Memory Attribute Table, binary: latency and bandwidth of domain pairs.

The table knows proximity domains; Linux numbers nodes in the order in which it meets them in the
SRAT, so a map from domain to node may be given. Sizes and CPUs are in other tables.
Source: ACPI 6.x, HMAT revision 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.description import Description, Number, Origin
from numasim.formats.machines.reading import BANDWIDTH, LATENCY_NS, MOST_NODES, Complaints

HEADER = 40
TYPES = {
    0: ("latency",), 1: ("latency",), 3: ("read_bandwidth", "write_bandwidth"),
    4: ("read_bandwidth",), 5: ("write_bandwidth",),
}  # fmt: skip
"""Data type of a matrix → tables that its values go to."""
PRECISE = (1, 4, 5)  # of reads or of writes, not of both
WRITE_LATENCY = 2
NOT_GIVEN, UNREACHABLE = 0, 0xFFFF
PS_PER_NS, MB_PER_BYTES_NS = 1e-3, 1e-3


def read(data: bytes, source: str, nodes: Mapping[int, int] | None = None) -> Description:
    """A machine from a binary HMAT.

    Parameters
    ----------
    data : bytes
    source : str
    nodes : mapping of int to int, optional
        Proximity domain → kernel node; left out, they are the same.

    Returns
    -------
    Description

    Raises
    ------
    ConfigError
        If it is no such table, is cut off or damaged, or of a revision that scales differently.
    """
    _check_header(data, source)
    complaints, found = Complaints(source), Description(source)
    domains = nodes or {}
    initiators: set[int] = set()
    for kind, at, body in _structures(data, complaints):
        place = f"structure at byte {at}"
        if kind == 0 and len(body) >= 12:
            flags, _, initiator, memory = struct.unpack_from("<HHII", body, 0)
            nid = _node(memory, domains, complaints, place)
            beside = _node(initiator, domains, complaints, place) if flags & 1 else None
            if nid is not None:
                said = found.node(nid)
                said.home = beside if beside is not None and beside != nid else said.home
                if beside is not None:
                    initiators.add(beside)
        elif kind == 1:
            initiators |= _locality(body, place, found, domains, complaints)
        elif kind == 2:
            found.notes.append(f"{source} has a memory-side cache, which a topology does not")
        else:
            complaints.add(place, f"is of type {kind} and {len(body)} bytes, which is none of HMAT")
    if not found.latency and not found.read_bandwidth and not complaints.problems:
        complaints.add("", "holds no latency or bandwidth of memory")
    complaints.done()
    for nid in initiators:
        found.node(nid)
    for nid, said in found.nodes.items():
        said.has_cpus, said.where = nid in initiators, f"{source}, initiators"
        said.home = None if said.has_cpus else said.home
    return found


def _check_header(data: bytes, source: str) -> None:
    if data[:4] != b"HMAT" or len(data) < HEADER:
        hint = "expected /sys/firmware/acpi/tables/HMAT or the output of acpidump -b"
        raise ConfigError(Problem("", "is no binary HMAT", hint), source)
    (length,) = struct.unpack_from("<I", data, 4)
    if length != len(data):
        message = f"says it has {length} bytes, but has {len(data)}"
        raise ConfigError(Problem("length", message, "is it cut off?"), source)
    if sum(data) % 256:
        raise ConfigError(Problem("checksum", "does not fit the table: it is damaged"), source)
    if data[8] != 2:
        message = f"is revision {data[8]}, expected 2"
        hint = "revision 1 scales its values in another way"
        raise ConfigError(Problem("revision", message, hint), source)


def _structures(data: bytes, complaints: Complaints) -> Iterator[tuple[int, int, bytes]]:
    """Type, place and body (without its head of 8 bytes) of every structure."""
    at = HEADER
    while at < len(data):
        if at + 8 > len(data):
            complaints.add(f"structure at byte {at}", "is cut off")
            return
        kind, _, length = struct.unpack_from("<HHI", data, at)
        if length < 8 or at + length > len(data):
            complaints.add(f"structure at byte {at}", f"has {length} bytes, beyond the table's end")
            return
        yield kind, at, data[at + 8 : at + length]
        at += length


def _locality(
    body: bytes, place: str, found: Description, domains: Mapping[int, int], complaints: Complaints
) -> set[int]:
    """Values of one matrix, into the description; its initiators."""
    if len(body) < 24:
        complaints.add(place, "is too short")
        return set()
    flags, kind, _, _, nr_from, nr_to, _, unit = struct.unpack_from("<BBBBIIIQ", body, 0)
    if len(body) < 24 + 4 * (nr_from + nr_to) + 2 * nr_from * nr_to:
        complaints.add(place, f"is too short for {nr_from} initiators and {nr_to} targets")
        return set()
    if flags & 0xF:
        found.notes.append(f"{found.source} has values of memory-side caches, left out")
        return set()
    numbers = struct.unpack_from(f"<{nr_from + nr_to}I", body, 24)
    rows = [_node(n, domains, complaints, place) for n in numbers[:nr_from]]
    columns = [_node(n, domains, complaints, place) for n in numbers[nr_from:]]
    entries = struct.unpack_from(f"<{nr_from * nr_to}H", body, 24 + 4 * (nr_from + nr_to))
    for nid in [n for n in columns if n is not None]:
        found.node(nid)
    if kind == WRITE_LATENCY:
        found.notes.append(f"{found.source} also has write latencies; a topology has read latency")
    if kind not in TYPES:
        return {n for n in rows if n is not None}
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            entry = entries[i * nr_to + j]
            if row is not None and column is not None and entry not in (NOT_GIVEN, UNREACHABLE):
                _value(found, (row, column), kind, entry * unit, complaints, place)
    return {n for n in rows if n is not None}


def _value(
    found: Description,
    pair: tuple[int, int],
    kind: int,
    raw: int,
    complaints: Complaints,
    place: str,
) -> None:
    latency = TYPES[kind] == ("latency",)
    bounds, scale = (LATENCY_NS, PS_PER_NS) if latency else (BANDWIDTH, MB_PER_BYTES_NS)
    value = complaints.number(str(raw), bounds, place, "a value", scale)
    if value is None:
        return
    text = f"{raw / 1000:g} ns" if latency else f"{raw} MB/s"
    number = Number(value, Origin.FIRMWARE, f"{found.source}, {text}")
    for name in TYPES[kind]:
        table = getattr(found, name)
        if kind in PRECISE or pair not in table:
            table[pair] = number


def _node(
    domain: int, domains: Mapping[int, int], complaints: Complaints, place: str
) -> int | None:
    nid = domains.get(domain, domain)
    if 0 <= nid < MOST_NODES:
        return nid
    hint = f"say which node it is: --pxm-map {domain}=0"
    complaints.add(place, f"proximity domain {domain} is no node's number", hint)
    return None
