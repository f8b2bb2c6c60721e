"""A machine's topology as YAML in which every number says where it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from numasim.formats.machines.completing import CORES, LOCAL_DISTANCE, Complete
from numasim.formats.machines.description import Number, Origin, Pair
from numasim.units import format_cpulist

PAGE_BYTES = 4096
NOTE_COLUMN = 44
MOST_LINKED = 16  # nodes with CPUs
SIZES = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
HEAD = (
    "measured  by a benchmark on the machine     firmware  in ACPI tables, shown by the kernel",
    "kernel    counted by it: CPUs and sizes     guessed   by the rule that stands there",
)
Line = tuple[str, str]
"""A line of YAML, and what stands beside it as a comment."""


def to_yaml(machine: Complete, name: str, command: str) -> str:
    """Text of a topology.

    Parameters
    ----------
    machine : Complete
    name : str
        Of the topology.
    command : str
        How it was made, for the head.

    Returns
    -------
    str
    """
    lines = [*_head(machine, command), (f"name: {json.dumps(name)}", "")]
    nr_cpus, nr_memories = len(machine.initiators), len(machine.memories)
    described = f"imported: {_nodes_of(nr_cpus)} with CPUs, {_nodes_of(nr_memories)} with memory"
    lines.append((f"description: {json.dumps(described)}", ""))
    lines += [*_nodes(machine), *_accessors(machine), *_links(machine), *_pairs(machine)]
    lines += _distances(machine)
    return "".join(f"{_beside(text, _clean(note))}\n" for text, note in lines)


def guesses(machine: Complete) -> list[str]:
    """How many numbers of each kind are guesses."""
    pairs = [(i, n) for i in machine.initiators for n in machine.memories]
    tables: dict[str, list[Number | None]] = {
        "capacity": [machine.said.nodes[n].capacity for n in machine.memories],
        "latency": [machine.said.latency[pair] for pair in pairs],
        "bandwidth": [machine.said.read_bandwidth[pair] for pair in pairs],
    }
    found = []
    for what, numbers in tables.items():
        guessed = [n for n in numbers if n is not None and n.origin == Origin.GUESSED]
        if guessed:
            found.append(f"{what}: {len(guessed)} of {len(numbers)} guessed")
    unknown = [n for n in machine.initiators if machine.said.nodes[n].cpus is None]
    if unknown:
        found.append(f"cores: {len(unknown)} of {len(machine.initiators)} guessed")
    return found


def _beside(text: str, note: str) -> str:
    return f"{text:<{NOTE_COLUMN}} # {note}" if note else text


def _clean(text: str) -> str:
    """Text of unknown origin that may stand in a comment: one line, printable."""
    return re.sub(r"[^ -~]", "?", text)[:300]


def _head(machine: Complete, command: str) -> Iterator[Line]:
    for line in (
        f"Imported from {machine.said.source} by: {command}", "",
        "Every number is followed by where it came from:", *HEAD,
        *machine.said.notes,
    ):  # fmt: skip
        yield f"# {_clean(line)}".rstrip(), ""


def _nodes_of(number: int) -> str:
    return f"{number} node{'' if number == 1 else 's'}"


def _socket(nid: int) -> str:
    return f"socket{nid}"


def _nodes(machine: Complete) -> Iterator[Line]:
    yield "nodes:", ""
    said = machine.said
    for nid in machine.memories:
        home, (kind, known) = machine.home[nid], machine.kinds[nid]
        capacity, pair = said.nodes[nid].capacity, (home, nid)
        assert capacity is not None
        read, write = said.read_bandwidth[pair], said.write_bandwidth[pair]
        yield f"  - name: node{nid}", ""
        yield f"    kind: {kind}", known
        yield f"    capacity: {_size(capacity.value)}", capacity.note
        yield f"    latency: {_ns(said.latency[pair])}", said.latency[pair].note
        yield "    bandwidth:", ""
        yield f"      read: {_speed(read.value)}", read.note
        yield f"      write: {_speed(write.value)}", write.note
        where = "" if home == nid else f"beside the CPUs of node {home}"
        yield f"    at: {_socket(home)}", where
        if machine.curve is not None and home == nid:
            fit = machine.curve
            note = (
                f"measured: {fit.where}, fitted to {fit.nr_points} points, off by {fit.error:.0%}"
            )
            curve = f"{{service_ratio: {fit.service_ratio}, scale: {fit.scale}}}"
            yield f"    curve: {curve}", note


def _accessors(machine: Complete) -> Iterator[Line]:
    from_file = machine.said.nodes
    yield "accessors:", ""
    for nid in machine.initiators:
        cpus = from_file[nid].cpus
        yield f"  - name: cpu{nid}", ""
        yield "    kind: CPU", ""
        if cpus is None:
            yield f"    cores: {CORES}", "guessed: nothing says how many CPUs there are"
        else:
            yield (
                f'    cpus: "{format_cpulist(cpus)}"',
                f"{from_file[nid].origin.name.lower()}: {from_file[nid].where}",
            )
        yield f"    at: {_socket(nid)}", ""


def _links(machine: Complete) -> Iterator[Line]:
    """A link between every two nodes with CPUs: what a remote access takes more than a local one.

    Assumption: each pair has a link of its own. On machines with more of them no link is told
    apart, and the pairs alone say how fast each reaches what.
    """
    if len(machine.initiators) > MOST_LINKED:
        yield "# no links: with so many nodes nothing says which ways are shared", ""
        return
    pairs = [(a, b) for a in machine.initiators for b in machine.initiators if a < b]
    reach = [(a, b, *_ways(machine, a, b)) for a, b in pairs]
    reach = [way for way in reach if way[2] or way[3]]
    if not reach:
        return
    yield "links:", "one between every two nodes with CPUs, from what remote access costs more"
    latency, speed = machine.said.latency, machine.said.read_bandwidth
    for a, b, there, back in reach:
        more = [latency[i, n].value - latency[machine.home[n], n].value for i, n in (*there, *back)]
        value = max(1, round(sum(more) / len(more)))
        worst = min(latency[pair].origin for pair in (*there, *back))
        yield f"  - between: [{_socket(a)}, {_socket(b)}]", ""
        yield f"    latency: {value} ns", f"{worst.name.lower()}: remote less local latency below"
        yield "    bandwidth:", ""
        for word, ways in (("forward", back or there), ("backward", there or back)):
            best = max((speed[pair] for pair in ways), key=lambda number: number.value)
            yield f"      {word}: {_speed(best.value)}", best.note


def _ways(machine: Complete, a: int, b: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs whose accesses cross from a to b, and from b to a; DRAM of the sockets alone if any."""
    there = [(a, n) for n in machine.memories if machine.home[n] == b]
    back = [(b, n) for n in machine.memories if machine.home[n] == a]
    return (
        [pair for pair in there if pair[1] == b] or there,
        [pair for pair in back if pair[1] == a] or back,
    )


