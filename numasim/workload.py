"""What programs do: processes, their mappings, and actors whose phases visit them.

Frozen descriptions only; `law.py` compiles them into the truth that every observer draws from.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.checking import build
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.patterns import Pattern, registry
from numasim.units import Bytes, DurationNs, RatePerS

CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
BASE_PAGE_BYTES = 4096
PAGE_SIZES = {4 << 10: 0, 64 << 10: 4, 2 << 20: 9}
FIRST_ADDRESS = 0x7F00_0000_0000  # where mmap places things, roughly
GUARD_BYTES = 2 << 20
MIN_BURST = 1000


def _pattern(value: Any) -> Any:
    if not isinstance(value, AnyMapping):
        return value
    fields = dict(value)
    name = fields.pop("pattern", None)
    if name is None:
        raise ConfigError(Problem("pattern", "is missing", "known: " + ", ".join(registry.names())))
    return build(registry.get(str(name), "pattern"), fields)


AnyPattern = Annotated[Pattern, BeforeValidator(_pattern)]


def _taken(what: str, names: list[str]) -> Iterator[Problem]:
    """Complaints about names that come twice."""
    for i, name in enumerate(names):
        if name in names[:i]:
            yield Problem(f"{what}[{i}].name", f'"{name}" is taken')


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Mempolicy:
    """Where first touch puts a mapping's pages, as Linux's memory policies do.

    Parameters
    ----------
    mode : str
        ``local`` (nearest node of the accessor that touches), ``bind``, ``preferred``,
        ``interleave`` or ``weighted_interleave``.
    nodes : tuple of str or int
        Node names or numbers; for interleaving, in this order. Only ``interleave`` takes all nodes
        if there are none.
    weights : tuple of int
        One per node, 1..255, for ``weighted_interleave``.
    """

    mode: Literal["local", "bind", "preferred", "interleave", "weighted_interleave"] = "local"
    nodes: tuple[str | int, ...] = ()
    weights: tuple[Annotated[int, Field(ge=1, le=255)], ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mode not in ("local", "interleave") and not self.nodes:
            raise ConfigError(Problem("nodes", f"is empty, {self.mode} needs at least one"))
        if self.mode == "local" and self.nodes:
            raise ConfigError(Problem("nodes", "are given, but local is the accessor's own"))
        if self.mode != "weighted_interleave" and self.weights:
            raise ConfigError(Problem("weights", "are for weighted_interleave"))
        if self.mode == "weighted_interleave" and len(self.weights) != len(self.nodes):
            raise ConfigError(
                Problem(
                    "weights",
                    f"got {len(self.weights)} for {len(self.nodes)} nodes, expected one each",
                )
            )
        return self


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Mapping:
    """A named range of a process's address space.

    Parameters
    ----------
    name : str
    size : int
        Bytes.
    kind : str
        ``anonymous`` or ``file``.
    page : int
        Bytes of its pages: 4 KiB, 64 KiB or 2 MiB.
    policy : Mempolicy
    address : int or None
        Virtual address; next free one if None.
    populate : bool
        Touched in full before the first phase; otherwise each phase first touches what it visits.
    busy : tuple of int
        Pages, by their place in the mapping, that the program uses all the time beside its work:
        code, globals, the top of the stack. Every look finds them accessed; they cost nothing. No
        pattern visits such a mapping.
    """

    name: str
    size: Annotated[Bytes, Field(gt=0)]
    kind: Literal["anonymous", "file"] = "anonymous"
    page: Bytes = BASE_PAGE_BYTES
    policy: Mempolicy = Mempolicy()
    address: int | None = None
    populate: bool = True
    busy: tuple[Annotated[int, Field(ge=0)], ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.page not in PAGE_SIZES:
            raise ConfigError(
                Problem("page", f"got {self.page} bytes, expected 4 KiB, 64 KiB or 2 MiB")
            )
        if self.size % self.page:
            raise ConfigError(
                Problem("size", f"got {self.size} bytes, expected whole pages of {self.page}")
            )
        if self.address is not None and self.address % self.page:
            message = f"got {self.address:#x}, expected a page boundary"
            raise ConfigError(Problem("address", message))
        if self.busy and max(self.busy) >= self.size // self.page:
            nr = self.size // self.page
            raise ConfigError(Problem("busy", f"got page {max(self.busy)}, the mapping has {nr}"))
        if self.busy and not self.populate:
            raise ConfigError(Problem("busy", "needs pages that exist", "leave populate on"))
        return self

    @property
    def order(self) -> int:
        """Page order: 0, 4 or 9."""
        return PAGE_SIZES[self.page]


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Phase:
    """What an actor does for a while.

    Parameters
    ----------
    name : str
    duration : int or None
        Length in ns; or
    operations : float or None
        length in operations. With neither, the phase lasts.
    compute : int
        Time per operation and thread that waits for no memory, ns.
    pace : float or None
        Operations per second the actor is asked for; None means as many as it can.
    burst : int
        Operations that go to one pattern before the next is drawn (masim); 0: all mixed.
    chances : tuple of float
        With bursts: the chance of each pattern to be drawn, in proportion; by visits if empty.
        Visits stay those of a mean operation: in a pattern's own bursts they are visits / chance.
    access : tuple of Pattern
    """

    name: str = ""
    duration: Annotated[DurationNs, Field(gt=0)] | None = None
    operations: Annotated[float, Field(gt=0)] | None = None
    compute: DurationNs = 0
    pace: RatePerS | None = None
    burst: Annotated[int, Field(ge=0)] = 0
    chances: tuple[Annotated[float, Field(gt=0)], ...] = ()
    access: tuple[AnyPattern, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.burst < MIN_BURST:
            hint = "shorter ones cannot be told from a mix: leave burst out"
            raise ConfigError(Problem("burst", f"expected at least {MIN_BURST} operations", hint))
        if self.burst and not self.access:
            raise ConfigError(Problem("burst", "has no pattern to go to", "give access"))
        if self.chances and not self.burst:
            raise ConfigError(Problem("chances", "are for bursts", "give burst, or leave them out"))
        if self.chances and len(self.chances) != len(self.access):
            message = f"got {len(self.chances)} for {len(self.access)} patterns, expected one each"
            raise ConfigError(Problem("chances", message))
        if self.duration is not None and self.operations is not None:
            raise ConfigError(
                Problem("operations", "is given beside duration, expected one of them")
            )
        misses = any(p.visits > 0 and p.miss > 0 for p in self.access)
        if not self.compute and not misses and self.pace is None:
            hint = "give compute, access that misses the caches, or pace"
            raise ConfigError(Problem("", "an operation that takes no time", hint))
        return self


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Actor:
    """A group of threads on one accessor.

    Parameters
    ----------
    name : str
    on : str
        An accessor's name, or a kind and optional number: ``CPU``, ``CPU[1]``, ``GPU``.
    threads : int
    phases : tuple of Phase
    repeat : bool
        Start over after the last phase; otherwise the last phase lasts.
    """

    name: str = "main"
    on: str = "CPU"
    threads: Annotated[int, Field(ge=1)] = 1
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    repeat: bool = False


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Process:
    """A program: its mappings and the actors that work on them.

    Parameters
    ----------
    name : str
    mappings : tuple of Mapping
        Their order is the order of first touch.
    actors : tuple of Actor
    start, stop : int
        Instants in ns; a process that stops gives its memory back. `stop` None: never.
    cgroup : str
        Memory cgroup path, ``/`` for none.
    pid : int or None
        Given by position (1000 + index) if None.
    populate_threads : int
        Threads that take the first-touch faults.
    """

    name: str
    mappings: Annotated[tuple[Mapping, ...], Field(min_length=1)]
    actors: tuple[Actor, ...] = ()
    start: DurationNs = 0
    stop: DurationNs | None = None
    cgroup: str = "/"
    pid: int | None = None
    populate_threads: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [m.name for m in self.mappings]
        wrong = [*_taken("mappings", names), *_taken("actors", [a.name for a in self.actors])]
        for a, actor in enumerate(self.actors):
            for p, phase in enumerate(actor.phases):
                for k, access in enumerate(phase.access):
                    place = f"actors[{a}].phases[{p}].access[{k}].mapping"
                    if access.mapping not in names:
                        hint = did_you_mean(access.mapping, names)
                        wrong.append(Problem(place, f'no mapping "{access.mapping}"', hint))
                    elif self.mappings[names.index(access.mapping)].busy:
                        message = f'"{access.mapping}" has busy pages, no pattern visits it'
                        wrong.append(Problem(place, message))
        if self.stop is not None and self.stop <= self.start:
            wrong.append(Problem("stop", "expected an instant after start"))
        if wrong:
            raise ConfigError(wrong)
        return self

    def addresses(self) -> list[int]:
        """Virtual address of each mapping: as given, else after the one before, with a gap."""
        found, at = [], FIRST_ADDRESS
        for mapping in self.mappings:
            address = mapping.address
            if address is None:
                address = -(-at // GUARD_BYTES) * GUARD_BYTES
            found.append(address)
            at = address + mapping.size + GUARD_BYTES
        return found


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Workload:
    """All programs of a run."""

    name: str
    processes: Annotated[tuple[Process, ...], Field(min_length=1)]
    description: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        wrong = [*_taken("processes", [p.name for p in self.processes])]
        pids = [self.pid(i) for i in range(len(self.processes))]
        wrong += [
            Problem(f"processes[{i}].pid", f"{pid} is taken")
            for i, pid in enumerate(pids)
            if pid in pids[:i]
        ]
        for i, process in enumerate(self.processes):
            sizes = (m.size for m in process.mappings)
            spans = sorted(zip(process.addresses(), sizes, strict=True))
            for (a, size), (b, _) in pairwise(spans):
                if a + size > b:
                    wrong.append(Problem(f"processes[{i}].mappings", f"overlap at {b:#x}"))
        if wrong:
            raise ConfigError(wrong)
        return self

    @classmethod
    def from_dict(cls, data: Any, source: str = "") -> Workload:
        """A workload from plain data, as its YAML gives it.

        Raises
        ------
        ConfigError
            With every mistake found.
        """
        made = build(cls, data, source)
        object.__setattr__(made, "_plain", data)  # for provenance; not a field
        return made

    def pid(self, index: int) -> int:
        """Process id of the process at that position."""
        given = self.processes[index].pid
        return 1000 + index if given is None else given

    @property
    def footprint_bytes(self) -> int:
        """Bytes of all mappings."""
        return sum(m.size for p in self.processes for m in p.mappings)

    @property
    def frame_bytes(self) -> int:
        """Smallest page in use: the granule of the simulated machine."""
        return min(m.page for p in self.processes for m in p.mappings)
