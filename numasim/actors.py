"""Actors while they run: where each is in its phases, and what it has done."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np

from numasim.bursts import BurstOrder
from numasim.errors import ConfigError, Problem, did_you_mean
from numasim.populate import Populating
from numasim.topology import Topology
from numasim.traffic import Course
from numasim.workload import Actor, Phase, Workload

EPSILON_WORK = 1e-9


@dataclass
class PhaseRun:
    """One run of an actor through a phase, and the operations it had done by then."""

    actor: str
    phase: str
    began_ns: int
    before: float
    ended_ns: int | None = None
    after: float = 0.0


@dataclass
class ActorState:
    """Progress of one actor.

    `lines` counts missing lines by node, `line_wait_ns` their latencies, `op_times` the times of
    operations (mean, median, 99th percentile) weighted by operations, `entered` the phases begun;
    `burst_first` is the column of its operations when the last one began; `course` is its progress
    where that was measured, and `rate_per_ns` then the mean speed while it got on.
    """

    index: int
    process: int
    number: int
    actor: Actor
    accessor: int
    name: str
    phase: int = 0
    phase_start_ns: int = 0
    phase_operations: float = 0.0
    operations: float = 0.0
    rate_per_ns: float = 0.0
    state: str = "waiting"  # waiting, populating, running, ended
    populating: Populating | None = None
    entered: int = 0
    burst_order: BurstOrder | None = None
    burst_first: float = 0.0
    lines_per_ns: np.ndarray = field(default_factory=lambda: np.zeros(0))
    lines: np.ndarray = field(default_factory=lambda: np.zeros(0))
    line_wait_ns: float = 0.0
    line_wait_per_ns: float = 0.0
    course: Course | None = None
    op_ns: np.ndarray = field(default_factory=lambda: np.zeros(3))
    op_times: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @property
    def current(self) -> Phase:
        """The phase it is in."""
        return self.actor.phases[self.phase]

    def advance(self, from_ns: int, to_ns: int) -> None:
        """Progress between two instants at the present speed, or along its course."""
        span = float(to_ns - from_ns)  # that it takes at that speed
        if self.course is not None:
            before, after = self.course.at(np.array([from_ns, to_ns])).tolist()
            span = (after - before) / self.rate_per_ns if self.rate_per_ns > 0 else 0.0
        done = self.rate_per_ns * span
        self.operations += done
        self.phase_operations += done
        self.lines = self.lines + self.lines_per_ns * span
        self.line_wait_ns += self.line_wait_per_ns * span
        self.op_times = self.op_times + done * self.op_ns

    def snap(self) -> None:
        """Move the work done onto a change of shares that rounding left it a hair before."""
        work = self.phase_operations
        for pattern in self.current.access:
            change = pattern.next_change(work)
            near = change - work <= EPSILON_WORK * max(change, 1.0) + self.rate_per_ns
            if near and math.isfinite(change):
                self.phase_operations = change
                return


def actors_of(workload: Workload, topology: Topology) -> list[ActorState]:
    """Run states of all actors, in order of processes."""
    none = np.zeros(len(topology.nodes))
    found: list[ActorState] = []
    for p, process in enumerate(workload.processes):
        for a, actor in enumerate(process.actors):
            accessor = accessor_of(topology, actor.on)
            name = f"{process.name}/{actor.name}"
            state = ActorState(len(found), p, a, actor, accessor, name, lines=none)
            state.lines_per_ns, state.course = none, course_of(actor)
            if state.course is not None:
                state.rate_per_ns = state.course.speed_per_ns()
            found.append(state)
    return found


def course_of(actor: Actor) -> Course | None:
    """Its measured progress as arrays."""
    if not actor.course:
        return None
    return Course(
        np.array([at for at, _ in actor.course], np.int64),
        np.array([done for _, done in actor.course]),
    )


def accessor_of(topology: Topology, text: str, place: str = "on") -> int:
    """Number of the accessor a workload names: by name, or by kind and number (``GPU[1]``).

    Raises
    ------
    ConfigError
        If the machine has none such.
    """
    names = [a.name for a in topology.accessors]
    if text in names:
        return names.index(text)
    match = re.fullmatch(r"(CPU|GPU|OTHER)(?:\[(\d+)\])?", text)
    if match:
        same = [i for i, a in enumerate(topology.accessors) if a.kind == match[1]]
        number = int(match[2] or 0)
        if number < len(same):
            return same[number]
        raise ConfigError(
            Problem(place, f'"{text}": the machine has {len(same)} of kind {match[1]}')
        )
    raise ConfigError(
        Problem(place, f'no accessor "{text}"', did_you_mean(text, [*names, "CPU", "GPU"]))
    )
