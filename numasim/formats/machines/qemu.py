"""The ``-numa`` arguments of QEMU: what a virtual machine's firmware tells its kernel.

Read are ``-numa node|dist|hmat-lb``, sizes of the ``-object memory-backend-…`` they name, ``-m``
and ``-smp``. Sizes and bandwidths have binary suffixes, latencies are in ns.
Source: QEMU's documentation of ``-numa``.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from numasim.errors import ConfigError, Problem
from numasim.formats.machines.description import Description, Number, Origin
from numasim.formats.machines.reading import (
    BANDWIDTH,
    CAPACITY,
    LATENCY_NS,
    Complaints,
    cpus_of,
    text_of,
)

Option = list[tuple[str, str]]
"""Keys and values of one option in order; a first word without ``=`` has the empty key."""

SUFFIXES = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
TIMES_NS = {"": 1.0, "ns": 1.0, "us": 1e3, "ms": 1e6}
READS = ("access-latency", "read-latency", "access-bandwidth", "read-bandwidth", "write-bandwidth")
LONGEST_CHARS = 1 << 18
MIB = 1 << 20
DEFAULT_DISTANCE = 20.0


def read(data: bytes, source: str) -> Description:
    """A machine from QEMU's arguments, in one line or many, with the program's name or without.

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
        If there is no ``-numa node``, or with everything that cannot be.
    """
    text = text_of(data, source, LONGEST_CHARS)
    if len(text) > LONGEST_CHARS:
        raise ConfigError(Problem("", "is longer than a command line can be"), source)
    text = text.replace("\\\n", " ")
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise ConfigError(Problem("", f"is no command line: {error}"), source) from None
    complaints, found = Complaints(source), Description(source)
    options = list(_options(words))
    sizes = {
        dict(o).get("id", ""): dict(o).get("size", "")
        for name, o in options
        if name == "object" and o and o[0][1].startswith("memory-backend")
    }
    for wanted in HANDLED:
        for name, option in options:
            if name == "numa" and option and option[0] == ("", wanted):
                HANDLED[wanted](option, found, complaints, sizes)
    if not found.nodes and not complaints.problems:
        complaints.add("", "has no -numa node", 'expected "-numa node,nodeid=0,cpus=0-3,memdev=m0"')
    complaints.done()
    _finish(found, options, complaints)
    complaints.done()
    return found


def _options(words: list[str]) -> Iterator[tuple[str, Option]]:
    """Options with their keys; ``-m 8G`` and ``--numa`` as QEMU takes them."""
    for i, word in enumerate(words[:-1]):
        match = re.fullmatch(r"--?(numa|object|m|smp)", word)
        if match and words[i + 1].startswith("{"):
            yield match[1], _json(words[i + 1])
        elif match:
            pairs = [part.partition("=") for part in words[i + 1].split(",")]
            yield match[1], [(k, v) if eq else ("", k) for k, eq, v in pairs]


def _json(word: str) -> Option:
    """Keys and values of an option in JSON, as libvirt writes them; the type comes first."""
    try:
        values = json.loads(word)
    except (ValueError, RecursionError):
        return []
    kind = str(values.pop("qom-type", values.pop("type", "")))
    return [("", kind), *((str(key), str(value)) for key, value in values.items())]


def _size(text: str, bare: int = 1) -> str:
    """A size in bytes as digits, or the text itself where it is none."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)([bkmgtp]?)", text.strip().lower())
    if match is None:
        return text
    return str(float(match[1]) * ((1 << SUFFIXES[match[2]]) if match[2] else bare))


def _node(
    option: Option, found: Description, complaints: Complaints, sizes: dict[str, str]
) -> None:
    values = dict(option)
    place = f"-numa {','.join(f'{k}={v}' if k else v for k, v in option)}"[:80]
    nid = complaints.node(values.get("nodeid", str(len(found.nodes))), place)
    if nid is None:
        return
    if nid in found.nodes:
        complaints.add(place, f"node {nid} is there already")
        return
    said = found.node(nid)
    cpus = [value for key, value in option if key == "cpus"]
    said.cpus = cpus_of(cpus, complaints, place)
    said.has_cpus, said.where = bool(said.cpus), f"{found.source}, -numa node"
    said.origin = Origin.FIRMWARE
    backend = values.get("memdev")
    if backend is not None and backend not in sizes:
        complaints.add(place, f'there is no memory backend "{backend[:40]}"')
    text = _size(sizes.get(backend or "", ""), 1) if backend else _size(values.get("mem", ""), MIB)
    if text:
        value = complaints.number(text, CAPACITY, place, "a size")
        if value is not None:
            where = f"{found.source}, {f'memory backend {backend}' if backend else 'mem='}"
            said.capacity = Number(value, Origin.FIRMWARE, where)
    if "initiator" in values and not said.has_cpus:
        said.home = complaints.node(values["initiator"], place)


