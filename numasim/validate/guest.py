"""The scenario of a recorded run: the same machine, workload and events, simulated."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from numasim.errors import ConfigError, Problem
from numasim.loader import load_scenario
from numasim.patterns.blocks import joined
from numasim.scenario import Scenario
from numasim.seeds import Seeds
from numasim.validate import paced
from numasim.validate.asked import asked
from numasim.validate.clocks import clock_of
from numasim.validate.courses import course, stalls_of
from numasim.validate.hardware import FAULT_NS, cpu_name, topology_of
from numasim.validate.model import Model
from numasim.validate.others import room_left
from numasim.validate.recording import Recording
from numasim.validate.setup import AccessRecord, Command, ProgramRecord, RegionRecord

PAGE = 4096
SYSCTL = re.compile(
    r"/proc/sys/(vm/min_free_kbytes|vm/watermark_scale_factor|vm/swappiness|kernel/numa_balancing"
    r"|kernel/numa_balancing_promote_rate_limit_MBps)$"
)
DEBUGFS = re.compile(r"/sys/kernel/debug/(sched/numa_balancing/\w+)$")
DEMOTION = re.compile(r"/sys/kernel/mm/(numa/demotion_enabled)$")
ON, OFF = ("1", "true", "Y"), ("0", "false", "N")
BUSY_PAGES = (1, 2, 16, 17, 69, 100, 124, 153, 178, 199, 200, 202, 204)
"""Pages of the recorded program's own text, data and heap that it uses all the time (HINTS 2)."""


class NotSimulated(ConfigError):
    """A recorded run needs something that is not modelled."""


@dataclass(frozen=True)
class Guest:
    """A recorded run as a scenario.

    Parameters
    ----------
    scenario : Scenario
    zero_s : float
        Instant of the run at which the recording's time is 0.
    """

    scenario: Scenario
    zero_s: float


def guest(recording: Recording, seed: int, model: Model | None = None) -> Guest:
    """Describe a recorded run as a scenario.

    Parameters
    ----------
    recording : Recording
    seed : int
        Of the run; it also draws when the program stood still.
    model : Model, optional

    Raises
    ------
    NotSimulated
        If the run needs something that is not modelled.
    """
    model = model or Model()
    if recording.setup.numa_balancing:
        raise NotSimulated(Problem("numa_balancing", "was on, which is not simulated yet"))
    zero_s = _zero(recording)
    last = max([k.snapshots[-1].t_s for k in recording.kdamonds] or [recording.last_s])
    end_s = min(last, recording.last_s) + 0.2
    stalls = _stalls(recording, seed, model)
    document = {
        "name": f"recorded {recording.name}",
        "topology": topology_of(recording, model),
        "workload": {"name": "recorded", "processes": _processes(recording, stalls, model, zero_s)},
        "policy": _policy(recording),
        "events": [e for e in _events(recording, zero_s) if _ns(e["at"]) < _ns(_at(end_s, zero_s))],
        "duration": _at(end_s, zero_s),
        "seed": seed,
        "record": "1 s",
        "snapshots": "all",
        "clocks": {} if model.nominal_periods else _clocks(recording, stalls, zero_s),
    }
    return Guest(load_scenario(document), zero_s)


def remark(recording: Recording) -> str:
    """What of a recorded run is not replayed though it is simulated; empty if nothing."""
    unknown = [
        kdamond.name
        for kdamond, context in zip(recording.kdamonds, asked(recording), strict=True)
        if context is None
    ]
    if not unknown:
        return ""
    why = "no command tells what it was asked for, or one changed it later"
    return f"how late samples of {', '.join(unknown)} were is not replayed: {why}"


def not_gated(recording: Recording) -> str:
    """Why the metrics of a run are told, and gated only if it is asked for by name; or empty.

    Notes
    -----
    Source: README of the recordings: costs are those of an emulated CPU and good for ratios only.
    Under hint faults a program gets on as fast as its faults are handled, and what is promoted is
    what faults within a second of being armed: absolute costs decide both. Recordings E6_nb2: a
    promotion takes 0.2 to 0.3 ms at first and some 0.03 ms later; r2 scans at half the speed of r1.
    """
    if not math.isfinite(_balanced_s(recording)):
        return ""
    return (
        "not gated, as what a hint fault and a promotion take on the recorded machine decides it, "
        "and that changed tenfold within the recordings we know; name it with --only to gate it"
    )


def _balanced_s(recording: Recording) -> float:
    """When NUMA balancing was first switched on; infinite if never."""
    switched = [c for c in recording.setup.commands if c.text.endswith("/numa_balancing")]
    return min((c.end_s for c in switched if str(c.value) not in (*OFF, "None")), default=math.inf)


def _policy(recording: Recording) -> Any:
    """NUMA balancing if it is ever written to, off until then; what else acts are events."""
    commands = recording.setup.commands
    if any(c.value is not None and "numa_balancing" in c.text for c in commands):
        return {"kind": "numa_balancing", "mode": 0, "batch": "40 ms"}
    return "no_tiering"


