"""What a recorded run was set up as: its machine, its programs, and the experimenter's commands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numasim.errors import ConfigError, Problem


@dataclass(frozen=True)
class ZoneRecord:
    """A zone of the recorded machine; sizes and marks in 4 KiB pages."""

    node: int
    name: str
    start_pfn: int
    spanned: int
    present: int
    managed: int
    min: int
    low: int
    high: int


@dataclass(frozen=True)
class RegionRecord:
    """A mapping of a recorded program.

    Parameters
    ----------
    name : str
    start_page, pages : int
        In 4 KiB pages.
    node : int or None
        Where its first touch was bound to.
    """

    name: str
    start_page: int
    pages: int
    node: int | None


@dataclass(frozen=True)
class AccessRecord:
    """One line of accesses of a phase: `options` holds what its pattern needs beside the rate."""

    region: str
    rate_per_page_per_s: float
    pattern: str
    options: dict[str, Any]


@dataclass(frozen=True)
class ProgramRecord:
    """A program of the recorded workload.

    Parameters
    ----------
    regions : tuple of RegionRecord
        In the order in which they are populated.
    phases : tuple of tuple of AccessRecord
    pid, cpu : int
    quantum_us, tlbflush_every_quanta : int
        Its whole TLB is flushed after so many quanta; 0: never on purpose.
    thp : bool
    ready_s, populate_s : float
        When all was populated, and how long that took (nan: unknown).
    """

    regions: tuple[RegionRecord, ...]
    phases: tuple[tuple[AccessRecord, ...], ...]
    pid: int
    cpu: int
    quantum_us: int
    tlbflush_every_quanta: int
    thp: bool
    ready_s: float
    populate_s: float


@dataclass(frozen=True)
class Command:
    """Something the experimenter did: a shell command, or a value written to a file.

    Parameters
    ----------
    start_s, end_s : float
    text : str
        The command line, or the path written.
    value : object
        What was written; None for a command line.
    """

    start_s: float
    end_s: float
    text: str
    value: Any = None


@dataclass(frozen=True)
class Setup:
    """Machine, programs and commands of a recorded run.

    Parameters
    ----------
    experiment, run, kernel : str
    zones : tuple of ZoneRecord
        Those that manage any memory.
    ram : tuple of (int, int)
        System RAM in bytes, half open.
    cpus_of_node : tuple of str
        CPU list of each node, "" without any.
    distances : tuple of tuple of int
    latency_ns : dict of (int, int) to float
        ``(initiator node, memory node)`` → declared read latency.
    free_bytes, used_bytes : tuple of int
        Of each node, before the workload began.
    hz : int
    programs : tuple of ProgramRecord
    commands : tuple of Command
    numa_balancing : bool
    """

    experiment: str
    run: str
    kernel: str
    zones: tuple[ZoneRecord, ...]
    ram: tuple[tuple[int, int], ...]
    cpus_of_node: tuple[str, ...]
    distances: tuple[tuple[int, ...], ...]
    latency_ns: dict[tuple[int, int], float]
    free_bytes: tuple[int, ...]
    used_bytes: tuple[int, ...]
    hz: int
    programs: tuple[ProgramRecord, ...]
    commands: tuple[Command, ...]
    numa_balancing: bool

    @property
    def nr_nodes(self) -> int:
        """Memory nodes of the machine."""
        return len(self.cpus_of_node)


def read_setup(path: Path) -> Setup:
    """Read a ``config.json``.

    Raises
    ------
    ConfigError
        If it lacks something.
    """
    data = json.loads(path.read_text())
    if not isinstance(data, dict):
        raise ConfigError(Problem("", "expected an object"))
    wanted = ("topology", "guest_nodes", "zoneinfo_pages", "iomem_ram", "workloads")
    problems = [Problem(key, "is missing") for key in wanted if key not in data]
    if problems:
        raise ConfigError(problems)
    nodes = data["guest_nodes"]
    order = sorted(nodes, key=lambda name: int(re.sub(r"\D", "", name) or 0))
    events = data.get("commands_and_events", [])
    ready = {int(e["wl"]): e for e in events if e.get("ev") == "wl_ready"}
    return Setup(
        experiment=str(data.get("experiment", path.parent.parent.name)),
        run=str(data.get("run", path.parent.name)),
        kernel=str(data.get("kernel", "")),
        zones=tuple(_zones(data["zoneinfo_pages"])),
        ram=tuple(_ram(line) for line in data["iomem_ram"]),
        cpus_of_node=tuple(str(nodes[n].get("cpulist") or "") for n in order),
        distances=tuple(tuple(map(int, nodes[n]["distance"].split())) for n in order),
        latency_ns={
            (int(a), int(b)): float(ns) for a, b, ns, *_ in data["topology"].get("hmat", [])
        },
        free_bytes=tuple(_meminfo(nodes[n], "MemFree") for n in order),
        used_bytes=tuple(_meminfo(nodes[n], "MemUsed") for n in order),
        hz=int(data.get("hz", 250)),
        programs=_programs(data["workloads"], ready),
        commands=tuple(_commands(events)),
        numa_balancing=str(data.get("numa_balancing", "0")) != "0",
    )


def _zones(lines: list[str]) -> list[ZoneRecord]:
    """Zones with memory, from lines as /proc/zoneinfo prints them."""
    found: list[dict[str, Any]] = []
    for line in lines:
        head = re.match(r"Node (\d+), zone\s+(\w+)", line.strip())
        if head:
            found.append({"node": int(head[1]), "name": head[2]})
            continue
        pair = re.match(r"(\w+):?\s+(\d+)$", line.strip())
        if pair and found:
            found[-1].setdefault(pair[1], int(pair[2]))
    return [ZoneRecord(**zone) for zone in found if zone.get("managed") and "start_pfn" in zone]


def _ram(line: str) -> tuple[int, int]:
    first, last = line.split(" : ")[0].split("-")
    return int(first, 16), int(last, 16) + 1


def _meminfo(node: dict[str, Any], key: str) -> int:
    for line in node.get("meminfo", ()):
        match = re.search(rf"\b{key}:\s+(\d+) kB", line)
        if match:
            return int(match[1]) * 1024
    return 0


def _programs(
    workloads: list[dict[str, Any]], ready: dict[int, dict[str, Any]]
) -> tuple[ProgramRecord, ...]:
    """All programs; complains of every number that cannot be, with its place."""
    found = tuple(_program(data, ready.get(i, {})) for i, data in enumerate(workloads))
    problems = [
        Problem(f"workloads[{i}].{place}", message)
        for i, program in enumerate(found)
        for place, message in _wrong(program)
    ]
    if problems:
        raise ConfigError(problems)
    return found


def _wrong(program: ProgramRecord) -> Iterator[tuple[str, str]]:
    for r, region in enumerate(program.regions):
        if region.start_page < 0 or region.pages <= 0:
            pages = f"got {region.pages} pages from {region.start_page}"
            yield f"regions[{r}]", f"{pages}, expected at least one, from 0 on"
    known = {region.name for region in program.regions}
    for p, phase in enumerate(program.phases):
        for a, line in enumerate(phase):
            place, rate = f"phases[{p}].acc[{a}]", line.rate_per_page_per_s
            if line.region not in known:
                yield f"{place}.region", f'there is no region "{line.region}"'
            if not 0 <= rate < math.inf:
                yield f"{place}.rate_per_page_per_s", f"got {rate}, expected a rate of at least 0"
    if program.quantum_us <= 0 or program.tlbflush_every_quanta < 0:
        yield "quantum_us", "expected a length, and flushes every so many of them or never (0)"


def _program(data: dict[str, Any], ready: dict[str, Any]) -> ProgramRecord:
    regions = tuple(
        RegionRecord(str(r["name"]), int(r["start_page"]), int(r["pages"]), r.get("populate_node"))
        for r in data["regions"]
    )
    phases = tuple(tuple(_access(a) for a in phase["acc"]) for phase in data["phases"])
    return ProgramRecord(
        regions=regions,
        phases=phases,
        pid=int(data["pid"]),
        cpu=int(data.get("cpu") or 0),
        quantum_us=int(data.get("quantum_us", 1000)),
        tlbflush_every_quanta=int(data.get("tlbflush_every_quanta", 0)),
        thp=bool(data.get("thp")),
        ready_s=float(ready.get("t_end", 0.0)),
        populate_s=float(ready.get("populate_s", "nan")),
    )


def _access(data: dict[str, Any]) -> AccessRecord:
    known = ("region", "rate_per_page_per_s", "pattern")
    options = {k: v for k, v in data.items() if k not in known}
    return AccessRecord(
        str(data["region"]), float(data["rate_per_page_per_s"]), str(data["pattern"]), options
    )


def _commands(events: list[dict[str, Any]]) -> list[Command]:
    found = []
    for event in events:
        end = float(event.get("t_end", "nan"))
        start = float(event.get("t_start", end))
        if event.get("ev") == "sh":
            found.append(Command(start, end, str(event.get("cmd", ""))))
        elif event.get("ev") == "write":
            found.append(Command(start, end, str(event["path"]), event.get("val")))
    return found
