"""Armed pages: who touches a page first after it was made inaccessible, drawn from the law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numasim.actor_truth import ActorTruth, Strand
from numasim.reels import Reel


@dataclass
class First:
    """First accesses to armed pages: which of them were touched at all, when, by whom, how.

    Parameters
    ----------
    armed : int64[N]
        Index of the armed page.
    part : float64[N]
        How much of the span had passed.
    actor : int64[N]
    is_write : bool[N]
    """

    armed: np.ndarray
    part: np.ndarray
    actor: np.ndarray
    is_write: np.ndarray


def first_accesses(
    strands: list[Strand],
    pages: np.ndarray,
    classes: np.ndarray,
    tick: np.ndarray,
    rng: np.random.Generator,
) -> First:
    """Draw who touches pages first after they were armed at the beginning of ticks.

    Parameters
    ----------
    strands : list of Strand
        Of the ticks.
    pages, classes, tick : int64[N]
        Armed pages, their rate classes, the tick each is armed in.
    rng : numpy.random.Generator

    Returns
    -------
    First

    Notes
    -----
    Random visits of all strands together are one Poisson process, whose first event comes after a
    unit exponential of expected visits, by each strand with its share. A sweep comes when it does.
    """
    nr = len(pages)
    random = [s for s in strands if s.front is None]
    total = np.zeros(nr)
    if random:
        table = np.zeros((len(random[0].operations), len(random[0].visits)))
        for strand in random:
            table += np.outer(strand.operations, strand.visits)
        total = table[tick, classes]
    budget = rng.standard_exponential(nr)
    part = np.full(nr, np.inf)
    hit = np.flatnonzero(budget < total)
    part[hit] = budget[hit] / total[hit]
    strand_of = np.full(nr, -1)
    if len(hit):
        shares = np.stack([s.operations[tick[hit]] * s.visits[classes[hit]] for s in random])
        u = rng.random(len(hit)) * shares.sum(axis=0)
        chosen = (np.cumsum(shares, axis=0) <= u).sum(axis=0)
        strand_of[hit] = np.minimum(chosen, len(random) - 1)
    fronts = [s for s in strands if s.front is not None]
    for k, strand in enumerate(fronts, start=len(random)):
        at = _front_part(strand, pages, tick, rng)
        sooner = at < part
        part[sooner], strand_of[sooner] = at[sooner], k
    armed = np.flatnonzero(strand_of >= 0)
    every = random + fronts
    actor = np.array([s.actor for s in every], np.int64)
    write = np.array([s.write for s in every])
    chosen = strand_of[armed]
    is_write = rng.random(len(armed)) < write[chosen] if every else np.zeros(0, bool)
    whose = actor[chosen] if every else np.zeros(0, np.int64)
    return First(armed, part[armed], whose, is_write)


def _front_part(
    strand: Strand, pages: np.ndarray, tick: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """float64[N]: part of the tick after which a front comes by; infinite where it does not."""
    assert strand.front is not None and strand.before is not None and strand.after is not None
    before, after = strand.before[tick], strand.after[tick]
    if isinstance(strand.front, Reel):  # within an interval of a recording order is not known
        seen = strand.front.seen(pages, before, after, rng)
        found: np.ndarray = np.where(seen, rng.random(len(pages)), np.inf)
        return found
    front = strand.front
    place = pages - front.first
    inside = (place >= 0) & (place < front.nr)
    meets = place + front.nr * (np.floor((before - place) / front.nr) + 1)
    way = np.where(after > before, after - before, 1.0)
    return np.where(inside & (meets <= after), (meets - before) / way, np.inf)


@dataclass
class Faults:
    """First accesses with their pages and instants.

    Parameters
    ----------
    page, offset : int64[N]
        The piece that was armed.
    time_ns : int64[N]
    actor : int64[N]
    is_write : bool[N]
    """

    page: np.ndarray
    offset: np.ndarray
    time_ns: np.ndarray
    actor: np.ndarray
    is_write: np.ndarray


def faults_within(
    truth: ActorTruth,
    pages: np.ndarray,
    offset: np.ndarray,
    tick: np.ndarray,
    starts_ns: np.ndarray,
    ends_ns: np.ndarray,
    rng: np.random.Generator,
) -> Faults:
    """Faults on pages that stay armed from their preparation to their check only.

    Parameters
    ----------
    truth : ActorTruth
    pages, offset, tick : int64[N]
        Pieces armed, and in which tick.
    starts_ns, ends_ns : int64[T]
    rng : numpy.random.Generator

    Returns
    -------
    Faults
    """
    classes = truth.space.class_of.take(pages).astype(np.int64)
    first = first_accesses(truth.strands(starts_ns, ends_ns), pages, classes, tick, rng)
    at = tick[first.armed]
    time = _instants(first.part, starts_ns[at], ends_ns[at])
    own = first.armed
    return Faults(pages[own], offset[own], time, first.actor, first.is_write)


def _instants(part: np.ndarray, start_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    """int64[N]: instants in ``(start, end]``."""
    time = start_ns + np.maximum(1, np.ceil(part * (end_ns - start_ns))).astype(np.int64)
    found: np.ndarray = np.minimum(time, end_ns)
    return found


class Armed:
    """Pages that stay armed until somebody touches them, however long that takes.

    Parameters
    ----------
    truth : ActorTruth
    """

    def __init__(self, truth: ActorTruth) -> None:
        self._truth, self._until_ns = truth, -1
        self.pages = self.offset = np.zeros(0, np.int64)

    def faults(
        self,
        pages: np.ndarray,
        offset: np.ndarray,
        tick: np.ndarray,
        starts_ns: np.ndarray,
        ends_ns: np.ndarray,
        rng: np.random.Generator,
    ) -> Faults:
        """Faults in a window in which more pages are armed; parameters as of `faults_within`.

        Time goes on between ticks too. Arming what is armed changes nothing.
        """
        begun = int(starts_ns[0]) if self._until_ns < 0 else self._until_ns
        edges = np.unique(np.concatenate([[begun], starts_ns, ends_ns]))
        strands = self._truth.strands(edges[:-1], edges[1:])
        span = np.searchsorted(edges, starts_ns)[tick]
        order = np.argsort(span, kind="stable")
        bounds = np.searchsorted(span[order], np.arange(len(edges)))
        found: list[Faults] = []
        for k in range(len(edges) - 1):
            new = order[bounds[k] : bounds[k + 1]]
            self._arm(pages[new], offset[new])
            classes = self._truth.space.class_of.take(self.pages).astype(np.int64)
            here = np.full(len(classes), k)
            first = first_accesses(strands, self.pages, classes, here, rng)
            own = first.armed
            time = _instants(first.part, edges[here[own]], edges[here[own] + 1])
            found.append(
                Faults(self.pages[own], self.offset[own], time, first.actor, first.is_write)
            )
            left = np.ones(len(classes), bool)
            left[own] = False
            self.pages, self.offset = self.pages[left], self.offset[left]
        self._until_ns = int(ends_ns[-1])
        return Faults(
            *(
                np.concatenate([getattr(f, name) for f in found])
                for name in ("page", "offset", "time_ns", "actor", "is_write")
            )
        )

    def _arm(self, pages: np.ndarray, offset: np.ndarray) -> None:
        if len(pages):
            every = np.concatenate([self.pages, pages])
            self.pages, first = np.unique(every, return_index=True)
            self.offset = np.concatenate([self.offset, offset])[first]