def _zero(recording: Recording) -> float:
    """Room before the recording's zero for all that happened before."""
    first = [0.0, float(recording.timeline.index[0])]
    first += [command.start_s for command in recording.setup.commands]
    first += [_start_s(program) for program in recording.setup.programs]
    return math.ceil(-min(first)) + 1.0


def _at(t_s: float, zero_s: float) -> str:
    return f"{round((t_s + zero_s) * 1e9)} ns"


def _ns(at: str) -> int:
    return int(at.split()[0])


# -- the programs ----------------------------------------------------------------------------------


def _start_s(program: ProgramRecord) -> float:
    pages = sum(region.pages for region in program.regions)
    took = program.populate_s if program.populate_s >= 0 else pages * FAULT_NS / 1e9
    return program.ready_s - took


def _stalls(recording: Recording, seed: int, model: Model) -> list[list[tuple[float, float]]]:
    """When each program stood still, drawn."""
    if model.no_stalls:
        return [[] for _ in recording.truth]
    seeds = Seeds(seed)
    return [stalls_of(t, seeds.stream(f"wl{w}/stalls")) for w, t in enumerate(recording.truth)]


def _clocks(
    recording: Recording, stalls: list[list[tuple[float, float]]], zero_s: float
) -> dict[str, Any]:
    """Clocks of the kdamonds, in the order of their starts; programs and kdamonds stop together.

    Source: in the recordings a sampling window stretches by 0.8 to 1.0 of the time that the program
    lost in it: the host holds up the whole machine.
    """
    found = {}
    for i, (kdamond, context) in enumerate(zip(recording.kdamonds, asked(recording), strict=True)):
        if context is None:
            continue
        hz = recording.setup.hz
        found[f"kdamond.{i}"] = clock_of(kdamond, context, hz, stalls[0], zero_s)
    return found


def _processes(
    recording: Recording, stalls: list[list[tuple[float, float]]], model: Model, zero_s: float
) -> list[dict[str, Any]]:
    found = []
    for w, program in enumerate(recording.setup.programs):
        mappings = [_mapping(recording, w, program, region) for region in program.regions]
        found.append(
            {
                "name": f"wl{w}",
                "pid": program.pid,
                "start": _at(_start_s(program), zero_s),
                "mappings": [*_own_memory(recording, w), *mappings],
                "actors": _actors(recording, w, stalls[w], model, zero_s),
            }
        )
    return found


def _mapping(
    recording: Recording, w: int, program: ProgramRecord, region: RegionRecord
) -> dict[str, Any]:
    whole = program.thp and region.pages % 512 == 0 and region.start_page % 512 == 0
    found: dict[str, Any] = {
        "name": region.name,
        "size": f"{region.pages * PAGE} B",
        "address": region.start_page * PAGE,
        "page": "2 MiB" if whole else "4 KiB",
    }
    if region.node is not None:
        found["policy"] = {"mode": "bind", "nodes": [f"node{region.node}"]}
    runs = recording.populated.get((w, region.name))
    if runs is not None and not whole:
        found["frames"] = [run for run in runs.tolist() if run[0] >= 0 and run[1] >= 0]
    return found


def _own_memory(recording: Recording, w: int) -> list[dict[str, Any]]:
    """What a virtual address space holds beside the workload's regions, as DAMON first saw it."""
    program = recording.setup.programs[w]
    low = min(r.start_page for r in program.regions)
    high = max(r.start_page + r.pages for r in program.regions)
    for kdamond, context in zip(recording.kdamonds, asked(recording), strict=True):
        for snapshot in kdamond.snapshots[: len(recording.setup.programs)]:
            targets = () if context is None else context.targets
            pid = targets[snapshot.target].pid if snapshot.target < len(targets) else None
            if pid not in (None, program.pid):
                continue  # another program's, at the same addresses perhaps
            start, nr = snapshot.regions[:, 0], snapshot.regions[:, 1]
            ends = start + nr
            if not ((start < high) & (ends > low)).any():
                continue
            before, after = start < low, start >= high
            if not (before.any() and after.any()):
                continue  # physical addresses, or ranges that the user gave
            text = (int(start[before].min()), int(ends[before].max()))
            rest = (int(start[after].min()), int(ends[after].max()))
            busy = [page for page in BUSY_PAGES if page < text[1] - text[0]]
            return [
                _range("text", text) | {"busy": busy},
                _range("libraries", rest) | {"populate": False},
            ]
    return []


def _range(name: str, pages: tuple[int, int]) -> dict[str, Any]:
    size = f"{(pages[1] - pages[0]) * PAGE} B"
    return {"name": name, "address": pages[0] * PAGE, "size": size}


