"""What programs do: processes, their mappings, and actors whose phases visit them.

Frozen descriptions only; `law.py` compiles them into the truth that every observer draws from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from numasim.checking import build
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.mapping import CONFIG, Mapping
from numasim.patterns import Pattern, misfit, registry
from numasim.units import DurationNs, RatePerS
from numasim.wholes import Chosen, checked, known

FIRST_ADDRESS = 0x7F00_0000_0000  # where mmap places things, roughly
GUARD_BYTES = 2 << 20
MIN_BURST = 1000
MOST_THREADS = 1_000_000


def _pattern(value: Any) -> Any:
    return build(*_chosen(value)) if isinstance(value, AnyMapping) else value


def _chosen(value: Any) -> tuple[type[Pattern], dict[str, Any]]:
    """Class and fields of a pattern."""
    fields = dict(value) if isinstance(value, AnyMapping) else {}
    name = fields.pop("pattern", None)
    if name is None:
        raise ConfigError(Problem("pattern", "is missing", "known: " + ", ".join(registry.names())))
    return registry.get(str(name), "pattern"), fields


AnyPattern = Annotated[Pattern, BeforeValidator(_pattern), Chosen(_chosen)]


def _taken(what: str, owners: Sequence[Any]) -> Iterator[Problem]:
    """Complaints about names that come twice."""
    names = [known(owner, "name") for owner in owners]
    for i, name in enumerate(names):
        if name is not None and name in names[:i]:
            yield Problem(f"{what}[{i}].name", f'"{name}" is taken')


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
    spins : bool
        With a pace: threads that wait for their next operation keep their CPUs, as a loop that
        polls does; else they sleep.
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
    spins: bool = False
    burst: Annotated[int, Field(ge=0)] = 0
    chances: tuple[Annotated[float, Field(gt=0)], ...] = ()
    access: tuple[AnyPattern, ...] = ()

    def _check_burst(self) -> Iterator[Problem]:
        if 0 < self.burst < MIN_BURST:
            hint = "shorter ones cannot be told from a mix: leave burst out"
            yield Problem("burst", f"expected at least {MIN_BURST} operations", hint)
        if self.burst and not self.access:
            yield Problem("burst", "has no pattern to go to", "give access")
        if self.burst and any(p.recorded for p in self.access):
            yield Problem("burst", "is for patterns that are made up, not for recordings")

    def _check_chances(self) -> Iterator[Problem]:
        if self.chances and not self.burst:
            yield Problem("chances", "are for bursts", "give burst, or leave them out")
        elif self.chances and len(self.chances) != len(self.access):
            message = f"got {len(self.chances)} for {len(self.access)} patterns, expected one each"
            yield Problem("chances", message)

    def _check_length(self) -> Iterator[Problem]:
        if self.duration is not None and self.operations is not None:
            yield Problem("operations", "is given beside duration, expected one of them")

    def _check_spins(self) -> Iterator[Problem]:
        if self.spins and self.pace is None:
            yield Problem("spins", "is for actors with a pace, others never wait", "give pace")

    def _check_time(self) -> Iterator[Problem]:
        misses = any(p.visits > 0 and p.miss > 0 and not p.recorded for p in self.access)
        if not self.compute and not misses and self.pace is None:
            hint = "give compute, access that misses the caches, or pace"
            yield Problem("", "an operation that takes no time", hint)

    checks: ClassVar = (_check_burst, _check_chances, _check_length, _check_spins, _check_time)
    _checked = model_validator(mode="after")(checked)


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
    course : tuple of (int, float)
        Progress that was measured on a real machine: instants of the run in ns, and operations done
        by then; linear in between. The actor then goes as fast as it went there instead of as fast
        as the simulated machine lets it, through its only phase.
    """

    name: str = "main"
    on: str = "CPU"
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] = 1
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    repeat: bool = False
    course: tuple[tuple[DurationNs, Annotated[float, Field(ge=0)]], ...] = ()

    def _check_course(self) -> Iterator[Problem]:
        if not self.course:
            return
        if any(b[0] <= a[0] or b[1] < a[1] for a, b in pairwise(self.course)):
            yield Problem("course", "expected later instants with as much work or more")
        if len(self.course) < 2:
            yield Problem("course", "expected at least two instants")
        phase = known(self, "phases")[0]
        if len(known(self, "phases")) > 1 or known(self, "repeat"):
            yield Problem("phases", "expected one, a course goes through no other")
        for key in ("duration", "operations", "pace", "burst"):
            if known(phase, key):
                yield Problem(f"phases[0].{key}", "says how fast it goes, and so does course")
        if any(math.isfinite(p.next_change(0.0)) for p in known(phase, "access") or ()):
            yield Problem("phases[0].access", "expected patterns that stay as they are")

    checks: ClassVar = (_check_course,)
    _checked = model_validator(mode="after")(checked)


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
    populate_threads: Annotated[int, Field(ge=1, le=MOST_THREADS)] = 1

    def _check_names(self) -> Iterator[Problem]:
        yield from _taken("mappings", self.mappings)

    def _check_actors(self) -> Iterator[Problem]:
        yield from _taken("actors", self.actors)

    def _check_access(self) -> Iterator[Problem]:
        mappings = {known(m, "name"): m for m in reversed(self.mappings)}
        if None in mappings:
            return  # whose name is wrong may be the one that is meant
        for a, actor in enumerate(self.actors):
            for p, phase in enumerate(known(actor, "phases") or ()):
                for k, access in enumerate(known(phase, "access") or ()):
                    wanted = known(access, "mapping")
                    place = f"actors[{a}].phases[{p}].access[{k}].mapping"
                    if wanted is not None and wanted not in mappings:
                        hint = did_you_mean(wanted, mappings)
                        yield Problem(place, f'no mapping "{wanted}"', hint)
                    elif wanted is not None and known(mappings[wanted], "busy"):
                        yield Problem(place, f'"{wanted}" has busy pages, no pattern visits it')
                    elif problem := misfit(access, mappings.get(wanted)):
                        yield Problem(place, f'"{wanted}" {problem}')

    def _check_stop(self) -> Iterator[Problem]:
        if self.stop is not None and self.stop <= self.start:
            yield Problem("stop", "expected an instant after start")

    def _check_overlaps(self) -> Iterator[Problem]:
        sizes = (m.size for m in self.mappings)
        spans = sorted(zip(self.addresses(), sizes, strict=True))
        for (a, size), (b, _) in pairwise(spans):
            if a + size > b:
                yield Problem("mappings", f"overlap at {b:#x}")

    checks: ClassVar = (_check_names, _check_actors, _check_access, _check_stop, _check_overlaps)
    _checked = model_validator(mode="after")(checked)

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

    def _check_names(self) -> Iterator[Problem]:
        yield from _taken("processes", self.processes)

    def _check_pids(self) -> Iterator[Problem]:
        given = [known(process, "pid") for process in self.processes]
        pids = [1000 + i if pid is None else pid for i, pid in enumerate(given)]
        for i, pid in enumerate(pids):
            if pid in pids[:i]:
                yield Problem(f"processes[{i}].pid", f"{pid} is taken")

    checks: ClassVar = (_check_names, _check_pids)
    _checked = model_validator(mode="after")(checked)

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
