"""An oracle: it knows how often every page is missed, and moves for free or at the real price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator
from pydantic.dataclasses import dataclass

from numasim.actors import ActorState
from numasim.agents import Agent, Stage
from numasim.errors import Problem
from numasim.placing import Placing, Plan, Want, Worker
from numasim.policies import STRICT, Policy, register
from numasim.units import DurationNs
from numasim.wholes import checked

SHORTEST_NS = 100_000
LARGEST_BATCH = 512  # base pages, as the kernel's own


@register("oracle")
@dataclass(frozen=True, kw_only=True, config=STRICT)
class Oracle(Policy):
    """Whatever the truth says is best for the present phases, at once or as fast as pages move.

    Parameters
    ----------
    cost : str
        ``free``: pages are at their place the moment that a phase begins, and nobody pays: what
        others can be measured by. ``real``: one thread moves them, most gain for its time first,
        with the time, traffic, interrupts and waiting that every migration costs; nothing moves
        that does not earn its cost before its phase ends.
    interval : int
        How often it looks whether anything changed, ns; also the longest it moves at a stretch.
    again : int
        How often it looks anew while phases stay, ns: others move and allocate, too.
    horizon : int
        How long a phase of unknown length is taken to last, ns (``real``).

    Notes
    -----
    Where pages belong is `numasim.placing`'s answer: exact where latencies do not depend on load,
    the best that was found where they do. Hottest first is best possible for moves of one size:
    exchanging two neighbouring moves that are out of order only brings gain forward. With a full
    near node each promotion needs a demotion, and the pair is judged as one. Not known to be best:
    pages of unlike size, and room left for a phase to come, as it looks at the present one only.
    Assumption: visitors of a page wait for half of its batch, and each batch interrupts every
    thread once, so that the best batch of b pages moved in t each, visited r times, with T threads
    and S per interrupt, has r t² b³ = S T.
    """

    cost: Literal["free", "real"] = "free"
    interval: DurationNs = 10_000_000
    again: DurationNs = 1_000_000_000
    horizon: DurationNs = 60_000_000_000

    observes: ClassVar[str] = "the truth: misses of every page by every accessor"
    moves: ClassVar[str] = "every page to where the machine's own cost model is fastest"
    unit: ClassVar[str] = "folio"
    hot_criterion: ClassVar[str] = "gain over all accessors; for real, more than it costs"
    cold_criterion: ClassVar[str] = "least loss where room is needed"
    rate_control: ClassVar[str] = "none, or one thread and benefit > cost"
    bandwidth_aware: ClassVar[str] = "yes: loaded latencies of the placement"
    multi_accessor: ClassVar[str] = "yes: least waiting of all"
    has_agents: ClassVar[bool] = True

    def _check_times(self) -> Iterator[Problem]:
        for name, value in (("interval", self.interval), ("again", self.again)):
            if value < SHORTEST_NS:
                yield Problem(name, "expected at least 100 us", "it would do nothing but look")

    checks: ClassVar = (_check_times,)
    _checked = model_validator(mode="after")(checked)

    def agents(self, stage: Stage, now_ns: int) -> Sequence[Agent]:
        """The one who knows."""
        return [Mover(stage, self, now_ns)]


@dataclass(config={"arbitrary_types_allowed": True})
class Move:
    """Folios of one class to go from a node to another.

    `gain` is the thread time (ns) that one page of them saves until its phase ends, `heads` are
    first pages, and `pays` is whether that was more than a move costs when last judged.
    """

    rate_class: int
    source: int
    target: int
    folio_pages: int
    gain: float
    heads: np.ndarray
    pays: bool = True


class Mover:
    """The oracle's agent in one run.

    Parameters
    ----------
    stage : Stage
    rules : Oracle
    now_ns : int
    """

    name = "oracle"

    def __init__(self, stage: Stage, rules: Oracle, now_ns: int) -> None:
        self.stage, self.rules = stage, rules
        self.due_ns: float = now_ns
        self._placing = Placing(stage.topology)
        self._moves: list[Move] = []
        self._known: tuple[Any, ...] = ()
        self._counts = np.zeros((0, 0), np.int64)
        self._looked_ns = now_ns
        self._at_work = False
        self._moved_pages = 0

    def settings(self, changed: dict[str, Any]) -> None:
        """It knows no sysctls."""

    def counters(self) -> dict[str, int]:
        """Pages moved."""
        return {"oracle_moved": self._moved_pages * self.stage.memory.pages_per_frame}

    def act(self, now_ns: int) -> bool:
        """See what has changed, move; whether speeds have to be found anew."""
        changed = self._at_work
        if self._at_work:
            self.stage.end_work(self.name)
            self._at_work = False
        running = [a for a in self.stage.actors if a.state == "running" and a.course is None]
        busy_ns = 0
        if running:
            self._look(running, now_ns)
            before = self._moved_pages
            busy_ns = self._move_free() if self.rules.cost == "free" else self._move_real()
            changed |= self._moved_pages > before
            if not self._moves:
                self._counts = self.stage.migrator.node_counts.copy()  # others' changes count
        self.due_ns = now_ns + max(busy_ns, self.rules.interval if not busy_ns else 1)
        return changed

    # -- what belongs where ------------------------------------------------------------------------

    def _look(self, running: list[ActorState], now_ns: int) -> None:
        """Plan anew where phases changed, or once in a while where pages did."""
        known = tuple(
            (a.index, a.entered, *(p.next_change(a.phase_operations) for p in a.current.access))
            for a in running
        )
        counts = self.stage.migrator.node_counts
        lately = now_ns - self._looked_ns < self.rules.again
        if known == self._known and (lately or np.array_equal(counts, self._counts)):
            return
        self._known, self._looked_ns, self._counts = known, now_ns, counts.copy()
        workers = [self._worker(actor, now_ns) for actor in running]
        busy = [worker for worker in workers if worker.wants]
        if not busy:
            self._moves = []
            return
        pages = counts.astype(np.float64)
        room = np.array([self._room(n) for n in range(len(pages))]) + pages.sum(axis=1)
        self._moves = self._list(self._placing.plan(busy, pages, room), counts)

    def _worker(self, actor: ActorState, now_ns: int) -> Worker:
        phase, wants = actor.current, []
        for k, access in enumerate(phase.access):
            compiled = self.stage.space.patterns[actor.process, actor.number, actor.phase, k]
            write = access.write
            if access.recorded:
                lines, write = self._recorded(actor, k, now_ns)
            else:
                weights = compiled.page_weights(actor.phase_operations)
                lines = access.visits * access.lines * access.miss * weights
            if lines.any():
                wants.append(Want(lines, access.parallelism, write, access.overlap))
        left = math.inf
        if phase.duration is not None:
            left = actor.phase_start_ns + phase.duration - now_ns
        elif phase.operations is not None and actor.rate_per_ns > 0:
            left = (phase.operations - actor.phase_operations) / actor.rate_per_ns
        last = actor.phase + 1 == len(actor.actor.phases) and not actor.actor.repeat
        weight = self.rules.horizon if last or not math.isfinite(left) else max(0.0, left)
        pace = math.inf if phase.pace is None else phase.pace / 1e9
        threads = float(actor.actor.threads)
        return Worker(
            actor.accessor, threads, float(phase.compute), pace, tuple(wants), float(weight)
        )

    def _recorded(self, actor: ActorState, access: int, now_ns: int) -> tuple[np.ndarray, float]:
        """Lines of a recording to one page of each class, at its mean rates; share written."""
        rates, stage = self.stage.observing.truth.rates, self.stage
        found, write = rates.lines_by_node(actor, access, stage.nodes_of, now_ns)
        column = rates.front_columns[actor.process, actor.number, actor.phase, access]
        front = next(front for front in stage.law.fronts if front.column == column)
        lines = np.zeros(stage.space.nr_classes)
        lines[front.classes] = 1 / front.turn
        total = float(stage.migrator.node_counts.sum(axis=0) @ lines)
        return lines * (float(found.sum()) / total if total > 0 else 0.0), write

    def _room(self, node: int) -> int:
        """Frames that can still be handed out on a node without digging into its reserves."""
        zones = self.stage.memory.zones_of_node(node)
        return sum(max(0, z.free - z.marks.min - z.reserve - z.kept) for z in zones)

    def _list(self, plan: Plan, counts: np.ndarray) -> list[Move]:
        """The moves that lead to a placement, in whole folios; those that gain most first."""
        space, found = self.stage.space, []
        change = plan.pages - counts
        for c in np.flatnonzero(np.abs(change).max(axis=0) >= 1).tolist():
            k = int(space.pages_per_bit[c])
            surplus = np.floor(np.maximum(-change[:, c], 0) / k).astype(np.int64)
            lack = np.floor(np.maximum(change[:, c], 0) / k + 0.5).astype(np.int64)
            if not surplus.any() or not lack.any():
                continue
            pages = np.flatnonzero(space.class_of == c)
            heads = pages[space.folio_heads(pages) == pages]
            nodes = self.stage.nodes_of(heads)
            for source in np.flatnonzero(surplus).tolist():
                own = heads[nodes == source][: surplus[source]]
                for target in np.flatnonzero(lack).tolist():
                    take = min(len(own), int(lack[target]))
                    gain = float(plan.wait[source, c] - plan.wait[target, c])
                    if take:
                        found.append(Move(c, source, target, k, gain, own[:take]))
                    own, lack[target] = own[take:], lack[target] - take
        return sorted(found, key=lambda move: -move.gain)

    # -- moving ------------------------------------------------------------------------------------

    def _migrate(self, move: Move, nr: int) -> int:
        """Move its next `nr` folios as far as there is room; time that it takes, ns."""
        moved = self.stage.migrator.migrate(move.heads[:nr], move.target, self.name)
        move.heads = move.heads[nr:]
        self._moved_pages += len(moved.pages)
        return moved.busy_ns

    def _move_free(self) -> int:
        """All at once; rounds, as each can use no more room than the last one left."""
        progress = True
        while progress and self._moves:
            progress = False
            for move in self._moves:
                nr = min(len(move.heads), self._room(move.target) // move.folio_pages)
                if nr > 0:
                    self._migrate(move, nr)
                    progress = True
            self._moves = [move for move in self._moves if len(move.heads)]
        self.stage.migrator.take_traffic()  # nobody carries it
        return 0

    def _move_real(self) -> int:
        """The best moves that fit an interval, with the demotions that make room; their time."""
        for move in [m for m in self._moves if m.gain > 0 and m.pays]:
            way = self._way(move)
            if way is None:
                continue
            batch = min(self._batch(one) for one in way)
            each_ns = sum(self._busy_ns(one) for one in way)
            gain = sum(one.gain * one.folio_pages for one in way)
            if gain <= sum(self._price(one, batch) for one in way):
                move.pays = False  # nor will it later: less of the phase is left then
                continue
            nr = max(1, int(self.rules.interval // max(1, each_ns)))
            nr = min(nr, *(len(one.heads) for one in way))
            if len(way) == 1:
                nr = min(nr, self._room(move.target) // move.folio_pages)
            busy_ns = self._carry_out(way, nr)
            self._moves = [m for m in self._moves if len(m.heads)]
            if busy_ns:
                pages = batch * move.folio_pages * self.stage.memory.pages_per_frame
                self.stage.begin_work(self.name, busy_ns, batch=pages)
                self._at_work = True
                return busy_ns
        return 0

    def _carry_out(self, way: list[Move], nr: int) -> int:
        busy_ns = 0
        for one in reversed(way):  # the demotion goes first
            left = nr
            while left > 0:
                step = min(left, self._room(one.target) // one.folio_pages)
                if step <= 0:
                    break
                busy_ns += self._migrate(one, step)
                left -= step
        return busy_ns

    def _way(self, move: Move) -> list[Move] | None:
        """The move, with one that makes room for it if its target is full; None if nothing does."""
        if self._room(move.target) >= move.folio_pages:
            return [move]
        leaving = [
            m
            for m in self._moves
            if m.source == move.target and m.gain <= 0 and self._room(m.target) >= m.folio_pages
        ]
        return [move, max(leaving, key=lambda m: m.gain)] if leaving else None

    def _busy_ns(self, move: Move) -> int:
        """Time to move one of its folios."""
        frames = move.folio_pages * self.stage.memory.pages_per_frame
        order = frames.bit_length() - 1
        return self.stage.migrator.cost_of(move.source, move.target, order)

    def _batch(self, move: Move) -> int:
        """Folios to unmap together, so that visitors' waiting and interrupts cost least."""
        most = max(1, LARGEST_BATCH // (move.folio_pages * self.stage.memory.pages_per_frame))
        each_ns, visits = self._busy_ns(move), self._visits(move)
        if visits <= 0:
            return most
        interrupts = self.stage.costs.tlb_shootdown * self._threads(move)
        return int(min(most, max(1, round((interrupts / (visits * each_ns**2)) ** (1 / 3)))))

    def _price(self, move: Move, batch: int) -> float:
        """Thread time that moving one of its folios costs everybody, ns."""
        each_ns = self._busy_ns(move)
        interrupts = self.stage.costs.tlb_shootdown * self._threads(move) / batch
        return each_ns + self._visits(move) * (batch * each_ns) ** 2 / 2 + interrupts

    def _visits(self, move: Move) -> float:
        """Visits per ns to one of its folios."""
        return float(self.stage.law.visit_rates_per_ns()[move.rate_class])

    def _threads(self, move: Move) -> int:
        """Running threads of the process whose pages they are."""
        mapping = self.stage.space.mappings[int(self.stage.space.mapping_of_class[move.rate_class])]
        own = [a for a in self.stage.actors if a.process == mapping.process]
        return sum(a.actor.threads for a in own if a.state == "running")