def _actors(
    recording: Recording, w: int, stalls: list[tuple[float, float]], model: Model, zero_s: float
) -> list[dict[str, Any]]:
    """One for each line of accesses of each phase, driven by what was counted.

    Where NUMA balancing may stop the program, one that gets on as far as it can.
    """
    on = cpu_name(recording.setup, recording.setup.programs[w].cpu)
    if math.isfinite(balanced_s := _balanced_s(recording)):
        pattern = partial(_pattern, recording, w)
        return [paced.actor(recording, w, on, balanced_s, pattern)]
    truth = recording.truth[w]
    phases = recording.setup.programs[w].phases
    truth = truth.assign(phase=truth.phase % len(phases))  # programs may loop
    found = []
    for p, lines in enumerate(phases):
        for j, line in enumerate(lines):
            times, done = course(truth, j, p, stalls)
            if done[-1] <= 0:
                continue
            if model.nominal_rates:
                done = _nominal(recording, w, line, times)
            found.append(
                {
                    "name": f"phase{p}.acc{j}",
                    "on": on,
                    "phases": [{"access": [_pattern(recording, w, p, j, line)]}],
                    "course": [
                        [_at(t, zero_s), float(n)] for t, n in zip(times, done, strict=True)
                    ],
                }
            )
    return found


def _nominal(recording: Recording, w: int, line: AccessRecord, times: np.ndarray) -> np.ndarray:
    pages = next(r.pages for r in recording.setup.programs[w].regions if r.name == line.region)
    asked: np.ndarray = (times - times[0]) * line.rate_per_page_per_s * pages
    return asked


def _pattern(recording: Recording, w: int, p: int, j: int, line: AccessRecord) -> dict[str, Any]:
    if line.pattern == "rand":
        return {"pattern": "uniform", "mapping": line.region}
    if line.pattern == "seq":
        return {"pattern": "sweep", "mapping": line.region, "lines": 1}
    place = f"program {w}, phase {p}, accesses {j}"
    if line.pattern == "zipf":
        named = [name for name in recording.popularity if line.region in name.split("_")]
        named = named or list(recording.popularity)
        if len(named) == 1:
            weights = joined(recording.popularity[named[0]])
            return {"pattern": "blocks", "mapping": line.region, "weights": weights.tolist()}
        message = f"{len(named)} tables zipf_*.csv could tell how popular its blocks are"
        raise NotSimulated(Problem(place, message, "expected one with the region in its name"))
    raise NotSimulated(Problem(place, f'pattern "{line.pattern}" is not simulated'))


# -- what the experimenter and others did ----------------------------------------------------------


def _events(recording: Recording, zero_s: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    starts = _starts(recording)
    for command in recording.setup.commands:
        if command.value is not None:
            found += _write(command, zero_s)
        elif command.text.startswith("damo start"):
            at = starts.pop(0) if starts else command.end_s
            found.append({"at": _at(at, zero_s), "damo": command.text})
        elif command.text.startswith("damo stop"):
            stopped = [k.snapshots[-1].t_s for k in recording.kdamonds]
            stopped = [t for t in stopped if command.start_s - 5 < t < command.end_s]
            at = max(stopped, default=command.start_s)
            found.append({"at": _at(max(at, command.start_s) + 1e-3, zero_s), "damo": command.text})
        elif command.text.startswith("damo "):
            found.append({"at": _at(command.end_s, zero_s), "damo": command.text})
    for t, node, size in room_left(recording, min(map(_start_s, recording.setup.programs))):
        found.append({"at": _at(t, zero_s), "available": {node: f"{size} B"}})
    return found


def _starts(recording: Recording) -> list[float]:
    """Instants at which the kdamonds of each start command began: a window before they reported.

    They begin together; a first report may be late by what its schemes did, as may the second.
    """
    starts = [c for c in recording.setup.commands if c.text.startswith("damo start")]
    found = []
    for i, command in enumerate(starts):
        until = starts[i + 1].start_s if i + 1 < len(starts) else math.inf
        own = [k for k in recording.kdamonds if command.start_s < k.snapshots[0].t_s < until]
        window = min((_first_window_s(k.snapshots) for k in own), default=0.0)
        first = min((k.snapshots[0].t_s for k in own), default=command.end_s)
        found.append(max(first - window, command.start_s))
    return found


def _first_window_s(snapshots: list[Any]) -> float:
    times = sorted({s.t_s for s in snapshots})
    return times[1] - times[0] if len(times) > 1 else 0.0


def _write(command: Command, zero_s: float) -> list[dict[str, Any]]:
    written = str(command.value)
    key, value = None, written
    if name := SYSCTL.search(command.text):
        key = name[1].replace("/", ".")
    elif name := DEBUGFS.search(command.text):
        key = name[1]
    elif (name := DEMOTION.search(command.text)) and written in ON + OFF:
        key, value = name[1], str(int(written in ON))
    if key is not None:
        return [{"at": _at(command.end_s, zero_s), "sysctl": {key: int(value)}}]
    if written in OFF:
        return []
    raise NotSimulated(Problem(command.text, f"set to {command.value} is not simulated yet"))
