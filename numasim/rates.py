"""Speeds of actors → rates of the law: page walks of classes, fronts of sweeps, bursts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numasim.actors import ActorState, accessor_of, course_of
from numasim.bursts import Burst
from numasim.huge.fronts import HugeFront, with_huge
from numasim.law import Law
from numasim.pages import CompiledPattern, MappingPages, PageSpace
from numasim.patterns.trace import Trace
from numasim.reels import Reel
from numasim.tape import open_tape
from numasim.tlb import walk_rates
from numasim.topology import Topology
from numasim.traffic import Front
from numasim.workload import Phase, Workload

NodeOf = Callable[[np.ndarray], np.ndarray]
"""int64[N] pages → int64[N] nodes, negative where a page is absent."""
TOUCHED_LEAST = 1e-9  # stands for no interval at all
BUSY_PER_NS = 1e-5  # visits to a page in use all the time: enough for any sampling interval


class Rates:
    """The law of a run, and which of its columns belongs to whom.

    Parameters
    ----------
    space : PageSpace
    workload : Workload
    topology : Topology

    Attributes
    ----------
    law : Law
    front_columns : dict
        ``(process, actor, phase, access)`` of a sweep → column of its front.
    burst_columns : dict
        ``(process, actor)`` that comes in bursts → column of its operations.
    course_rows : dict
        ``(process, actor)`` whose progress was measured → row of what columns gain with it.
    """

    def __init__(self, space: PageSpace, workload: Workload, topology: Topology) -> None:
        self.space, self._topology = space, topology
        fronts = [k for k, p in space.patterns.items() if p.pattern.sweep]
        bursts = [
            (p, a)
            for p, process in enumerate(workload.processes)
            for a, actor in enumerate(process.actors)
            if any(phase.burst for phase in actor.phases)
        ]
        courses = {
            (p, a): course
            for p, process in enumerate(workload.processes)
            for a, actor in enumerate(process.actors)
            if (course := course_of(actor)) is not None
        }
        self.course_rows = {key: row for row, key in enumerate(courses)}
        self.law = Law(space, len(fronts), len(bursts), courses=tuple(courses.values()))
        c = space.nr_classes
        self.front_columns = {key: c + i for i, key in enumerate(fronts)}
        self.burst_columns = {key: c + len(fronts) + i for i, key in enumerate(bursts)}
        self.law.fronts = [self._front(key, column) for key, column in self.front_columns.items()]
        self._fronts = {front.column: front for front in self.law.fronts}
        self._hide(workload)
        self.law.burst_fronts = frozenset(
            column for key, column in self.front_columns.items() if _phase(workload, key).burst
        )

    def _hide(self, workload: Workload) -> None:
        """Tell the law whose translations stay cached until everything is flushed."""
        for (p, a, _, _), compiled in self.space.patterns.items():
            actor = workload.processes[p].actors[a]
            accessor = self._topology.accessors[accessor_of(self._topology, actor.on)]
            if accessor.tlb.flush_interval and not accessor.tlb.entries:
                classes = np.flatnonzero(np.sum(compiled.weights, axis=0))
                cores = min(actor.threads, accessor.nr_cores)
                self.law.hide(classes, accessor.tlb.flush_interval, cores)

    def patterns_of(self, actor: ActorState) -> list[CompiledPattern]:
        """Patterns of the actor's current phase."""
        found = self.space.patterns
        nr = len(actor.current.access)
        return [found[actor.process, actor.number, actor.phase, k] for k in range(nr)]

    def _front(self, key: tuple[int, int, int, int], column: int) -> Front | Reel:
        compiled = self.space.patterns[key]
        if isinstance(compiled.pattern, Trace):
            return self._reel(compiled.pattern, compiled.pages, column)
        extent, k = compiled.extents[0], compiled.pages.folio_pages
        first, nr = compiled.pages.first + extent.first * k, (extent.last - extent.first) * k
        classes = np.flatnonzero(compiled.weights[0])
        if self.space.huge is not None:
            return HugeFront(column, first, nr, k, classes, space=self.space)
        return Front(column, first, nr, k, classes)

    def _reel(self, pattern: Trace, pages: MappingPages, column: int) -> Reel:
        """A recording on its pages; its classes are those of pages touched about equally often."""
        tape, stretch = open_tape(pattern.file), pattern.stretch * pages.folio_pages
        at = pages.first + np.arange(tape.header.pages) * stretch
        classes, class_of = np.unique(self.space.class_of[at], return_inverse=True)
        touched = np.bincount(class_of, tape.touched(pattern.threads)) / np.bincount(class_of)
        turn = tape.header.intervals / np.maximum(touched, TOUCHED_LEAST)
        split = self.space.split_class[classes]
        if (split != classes).any():
            classes, turn = np.r_[classes, split], np.r_[turn, turn]
        reel = Reel(
            tape, column, pages.first, stretch, pages.folio_pages, pattern.threads, pattern.begin,
            pattern.loop, classes.astype(np.int64), class_of, turn,
        )  # fmt: skip
        return with_huge(reel, self.space, pages)

    def lines_by_node(
        self, actor: ActorState, access: int, node_of: NodeOf, now_ns: int
    ) -> tuple[np.ndarray, float]:
        """Lines per operation of a recorded pattern from each node, and written back for each.

        Parameters
        ----------
        actor : ActorState
        access : int
            Place of the pattern in the actor's phase.
        node_of : callable
            Pages → their nodes, negative where a page is absent.
        now_ns : int

        Returns
        -------
        float64[nodes], float
        """
        key = (actor.process, actor.number, actor.phase, access)
        pattern, column = self.space.patterns[key].pattern, self.front_columns[key]
        reel = self._fronts[column]
        assert isinstance(pattern, Trace) and isinstance(reel, Reel)
        position = self.law.exposure.of(np.array([column]), np.array([now_ns]))[0]
        nr_nodes = len(self._topology.nodes)
        return reel.lines_by_node(float(position), pattern.resolution, node_of, nr_nodes)

    def add(
        self, rates: np.ndarray, actor: ActorState, weights: list[np.ndarray], counts: np.ndarray
    ) -> None:
        """Add one actor's visits to the law's columns, walks of classes, fronts, bursts; and them.

        Parameters
        ----------
        rates : float64[columns]
            Per ns; added to.
        actor : ActorState
        weights : list of float64[C]
            Of each pattern of its phase: chance that a visit goes to one page of a class.
        counts : int64[C]
            Present pages of each class.
        """
        c, speed = self.space.nr_classes, actor.rate_per_ns
        compiled = self.patterns_of(actor)
        random = np.zeros((len(compiled), c))
        for k, (pattern, w) in enumerate(zip(compiled, weights, strict=True)):
            key = (actor.process, actor.number, actor.phase, k)
            if pattern.pattern.recorded:
                rates[self.front_columns[key]] += speed  # an operation is an interval
            elif pattern.pattern.sweep:
                turns = speed * pattern.pattern.visits * pattern.pages.folio_pages
                rates[self.front_columns[key]] += turns
            else:
                random[k] = pattern.pattern.visits * w
        self.law.visits += self.space.of_bits(speed * random.sum(axis=0))
        if actor.current.burst:
            self._add_burst(actor, compiled, random, rates, counts)
        else:
            rates[:c] += self._walks(actor, speed * random.sum(axis=0), counts)

    def gain(
        self, gains: np.ndarray, actor: ActorState, weights: list[np.ndarray], counts: np.ndarray
    ) -> None:
        """What an operation of an actor on a measured course adds; as `add`, `gains` float64[K]."""
        if actor.rate_per_ns > 0:
            row = gains[self.course_rows[actor.process, actor.number]]
            self.add(row, actor, weights, counts)
            row /= actor.rate_per_ns

    def _walks(self, actor: ActorState, visit_rates: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float64[C]: rates of visits to one page of a class → rates at which its bit is set."""
        accessor, per_bit = self._topology.accessors[actor.accessor], self.space.pages_per_bit
        cores = min(actor.actor.threads, accessor.nr_cores)
        return walk_rates(self.space.of_bits(visit_rates), counts / per_bit, cores, accessor.tlb)

    def _add_burst(
        self,
        actor: ActorState,
        compiled: list[CompiledPattern],
        random: np.ndarray,
        rates: np.ndarray,
        counts: np.ndarray,
    ) -> None:
        """Tell the law of an actor in bursts; each outlasts what a TLB remembers of the last."""
        assert actor.burst_order is not None
        speed, column = actor.rate_per_ns, self.burst_columns[actor.process, actor.number]
        chances = burst_chances(actor.current)
        share = np.divide(1.0, chances, where=chances > 0, out=np.zeros_like(chances))
        own = np.zeros_like(random)
        if speed > 0:
            for k in np.flatnonzero(random.any(axis=1)):
                own[k] = self._walks(actor, speed * share[k] * random[k], counts) / speed
        columns = self.front_columns
        fronts = [
            (k, front)
            for k, one in enumerate(compiled)
            if one.pattern.sweep
            and isinstance(
                front := self._fronts[columns[actor.process, actor.number, actor.phase, k]], Front
            )
        ]
        turning = tuple(
            (k, f, compiled[k].pattern.visits * f.folio_pages * float(share[k])) for k, f in fronts
        )
        mean = chances @ own
        rates[: self.space.nr_classes] += speed * mean
        rates[column] += speed
        self.law.note_burst(Burst(column, actor.burst_first, actor.burst_order, own, turning, mean))

    def add_busy(self, rates: np.ndarray, actors: list[ActorState]) -> None:
        """Pages that programs use all the time beside their work."""
        for process, classes in self.space.busy_class.items():
            if any(a.state in ("populating", "running") for a in actors if a.process == process):
                rates[classes] = BUSY_PER_NS


def burst_chances(phase: Phase) -> np.ndarray:
    """float64[J]: chance of each pattern of a phase to be drawn for a burst."""
    chances = np.array(phase.chances or [p.visits for p in phase.access])
    shares: np.ndarray = chances / chances.sum()
    return shares


def _phase(workload: Workload, key: tuple[int, int, int, int]) -> Phase:
    process, actor, phase, _ = key
    return workload.processes[process].actors[actor].phases[phase]
