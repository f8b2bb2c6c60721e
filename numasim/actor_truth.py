"""The truth by actor: who visits which page how often, reads and writes apart.

Kept only when somebody asks. Visits of an actor are its operations times what an operation visits,
and the latter changes only with its phase; so what is kept is one column of operations per actor
and the few mixes of visits it has had. Visits here are visits, whatever a TLB hides from accessed
bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from numasim.actors import ActorState
from numasim.bursts import BurstOrder
from numasim.pages import CompiledPattern
from numasim.rates import BUSY_PER_NS, Rates, burst_chances
from numasim.reels import Reel
from numasim.traffic import Exposure, Front

MIXES_KEPT = 64  # of an actor: ticks that began so many changes ago are still told right


@dataclass(frozen=True)
class Strand:
    """What one actor did with one of its patterns in some spans of time.

    Parameters
    ----------
    actor : int
        Index of the actor.
    operations : float64[T]
        Operations in each span (of its own bursts, where it works in bursts).
    visits : float64[C]
        Per operation, to one page of each class; zeros for a sweep or a recording.
    write, lines, miss : float
        Share of visits that write, lines used per visit, share of lines that miss the caches.
    front : Front or Reel or None
        What sweeps or plays.
    before, after : float64[T] or None
        Its positions at the ends of each span.
    """

    actor: int
    operations: np.ndarray
    visits: np.ndarray
    write: float
    lines: float
    miss: float
    front: Front | Reel | None = None
    before: np.ndarray | None = None
    after: np.ndarray | None = None


@dataclass(frozen=True)
class Mix:
    """What an operation of an actor visits from an instant on.

    Parameters
    ----------
    since_ns : int
    patterns : list of CompiledPattern
    visits : list of float64[C]
        Of each pattern per operation (of its own bursts), to one page of a class.
    fronts : list of (Front or Reel or None, float)
        Of each pattern, with the positions it turns per operation of its own bursts.
    order : BurstOrder or None
    first : float
        Operations when the bursts began.
    made_of : list
        The weights it was made of, to know them again.
    """

    since_ns: int
    patterns: list[CompiledPattern]
    visits: list[np.ndarray]
    fronts: list[tuple[Front | Reel | None, float]]
    order: BurstOrder | None
    first: float
    made_of: list[np.ndarray]


class ActorTruth:
    """Visits of every actor over time.

    Parameters
    ----------
    rates : Rates
        Who owns which columns of the law.
    actors : sequence of ActorState
    now_ns : int
        From then on it is known.
    """

    def __init__(self, rates: Rates, actors: Sequence[ActorState], now_ns: int) -> None:
        self.rates, self.space, self._law = rates, rates.space, rates.law
        self.actors = list(actors)
        self._measured = {a.index: k for k, a in enumerate(x for x in actors if x.course)}
        courses = [a.course for a in actors if a.course is not None]
        self._busy = sorted(self.space.busy_class)
        self.exposure = Exposure(len(self.actors) + len(self._busy), now_ns, courses)
        self._mixes: list[list[Mix]] = [[] for _ in self.actors]
        self._gains = np.zeros((len(courses), len(self.actors) + len(self._busy)))
        for actor, row in self._measured.items():
            self._gains[row, actor] = 1.0

    def settled(self, now_ns: int, weights: dict[tuple[int, int], list[np.ndarray]]) -> None:
        """Speeds have been found anew.

        Parameters
        ----------
        now_ns : int
        weights : dict
            Of each pattern of each (process, actor), as the machine keeps them.
        """
        speeds = np.zeros(self.exposure.rates.shape)
        for actor in self.actors:
            if actor.state == "running":
                own = weights[actor.process, actor.number]
                mixes = self._mixes[actor.index]
                if not mixes or mixes[-1].made_of is not own:
                    mixes.append(self._mix(actor, own, now_ns))
                    del mixes[:-MIXES_KEPT]
                if actor.course is None:
                    speeds[actor.index] = actor.rate_per_ns
        for k, process in enumerate(self._busy):
            states = [a.state for a in self.actors if a.process == process]
            speeds[len(self.actors) + k] = float("populating" in states or "running" in states)
        self.exposure.set_rates(now_ns, speeds, self._gains)

    def _mix(self, actor: ActorState, weights: list[np.ndarray], now_ns: int) -> Mix:
        compiled = self.rates.patterns_of(actor)
        burst = actor.current.burst > 0
        chances = burst_chances(actor.current) if burst else np.ones(len(compiled))
        visits = np.zeros((len(compiled), self.space.nr_classes))
        fronts: list[tuple[Front | Reel | None, float]] = []
        columns = {front.column: front for front in self._law.fronts}
        for k, (one, w) in enumerate(zip(compiled, weights, strict=True)):
            front, turns = None, 0.0
            if one.pattern.sweep:
                key = (actor.process, actor.number, actor.phase, k)
                front = columns[self.rates.front_columns[key]]
                turns = one.pattern.visits * one.pages.folio_pages / chances[k]
            elif chances[k] > 0:
                visits[k] = one.pattern.visits * w / chances[k]
            fronts.append((front, turns))
        order = actor.burst_order if burst else None
        return Mix(now_ns, compiled, list(visits), fronts, order, actor.burst_first, weights)

    # -- what observers ask ------------------------------------------------------------------------

    def strands(self, starts_ns: np.ndarray, ends_ns: np.ndarray) -> list[Strand]:
        """What every actor did with each pattern in spans ``(start, end]``, int64[T] each."""
        found: list[Strand] = []
        for a, mixes in enumerate(self._mixes):
            for i, mix in enumerate(mixes):
                until = mixes[i + 1].since_ns if i + 1 < len(mixes) else int(ends_ns[-1])
                low = np.clip(starts_ns, mix.since_ns, max(until, mix.since_ns))
                high = np.clip(ends_ns, mix.since_ns, max(until, mix.since_ns))
                if (high > low).any():
                    found += self._of_mix(a, mix, low, high)
        return found + self._of_busy(starts_ns, ends_ns)

    def _of_mix(self, a: int, mix: Mix, low: np.ndarray, high: np.ndarray) -> list[Strand]:
        column = np.full(len(low), a)
        begun = ended = None
        if mix.order is not None:
            actor = self.actors[a]
            column = np.full(len(low), self.rates.burst_columns[actor.process, actor.number])
            now = (self._law.exposure.of(column, t) - mix.first for t in (low, high))
            begun, ended = (mix.order.operations(np.maximum(t, 0.0)) for t in now)
        else:
            done = self.exposure.of(column, high) - self.exposure.of(column, low)
        found = []
        for k, compiled in enumerate(mix.patterns):
            p, (front, turns) = compiled.pattern, mix.fronts[k]
            before = after = None
            if begun is not None and ended is not None:
                own = ended[:, k] - begun[:, k]
                if front is not None:
                    before, after = begun[:, k] * turns, ended[:, k] * turns
            else:
                own = done
                if front is not None:
                    column = np.full(len(low), front.column)
                    before, after = (self._law.exposure.of(column, t) for t in (low, high))
            if (own > 0).any():
                found.append(
                    Strand(a, own, mix.visits[k], p.write, p.lines, p.miss, front, before, after)
                )
        return found

    def _of_busy(self, starts_ns: np.ndarray, ends_ns: np.ndarray) -> list[Strand]:
        """Pages in use all the time: visited by the first actor of their process, cached."""
        found = []
        for k, process in enumerate(self._busy):
            who = next((a.index for a in self.actors if a.process == process), None)
            column = np.full(len(starts_ns), len(self.actors) + k)
            spans = self.exposure.of(column, ends_ns) - self.exposure.of(column, starts_ns)
            if who is not None and (spans > 0).any():
                visits = np.zeros(self.space.nr_classes)
                visits[self.space.busy_class[process]] = BUSY_PER_NS
                found.append(Strand(who, spans, visits, 0.0, 1.0, 0.0))
        return found

    def visits(self, from_ns: int, to_ns: int) -> np.ndarray:
        """Visits to one page of each class between two instants, sweeps by their mean.

        Parameters
        ----------
        from_ns, to_ns : int

        Returns
        -------
        float64[A, 2, C]
            By actor; reads and writes.
        """
        found = np.zeros((len(self.actors), 2, self.space.nr_classes))
        for strand in self.strands(np.array([from_ns]), np.array([to_ns])):
            visits = strand.operations[0] * strand.visits
            if strand.front is not None:
                assert strand.before is not None and strand.after is not None
                way = strand.after[0] - strand.before[0]
                np.add.at(visits, strand.front.classes, way / strand.front.turn)
            found[strand.actor, 0] += visits * (1 - strand.write)
            found[strand.actor, 1] += visits * strand.write
        return found

    def tick_chance(
        self, accepted: np.ndarray, span_ns: int, from_ns: int, to_ns: int
    ) -> np.ndarray:
        """Chance that a folio of each class gets an accepted visit in a span.

        Parameters
        ----------
        accepted : float64[A, 2]
            Share of each actor's reads and writes that counts.
        span_ns : int
        from_ns, to_ns : int
            At the mean rates between these instants.

        Returns
        -------
        float64[C]
        """
        scale = span_ns / max(1, to_ns - from_ns)
        visits, missed = np.zeros(self.space.nr_classes), np.ones(self.space.nr_classes)
        for strand in self.strands(np.array([from_ns]), np.array([to_ns])):
            share = float(accepted[strand.actor] @ [1 - strand.write, strand.write])
            if strand.front is None:
                visits += share * scale * strand.operations[0] * strand.visits
            elif share > 0:
                assert strand.before is not None and strand.after is not None
                way = float(strand.after[0] - strand.before[0]) * scale
                seen = share * strand.front.touched_share(way) if way > 0 else 0.0
                missed[strand.front.classes] *= 1 - seen
        chance: np.ndarray = 1 - missed * np.exp(-self.space.of_bits(visits))
        return chance