def _pair(
    option: Option, keys: tuple[str, str], found: Description, complaints: Complaints, place: str
) -> tuple[int, int] | None:
    values = dict(option)
    ends = [complaints.node(values.get(key, ""), f"{place} {key}") for key in keys]
    if ends[0] is None or ends[1] is None:
        return None
    for nid in ends:
        if nid not in found.nodes:
            complaints.add(place, f"names node {nid}, which is not there")
            return None
    return ends[0], ends[1]


def _dist(option: Option, found: Description, complaints: Complaints, _: dict[str, str]) -> None:
    pair = _pair(option, ("src", "dst"), found, complaints, "-numa dist")
    text = dict(option).get("val", "")
    value = complaints.number(text, (10, 255), "-numa dist val", "a distance")
    if pair is None or value is None:
        return
    if pair[0] == pair[1] and value != 10:
        complaints.add("-numa dist", f"node {pair[0]} to itself is {value:g}, expected 10")
    found.distances[pair] = Number(value, Origin.FIRMWARE, f"{found.source}, -numa dist")


def _hmat(option: Option, found: Description, complaints: Complaints, _: dict[str, str]) -> None:
    values = dict(option)
    kind, place = values.get("data-type", ""), "-numa hmat-lb"
    pair = _pair(option, ("initiator", "target"), found, complaints, place)
    if pair is None or kind not in READS or values.get("hierarchy") != "memory":
        if kind not in (*READS, "write-latency"):
            said = f'unknown data-type "{kind[:40]}"' if kind else "has no data-type"
            complaints.add(place, said, "" if kind else "is it cut off?")
        return
    if kind.endswith("latency"):
        match = re.fullmatch(r"(\d{1,12})(ns|us|ms|)", values.get("latency", ""))
        text = str(float(match[1]) * TIMES_NS[match[2]]) if match else values.get("latency", "")
        value = complaints.number(text, LATENCY_NS, place, "a latency")
        tables, told = (found.latency,), f"latency={values.get('latency')}"
    else:
        text = _size(values.get("bandwidth", ""))
        value = complaints.number(text, BANDWIDTH, place, "a bandwidth", 1e-9)
        told = f"bandwidth={values.get('bandwidth')}"
        both = (found.read_bandwidth, found.write_bandwidth)
        tables = {"access": both, "read": both[:1], "write": both[1:]}[kind.split("-")[0]]  # type: ignore[assignment]
    if value is not None:
        for table in tables:
            table[pair] = Number(value, Origin.FIRMWARE, f"{found.source}, hmat-lb {told}")


def _cpu(option: Option, found: Description, complaints: Complaints, _: dict[str, str]) -> None:
    """``-numa cpu,node-id=0,socket-id=1``: the next CPU is of that node."""
    nid = complaints.node(dict(option).get("node-id", ""), "-numa cpu")
    if nid is None or nid not in found.nodes:
        complaints.add("-numa cpu", f"names node {nid}, which is not there")
        return
    number = sum(len(said.cpus or ()) for said in found.nodes.values())
    said = found.nodes[nid]
    said.cpus, said.has_cpus = (*(said.cpus or ()), number), True


HANDLED = {"node": _node, "cpu": _cpu, "dist": _dist, "hmat-lb": _hmat}
"""What is read of ``-numa``, in the order in which it is."""


def _finish(found: Description, options: list[tuple[str, Option]], complaints: Complaints) -> None:
    """What QEMU adds by itself: the other half of a distance, sizes and CPUs not spelt out."""
    for (a, b), number in list(found.distances.items()):
        found.distances.setdefault((b, a), number)
    if found.distances:
        for a in found.nodes:
            for b in found.nodes:
                if (a, b) not in found.distances:
                    value = 10.0 if a == b else DEFAULT_DISTANCE
                    found.distances[a, b] = Number(value, Origin.FIRMWARE, "QEMU's default")
    given = dict(options)
    bare = [said for said in found.nodes.values() if said.capacity is None]
    if bare and len(bare) == len(found.nodes) and "m" in given:
        text = dict(given["m"]).get("size", given["m"][0][1])
        total = complaints.number(_size(text, MIB), CAPACITY, "-m", "a size")
        if total is not None:
            for said in bare:
                share = total / len(bare)
                said.capacity = Number(share, Origin.FIRMWARE, f"{found.source}, -m {text} shared")
    if not any(said.has_cpus for said in found.nodes.values()):
        first = min(found.nodes)
        text = dict(given["smp"]).get("cpus", given["smp"][0][1]) if given.get("smp") else "1"
        nr = int(text) if re.fullmatch(r"[1-9]\d{0,3}", text) else 1
        said = found.nodes[first]
        said.cpus, said.has_cpus = tuple(range(nr)), True
        said.where, said.home = f"{found.source}, -smp", None
        found.notes.append(f"no CPUs are given to nodes; all are taken to be on node {first}")