def _pairs(machine: Complete) -> Iterator[Line]:
    """Latency and bandwidth of every pair that is not at home; what is measured wins over links."""
    far = [(i, n) for i in machine.initiators for n in machine.memories if machine.home[n] != i]
    if not far:
        return
    shown: tuple[tuple[str, dict[Pair, Number], Callable[[Number], str]], ...] = (
        ("latency", machine.said.latency, _ns),
        ("bandwidth", machine.said.read_bandwidth, lambda number: _speed(number.value)),
    )
    for table, numbers, show in shown:
        yield f"{table}:", ""
        for i in dict.fromkeys(pair[0] for pair in far):
            yield f"  cpu{i}:", ""
            for pair in (pair for pair in far if pair[0] == i):
                yield f"    node{pair[1]}: {show(numbers[pair])}", numbers[pair].note


def _distances(machine: Complete) -> Iterator[Line]:
    if not machine.distances:
        return
    yield "distances:", ""
    for nid, row in zip(machine.memories, machine.distances, strict=True):
        told = sorted((machine.said.distances[nid, m] for m in machine.memories), key=_is_given)
        yield f"  - [{', '.join(f'{value:.0f}' for value in row)}]", told[-1].note


def _is_given(number: Number) -> bool:
    return number.value != LOCAL_DISTANCE and "default" not in number.where


def _size(value: float) -> str:
    """A size without loss, in whole pages, in the largest unit that divides it."""
    nr = max(PAGE_BYTES, int(value) // PAGE_BYTES * PAGE_BYTES)
    unit, name = next((u, name) for u, name in SIZES if nr % u == 0)
    return f"{nr // unit} {name}"


def _ns(number: Number) -> str:
    return f"{max(1, round(number.value))} ns"


def _speed(value: float) -> str:
    """A bandwidth with four significant digits, never in exponents."""
    text = f"{float(f'{value:.4g}'):f}".rstrip("0").rstrip(".")
    return f"{text} GB/s"
