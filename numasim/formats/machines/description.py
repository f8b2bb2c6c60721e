"""A machine as some file tells of it: numbers by node, each with where it came from.

Every importer gives one of these, and knows nothing of topologies; gaps stay gaps. `merged` lays
several over each other, `completing.py` fills what is left, `writing.py` makes the YAML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from numasim.errors import ConfigError, Problem
from numasim.units import format_bytes

Pair = tuple[int, int]
"""(initiator, target), both kernel node numbers."""


class Origin(IntEnum):
    """Where a number came from; of two that disagree, the higher one is believed."""

    GUESSED = 0
    KERNEL = 1
    FIRMWARE = 2
    MEASURED = 3


@dataclass(frozen=True)
class Number:
    """A value, and what one would have to doubt to doubt it.

    Parameters
    ----------
    value : float
    origin : Origin
    where : str
        File and place, or the rule of a guess.
    """

    value: float
    origin: Origin
    where: str

    @property
    def note(self) -> str:
        """Its origin in words."""
        return f"{self.origin.name.lower()}: {self.where}"


@dataclass
class NodeSaid:
    """What is known of one node.

    Parameters
    ----------
    has_cpus : bool or None
        None where the file does not say.
    cpus : tuple of int or None
        Kernel CPU numbers; None where the file does not say which.
    capacity : Number or None
        Bytes.
    kind : str
        DRAM, CXL, HBM …; empty where the file does not say.
    home : int or None
        Node with CPUs beside which this one hangs, where the file says so.
    where : str
        Where the CPUs are told.
    origin : Origin
        Who tells the CPUs.
    """

    has_cpus: bool | None = None
    cpus: tuple[int, ...] | None = None
    capacity: Number | None = None
    kind: str = ""
    home: int | None = None
    where: str = ""
    origin: Origin = Origin.KERNEL


@dataclass
class Loaded:
    """A loaded-latency curve of local memory: (bytes/ns, ns), and where it stands."""

    points: list[tuple[float, float]]
    where: str


@dataclass
class Description:
    """What one file, or several together, tell of a machine.

    Parameters
    ----------
    source : str
        Name of the file.
    nodes : dict of int to NodeSaid
    latency : dict of (int, int) to Number
        Idle read latency, ns.
    read_bandwidth, write_bandwidth : dict of (int, int) to Number
        Bytes per ns.
    write_share : dict of (int, int) to Number
        Write over read bandwidth within one file; made by `merged`.
    distances : dict of (int, int) to Number
        SLIT, 10 is local.
    whole : bool
        Whether it names every node of the machine, as the kernel does.
    loaded : Loaded or None
    peaks : dict of str to float
        Bandwidth of the whole machine by mix of traffic, bytes/ns: ``read`` and ``1:1``.
    notes : list of str
        What the file says that a topology does not hold.
    doubts : list of str
        What seems wrong with the file, though its numbers can be used.
    """

    source: str
    nodes: dict[int, NodeSaid] = field(default_factory=dict)
    latency: dict[Pair, Number] = field(default_factory=dict)
    read_bandwidth: dict[Pair, Number] = field(default_factory=dict)
    write_bandwidth: dict[Pair, Number] = field(default_factory=dict)
    write_share: dict[Pair, Number] = field(default_factory=dict)
    distances: dict[Pair, Number] = field(default_factory=dict)
    whole: bool = False
    loaded: Loaded | None = None
    peaks: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def node(self, nid: int) -> NodeSaid:
        """The node of that number, made if it is new."""
        return self.nodes.setdefault(nid, NodeSaid())


ONE_MACHINE = "are these files of one machine?"
TABLES = ("latency", "read_bandwidth", "write_bandwidth", "distances")
ALIKE = {"capacity": 0.1, "latency": 0.25, "read_bandwidth": 0.25, "write_bandwidth": 0.25}
"""Share by which two files of one machine may differ in a number of the same origin."""


def merged(found: Iterable[Description]) -> Description:
    """Several descriptions of one machine as one: the better origin wins, then the earlier file.

    Raises
    ------
    ConfigError
        If they cannot be of the same machine.
    """
    first, *rest = found
    whole, problems = first, list[Problem]()
    _note_shares(first)
    for more in rest:
        _note_shares(more)
        problems += _add(whole, more)
    if problems:
        raise ConfigError(problems)
    return whole


def _note_shares(said: Description) -> None:
    """What writing is to reading, as long as both are from the same file."""
    for pair, write in said.write_bandwidth.items():
        if pair in said.read_bandwidth:
            share = write.value / said.read_bandwidth[pair].value
            said.write_share[pair] = Number(share, write.origin, write.where)


def _add(whole: Description, more: Description) -> Iterator[Problem]:
    yield from _strangers(whole, more)
    yield from _strangers(more, whole)
    whole.whole |= more.whole
    for nid, said in sorted(more.nodes.items()):
        yield from _add_node(whole.node(nid), said, nid)
    for table in TABLES:
        yield from _add_table(getattr(whole, table), getattr(more, table), table)
    whole.write_share = {**more.write_share, **whole.write_share}
    whole.loaded = whole.loaded or more.loaded
    whole.peaks = {**more.peaks, **whole.peaks}
    whole.notes += [note for note in more.notes if note not in whole.notes]
    whole.doubts += more.doubts
    whole.source += f", {more.source}"


def _strangers(one: Description, other: Description) -> Iterator[Problem]:
    """Nodes that a file has, and one that names all of them has not."""
    strange = sorted(other.nodes.keys() - one.nodes.keys()) if one.whole else []
    if strange:
        message = f"is in {other.source}, but not in {one.source}, which names every node"
        yield Problem(f"node {strange[0]}", message, ONE_MACHINE)


def _add_node(known: NodeSaid, said: NodeSaid, nid: int) -> Iterator[Problem]:
    if None not in (known.has_cpus, said.has_cpus) and known.has_cpus != said.has_cpus:
        one, other = (where or "another file" for where in (known.where, said.where))
        message = f"{'has' if known.has_cpus else 'has no'} CPUs in {one}, not so in {other}"
        yield Problem(f"node {nid}", message, ONE_MACHINE)
    elif known.cpus and said.cpus and known.cpus != said.cpus:
        message = f"has other CPUs in {known.where} than in {said.where}"
        yield Problem(f"node {nid}", message, ONE_MACHINE)
    if known.capacity and said.capacity:
        yield from _apart(known.capacity, said.capacity, "capacity", f"node {nid} capacity")
    known.capacity = _better(known.capacity, said.capacity)
    known.has_cpus = said.has_cpus if known.has_cpus is None else known.has_cpus
    if known.cpus is None:
        known.cpus, known.where = said.cpus, said.where or known.where
        known.origin = said.origin
    known.kind = known.kind or said.kind
    known.home = said.home if known.home is None else known.home


def _add_table(
    known: dict[Pair, Number], said: Mapping[Pair, Number], table: str
) -> Iterator[Problem]:
    for pair, number in sorted(said.items()):
        if pair in known:
            place = f"{table.replace('_', ' ')} of node {pair[0]} to node {pair[1]}"
            yield from _apart(known[pair], number, table, place)
        better = _better(known.get(pair), number)
        assert better is not None
        known[pair] = better


def _apart(one: Number, other: Number, what: str, place: str) -> Iterator[Problem]:
    """A complaint if two numbers of the same origin cannot both be true."""
    most = ALIKE.get(what, 0.0)
    if one.origin == other.origin and abs(one.value - other.value) > most * max(
        one.value, other.value
    ):
        show = format_bytes if what == "capacity" else "{:g}".format
        message = f"is {show(one.value)} in {one.where} and {show(other.value)} in {other.where}"
        yield Problem(place, message, ONE_MACHINE)


def _better(one: Number | None, other: Number | None) -> Number | None:
    if one is None or other is None:
        return one or other
    return other if other.origin > one.origin else one
